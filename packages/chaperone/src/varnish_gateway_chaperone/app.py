"""One chaperone for one Gateway, put together: sources, varnishd, ghost, report, web, and the loop between them."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.dns import DnsResolver, NameWatch, OutwardResolver, own_addresses
from varnish_gateway_chaperone.front import Front
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths
from varnish_gateway_chaperone.haproxy.daemon import FrontProgram, limits
from varnish_gateway_chaperone.inputs import Inputs, Source
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedRouting
from varnish_gateway_chaperone.observe import Observer
from varnish_gateway_chaperone.outward import anywhere, is_outward
from varnish_gateway_chaperone.reload import GhostReload, VclReload
from varnish_gateway_chaperone.report import ReportFile, ReportSink
from varnish_gateway_chaperone.rounds import Parts, Rounds
from varnish_gateway_chaperone.serving import DrainTimes, Serving
from varnish_gateway_chaperone.sources.files import FileSource
from varnish_gateway_chaperone.sources.kube.assembly import Assembly
from varnish_gateway_chaperone.sources.kube.client import KubeClient, Server
from varnish_gateway_chaperone.sources.kube.reporting import KubeReport
from varnish_gateway_chaperone.sources.kube.source import KubeSource
from varnish_gateway_chaperone.supervisor.tree import Backoff, guarded
from varnish_gateway_chaperone.varnish.arguments import Paths, listen_address
from varnish_gateway_chaperone.varnish.daemon import Program
from varnish_gateway_chaperone.varnish.ghost import GhostClient
from varnish_gateway_chaperone.varnish.request_log import RequestLogger
from varnish_gateway_chaperone.varnish.statistics import Varnishstat
from varnish_gateway_common.web import Web

COLLECT_AFTER: Final = 50_000
"""A reload at 10,000 routes makes that many objects, none of them in cycles: the usual 700 trebles its time."""
BUG_SECONDS: Final = 1.0
"""A round that failed by a mistake of ours costs a traceback and this pause."""


Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Options:
    """What the command line says of the processes that are run."""

    run: Path
    address: str
    web_address: str
    web_port: int
    varnishd: str
    vmod_path: str | None = None
    haproxy: str | None = None
    """None: there is none, which is told when it is needed."""
    drain: DrainTimes = field(default_factory=DrainTimes)
    is_told_elsewhere: bool = False
    """Whoever reads the report says what is refused."""
    is_in_cluster: bool = False
    """Then names outside of it may not lead to the pod itself."""


class Chaperone:
    """The loop: newest inputs in, one round at a time, until a signal says to leave."""

    def __init__(
        self, source: Source, rounds: Rounds, news: asyncio.Event, log: Log, beside: Mapping[str, Work] | None = None
    ) -> None:
        """`beside`: what runs for as long as the loop does."""
        self._source = source
        self._rounds = rounds
        self._serving = rounds.parts.serving
        self._names = rounds.parts.names
        self._news = news
        self._log = log
        self._work = {"source": self._follow, **(beside or {})}
        self._is_leaving = asyncio.Event()
        self._inputs: Inputs | None = None
        self._is_settled = False

    @property
    def routing_in_effect(self) -> ParsedRouting | None:
        """What ghost runs; None before the first."""
        applied = self._rounds.parts.ghost.applied
        return applied.routing if applied else None

    async def run(self) -> int:
        """Serve until a signal comes, then drain. The exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave)
        tasks = [asyncio.create_task(guarded(name, work, self._log), name=name) for name, work in self._work.items()]
        try:
            await self._beside(self._is_leaving.wait())
            await self._leave()
        finally:
            self._names.want(())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return 0

    def leave(self) -> None:
        """A signal: the first says to leave, the second that it takes too long."""
        if self._is_leaving.is_set():
            self._serving.hasten.set()
        self._is_leaving.set()
        self._news.set()

    async def _follow(self) -> None:
        async for inputs in self._source.views():
            self._inputs = inputs
            self._news.set()

    async def _loop(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._rounds.retry_seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            await self._round()

    async def _round(self) -> None:
        """A bug costs one round, not the process."""
        if self._inputs is None:
            return
        try:
            await self._rounds.round(self._inputs)
            self._settle()
        except Exception:
            self._log.exception("a round failed")
            await asyncio.sleep(BUG_SECONDS)
            self._news.set()

    def _settle(self) -> None:
        """Once it serves, what was made so far lasts: the collector need not look at it again and again."""
        if not self._is_settled and self._rounds.is_serving:
            self._is_settled = True
            gc.collect()
            gc.freeze()

    async def _leave(self) -> None:
        self._log.info("leaving: connections are drained; a second signal cuts them")
        self._serving.is_draining = True
        self._rounds.publish()
        self._news.set()  # the round that was given up may have had some
        await self._beside(self._serving.end())
        self._rounds.publish()

    async def _beside(self, work: Awaitable[object]) -> None:
        """Rounds until the work is done; the one in progress is given up then, however long it would take."""
        rounds = asyncio.create_task(guarded("rounds", self._loop, self._log), name="rounds")
        try:
            await work
        finally:
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)


def compose(
    options: Options, source: Source, report: ReportSink, log: Log, beside: Mapping[str, Work] | None = None
) -> Chaperone:
    """All parts of a chaperone, put together."""
    paths, news = Paths(options.run), asyncio.Event()
    ghost, statistics = GhostClient(paths.ghost_socket), Varnishstat(Path(options.varnishd), paths.workdir)
    program = Program(options.varnishd, paths, options.address, options.vmod_path)
    front_limits = limits(options.drain.deadline_seconds)
    front_program = FrontProgram(options.haproxy, FrontPaths(options.run), options.address, front_limits)
    front = Front(front_program, log, news.set)
    serving = Serving(program, ghost, statistics, log, news.set, options.drain, front)
    resolver = OutwardResolver(DnsResolver(), own_addresses()) if options.is_in_cluster else DnsResolver()
    names = NameWatch(resolver, news.set, log)
    parts = Parts(paths, serving, front, GhostReload(ghost, paths), VclReload(paths), names, report)
    rounds = Rounds(parts, log, is_told_elsewhere=options.is_told_elsewhere)
    web = Web(Observer(parts, rounds, ghost, statistics, source).pages())
    serve = partial(_serve_web, web, options.web_address, options.web_port, log)
    requests = RequestLogger(Path(options.varnishd), paths.workdir, lambda: serving.varnishd, log)
    return Chaperone(source, rounds, news, log, {"web": serve, "log of requests": requests.run, **(beside or {})})


async def _serve_web(web: Web, address: str, port: int, log: Log) -> None:
    """Without it the gateway serves on: the port may become free."""
    backoff = Backoff(first_seconds=1.0)
    while True:
        try:
            await web.serve(address, port)
        except OSError as error:
            place = listen_address(address, port)
            log.error("health and metrics are not served; tried again", address=place, reason=error.strerror)
        await asyncio.sleep(backoff.after(0))


def run(options: Options, state: Path, manifests: Path, log: Log) -> int:
    """The `run` command, from files. Its exit code."""

    async def chaperone() -> int:
        return await compose(options, FileSource(state, manifests), ReportFile(state), log).run()

    return _prepared(options, chaperone)


@dataclass(frozen=True)
class Place:
    """A gateway's pod: where in the cluster its objects are, and the pod.json that it was made with."""

    namespace: str
    config_map: str
    report: str
    pod: bytes
    is_pod: bool = True
    """A process that is none, on a machine of its user's, may send requests to that machine."""


def run_pod(options: Options, place: Place, server: Server, log: Log) -> int:
    """The `pod` command, from the API server. Its exit code."""

    async def chaperone() -> int:
        kube = KubeClient(server)
        may_lead_to = is_outward if place.is_pod else anywhere
        assembly = Assembly(place.config_map, place.pod)
        source = KubeSource(kube, place.namespace, assembly, log, may_lead_to=may_lead_to)
        report = KubeReport(kube, place.namespace, place.report, log)
        found = compose(options, source, report, log, {"report": report.deliver})
        source.in_effect = lambda: found.routing_in_effect
        try:
            return await found.run()
        finally:
            await kube.close()

    return _prepared(options, chaperone)


def _prepared(options: Options, chaperone: Callable[[], Coroutine[None, None, int]]) -> int:
    gc.set_threshold(COLLECT_AFTER)
    options.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    return asyncio.run(chaperone())
