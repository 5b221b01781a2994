"""What is not as somebody wants it, one finding a mistake: what logs tell, and what makes a translation fail.

Statuses say of every object what became of it. Here each mistake is named once, at the object and field where it can be
mended; what only follows from another one is left out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_common.wording import ALMOST_THE_SAME, named, near, quoted
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.gateway import Gateway, GatewayClass
from varnish_gateway_operator.resources.httproute import HTTPRoute, ParentReference
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.attach import Parent
from varnish_gateway_operator.translate.certificates import GatewayCertificates
from varnish_gateway_operator.translate.classes import ClassVerdict
from varnish_gateway_operator.translate.conditions import Condition, left_out
from varnish_gateway_operator.translate.gateways import GatewayVerdict, SetVerdict
from varnish_gateway_operator.translate.listeners import ListenerVerdict
from varnish_gateway_operator.translate.memory import KnownStatus
from varnish_gateway_operator.translate.problems import Finding, Identity, Problem, Trail, title_of, trail_of
from varnish_gateway_operator.translate.status import route_problems

WAITING: Final = frozenset({"AddressNotAssigned"})
"""Reasons of what somebody else may still do."""


@dataclass(frozen=True)
class Judged:
    """Everything that was decided in a round."""

    snapshot: Snapshot
    classes: Mapping[str, ClassVerdict]
    gateways: Mapping[Key, GatewayVerdict]
    certificates: Mapping[Key, GatewayCertificates]
    conditions: Mapping[Key, tuple[Condition, Condition]]
    """Of each Gateway: Accepted and Programmed."""
    routes: Mapping[Key, KnownStatus]
    is_alone: bool
    """In a folder nobody else serves Gateways: what names no Gateway of ours is a mistake."""


def findings_of(judged: Judged) -> tuple[Finding, ...]:
    """Each once, whoever has it."""
    found = (*_of_classes(judged), *_of_gateways(judged), *_of_routes(judged), *_of_caching(judged.snapshot))
    return tuple(dict.fromkeys(found))


def without_consequences(
    found: Iterable[Finding], unread: Collection[Identity], *, may_be_unread: bool
) -> tuple[Finding, ...]:
    """All but those about objects that are there and cannot be read; `may_be_unread`: any could be."""
    return tuple(each for each in found if each.target is None or not (may_be_unread or each.target in unread))


def _of_classes(judged: Judged) -> Iterator[Finding]:
    for found in judged.snapshot.gateway_classes.values():
        verdict = judged.classes.get(found.name)
        if verdict is None:
            yield from _foreign_class(found, is_alone=judged.is_alone)
        elif verdict.problem:
            trail = ("spec", "parametersRef", "name")
            yield _finding(found, trail, verdict.problem, target=verdict.target, known=judged.snapshot.parameters)


def _foreign_class(found: GatewayClass, *, is_alone: bool) -> Iterator[Finding]:
    """Of another controller; but one who almost writes ours means ours."""
    controller = found.spec.controller_name
    if is_alone or near(controller, [names.CONTROLLER_NAME], ALMOST_THE_SAME):
        message = f"controllerName is {quoted(controller)}, not {names.CONTROLLER_NAME}: this gateway does not serve it"
        yield _finding(found, ("spec", "controllerName"), message)


def _of_gateways(judged: Judged) -> Iterator[Finding]:
    for key, gateway in judged.snapshot.gateways.items():
        verdict = judged.gateways.get(key)
        if verdict is None:
            yield from _unclassed(gateway, judged.snapshot)
            continue
        accepted, programmed = judged.conditions[key]
        yield from _of_condition(gateway, accepted, "spec")
        yield from _of_condition(gateway, programmed, "")
        yield from _of_listeners(verdict.listeners, judged.certificates[key])
        for each in verdict.sets:
            yield from _of_set(each, judged.certificates[key])
    yield from _sets_of_nobody(judged)


def _unclassed(gateway: Gateway, snapshot: Snapshot) -> Iterator[Finding]:
    name = gateway.spec.gateway_class_name
    if ("", name) not in snapshot.gateway_classes and not gateway.metadata.deletion_timestamp:
        message = f"gatewayClassName names GatewayClass {named(name)}, which does not exist"
        trail, target = ("spec", "gatewayClassName"), ("GatewayClass", "", name)
        yield _finding(gateway, trail, message, target=target, known=snapshot.gateway_classes)


def _of_set(verdict: SetVerdict, certificates: GatewayCertificates) -> Iterator[Finding]:
    if verdict.problem:
        yield from _of_condition(verdict.listener_set, verdict.problem, "spec.parentRef.name")
    yield from _of_listeners(verdict.listeners, certificates)


def _sets_of_nobody(judged: Judged) -> Iterator[Finding]:
    for each in judged.snapshot.listener_sets.values():
        if each.gateway != ("", "") and each.gateway not in judged.snapshot.gateways:
            target = ("Gateway", *each.gateway)
            message = f"parentRef names {title_of(target)}, which does not exist"
            trail = ("spec", "parentRef", "name")
            yield _finding(each, trail, message, target=target, known=judged.snapshot.gateways)


def _of_listeners(verdicts: Sequence[ListenerVerdict], certificates: GatewayCertificates) -> Iterator[Finding]:
    for index, verdict in enumerate(verdicts):
        where = f"listeners[{index}]"
        for condition in verdict.conditions:
            if condition.status == "False" and condition.type in ("Accepted", "ResolvedRefs"):
                yield _at(verdict.owner, where, condition.field, condition.message)
        own = certificates.listeners.get(verdict.key)
        if own:
            for problem in own.problems:
                yield _at(verdict.owner, where, problem.field, problem.message, target=problem.target)
            for note in own.notes:
                yield _at(verdict.owner, where, "tls.certificateRefs", note, is_error=False)


def _at(
    owner: Resource,
    where: str,
    field: str,
    message: str,
    *,
    is_error: bool = True,
    target: Identity | None = None,
) -> Finding:
    trail = (*trail_of(f"spec.{where}"), *trail_of(field))
    subject = f"{where}.{field}" if field and not message.startswith(field) else where
    return Finding(_identity(owner), trail, f"{subject}: {message}", is_error, target)


def _of_routes(judged: Judged) -> Iterator[Finding]:
    for known in judged.routes.values():
        placed = known.placed
        route, compiled = placed.route, placed.compiled
        if judged.is_alone and not route.spec.parent_refs:
            yield _finding(route, ("spec",), "names no Gateway: add parentRefs, as [{name: NAME}]")
        for index, ref in enumerate(route.spec.parent_refs):
            yield from _stray(route, index, ref, judged)
        for parent in placed.parents:
            yield from _of_parent(route, parent, is_crowded=parent.gateway in known.crowded)
            for problem in route_problems(parent, compiled, known.broken):
                yield _of_problem(route, problem)
        for text in dict.fromkeys(text for _, text in known.unserved):
            yield Finding(_identity(route), (), text.removeprefix("spec."), is_error=False)
        if placed.parents:
            for problem in compiled.unresolved:
                yield _of_problem(route, problem, judged.snapshot)


def _stray(route: HTTPRoute, index: int, ref: ParentReference, judged: Judged) -> Iterator[Finding]:
    """A parentRef to nothing; those to others' Gateways are theirs to judge."""
    namespace = ref.namespace or route.namespace
    is_of_ours = ref.group == GATEWAY_API and ref.kind in ("Gateway", "ListenerSet")
    trail = ("spec", "parentRefs", index)
    if not is_of_ours:
        if judged.is_alone:
            wrong = f"parentRefs[{index}] is a {named(ref.group or 'core')}/{named(ref.kind)}: only Gateways are served"
            yield _finding(route, (*trail, "kind"), wrong)
        return
    there: Mapping[Key, Resource] = judged.snapshot.gateways
    there = there if ref.kind == "Gateway" else judged.snapshot.listener_sets
    if (namespace, ref.name) in there:
        return
    target = (ref.kind, namespace, ref.name)
    message = f"parentRefs[{index}] names {title_of(target)}, which does not exist"
    yield _finding(route, (*trail, "name"), message, target=target, known=there)


def _of_parent(route: HTTPRoute, parent: Parent, *, is_crowded: bool) -> Iterator[Finding]:
    condition = parent.accepted
    if is_crowded and condition.status == "True":
        condition = left_out(route.namespace)
    if condition.status == "True" or condition.is_consequence:
        return
    index = next((at for at, ref in enumerate(route.spec.parent_refs) if ref is parent.ref), 0)
    where = f"parentRefs[{index}]"
    is_own = not condition.field.startswith("spec.")
    trail = (*trail_of(f"spec.{where}"), *trail_of(condition.field)) if is_own else trail_of(condition.field)
    yield Finding(_identity(route), trail, f"{where if is_own else 'hostnames'}: {condition.message}")


def _of_problem(route: HTTPRoute, problem: Problem, snapshot: Snapshot | None = None) -> Finding:
    known = snapshot.services if snapshot else {}
    return _finding(
        route, trail_of(problem.field), str(problem).removeprefix("spec."), target=problem.target, known=known
    )


def _of_caching(snapshot: Snapshot) -> Iterator[Finding]:
    for each in (*snapshot.cache_policies.values(), *snapshot.cache_invalidations.values()):
        yield _finding(each, (), "is not carried out by this version")


def _of_condition(resource: Resource, condition: Condition, field: str) -> Iterator[Finding]:
    """`field`: to blame where the condition names none."""
    if condition.subject:
        subject = condition.subject
        yield Finding(subject.identity, subject.trail, subject.message, True, subject.target, "", subject.text_place)
    elif condition.status == "False" and not condition.is_consequence and condition.reason != "Pending":
        is_error = condition.reason not in WAITING
        yield Finding(_identity(resource), trail_of(condition.field or field), condition.message, is_error)
    elif condition.status == "True" and condition.message and not condition.is_consequence:
        yield Finding(_identity(resource), trail_of(condition.field or field), condition.message, is_error=False)


def _finding(
    resource: Resource,
    trail: Trail,
    message: str,
    *,
    target: Identity | None = None,
    known: Mapping[Key, Resource] | None = None,
) -> Finding:
    return Finding(_identity(resource), trail, message, True, target, _hint(target, known or {}))


def _hint(target: Identity | None, known: Mapping[Key, Resource]) -> str:
    """One of that name in another namespace, else one of a name that is alike, in the same namespace first."""
    if target is None:
        return ""
    _, namespace, name = target
    elsewhere = [key for key in known if key[1] == name]
    alike = near(name, [own for of, own in known if of == namespace]) or near(name, [own for _, own in known])
    meant = elsewhere or sorted((key for key in known if key[1] == alike), key=lambda key: key[0] != namespace)
    return f"; did you mean {'/'.join(named(part) for part in meant[0] if part)}?" if meant else _only(known)


def _only(known: Mapping[Key, Resource]) -> str:
    """Where there is but one."""
    return f"; there is {'/'.join(named(part) for part in next(iter(known)) if part)}" if len(known) == 1 else ""


def _identity(resource: Resource) -> Identity:
    return resource.kind, resource.namespace, resource.name
