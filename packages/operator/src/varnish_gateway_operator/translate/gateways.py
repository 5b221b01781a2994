"""Gateways with all their listeners: their own, then those of the ListenerSets that they allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.gateway import Gateway, Listener, ListenerSet
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.conditions import Condition, accepted, not_accepted
from varnish_gateway_operator.translate.listeners import (
    ListenerVerdict,
    Owner,
    accepted_of,
    conflicts_of,
    listener_verdict,
)
from varnish_gateway_operator.translate.precedence import NO_AGE
from varnish_gateway_operator.translate.selectors import Labels, selects


@dataclass(frozen=True)
class SetVerdict:
    """A ListenerSet that names a Gateway of ours."""

    listener_set: ListenerSet
    listeners: tuple[ListenerVerdict, ...] = ()
    problem: Condition | None = None
    """Why it is not attached; then it has no listeners."""


@dataclass(frozen=True)
class GatewayVerdict:
    """A Gateway of ours with its judged listeners."""

    gateway: Gateway
    listeners: tuple[ListenerVerdict, ...]
    """Its own."""
    sets: tuple[SetVerdict, ...] = ()
    """In their order of precedence."""

    @cached_property
    def all_listeners(self) -> tuple[ListenerVerdict, ...]:
        return (*self.listeners, *(verdict for each in self.sets for verdict in each.listeners))

    @cached_property
    def served(self) -> tuple[ListenerVerdict, ...]:
        """Those for which a socket is opened."""
        return tuple(verdict for verdict in self.all_listeners if verdict.is_accepted)


@dataclass(frozen=True)
class _Judged:
    """An owner's listeners, before it is known which ones of the others they overlap with."""

    owner: Owner
    conflicts: Mapping[str, Condition]
    accepted: Mapping[str, Condition]

    @property
    def served(self) -> list[Listener]:
        return [each for each in self.owner.spec.listeners if self.accepted[each.name] == accepted()]


def judge(
    gateways: Sequence[Gateway], sets: Sequence[ListenerSet], labels: Mapping[str, Labels], *, shares_host: bool
) -> Mapping[Key, GatewayVerdict]:
    """Every Gateway's verdict; with `shares_host`, a port belongs to the oldest Gateway that asks for it.

    `labels`: of namespaces.
    """
    by_gateway: dict[Key, list[ListenerSet]] = {}
    for each in sorted(sets, key=age):
        by_gateway.setdefault(each.gateway, []).append(each)
    taken: dict[int, str] = {}
    found: dict[Key, GatewayVerdict] = {}
    for gateway in sorted(gateways, key=age):
        verdict = _judge_gateway(gateway, by_gateway.get(gateway.key, ()), labels, taken if shares_host else {})
        taken.update((listener.listener.port, gateway.full_name) for listener in verdict.served)
        found[gateway.key] = verdict
    return {gateway.key: found[gateway.key] for gateway in gateways}


def age(resource: Resource) -> tuple[float, Key]:
    """Oldest first; those without creationTimestamp, as in a folder, are the youngest, by namespace and name."""
    created = resource.metadata.creation_timestamp
    return created.timestamp() if created else NO_AGE, resource.key


def _judge_gateway(
    gateway: Gateway, sets: Sequence[ListenerSet], labels: Mapping[str, Labels], taken: Mapping[int, str]
) -> GatewayVerdict:
    """ "Implementations MUST treat the parent Gateway as having the merged list of all listeners from itself and
    attached ListenerSets using the following precedence": the Gateway, then sets by age, then by name."""
    own = _judge_owner(gateway, (), taken)
    problems = {each.key: _not_attached(each, gateway, own, labels) for each in sets}
    judged = [own]
    for each in sets:
        if problems[each.key] is None:
            judged.append(_judge_owner(each, [listener for known in judged for listener in known.served], taken))
    https = [listener for each in judged for listener in each.served if listener.protocol == "HTTPS"]
    verdicts = {id(each.owner): _verdicts(each, https) for each in judged}
    return GatewayVerdict(
        gateway,
        verdicts[id(gateway)],
        tuple(SetVerdict(each, verdicts.get(id(each), ()), problems[each.key]) for each in sets),
    )


def _judge_owner(owner: Owner, earlier: Sequence[Listener], taken: Mapping[int, str]) -> _Judged:
    conflicts = conflicts_of(owner.spec.listeners, earlier)
    found = {
        listener.name: accepted_of(listener, conflicts.get(listener.name), taken.get(listener.port))
        for listener in owner.spec.listeners
    }
    return _Judged(owner, conflicts, found)


def _verdicts(judged: _Judged, https: Sequence[Listener]) -> tuple[ListenerVerdict, ...]:
    return tuple(
        listener_verdict(
            judged.owner, listener, judged.accepted[listener.name], judged.conflicts.get(listener.name), https
        )
        for listener in judged.owner.spec.listeners
    )


def _not_attached(
    listener_set: ListenerSet, gateway: Gateway, own: _Judged, labels: Mapping[str, Labels]
) -> Condition | None:
    """Why the Gateway does not take the set."""
    if not _allows(gateway, listener_set, labels.get(listener_set.namespace, {})):
        return not_accepted("NotAllowed", f"spec.allowedListeners of {gateway.title} does not permit it")
    if not own.served:
        return not_accepted("ParentNotAccepted", f"{gateway.title} is not accepted", is_consequence=True)
    return None


def _allows(gateway: Gateway, listener_set: ListenerSet, namespace_labels: Labels) -> bool:
    allowed = gateway.spec.allowed_listeners.namespaces
    if allowed.from_ == "Same":
        return listener_set.namespace == gateway.namespace
    if allowed.from_ == "Selector":
        return selects(allowed.selector, namespace_labels)
    return allowed.from_ == "All"
