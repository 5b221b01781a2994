"""What a reconciler did, and what it could not do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from varnish_gateway_common.kube.api import ConflictError, ForbiddenError, InvalidError, Json
from varnish_gateway_operator.kube.apply import Applier, ForeignObjectError, identity_of
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.objects.shape import Identity
from varnish_gateway_operator.translate.plan import GatewayPlan, Manager, Plan

GATEWAYS_AT_ONCE: Final = 8


@dataclass
class Outcome:
    """Of one round."""

    done: list[str] = field(default_factory=list)
    """A phrase for each thing done."""
    obstacles: dict[Key, str] = field(default_factory=dict)
    """Gateway -> why an object of its could not be written, and cannot be before something else changes."""
    is_complete: bool = True
    """Whether there is nothing left to try again."""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.done + other.done, self.obstacles | other.obstacles, self.is_complete and other.is_complete)


async def apply_all(applier: Applier, manager: Manager, plan: Plan, own: Mapping[Identity, Json]) -> Outcome:
    """Every Gateway's objects of a manager. One Gateway's trouble is its own. Raises KubeError when the API server is
    not to be had."""
    gate = asyncio.Semaphore(GATEWAYS_AT_ONCE)

    async def limited(key: Key, gateway: GatewayPlan) -> Outcome:
        async with gate:
            return await _apply(applier, manager, key, gateway, own)

    found = await asyncio.gather(*(limited(key, gateway) for key, gateway in plan.gateways.items()))
    return sum(found, Outcome())


async def _apply(
    applier: Applier, manager: Manager, key: Key, gateway: GatewayPlan, own: Mapping[Identity, Json]
) -> Outcome:
    outcome, written = Outcome(), []
    for owned in gateway.owned:
        if owned.manager != manager:
            continue
        identity = identity_of(owned.manifest)
        try:
            if await applier.bring(owned, own.get(identity)):
                written.append(identity[0] if identity[0] != "ConfigMap" else f"ConfigMap {identity[2]}")
        except (ForeignObjectError, ForbiddenError, InvalidError) as error:
            outcome.obstacles.setdefault(key, f"{identity[0]} {identity[2]}: {error}")
            outcome.is_complete = False
        except ConflictError:
            outcome.is_complete = False
    if written:
        outcome.done.append(f"applied {', '.join(written)} of {'/'.join(key)}")
    return outcome
