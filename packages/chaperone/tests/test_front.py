"""A real HAProxy before a real varnishd: TLS, HTTP/2, the client's address, rotation, crashes, draining."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certificate_authority import certificate, index, key_pem, pem
from chaperone_rig import Rig, get
from varnish_gateway_chaperone import front as front_module
from varnish_gateway_chaperone.haproxy import runtime
from varnish_gateway_chaperone.haproxy.vetting import Vetting
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.pod import PodSocket

pytestmark = pytest.mark.live

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


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    assert os.environ.get("VARNISH_GATEWAY_HAPROXY"), "VARNISH_GATEWAY_HAPROXY is not set: this needs a real HAProxy"
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        found = Rig(Path(folder))
        yield found
        found.serving.hasten.set()
        await found.serving.end()


def inputs(rig: Rig, *entries: Entry, **pems: bytes) -> Inputs:
    return with_sockets(rig, (HTTPS,), *entries, **pems)


def with_sockets(rig: Rig, sockets: tuple[PodSocket, ...], *entries: Entry, **pems: bytes) -> Inputs:
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
        *("curl", "-sik", "--max-time", "10", *arguments), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode()


@pytest.mark.parametrize(("option", "answer"), [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")])
async def test_https(rig: Rig, option: str, answer: str) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test")))
    to = f"a.test:8443:{rig.address}"
    code, said = await curl(option, "--resolve", to, "--interface", "127.0.0.9", "https://a.test:8443/")
    assert code == 0
    assert said.startswith(answer)
    for line in ("client: 127.0.0.9", "socket: https-8443", "sni: a.test"):
        assert line in said.lower().splitlines()


async def test_server_names(rig: Rig) -> None:
    given = inputs(rig, A, B, a=pem("a.test", serial=11), b=pem("b.test", serial=22))
    await rig.serve(given)
    assert [serial(rig, name) for name in ("a.test", "x.b.test", "A.TEST")] == [11, 22, 11]
    assert [serial(rig, name) for name in ("c.test", "b.test", None)] == [0, 0, 0]
    default = Entry(certificate="c")
    await rig.serve(inputs(rig, A, B, default, c=pem("c.test", serial=33), **given.pems))
    assert [serial(rig, name) for name in ("a.test", "x.b.test", "c.test", None)] == [11, 22, 33, 33]
    await rig.serve(inputs(rig, A, B, default, c=pem("c.test", serial=34), **given.pems))
    assert [serial(rig, name) for name in ("a.test", "c.test", None)] == [11, 34, 34]
    assert rig.front.reloads == 1, "for the default alone, not for its rotation"


async def test_several_certificates_for_one_name(rig: Rig) -> None:
    """The first; of two kinds of key, the one that the client can use."""
    pems = {name: pem("a.test", serial=number) for name, number in (("a", 11), ("b", 22))}
    pems["r"] = pem("a.test", serial=33, key=rsa.generate_private_key(65537, 2048))
    entries = tuple(Entry(certificate=name, server_names=("a.test",)) for name in pems)
    await rig.serve(inputs(rig, *entries, **pems))
    assert serial(rig, "a.test") == 11
    only_rsa = context()
    only_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
    only_rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    assert serial(rig, "a.test", only_rsa) == 33


async def test_versions_and_protocols_by_entry(rig: Rig) -> None:
    strict = A.model_copy(update={"min_version": "TLSv1.3", "alpn": ("http/1.1",)})
    await rig.serve(inputs(rig, strict, B, a=pem("a.test"), b=pem("b.test", serial=22)))
    for name, minimum, code in (("a.test", "1.2", 35), ("a.test", "1.3", 0), ("x.b.test", "1.2", 0)):
        to = f"{name}:8443:{rig.address}"
        most = ("--tls-max", minimum, "--resolve", to, f"https://{name}:8443/")
        assert (await curl("--http2", *most))[0] == code, (name, minimum)
    _, said = await curl("--http2", "--resolve", f"a.test:8443:{rig.address}", "https://a.test:8443/")
    assert said.startswith("HTTP/1.1")


class HttpsLoad:
    """Clients on kept and on new connections; what is lost is counted."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.answered = 0
        self.lost: list[str] = []
        self.may_connect = True

    def client(self, *, keeps_alive: bool) -> None:
        while self.may_connect:
            connection = HTTPSConnection(self.rig.address, 8443, timeout=10, context=Named())
            try:
                stays = True
                connection.connect()
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


async def test_a_rotation_under_load_loses_nothing(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=100)))
    assert rig.front.haproxy
    worker = rig.front.haproxy.worker
    load = HttpsLoad(rig)
    clients = load.start(True, False, True)
    loop = asyncio.get_running_loop()
    for number in range(101, 111):
        changed = inputs(rig, A, a=pem("a.test", serial=number))
        begun = loop.time()
        await rig.rounds.round(changed)
        assert await asyncio.to_thread(serial, rig, "a.test") == number
        assert loop.time() - begun < 2
        await rig.rounds.round(inputs(rig, A, a=b"garbage"))
        assert "a.pem: holds no certificate" in rig.refusals()["certificates"]
        assert rig.rounds.report.certificates_digest not in {"", rig.rounds.report.refusals[0].digest}
    assert rig.front.haproxy.worker == worker
    load.may_connect = False
    await asyncio.sleep(0.2)
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert load.answered > 20
    assert rig.front.reloads == 0


async def test_certificates_come_and_go(rig: Rig) -> None:
    a, b = pem("a.test", serial=11), pem("b.test", serial=22)
    await rig.serve(inputs(rig))
    assert serial(rig, "a.test") == 0
    for entries, pems, wanted in (
        ((A,), {"a": a}, [11, 0]),
        ((A, B), {"a": a, "b": b}, [11, 22]),
        ((B,), {"b": b}, [0, 22]),
        ((A, B), {"a": a, "b": b}, [11, 22]),
    ):
        await rig.serve(inputs(rig, *entries, **pems))
        assert [serial(rig, name) for name in ("a.test", "x.b.test")] == wanted
        assert {file.stem for file in (rig.paths.run / "certificates").iterdir()} == set(pems)
    assert rig.front.reloads == 0
    assert rig.front.updates > 5
    assert all(file.stat().st_mode & 0o77 == 0 for file in (rig.paths.run / "certificates").iterdir())


async def test_what_cannot_be_said_in_steps_is_a_reload(rig: Rig) -> None:
    a = pem("a.test", serial=11)
    await rig.serve(inputs(rig, A, a=a))
    await rig.serve(inputs(rig, A.model_copy(update={"server_names": ("c.test",)}), a=a))
    assert [serial(rig, name) for name in ("a.test", "c.test")] == [0, 11]
    chain = a + b"".join(pem(f"{number}.test").split(b"-----BEGIN PRIVATE")[0] for number in range(80))
    assert len(chain) > runtime.MAX_PAYLOAD
    await rig.serve(inputs(rig, A, a=chain.replace(a, pem("a.test", serial=12))))
    assert serial(rig, "a.test") == 12
    assert (rig.front.reloads, rig.front.restarts) == (2, 0), [str(event) for event in rig.lines.events]


def bad_pems() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    good = certificate(key, "a.test")
    return {
        "holds no certificate": b"garbage",
        "holds no private key": good,
        "holds an encrypted key": good + key_pem(key, b"secret"),
        "the key is not the certificate's": good + key_pem(ec.generate_private_key(ec.SECP256R1())),
        "OpenSSL refuses it": (good + key_pem(key)).replace(b"M", b"-"),
    }


def test_bad_certificates_are_told_apart() -> None:
    for reason, content in bad_pems().items():
        assert Vetting().mistakes({"a": content})["a"].startswith(reason)
    assert Vetting().mistakes({"a": pem("a.test")}) == {}


async def test_a_bad_certificate_from_the_start_leaves_the_others_serving(rig: Rig) -> None:
    given = inputs(rig, A, B, a=b"garbage", b=pem("b.test", serial=22))
    await rig.until(given, lambda: rig.rounds.is_serving)
    assert [serial(rig, name) for name in ("a.test", "x.b.test")] == [0, 22]
    assert "a.pem" in rig.refusals()["certificates"]
    assert rig.rounds.report.certificates_digest == ""
    await rig.serve(inputs(rig, A, B, a=pem("a.test", serial=11), b=given.pems["b"]))
    assert serial(rig, "a.test") == 11
    assert rig.rounds.report.certificates_digest


async def test_a_chaperone_that_starts_again_has_the_last_good_certificates(rig: Rig) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    await rig.serving.end()
    again = Rig.__new__(Rig)
    again.__init__(rig.paths.run.parent / "other")  # type: ignore[misc]
    shutil.copytree(rig.paths.run, again.paths.run, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    try:
        await again.until(replace(given, certificates=b"{", pems={}), lambda: again.rounds.is_serving)
        assert serial(again, "a.test") == 11
        assert "certificates" in again.refusals()
    finally:
        again.serving.hasten.set()
        await again.serving.end()


@pytest.mark.parametrize("who", ["worker", "master"])
async def test_haproxy_is_killed(rig: Rig, who: str) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    haproxy = rig.front.haproxy
    assert haproxy
    os.kill(haproxy.worker if who == "worker" else haproxy.child.pid, signal.SIGKILL)
    await rig.until(given, lambda: rig.front.restarts == 1)
    await rig.serve(given)
    assert serial(rig, "a.test") == 11
    assert rig.lines.said("HAProxy")


@pytest.mark.parametrize("who", ["worker", "master"])
async def test_haproxy_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    haproxy = rig.front.haproxy
    assert haproxy
    monkeypatch.setattr(front_module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(front_module, "HANG_SECONDS", 0.3)
    os.kill(haproxy.worker if who == "worker" else haproxy.child.pid, signal.SIGSTOP)
    await rig.until(given, lambda: rig.front.restarts == 1)
    monkeypatch.undo()
    await rig.serve(given)
    assert serial(rig, "a.test") == 11


async def test_without_haproxy_the_option_is_named(rig: Rig) -> None:
    rig.front._program = replace(rig.front._program, haproxy=None)
    given = with_sockets(rig, (HTTPS, DIRECT), A, a=pem("a.test"))
    await rig.until(given, lambda: "pod" in rig.refusals())
    assert "--haproxy" in rig.refusals()["pod"]
    assert not rig.rounds.is_serving
    assert get(rig.address, 8081) == 200


async def test_a_port_of_haproxy_that_is_in_use_is_waited_for(rig: Rig) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    with socket.create_server((rig.address, 8443)):
        await rig.until(given, lambda: "pod" in rig.refusals())
        assert "8443" in rig.refusals()["pod"]
    await rig.serve(given)
    assert serial(rig, "a.test") == 11


async def test_sockets_change(rig: Rig) -> None:
    a = pem("a.test", serial=11)
    await rig.serve(inputs(rig, A, a=a))
    await rig.serve(with_sockets(rig, (HTTPS, H2C), A, a=a))
    assert (serial(rig, "a.test"), get(rig.address)) == (11, 200)
    await rig.serve(with_sockets(rig, (DIRECT,)))
    assert (serial(rig, "a.test"), get(rig.address, 8081)) == (0, 200)
    assert rig.front.haproxy is None


async def test_leaving_under_https_load_loses_nothing(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test")))
    load = HttpsLoad(rig)
    clients = load.start(True, True, False, False)
    async with asyncio.timeout(20):
        while load.answered < 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    load.may_connect = False  # clients have been told to go elsewhere
    await asyncio.sleep(0.2)
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert not rig.lines.said("connections are cut")
    assert rig.front.haproxy is None


@pytest.mark.parametrize("option", ["--http1.1", "--http2-prior-knowledge"])
async def test_http2_without_tls(rig: Rig, option: str) -> None:
    await rig.serve(with_sockets(rig, (H2C,)))
    code, said = await curl(option, f"http://{rig.address}:8080/")
    assert code == 0
    assert said.startswith("HTTP/2 200" if "2" in option[-20:-10] else "HTTP/1.1 200")
    assert "socket: http-8080" in said


def proxy_v2(client: str) -> bytes:
    addresses = socket.inet_aton(client) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4444, 80)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize("header", [proxy_v2("198.51.100.7"), b"PROXY TCP4 198.51.100.7 192.0.2.1 4444 80\r\n"])
@pytest.mark.parametrize("base", [H2C, DIRECT], ids=["proxy", "direct"])
async def test_a_load_balancer_says_who_the_client_is(rig: Rig, base: PodSocket, header: bytes) -> None:
    await rig.serve(with_sockets(rig, (base.model_copy(update={"accepts_proxy_protocol": True}),)))
    reader, writer = await asyncio.open_connection(rig.address, base.port)
    writer.write(header + b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    said = (await reader.read()).lower()
    writer.close()
    assert b"client: 198.51.100.7" in said
    code, _ = await curl(f"http://{rig.address}:{base.port}/")
    assert code != 0, "without it nobody is served"


async def test_connections_to_varnishd_are_not_shared_between_clients(rig: Rig) -> None:
    """The same address and port again with another server name: HAProxy must not take the old connection."""
    await rig.serve(inputs(rig, A, B, a=pem("a.test"), b=pem("b.test")))
    seen = []
    for name in ("a.test", "x.b.test", "a.test"):
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.bind((rig.address, 23456))
            plain.connect((rig.address, 8443))
            tls = context().wrap_socket(plain, server_hostname=name)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            seen.append(tls.recv(4096).lower().split(b"sni: ")[1].split(b"\r\n")[0].decode())
            with suppress(OSError):
                tls.close()
        await asyncio.sleep(0.1)
    assert seen == ["a.test", "x.b.test", "a.test"]


async def test_what_is_offered(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test")))
    to = ("--resolve", f"a.test:8443:{rig.address}", "https://a.test:8443/")
    assert (await curl("--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", *to))[0] == 35
    assert (await curl("--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA:AES128-SHA", *to))[0] == 35
    assert (await curl("--tls-max", "1.2", *to))[0] == 0
    plain, _ = await curl(f"http://{rig.address}:8443/")
    assert plain != 0, "plain HTTP to the TLS port"


def test_the_watch_is_quicker_than_a_restart_of_the_pod() -> None:
    longest = front_module.HANG_SECONDS + front_module.LOOK_SECONDS + front_module.ANSWER_SECONDS
    assert longest < 10


async def test_reloads_under_load_lose_nothing(rig: Rig) -> None:
    a = pem("a.test", serial=11)
    await rig.serve(inputs(rig, A, a=a))
    load = HttpsLoad(rig)
    clients = load.start(True, True, False, False)
    for number in range(6):
        await asyncio.sleep(0.3)
        await rig.serve(inputs(rig, A.model_copy(update={"server_names": ("a.test", f"x{number}.test")}), a=a))
    load.may_connect = False
    await asyncio.sleep(0.2)
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert load.answered > 50
    assert (rig.front.reloads, rig.front.restarts) == (6, 0)
