"""A client that wants nothing but to be served, whatever others do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from clients import HTTP2, Request, connect, connect_tls
from front_rig import DIRECT, TLS, Front

PACE_SECONDS: Final = 0.01
PATIENCE_SECONDS: Final = 3.0
"""On two processors that all tests share; an attack that works takes far longer, or everything."""
CALM: Final = 3
"""A third of the time that an attack takes is watched before it."""
TELLING_SECONDS: Final = 10
"""A shorter time has too few answers for the slowest hundredth of them."""


class Victim:
    """Asks on new connections, over TLS with HTTP/2 and in the clear, in turn."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._is_over = threading.Event()
        self.seconds: list[float] = []
        """What each request took, its connection included."""
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
                self.seconds.append(time.monotonic() - begun)
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

    @property
    def p99_milliseconds(self) -> float:
        """No more than one answer of a hundred took longer."""
        return 1000 * sorted(self.seconds)[-1 - len(self.seconds) // 100]


@contextmanager
def watched(front: Front) -> Iterator[Victim]:
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
    assert max(victim.seconds) < PATIENCE_SECONDS
    assert front.gateway.processes == before


@contextmanager
def unharmed(front: Front, attack: str, seconds: float) -> Iterator[None]:
    """The same; an attack of so many seconds is compared with the time before it, if that is long enough to tell."""
    with watched(front) as before:
        time.sleep(seconds / CALM)
    with watched(front) as during:
        yield
    counted = f"{len(during.seconds)} requests, {len(during.harmed)} harmed"
    print(f"{attack}: p99 {before.p99_milliseconds:.1f} ms before, {during.p99_milliseconds:.1f} during; {counted}")
    if seconds >= TELLING_SECONDS:
        assert during.p99_milliseconds <= 2 * before.p99_milliseconds
