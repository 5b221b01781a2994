"""GatewayClasses of ours and their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from varnish_gateway_common import names
from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.gateway import GatewayClass
from varnish_gateway_operator.resources.parameters import GatewayClassParameters
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.problems import Identity


@dataclass(frozen=True)
class ClassVerdict:
    """A class of ours; `problem` says why its parameters cannot be had, or not as they are now."""

    gateway_class: GatewayClass
    parameters: GatewayClassParameters | None = None
    problem: str | None = None
    target: Identity | None = None
    """Its parameters, where those are why."""


def judge_classes(snapshot: Snapshot) -> Mapping[str, ClassVerdict]:
    """The classes that name us as their controller; those of others are none of our business."""
    return {
        found.name: _judge(found, snapshot)
        for found in snapshot.gateway_classes.values()
        if found.spec.controller_name == names.CONTROLLER_NAME
    }


def _judge(gateway_class: GatewayClass, snapshot: Snapshot) -> ClassVerdict:
    ref = gateway_class.spec.parameters_ref
    if ref is None:
        return ClassVerdict(gateway_class)
    if (ref.group, ref.kind) != (names.API_GROUP, GatewayClassParameters.__name__):
        kind = f"{named(ref.group or 'core')}/{named(ref.kind)}"
        return ClassVerdict(gateway_class, problem=f"parametersRef: {kind} is not GatewayClassParameters")
    if ref.namespace:
        return ClassVerdict(gateway_class, problem="parametersRef: GatewayClassParameters have no namespace")
    target = (ref.kind, "", ref.name)
    return ClassVerdict(gateway_class, snapshot.parameters.get(("", ref.name)), _problem_of(ref.name, snapshot), target)


def _problem_of(name: str, snapshot: Snapshot) -> str | None:
    """What cannot be read may be known all the same, as it was before."""
    subject = f"parametersRef: {GatewayClassParameters.__name__} {named(name)}"
    for each in snapshot.broken:
        if (each.kind, each.name) == (GatewayClassParameters.__name__, name):
            return f"{subject}: {each.problem}"
    return None if ("", name) in snapshot.parameters else f"{subject} does not exist"
