"""One HTTPRoute, for itself: its rules in their final form, and what is wrong with them. Knows no Gateway.

A route costs nothing in the next round while it and the objects it refers to stay the same, so what is kept of a rule
is its precedence and its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from varnish_gateway_common import routing
from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.resources.base import asks
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.backends import Backends, ServicePortKey, backends_of, forward_json
from varnish_gateway_operator.translate.filters import NO_FILTERS, Filtering, filtering
from varnish_gateway_operator.translate.matches import CompiledMatch, has_expressions, match_of
from varnish_gateway_operator.translate.precedence import Precedence, RouteRank, precedence, route_rank
from varnish_gateway_operator.translate.problems import Problem, incompatible, not_built
from varnish_gateway_operator.translate.references import Answers, Origin, References


class CompiledRule(NamedTuple):
    """One match of one rule: its place among all rules and its canonical bytes."""

    precedence: Precedence
    json: bytes


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """All that a route says, wherever it is attached."""

    rules: tuple[CompiledRule, ...]
    services: tuple[ServicePortKey, ...]
    problems: tuple[tuple[int, Problem], ...]
    """By the rule's index: what makes it answer 500."""
    unresolved: tuple[Problem, ...]
    rule_count: int
    answers: Answers
    rank: RouteRank
    bytes: int
    """Of the rules."""
    has_expressions: bool
    unmatched: frozenset[int] = frozenset()
    """Rules none of whose matches is possible."""


class _Route(NamedTuple):
    """What the rules of a route have in common."""

    origin: Origin
    full_name: str
    rank: RouteRank
    references: References
    has_external_names: bool


def compile_route(route: HTTPRoute, snapshot: Snapshot, *, has_external_names: bool) -> CompiledRoute:
    """Translate each rule; one broken rule breaks one rule."""
    references = References(snapshot)
    rank = route_rank(route.metadata.creation_timestamp, route.full_name)
    shared = _Route(Origin("HTTPRoute", route.namespace), route.full_name, rank, references, has_external_names)
    rules: list[CompiledRule] = []
    services: set[ServicePortKey] = set()
    problems: list[tuple[int, Problem]] = []
    unresolved: list[Problem] = []
    unmatched: list[int] = []
    for index, rule in enumerate(route.spec.rules):
        compiled, backends, wrong = _rule(shared, index, rule)
        unmatched += [] if compiled else [index]
        rules += compiled
        services.update(backends.services)
        problems += [(index, problem.within(f"spec.rules[{index}]")) for problem in wrong]
        unresolved += [problem.within(f"spec.rules[{index}]") for problem in backends.unresolved]
    return CompiledRoute(
        rules=tuple(rules),
        services=tuple(sorted(services, key=itemgetter(0))),
        problems=tuple(problems),
        unresolved=tuple(unresolved),
        rule_count=len(route.spec.rules),
        answers=references.answers(),
        rank=rank,
        bytes=sum(len(rule.json) for rule in rules),
        has_expressions=any(has_expressions(match) for rule in route.spec.rules for match in rule.matches),
        unmatched=frozenset(unmatched),
    )


def _rule(route: _Route, index: int, rule: httproute.RouteRule) -> tuple[list[CompiledRule], Backends, list[Problem]]:
    is_prefix = all(match.path.type == "PathPrefix" for match in rule.matches)
    backends = backends_of(
        rule.backend_refs,
        origin=route.origin,
        references=route.references,
        is_prefix=is_prefix,
        has_external_names=route.has_external_names,
    )
    matches, problems = _matches(rule)
    filters = filtering(rule.filters, is_prefix=is_prefix, can_redirect=True)
    problems += [*_unbuilt(rule), *filters.problems, *backends.problems]
    if filters.redirect and rule.backend_refs:
        problems.append(incompatible("backendRefs", "cannot be combined with a RequestRedirect filter"))
    head, tail = _head_json(route.full_name, index, rule.name), _tail_json(filters, backends, problems)
    rules = [
        CompiledRule(precedence(match.rank, route.rank, index, place), head + _member("match", match.json) + tail)
        for place, match in matches
    ]
    return rules, backends, problems


def _matches(rule: httproute.RouteRule) -> tuple[list[tuple[int, CompiledMatch]], list[Problem]]:
    """The matches with their places; one that is impossible matches nothing, and its rule is refused."""
    matches: list[tuple[int, CompiledMatch]] = []
    problems: list[Problem] = []
    for place, wanted in enumerate(rule.matches or (httproute.RouteMatch(),)):
        found = match_of(wanted)
        if isinstance(found, Problem):
            problems.append(found.within(f"matches[{place}]"))
        else:
            matches.append((place, found))
    return matches, problems


def _head_json(route: str, index: int, name: str | None) -> bytes:
    """A rule's bytes up to its match: joined here as `routing.Rule.to_json` would join them, which for 10,000 routes
    would take longer than all the rest. The names need no escaping."""
    own = f',"name":"{name}"' if name is not None else ""
    place = f',"index":{index}' if index else ""
    return f'{{"route":"{route}"{place}{own}'.encode()


def _tail_json(filters: Filtering, backends: Backends, problems: Sequence[Problem]) -> bytes:
    """A rule's bytes after its match."""
    if problems:
        refuse = routing.Refuse(type="Refuse", reason="; ".join(str(problem) for problem in problems))
        return b',"action":' + refuse.to_json() + b"}"
    action = filters.redirect.to_json() if filters.redirect else forward_json(backends.shares)
    own = b"" if filters.filters is NO_FILTERS else _member("filters", filters.filters.to_json())
    return own + b',"action":' + action + b"}"


def _member(name: str, json: bytes) -> bytes:
    """A member of an object, left out where it is the default."""
    return b"" if json == b"{}" else b',"%b":%b' % (name.encode(), json)


def _unbuilt(rule: httproute.RouteRule) -> list[Problem]:
    """Fields that ask for what this version does not do; ignoring one would be worse than refusing the rule."""
    if rule.timeouts is None and rule.retry is None and rule.session_persistence is None:
        return []
    asked = {
        "timeouts": rule.timeouts,
        "retry": rule.retry,
        "sessionPersistence": rule.session_persistence,
    }
    return [not_built(name) for name, value in asked.items() if asks(value)]
