"""What a reconciler did, and what it could not do."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from varnish_gateway_common.kube.api import ConflictError, ForbiddenError, InvalidError
from varnish_gateway_operator.kube.apply import Applier, ForeignObjectError, identity_of
from varnish_gateway_operator.kube.store import View
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.plan import GatewayPlan, Manager, Plan

GATEWAYS_AT_ONCE: Final = 8


@dataclass
class Outcome:
    """Of one round."""

    done: list[str] = field(default_factory=list)
    """A phrase for each thing done."""
    obstacles: dict[Key, str] = field(default_factory=dict)
    """Gateway -> why an object of its could not be written, and cannot be before something else changes."""
    forbidden: dict[Key, str] = field(default_factory=dict)
    """The same for want of rights, which may come."""
    is_complete: bool = True
    """Whether there is nothing left to try again."""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.done + other.done,
            self.obstacles | other.obstacles,
            self.forbidden | other.forbidden,
            self.is_complete and other.is_complete,
        )


async def apply_all(applier: Applier, manager: Manager, plan: Plan, view: View) -> Outcome:
    """Every Gateway's objects of a manager. One Gateway's trouble is its own. Raises KubeError when the API server is
    not to be had."""
    gate = asyncio.Semaphore(GATEWAYS_AT_ONCE)

    async def limited(key: Key, gateway: GatewayPlan) -> Outcome:
        async with gate:
            return await _apply(applier, manager, key, gateway, view)

    found = await asyncio.gather(*(limited(key, gateway) for key, gateway in plan.gateways.items()))
    return sum(found, Outcome())


async def _apply(applier: Applier, manager: Manager, key: Key, gateway: GatewayPlan, view: View) -> Outcome:
    outcome, written = Outcome(), []
    for owned in gateway.owned:
        identity = identity_of(owned.manifest)
        if owned.manager != manager or _is_leaving(key, identity[1], view.snapshot):
            continue
        try:
            if await applier.bring(owned, view.own.get(identity)):
                written.append(identity[0] if identity[0] != "ConfigMap" else f"ConfigMap {identity[2]}")
        except (ForeignObjectError, ForbiddenError, InvalidError) as error:
            found = outcome.forbidden if isinstance(error, ForbiddenError) else outcome.obstacles
            found.setdefault(key, f"{identity[0]} {identity[2]}: {error}")
            outcome.is_complete = False
        except ConflictError:
            outcome.is_complete = False
    if written:
        outcome.done.append(f"applied {', '.join(written)} of {'/'.join(key)}")
    return outcome


def _is_leaving(gateway: Key, namespace: str, snapshot: Snapshot) -> bool:
    """Whether the Gateway or the object's namespace is being deleted: what Kubernetes removes is not to be repaired."""
    concerned = snapshot.gateways.get(gateway), snapshot.namespaces.get(("", namespace))
    return any(each is not None and each.metadata.deletion_timestamp is not None for each in concerned)
