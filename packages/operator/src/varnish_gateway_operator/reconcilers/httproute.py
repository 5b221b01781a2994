"""The HTTPRoute reconciler: what is routed where, and what is said of it to the routes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from varnish_gateway_operator.kube.apply import Applier
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import View
from varnish_gateway_operator.reconcilers.outcome import Outcome, apply_all
from varnish_gateway_operator.translate.plan import Plan

KINDS: Final = frozenset({"HTTPRoute"})


@dataclass
class HttpRouteReconciler:
    applier: Applier
    statuses: StatusWriter

    async def write_objects(self, plan: Plan, view: View) -> Outcome:
        """routing.json, or its parts and their index. Raises KubeError."""
        return await apply_all(self.applier, "httproute", plan, view)

    async def write_statuses(self, plan: Plan, now: str, is_late: Callable[[], bool]) -> tuple[int, bool]:
        """As many as can be until it `is_late`: how many, and whether that was all. Raises KubeError."""
        wanted = [status for key, status in plan.statuses.items() if key[0] in KINDS]
        self.statuses.forget(plan.statuses)
        return await self.statuses.write(wanted, now, is_late=is_late)
