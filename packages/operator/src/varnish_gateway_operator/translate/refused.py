"""What is said of objects that cannot be read. What they were before is translated as ever."""

from collections.abc import Collection, Iterable, Iterator

from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.translate.attach import Parent, Places, named_places
from varnish_gateway_operator.translate.conditions import not_accepted, not_programmed
from varnish_gateway_operator.translate.status import (
    GATEWAY_CONDITIONS,
    ObjectStatus,
    has_own_entry,
    merged,
    route_status,
)


def refused_statuses(found: Iterable[Broken], places: Places, classes: Collection[str]) -> Iterator[ObjectStatus]:
    """For those that concern a Gateway of ours. `classes`: ours."""
    for each in found:
        if each.kind == "Gateway" and each.spec.gateway_class_name in classes:
            yield _gateway(each)
        elif each.kind == "HTTPRoute":
            refused = not_accepted("UnsupportedValue", each.problem)
            parents = [Parent(ref, place.gateway, refused, ()) for ref, place in named_places(each, places)]
            if parents or has_own_entry(each):
                yield route_status(each, [(parent, [parent.accepted]) for parent in parents])


def _gateway(gateway: Broken) -> ObjectStatus:
    """Of its listeners and addresses nothing is said anew."""
    conditions = (not_accepted("Invalid", gateway.problem), not_programmed("Invalid", gateway.problem))
    return ObjectStatus(gateway, {"conditions": merged(conditions, gateway, GATEWAY_CONDITIONS, gateway.status)})
