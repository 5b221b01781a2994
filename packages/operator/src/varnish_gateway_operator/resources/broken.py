"""Objects that cannot be read: what can be said of them all the same, and to whom."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from varnish_gateway_operator.resources.base import Part, Resource, Unread
from varnish_gateway_operator.resources.httproute import ParentReference


class BrokenSpec(Part):
    """The little that is understood."""

    parent_refs: tuple[ParentReference, ...] = ()
    gateway_class_name: str = ""


class Broken(Resource):
    """An HTTPRoute or a Gateway as it is now; what it was before may still be in effect."""

    spec: BrokenSpec = BrokenSpec()
    status: Unread = None
    problem: str
    """Which fields, and what is wrong with them."""


KINDS: Final = ("HTTPRoute", "Gateway")


def broken_of(content: Mapping[str, Any], problem: str) -> Broken | None:
    """None where nothing can be said: another kind, or not even metadata."""
    if content["kind"] not in KINDS:
        return None
    spec = content.get("spec")
    found = spec if isinstance(spec, dict) else {}
    understood = {
        "parentRefs": list(_parents(found.get("parentRefs"))),
        "gatewayClassName": str(found.get("gatewayClassName") or ""),
    }
    try:
        return Broken.model_validate({**content, "spec": understood, "problem": problem})
    except ValidationError:
        return None


def _parents(refs: Any) -> Iterator[Any]:
    for ref in refs if isinstance(refs, list) else ():
        try:
            ParentReference.model_validate(ref)
        except ValidationError:
            continue
        yield ref
