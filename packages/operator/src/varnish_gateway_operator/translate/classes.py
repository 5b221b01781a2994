"""GatewayClasses of ours and their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from varnish_gateway_common import names
from varnish_gateway_operator.resources.gateway import GatewayClass
from varnish_gateway_operator.resources.parameters import GatewayClassParameters
from varnish_gateway_operator.snapshot import Snapshot


@dataclass(frozen=True)
class ClassVerdict:
    """A class of ours; `problem` says why its parameters cannot be had."""

    gateway_class: GatewayClass
    parameters: GatewayClassParameters | None = None
    problem: str | None = None


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
        return ClassVerdict(
            gateway_class, problem=f"parametersRef: {ref.group or 'core'}/{ref.kind} is not GatewayClassParameters"
        )
    if ref.namespace:
        return ClassVerdict(gateway_class, problem="parametersRef: GatewayClassParameters have no namespace")
    found = snapshot.parameters.get(("", ref.name))
    problem = None if found else f"parametersRef: GatewayClassParameters {ref.name} does not exist"
    return ClassVerdict(gateway_class, found, problem)
