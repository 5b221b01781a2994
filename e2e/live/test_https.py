"""Who the client is, which listener it meant, and what it is offered: through HAProxy, varnishd and ghost."""

import json
import os
import signal
import socket
import ssl
import struct
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame

from clients import HTTP1, HTTP2, Reply, Request, connect, connect_tls, connected, trusting
from front_rig import BALANCED, BALANCED_TLS, DIRECT, H2C, TLS, Front
from http2 import Http2
from live_rig import wait_for
from recorder import WEBSOCKET

pytestmark = pytest.mark.live

NOBODY, NOBODY6 = "203.0.113.5", "2001:db9::5"
BALANCER, BALANCER6 = "198.51.100.7", "2001:db8::7"
"""In a trusted network."""
SERVER = {4: "192.0.2.1", 6: "2001:db8::1"}


def proxy_v1(client: str) -> bytes:
    version = ip_address(client).version
    return f"PROXY TCP{version} {client} {SERVER[version]} 4444 80\r\n".encode()


def proxy_v2(client: str) -> bytes:
    source = ip_address(client)
    addresses = source.packed + ip_address(SERVER[source.version]).packed + struct.pack("!HH", 4444, 80)
    family = b"\x11" if source.version == 4 else b"\x21"
    return b"\r\n\r\n\0\r\nQUIT\n\x21" + family + struct.pack("!H", len(addresses)) + addresses


def saw(reply: Reply) -> dict[str, str]:
    """The fields that the backend was sent."""
    assert reply.status == 200, reply
    found: dict[str, str] = {}
    for name, value in json.loads(reply.body)["fields"]:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@pytest.mark.parametrize("header", [proxy_v1, proxy_v2], ids=["v1", "v2"])
@pytest.mark.parametrize("port", [BALANCED, BALANCED_TLS], ids=["http", "https"])
@pytest.mark.parametrize("client", [NOBODY, NOBODY6, BALANCER, BALANCER6])
def test_what_backends_are_told_of_the_client(front: Front, port: int, client: str, header: object) -> None:
    assert callable(header)
    claims = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "gopher"), ("x-forwarded-host", "x.test")]
    request = Request("a.test", fields=claims, scheme="https" if port == BALANCED_TLS else "http")
    if port == BALANCED_TLS:
        connection = connect_tls(front.address, port, "a.test", HTTP2, preface=header(client))
    else:
        connection = connect(front.address, port, preface=header(client))
    with connection:
        fields = saw(connection.ask(request))
    assert fields["user-saw"] == client, "client.ip in user VCL"
    told = {name: fields[name] for name, _ in claims}
    if client in {BALANCER, BALANCER6}:
        assert told == dict(claims) | {"x-forwarded-for": f"10.0.0.1, {client}"}
    else:
        assert told == dict(zip(told, (client, request.scheme, "a.test"), strict=True))


@pytest.mark.parametrize(
    ("port", "protocol"), [(DIRECT, HTTP1), (H2C, HTTP1), (H2C, HTTP2), (TLS, HTTP1), (TLS, HTTP2)]
)
def test_the_client_itself_is_the_peer(front: Front, port: int, protocol: str) -> None:
    scheme = "https" if port == TLS else "http"
    request = Request(
        "a.test", scheme=scheme, fields=[("x-forwarded-for", "10.0.0.1"), ("x_forwarded_for", "10.0.0.2")]
    )
    with (
        connect_tls(front.address, port, "a.test", protocol)
        if port == TLS
        else connect(front.address, port, protocol) as connection
    ):
        fields = saw(connection.ask(request))
    assert fields["x-forwarded-for"] == fields["user-saw"] == "127.0.0.1"
    assert (fields["x-forwarded-proto"], fields["x-gateway-listener"]) == (scheme, f"{scheme}-{port}")
    assert "x_forwarded_for" not in fields


def test_without_the_load_balancers_word_nobody_is_served(front: Front) -> None:
    for port in (BALANCED, BALANCED_TLS):
        with pytest.raises(OSError), connect(front.address, port) as connection:  # noqa: PT011 - how differs
            connection.ask(Request("a.test"))
    with pytest.raises(OSError):  # noqa: PT011
        connect_tls(front.address, BALANCED_TLS, "a.test")


def test_a_coalesced_request_is_misdirected_and_its_connection_lives(front: Front) -> None:
    with connect_tls(front.address, TLS, "a.test", HTTP2) as connection:
        statuses = [connection.ask(Request(host, scheme="https")).status for host in ("a.test", "b.test", "a.test")]
    assert statuses == [200, 421, 200]


@pytest.mark.parametrize(
    ("name", "offered", "chosen"),
    [
        ("a.test", (HTTP1, HTTP2), HTTP2),
        ("a.test", (HTTP1,), HTTP1),
        ("a.test", (), None),
        ("old.test", (HTTP2, HTTP1), HTTP1),
    ],
)
def test_which_protocol_is_chosen(front: Front, name: str, offered: tuple[str, ...], chosen: str | None) -> None:
    with socket.create_connection((front.address, TLS), timeout=5) as plain:
        tls = trusting(*offered).wrap_socket(plain, server_hostname=name)
        assert tls.selected_alpn_protocol() == chosen
        tls.close()


@pytest.mark.parametrize(
    ("name", "version", "is_taken"),
    [
        ("a.test", ssl.TLSVersion.TLSv1_1, False),
        ("a.test", ssl.TLSVersion.TLSv1_2, True),
        ("a.test", ssl.TLSVersion.TLSv1_3, True),
        ("modern.test", ssl.TLSVersion.TLSv1_2, False),
        ("modern.test", ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_which_versions_are_spoken(front: Front, name: str, version: ssl.TLSVersion, *, is_taken: bool) -> None:
    context = trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        connect_tls(front.address, TLS, name, context=context).close()
    except OSError:
        assert not is_taken
    else:
        assert is_taken


def test_a_websocket_over_http2(front: Front) -> None:
    """RFC 8441: it is offered, and both directions are open while the stream is."""
    plain = trusting(HTTP2).wrap_socket(connected(front.address, TLS), server_hostname="a.test")
    with plain:
        client = Http2(plain)
        frames = client.frames()
        offered = next(frame for frame in frames if isinstance(frame, SettingsFrame)).settings
        assert offered[SettingsFrame.ENABLE_CONNECT_PROTOCOL] == 1
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a.test")]
        fields = [*pseudo, (":path", WEBSOCKET), ("sec-websocket-version", "13")]
        client.send(client.head(stream := client.new_stream(), fields, is_end=False))
        answer = next(frame for frame in frames if isinstance(frame, HeadersFrame))
        assert client.fields(answer)[0] == (":status", "200")
        for said in (b"one", b"two"):
            client.send(DataFrame(stream, data=said))
            assert next(frame.data for frame in frames if isinstance(frame, DataFrame)) == said


def test_without_varnishd_haproxy_says_so(front: Front) -> None:
    """The last one: nobody starts it again until it was seen."""
    with front.gateway.unattended() as varnishd:
        os.kill(varnishd, signal.SIGKILL)
        wait_for("HAProxy's own answer", lambda: status(front) == 503)
    wait_for("varnishd", lambda: status(front) == 200)


def status(front: Front) -> int:
    """0: there is no answer."""
    with suppress(OSError), connect_tls(front.address, TLS, "a.test", HTTP2) as connection:
        return connection.ask(Request("a.test", scheme="https")).status
    return 0
