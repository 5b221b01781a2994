"""Where a route stands: decided here once, for every parentRef, and read off everywhere else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.resources.httproute import HTTPRoute, ParentReference
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate import hostnames
from varnish_gateway_operator.translate.conditions import Condition, accepted, not_accepted
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.listeners import ListenerVerdict
from varnish_gateway_operator.translate.selectors import Labels, selects


class Attachment(NamedTuple):
    """A route on a listener, under one of its hostnames, because of one of its parentRefs."""

    listener: ListenerVerdict
    hostname: str
    """The route's own; empty for any."""
    route: HTTPRoute
    parent_ref: ParentReference


class Parent(NamedTuple):
    """What one parentRef to a Gateway of ours comes to."""

    ref: ParentReference
    gateway: Key
    accepted: Condition
    attachments: tuple[Attachment, ...]
    """On every listener that takes the route, those that are not accepted themselves included."""


class Place(NamedTuple):
    """What a parentRef can name: a Gateway of ours, or a ListenerSet of one."""

    title: str
    gateway: Key
    namespace: str
    listeners: tuple[ListenerVerdict, ...]


Places = Mapping[tuple[str, str, str], Place]
"""By kind, namespace and name."""


def places_of(gateways: Iterable[GatewayVerdict]) -> Places:
    """Every place there is; a Gateway's own does not have the listeners of its sets."""
    found: dict[tuple[str, str, str], Place] = {}
    for verdict in gateways:
        key = verdict.gateway.key
        for owner, listeners in (
            (verdict.gateway, verdict.listeners),
            *((each.listener_set, each.listeners) for each in verdict.sets),
        ):
            place = Place(f"{owner.kind} {owner.full_name}", key, owner.namespace, listeners)
            found[owner.kind, owner.namespace, owner.name] = place
    return found


def parents_of(route: HTTPRoute, places: Places, namespace_labels: Labels) -> tuple[Parent, ...]:
    """One Parent for each parentRef that names a place of ours."""
    return tuple(_parent(route, ref, place, namespace_labels) for ref, place in named_places(route, places))


def named_places(route: HTTPRoute | Broken, places: Places) -> Iterator[tuple[ParentReference, Place]]:
    """The parentRefs that name a place of ours."""
    for ref in route.spec.parent_refs:
        place = places.get((ref.kind, ref.namespace or route.namespace, ref.name))
        if ref.group == GATEWAY_API and place:
            yield ref, place


def _parent(route: HTTPRoute, ref: ParentReference, place: Place, namespace_labels: Labels) -> Parent:
    """Narrow the listeners down, step by step; the step that leaves none names the reason."""
    key = place.gateway
    named = [listener for listener in place.listeners if _is_named(ref, listener)]
    if not place.listeners:
        message = f"{place.title} is not attached to its Gateway"
        return Parent(ref, key, not_accepted("NoMatchingParent", message), ())
    if not named:
        message = f"no listener of {place.title} has {_wanted(ref)}"
        return Parent(ref, key, not_accepted("NoMatchingParent", message), ())
    allowed = [listener for listener in named if _allows(listener, route, place.namespace, namespace_labels)]
    if not allowed:
        message = "no listener's allowedRoutes permit this kind of route from this namespace"
        return Parent(ref, key, not_accepted("NotAllowedByListeners", message), ())
    attachments = tuple(
        Attachment(listener, hostname, route, ref)
        for listener in allowed
        for hostname in hostnames.of_route_on(listener.hostname, route.spec.hostnames)
    )
    if not attachments:
        message = "no listener has a hostname that meets one of the route's"
        return Parent(ref, key, not_accepted("NoMatchingListenerHostname", message), ())
    return Parent(ref, key, _accepted(attachments), attachments)


def _accepted(attachments: Sequence[Attachment]) -> Condition:
    if any(attachment.listener.is_accepted for attachment in attachments):
        return accepted()
    names = ", ".join(dict.fromkeys(attachment.listener.listener.name for attachment in attachments))
    return not_accepted("NoMatchingParent", f"the listeners that would take the route are not accepted: {names}")


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
