"""Trailers over HTTP/2 that are none, or come when none may: who sends them is told so, and nobody else notices."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import product
from typing import Final

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame

from clients import HTTP1, HTTP2, connected, trusting
from flood import TAKEN
from front_rig import BALANCED_TLS, H2C, TLS, Front
from http2 import Http2
from live_rig import wait_for
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths
from varnish_gateway_chaperone.haproxy.runtime import parsed_info
from victim import watched

pytestmark = pytest.mark.live

POST: Final = ((":method", "POST"), (":scheme", "https"), (":authority", "a.test"), (":path", "/trailers"))
BODIES: Final = (1, 1000, 36_000, 37_000)
"""A little; about as much as HAProxy's buffer, whose last part is left to wait."""
CUT: Final = (False, True)
"""After the head, and after the body, a segment ends and there is a pause, or there is not."""
PAUSE_SECONDS: Final = 0.0005
ATTACKERS: Final = 8
ROUNDS: Final = 40
FRAME_BYTES: Final = 16_000
LEAK_SECONDS: Final = 60
"""HAProxy's patience with a client that sends nothing."""
CUT_OFF: Final = (ConnectionResetError, BrokenPipeError, ssl.SSLError)
"""An attacker's fate. What refuses connections is a gateway that is gone."""
LOCAL: Final = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n"

Trailers = Callable[[Http2, int], list[Frame]]


def block(name: str, value: str = "v") -> Trailers:
    """Trailers of one field, as it is given."""
    return lambda client, stream: [client.head(stream, [("fine", "v"), (name, value)])]


def raw(data: bytes, *flags: str) -> Trailers:
    """Trailers whose compressed form is this."""
    return lambda _, stream: [HeadersFrame(stream, data=data, flags=list(flags or ("END_HEADERS", "END_STREAM")))]


def oversize(client: Http2, stream: int) -> list[Frame]:
    """100 kB in one field."""
    data = client.encoder.encode([("big", "x" * 100_000)], huffman=False)
    pieces = [data[start : start + FRAME_BYTES] for start in range(0, len(data), FRAME_BYTES)]
    rest: list[Frame] = [ContinuationFrame(stream, data=piece) for piece in pieces[1:]]
    rest[-1].flags.add("END_HEADERS")
    return [HeadersFrame(stream, data=pieces[0], flags=["END_STREAM"]), *rest]


def too_many(client: Http2, stream: int) -> list[Frame]:
    return [client.head(stream, [(f"field-{number}", "v") for number in range(300)])]


def twice(client: Http2, stream: int) -> list[Frame]:
    return [client.head(stream, [("Bad", "v")]), client.head(stream, [("Bad", "v")])]


def before_data(client: Http2, stream: int) -> list[Frame]:
    return [client.head(stream, [("fine", "v")]), DataFrame(stream, data=b"more", flags=["END_STREAM"])]


def unended(client: Http2, stream: int) -> list[Frame]:
    """Trailers after which the stream goes on."""
    return [client.head(stream, [("fine", "v")], is_end=False), DataFrame(stream, data=b"more", flags=["END_STREAM"])]


def after_the_end(client: Http2, stream: int) -> list[Frame]:
    return [DataFrame(stream, data=b"end", flags=["END_STREAM"]), client.head(stream, [("fine", "v")])]


def interrupted(client: Http2, stream: int) -> list[Frame]:
    """Another frame where the rest of the fields should be."""
    data = client.encoder.encode([("fine", "v")])
    return [HeadersFrame(stream, data=data, flags=["END_STREAM"]), DataFrame(stream, data=b"x", flags=["END_STREAM"])]


def a_request(client: Http2, stream: int) -> list[Frame]:
    """A whole head once more."""
    return [client.head(stream, POST)]


def of_a_stream_that_is_reset(client: Http2, stream: int) -> list[Frame]:
    """A field that ends the stream, and more of the body behind it."""
    return [client.head(stream, [("Bad", "v")]), *(DataFrame(stream, data=b"x" * 1000) for _ in range(20))]


KINDS: Final[dict[str, Trailers]] = {
    "good": block("fine"),
    **{f"pseudo {name}": block(name) for name in (":path", ":method", ":status", ":unknown", ":")},
    **{
        f"connection field {name}": block(name)
        for name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te")
    },
    "content-length": block("content-length", "5"),
    "host": block("host", "b.test"),
    "cookie": block("cookie", "a=b"),
    "upper case": block("X-Upper"),
    "no name": block(""),
    "blank in the name": block("a b"),
    "colon in the name": block("a:b"),
    "NUL in the value": block("a", "b\0c"),
    "line in the value": block("a", "b\r\nc: d"),
    "line in the name": block("a\r\nb"),
    "beyond the table": raw(b"\xff\xff\xff\xff\x0f"),
    "index 0": raw(b"\x80"),
    "broken Huffman": raw(b"\x00\x81\xff\x81\xff"),
    "cut off": raw(b"\x40\x7f"),
    "empty": raw(b""),
    "no end of headers": raw(b"", "END_STREAM"),
    "oversize": oversize,
    "too many": too_many,
    "twice": twice,
    "before data": before_data,
    "unended": unended,
    "after the end": after_the_end,
    "interrupted": interrupted,
    "a request": a_request,
    "of a stream that is reset": of_a_stream_that_is_reset,
}


@contextmanager
def attacker(front: Front, port: int) -> Iterator[Http2]:
    """A connection over HTTP/2, the way that this front wants it."""
    with connected(front.address, port) as plain:
        plain.sendall(LOCAL if port == BALANCED_TLS else b"")
        if port == H2C:
            yield Http2(plain)
            return
        with trusting(HTTP2, HTTP1).wrap_socket(plain, server_hostname="a.test") as tls:
            yield Http2(tls)


def send(client: Http2, trailers: Trailers, size: int, cuts: tuple[bool, bool]) -> None:
    """A head, a body of this size that does not end, and these trailers, with a pause where it is cut."""
    stream = client.new_stream()
    pieces = [min(FRAME_BYTES, size - start) for start in range(0, size, FRAME_BYTES)]
    body = [DataFrame(stream, data=bytes(length)) for length in pieces]
    parts: tuple[list[Frame], ...] = ([client.head(stream, POST, is_end=False)], [*body], trailers(client, stream))
    segment: list[Frame] = []
    for part, is_cut in zip(parts, (*cuts, True), strict=True):
        segment += part
        if is_cut:
            client.send(*segment)
            segment = []
            time.sleep(PAUSE_SECONDS)


def attack(front: Front, port: int, trailers: Trailers) -> None:
    """Behind every body, in as many segments as there may be, until all was read or the server is tired of it.

    Each on a connection of its own: for a client's first request another connection is opened behind the front.
    """
    for size, *cuts in product(BODIES, CUT, CUT):
        with suppress(*CUT_OFF), attacker(front, port) as client:
            send(client, trailers, size, (cuts[0], cuts[1]))
            client.send(PingFrame(opaque_data=TAKEN))
            for frame in client.frames():
                if isinstance(frame, PingFrame) and "ACK" in frame.flags:
                    break


def connections(front: Front) -> int:
    """What HAProxy has open."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(FrontPaths(front.gateway.run).runtime_socket))
        asked.sendall(b"show info\n")
        said = asked.makefile("rb").read().decode()
    return int(parsed_info(said)["CurrConns"])


@pytest.mark.parametrize("port", [H2C, TLS, BALANCED_TLS], ids=["h2c", "TLS", "TLS behind a load balancer"])
def test_no_trailers_harm_anybody_else(front: Front, port: int) -> None:
    with watched(front):
        for trailers in KINDS.values():
            attack(front, port, trailers)


def test_nothing_is_left_of_them(front: Front) -> None:
    """Streams that end so end their connections, whether or not their client goes on."""
    with ThreadPoolExecutor(ATTACKERS) as pool:
        list(pool.map(attack, [front] * ROUNDS, [H2C] * ROUNDS, [KINDS["upper case"]] * ROUNDS))
    wait_for("the connections to end", lambda: connections(front) == 0, LEAK_SECONDS / 2)
