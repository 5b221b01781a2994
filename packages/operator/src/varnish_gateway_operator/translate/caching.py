"""Statuses of cache policies and invalidations: accepted as manifests, and told that they have no effect yet."""

from collections.abc import Iterator
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.cache import VarnishCacheInvalidation, VarnishCachePolicy
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.conditions import Condition, not_accepted
from varnish_gateway_operator.translate.status import ObjectStatus, is_ours

POLICY: Final = "cache policies have no effect in this version: nothing is cached"
INVALIDATION: Final = "invalidations are not carried out by this version"


def caching_statuses(snapshot: Snapshot) -> Iterator[ObjectStatus]:
    """Of every policy and invalidation; this is the only controller of their group."""
    yield from (_policy_status(policy, snapshot) for policy in snapshot.cache_policies.values())
    yield from (_invalidation_status(each) for each in snapshot.cache_invalidations.values())


def _policy_status(policy: VarnishCachePolicy, snapshot: Snapshot) -> ObjectStatus:
    """Others' entries as they were, then ours."""
    own = {
        "ancestorRef": policy.spec.target_ref.model_dump(by_alias=True, exclude_none=True),
        "controllerName": names.CONTROLLER_NAME,
        "conditions": [_accepted(policy, snapshot).to_json(policy.metadata.generation or 1)],
    }
    before = policy.status.get("ancestors") if isinstance(policy.status, dict) else None
    others = [each for each in before if not is_ours(each)] if isinstance(before, list) else []
    return ObjectStatus(policy, {"ancestors": [*others, own]})


def _accepted(policy: VarnishCachePolicy, snapshot: Snapshot) -> Condition:
    target = policy.spec.target_ref
    known = {"Gateway": snapshot.gateways, "HTTPRoute": snapshot.http_routes}.get(target.kind)
    if target.group != GATEWAY_API or known is None:
        kind = f"{named(target.group)}/{named(target.kind)}"
        return not_accepted("Invalid", f"{kind} is neither a Gateway nor an HTTPRoute")
    if (policy.namespace, target.name) not in known:
        return not_accepted("TargetNotFound", f"{target.kind} {policy.namespace}/{target.name} does not exist")
    return not_accepted("NotSupported", POLICY)


def _invalidation_status(found: VarnishCacheInvalidation) -> ObjectStatus:
    """One that was carried out by something else stays as it is."""
    status = found.status if isinstance(found.status, dict) else {}
    if status.get("phase") in ("Complete", "Failed"):
        return ObjectStatus(found, status)
    return ObjectStatus(found, {**status, "phase": "Pending", "message": INVALIDATION})
