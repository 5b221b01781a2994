"""The first process of a gateway's pod: varnishd, ghost and the documents are real, the API server is in memory."""

import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaperone_rig import PATIENCE_SECONDS, get, own_address, program, wait_until
from gateway_rig import GATEWAY, ROUTE, SERVICE, Backend, Backends
from kube_rig import BASE, Front, config_map, slice_of
from varnish_gateway_chaperone.sources.kube.fake import FakeKube
from varnish_gateway_common.kube.api import path_of
from varnish_gateway_common.pod import Pod, RequestLog
from varnish_gateway_common.report import Report

pytestmark = pytest.mark.live

MAPS = path_of("v1", "configmaps", namespace="default")
SLICES = path_of("discovery.k8s.io/v1", "endpointslices", namespace="default")


class PodProcess:
    """`pod` with a run directory that outlives it, and the API server that it asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = own_address()
        self.kube = FakeKube()
        self.front = Front(self.kube)
        self.process: asyncio.subprocess.Process | None = None
        self.log = root / "log"

    async def translate(self) -> None:
        """The documents that the operator makes of a small gateway, as its ConfigMap."""
        (self.root / "in").mkdir()
        route = ROUTE.format(name="web", gateway="gw", path="/")
        (self.root / "in/all.yaml").write_text(GATEWAY.format(name="gw", port=8080) + route + SERVICE)
        translator = Path(sys.executable).with_name("varnish-gateway-operator")
        command = (str(translator), "translate", str(self.root / "in"), "--out", str(self.root / "out"))
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
        documents = self.root / "out/default/gw"
        routing, vcl = ((documents / name).read_bytes() for name in ("routing.json", "main.vcl"))
        self.kube.put(MAPS, BASE, **config_map(routing__json=routing, main__vcl=vcl.decode()))
        self.kube.put(MAPS, f"{BASE}-report")

    def change(self, **fields: object) -> None:
        """pod.json, of the next start."""
        path = self.root / "out/default/gw/pod.json"
        path.write_bytes(Pod.from_json(path.read_bytes()).model_copy(update=fields).to_json())

    def logs(self, path: str) -> bool:
        """Whether such a request is logged; what comes before the program is up is not."""
        return get(self.address, 8080, path) == 200 and f"logged 200 {path}\n" in self.log.read_text()

    @property
    def logger(self) -> int:
        """The process that logs requests."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "varnishncsa\n")

    def route_to(self, port: int) -> None:
        content = slice_of("default/web", self.address)
        self.kube.put(SLICES, "web-1", **content | {"ports": [{"name": "http", "port": port}]})

    async def start(self) -> None:
        program("VARNISH_GATEWAY_VARNISHD"), program("VARNISH_GATEWAY_VMOD_PATH")
        pod = (self.root / "out/default/gw/pod.json").read_text()
        own = {"NAMESPACE": "default", "POD_NAME": "gw-1", "POD": pod}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "varnish_gateway_chaperone", "pod", "--config-map", BASE),
                *("--report", f"{BASE}-report", "--api", self.front.url, "--run", str(self.root / "run")),
                *("--address", self.address, "--drain-delay", "0"),
                env=os.environ | {f"VARNISH_GATEWAY_{name}": text for name, text in own.items()},
                stdout=log,
                stderr=log,
            )

    async def until(self, status: int, path: str = "/", port: int = 8080) -> None:
        await wait_until(lambda: get(self.address, port, path) == status)

    async def end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    @property
    def report(self) -> Report:
        return Report.from_json(self.kube.patches[-1][1]["data"]["gw-1"])


@pytest.fixture
async def pod() -> AsyncIterator[PodProcess]:
    with tempfile.TemporaryDirectory(prefix="vgw-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        found = PodProcess(Path(folder))
        for port in (9001, 9002):
            server = stack.enter_context(Backends((found.address, port), Backend))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            stack.callback(server.shutdown)
        await found.front.start()
        await found.translate()
        found.route_to(9001)
        yield found
        await found.end(signal.SIGKILL)
        await found.front.stop()


async def test_a_pods_life_with_and_without_its_api_server(pod: PodProcess) -> None:
    await pod.start()
    await pod.until(200)
    await pod.until(200, "/readyz", 9180)
    await wait_until(lambda: pod.kube.patches and pod.report.is_serving)
    assert pod.report.pod == "gw-1"
    await pod.front.stop()
    assert get(pod.address) == 200
    await pod.end(signal.SIGKILL)
    await pod.start()
    await pod.until(200, "/readyz", 9180)
    assert get(pod.address) == 200, "with what an earlier life left in the run directory"
    pod.route_to(9009)
    await pod.front.start()
    await pod.until(503)
    pod.route_to(9002)
    await pod.until(200)
    assert await pod.end(signal.SIGTERM) == 0
    assert pod.report.is_draining


async def test_requests_are_logged_where_the_parameters_ask_for_it(pod: PodProcess) -> None:
    """By a process of Varnish's own, which is started again, and ends with the gateway."""
    pod.change(
        request_log=RequestLog(program="varnishncsa", arguments=("-F", "logged %s %U", "-q", "RespStatus == 200"))
    )
    await pod.start()
    await pod.until(200)
    await wait_until(lambda: pod.logs("/first"))
    os.kill(pod.logger, signal.SIGKILL)
    await wait_until(lambda: "varnishncsa was killed by signal 9; started again" in pod.log.read_text())
    await wait_until(lambda: pod.logs("/again"))
    logger = pod.logger
    assert get(pod.address, 9180, "/metrics") == 200
    await wait_until(lambda: pod.logs("/last"))
    assert "/.varnish-ghost/" not in pod.log.read_text(), "what the gateway asks itself is nobody's business"
    assert await pod.end(signal.SIGTERM) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(logger, 0)


async def test_it_does_not_start_without_knowing_whose_pod_it_is(pod: PodProcess) -> None:
    command = (sys.executable, "-m", "varnish_gateway_chaperone", "pod", "--config-map", "a", "--report", "b")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"VARNISH_GATEWAY_NAMESPACE" in said
