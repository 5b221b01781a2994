"""A backend that is easily fooled, and remembers every byte: what reaches it must be beyond doubt."""

import base64
import hashlib
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import h11

MAX_BODY_BYTES: Final = 1024 * 1024
HELD: Final = "/held"
WEBSOCKET: Final = "/websocket"
"""Whatever asks for this becomes a tunnel."""
WEBSOCKET_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Seen:
    """A request as a lenient reader takes it."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class Recorder:
    """What came, on every connection."""

    streams: list[bytearray] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)
    """What asks for HELD waits for it."""
    requests: list[Seen] = field(default_factory=list)

    def forget(self) -> None:
        """What came so far; connections that are kept go on."""
        for stream in self.streams:
            stream.clear()
        self.requests.clear()

    @property
    def targets(self) -> list[str]:
        """By the lenient reader."""
        return [request.target for request in self.requests]

    @property
    def strict_targets(self) -> list[str]:
        """By h11, from the same bytes. Raises h11.RemoteProtocolError for what is not beyond doubt."""
        return [target for stream in list(self.streams) for target in _strictly(bytes(stream))]


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        recorder: Recorder = self.server.recorder  # type: ignore[attr-defined]
        stream = bytearray()
        recorder.streams.append(stream)
        reader = _Tee(self.rfile, stream)
        while request := _leniently(reader):
            recorder.requests.append(request)
            if request.target == HELD:
                recorder.may_answer.wait()
            if request.target == WEBSOCKET:
                self._tunnel(dict(request.fields).get("sec-websocket-key", ""))
                return
            said = {"target": request.target, "fields": request.fields, "body": request.body.decode("latin-1")}
            body = b"" if request.method == "HEAD" else json.dumps(said).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    def _tunnel(self, key: str) -> None:
        """Every byte comes back."""
        accepted = base64.b64encode(hashlib.sha1(f"{key}{WEBSOCKET_GUID}".encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.wfile.write(f"{head}Sec-WebSocket-Accept: {accepted}\r\n\r\n".encode())
        while some := self.connection.recv(65536):
            self.wfile.write(some)


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""


@contextmanager
def recording(address: str, port: int) -> Iterator[Recorder]:
    recorder = Recorder()
    with Server((address, port), _Handler) as server:
        server.recorder = recorder  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, name="recorder", daemon=True).start()
        yield recorder
        recorder.may_answer.set()
        server.shutdown()


class _Source(Protocol):
    def readline(self, size: int, /) -> bytes: ...
    def read(self, size: int, /) -> bytes: ...


class _Tee:
    """Reads, and keeps what was read."""

    def __init__(self, source: _Source, kept: bytearray) -> None:
        self._source = source
        self._kept = kept

    def line(self) -> bytes:
        read = self._source.readline(65536)
        self._kept += read
        return read

    def bytes(self, size: int) -> bytes:
        read = self._source.read(min(size, MAX_BODY_BYTES))
        self._kept += read
        return read


def _leniently(reader: _Tee) -> Seen | None:
    """As the worst of servers: any line end, any spaces, the first length, anything that contains `chunked`."""
    line = reader.line()
    while line in (b"\r\n", b"\n"):
        line = reader.line()
    words = line.decode("latin-1").split()
    if len(words) < 2:
        return None
    fields = []
    while (line := reader.line()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        fields.append((name.strip().lower(), value.strip()))
    return Seen(words[0], words[1], tuple(fields), _body(reader, fields))


def _body(reader: _Tee, fields: list[tuple[str, str]]) -> bytes:
    lengths = [value for name, value in fields if name == "content-length"]
    if any(name == "transfer-encoding" and "chunked" in value.lower() for name, value in fields):
        body = b""
        while size := int(reader.line().split(b";")[0].strip() or b"0", 16):
            body += reader.bytes(size)
            reader.line()
        while reader.line().strip():
            pass
        return body
    return reader.bytes(int(lengths[0])) if lengths else b""


def _strictly(stream: bytes) -> Iterator[str]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    connection.receive_data(b"")
    while True:
        event = connection.next_event()
        match event:
            case h11.Request():
                yield event.target.decode()
            case h11.EndOfMessage():
                answered(connection)
            case h11.ConnectionClosed() | h11.NEED_DATA | h11.PAUSED:
                return


def answered(connection: h11.Connection) -> bool:
    """As far as this reader is concerned; whether another request may follow."""
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    may_follow = connection.our_state is h11.DONE and connection.their_state is h11.DONE
    if may_follow:
        connection.start_next_cycle()
    return may_follow
