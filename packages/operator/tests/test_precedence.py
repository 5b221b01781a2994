"""The order of rules, against the specification's words applied pair by pair."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key

from hypothesis import given
from hypothesis import strategies as st

from varnish_gateway_common.routing import Match, PathMatch, ValueMatch
from varnish_gateway_operator.translate.precedence import match_rank, precedence, route_rank

Candidate = tuple[Match, datetime | None, str, int, int]

PATHS = st.builds(
    PathMatch,
    type=st.sampled_from(["Exact", "PathPrefix", "RegularExpression"]),
    value=st.sampled_from(["/", "/a", "/ab"]),
)
VALUES = st.lists(st.sampled_from("abc").map(lambda name: ValueMatch(name=name, value="1")), max_size=2).map(tuple)
MATCHES = st.builds(
    Match, path=PATHS, method=st.sampled_from([None, "GET", "POST"]), headers=VALUES, query_parameters=VALUES
)
DATES = st.integers(0, 2).map(lambda days: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)) | st.none()
CANDIDATES: st.SearchStrategy[Candidate] = st.tuples(
    MATCHES, DATES, st.sampled_from(["a/x", "a/y", "b/a"]), st.integers(0, 2), st.integers(0, 2)
)


def naive(one: Candidate, other: Candidate) -> int:
    """Below 0 when `one` wins: each criterion in turn, as the specification lists them."""
    a, b = one[0], other[0]
    claims: tuple[Callable[[Match, Match], bool], ...] = (
        lambda x, y: x.path.type == "Exact" and y.path.type != "Exact",
        lambda x, y: x.path.type == "RegularExpression" and y.path.type == "PathPrefix",
        lambda x, y: x.path.type == y.path.type and len(x.path.value) > len(y.path.value),
        lambda x, y: x.method is not None and y.method is None,
        lambda x, y: len(x.headers) > len(y.headers),
        lambda x, y: len(x.query_parameters) > len(y.query_parameters),
    )
    for wins in claims:
        if wins(a, b) or wins(b, a):
            return -1 if wins(a, b) else 1
    if one[1] != other[1]:
        if one[1] is None or other[1] is None:
            return 1 if one[1] is None else -1
        return -1 if one[1] < other[1] else 1
    return -1 if one[2:] < other[2:] else int(one[2:] > other[2:])


@given(st.lists(CANDIDATES, max_size=8))
def test_agrees_with_the_specification_pair_by_pair(candidates: list[Candidate]) -> None:
    by_tuple = sorted(candidates, key=lambda each: precedence(match_rank(each[0]), route_rank(*each[1:3]), *each[3:]))
    assert by_tuple == sorted(candidates, key=cmp_to_key(naive))
