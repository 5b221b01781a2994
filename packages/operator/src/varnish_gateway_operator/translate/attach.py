"""Where a route stands: decided here once, for every parentRef, and read off everywhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from varnish_gateway_operator.resources.httproute import HTTPRoute, ParentReference
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate import hostnames
from varnish_gateway_operator.translate.conditions import Condition, accepted, not_accepted
from varnish_gateway_operator.translate.listeners import GatewayVerdict, ListenerVerdict
from varnish_gateway_operator.translate.selectors import Labels, selects


@dataclass(frozen=True, slots=True)
class Attachment:
    """A route on a listener, under one of its hostnames, because of one of its parentRefs."""

    listener: ListenerVerdict
    hostname: str
    """The route's own; empty for any."""
    route: HTTPRoute
    parent_ref: ParentReference


@dataclass(frozen=True, slots=True)
class Parent:
    """What one parentRef to a Gateway of ours comes to."""

    ref: ParentReference
    gateway: Key
    accepted: Condition
    attachments: tuple[Attachment, ...]
    """On every listener that takes the route, those that are not accepted themselves included."""


def parents_of(
    route: HTTPRoute, gateways: Mapping[Key, GatewayVerdict], namespace_labels: Labels
) -> tuple[Parent, ...]:
    """One Parent for each parentRef that names a Gateway of ours."""
    found = []
    for ref in route.spec.parent_refs:
        gateway = (ref.namespace or route.namespace, ref.name)
        if (ref.group, ref.kind) == (GATEWAY_API, "Gateway") and gateway in gateways:
            found.append(_parent(route, ref, gateway, gateways[gateway], namespace_labels))
    return tuple(found)


def _parent(
    route: HTTPRoute, ref: ParentReference, key: Key, gateway: GatewayVerdict, namespace_labels: Labels
) -> Parent:
    """Narrow the listeners down, step by step; the step that leaves none names the reason."""
    steps: Sequence[tuple[str, str, Callable[[ListenerVerdict], bool]]] = (
        (
            "NoMatchingParent",
            f"no listener of Gateway {gateway.gateway.full_name} has {_wanted(ref)}",
            lambda listener: _is_named(ref, listener),
        ),
        (
            "NotAllowedByListeners",
            "no listener's allowedRoutes permit this kind of route from this namespace",
            lambda listener: _allows(listener, route, gateway.gateway.namespace, namespace_labels),
        ),
        (
            "NoMatchingListenerHostname",
            "no listener has a hostname that meets one of the route's",
            lambda listener: bool(hostnames.of_route_on(listener.hostname, route.spec.hostnames)),
        ),
    )
    left = gateway.listeners
    for reason, message, holds in steps:
        left = tuple(listener for listener in left if holds(listener))
        if not left:
            return Parent(ref, key, not_accepted(reason, message), ())
    attachments = tuple(
        Attachment(listener, hostname, route, ref)
        for listener in left
        for hostname in hostnames.of_route_on(listener.hostname, route.spec.hostnames)
    )
    return Parent(ref, key, _accepted(left), attachments)


def _accepted(listeners: Sequence[ListenerVerdict]) -> Condition:
    if any(listener.is_accepted for listener in listeners):
        return accepted()
    names = ", ".join(listener.listener.name for listener in listeners)
    return not_accepted(
        "NoMatchingParent", f"the Gateway's listeners that would take the route are not accepted: {names}"
    )


def _wanted(ref: ParentReference) -> str:
    name = f"the name {ref.section_name}" if ref.section_name else ""
    port = f"the port {ref.port}" if ref.port else ""
    return " and ".join(filter(None, (name, port))) or "a name"


def _is_named(ref: ParentReference, verdict: ListenerVerdict) -> bool:
    """ "When both Port and SectionName are specified, the name and port of the selected listener must match both."""
    listener = verdict.listener
    return ref.section_name in (None, listener.name) and ref.port in (None, listener.port)


def _allows(verdict: ListenerVerdict, route: HTTPRoute, own_namespace: str, namespace_labels: Labels) -> bool:
    if route.kind not in verdict.supported_kinds:
        return False
    allowed = verdict.listener.allowed_routes.namespaces
    if allowed.from_ == "Same":
        return route.namespace == own_namespace
    if allowed.from_ == "Selector":
        return selects(allowed.selector, namespace_labels)
    return allowed.from_ == "All"
