"""Requests that two readers could take apart differently: the backend gets what is beyond doubt, or nothing.

The backend is the worst of readers (recorder.py), and h11, the strictest, must agree with it on every byte that came.
"""

import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hyperframe.frame import DataFrame

from clients import HTTP1, HTTP2, Request, connect, connected, trusting
from front_rig import DIRECT, H2C, TLS, Front
from http2 import Http2

pytestmark = pytest.mark.live

PATIENCE_SECONDS = 0.5
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + HIDDEN


@pytest.fixture(autouse=True)
def beyond_doubt(front: Front) -> Iterator[None]:
    """After each test: nothing hidden came through, both readers agree, and the next client gets its own answer."""
    front.backend.forget()
    yield
    for port in (DIRECT, H2C):
        with connect(front.address, port) as connection:
            assert b'"target": "/next"' in connection.ask(Request("a.test", "/next")).body
    assert not any("hidden" in target for target in front.backend.targets)
    assert sorted(front.backend.strict_targets) == sorted(front.backend.targets)


def head(*fields: bytes, method: bytes = b"POST", target: bytes = b"/outer", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"%s %s %s" % (method, target, version), b"Host: a.test", *fields, b"", b""])


def with_encoding(field: bytes) -> bytes:
    """Chunked for who understands the field, else so long that what is hidden is its body."""
    return head(b"Content-Length: %d" % len(CHUNKED), field) + CHUNKED


LENGTH = b"Content-Length: %d" % len(HIDDEN)

AMBIGUOUS = {
    "CL.TE": with_encoding(b"Transfer-Encoding: chunked"),
    "TE.CL": head(b"Transfer-Encoding: chunked", b"Content-Length: 4")
    + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
    "TE twice": with_encoding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    "TE list": with_encoding(b"Transfer-Encoding: chunked, identity"),
    "TE unknown": with_encoding(b"Transfer-Encoding: xchunked"),
    "TE identity": with_encoding(b"Transfer-Encoding: identity"),
    "TE upper": with_encoding(b"TRANSFER-ENCODING: CHUNKED"),
    "TE quoted": with_encoding(b'Transfer-Encoding: "chunked"'),
    "TE space before colon": with_encoding(b"Transfer-Encoding : chunked"),
    "TE tab": with_encoding(b"Transfer-Encoding:\tchunked"),
    "TE vertical tab": with_encoding(b"Transfer-Encoding: \x0bchunked"),
    "TE leading space": with_encoding(b" Transfer-Encoding: chunked"),
    "TE underscore": with_encoding(b"Transfer_Encoding: chunked"),
    "TE null": with_encoding(b"Transfer-Encoding: chunked\0"),
    "TE bare CR": with_encoding(b"X: y\rTransfer-Encoding: chunked"),
    "TE bare LF": with_encoding(b"X: y\nTransfer-Encoding: chunked"),
    "TE folded": with_encoding(b"Transfer-Encoding:\r\n chunked"),
    "TE in HTTP/1.0": head(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + CHUNKED,
    "TE named by Connection": with_encoding(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"),
    "CL named by Connection": head(b"Connection: Content-Length", LENGTH) + HIDDEN,
    "CL twice": head(b"Content-Length: 0", LENGTH) + HIDDEN,
    "CL list": head(b"Content-Length: 0, %d" % len(HIDDEN)) + HIDDEN,
    "CL plus": head(b"Content-Length: +%d" % len(HIDDEN)) + HIDDEN,
    "CL minus": head(b"Content-Length: -1") + HIDDEN,
    "CL hexadecimal": head(b"Content-Length: 0x%x" % len(HIDDEN)) + HIDDEN,
    "CL octal": head(b"Content-Length: 0%d" % len(HIDDEN)) + HIDDEN,
    "CL space inside": head(b"Content-Length: 0 %d" % len(HIDDEN)) + HIDDEN,
    "CL huge": head(b"Content-Length: 18446744073709551616") + HIDDEN,
    "CL of a GET": head(LENGTH, method=b"GET") + HIDDEN,
    "CL of a folded field": head(b"X: y\r\n Content-Length: 0", LENGTH) + HIDDEN,
    "obs-fold": head(b"X: y\r\n z", LENGTH) + HIDDEN,
    "bare LF": head(LENGTH).replace(b"\r\n", b"\n") + HIDDEN,
    "bare CR in the head": head(b"X: y\rGET /hidden HTTP/1.1\rX: z"),
    "a field without colon": head(b"Nonsense", LENGTH) + HIDDEN,
    "a field without name": head(b": nothing", LENGTH) + HIDDEN,
    "a second Host": head(b"Host: b.test", LENGTH) + HIDDEN,
    "chunk size with sign": head(b"Transfer-Encoding: chunked") + b"+0\r\n\r\n" + HIDDEN,
    "chunk size of hexadecimal prefix": head(b"Transfer-Encoding: chunked") + b"0x0\r\n\r\n" + HIDDEN,
    "chunk size that overflows": head(b"Transfer-Encoding: chunked") + b"10000000000000000\r\n\r\n" + HIDDEN,
    "chunk size and bare LF": head(b"Transfer-Encoding: chunked") + b"1\nZ\r\n0\r\n\r\n",
    "chunk that is too long": head(b"Transfer-Encoding: chunked") + b"1\r\nZZ\r\n0\r\n\r\n" + HIDDEN,
    "chunk extension with LF": head(b"Transfer-Encoding: chunked") + b"1;x\n=y\r\nZ\r\n0\r\n\r\n",
    "a trailer of a length": head(b"Transfer-Encoding: chunked") + b"0\r\nContent-Length: 99\r\n\r\n",
    "spaces in the target": head(target=b"/outer /hidden", method=b"GET"),
    "HTTP/0.9": b"GET /hidden\r\n",
    "HTTP/2 over HTTP/1": head(
        b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk", LENGTH
    )
    + HIDDEN,
    "a tunnel that is none": head(b"Upgrade: websocket", b"Connection: Upgrade", LENGTH, method=b"GET") + HIDDEN,
    "CONNECT": b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
}
"""What a client sends. `/hidden` must never be a request of its own at the backend."""

LAST = head(b"Connection: close", method=b"GET", target=b"/last")
"""Who understood what came before it closes now."""


def opened(front: Front, port: int, protocol: str) -> socket.socket:
    """For what is sent as it is."""
    plain = connected(front.address, port)
    plain.settimeout(PATIENCE_SECONDS)
    return trusting(protocol).wrap_socket(plain, server_hostname="a.test") if port == TLS else plain


def exchanged(front: Front, port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes or is silent."""
    received = b""
    with closing(opened(front, port, HTTP1)) as plain, suppress(OSError):
        plain.sendall(sent)
        while some := plain.recv(65536):
            received += some
    return received


@pytest.mark.parametrize("port", [DIRECT, H2C, TLS], ids=["direct", "proxy", "tls"])
@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_over_http1(front: Front, sent: bytes, port: int) -> None:
    received = exchanged(front, port, sent + LAST)
    assert received[9:10] in {b"2", b"4", b"5", b""}


FRAMED = head(b"Transfer-Encoding: chunked")
ONCE = b"Z\r\n0\r\n\r\n"

REFUSED = {
    "TE twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKED,
    "TE twice, another one": AMBIGUOUS["TE twice"],
    "TE chunked twice in one": head(b"Transfer-Encoding: chunked, chunked") + CHUNKED,
    "TE unknown": head(b"Transfer-Encoding: xchunked") + CHUNKED,
    "TE in HTTP/1.0": AMBIGUOUS["TE in HTTP/1.0"],
    "CL list": AMBIGUOUS["CL list"],
    "CL plus": AMBIGUOUS["CL plus"],
    "CL twice": AMBIGUOUS["CL twice"],
    "a size and bare LF": FRAMED + b"1\n" + ONCE,
    "data and bare LF": FRAMED + b"1\r\nZ\n0\r\n\r\n",
    "the end and bare LF": FRAMED + b"1\r\nZ\r\n0\n\r\n",
    "no CRLF after data": FRAMED + b"1\r\nZ0\r\n\r\n",
    "more data than the size": FRAMED + b"1\r\nZ" + ONCE,
    "a size with a prefix": FRAMED + b"0x1\r\n" + ONCE,
    "a size with a sign": FRAMED + b"+1\r\n" + ONCE,
    "a size that overflows": FRAMED + b"10000000000000001\r\n" + ONCE,
    "LF in an extension": FRAMED + b"1;x\ny\r\n" + ONCE,
    "bare CR in an extension": FRAMED + b"1;x\ry\r\n" + ONCE,
}
"""Bodies whose end is in doubt: 400 on every listener, and the end of the connection. HAProxy stands before some."""


@pytest.mark.parametrize("port", [DIRECT, H2C, TLS], ids=["direct", "proxy", "tls"])
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_a_body_in_doubt_is_400_and_ends_the_connection(front: Front, sent: bytes, port: int) -> None:
    received = exchanged(front, port, sent + HIDDEN)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("port", [DIRECT, H2C, TLS], ids=["direct", "proxy", "tls"])
def test_extensions_and_trailers_go_no_further(front: Front, port: int) -> None:
    chunks = b'5;a=b\r\nhello\r\n1 ; c="d e"\r\n!\r\n0;last\r\nX-Sum: 1\r\nContent-Length: 99\r\n\r\n'
    received = exchanged(front, port, FRAMED + chunks + LAST)
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert [request.target for request in front.backend.requests] == ["/outer", "/last"]
    assert front.backend.requests[0].body == b"hello!"
    assert "x-sum" not in dict(front.backend.requests[0].fields)


ABSOLUTE = {
    b"http://a.test/outer": ("a.test", "/outer"),
    b"HTTP://A.TEST/outer": ("A.TEST", "/outer"),
    b"http://a.test": ("a.test", "/"),
    b"http://b.test/outer": ("b.test", "/outer"),
    b"http://u@b.test/outer": None,
    b"//b.test/outer": ("a.test", "//b.test/outer"),
}
"""Target -> Host and target as the backend may see them, if it is asked at all; Host is a.test."""


@pytest.mark.parametrize("port", [DIRECT, H2C, TLS], ids=["direct", "proxy", "tls"])
@pytest.mark.parametrize("target", ABSOLUTE)
def test_a_target_with_a_host(front: Front, target: bytes, port: int) -> None:
    received = exchanged(front, port, head(b"Connection: close", method=b"GET", target=target))
    seen = [(dict(request.fields)["host"], request.target) for request in front.backend.requests]
    assert seen in ([], [ABSOLUTE[target]])
    assert received[9:12] == (b"200" if seen else b"400") or (port == TLS and b" 421 " in received)


PSEUDO = ((":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/outer"))
SPLIT = "x\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"


def changed(name: str, value: str) -> list[tuple[str, str]]:
    return [(own, value if own == name else kept) for own, kept in PSEUDO]


@pytest.mark.parametrize("port", [H2C, TLS], ids=["proxy", "tls"])
def test_trailers_over_http2_go_no_further(front: Front, port: int) -> None:
    with closing(opened(front, port, HTTP2)) as plain:
        plain.settimeout(None)
        client = Http2(plain)
        stream = client.new_stream()
        client.send(client.head(stream, PSEUDO, is_end=False), DataFrame(stream, data=b"hello"))
        client.send(client.head(stream, [("x-sum", "1")]))
        fields, _ = client.answer(stream)
    assert dict(fields)[":status"] == "200"
    assert [request.body for request in front.backend.requests] == [b"hello"]
    assert "x-sum" not in dict(front.backend.requests[0].fields)


HTTP2_FIELDS = {
    "a method with a request": changed(":method", "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\nPOST"),
    "a method with a space": changed(":method", "GET /hidden?"),
    "a path with a request": changed(":path", "/outer HTTP/1.1\r\nHost: a.test\r\n\r\nGET /hidden"),
    "a path with a space": changed(":path", "/outer HTTP/1.1 /hidden"),
    "a path without a slash": changed(":path", "hidden"),
    "a path of another host": changed(":path", "http://b.test/hidden"),
    "an empty path": changed(":path", ""),
    "a scheme with a host": changed(":scheme", "http://b.test/hidden?"),
    "an authority with a request": changed(":authority", SPLIT),
    "an authority with a user": changed(":authority", "a.test@b.test"),
    "no path": [pair for pair in PSEUDO if pair[0] != ":path"],
    "no method": [pair for pair in PSEUDO if pair[0] != ":method"],
    "no scheme": [pair for pair in PSEUDO if pair[0] != ":scheme"],
    "two paths": [*PSEUDO, (":path", "/hidden")],
    "two methods": [*PSEUDO, (":method", "GET")],
    "two authorities": [*PSEUDO, (":authority", "b.test")],
    "an unknown pseudo-field": [*PSEUDO, (":status", "200")],
    "a pseudo-field at the end": [*PSEUDO[:3], ("x", "y"), PSEUDO[3]],
    "another Host": [*PSEUDO, ("host", "b.test")],
    "two Hosts": [*PSEUDO[:2], PSEUDO[3], ("host", "a.test"), ("host", "b.test")],
    "a value with a request": [*PSEUDO, ("x", SPLIT)],
    "a value with LF": [*PSEUDO, ("x", "y\ntransfer-encoding: chunked")],
    "a value with CR": [*PSEUDO, ("x", "y\rtransfer-encoding: chunked")],
    "a value with NUL": [*PSEUDO, ("x", "y\0z")],
    "a name with a request": [*PSEUDO, (f"x: {SPLIT}", "y")],
    "a name with a colon": [*PSEUDO, ("transfer-encoding: chunked\r\nx", "y")],
    "a name with a space": [*PSEUDO, ("transfer-encoding ", "chunked")],
    "a name in upper case": [*PSEUDO, ("Transfer-Encoding", "chunked")],
    "an empty name": [*PSEUDO, ("", "chunked")],
    "transfer-encoding": [*PSEUDO, ("transfer-encoding", "chunked")],
    "transfer_encoding": [*PSEUDO, ("transfer_encoding", "chunked")],
    "connection": [*PSEUDO, ("connection", "content-length")],
    "upgrade": [*PSEUDO, ("upgrade", "websocket"), ("connection", "upgrade")],
    "a length that is too short": [*PSEUDO, ("content-length", "1")],
    "a length that is too long": [*PSEUDO, ("content-length", "999")],
    "two lengths": [*PSEUDO, ("content-length", "0"), ("content-length", str(len(CHUNKED)))],
    "a length with a sign": [*PSEUDO, ("content-length", f"+{len(CHUNKED)}")],
    "te": [*PSEUDO, ("te", "chunked")],
    "our own fields": [*PSEUDO, ("x-gateway-route", "default/hidden"), ("x_gateway_route", "default/hidden")],
    "CONNECT": [(":method", "CONNECT"), (":authority", "a.test:80")],
    "CONNECT for a protocol": [*changed(":method", "CONNECT"), (":protocol", "websocket")],
}


@pytest.mark.parametrize("port", [H2C, TLS], ids=["proxy", "tls"])
@pytest.mark.parametrize("fields", HTTP2_FIELDS.values(), ids=HTTP2_FIELDS.keys())
def test_over_http2(front: Front, fields: list[tuple[str, str]], port: int) -> None:
    status = ""
    with closing(opened(front, port, HTTP2)) as plain, suppress(OSError):
        client = Http2(plain)
        answered, _ = client.ask(fields, CHUNKED)
        status = dict(answered)[":status"]
    assert status[:1] in {"2", "4", "5", ""}
    seen = [field for request in front.backend.requests for field in request.fields]
    assert ("x-gateway-route", "default/hidden") not in seen
    assert "x_gateway_route" not in dict(seen)
