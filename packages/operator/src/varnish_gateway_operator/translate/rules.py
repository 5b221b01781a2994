"""One HTTPRoute, for itself: its rules in their final form, and what is wrong with them. Knows no Gateway.

A route costs nothing in the next round while it and the objects it refers to stay the same, so what is kept of a rule
is its precedence and its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from varnish_gateway_common import routing

from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.backends import Backends, backends_of
from varnish_gateway_operator.translate.filters import Filtering, filtering
from varnish_gateway_operator.translate.matches import match_of
from varnish_gateway_operator.translate.precedence import Precedence, precedence
from varnish_gateway_operator.translate.problems import Problem, incompatible, not_built
from varnish_gateway_operator.translate.references import Answers, Origin, References


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One match of one rule: its place among all rules and its canonical bytes."""

    precedence: Precedence
    json: bytes


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """All that a route says, wherever it is attached."""

    rules: tuple[CompiledRule, ...]
    services: tuple[tuple[str, bytes], ...]
    """Service key -> canonical bytes."""
    problems: tuple[tuple[int, Problem], ...]
    """By the rule's index: what makes it answer 500."""
    unresolved: tuple[Problem, ...]
    rule_count: int
    answers: Answers


def compile_route(route: HTTPRoute, snapshot: Snapshot, *, has_external_names: bool) -> CompiledRoute:
    """Translate each rule; one broken rule breaks one rule."""
    references = References(snapshot)
    rules: list[CompiledRule] = []
    services: dict[str, bytes] = {}
    problems: list[tuple[int, Problem]] = []
    unresolved: list[Problem] = []
    for index, rule in enumerate(route.spec.rules):
        backends = backends_of(
            rule.backend_refs,
            origin=Origin("HTTPRoute", route.namespace),
            references=references,
            is_prefix=_is_prefix(rule),
            has_external_names=has_external_names,
        )
        compiled, wrong = _rule(route, index, rule, backends)
        where = f"spec.rules[{index}]"
        rules += compiled
        services.update((key, service.to_json()) for key, service in backends.services)
        problems += [(index, problem.within(where)) for problem in wrong]
        unresolved += [problem.within(where) for problem in backends.unresolved]
    return CompiledRoute(
        rules=tuple(rules),
        services=tuple(services.items()),
        problems=tuple(problems),
        unresolved=tuple(unresolved),
        rule_count=len(route.spec.rules),
        answers=references.answers(),
    )


def _rule(
    route: HTTPRoute, index: int, rule: httproute.RouteRule, backends: Backends
) -> tuple[list[CompiledRule], list[Problem]]:
    filters = filtering(rule.filters, is_prefix=_is_prefix(rule), can_redirect=True)
    problems = [*_unbuilt(rule), *filters.problems, *backends.problems]
    if filters.redirect and rule.backend_refs:
        problems.append(incompatible("backendRefs", "cannot be combined with a RequestRedirect filter"))
    matches, impossible = _matches(rule)
    problems += impossible
    action = _action(filters, backends, problems)
    rules = []
    for place, match in matches:
        found = routing.Rule(
            route=route.full_name,
            index=index,
            name=rule.name,
            match=match,
            filters=routing.Filters() if problems else filters.filters,
            action=action,
        )
        rules.append(CompiledRule(_precedence(route, match, (index, place)), found.to_json()))
    return rules, problems


def _action(
    filters: Filtering, backends: Backends, problems: Sequence[Problem]
) -> routing.Forward | routing.Redirect | routing.Refuse:
    if problems:
        return routing.Refuse(type="Refuse", reason="; ".join(str(problem) for problem in problems))
    return filters.redirect or routing.Forward(type="Forward", backends=backends.shares)


def _matches(rule: httproute.RouteRule) -> tuple[list[tuple[int, routing.Match]], list[Problem]]:
    """The matches with their places; one that is impossible matches nothing, and its rule is refused."""
    matches: list[tuple[int, routing.Match]] = []
    problems: list[Problem] = []
    for place, wanted in enumerate(rule.matches or (httproute.RouteMatch(),)):
        found = match_of(wanted)
        if isinstance(found, Problem):
            problems.append(found.within(f"matches[{place}]"))
        else:
            matches.append((place, found))
    return matches, problems


def _unbuilt(rule: httproute.RouteRule) -> list[Problem]:
    """Fields that ask for what this version does not do; ignoring one would be worse than refusing the rule."""
    asked = {
        "timeouts": rule.timeouts,
        "retry": rule.retry,
        "sessionPersistence": rule.session_persistence,
    }
    return [not_built(name) for name, value in asked.items() if value is not None]


def _is_prefix(rule: httproute.RouteRule) -> bool:
    return all(match.path.type == "PathPrefix" for match in rule.matches)


def _precedence(route: HTTPRoute, match: routing.Match, place: tuple[int, int]) -> Precedence:
    return precedence(
        match,
        created=route.metadata.creation_timestamp,
        namespace=route.namespace,
        name=route.name,
        place=place,
    )
