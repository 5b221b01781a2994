"""Where a route stands: decided here once, for every parentRef, and read off everywhere else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.resources.httproute import HTTPRoute, ParentReference
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate import hostnames
from varnish_gateway_operator.translate.conditions import Condition, accepted, not_accepted
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.listeners import SUPPORTED_KINDS, ListenerVerdict
from varnish_gateway_operator.translate.selectors import Labels, selects

MOST_NAMED: Final = 10
"""Of listeners, in a message."""
NAME: Final = "name"
HOSTNAMES: Final = "spec.hostnames"
"""Fields that are to blame: of the parentRef, or of the route."""


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
            place = Place(owner.title, key, owner.namespace, listeners)
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
    named_ones = [listener for listener in place.listeners if _is_named(ref, listener)]
    if not place.listeners:
        message = f"{place.title} is not attached to its Gateway"
        return Parent(ref, key, not_accepted("NoMatchingParent", message, is_consequence=True), ())
    if not named_ones:
        return Parent(ref, key, not_accepted("NoMatchingParent", _no_listener(ref, place), field=_narrowing(ref)), ())
    allowed = [listener for listener in named_ones if _allows(listener, route, place.namespace, namespace_labels)]
    if not allowed:
        return Parent(ref, key, _not_allowed(route, place, named_ones), ())
    attachments = tuple(
        Attachment(listener, hostname, route, ref)
        for listener in allowed
        for hostname in hostnames.of_route_on(listener.hostname, route.spec.hostnames)
    )
    if not attachments:
        theirs = ", ".join(dict.fromkeys(named(listener.hostname) for listener in allowed[:MOST_NAMED]))
        message = f"no listener has a hostname that meets one of the route's; {place.title} has {theirs}"
        return Parent(ref, key, not_accepted("NoMatchingListenerHostname", message, field=HOSTNAMES), ())
    return Parent(ref, key, _accepted([attachment.listener for attachment in attachments]), attachments)


def _accepted(listeners: Sequence[ListenerVerdict]) -> Condition:
    if any(listener.is_accepted for listener in listeners):
        return accepted()
    names = ", ".join(dict.fromkeys(named(listener.listener.name) for listener in listeners))
    message = f"the listeners that would take the route are not accepted: {names}"
    return not_accepted("NoMatchingParent", message, is_consequence=True)


def _not_allowed(route: HTTPRoute, place: Place, listeners: Sequence[ListenerVerdict]) -> Condition:
    """By namespace or by kind; a listener of an unknown protocol takes nothing, whatever it allows."""
    if not any(listener.listener.protocol in SUPPORTED_KINDS for listener in listeners):
        return _accepted(listeners)
    of_kind = [listener for listener in listeners if route.kind in listener.supported_kinds]
    if not of_kind:
        message = f"allowedRoutes.kinds of {_listed(listeners)} of {place.title} do not have {route.kind}"
        return not_accepted("NotAllowedByListeners", message, field=NAME)
    asked = ", ".join(
        dict.fromkeys(named(listener.listener.allowed_routes.namespaces.from_) for listener in of_kind[:MOST_NAMED])
    )
    message = (
        f"allowedRoutes.namespaces of {_listed(of_kind)} of {place.title} do not permit routes "
        f"of namespace {named(route.namespace)}: from is {asked}"
    )
    return not_accepted("NotAllowedByListeners", message, field=NAME)


def _listed(listeners: Sequence[ListenerVerdict]) -> str:
    names = ", ".join(named(listener.listener.name) for listener in listeners[:MOST_NAMED])
    return f"listener {names}" if len(listeners) == 1 else f"listeners {names}"


def _no_listener(ref: ParentReference, place: Place) -> str:
    theirs = ", ".join(
        f"{named(each.listener.name)} (port {each.listener.port})" for each in place.listeners[:MOST_NAMED]
    )
    return f"no listener of {place.title} has {_wanted(ref)}; it has {theirs}"


def _narrowing(ref: ParentReference) -> str:
    return "sectionName" if ref.section_name else "port"


def _wanted(ref: ParentReference) -> str:
    name = f"the name {named(ref.section_name)}" if ref.section_name else ""
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
