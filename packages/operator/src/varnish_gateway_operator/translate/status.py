"""Statuses of GatewayClasses, Gateways and HTTPRoutes. Times are added on the way out; what others wrote stays."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from varnish_gateway_common import names
from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.base import Resource, asks
from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.resources.gateway import Gateway
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.resources.patches import weaknesses
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.attach import Parent
from varnish_gateway_operator.translate.certificates import ListenerCertificates
from varnish_gateway_operator.translate.classes import ClassVerdict
from varnish_gateway_operator.translate.conditions import (
    Condition,
    left_out,
    not_accepted,
    not_programmed,
    not_resolved,
    partially_invalid,
    resolved_refs,
)
from varnish_gateway_operator.translate.conditions import (
    accepted as is_accepted,
)
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.listeners import ListenerVerdict
from varnish_gateway_operator.translate.objects.addresses import address_problem
from varnish_gateway_operator.translate.problems import Problem, trail_of
from varnish_gateway_operator.translate.programmed import BrokenRules, Warnings
from varnish_gateway_operator.translate.rules import CompiledRoute

Json = dict[str, Any]

Certificates = Mapping[str, ListenerCertificates]
"""Of the HTTPS listeners, by their keys."""

UnreadPlaces = frozenset[tuple[str, str, str]]
"""What a parentRef can name and is not known, because it cannot be read: by kind, namespace and name."""

GATEWAY_CONDITIONS: Final = frozenset({"Accepted", "Programmed", "ResolvedRefs", "Ready", "Scheduled"})
LISTENER_CONDITIONS: Final = frozenset(
    {"Accepted", "Programmed", "ResolvedRefs", "Conflicted", "Detached", "Ready", "OverlappingTLSConfig"}
)
"""Types that are ours to write on what is ours; a condition of any other type is somebody else's."""


@dataclass(frozen=True, eq=False)
class ObjectStatus:
    """The status that an object is to have."""

    resource: Resource
    status: Json


def class_status(verdict: ClassVerdict, features: Sequence[str] = ()) -> ObjectStatus:
    """`features`: the names of those that are claimed."""
    found = verdict.gateway_class
    condition = not_accepted("InvalidParameters", verdict.problem) if verdict.problem else is_accepted()
    status: Json = {"conditions": merged((condition,), found, {"Accepted"}, found.status)}
    if features:
        status["supportedFeatures"] = [{"name": name} for name in features]
    return ObjectStatus(found, status)


def gateway_accepted(gateway: GatewayVerdict, class_verdict: ClassVerdict, *, in_cluster: bool) -> Condition:
    """Whether the Gateway can be had at all, and which of its listeners cannot."""
    spec = gateway.gateway.spec
    if class_verdict.problem:
        message = f"GatewayClass {spec.gateway_class_name}: {class_verdict.problem}"
        return not_accepted("InvalidParameters", message, is_consequence=True)
    if spec.infrastructure and spec.infrastructure.parameters_ref:
        ref = spec.infrastructure.parameters_ref
        message = f"infrastructure.parametersRef: {named(ref.group)}/{named(ref.kind)} is not supported"
        return not_accepted("InvalidParameters", message, field="spec.infrastructure.parametersRef")
    if problem := next(filter(None, map(address_problem, spec.addresses)), None):
        return not_accepted("UnsupportedAddress", f"addresses: {problem}", field="spec.addresses")
    refused = [verdict.listener.name for verdict in gateway.listeners if not verdict.is_accepted]
    if len(refused) == len(gateway.listeners):
        message = f"no listener is accepted: {', '.join(refused)}"
        return not_accepted("ListenersNotValid", message, is_consequence=True)
    if refused:
        message = f"listeners that are not accepted: {', '.join(refused)}"
        return is_accepted(message, reason="ListenersNotValid", is_consequence=True)
    unserved = [*_unserved_fields(gateway.gateway, in_cluster=in_cluster), *_unserved_parameters(class_verdict)]
    notes = [f"not served by this version: {', '.join(unserved)}"] if unserved else []
    return is_accepted("; ".join([*notes, *_weakened(class_verdict)]))


def gateway_status(
    gateway: GatewayVerdict,
    certificates: Certificates,
    *,
    accepted: Condition,
    programmed: Condition,
    attached: Mapping[str, int],
    attached_sets: int | None = None,
    addresses: Sequence[Mapping[str, str]] | None = None,
) -> ObjectStatus:
    """`attached`: the number of routes by listener. `attached_sets`: of ListenerSets, where any names the Gateway."""
    found = gateway.gateway
    unresolved = [
        verdict.listener.name for verdict in gateway.listeners if resolved(verdict, certificates).status != "True"
    ]
    refs = (
        not_resolved("ListenersNotResolved", f"listeners with unresolved references: {', '.join(unresolved)}")
        if unresolved
        else resolved_refs()
    )
    if accepted.status != "True":
        programmed = not_programmed("Invalid", accepted.message)
    status = known_status(found.status)
    conditions = merged((accepted, programmed, refs), found, GATEWAY_CONDITIONS, status)
    fields: Json = {} if addresses is None else {"addresses": [dict(each) for each in addresses]}
    if attached_sets is not None:
        fields["attachedListenerSets"] = attached_sets
    listeners = listener_statuses(gateway.listeners, certificates, programmed, attached, status)
    return ObjectStatus(found, {**fields, "conditions": conditions, "listeners": listeners})


def listener_statuses(
    verdicts: Iterable[ListenerVerdict],
    certificates: Certificates,
    programmed: Condition,
    attached: Mapping[str, int],
    status: Json,
) -> list[Json]:
    """Of an owner's listeners. `programmed`: of the Gateway; `status`: the owner's, as it was."""
    found = []
    for verdict in verdicts:
        conditions = (
            *(resolved(verdict, certificates) if each.type == "ResolvedRefs" else each for each in verdict.conditions),
            _listener_programmed(verdict, certificates, programmed),
        )
        found.append(_listener(verdict, conditions, attached, status))
    return found


def resolved(verdict: ListenerVerdict, certificates: Certificates) -> Condition:
    """The listener's ResolvedRefs; its certificates speak where its kinds of routes are resolved."""
    kinds = next(each for each in verdict.conditions if each.type == "ResolvedRefs")
    own = certificates.get(verdict.key)
    return own.resolved if own and kinds == resolved_refs() else kinds


def route_conditions(
    parent: Parent,
    route: CompiledRoute,
    broken: BrokenRules,
    warnings: Warnings = (),
    crowded: Collection[Key] = (),
) -> list[Condition]:
    """Accepted, ResolvedRefs, and PartiallyInvalid where that is so. `warnings`: of references that are resolved;
    `crowded`: Gateways without room for the route."""
    if parent.gateway in crowded and parent.accepted.status == "True":
        parent = parent._replace(accepted=left_out(route.rank[1].partition("/")[0]))
    problems = _problems(parent, route, broken)
    refused = dict.fromkeys(index for index, _ in problems)
    conditions = [parent.accepted]
    if problems and parent.accepted.status == "True":
        text = "; ".join(str(problem) for _, problem in problems)
        if len(refused) == route.rule_count:
            conditions = [not_accepted(problems[0][1].reason, text)]
        else:
            conditions.append(partially_invalid(f"Dropped {_effects(problems, route)}: {text}"))
    notes = [text for gateway, text in warnings if gateway == parent.gateway]
    refs = resolved_refs("; ".join(notes))
    if route.unresolved:
        refs = not_resolved(route.unresolved[0].reason, "; ".join([*map(str, route.unresolved), *notes]))
    return [conditions[0], refs, *conditions[1:]]


def route_problems(parent: Parent, route: CompiledRoute, broken: BrokenRules) -> tuple[Problem, ...]:
    """What is wrong with the route's rules, as far as its parent knows."""
    return tuple(problem for _, problem in _problems(parent, route, broken))


def _problems(parent: Parent, route: CompiledRoute, broken: BrokenRules) -> tuple[tuple[int, Problem], ...]:
    """A pod speaks for its own Gateway only."""
    reported = ((index, problem) for gateway, index, problem in broken if gateway == parent.gateway)
    return (*route.problems, *((index, problem) for index, problem in reported if index < route.rule_count))


def _effects(problems: Iterable[tuple[int, Problem]], route: CompiledRoute) -> str:
    """What becomes of requests for the rules: one whose matches are impossible has none, and one whose regular
    expression does not compile has those that the rest of its match fits."""
    effects: dict[str, list[int]] = {}
    own = {index for index, _ in route.problems}
    half = {index for index, problem in route.problems if "matches" in trail_of(problem.field)}
    for index in sorted({index for index, _ in problems}):
        effect = _effect(is_unmatched=index in route.unmatched, is_half=index in half, is_own=index in own)
        effects.setdefault(effect, []).append(index)
    return "; ".join(f"Rule {', '.join(map(str, indices))}, {effect}" for effect, indices in effects.items())


def _effect(*, is_unmatched: bool, is_half: bool, is_own: bool) -> str:
    if is_unmatched:
        return "which matches nothing"
    if is_half:
        return "whose other matches are answered with 500"
    return "which is answered with 500" if is_own else "which is answered with 500 where the rest of its match fits"


def route_status(
    route: HTTPRoute | Broken, parents: Iterable[tuple[Parent, Sequence[Condition]]], unread: UnreadPlaces = frozenset()
) -> ObjectStatus:
    """Others' entries and those about what is unread as they were, then ours."""
    kept = unread & {(ref.kind, ref.namespace or route.namespace, ref.name) for ref in route.spec.parent_refs}
    entries = [entry for entry in _entries(route) if not is_ours(entry) or _place_of(entry, route) in kept]
    for parent, conditions in parents:
        entries.append(
            {
                "parentRef": parent.ref.model_dump(by_alias=True, exclude_unset=True),
                "controllerName": names.CONTROLLER_NAME,
                "conditions": [condition.to_json(_generation(route)) for condition in conditions],
            }
        )
    return ObjectStatus(route, {"parents": entries})


def has_own_entry(route: HTTPRoute | Broken) -> bool:
    """Whether the route's status speaks of a parent of ours already."""
    return any(is_ours(entry) for entry in _entries(route))


def is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("controllerName") == names.CONTROLLER_NAME


def _place_of(entry: Json, route: HTTPRoute | Broken) -> tuple[str, str, str]:
    """What an entry of a route's status is about."""
    found = entry.get("parentRef")
    ref = found if isinstance(found, dict) else {}
    return str(ref.get("kind", "Gateway")), str(ref.get("namespace", route.namespace)), str(ref.get("name"))


def _entries(route: HTTPRoute | Broken) -> list[Any]:
    found = known_status(route.status).get("parents")
    return found if isinstance(found, list) else []


def _listener(
    verdict: ListenerVerdict, conditions: Sequence[Condition], attached: Mapping[str, int], status: Json
) -> Json:
    name = verdict.listener.name
    known = status.get("listeners")
    before = next((each for each in known or () if isinstance(each, dict) and each.get("name") == name), {})
    return {
        "name": name,
        "supportedKinds": [{"group": GATEWAY_API, "kind": kind} for kind in verdict.supported_kinds],
        "attachedRoutes": attached.get(verdict.key, 0),
        "conditions": merged(conditions, verdict.owner, LISTENER_CONDITIONS, before),
    }


def _listener_programmed(verdict: ListenerVerdict, certificates: Certificates, programmed: Condition) -> Condition:
    if not verdict.is_accepted:
        conflict = next(
            (each for each in verdict.conditions if each.type == "Conflicted" and each.status == "True"), None
        )
        return not_programmed(conflict.reason if conflict else "Invalid", "the listener is not accepted")
    own = certificates.get(verdict.key)
    if own and not own.served:
        return not_programmed("Invalid", f"there is no certificate to serve: {own.resolved.message}")
    return programmed


def _unserved_parameters(class_verdict: ClassVerdict) -> list[str]:
    """The same of its class's parameters: Debian's Varnish has no varnishlog-json, and a pod no second container."""
    logging = class_verdict.parameters.spec.logging if class_verdict.parameters else None
    if logging is None:
        return []
    asked = {
        "logging.mode varnishlog-json": logging.mode == "varnishlog-json",
        "logging.format of varnishlog": logging.mode == "varnishlog" and logging.format is not None,
        "logging.image": logging.image is not None,
    }
    return [name for name, is_set in asked.items() if is_set]


def _weakened(class_verdict: ClassVerdict) -> Iterator[str]:
    """What parameters permit the pods beyond what the gateway asks for: it is served, and told. What other containers
    do with their own files is their own affair."""
    if class_verdict.parameters is None:
        return
    spec = class_verdict.parameters.spec
    contexts = {"podSecurityContext": spec.pod_security_context}
    for field, containers in (
        ("extraInitContainers", spec.extra_init_containers),
        ("extraContainers", spec.extra_containers),
    ):
        for container in containers:
            own = container.get("securityContext")
            contexts[f"{field} {named(container['name'])}"] = own if isinstance(own, dict) else {}
    for where, context in contexts.items():
        if found := [each for each in weaknesses(context) if each != "readOnlyRootFilesystem"]:
            yield f"{where} weakens the pods' security: {', '.join(found)}"


def _unserved_fields(gateway: Gateway, *, in_cluster: bool) -> list[str]:
    """Fields of the Gateway that are understood and have no effect yet."""
    spec = gateway.spec
    asked = {
        "spec.tls": asks(spec.tls),
        "spec.defaultScope": spec.default_scope != "None",
        "spec.addresses": not in_cluster and any(address.value for address in spec.addresses),
    }
    return [name for name, is_set in asked.items() if is_set]


def merged(conditions: Iterable[Condition], resource: Resource, ours: Iterable[str], status: Any) -> list[Json]:
    """Our conditions, then those of others as they were."""
    before = known_status(status).get("conditions")
    owned = set(ours)
    foreign = [
        each
        for each in (before if isinstance(before, list) else ())
        if isinstance(each, dict) and each.get("type") not in owned
    ]
    return [*(condition.to_json(_generation(resource)) for condition in conditions), *foreign]


def _generation(resource: Resource) -> int:
    """A file has no generation unless it says so: then everything is the first."""
    return resource.metadata.generation or 1


def known_status(status: Any) -> Json:
    return status if isinstance(status, dict) else {}
