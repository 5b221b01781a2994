"""examples/https as a newcomer runs it: a certificate made, served, verified by its authority, and made anew."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import HTTP1, HTTP2, Connection, Request, connect_tls
from live_rig import wait_for
from load import serial
from standalone_rig import EXAMPLES, Standalone, backends

pytestmark = pytest.mark.live

PORT = 8443


def make_certificate(folder: Path) -> None:
    subprocess.run(["sh", str(folder / "make-certificate.sh")], check=True, capture_output=True)


@pytest.fixture
def gateway(folder: Path) -> Iterator[Standalone]:
    with backends():
        standalone = Standalone(folder, EXAMPLES / "https", edit=make_certificate)
        try:
            standalone.await_ready()
            yield standalone
        finally:
            standalone.end()


def connected(gateway: Standalone, name: str, *protocols: str) -> Connection:
    """By a client that trusts the example's authority and nobody else."""
    context = ssl.create_default_context(cafile=gateway.folder / "ca" / "cert.pem")
    context.set_alpn_protocols(list(protocols))
    return connect_tls(gateway.address, PORT, name, context=context)


def test_the_example(gateway: Standalone) -> None:
    for protocol in (HTTP1, HTTP2):
        with connected(gateway, "shop.example.com", protocol) as connection:
            reply = connection.ask(Request("shop.example.com:8443", "/page", scheme="https"))
            assert reply.body == b"storefront was asked for /page of shop.example.com:8443\n"
            assert connection.ask(Request("modern.example.com:8443", scheme="https")).status == 421
    redirect = gateway.ask("shop.example.com", "/page")
    assert (redirect.status, redirect.fields["location"]) == (301, "https://shop.example.com:8443/page")

    with connected(gateway, "shop.example.com", HTTP2) as kept:
        before = serial(gateway.address, PORT, "shop.example.com")
        make_certificate(gateway.folder)
        wait_for("the new certificate", lambda: serial(gateway.address, PORT, "shop.example.com") != before)
        connected(gateway, "shop.example.com", HTTP1).close()
        assert kept.ask(Request("shop.example.com:8443", scheme="https")).status == 200
