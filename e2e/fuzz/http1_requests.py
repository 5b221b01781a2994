"""Requests of HTTP/1 that are right, nearly right, and wrong."""

from random import Random
from typing import Final

from mutation import chance, cut, length, mutated
from wire_case import HIDDEN, Pieces

METHODS: Final = (
    b"GET", b"GET", b"GET", b"POST", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"PATCH", b"get",
    b"G@T", b"TRACE", b"PURGE",
)  # fmt: skip
TARGETS: Final = (
    b"/", b"/f", b"/f?q", b"/%61dmin", b"/a/../b", b"/a//b", b"/%00", b"/%2e%2e/%2F", b"/\xc3\xa4", b"*",
    b"a.test:80", b"http://a.test/f", b"http://a.test", b"http://u@a.test/", b"https://b.test:8443/f?x#y",
    b"//b.test/f", b"/f#g", b"/a b", b"",
)  # fmt: skip
VERSIONS: Final = (
    b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9",
    b"http/1.1", b"",
)  # fmt: skip
HOSTS: Final = (
    b"a.test", b"a.test", b"a.test", b"A.TEST.", b"a.test:8080", b"x.test", b"[::1]", b"a.test, b.test", b"",
    b"a_b.test", b"a.test/x",
)  # fmt: skip
STEMS: Final = (
    b"x-forwarded-", b"x-gateway-", b"X_Forwarded_", b"X-Gateway_", b"forwarded", b"x-", b"via", b"content-length",
    b"transfer-encoding", b"cookie", b"range",
)  # fmt: skip
"""Names begin so, and go on for as long as it takes."""
HIDDEN_REQUEST: Final = b"GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n" % HIDDEN

FIELDS: Final = (
    b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade", b"Connection: Upgrade, HTTP2-Settings",
    b"Connection: content-length", b"Connection: x-forwarded-for, host", b"Proxy-Connection: keep-alive",
    b"Keep-Alive: timeout=5", b"Upgrade: websocket", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", b"Expect: 100-continue",
    b"Expect: x", b"TE: trailers", b"Trailer: x", b"Range: bytes=0-1", b"Range: bytes=0-1,4-5", b"Range: items=0-24",
    b"Range: 0-9", b"If-Range: \"x\"", b"If-None-Match: *", b"Accept-Encoding: gzip", b"Accept-Encoding: br;q=x",
    b"Content-Encoding: gzip", b"Cache-Control: no-cache", b"Authorization: Basic eDp5",
    b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https", b"Forwarded: for=192.0.2.1",
    b"X-Gateway-Route: default/hidden", b"X-Gateway-Listener: https-1", b"Host: b.test", b"Host : b.test",
    b" folded: x", b"no colon", b": no name", b"X: \x01", b"X: \xff", b"X:", b"X:y", b"X:\t y \t",
    b"X-HTTP-Method-Override: DELETE", b"Max-Forwards: 0",
)  # fmt: skip
FRAMINGS: Final = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked", b"Transfer-Encoding:\x0bchunked",
    b"transfer-encoding: CHUNKED", b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4",
)  # fmt: skip
SIZES: Final = (
    b"%x", b"%X", b"0%x", b"000000000%x", b"%x;ext", b'%x;ext="a;b"', b"%x ; ext = y", b"%x;\x01", b"0x%x", b"+%x",
    b"%x ", b" %x", b"%x\t", b"%xg",
)  # fmt: skip
HUGE_SIZES: Final = (b"ffffffffffffffff", b"10000000000000000", b"7fffffffffffffff", b"80000000", b"", b"-1")
TRAILERS: Final = (
    b"", b"", b"x: y\r\n", b"Content-Length: 99\r\n", b"Transfer-Encoding: chunked\r\n",
    b"x-gateway-route: default/hidden\r\n", b"no colon\r\n", b": y\r\n", b" x: y\r\n",
)  # fmt: skip


def pieces(random: Random) -> Pieces:
    """One to three requests on a connection."""
    requests = [_request(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
    whole = cut(random, b"".join(requests))
    return mutated(random, whole, tuple(requests)) if chance(random, 3) else whole


def field(random: Random) -> bytes:
    """A line of a head."""
    if chance(random, 6):
        name = random.choice(STEMS)
        return (
            name
            + b"n" * max(length(random, 9000) - len(name), 0)
            + b": "
            + b"v" * (length(random) if chance(random, 4) else 3)
        )
    return random.choice(FIELDS)


def chunked(random: Random) -> bytes:
    """A body in chunks, with its end."""
    body = b""
    for _ in range(random.randrange(4)):
        data = random.choice((b"x", b"x" * length(random, 20000), HIDDEN_REQUEST))
        size = random.choice(SIZES) % len(data) if chance(random, 3) else b"%x" % len(data)
        line = b"\n" if chance(random, 30) else b"\r\n"
        body += size + line + data + (b"" if chance(random, 40) else b"\r\n")
    end = random.choice(HUGE_SIZES) if chance(random, 20) else b"0"
    return body + end + b"\r\n" + random.choice(TRAILERS) * random.choice((1, 1, 1, 200)) + b"\r\n"


def _request(random: Random) -> bytes:
    line = b" ".join((random.choice(METHODS), _target(random), random.choice(VERSIONS)))
    fields = [b"Host: " + random.choice(HOSTS)] if not chance(random, 12) else []
    fields += [field(random) for _ in range(random.choice((0, 1, 2, 3, 4, 66)) if not chance(random, 40) else 90)]
    framing, body = _framed(random)
    random.shuffle(fields)
    return b"\r\n".join([line, *fields, *framing, b"", b""]) + body


def _target(random: Random) -> bytes:
    target = random.choice(TARGETS)
    return target + b"t" * length(random, 40000) if chance(random, 8) else target


def _framed(random: Random) -> tuple[list[bytes], bytes]:
    """Fields that say how long the body is, and the body, which need not be so long."""
    kind = random.randrange(6)
    if kind < 2:
        return [], b""
    if kind < 4:
        return [random.choice(FRAMINGS) if chance(random, 3) else FRAMINGS[0]], chunked(random)
    body = random.choice((HIDDEN_REQUEST, b"b" * length(random, 20000), b""))
    said = random.choice((b"%d", b"%d", b"%d", b"+%d", b"0%d", b"%d, %d", b"%d ", b"0x%d", b"-%d"))
    told = said % ((len(body),) * said.count(b"%d"))
    return [b"Content-Length: " + told] * random.choice((1, 1, 1, 2)), body
