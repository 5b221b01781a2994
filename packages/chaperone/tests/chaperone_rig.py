"""What the tests of this package share; conftest.py puts this folder on the path."""

import asyncio
import io
import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Protocol

from varnish_gateway_chaperone.dns import FakeResolver, NameWatch
from varnish_gateway_chaperone.front import Front
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths
from varnish_gateway_chaperone.haproxy.daemon import FrontProgram, limits
from varnish_gateway_chaperone.inputs import Inputs, Slice, SliceEndpoint, SlicePort
from varnish_gateway_chaperone.logs import configure
from varnish_gateway_chaperone.reload import GhostReload, VclReload
from varnish_gateway_chaperone.report import ReportFile
from varnish_gateway_chaperone.rounds import Parts, Rounds
from varnish_gateway_chaperone.serving import DrainTimes, Serving
from varnish_gateway_chaperone.varnish.arguments import Paths
from varnish_gateway_chaperone.varnish.daemon import Program
from varnish_gateway_chaperone.varnish.ghost import FakeGhost
from varnish_gateway_chaperone.varnish.statistics import Varnishstat
from varnish_gateway_common.pod import Pod, PodSocket
from varnish_gateway_common.routing import Routing, Service

QUICK_COMPILE = ("-p", "cc_command=exec cc -O0 -w -fPIC -shared -o %o %s")
"""VCL that is run a few times need not be optimised: a quarter of the work."""


PATIENCE_SECONDS: Final = 60.0
"""A claim that holds on an idle machine in a moment may take its time on a busy one: only failures wait so long."""


class Until(Protocol):
    """`await until(lambda: claim)`."""

    def __call__(self, claim: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> Awaitable[None]: ...


async def wait_until(claim: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Fails when the claim does not hold in time."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class Lines:
    """A log, and what was said in it."""

    def __init__(self) -> None:
        self._out = io.StringIO()
        self.log = configure(is_verbose=True, stream=self._out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]

    def said(self, text: str) -> list[dict[str, Any]]:
        """The lines that contain it."""
        return [event for event in self.events if text in json.dumps(event, ensure_ascii=False)]


def program(variable: str) -> str:
    """What a live test needs, from the environment; never skipped in silence."""
    found = os.environ.get(variable)
    assert found, f"{variable} is not set: live tests need a real varnishd with ghost (nox -s tests sets it)"
    return found


_addresses = itertools.count(1)


def own_address() -> str:
    """A loopback address that no other test has, in this process or beside it."""
    process = os.getpid()
    return f"127.{64 + process // 250 % 128}.{process % 250}.{next(_addresses)}"


def get(address: str, port: int = 8080, path: str = "/", host: str = "a.test") -> int:
    """The status of an answer; 0: no connection, or none that ended well."""
    connection = HTTPConnection(address, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
    return answer.status


async def status_of(address: str, port: int = 8080, path: str = "/") -> int:
    """The same without blocking the loop."""
    return await asyncio.to_thread(get, address, port, path)


def with_service(inputs: Inputs, *addresses: str) -> Inputs:
    """The same, routing to a Service with these endpoints."""
    service = Service(namespace="default", name="web", port_name="http")
    routing = Routing(version=1, gateway="default/gw", services={"default/web:80": service})
    ends = tuple(SliceEndpoint(address, "ready") for address in addresses)
    slices = (Slice("default", "web-1", "web", (SlicePort("http", 80),), ends),)
    return replace(inputs, routing=routing.to_json(), slices=slices)


class NoSource:
    """Of inputs: a test gives its own."""

    reach = None

    async def views(self) -> AsyncIterator[Inputs]:
        return
        yield


SHORT: Final = DrainTimes(deadline_seconds=0.5)


class Rig:
    """Everything of a chaperone but its ghost, which is one in memory; varnishd is real."""

    def __init__(self, run: Path, times: DrainTimes = SHORT) -> None:
        self.address = own_address()
        self.lines = Lines()
        self.state = run / "state"
        self.paths = paths = Paths(run / "run")
        paths.run.mkdir(parents=True)
        self.news = asyncio.Event()
        self.ghost = FakeGhost(paths.ghost_candidate)
        varnishd = program("VARNISH_GATEWAY_VARNISHD")
        statistics = Varnishstat(Path(varnishd), paths.workdir)
        launcher = Program(varnishd, paths, self.address)
        front_limits = limits(times.deadline_seconds)
        front = FrontProgram(
            os.environ.get("VARNISH_GATEWAY_HAPROXY"), FrontPaths(paths.run), self.address, front_limits
        )
        self.front = Front(front, self.lines.log, self.news.set)
        self.serving = Serving(launcher, self.ghost, statistics, self.lines.log, self.news.set, times, self.front)
        names = NameWatch(FakeResolver({}), self.news.set, self.lines.log)
        ghost, vcl = GhostReload(self.ghost, paths), VclReload(paths)
        parts = Parts(paths, self.serving, self.front, ghost, vcl, names, ReportFile(self.state))
        self.rounds = Rounds(parts, self.lines.log)

    def inputs(self, vcl: str = "200", ports: tuple[int, ...] = (8080,), **pod: Any) -> Inputs:
        """Inputs whose VCL answers with this status."""
        sockets = tuple(PodSocket(name=f"http-{port}", port=port) for port in ports)
        fields = {"version": 1, "gateway": "default/gw", "sockets": sockets, "storage": "malloc,8m"}
        pod["varnishd_arguments"] = (*QUICK_COMPILE, *pod.get("varnishd_arguments", ()))
        document = Pod.model_validate(fields | pod)
        text = f"vcl 4.1; backend vgw_none none; sub vcl_recv {{ return (synth({vcl})); }}"
        return Inputs(document.to_json(), Routing(version=1, gateway="default/gw").to_json(), text.encode())

    async def until(self, inputs: Inputs, claim: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        """Rounds, as the loop makes them, until the claim holds."""
        async with asyncio.timeout(seconds):
            await self.rounds.round(inputs)
            while not claim():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), min(self.rounds.retry_seconds or 0.05, 0.05))
                self.news.clear()
                await self.rounds.round(inputs)

    async def serve(self, inputs: Inputs) -> None:
        """Until these inputs serve."""
        await self.until(inputs, lambda: self.rounds.is_serving and not self.rounds.report.refusals)

    def refusals(self) -> dict[str, str]:
        """Input -> message."""
        return {refusal.input: refusal.message for refusal in self.rounds.report.refusals}
