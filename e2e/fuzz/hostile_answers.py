"""Answers of a backend that are right, nearly right, and wrong."""

from random import Random
from typing import Final

from http1_requests import chunked, field
from mutation import chance, cut, length, mutated
from wire_case import Pieces

STATUSES: Final = (
    b"200 OK", b"200 OK", b"200 OK", b"200", b"204 No Content", b"206 Partial Content", b"301 Moved",
    b"304 Not Modified", b"404 x", b"500 x", b"503 x", b"101 Switching Protocols", b"100 Continue",
    b"103 Early Hints", b"199 x", b"99 x", b"1000 x", b"999 x", b"000 x", b"2x0 x", b"200 a\x01b", b"200 \xff",
)  # fmt: skip
VERSIONS: Final = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"ICY", b"http/1.1")
INTERIM: Final = (
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
)  # fmt: skip
FIELDS: Final = (
    b"Content-Type: text/plain", b"Connection: close", b"Connection: x, content-length", b"Keep-Alive: timeout=1",
    b"Keep-Alive: timeout=99999999999999999999", b"Set-Cookie: a=b", b"Content-Range: bytes 0-1/*",
    b"Content-Range: bytes 0-1/10", b"Content-Range: x", b"Content-Encoding: gzip", b"Content-Encoding: br",
    b"Vary: *", b"Age: x", b"Age: 99999999999999999999", b"Date: x", b"ETag: x", b"Upgrade: websocket",
    b"Upgrade: h2c", b"Trailer: x", b"Via: x", b"Server: x", b"Location: http://b.test/\r\nx: y", b"X-Varnish: 1",
    b"X-Gateway-Route: x", b"Proxy-Connection: close", b"Transfer-Encoding: gzip", b"Accept-Ranges: none",
)  # fmt: skip


def pieces(random: Random) -> Pieces:
    """What the backend says to a request; sometimes more than one answer."""
    interim = random.choice(INTERIM) * random.choice((1, 1, 2, 40)) if chance(random, 6) else b""
    whole = cut(random, interim + b"".join(_answer(random) for _ in range(random.choice((1, 1, 1, 1, 2)))))
    return mutated(random, whole) if chance(random, 3) else whole


def _answer(random: Random) -> bytes:
    line = random.choice(VERSIONS) + b" " + random.choice(STATUSES)
    fields = [
        random.choice(FIELDS) if chance(random, 2) else field(random)
        for _ in range(random.choice((0, 1, 2, 3, 70, 130)))
    ]
    framing, body = _framed(random)
    return b"\r\n".join([line, *fields, *framing, b"", b""]) + body


def _framed(random: Random) -> tuple[list[bytes], bytes]:
    kind = random.randrange(6)
    if kind == 0:
        return [], b"until it closes" * random.choice((0, 1, 3000))
    if kind < 3:
        return [b"Transfer-Encoding: chunked"] * random.choice((1, 1, 1, 2)), chunked(random)
    body = b"b" * length(random, 70000)
    said = len(body) + random.choice((0, 0, 0, 0, 1, -1, 1000))
    fields = [b"Content-Length: %d" % said] * random.choice((1, 1, 1, 1, 2))
    return [*fields, b"Transfer-Encoding: chunked"] if chance(random, 12) else fields, body
