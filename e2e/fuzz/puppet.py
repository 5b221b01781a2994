"""A backend that answers what it is told to, and keeps every byte that it was sent."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import h11

from recorder import Server, answered
from wire_case import WireCase

OWN: Final = "/own"
"""Targets below it get an answer that is right, and says the target."""
_SINGLE: Final = ("host", "content-length", "x-forwarded-for", "x-gateway-route")
_OURS: Final = ("x-forwarded-", "x-gateway-")
SETTLE_SECONDS: Final = 0.002
"""Between two pieces, so that they are read by themselves."""


class Puppet:
    """What is to be said, and what came."""

    def __init__(self) -> None:
        self.case = WireCase("direct", (), (b"HTTP/1.1 204 No Content\r\n\r\n",))
        self._lock = threading.Lock()
        self._targets: list[str] = []
        self._doubts: list[str] = []

    def begin(self, case: WireCase) -> None:
        """From now on this is what is answered."""
        self.case = case
        self.taken()

    def taken(self) -> tuple[list[str], list[str]]:
        """Targets that were asked for since the last call, and what of the requests was in doubt."""
        with self._lock:
            taken = self._targets, self._doubts
            self._targets, self._doubts = [], []
            return taken

    def note(self, request: h11.Request) -> None:
        """A request, by its strictest reader."""
        with self._lock:
            self._targets.append(request.target.decode("latin-1"))
            self._doubts += _doubts_of(request)

    def doubt(self, what: str) -> None:
        """Something that is not a request of HTTP/1.1."""
        with self._lock:
            self._doubts.append(what)


def _doubts_of(request: h11.Request) -> list[str]:
    names = [name.decode("latin-1") for name, _ in request.headers]
    fields = dict(request.headers)
    doubts = [f"two fields {name}" for name in _SINGLE if names.count(name) > 1]
    doubts += [f"a client's {name}" for name in names if "_" in name and name.replace("_", "-").startswith(_OURS)]
    if b"content-length" in fields and b"transfer-encoding" in fields:
        doubts.append("two framings")
    if fields.get(b"x-gateway-route", b"default/web") != b"default/web":
        doubts.append("a client's x-gateway-route")
    return doubts


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        puppet: Puppet = self.server.puppet  # type: ignore[attr-defined]
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        try:
            self._serve(puppet, reader)
        except h11.RemoteProtocolError as error:
            puppet.doubt(str(error).partition(":")[0])

    def _serve(self, puppet: Puppet, reader: h11.Connection) -> None:
        target = ""
        while True:
            match reader.next_event():
                case h11.NEED_DATA:
                    if not (received := self.request.recv(65536)):
                        return
                    reader.receive_data(received)
                case h11.Request() as request:
                    puppet.note(request)
                    target = request.target.decode("latin-1")
                case h11.EndOfMessage():
                    if not self._answer(puppet, target) or not answered(reader):
                        return
                case h11.ConnectionClosed() | h11.PAUSED:
                    return

    def _answer(self, puppet: Puppet, target: str) -> bool:
        """Whether the connection is kept."""
        if target.startswith(OWN):
            body = target.encode("latin-1")
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return True
        case = puppet.case
        for piece in case.answer:
            self.request.sendall(piece)
            time.sleep(SETTLE_SECONDS if len(case.answer) > 1 else 0)
        return not case.closes


@contextmanager
def serving(address: str, port: int) -> Iterator[Puppet]:
    puppet = Puppet()
    with Server((address, port), _Handler) as server:
        server.puppet = puppet  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, name="puppet", daemon=True).start()
        yield puppet
        server.shutdown()
