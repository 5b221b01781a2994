"""Objects that cannot be read: what can be said of them all the same, and to whom."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from varnish_gateway_operator.resources.base import Part, Resource, Unread
from varnish_gateway_operator.resources.gateway import ParentGateway
from varnish_gateway_operator.resources.httproute import ParentReference


class BrokenSpec(Part):
    """The little that is understood."""

    parent_refs: tuple[ParentReference, ...] = ()
    parent_ref: ParentGateway | None = None
    gateway_class_name: str = ""


class Broken(Resource):
    """An object of one of the `KINDS` as it is now; what it was before may still be in effect."""

    spec: BrokenSpec = BrokenSpec()
    status: Unread = None
    problem: str
    """Which fields, and what is wrong with them."""

    @property
    def gateway(self) -> tuple[str, str]:
        """Of a ListenerSet: namespace and name of the Gateway that it names."""
        return self.spec.parent_ref.key_from(self.namespace) if self.spec.parent_ref else ("", "")


KINDS: Final = ("HTTPRoute", "Gateway", "ListenerSet", "GatewayClassParameters")


def broken_of(content: Mapping[str, Any], problem: str) -> Broken | None:
    """None where nothing can be said: another kind, or not even metadata."""
    if content["kind"] not in KINDS:
        return None
    spec = content.get("spec")
    found = spec if isinstance(spec, dict) else {}
    refs, ref = found.get("parentRefs"), found.get("parentRef")
    understood = {
        "parentRefs": [each for each in refs if _fits(ParentReference, each)] if isinstance(refs, list) else [],
        "parentRef": ref if _fits(ParentGateway, ref) else None,
        "gatewayClassName": str(found.get("gatewayClassName") or ""),
    }
    try:
        return Broken.model_validate({**content, "spec": understood, "problem": problem})
    except ValidationError:
        return None


def _fits(model: type[Part], content: Any) -> bool:
    try:
        model.model_validate(content)
    except ValidationError:
        return False
    return True
