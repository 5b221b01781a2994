"""What is said of objects that cannot be read. What they were before is translated as ever."""

from collections.abc import Collection, Iterable, Iterator

from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.attach import Parent, Places, named_places
from varnish_gateway_operator.translate.conditions import not_accepted, not_programmed
from varnish_gateway_operator.translate.set_status import CONDITIONS as SET_CONDITIONS
from varnish_gateway_operator.translate.status import (
    GATEWAY_CONDITIONS,
    ObjectStatus,
    UnreadPlaces,
    has_own_entry,
    merged,
    route_status,
)


def unread_places(snapshot: Snapshot, places: Places, classes: Collection[str]) -> UnreadPlaces:
    """Gateways that may be ours, of which there is not even what they were before, and their ListenerSets.

    They serve what they have, and so what their routes are told of them stays.
    """
    gateways = {
        each.key
        for each in snapshot.broken
        if each.kind == "Gateway" and ("Gateway", *each.key) not in places and not each.metadata.deletion_timestamp
        if each.spec.gateway_class_name in {*classes, ""}
    }
    good = {each.key for each in snapshot.listener_sets.values() if each.gateway in gateways}
    sets = good | {each.key for each in snapshot.broken if each.gateway in gateways}
    return frozenset({("Gateway", *key) for key in gateways} | {("ListenerSet", *key) for key in sets})


def refused_statuses(
    found: Iterable[Broken], places: Places, classes: Collection[str], unread: UnreadPlaces
) -> Iterator[ObjectStatus]:
    """For those that concern a Gateway of ours. `classes`: ours."""
    for each in found:
        if each.kind == "Gateway" and each.spec.gateway_class_name in classes:
            yield _status(each, GATEWAY_CONDITIONS)
        elif each.kind == "ListenerSet" and {("Gateway", *each.gateway), ("ListenerSet", *each.key)} & places.keys():
            yield _status(each, SET_CONDITIONS)
        elif each.kind == "HTTPRoute":
            refused = not_accepted("UnsupportedValue", each.problem)
            parents = [Parent(ref, place.gateway, refused, ()) for ref, place in named_places(each, places)]
            if parents or has_own_entry(each):
                yield route_status(each, [(parent, [parent.accepted]) for parent in parents], unread)


def _status(broken: Broken, types: Collection[str]) -> ObjectStatus:
    """Of its listeners and addresses nothing is said anew. `types`: of the conditions that are ours."""
    conditions = (not_accepted("Invalid", broken.problem), not_programmed("Invalid", broken.problem))
    return ObjectStatus(broken, {"conditions": merged(conditions, broken, types, broken.status)})
