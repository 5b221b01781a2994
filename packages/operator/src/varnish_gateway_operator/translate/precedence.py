"""The order in which rules are tried: a tuple, term by term, with the specification's words beside each."""

from datetime import datetime
from typing import Final

from varnish_gateway_common.routing import Match

MatchRank = tuple[int, int, bool, int, int]
RouteRank = tuple[float, str]
Precedence = tuple[MatchRank, RouteRank, int, int]

PATH_RANK: Final = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}
"""Where regular expressions stand is ours to choose: below what is exact, above prefixes of any length."""

NO_AGE: Final = float("inf")
"""An object without creationTimestamp, as in a folder, is younger than any with one."""


def precedence(match: MatchRank, route: RouteRank, rule_index: int, match_index: int) -> Precedence:
    """The smaller tuple wins."""
    # "Proxy or Load Balancer routing configuration generated from HTTPRoutes MUST prioritize matches based on the
    # following criteria, continuing on ties. Across all rules specified on applicable Routes, precedence must be given
    # to the match having: [...]
    # If ties still exist across multiple Routes, matching precedence MUST be determined in order of the following
    # criteria, continuing on ties: [...]
    # If ties still exist within an HTTPRoute, matching precedence MUST be granted to the FIRST matching rule (in list
    # order) with a match meeting the above criteria."
    return match, route, rule_index, match_index


def match_rank(match: Match) -> MatchRank:
    """What the match itself contributes."""
    return (
        # "* "Exact" path match.
        PATH_RANK[match.path.type],
        # * "Prefix" path match with largest number of characters.
        -len(match.path.value),
        # * Method match.
        match.method is None,
        # * Largest number of header matches.
        -len(match.headers),
        # * Largest number of query param matches."
        -len(match.query_parameters),
    )


def route_rank(created: datetime | None, full_name: str) -> RouteRank:
    """What its route contributes."""
    return (
        # "* The oldest Route based on creation timestamp.
        created.timestamp() if created else NO_AGE,
        # * The Route appearing first in alphabetical order by "{namespace}/{name}"."
        full_name,
    )
