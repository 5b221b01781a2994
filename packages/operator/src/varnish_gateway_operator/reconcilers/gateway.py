"""The Gateway reconciler: what a Gateway runs on, and what is said of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from varnish_gateway_common.kube.api import ConflictError, ForbiddenError, NotFoundError, path_of
from varnish_gateway_operator.kube.apply import Applier, identity_of, surplus
from varnish_gateway_operator.kube.reports import leftovers
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import View
from varnish_gateway_operator.reconcilers import httproute
from varnish_gateway_operator.reconcilers.outcome import Outcome, apply_all
from varnish_gateway_operator.translate.objects.shape import Identity
from varnish_gateway_operator.translate.plan import Plan

GONE_SECONDS: Final = 60.0
"""A pod that reported must have been missing for so long before its report is dropped: pods and reports are followed
apart, and either may lag behind."""


@dataclass
class GatewayReconciler:
    applier: Applier
    statuses: StatusWriter
    clock: Callable[[], float] = time.monotonic
    _missing_since: dict[tuple[Identity, str], float] = field(default_factory=dict)

    async def write_objects(self, plan: Plan, view: View) -> Outcome:
        """All that the plan wants of objects, and nothing else. Raises KubeError."""
        applied = await apply_all(self.applier, "gateway", plan, view)
        removed = await self._prune(plan, view)
        await self._drop_reports(view)
        return applied + removed

    async def write_statuses(self, plan: Plan, now: str) -> tuple[int, bool]:
        """How many, and whether that was all. Raises KubeError."""
        wanted = [status for key, status in plan.statuses.items() if key[0] not in httproute.KINDS]
        self.statuses.forget(plan.statuses)
        return await self.statuses.write(wanted, now)

    async def _prune(self, plan: Plan, view: View) -> Outcome:
        wanted = {identity_of(each.manifest) for gateway in plan.gateways.values() for each in gateway.owned}
        kept = wanted.union(*(gateway.kept for gateway in plan.gateways.values()))
        uids = {found.metadata.uid for found in view.snapshot.gateways.values() if found.metadata.uid}
        unread = {found.metadata.uid for found in view.snapshot.broken if found.metadata.uid} - uids
        self.applier.forget(wanted)
        outcome = Outcome()
        for live in surplus(view.own, kept, uids, unread):
            kind, namespace, name = identity_of(live)
            try:
                await self.applier.remove(live)
                outcome.done.append(f"removed {kind} {namespace}/{name}")
            except (ConflictError, ForbiddenError):
                outcome.is_complete = False
        return outcome

    async def _drop_reports(self, view: View) -> None:
        """Of pods that are gone."""
        now, found = self.clock(), set(leftovers(view.own))
        self._missing_since = {each: self._missing_since.get(each, now) for each in found}
        for (identity, pod), since in self._missing_since.items():
            if now - since >= GONE_SECONDS:
                path = path_of("v1", "configmaps", namespace=identity[1], name=identity[2])
                try:
                    self.applier.store.accept(await self.applier.kube.merge(path, {"data": {pod: None}}))
                except NotFoundError:
                    continue
