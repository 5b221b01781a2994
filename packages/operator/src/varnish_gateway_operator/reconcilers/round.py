"""Rounds in a cluster: think about everything that is known, write what is not so yet."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import structlog

from varnish_gateway_common.terminal import counted
from varnish_gateway_operator.garbage import without_collection
from varnish_gateway_operator.kube.store import View
from varnish_gateway_operator.reconcilers.gateway import GatewayReconciler
from varnish_gateway_operator.reconcilers.httproute import HttpRouteReconciler
from varnish_gateway_operator.reconcilers.outcome import Outcome
from varnish_gateway_operator.sentence import sentence
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.telling import Teller, lines_of
from varnish_gateway_operator.times import text_of
from varnish_gateway_operator.translate import Memory, Options, Plan, translate
from varnish_gateway_operator.translate.patience import PATIENCE

log = structlog.get_logger()

STATUSES_SECONDS: Final = 0.5
"""Routes' statuses are written for so long; then it is looked whether something more urgent has changed."""

State = Literal["done", "more", "stuck"]
"""Nothing is left to do until something changes; there is more to be written; there is, but not now."""


@dataclass
class Rounds:
    """Two reconcilers at work on one plan."""

    routes: HttpRouteReconciler
    gateways: GatewayReconciler
    options: Options
    memory: Memory = field(default_factory=Memory)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    aside: Callable[[Callable[[], Plan]], Awaitable[Plan]] = asyncio.to_thread
    """Translation of 10,000 routes takes seconds, in which the Lease must be renewed: it has a thread of its own."""
    teller: Teller = field(default_factory=Teller)
    rounds: int = 0
    seconds: float = 0.0
    """Spent on thinking."""
    gateway_count: int = 0
    _plan: Plan | None = None
    _view: View | None = None
    _obstacles: Mapping[Key, str] = field(default_factory=dict)
    _forbidden_since: dict[Key, datetime] = field(default_factory=dict)
    _patience_ends: datetime | None = None
    """When missing rights are to be told of next, should they still be missing."""
    _is_complete: bool = False

    @property
    def changes_at(self) -> datetime | None:
        """When the time alone would make a difference."""
        moments = (self._plan.changes_at, self._patience_ends) if self._plan else ()
        return min((moment for moment in moments if moment), default=None)

    async def run(self, view: View) -> State:
        """One round. Raises KubeError."""
        plan = self._plan
        if plan is None or view is not self._view or not self._is_complete or self._is_due(plan):
            plan = await self._renew(view)
        now = text_of(self.clock())
        told, is_told = await self.gateways.write_statuses(plan, now)
        end = time.monotonic() + STATUSES_SECONDS
        more, is_all = await self.routes.write_statuses(plan, now, lambda: time.monotonic() > end)
        if told + more:
            log.info(f"wrote the status of {counted(told + more, 'object')}")
        if not (is_told and is_all) or self._plan is None:
            return "more"
        is_allowed = not (self.routes.statuses.forbidden or self.gateways.statuses.forbidden)
        return "done" if self._is_complete and is_allowed else "stuck"

    def _is_due(self, plan: Plan) -> bool:
        return plan.changes_at is not None and self.clock() >= plan.changes_at

    async def _renew(self, view: View) -> Plan:
        """Objects first: they are what traffic waits for."""
        self._plan = None
        began = self.clock()
        plan = await self.aside(lambda: self._translate(view))
        self.teller.tell(lines_of(plan.findings, view.unread))
        self.rounds, self.seconds = self.rounds + 1, self.seconds + (self.clock() - began).total_seconds()
        found = await asyncio.gather(self.routes.write_objects(plan, view), self.gateways.write_objects(plan, view))
        outcome = sum(found, Outcome())
        say = log.info if outcome.done else log.debug
        say(sentence(view.snapshot, plan, outcome.done))
        self.gateway_count, self._view, self._is_complete = len(plan.gateways), view, outcome.is_complete
        obstacles = outcome.obstacles | self._lasting(outcome.forbidden)
        if obstacles == self._obstacles:
            self._plan = plan
        else:
            self._tell(obstacles)  # and think again: they belong into the statuses
        return plan

    def _lasting(self, forbidden: Mapping[Key, str]) -> dict[Key, str]:
        """An API server that has just begun knows no rights yet: it is asked again for a while before this is told."""
        now = self.clock()
        self._forbidden_since = {key: self._forbidden_since.get(key, now) for key in forbidden}
        ends = {key: since + PATIENCE for key, since in self._forbidden_since.items()}
        self._patience_ends = min((end for end in ends.values() if end > now), default=None)
        return {key: text for key, text in forbidden.items() if ends[key] <= now}

    def _translate(self, view: View) -> Plan:
        with without_collection():
            return translate(
                view.snapshot, view.reports, self.options, self.memory, self.clock(), obstacles=self._obstacles
            )

    def _tell(self, obstacles: Mapping[Key, str]) -> None:
        """What stands in the way is told once."""
        for key, message in obstacles.items():
            if self._obstacles.get(key) != message:
                log.error(f"Gateway {'/'.join(key)}: {message}")
        self._obstacles = obstacles
