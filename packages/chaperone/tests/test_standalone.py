"""The whole data path from a folder: translator, chaperone, varnishd and ghost are the real ones."""

import asyncio
import os
import random
import re
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from chaperone_rig import PATIENCE_SECONDS, Until, get, own_address, program, status_of, wait_until
from gateway_rig import GATEWAY, ROUTE, SERVICE, SLICE, Backend, Backends
from varnish_gateway_chaperone.__main__ import main

pytestmark = pytest.mark.live

USER_VCL = """
apiVersion: v1
kind: ConfigMap
metadata: {name: user-vcl}
data:
  user.vcl: |
    VCL
"""


class Gateway:
    """`standalone` on a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.address = own_address()
        self.folder = root / "folder"
        self.folder.mkdir()
        self.ready = root / "ready"
        self.state = root / "state"
        self.process: asyncio.subprocess.Process | None = None
        self.log = root / "log"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    async def start(self, *options: str, within: Path | None = None) -> None:
        """`within`: the folder that one is in."""
        program("VARNISH_GATEWAY_VARNISHD"), program("VARNISH_GATEWAY_VMOD_PATH")
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "varnish_gateway_chaperone", "standalone", str(self.folder)),
                *("--address", self.address, "--ready-file", str(self.ready), "--state", str(self.state), *options),
                stderr=log,
                cwd=within,
            )

    async def until_ready(self) -> None:
        await wait_until(self.ready.exists)

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    def child(self, word: str) -> int:
        """The process id of the translator or of a chaperone, by a word of its command line."""
        assert self.process
        return next(pid for pid in processes(word, str(self.state)) if pid != self.process.pid)

    def workers(self) -> list[int]:
        """varnishd's two processes, the one that serves last."""
        return sorted(processes(f"http-8080={self.address}:8080", "-F"))


def processes(*words: str) -> Iterator[int]:
    """Those whose command line has all the words."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found = file.read_bytes().decode().split("\0")
            if all(any(one.startswith(word) for one in found) for word in words):
                yield int(file.parent.name)


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vgw-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
async def gateway(root: Path) -> AsyncIterator[Gateway]:
    found = Gateway(root)
    found.write("gateway.yaml", GATEWAY.format(name="gw", port=8080))
    found.write("route.yaml", ROUTE.format(name="web", gateway="gw", path="/"))
    found.write("service.yaml", SERVICE)
    found.write("slice.yaml", SLICE.format(address=found.address, port=9001))
    with ExitStack() as stack:
        for port in (9001, 9002):
            server = stack.enter_context(Backends((found.address, port), Backend))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            stack.callback(server.shutdown)
        yield found
        await found.end()


async def test_from_a_folder_to_an_answer_and_back(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    assert gateway.ready.read_text() == f"http://{gateway.address}:8080\n"
    assert await status_of(gateway.address) == 200
    assert await status_of(gateway.address, 9180, "/readyz") == 200
    assert await status_of(gateway.address, 9180, "/metrics") == 200
    assert await gateway.end() == 0
    assert not gateway.ready.exists()
    assert get(gateway.address) == 0


async def test_without_haproxy_http_is_served_and_what_needs_it_says_so(
    gateway: Gateway, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARNISH_GATEWAY_HAPROXY", "")
    await gateway.start()
    await gateway.until_ready()
    assert await status_of(gateway.address) == 200
    assert "HAProxy" not in gateway.log.read_text()
    text = (gateway.folder / "gateway.yaml").read_text()
    gateway.write("gateway.yaml", text.replace("spec: {varnishd", "spec: {http2: {cleartext: true}, varnishd"))
    await until(lambda: "HTTP/2 need HAProxy, which was not there" in gateway.log.read_text())
    assert await status_of(gateway.address) == 200


async def test_no_program_or_module_of_the_folder_is_run(gateway: Gateway) -> None:
    """Whose manifests these are may not be who runs the gateway."""
    trap = gateway.folder / "trapped"
    for name in ("asyncio", "structlog", "json", "pydantic", "varnish_gateway_chaperone", "varnish_gateway_common"):
        (gateway.folder / f"{name}.py").write_text(f"open({str(trap)!r}, 'a').write({name!r})\nraise SystemExit(3)\n")
    for name in ("varnishd", "haproxy", "varnish-gateway-operator", "varnishstat"):
        (gateway.folder / name).write_text(f"#!/bin/sh\necho {name} >> {trap}\n")
        (gateway.folder / name).chmod(0o755)
    await gateway.start(within=gateway.folder)
    await gateway.until_ready()
    assert await status_of(gateway.address) == 200
    assert not trap.exists()


async def test_a_namespace_called_status_serves(gateway: Gateway, until: Until) -> None:
    for name in ("gateway.yaml", "route.yaml", "service.yaml", "slice.yaml"):
        text = (gateway.folder / name).read_text()
        gateway.write(name, re.sub(r"metadata: {name: (gw|web)", r"metadata: {namespace: status, name: \1", text))
    await gateway.start()
    await gateway.until_ready()
    await until(lambda: get(gateway.address) == 200)
    await until(lambda: "'True'" in (gateway.state / "status/gateway/status/gw.yaml").read_text())


async def test_user_vcl_includes_no_file_of_the_host(gateway: Gateway, until: Until) -> None:
    """It would be told line by line in the status."""
    secret = gateway.folder.parent / "secret"
    secret.write_text("a secret that is no VCL\n")
    text = (gateway.folder / "gateway.yaml").read_text()
    reference = "userVCLConfigMapRef: {name: user-vcl, namespace: default}"
    gateway.write("gateway.yaml", text.replace("spec: {varnishdExtraArgs", f"spec: {{{reference}, varnishdExtraArgs"))
    gateway.write("vcl.yaml", USER_VCL.replace("VCL", f'include "{secret}";'))
    await gateway.start()
    status = gateway.state / "status/gateway/default/gw.yaml"
    await until(lambda: status.exists() and "unsafe" in status.read_text())
    assert "a secret" not in status.read_text() + gateway.log.read_text()


async def test_edits_are_in_effect(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    gateway.write("slice.yaml", SLICE.format(address=gateway.address, port=9009))
    await until(lambda: get(gateway.address) == 503)
    gateway.write("slice.yaml", SLICE.format(address=gateway.address, port=9002))
    await until(lambda: get(gateway.address) == 200)
    gateway.write("route.yaml", ROUTE.format(name="web", gateway="gw", path="/only"))
    await until(lambda: get(gateway.address) == 404 and get(gateway.address, path="/only") == 200)
    (gateway.folder / "route.yaml").unlink()
    await until(lambda: get(gateway.address, path="/only") == 404)


async def test_listeners_and_gateways_come_and_go(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    gateway.write("other.yaml", GATEWAY.format(name="other", port=8081))
    gateway.write("other-route.yaml", ROUTE.format(name="other", gateway="other", path="/"))
    await until(lambda: get(gateway.address, 8081) == 200)
    await until(lambda: get(gateway.address, 9181, "/readyz") == 200)
    gateway.write("gateway.yaml", GATEWAY.format(name="gw", port=8082))
    await until(lambda: get(gateway.address, 8082) == 200)
    assert get(gateway.address, 8080) == 0
    assert get(gateway.address, 8081) == 200
    (gateway.folder / "other.yaml").unlink()
    await until(lambda: get(gateway.address, 8081) == 0)
    assert get(gateway.address, 8082) == 200


async def test_a_gateway_that_is_drained_holds_up_no_other(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    _, writer = await asyncio.open_connection(gateway.address, 8080)
    writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n")
    await writer.drain()
    (gateway.folder / "gateway.yaml").write_text(GATEWAY.format(name="other", port=8081))
    await until(lambda: get(gateway.address, 8081) == 404)
    assert gateway.workers(), "the first one waits for its client"
    writer.close()
    await until(lambda: not gateway.workers())


async def test_a_full_disk_ends_nothing(gateway: Gateway, until: Until) -> None:
    report = gateway.state / "default/gw/report.json"
    (report / "what cannot be removed").mkdir(parents=True)
    await gateway.start()
    await until(lambda: gateway.log.read_bytes().count(b"a file could not be written; tried again") == 1)
    gateway.ready.mkdir()
    (report / "what cannot be removed").rmdir()
    report.rmdir()
    await until(lambda: gateway.log.read_bytes().count(b"a file could not be written; tried again") == 2)
    gateway.ready.rmdir()
    await until(gateway.ready.is_file)
    assert await gateway.end() == 0


async def test_a_killed_translator_is_started_again(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    os.kill(gateway.child("translate"), signal.SIGKILL)
    await until(lambda: b"the translator was killed by signal 9; started again" in gateway.log.read_bytes())
    gateway.write("route.yaml", ROUTE.format(name="web", gateway="gw", path="/only"))
    await until(lambda: get(gateway.address) == 404)


async def test_a_killed_chaperone_is_started_again(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    os.kill(gateway.child("run"), signal.SIGKILL)
    await until(lambda: get(gateway.address) == 0)
    await until(lambda: get(gateway.address) == 200)


async def test_a_killed_varnishd_child_serves_again_with_the_same_routes(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    os.kill(gateway.workers()[-1], signal.SIGKILL)
    await until(lambda: b"the process that serves" in gateway.log.read_bytes())
    await until(lambda: get(gateway.address) == 200)
    await until(lambda: get(gateway.address, 9180, "/readyz") == 200)


async def test_a_folder_without_a_gateway_is_waited_for(root: Path, until: Until) -> None:
    gateway = Gateway(root)
    await gateway.start()
    await until(lambda: b"no Gateway is accepted yet" in gateway.log.read_bytes())
    gateway.write("gateway.yaml", GATEWAY.format(name="gw", port=8080))
    await gateway.until_ready()
    assert await status_of(gateway.address) == 404
    assert await gateway.end(signal.SIGTERM) == 0


async def test_a_folder_that_does_not_exist(root: Path) -> None:
    gateway = Gateway(root)
    gateway.folder = root / "nowhere"
    await gateway.start()
    assert gateway.process
    assert await gateway.process.wait() == 2
    assert b"nowhere is not a folder" in gateway.log.read_bytes()


class Load:
    """Clients that count what they lose: any answer that is not whole, on a connection that was accepted."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answered = 0
        self.lost: list[str] = []
        self.may_connect = True

    async def client(self, path: str, *, keeps_alive: bool) -> None:
        """Requests until no new connection may be opened and the old one has ended."""
        while self.may_connect:
            reader, writer = await asyncio.open_connection(self.address, 8080)
            try:
                stays = True
                while stays:
                    stays = await self._request(reader, writer, path) and keeps_alive
                    await asyncio.sleep(random.uniform(0, 0.02))
            except (OSError, EOFError, ValueError) as error:
                self.lost.append(f"{path}: {error!r}")
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bool:
        """Whether the connection stays."""
        writer.write(b"GET %b HTTP/1.1\r\nHost: a.test\r\n\r\n" % path.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head.split(b"\r\n")[0])
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.answered += 1
        return b"connection: close" not in head


async def test_leaving_under_load_loses_nothing(gateway: Gateway, until: Until) -> None:
    gateway.write("slice.yaml", SLICE.format(address=gateway.address, port=9002))
    await gateway.start()
    await gateway.until_ready()
    load = Load(gateway.address)
    kinds = [("/", True)] * 20 + [("/", False)] * 10 + [("/slow/", True)] * 10
    clients = [asyncio.create_task(load.client(path, keeps_alive=keeps)) for path, keeps in kinds]
    await until(lambda: load.answered > 500)
    load.may_connect = False  # clients have been told to go elsewhere; their connections go on
    before = load.answered
    assert await gateway.end(signal.SIGTERM) == 0
    await asyncio.gather(*clients)
    assert load.lost == []
    assert load.answered > before
    assert b"connections are cut" not in gateway.log.read_bytes()


async def test_idle_connections_do_not_hold_up_the_end(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    reader, writer = await asyncio.open_connection(gateway.address, 8080)
    writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await gateway.end() == 0
    assert b"1 idle connections are closed" in gateway.log.read_bytes()
    writer.close()


async def test_a_second_signal_is_in_haste(gateway: Gateway, until: Until) -> None:
    await gateway.start()
    await gateway.until_ready()
    _, writer = await asyncio.open_connection(gateway.address, 8080)
    writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n")
    await writer.drain()
    assert gateway.process
    gateway.process.send_signal(signal.SIGINT)
    await until(lambda: b"leaving: connections are drained" in gateway.log.read_bytes())
    gateway.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await gateway.process.wait() == 0
    writer.close()


@pytest.mark.parametrize("within", ["", "state", "a/b"])
def test_a_state_within_the_folder_is_refused_at_once(
    tmp_path: Path, within: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["standalone", str(tmp_path), "--state", str(tmp_path / within), "--varnishd", sys.executable])
    assert "would be read as manifests: name one outside" in capsys.readouterr().err


def test_a_state_that_cannot_be_written_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "file").write_text("")
    for state in (tmp_path / "file", tmp_path / "file" / "state", Path("/proc/state")):
        with pytest.raises(SystemExit):
            main(["standalone", str(tmp_path / "in"), "--state", str(state), "--varnishd", sys.executable])
        assert "cannot be written to" in capsys.readouterr().err
