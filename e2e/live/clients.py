"""Well-behaved clients: a request over HTTP/1.1 or HTTP/2, in the clear or over TLS, and its answer."""

import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

TIMEOUT_SECONDS: Final = 10
HTTP1, HTTP2 = "http/1.1", "h2"

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer; fields in lower case, repeated ones joined."""

    status: int
    fields: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Request:
    """What is asked."""

    host: str
    target: str = "/"
    method: str = "GET"
    fields: Fields = ()
    scheme: str = "http"


def trusting(*protocols: str) -> ssl.SSLContext:
    """A client that takes any certificate, and offers these protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Connection:
    """A connection that speaks what was agreed on: HTTP/2 if the server took it, else HTTP/1.1."""

    def __init__(self, plain: socket.socket, protocol: str) -> None:
        self._socket = plain
        self._http2 = Http2(plain) if protocol == HTTP2 else None

    def ask(self, request: Request) -> Reply:
        """Raises OSError when there is no whole answer."""
        return self._http2.ask(request) if self._http2 else _ask_http1(self._socket, request)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: str, port: int, protocol: str = HTTP1, *, preface: bytes = b"") -> Connection:
    """In the clear; HTTP/2 is spoken without asking. What a load balancer says comes first."""
    plain = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
    plain.sendall(preface)
    return Connection(plain, protocol)


def connect_tls(
    address: str,
    port: int,
    server_name: str | None,
    *protocols: str,
    context: ssl.SSLContext | None = None,
    preface: bytes = b"",
) -> Connection:
    """Over TLS; raises OSError when the handshake fails."""
    plain = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
    try:
        plain.sendall(preface)
        tls = (context or trusting(*protocols)).wrap_socket(plain, server_hostname=server_name or None)
    except OSError:
        plain.close()
        raise
    return Connection(tls, tls.selected_alpn_protocol() or HTTP1)


class Http2:
    """One request after the other on one connection."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        # What a test sends is sent as it is: it may be what no client should send.
        configuration = H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = H2Connection(configuration)
        self.h2.initiate_connection()
        self._flush()

    def ask(self, request: Request) -> Reply:
        """Raises OSError when there is no whole answer."""
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", request.method), (":scheme", request.scheme), (":authority", request.host)]
        self.h2.send_headers(stream, [*fields, (":path", request.target), *request.fields], end_stream=True)
        self._flush()
        return self._reply(stream)

    def _reply(self, stream: int) -> Reply:
        fields: dict[str, str] = {}
        body = bytearray()
        for event in self._events():
            match event:
                case ResponseReceived(stream_id=of) if of == stream:
                    fields = _joined((str(name), str(value)) for name, value in event.headers or [])
                case DataReceived(stream_id=of) if of == stream:
                    body += event.data or b""
                case StreamEnded(stream_id=of) if of == stream:
                    return Reply(int(fields.pop(":status")), fields, bytes(body))
                case StreamReset(stream_id=of) if of == stream:
                    raise ConnectionResetError(f"the stream was reset: {event.error_code}")
                case ConnectionTerminated() if (event.last_stream_id or 0) < stream:
                    raise ConnectionResetError(f"the connection was terminated: {event.error_code}")
        raise ConnectionResetError("the connection ended before the answer did")

    def _events(self) -> Iterator[Event]:
        """Until the server closes; what it may send on is told at once."""
        while received := self._socket.recv(65536):
            events = self.h2.receive_data(received)
            for event in events:
                if isinstance(event, DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._flush()
            yield from events

    def _flush(self) -> None:
        self._socket.sendall(self.h2.data_to_send())


def _ask_http1(plain: socket.socket, request: Request) -> Reply:
    fields = [("Host", request.host), *request.fields]
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    plain.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    response = HTTPResponse(plain, method=request.method)
    try:
        response.begin()
        return Reply(response.status, _joined(response.getheaders()), response.read())
    except HTTPException as error:
        raise ConnectionResetError(f"{type(error).__name__}: {error}") from error
    finally:
        response.close()


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        found[key] = f"{found[key]},{value}" if key in found else value
    return found
