"""Gateways with HTTPS for tests, and clients of theirs: real ones."""

import asyncio
import os
import socket
import ssl
import threading
from dataclasses import replace
from http.client import HTTPSConnection

from cryptography import x509

from certificate_authority import index
from chaperone_rig import PATIENCE_SECONDS, Rig
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.pod import PodSocket

HTTPS = PodSocket(name="https-8443", port=8443, protocol="HTTPS", front="proxy")
H2C = PodSocket(name="http-8080", port=8080, front="proxy")
DIRECT = PodSocket(name="http-8081", port=8081)
A, B = Entry(certificate="a", server_names=("a.test",)), Entry(certificate="b", server_names=("*.b.test",))
ECHO = """vcl 4.1; import proxy; backend vgw_none none;
sub vcl_recv { return (synth(200)); }
sub vcl_synth {
  set resp.http.client = client.ip; set resp.http.socket = local.socket; set resp.http.sni = proxy.authority();
  set resp.body = "hello"; return (deliver);
}"""


def inputs(rig: Rig, *entries: Entry, **pems: bytes) -> Inputs:
    return with_sockets(rig, (HTTPS,), *entries, **pems)


def with_sockets(rig: Rig, sockets: tuple[PodSocket, ...], *entries: Entry, **pems: bytes) -> Inputs:
    assert os.environ.get("VARNISH_GATEWAY_HAPROXY"), "VARNISH_GATEWAY_HAPROXY is not set: this needs a real HAProxy"
    documents = rig.inputs(sockets=sockets)
    return replace(documents, vcl=ECHO.encode(), certificates=index(pems, entries), pems=dict(pems))


def context() -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


def serial(rig: Rig, name: str | None, by: ssl.SSLContext | None = None) -> int:
    """The serial number of the certificate that a client gets; 0: none, it is refused."""
    try:
        with (
            socket.create_connection((rig.address, 8443), timeout=5) as plain,
            (by or context()).wrap_socket(plain, server_hostname=name) as tls,
        ):
            found = tls.getpeercert(binary_form=True)
    except OSError:
        return 0
    assert found
    return x509.load_der_x509_certificate(found).serial_number


async def curl(*arguments: str) -> tuple[int, str]:
    """Exit code and output with the answer's head."""
    child = await asyncio.create_subprocess_exec(
        *("curl", "-sik", "--max-time", str(PATIENCE_SECONDS), *arguments), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode()


class HttpsLoad:
    """Clients on kept and on new connections; what is lost is counted."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.answered = 0
        self.lost: list[str] = []
        self._may_connect = True
        self._connecting = threading.Lock()

    def close(self) -> None:
        """Clients have been told to go elsewhere: their connections go on, and none is on its way to another."""
        with self._connecting:
            self._may_connect = False

    def _is_connected(self, connection: HTTPSConnection) -> bool:
        with self._connecting:
            if self._may_connect:
                connection.connect()
            return self._may_connect

    def client(self, *, keeps_alive: bool) -> None:
        is_open = True
        while is_open:
            connection = HTTPSConnection(self.rig.address, 8443, timeout=PATIENCE_SECONDS, context=Named())
            try:
                stays = is_open = self._is_connected(connection)
                while stays:
                    connection.request("GET", "/", headers={"Host": "a.test"})
                    answer = connection.getresponse()
                    stays = answer.read() == b"hello" and keeps_alive and not answer.will_close
                    self.answered += answer.status == 200
            except Exception as error:
                self.lost.append(repr(error))
            finally:
                connection.close()

    def start(self, *keeps_alive: bool) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(asyncio.to_thread(self.client, keeps_alive=keeps)) for keeps in keeps_alive]


class Named(ssl.SSLContext):
    """A client that always asks for a.test."""

    def __new__(cls) -> "Named":
        found = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
        return found

    def wrap_socket(self, sock: socket.socket, *_: object, **__: object) -> ssl.SSLSocket:
        return super().wrap_socket(sock, server_hostname="a.test")
