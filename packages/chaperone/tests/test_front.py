"""A real HAProxy before a real varnishd: TLS, HTTP/2, the client's address, crashes, reloads, draining."""

import asyncio
import os
import signal
import socket
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from certificate_authority import pem
from chaperone_rig import PATIENCE_SECONDS, NoSource, Rig, get, program
from https_rig import DIRECT, H2C, HTTPS, A, B, HttpsLoad, context, curl, inputs, serial, with_sockets
from varnish_gateway_chaperone import front as front_module
from varnish_gateway_chaperone.haproxy.daemon import FrontError
from varnish_gateway_chaperone.haproxy.runtime import statistics
from varnish_gateway_chaperone.observe import Observer
from varnish_gateway_chaperone.supervisor import liveness, supervised
from varnish_gateway_chaperone.varnish.statistics import Varnishstat
from varnish_gateway_common.pod import Pod, PodSocket

pytestmark = pytest.mark.live


@pytest.mark.parametrize(("option", "answer"), [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")])
async def test_https(rig: Rig, option: str, answer: str) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test")))
    to = f"a.test:8443:{rig.address}"
    code, said = await curl(option, "--resolve", to, "--interface", "127.0.0.9", "https://a.test:8443/")
    assert code == 0
    assert said.startswith(answer)
    for line in ("client: 127.0.0.9", "socket: https-8443", "sni: a.test"):
        assert line in said.lower().splitlines()


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


async def test_a_haproxy_that_served_is_started_again_at_once(rig: Rig) -> None:
    """However often: who can end it with a request would otherwise keep it away from all others."""
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    for _ in range(6):
        haproxy = rig.front.haproxy
        assert haproxy
        os.kill(haproxy.worker, signal.SIGKILL)
        await haproxy.child.wait()
        await rig.rounds.round(given)
        assert rig.rounds.is_serving, "the round that finds it dead starts the next one"
    assert serial(rig, "a.test") == 11
    assert rig.front.restarts == 6


@pytest.mark.parametrize("who", ["worker", "master"])
async def test_haproxy_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    haproxy = rig.front.haproxy
    assert haproxy
    monkeypatch.setattr(front_module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(liveness, "HANG_SECONDS", 0.3)
    os.kill(haproxy.worker if who == "worker" else haproxy.child.pid, signal.SIGSTOP)
    await rig.until(given, lambda: rig.front.restarts == 1)
    monkeypatch.undo()
    await rig.serve(given)
    assert serial(rig, "a.test") == 11


async def test_metrics_are_of_what_answers(rig: Rig) -> None:
    async def lines(metric: str) -> list[str]:
        answer = await observer.metrics()
        return [line for line in answer.body.decode().splitlines() if line.startswith(metric)]

    statistics = Varnishstat(Path(program("VARNISH_GATEWAY_VARNISHD")), rig.paths.workdir)
    observer = Observer(rig.rounds.parts, rig.rounds, rig.ghost, statistics, NoSource())
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=11)))
    code, said = await curl("--http1.1", "--resolve", f"a.test:8443:{rig.address}", "https://a.test:8443/")
    assert code == 0, said
    assert await lines("haproxy_tls_connections_accepted") == ["haproxy_tls_connections_accepted_total 1.0"]
    assert await lines("haproxy_socket_requests") == ['haproxy_socket_requests_total{socket="https-8443"} 1.0']
    assert await lines("varnish_main_threads")
    haproxy, rig.ghost.is_lost = rig.front.haproxy, True
    assert haproxy
    await haproxy.child.kill()
    assert await lines("haproxy") == []
    assert await lines("varnish_gateway_ready") == ["varnish_gateway_ready 0.0"]
    await rig.serving.end()
    assert await lines("varnish_main_threads") == []


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
    async with asyncio.timeout(PATIENCE_SECONDS):
        while load.answered < 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    load.close()
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert not rig.lines.said("connections are cut")
    assert rig.front.haproxy is None


async def test_reloads_under_load_lose_nothing(rig: Rig) -> None:
    a = pem("a.test", serial=11)
    await rig.serve(inputs(rig, A, a=a))
    load = HttpsLoad(rig)
    clients = load.start(True, True, False, False)
    for number in range(6):
        await asyncio.sleep(0.3)
        await rig.serve(inputs(rig, A.model_copy(update={"server_names": ("a.test", f"x{number}.test")}), a=a))
    load.close()
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert load.answered > 50
    assert (rig.front.reloads, rig.front.restarts) == (6, 0)


async def test_requests_that_do_not_end_are_cut_at_the_deadline(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=11)))
    assert serial(rig, "a.test") == 11
    with (
        socket.create_connection((rig.address, 8443)) as plain,
        context().wrap_socket(plain, server_hostname="a.test") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n")
        await rig.serving.end()
        with suppress(OSError):
            assert client.recv(100) == b""
    assert rig.lines.said("HAProxy's connections are cut: not ended within 0.5 s")
    assert rig.front.haproxy is None


async def test_varnishd_is_told_of_a_client_that_has_gone(rig: Rig) -> None:
    """While a backend says nothing: else a thread would wait for it, for nobody."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    async def under_way() -> int:
        assert rig.front.haproxy
        rows = await statistics(rig.front.haproxy.runtime)
        return next(int(row["scur"]) for row in rows if row["svname"] == "varnishd")

    async with await asyncio.start_server(say_nothing, rig.address, 0) as backend:
        port = backend.sockets[0].getsockname()[1]
        vcl = f'vcl 4.1; backend b {{ .host = "{rig.address}"; .port = "{port}"; }} sub vcl_recv {{ return (pass); }}'
        await rig.serve(replace(inputs(rig, A, a=pem("a.test")), vcl=vcl.encode()))
        _, client = await asyncio.open_connection(rig.address, 8443, ssl=context(), server_hostname="a.test")
        client.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asked.wait()
            assert await under_way() == 1
            client.close()
            while await under_way():  # noqa: ASYNC110 - HAProxy tells nobody
                await asyncio.sleep(0.02)
        over.set()


async def test_sockets_that_haproxy_would_not_take_cost_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(_: Pod) -> None:
        raise FrontError("no such cipher")

    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    varnishd = rig.serving.varnishd
    monkeypatch.setattr(rig.front, "check", check)
    await rig.rounds.round(with_sockets(rig, (HTTPS, DIRECT), A, a=pem("a.test", serial=11)))
    assert rig.refusals()["pod"] == "no such cipher"
    assert rig.serving.varnishd is varnishd
    assert serial(rig, "a.test") == 11


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
    longest = liveness.MISSES * (supervised.LOOK_SECONDS + front_module.ANSWER_SECONDS)
    assert longest > liveness.HANG_SECONDS, "so this is what it takes"
    assert longest < 10
