"""A request is judged alike on every front: by varnishd alone, and with HAProxy before it, in the clear and over TLS.

And who was refused with 400 is closed: what follows on the connection is not a request for sure.
"""

import re
from contextlib import closing, suppress

import pytest

from clients import HTTP1, HTTP2, connected, trusting
from front_rig import DIRECT, H2C, TLS, Front
from http2 import Http2

pytestmark = pytest.mark.live

FRONTS = pytest.mark.parametrize("port", [DIRECT, H2C, TLS], ids=["direct", "proxy", "tls"])
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(HIDDEN)
HOST = b"Host: a.test"


def head(*fields: bytes, method: bytes = b"GET", target: bytes = b"/outer", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"%s %s %s" % (method, target, version), *fields, b"", b""])


REFUSED = {
    "CONNECT": head(b"Host: a.test:443", method=b"CONNECT", target=b"a.test:443"),
    "CONNECT with a body": head(b"Host: a.test:443", LENGTH, method=b"CONNECT", target=b"a.test:443") + HIDDEN,
    "CONNECT for another host": head(HOST, method=b"CONNECT", target=b"b.test:443"),
    "CONNECT for a path": head(HOST, LENGTH, method=b"CONNECT", target=b"/outer") + HIDDEN,
    "CONNECT for a URL": head(HOST, method=b"CONNECT", target=b"http://a.test/outer"),
    "PRI": head(HOST, method=b"PRI"),
    "a method that is no token": head(HOST, method=b"G(T"),
    "a method with a colon": head(HOST, method=b"G:T"),
    "a method that is not ASCII": head(HOST, method="GÉT".encode()),
    "UTF-8 in the path": head(HOST, target="/ä".encode()),
    "UTF-8 in the query": head(HOST, target="/outer?ä".encode()),
    "a backslash in the path": head(HOST, target=b"/x\\..\\outer"),
    "an invalid escape": head(HOST, target=b"/%zz"),
    "an escaped zero byte": head(HOST, target=b"/%00"),
    "a fragment": head(HOST, target=b"/outer#x"),
    "no slash": head(HOST, target=b"outer"),
    "an asterisk": head(HOST, target=b"*"),
    "another scheme": head(HOST, target=b"ftp://a.test/outer"),
    "a user": head(HOST, target=b"http://u@a.test/outer"),
    "no Host": head(),
    "an empty Host": head(b"Host:"),
    "two Hosts": head(HOST, b"Host: b.test"),
    "two equal Hosts": head(HOST, HOST),
    "a list of Hosts": head(b"Host: a.test, b.test"),
    "a Host with a user": head(b"Host: u@a.test"),
    "a Host with a path": head(b"Host: a.test/x"),
    "a Host with an escape": head(b"Host: a%2etest"),
    "a Host with no port": head(b"Host: a.test:x"),
    "a Host with a port too large": head(b"Host: a.test:65536"),
    "a Host that is no IPv6 address": head(b"Host: [:::]"),
    "a Host with a zone": head(b"Host: [fe80::1%25eth0]"),
    "a length and chunked": head(HOST, LENGTH, b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n" + HIDDEN,
    "chunked and a length": head(HOST, b"Transfer-Encoding: chunked", LENGTH, method=b"POST") + b"0\r\n\r\n" + HIDDEN,
    "chunked twice": head(HOST, *[b"Transfer-Encoding: chunked"] * 2, method=b"POST") + b"0\r\n\r\n" + HIDDEN,
    "chunked in HTTP/1.0": head(HOST, b"Transfer-Encoding: chunked", method=b"POST", version=b"HTTP/1.0")
    + b"0\r\n\r\n",
    "two equal lengths": head(HOST, LENGTH, LENGTH, method=b"POST") + HIDDEN,
    "a list of lengths": head(HOST, LENGTH + b", %d" % len(HIDDEN), method=b"POST") + HIDDEN,
    "no length in HTTP/1.0": head(HOST, method=b"POST", version=b"HTTP/1.0"),
    "a body of a HEAD": head(HOST, LENGTH, method=b"HEAD") + HIDDEN,
    "Connection that names Host": head(HOST, b"Connection: Host"),
    "Connection that names a length": head(HOST, LENGTH, b"Connection: Content-Length", method=b"POST") + HIDDEN,
    "space before a colon": head(HOST, b"X : y"),
    "space before a field": head(HOST, b" X: y"),
    "a name that is no token": head(HOST, b"X(y: z"),
    "NUL in a value": head(HOST, b"X: y\0z"),
    "DEL in a value": head(HOST, b"X: y\x7fz"),
    "bare CR in a value": head(HOST, b"X: y\rz"),
    "no colon": head(HOST, b"Xy"),
    "HTTP/1.2": head(HOST, version=b"HTTP/1.2"),
    "HTTP/2.0": head(HOST, version=b"HTTP/2.0"),
    "http/1.1": head(HOST, version=b"http/1.1"),
}

TAKEN = {
    "a method in lower case": (head(HOST, method=b"get"), "/outer"),
    "a method of all that a token may have": (head(HOST, method=b"!#$%&'*+-.^_`|~09"), "/outer"),
    "escapes": (head(HOST, target=b"/%6futer/%7e%c3%a4%2f?%61\\"), "/outer/~%C3%A4%2F?%61\\"),
    "what no URL has": (head(HOST, target=b'/"<>^`{|}?"<>^`{|}'), '/"<>^`{|}?"<>^`{|}'),
    "another host's path": (head(HOST, target=b"//b.test/outer"), "//b.test/outer"),
    "a URL": (head(HOST, target=b"http://a.test/outer"), "/outer"),
    "a URL without a path": (head(HOST, target=b"http://a.test"), "/"),
    "a Host with a port": (head(b"Host: A.test.:65535"), "/outer"),
    "a folded field": (head(HOST, b"X: y\r\n z"), "/outer"),
    "UTF-8 in a value": (head(HOST, "X: ä".encode()), "/outer"),
    "a body of a GET": (head(HOST, LENGTH) + HIDDEN, "/outer"),
}

NOBODYS = (b"Proxy-Connection: keep-alive", b"Proxy: x", b"Content_Length: 1", b"Transfer_Encoding: chunked")


def answers(front: Front, port: int, sent: bytes) -> list[int]:
    """The statuses of what comes back until the server closes."""
    front.backend.forget()
    received = b""
    plain = connected(front.address, port)
    plain = trusting(HTTP1).wrap_socket(plain, server_hostname="a.test") if port == TLS else plain
    with closing(plain), suppress(ConnectionError):
        plain.sendall(sent)
        while some := plain.recv(65536):
            received += some
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


@FRONTS
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_refused_and_closed(front: Front, sent: bytes, port: int) -> None:
    assert answers(front, port, sent + LAST) == [400]
    assert front.backend.targets == []


@FRONTS
@pytest.mark.parametrize(("sent", "target"), TAKEN.values(), ids=TAKEN.keys())
def test_taken(front: Front, sent: bytes, target: str, port: int) -> None:
    assert answers(front, port, sent + LAST) == [200, 200]
    assert front.backend.targets == [target, "/last"]


@FRONTS
def test_an_asterisk_is_below_no_path(front: Front, port: int) -> None:
    assert answers(front, port, head(HOST, method=b"OPTIONS", target=b"*") + LAST) == [404, 200]


@FRONTS
def test_what_nobody_may_say_does_not_reach_backends(front: Front, port: int) -> None:
    assert answers(front, port, head(HOST, *NOBODYS) + LAST) == [200, 200]
    seen = dict(front.backend.requests[0].fields)
    assert not {name for name in seen if name.replace("_", "-").startswith(("proxy", "content-", "transfer-"))}
    assert seen["via"] == "1.1 varnish-gateway"


PSEUDO = {":method": "GET", ":scheme": "http", ":authority": "a.test", ":path": "/outer"}

REFUSED_HTTP2 = {
    "CONNECT": {":method": "CONNECT", ":authority": "a.test:80"},
    "PRI": PSEUDO | {":method": "PRI"},
    "a method that is no token": PSEUDO | {":method": "G(T"},
    "UTF-8 in the path": PSEUDO | {":path": "/ä"},
    "a backslash in the path": PSEUDO | {":path": "/x\\outer"},
    "an invalid escape": PSEUDO | {":path": "/%zz"},
    "a fragment": PSEUDO | {":path": "/outer#x"},
    "a user": PSEUDO | {":authority": "u@a.test"},
    "a port too large": PSEUDO | {":authority": "a.test:65536"},
}


@pytest.mark.parametrize("port", [H2C, TLS], ids=["proxy", "tls"])
@pytest.mark.parametrize("fields", REFUSED_HTTP2.values(), ids=REFUSED_HTTP2.keys())
def test_refused_over_http2(front: Front, fields: dict[str, str], port: int) -> None:
    """With 400, or by a reset of the stream; the connection serves on, or is closed by HAProxy."""
    front.backend.forget()
    plain = connected(front.address, port)
    plain = trusting(HTTP2).wrap_socket(plain, server_hostname="a.test") if port == TLS else plain
    with closing(plain), suppress(ConnectionError):
        answered, _ = Http2(plain).ask(list(fields.items()))
        assert dict(answered)[":status"] == "400"
    assert front.backend.targets == []
