"""What the routes of a Gateway share: the bytes of its routing.json.

Where they do not suffice, the newest route of the namespace that has most goes without, again and again until the rest
fits: no other namespace notices, and what is withdrawn elsewhere takes effect at once.
"""

import heapq
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from varnish_gateway_operator.translate.routing import Standing

MOST_BYTES: Final = 32 * 1024 * 1024
"""Of the rules of a Gateway and of their places under hostnames: ghost takes twice as much."""
PLACE_BYTES: Final = 8
"""What a rule's place under a hostname takes at most."""


class Charge(NamedTuple):
    """What somebody has of something."""

    namespace: str
    cost: int


class Room(NamedTuple):
    """The routes that there is room for, and the names of the others."""

    standings: Sequence[Standing]
    left_out: frozenset[str] = frozenset()


def beyond(charges: Sequence[Charge], limit: int) -> frozenset[int]:
    """The places of those that go, so that the rest is within the limit. `charges`: oldest first."""
    total = sum(each.cost for each in charges)
    sums: dict[str, int] = {}
    places: dict[str, list[int]] = {}
    for place, each in enumerate(charges):
        sums[each.namespace] = sums.get(each.namespace, 0) + each.cost
        places.setdefault(each.namespace, []).append(place)
    greediest = [(-cost, namespace) for namespace, cost in sums.items()]
    heapq.heapify(greediest)
    gone = set()
    while total > limit and greediest:
        cost, namespace = heapq.heappop(greediest)
        newest = places[namespace].pop()
        gone.add(newest)
        total -= charges[newest].cost
        if places[namespace]:
            heapq.heappush(greediest, (cost + charges[newest].cost, namespace))
    return frozenset(gone)


def room_for(standings: Sequence[Standing], packed_bytes: int | None = None) -> Room:
    """Those that fit. `packed_bytes`: what they may take when compressed; None: they are not."""
    costs = [_cost(each) for each in standings]
    if sum(costs) > MOST_BYTES:
        found = _cut(standings, costs, MOST_BYTES)
        rest = room_for(found.standings, packed_bytes)
        return Room(rest.standings, found.left_out | rest.left_out)
    if packed_bytes is None or sum(costs) <= packed_bytes or _packed(_texts(standings)) <= packed_bytes:
        return Room(standings)
    return _cut(standings, [_packed(_texts([each])) for each in standings], packed_bytes)


def _cut(standings: Sequence[Standing], costs: Sequence[int], limit: int) -> Room:
    order = sorted(range(len(standings)), key=lambda place: standings[place].route.rank)
    gone = beyond([Charge(_name(standings[place]).partition("/")[0], costs[place]) for place in order], limit)
    left_out = {order[place] for place in gone}
    kept = [each for place, each in enumerate(standings) if place not in left_out]
    return Room(kept, frozenset(_name(standings[place]) for place in left_out))


def _name(standing: Standing) -> str:
    return standing.route.rank[1]


def _cost(standing: Standing) -> int:
    """Bytes of a route's rules, and of their places under its hostnames."""
    places = sum(len(hostname) + PLACE_BYTES * len(standing.route.rules) for _, hostname in standing.hosts)
    return standing.route.bytes + places


def _texts(standings: Iterable[Standing]) -> Iterable[bytes]:
    for each in standings:
        yield from (rule.json for rule in each.route.rules)
        yield bytes(sum(PLACE_BYTES + len(hostname) for _, hostname in each.hosts))


def _packed(texts: Iterable[bytes]) -> int:
    """Bytes when compressed in haste: no fewer than when it is done well."""
    stream = zlib.compressobj(level=1)
    return sum(len(stream.compress(text)) for text in texts) + len(stream.flush())
