"""The order in which rules are tried: a tuple, term by term, with the specification's words beside each."""

from datetime import datetime
from typing import Final

from varnish_gateway_common.routing import Match

Precedence = tuple[int, int, bool, int, int, float, str, int, int]

PATH_RANK: Final = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}
"""Where regular expressions stand is ours to choose: below what is exact, above prefixes of any length."""

NO_AGE: Final = float("inf")
"""An object without creationTimestamp, as in a folder, is younger than any with one."""


def precedence(match: Match, *, created: datetime | None, namespace: str, name: str, place: tuple[int, int]) -> Precedence:
    """The smaller tuple wins. `place` is the rule's in its route and the match's in its rule."""
    return (
        # "Proxy or Load Balancer routing configuration generated from HTTPRoutes MUST prioritize matches based on the
        # following criteria, continuing on ties. [...] the matching rule with:
        # * "Exact" path match.
        PATH_RANK[match.path.type],
        # * "Prefix" path match with largest number of characters.
        -len(match.path.value),
        # * Method match.
        match.method is None,
        # * Largest number of header matches.
        -len(match.headers),
        # * Largest number of query param matches.
        -len(match.query_parameters),
        # If ties still exist across multiple Routes, [...] The oldest Route based on creation timestamp.
        created.timestamp() if created else NO_AGE,
        # The Route appearing first in alphabetical order by "{namespace}/{name}".
        f"{namespace}/{name}",
        # If ties still exist within an HTTPRoute, matching precedence MUST be granted to the FIRST matching rule (in
        # list order) with a match meeting the above criteria."
        *place,
    )
