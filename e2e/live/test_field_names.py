"""Names of fields as long as varnishd can look for, and longer ones: on every front and over both protocols."""

import json

import pytest

from clients import HTTP1, HTTP2, Connection, Request, connect, connect_tls
from front_rig import DIRECT, H2C, TLS, Front

pytestmark = pytest.mark.live

LONGEST = 126
FRONTS = [(DIRECT, HTTP1), (H2C, HTTP1), (H2C, HTTP2), (TLS, HTTP1), (TLS, HTTP2)]
FRONT_NAMES = [f"{port}-{protocol}" for port, protocol in FRONTS]
PREFIXES = ["x-forwarded-", "X_Forwarded_", "x-gateway-", "X_GATEWAY-", "x-other-"]


def opened(front: Front, port: int, protocol: str) -> Connection:
    if port == TLS:
        return connect_tls(front.address, port, "a.test", protocol)
    return connect(front.address, port, protocol)


@pytest.mark.parametrize(("port", "protocol"), FRONTS, ids=FRONT_NAMES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_longer_name_is_refused(front: Front, prefix: str, port: int, protocol: str) -> None:
    own = prefix.lower() if protocol == HTTP2 else prefix
    worker = front.gateway.serving
    for length in (LONGEST, LONGEST + 1, LONGEST + 2, 253, 254):
        with opened(front, port, protocol) as connection:
            fields = [(own.ljust(length, "a"), "1"), ("x-gateway-route", "evil/route")]
            reply = connection.ask(Request("a.test", fields=fields, scheme="https" if port == TLS else "http"))
            assert reply.status == (200 if length == LONGEST else 400), length
            if length == LONGEST:
                assert ["x-gateway-route", "default/web"] in json.loads(reply.body)["fields"]
    assert front.gateway.serving == worker, "varnishd died"
