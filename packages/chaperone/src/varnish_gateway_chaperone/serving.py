"""The varnishd of one gateway: started, watched, started again after a crash, emptied and stopped."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from varnish_gateway_chaperone import drain
from varnish_gateway_chaperone.front import Front
from varnish_gateway_chaperone.haproxy.daemon import FrontError
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedPod
from varnish_gateway_chaperone.supervisor.supervised import Supervised
from varnish_gateway_chaperone.varnish.cli import CliError, CliRefusedError
from varnish_gateway_chaperone.varnish.daemon import PortInUseError, Program, StartError, Varnishd, ports_in_use
from varnish_gateway_chaperone.varnish.ghost import Ghost, GhostError
from varnish_gateway_chaperone.varnish.statistics import (
    DEATHS,
    Counters,
    Statistics,
    StatisticsError,
    deaths,
    live,
)
from varnish_gateway_chaperone.varnish.vcl import VclError
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.report import Refusal

SHORTEN_SECONDS: Final = 5.0
"""A VCL that is being compiled holds up varnishd's CLI; connections end without its help too."""
SESSIONS_POLL_SECONDS: Final = 0.1
EMPTY_LOOKS: Final = 3
"""A connection that a client has just opened may not be counted yet."""
ACTIVITY: Final = ("MEMPOOL.sess*.live", "MEMPOOL.req*.live", "MAIN.client_req")


@dataclass(frozen=True)
class DrainTimes:
    """How long leaving may take."""

    delay_seconds: float = 0.0
    deadline_seconds: float = 30.0


class Serving:
    """One varnishd at a time, for the newest pod.json that varnishd takes."""

    def __init__(
        self,
        program: Program,
        ghost: Ghost,
        statistics: Statistics,
        log: Log,
        wake: Callable[[], None],
        times: DrainTimes = DrainTimes(),
        front: Front | None = None,
    ) -> None:
        self._times = times
        self._front = front
        self._program = program
        self._ghost = ghost
        self._statistics = statistics
        self._log = log
        self._wake = wake
        self._one = Supervised[Varnishd]("varnishd", self._look, log, wake)
        self._refused_pod = ""
        self._awaited_since: float | None = None
        self._last_good: ParsedPod | None = None
        self.is_draining = False
        self.hasten = asyncio.Event()
        self._deaths = 0
        self._deaths_before = 0

    @property
    def varnishd(self) -> Varnishd | None:
        """The one that runs."""
        return self._one.current

    @property
    def refusal(self) -> Refusal | None:
        """Of the pod.json that varnishd does not start with."""
        return self._one.refusal

    @property
    def varnishd_restarts(self) -> int:
        """How often varnishd itself had to be started again."""
        return self._one.restarts

    @property
    def retry_seconds(self) -> float | None:
        """When to try again; None: nothing is due."""
        return self._one.retry_seconds

    @property
    def worker_restarts(self) -> int:
        """How often the process that serves died, by the accounts of this varnishd and of those before it."""
        return self._deaths_before + self._deaths

    def heard(self, counters: Counters) -> None:
        """What this varnishd says of itself: it starts its worker again before anybody else can see it gone."""
        self._deaths = max(self._deaths, deaths(counters))

    async def ensure(self, wanted: ParsedPod) -> Varnishd | None:
        """A varnishd for this pod.json, or for the last good one when varnishd refuses it; None: not now."""
        pod = self._last_good if self._last_good and wanted.digest == self._refused_pod else wanted
        if self.varnishd and not self.varnishd.is_running:
            await self._one.bury(self.varnishd)
            self._forget()
        if self.varnishd and self.varnishd.pod.digest != pod.digest:
            await self._replace(self.varnishd, pod)
        if self._one.is_due():
            await self._start(pod)
        return self.varnishd

    async def start_worker(self) -> bool:
        """Begin to serve; False when varnishd refuses the storage or the like, which only shows now.

        Raises VclError when it is the VCL that does not begin, and CliLostError.
        """
        varnishd = self.varnishd
        assert varnishd
        try:
            await varnishd.start_worker()
        except CliRefusedError as error:
            await self._abandon(varnishd)
            if "vcl" in error.message.lower():
                raise VclError(error.message.strip()) from error
            self._failed(varnishd.pod, StartError(varnishd.said))
            return False
        return True

    def confirm(self, wanted: ParsedPod) -> None:
        """This varnishd serves: its pod.json is good, and when it is the wanted one nothing is refused any more."""
        pod = self.varnishd.pod if self.varnishd else None
        if pod and pod.digest == wanted.digest:
            self._one.confirm()
            self._refused_pod = ""
        if pod and pod is not self._last_good:
            self._keep(pod)

    def remember(self, pod: ParsedPod) -> None:
        """The last good pod.json of a chaperone that ran here before."""
        self._last_good = pod

    async def end(self) -> None:
        """Empty varnishd without losing a request, and stop it."""
        if self.varnishd:
            await self._drain(self.varnishd, self._times.delay_seconds)

    async def lost(self, reason: str) -> None:
        """varnishd cannot be talked to any more: it is killed, and started again by the next `ensure`."""
        if self.varnishd:
            await self._one.lost(self.varnishd, reason)

    async def _abandon(self, varnishd: Varnishd) -> None:
        self._one.unwatch()
        await varnishd.kill()
        self._forget()

    def _forget(self) -> None:
        """This varnishd is gone; what it has counted is not."""
        self._one.current = None
        self._deaths_before, self._deaths = self.worker_restarts, 0

    async def _start(self, pod: ParsedPod) -> None:
        begun = time.monotonic()
        try:
            varnishd = await self._program.start(pod, self._log)
        except StartError as error:
            self._failed(pod, error)
            return
        self._log.debug("varnishd is up", milliseconds=round(1000 * (time.monotonic() - begun)))
        self._one.started(varnishd)

    def _keep(self, pod: ParsedPod) -> None:
        self._last_good = pod
        try:
            write_if_changed(self._program.paths.last_good_pod, pod.content)
        except OSError as error:
            self._log.warning("the last good pod.json could not be kept", reason=str(error))

    def _failed(self, pod: ParsedPod, error: StartError) -> None:
        """Another's port may become free; anything else is the pod.json's fault when there was a better one."""
        self._one.failed(pod.digest, str(error))
        if self._last_good and self._last_good.digest != pod.digest and not isinstance(error, PortInUseError):
            self._refused_pod = pod.digest
            self._one.at_once()

    async def _replace(self, varnishd: Varnishd, pod: ParsedPod) -> None:
        """Sockets, storage or arguments changed: only another varnishd can have them."""
        kept = {socket.port for socket in varnishd.pod.pod.sockets}
        taken = [port for port in ports_in_use(pod.pod.sockets, self._program.address) if port not in kept]
        if taken:
            self._one.failed(pod.digest, f"port {taken[0]} of {self._program.address} is in use by another process")
            return
        if self._front and not await self._is_taken(self._front, pod):
            return
        self._log.info("pod.json changed: varnishd is drained and started anew")
        await self._drain(varnishd, delay_seconds=0)
        self._one.at_once()

    async def _is_taken(self, front: Front, pod: ParsedPod) -> bool:
        """Whether HAProxy would start for it too: asked before what serves is stopped."""
        try:
            await front.check(pod.pod)
        except FrontError as error:
            self._one.refuse(pod.digest, str(error), 0.0)
            self._refused_pod = pod.digest
            return False
        return True

    async def _look(self, varnishd: Varnishd) -> None:
        """Notice when varnishd hangs, or has another process serve."""
        before = varnishd.worker
        try:
            is_other = await varnishd.look()
        except CliRefusedError as error:
            self._log.warning("varnishd does not say who serves", message=error.message)
            return
        except CliError as error:
            if varnishd.is_running:
                self._log.error("varnishd does not answer and is killed", reason=str(error))
                await varnishd.kill()
            return
        if is_other and before is not None:
            said = "died" if varnishd.worker is None else "is another one"
            self._log.warning(f"the process that serves {said}", before=before, now=varnishd.worker)
        if is_other:
            self._wake()
            self.heard(await self._counters(*DEATHS))

    async def _drain(self, varnishd: Varnishd, delay_seconds: float) -> None:
        has_front = bool(self._front and self._front.haproxy)
        plan = drain.steps(
            delay_seconds=delay_seconds, deadline_seconds=self._times.deadline_seconds, has_front=has_front
        )
        self._one.unwatch()
        begun = time.monotonic()
        self._awaited_since = None
        step = next(plan)
        while not isinstance(step, drain.Stop):
            await self._execute(step, varnishd)
            is_empty = not varnishd.is_running or varnishd.worker is None  # who serves nothing has nothing to drain
            step = plan.send(drain.Outcome(is_hastened=self.hasten.is_set() or is_empty))
        if self._front:
            await self._front.stop()
        await varnishd.stop()
        self._forget()
        self._log.info(f"drained varnishd in {time.monotonic() - begun:.1f} s")

    async def _execute(self, step: drain.Step, varnishd: Varnishd) -> None:
        """One step; what cannot be done is said, and the next one follows."""
        try:
            match step:
                case drain.ServeOn(seconds):
                    await self._pause(seconds)
                case drain.CloseConnections():
                    await self._ghost.drain()
                case drain.ShortenIdle(seconds):
                    async with asyncio.timeout(SHORTEN_SECONDS):
                        await varnishd.cli.command("param.set", "timeout_idle", str(seconds))
                case drain.StopFront() if self._front:
                    self._front.soft_stop()
                case drain.AwaitFront(seconds, quiet_seconds) if self._front:
                    self._awaited_since = time.monotonic()
                    await self._front.await_end(seconds, quiet_seconds, self.hasten)
                case drain.AwaitNoSessions():
                    await self._await_no_sessions(step)
        except (CliError, GhostError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            self._log.warning("a step of the drain failed", step=type(step).__name__, reason=reason)

    async def _await_no_sessions(self, step: drain.AwaitNoSessions) -> None:
        quiet_since = time.monotonic()
        end = (self._awaited_since or quiet_since) + step.seconds
        before = -1
        empty = 0
        while not self.hasten.is_set():
            counters = await self._counters(*ACTIVITY)
            now, requests = time.monotonic(), counters.get("MAIN.client_req", before)
            empty = empty + 1 if counters and not live(counters, "sess") else 0
            if empty == EMPTY_LOOKS:
                return
            if not counters or requests != before or live(counters, "req"):
                before, quiet_since = requests, now
            if now - quiet_since >= step.quiet_seconds:
                self._log.info(f"{live(counters, 'sess')} idle connections are closed")
                return
            if now >= end:
                self._log.warning(f"{live(counters, 'sess')} connections are cut: not ended within {step.seconds:g} s")
                return
            await self._pause(SESSIONS_POLL_SECONDS)

    async def _counters(self, *patterns: str) -> Counters:
        """Empty when varnishstat fails: what is not known is no reason to cut anything."""
        try:
            return await self._statistics.read(*patterns)
        except StatisticsError as error:
            self._log.debug("varnishd's counters cannot be read", reason=str(error))
            return {}

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody is in haste."""
        try:
            async with asyncio.timeout(seconds):
                await self.hasten.wait()
        except TimeoutError:
            pass
