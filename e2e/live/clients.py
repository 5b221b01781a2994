"""Well-behaved clients: a request over HTTP/1.1 or HTTP/2, in the clear or over TLS, and its answer."""

import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final

from http2 import Http2

TIMEOUT_SECONDS: Final = 60
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
    body: bytes = b""
    """Over HTTP/2 no more than a window."""


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
        self._is_closing = False

    def ask(self, request: Request) -> Reply:
        """Raises OSError when there is no whole answer."""
        if self._http2:
            return _ask_http2(self._http2, request)
        reply = _ask_http1(self._socket, request)
        self._is_closing = reply.fields.get("connection") == "close"
        return reply

    @property
    def is_closing(self) -> bool:
        """Whether the server has said that it takes no more requests here."""
        return self._is_closing or bool(self._http2 and self._http2.is_closing)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connected(address: str, port: int) -> socket.socket:
    """What is written in small pieces goes out at once: else each waits for the last one's acknowledgement."""
    plain = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def connect(address: str, port: int, protocol: str = HTTP1, *, preface: bytes = b"") -> Connection:
    """In the clear; HTTP/2 is spoken without asking. What a load balancer says comes first."""
    plain = connected(address, port)
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
    plain = connected(address, port)
    try:
        plain.sendall(preface)
        tls = (context or trusting(*protocols)).wrap_socket(plain, server_hostname=server_name or None)
    except OSError:
        plain.close()
        raise
    return Connection(tls, tls.selected_alpn_protocol() or HTTP1)


def _ask_http2(connection: Http2, request: Request) -> Reply:
    pseudo = [(":method", request.method), (":scheme", request.scheme), (":authority", request.host)]
    pairs, body = connection.ask([*pseudo, (":path", request.target), *request.fields], request.body)
    fields = _joined(pairs)
    return Reply(int(fields.pop(":status")), fields, body)


def _ask_http1(plain: socket.socket, request: Request) -> Reply:
    length = [("Content-Length", str(len(request.body)))] if request.body else []
    fields = [("Host", request.host), *length, *request.fields]
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    plain.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + request.body)
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
