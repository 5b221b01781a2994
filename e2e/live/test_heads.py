"""Heads as large as they may be, and a little larger: one limit on every listener, and an answer that says so."""

import pytest

from clients import HTTP1, HTTP2, Reply, Request, connect, connect_tls
from front_rig import DIRECT, H2C, TLS, Front
from varnish_gateway_common.heads import HeadLimits

pytestmark = pytest.mark.live

LIMITS = HeadLimits()
WAYS = {"direct": (DIRECT, HTTP1), "h2c": (H2C, HTTP2), "proxy": (H2C, HTTP1), "tls": (TLS, HTTP1), "h2": (TLS, HTTP2)}
LINE = len("GET / HTTP/1.1\r\n")
FIELD = len("x: \r\n")
HOST = len("host: a.test\r\n")


def ask(front: Front, way: str, target: str = "/", fields: list[tuple[str, str]] | None = None) -> Reply:
    port, protocol = WAYS[way]
    request = Request("a.test", target, fields=fields or [], scheme="https" if port == TLS else "http")
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

    def test_all_of_it_at_once(self, front: Front, way: str) -> None:
        fields = numbered(LIMITS.request_header_fields - 1)
        taken = sum(len(f"{name}: {value}\r\n") for name, value in fields)
        fields += filling(LIMITS.request_header_bytes - taken)
        assert ask(front, way, "/" + "x" * (LIMITS.request_line_bytes - LINE), fields).status == 200
