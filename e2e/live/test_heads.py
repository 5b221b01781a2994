"""Heads as large as they may be, and a little larger: one limit on every listener, and an answer that says so."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hpack import Encoder

import http2_frames
from clients import HTTP1, HTTP2, Reply, Request, connect, connect_tls
from front_rig import DIRECT, H2C, TLS, Front
from judge import judge
from target import WAYS as WAYS_OF_PASSING
from target import Target, running
from varnish_gateway_common.heads import HeadLimits
from wire_case import FRONTS, HTTP2_FRONTS, Pieces, WireCase
from wire_case import Front as WireFront

pytestmark = pytest.mark.live

LIMITS = HeadLimits()
PATIENCE_SECONDS = 30
WAYS = {"direct": (DIRECT, HTTP1), "h2c": (H2C, HTTP2), "proxy": (H2C, HTTP1), "tls": (TLS, HTTP1), "h2": (TLS, HTTP2)}
LINE = len("GET / HTTP/1.1\r\n")
FIELD = len("x: \r\n")
HOST = len("host: a.test\r\n")


def ask(
    front: Front, way: str, target: str = "/", fields: list[tuple[str, str]] | None = None, body: bytes = b""
) -> Reply:
    port, protocol = WAYS[way]
    method, scheme = "POST" if body else "GET", "https" if port == TLS else "http"
    request = Request("a.test", target, method, fields or [], scheme, body)
    opened = (
        connect_tls(front.address, port, "a.test", protocol) if port == TLS else connect(front.address, port, protocol)
    )
    with opened as connection:
        return connection.ask(request)


def numbered(count: int) -> list[tuple[str, str]]:
    """So many fields, one less than the request then has."""
    return [(f"x-{number}", "y") for number in range(count - 1)]


def filling(size: int) -> list[tuple[str, str]]:
    """So many bytes altogether, Host and the ends of lines included: cookies and tokens come in large fields."""
    rest = size - HOST
    return [("x", "v" * (rest - FIELD))]


@pytest.mark.parametrize("way", WAYS)
class TestEveryListener:
    def test_as_many_fields_as_are_allowed(self, front: Front, way: str) -> None:
        front.backend.forget()
        assert ask(front, way, fields=numbered(LIMITS.request_header_fields)).status == 200
        names = [name for name, _ in front.backend.requests[0].fields]
        assert [f"x-{number}" for number in range(LIMITS.request_header_fields - 1)] == [
            name for name in names if name.startswith("x-") and name[2:].isdigit()
        ]

    @pytest.mark.parametrize("more", [1, 6, 11, 60])
    def test_more_fields_than_are_allowed(self, front: Front, way: str, more: int) -> None:
        reply = ask(front, way, fields=numbered(LIMITS.request_header_fields + more))
        assert (reply.status, reply.body) == (431, b"431 Request Header Fields Too Large\n")

    def test_as_many_bytes_as_are_allowed(self, front: Front, way: str) -> None:
        front.backend.forget()
        fields = filling(LIMITS.request_header_bytes)
        assert ask(front, way, fields=fields).status == 200
        assert dict(front.backend.requests[0].fields)["x"] == fields[0][1]

    @pytest.mark.parametrize("more", [1, 1000, 20_000])
    def test_more_bytes_than_are_allowed(self, front: Front, way: str, more: int) -> None:
        assert ask(front, way, fields=filling(LIMITS.request_header_bytes + more)).status == 431

    def test_a_line_as_long_as_is_allowed(self, front: Front, way: str) -> None:
        assert ask(front, way, "/" + "x" * (LIMITS.request_line_bytes - LINE)).status == 200

    @pytest.mark.parametrize("more", [1, 9000])
    def test_a_line_longer_than_is_allowed(self, front: Front, way: str, more: int) -> None:
        reply = ask(front, way, "/" + "x" * (LIMITS.request_line_bytes - LINE + more))
        assert (reply.status, reply.body) == (414, b"414 URI Too Long\n")

    @pytest.mark.parametrize("size", [2_000, 4_000, 20_000])
    def test_forwarded_fields_that_are_copied(self, front: Front, way: str, size: int) -> None:
        fields = [("x-forwarded-for", "192.0.2.1, " * (size // 11) + "192.0.2.1"), ("via", "1.1 x")]
        assert ask(front, way, fields=fields, body=b"b" * (30_000 if "h2" in way else 200_000)).status == 200

    def test_all_of_it_at_once(self, front: Front, way: str) -> None:
        fields = numbered(LIMITS.request_header_fields - 1)
        taken = sum(len(f"{name}: {value}\r\n") for name, value in fields)
        fields += filling(LIMITS.request_header_bytes - taken)
        assert ask(front, way, "/" + "x" * (LIMITS.request_line_bytes - LINE), fields).status == 200


STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 2\r\n\r\nok"


def answer_of(fields: int = 1, size: int = 0) -> bytes:
    """An answer with so many fields, or a head of so many bytes."""
    lines = b"".join(b"x-%d: y\r\n" % number for number in range(fields - 1))
    rest = size - len(STATUS_LINE + lines + BODY) + len(b"ok")
    return STATUS_LINE + lines + (b"x: %s\r\n" % (b"v" * (rest - FIELD)) if size else b"") + BODY


@pytest.fixture(scope="module", params=WAYS_OF_PASSING)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with (
        tempfile.TemporaryDirectory(prefix="vgw-") as folder,
        running(request.param, Path(folder), PATIENCE_SECONDS) as target,
    ):
        yield target


@pytest.mark.parametrize("front", FRONTS)
class TestAnswers:
    """The same both ways, on every listener."""

    def status(self, target: Target, front: WireFront, answer: bytes) -> int:
        sent = h2_get() if front in HTTP2_FRONTS else (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",)
        case = WireCase(front, sent, (answer,))
        # Over HTTP/2 a case waits but a moment after the server's settings: too short on a busy machine.
        for _ in range(PATIENCE_SECONDS):
            outcome = target.carry_out(case)
            statuses, faults = judge(case, outcome.received, outcome.targets, outcome.doubts)
            assert faults == []
            if statuses:
                return statuses[0]
        pytest.fail("no answer")

    def test_as_many_fields_as_are_allowed(self, target: Target, front: WireFront) -> None:
        assert self.status(target, front, answer_of(LIMITS.response_header_fields)) == 200

    @pytest.mark.parametrize("more", [1, 5, 80, 900])
    def test_more_fields_than_are_allowed(self, target: Target, front: WireFront, more: int) -> None:
        assert self.status(target, front, answer_of(LIMITS.response_header_fields + more)) == 502

    def test_as_many_bytes_as_are_allowed(self, target: Target, front: WireFront) -> None:
        assert self.status(target, front, answer_of(size=LIMITS.response_header_bytes)) == 200

    @pytest.mark.parametrize("more", [1, 100_000])
    def test_more_bytes_than_are_allowed(self, target: Target, front: WireFront, more: int) -> None:
        assert self.status(target, front, answer_of(size=LIMITS.response_header_bytes + more)) == 502

    def test_all_of_it_at_once(self, target: Target, front: WireFront) -> None:
        answer = answer_of(LIMITS.response_header_fields - 1, LIMITS.response_header_bytes)
        assert self.status(target, front, answer) == 200


def h2_get() -> Pieces:
    pairs = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")]
    window = (1 << 20).to_bytes(4, "big")
    settings = http2_frames.frame(http2_frames.SETTINGS, 0, 0, b"\0\4" + window)
    ends = http2_frames.END_HEADERS | http2_frames.END_STREAM
    head = http2_frames.frame(http2_frames.HEADERS, ends, 1, Encoder().encode(pairs))
    return (http2_frames.PREFACE, settings, head)
