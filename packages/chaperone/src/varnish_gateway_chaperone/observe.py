"""The pages of a chaperone's web: what is asked for is gathered when it is asked for."""

from collections import Counter

from varnish_gateway_chaperone.haproxy.runtime import HaproxyError, info, statistics
from varnish_gateway_chaperone.inputs import Source
from varnish_gateway_chaperone.metrics import CONTENT_TYPE, VARNISH_COUNTERS, VARNISH_GAUGES, Facts, exposition
from varnish_gateway_chaperone.rounds import Parts, Rounds
from varnish_gateway_chaperone.varnish.ghost import Ghost, GhostError, Running
from varnish_gateway_chaperone.varnish.statistics import Statistics, StatisticsError
from varnish_gateway_common.web import COLLECT_SECONDS, Answer, Page, at_most_every


class Observer:
    """Answers from the parts as they are."""

    def __init__(self, parts: Parts, rounds: Rounds, ghost: Ghost, statistics: Statistics, source: Source) -> None:
        self._parts = parts
        self._rounds = rounds
        self._ghost = ghost
        self._statistics = statistics
        self._source = source

    def pages(self) -> dict[str, Page]:
        """Path -> page."""
        metrics = at_most_every(COLLECT_SECONDS, self.metrics)
        return {"/healthz": self.healthz, "/readyz": self.readyz, "/metrics": metrics}

    @property
    def is_ready(self) -> bool:
        """A good configuration serves, and this gateway is not leaving."""
        return self._rounds.is_serving and not self._parts.serving.is_draining

    async def healthz(self) -> Answer:
        """The chaperone itself lives; what it supervises is for it to heal, not for a restart of the pod."""
        return Answer(200, b"ok\n")

    async def readyz(self) -> Answer:
        """Whether requests should be sent here."""
        return Answer(200, b"ready\n") if self.is_ready else Answer(503, b"not ready\n")

    async def metrics(self) -> Answer:
        """Prometheus' text format."""
        return Answer(200, exposition(await self.facts()), CONTENT_TYPE)

    async def facts(self) -> Facts:
        """What is measured, now; what cannot be asked is left out."""
        parts, report = self._parts, self._rounds.report
        applied, varnishd = parts.ghost.applied, parts.serving.varnishd
        running = parts.ghost.running
        endpoints = applied.endpoints if applied else {}
        ghost, varnish = await self._ghost_now(), await self._varnish()
        parts.serving.heard(varnish)
        return Facts(
            gateway=varnishd.pod.pod.gateway if varnishd else "",
            is_ready=self.is_ready,
            is_draining=report.is_draining,
            passes_directly=report.passes_directly,
            reloads={"routing": parts.ghost.reloads, "vcl": parts.vcl.reloads, "haproxy": parts.front.reloads},
            refusals={
                "routing": parts.ghost.refusals,
                "vcl": parts.vcl.refusals,
                "certificates": parts.front.refusals,
            },
            restarts={
                "varnishd": parts.serving.varnishd_restarts,
                "worker": parts.serving.worker_restarts,
                "haproxy": parts.front.restarts,
            },
            rules=running.rules if running else 0,
            broken_rules=len(report.broken_rules),
            endpoints=dict(Counter(end.state for ends in endpoints.values() for end in ends)),
            requests=dict(ghost.requests),
            upstream=dict(ghost.upstream),
            varnish=varnish,
            certificate_updates=parts.front.updates,
            haproxy=await self._haproxy(),
            sockets=await self._sockets(),
            reach=self._source.reach,
        )

    async def _haproxy(self) -> dict[str, str]:
        haproxy = self._parts.front.haproxy
        try:
            return await info(haproxy.runtime) if haproxy else {}
        except HaproxyError:
            return {}

    async def _sockets(self) -> dict[str, dict[str, str]]:
        haproxy = self._parts.front.haproxy
        try:
            rows = await statistics(haproxy.runtime) if haproxy else []
        except HaproxyError:
            return {}
        return {row["pxname"]: row for row in rows if row["svname"] == "FRONTEND"}

    async def _ghost_now(self) -> Running:
        try:
            return await self._ghost.status()
        except GhostError:
            return Running()

    async def _varnish(self) -> dict[str, int]:
        try:
            return await self._statistics.read(*VARNISH_COUNTERS, *VARNISH_GAUGES)
        except StatisticsError:
            return {}
