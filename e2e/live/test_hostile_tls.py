"""What is no TLS, or too much of it, or too slow: ended clearly and soon, and nobody else notices."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from clients import HTTP1, HTTP2, Connection, Request, trusting
from front_rig import BALANCED_TLS, DIRECT, H2C, SERIALS, TLS, Front
from load import serial_of
from victim import unharmed, watched

pytestmark = pytest.mark.live

BEGINNING_SECONDS = 10
"""For a handshake, and for the first request's head."""
SLOW_CLIENTS = 1000


def client_hello(name: str = "a.test") -> bytes:
    """What a client says first: one TLS record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(HTTP2, HTTP1).wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def records(handshake: bytes, size: int) -> bytes:
    """The same handshake message in TLS records of this size."""
    pieces = (handshake[start : start + size] for start in range(0, len(handshake), size))
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


def large_client_hello() -> bytes:
    """64 kB, most of it padding."""
    padding = b"\0\x15" + (64000).to_bytes(2) + bytes(64000)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + len(padding).to_bytes(2) + padding
    return records(b"\x01" + len(body).to_bytes(3) + body, 16000)


@pytest.fixture(scope="module")
def stalled(front: Front) -> Iterator[tuple[float, list[socket.socket]]]:
    """Handshakes and heads that stop half way, since the first test of this module."""
    hello, head = client_hello(), b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: "
    parts = [(TLS, hello[:size]) for size in (0, 3, len(hello) // 2, len(hello))]
    parts += [(port, head[:size]) for port in (DIRECT, H2C) for size in (0, 3, len(head))]
    with ExitStack() as stack:
        begun = time.monotonic()
        sockets = []
        for port, part in parts * 10:
            half_way = stack.enter_context(socket.create_connection((front.address, port)))
            half_way.sendall(part)
            sockets.append(half_way)
        yield begun, sockets


NO_TLS = {
    "garbage": bytes(range(255, -1, -1)),
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "plain HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "a load balancer's word": b"PROXY TCP4 198.51.100.7 192.0.2.1 4444 80\r\n" + client_hello(),
    "64 kB": large_client_hello(),
    "an empty record": b"\x16\x03\x01\0\0" * 40,
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(65535),
    "SSL 3.0": b"\x16\x03\0\0\x2f\x01\0\0\x2b\x03\0" + bytes(33) + b"\0\4\0\x05\0\x0a\x01\0",
}


@pytest.mark.parametrize("sent", NO_TLS.values(), ids=NO_TLS.keys())
def test_what_is_no_handshake_is_ended_at_once(front: Front, stalled: object, sent: bytes) -> None:
    with watched(front), socket.create_connection((front.address, TLS), timeout=5) as hostile:
        received = b""
        with suppress(ConnectionError):
            hostile.sendall(sent)
            while some := hostile.recv(65536):
                received += some
    assert not received.startswith(b"HTTP/")
    assert received[:1] in {b"", b"\x15"}, "a TLS alert, or nothing"


@pytest.mark.parametrize("cut", ["bytes", "records"])
def test_a_client_hello_in_pieces_has_its_own_certificate(front: Front, cut: str) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(HTTP2).wrap_bio(incoming, outgoing, server_hostname="b.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    pieces = [records(hello[5:], 20)] if cut == "records" else [hello[at : at + 1] for at in range(len(hello))]
    with socket.create_connection((front.address, TLS), timeout=5) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            plain.sendall(piece)
        while client.version() is None or client.getpeercert(binary_form=True) is None:
            incoming.write(plain.recv(65536))
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
    assert serial_of(client) == SERIALS["b"]


def test_no_renegotiation(front: Front) -> None:
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"{front.address}:{TLS}", "-servername", "a.test"]
    said = subprocess.run(command, check=False, input=b"R\n", capture_output=True, timeout=10).stderr
    assert b"RENEGOTIATING" in said
    assert b"no renegotiation" in said


def test_no_early_data(front: Front) -> None:
    command = [
        "openssl",
        "s_client",
        "-tls1_3",
        "-connect",
        f"{front.address}:{TLS}",
        "-servername",
        "a.test",
        "-ign_eof",
    ]
    said = subprocess.run(command, check=False, input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=10).stdout
    assert b"Max Early Data: 0" in said


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
class TestResumption:
    """A session that was made for a.test, on other doors."""

    def session(self, front: Front, context: ssl.SSLContext) -> ssl.SSLSession:
        _, _, session = self.statuses(front, context, "a.test", TLS)
        assert session
        return session

    def statuses(
        self, front: Front, context: ssl.SSLContext, name: str, port: int, session: ssl.SSLSession | None = None
    ) -> tuple[bool, dict[str, int], ssl.SSLSession | None]:
        """Whether it was resumed, and the status for either listener's host. Raises OSError: refused."""
        with socket.create_connection((front.address, port), timeout=5) as plain:
            if port == BALANCED_TLS:
                plain.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.1 4444 80\r\n")
            tls = context.wrap_socket(plain, server_hostname=name, session=session)
            connection = Connection(tls, HTTP1)
            found = {host: connection.ask(Request(host, scheme="https")).status for host in ("a.test", "b.test")}
            was_resumed, made = bool(tls.session_reused), tls.session
            tls.close()
        return was_resumed, found, made

    @pytest.fixture
    def context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        found = trusting()
        found.maximum_version = version
        return found

    def test_it_is_resumed_where_it_was_made(self, front: Front, context: ssl.SSLContext) -> None:
        was_resumed, statuses, _ = self.statuses(front, context, "a.test", TLS, self.session(front, context))
        assert was_resumed
        assert statuses == {"a.test": 200, "b.test": 421}

    def test_another_name_opens_one_listener_at_most(
        self, front: Front, context: ssl.SSLContext, version: ssl.TLSVersion
    ) -> None:
        """TLS 1.3 goes by this handshake's name. TLS 1.2 has the session's, and no other."""
        _, statuses, _ = self.statuses(front, context, "b.test", TLS, self.session(front, context))
        is_new = version == ssl.TLSVersion.TLSv1_3
        assert statuses == ({"a.test": 421, "b.test": 200} if is_new else {"a.test": 200, "b.test": 421})

    def test_another_port_knows_nothing_of_it(self, front: Front, context: ssl.SSLContext) -> None:
        was_resumed, *_ = self.statuses(front, context, "a.test", BALANCED_TLS, self.session(front, context))
        assert not was_resumed

    def test_an_unknown_name_is_refused_all_the_same(self, front: Front, context: ssl.SSLContext) -> None:
        session = self.session(front, context)
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            self.statuses(front, context, "nobody.test", TLS, session)

    def test_a_listener_for_newer_versions_is_not_opened_by_an_older_one(
        self, front: Front, context: ssl.SSLContext, version: ssl.TLSVersion
    ) -> None:
        session = self.session(front, context)
        if version == ssl.TLSVersion.TLSv1_3:
            assert self.statuses(front, context, "modern.test", TLS, session)[1]["a.test"] == 421
        else:
            with pytest.raises(OSError, match="SSL"):
                self.statuses(front, context, "modern.test", TLS, session)


SLOW = {
    "slow heads": [(port, b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ") for port in (DIRECT, H2C)],
    "half handshakes": [(TLS, client_hello()), (TLS, client_hello()[:100])],
}


@pytest.mark.parametrize("kind", SLOW)
def test_many_slow_clients(front: Front, flood_seconds: float, kind: str) -> None:
    """Who comes back as soon as he is sent away; on both kinds of front, and during the handshake."""
    with ExitStack() as stack, unharmed(front, kind, flood_seconds):
        held = [SlowClient(stack, front.address, *SLOW[kind][number % 2]) for number in range(SLOW_CLIENTS)]
        end = time.monotonic() + flood_seconds
        while time.monotonic() < end:
            for slow in held:
                slow.come_back()
            time.sleep(0.1)


class SlowClient:
    """Says the beginning of something, and no more."""

    def __init__(self, stack: ExitStack, address: str, port: int, said: bytes) -> None:
        self._stack, self._place, self._said = stack, (address, port), said
        self._connect()

    def _connect(self) -> None:
        self._socket = self._stack.enter_context(socket.create_connection(self._place, timeout=5))
        self._socket.sendall(self._said)
        self._socket.setblocking(False)

    def come_back(self) -> None:
        """If it was sent away."""
        try:
            while self._socket.recv(65536):
                pass
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self._socket.close()
        self._connect()


def test_what_stops_half_way_is_ended(front: Front, stalled: tuple[float, list[socket.socket]]) -> None:
    """The last one of this module: the time runs since the first. A connection that may be idle would stay for 60 s."""
    begun, sockets = stalled
    with watched(front):
        for half_way in sockets:
            half_way.settimeout(max(begun + 3 * BEGINNING_SECONDS - time.monotonic(), 0.1))
            with suppress(ConnectionError):
                while half_way.recv(65536):
                    pass
