"""One round: the newest inputs are made to serve, and what was done is said in one sentence."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from varnish_gateway_chaperone.desired import Desired
from varnish_gateway_chaperone.dns import NameWatch
from varnish_gateway_chaperone.front import Front
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths
from varnish_gateway_chaperone.haproxy.daemon import last_good
from varnish_gateway_chaperone.inputs import Inputs, Slice
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import DocumentError, Merged, merged_of, parse_pod
from varnish_gateway_chaperone.reload import GhostReload, VclReload
from varnish_gateway_chaperone.report import ReportSink, pod_name
from varnish_gateway_chaperone.serving import Serving
from varnish_gateway_chaperone.supervisor.tree import Backoff
from varnish_gateway_chaperone.unserved import unserved_of
from varnish_gateway_chaperone.varnish.arguments import Paths
from varnish_gateway_chaperone.varnish.cli import CliLostError, CliRefusedError
from varnish_gateway_chaperone.varnish.daemon import Varnishd
from varnish_gateway_chaperone.varnish.ghost import GhostLostError
from varnish_gateway_chaperone.varnish.vcl import VclError
from varnish_gateway_common.report import BrokenRule, Refusal, Report, UnservedService
from varnish_gateway_common.terminal import counted

PATIENCE_SECONDS: Final = 1.0
"""A process that just started may not answer for so long before it is worth a line."""


@dataclass
class Parts:
    """What a round works with."""

    paths: Paths
    serving: Serving
    front: Front
    ghost: GhostReload
    vcl: VclReload
    names: NameWatch
    report: ReportSink


class Rounds:
    """Rounds, one after the other, and what they have brought about so far."""

    def __init__(self, parts: Parts, log: Log, *, is_told_elsewhere: bool = False) -> None:
        """`is_told_elsewhere`: whoever reads the report says what is refused, in the user's own lines."""
        self.parts = parts
        self._is_told_elsewhere = is_told_elsewhere
        self._log = log
        self._desired = Desired()
        self._backoff = Backoff(first_seconds=0.02, cap_seconds=5.0)
        self._retry_seconds: float | None = None
        self._worker: int | None = None
        self._said: frozenset[Refusal] = frozenset()
        self._said_broken: tuple[BrokenRule, ...] = ()
        self._unserved: tuple[UnservedService, ...] = ()
        self._unserved_of: tuple[Merged | None, tuple[Slice, ...] | None] = (None, None)
        self._is_first = True

    async def round(self, inputs: Inputs) -> None:
        """Take the inputs as far as they go now; what the world refuses for the moment is tried again."""
        self._take(inputs)
        try:
            await self._serve()
            self._retry_seconds = None
            self._backoff.reset()
        except CliLostError as error:
            await self.parts.serving.lost(str(error))
        except CliRefusedError as error:
            self._postpone("varnishd refuses a command", error.message)
        except GhostLostError as error:
            self._postpone("ghost is not reached", str(error))
        except OSError as error:
            self._postpone("a file could not be written", str(error), patience_seconds=0)
        self.publish()

    @property
    def retry_seconds(self) -> float | None:
        """When the next round is due without any news; None: never."""
        due = [after for after in (self._retry_seconds, *self._due_of_parts) if after is not None]
        return min(due, default=None)

    @property
    def is_serving(self) -> bool:
        """Whether a good configuration serves: not necessarily the newest."""
        varnishd = self.parts.serving.varnishd
        is_up = varnishd is not None and varnishd.is_running and varnishd.worker is not None
        is_whole = is_up and varnishd is not None and self.parts.front.serves(varnishd.pod.pod)
        return is_whole and self.parts.ghost.applied is not None

    @property
    def _due_of_parts(self) -> tuple[float | None, ...]:
        if self.parts.serving.is_draining:
            return ()  # nothing is started any more
        return self.parts.serving.retry_seconds, self.parts.front.retry_seconds

    @property
    def report(self) -> Report:
        """What runs now."""
        parts = self.parts
        varnishd, applied = parts.serving.varnishd, parts.ghost.applied
        return Report(
            version=1,
            pod=pod_name(),
            is_serving=self.is_serving,
            is_draining=parts.serving.is_draining,
            pod_digest=varnishd.pod.digest if varnishd else "",
            routing_digest=applied.routing.digest if applied else "",
            vcl_digest=varnishd.vcls.active_digest if varnishd else "",
            passes_directly=varnishd.vcls.passes_directly if varnishd else False,
            certificates_digest=parts.front.certificates_digest,
            refusals=self._refusals,
            broken_rules=parts.ghost.running.broken if parts.ghost.running else (),
            unserved=self._unserved,
        )

    def publish(self) -> None:
        """Log what is new, write the report."""
        self._say_refusals()
        self._say_broken()
        self._say_unserved()
        try:
            self.parts.report.write(self.report)
        except OSError as error:
            self._postpone("report.json could not be written", str(error), patience_seconds=0)

    def _take(self, inputs: Inputs) -> None:
        self._desired.take(inputs)
        if self._is_first:
            self._is_first = False
            self._adopt()
        routing, applied = self._desired.routing.good, self.parts.ghost.applied
        served = applied.routing.hostnames if applied else frozenset()
        self.parts.names.want(served | routing.hostnames if routing else served)

    def _adopt(self) -> None:
        """What a chaperone that ran here before left as last good stands in for documents that are not good now."""
        paths, pod, routing = self.parts.paths, self._desired.pod, self._desired.routing
        with suppress(OSError, DocumentError):
            found = parse_pod(paths.last_good_pod.read_bytes())
            self.parts.serving.remember(found)
            pod.good = pod.good or found
        if self._desired.certificates.good is None:
            with suppress(OSError, DocumentError):
                self._desired.certificates.good = last_good(FrontPaths(paths.run))
        if routing.good is None:
            with suppress(OSError, DocumentError):
                routing.good = merged_of(paths.ghost.read_bytes()).routing

    async def _serve(self) -> None:
        parts, desired = self.parts, self._desired
        if parts.serving.is_draining:
            await self._follow()
            return
        merged = self._merged()
        pod = desired.pod.good
        varnishd = await parts.serving.ensure(pod) if pod else None
        self._notice_worker(varnishd)
        if merged and self._worker is None:
            parts.ghost.seed(merged)
        if varnishd is None:
            return
        if self._worker is not None:
            await self._reload_ghost()
        await self._reload_vcl(varnishd)
        if self._worker is not None:
            self._confirm()
        if self._worker is None and varnishd.vcls.active_digest and parts.ghost.has_file:
            await self._start_worker(varnishd)
        if self._worker is not None:
            await parts.front.ensure(varnishd.pod, desired.certificates.good)

    async def _follow(self) -> None:
        """While leaving, what still serves goes on following its endpoints; nothing is started or stopped."""
        if self._worker is not None and self.parts.serving.varnishd:
            await self._reload_ghost()

    def _merged(self) -> Merged | None:
        """The newest routing that ghost takes, with the newest endpoints."""
        routing = self._desired.routing.good
        if routing is None:
            return None
        return self._desired.merged(self.parts.ghost.choose(routing), self.parts.names.addresses)

    def _notice_worker(self, varnishd: Varnishd | None) -> None:
        """Another process serves: what ghost runs there is to be asked."""
        worker = varnishd.worker if varnishd else None
        if worker != self._worker:
            self._worker = worker
            self.parts.ghost.forget()

    async def _start_worker(self, varnishd: Varnishd) -> None:
        try:
            if not await self.parts.serving.start_worker():
                return
        except VclError as error:
            self.parts.vcl.refuse(varnishd.vcls.active_digest, str(error))
            return
        self._notice_worker(varnishd)
        self._confirm()
        await self._reload_ghost()

    def _confirm(self) -> None:
        """What serves is good: it is kept for a start that finds nothing better."""
        self.parts.vcl.confirm()
        if self._desired.pod.good:
            self.parts.serving.confirm(self._desired.pod.good)

    async def _reload_ghost(self) -> None:
        """The newest routing; when ghost refuses it, the last one that it took with the newest endpoints."""
        merged = self._merged()
        if merged is None:
            await self.parts.ghost.adopt()
            return
        await self._apply(merged)
        if (fallback := self._merged()) and fallback.routing is not merged.routing:
            await self._apply(fallback)

    async def _apply(self, merged: Merged) -> None:
        begun = time.perf_counter()
        if await self.parts.ghost.apply(merged):
            running = self.parts.ghost.running
            rules, endpoints = (running.rules, running.endpoints) if running else (0, 0)
            what = f"{counted(rules, 'rule')}, {counted(endpoints, 'endpoint')}"
            what = f"reloaded routing {merged.routing.digest[:4]}…: {what}"
            self._log.info(f"{what} in {_milliseconds(begun)} ms")

    async def _reload_vcl(self, varnishd: Varnishd) -> None:
        begun = time.perf_counter()
        if await self.parts.vcl.apply(varnishd.vcls, self._desired.vcl, self._desired.last_good_vcl):
            passes = "direct" if varnishd.vcls.passes_directly else "by Varnish's fetch"
            what = f"VCL {varnishd.vcls.active_digest[:4]}… is in use after {_milliseconds(begun)} ms"
            self._log.info(f"{what}, passes are {passes}")

    def _postpone(self, what: str, reason: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._retry_seconds = self._backoff.after(0)
        say = self._log.warning if self._retry_seconds >= patience_seconds else self._log.debug
        say(f"{what}; tried again", reason=reason, delay_seconds=self._retry_seconds)

    @property
    def _refusals(self) -> tuple[Refusal, ...]:
        parts = self.parts
        front = parts.front
        applied = (
            parts.serving.refusal,
            front.refusal,
            parts.ghost.refusal,
            parts.vcl.refusal,
            front.certificates_refusal,
        )
        return self._desired.refusals + parts.ghost.unusable + tuple(refusal for refusal in applied if refusal)

    def _say_refusals(self) -> None:
        refusals = frozenset(self._refusals)
        for refusal in sorted(refusals - self._said, key=lambda refusal: (refusal.input, refusal.message)):
            if refusal.input == "endpoints":
                self._log.warning("endpoints are refused", message=refusal.message)
            else:
                kept = "what was good before serves" if self.is_serving else "nothing serves"
                say = self._log.debug if self._is_told_elsewhere else self._log.error
                say(f"{refusal.input} is refused, {kept}", message=refusal.message)
        self._said = refusals

    def _say_broken(self) -> None:
        running = self.parts.ghost.running
        if running and running.broken != self._said_broken:
            for broken in set(running.broken) - set(self._said_broken):
                where = {"route": broken.route, "rule": broken.index}
                say = self._log.debug if self._is_told_elsewhere else self._log.warning
                say("a rule does not compile", **where, reason=broken.reason)
            self._said_broken = running.broken

    def _say_unserved(self) -> None:
        """Services that have no ready endpoint, as far as ghost knows."""
        applied, slices = self.parts.ghost.applied, self._desired.slices
        if self._unserved_of[0] is applied and self._unserved_of[1] is slices:
            return
        self._unserved_of = applied, slices
        before, self._unserved = self._unserved, unserved_of(applied, slices) if applied and slices is not None else ()
        for each in self._unserved:
            if each not in before:
                self._log.warning(f"Service {each.service} has no ready endpoint: {each.reason}")
        still = {each.service for each in self._unserved}
        for each in before:
            if applied and each.service in applied.endpoints and each.service not in still:
                self._log.info(f"mended: Service {each.service} has a ready endpoint")


def _milliseconds(begun: float) -> int:
    return round(1000 * (time.perf_counter() - begun))
