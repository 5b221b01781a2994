"""A client that wants nothing but to be served, whatever others do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clients import HTTP2, Request, connect, connect_tls
from front_rig import DIRECT, TLS, Front

PACE_SECONDS = 0.01
PATIENCE_SECONDS = 3.0
"""On two processors that all tests share; an attack that works takes far longer, or everything."""


class Victim:
    """Asks on new connections, over TLS with HTTP/2 and in the clear, in turn."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._is_over = threading.Event()
        self.slowest_seconds = 0.0
        self.harmed: list[str] = []

    def run(self) -> None:
        is_over = False
        while not is_over:
            for ask in (self._ask_tls, self._ask_direct):
                begun = time.monotonic()
                try:
                    ask()
                except OSError as error:
                    self.harmed.append(repr(error))
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)
            is_over = self._is_over.wait(PACE_SECONDS)

    def _ask_tls(self) -> None:
        with connect_tls(self._front.address, TLS, "a.test", HTTP2) as connection:
            self._judge(connection.ask(Request("a.test", "/victim", scheme="https")).status)

    def _ask_direct(self) -> None:
        with connect(self._front.address, DIRECT) as connection:
            self._judge(connection.ask(Request("a.test", "/victim")).status)

    def _judge(self, status: int) -> None:
        if status != 200:
            self.harmed.append(str(status))

    def end(self) -> None:
        self._is_over.set()


@contextmanager
def unharmed(front: Front) -> Iterator[Victim]:
    """Whatever happens meanwhile: every request is answered, in time, by the same processes."""
    before = front.gateway.processes
    victim = Victim(front)
    thread = threading.Thread(target=victim.run, name="victim")
    thread.start()
    try:
        yield victim
    finally:
        victim.end()
        thread.join()
    assert victim.harmed == []
    assert victim.slowest_seconds < PATIENCE_SECONDS
    assert front.gateway.processes == before
