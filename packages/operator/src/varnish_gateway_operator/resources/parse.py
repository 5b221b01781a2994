"""From one Kubernetes object, as JSON has it, to its model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from varnish_gateway_common.wording import ALMOST_THE_SAME, discreet, named, near, plain, quoted, trail_text
from varnish_gateway_operator.resources.base import Metadata, Resource, Unread
from varnish_gateway_operator.resources.cache import VarnishCacheInvalidation, VarnishCachePolicy
from varnish_gateway_operator.resources.core import ConfigMap, EndpointSlice, Namespace, Secret, Service
from varnish_gateway_operator.resources.gateway import Gateway, GatewayClass, ListenerSet
from varnish_gateway_operator.resources.grants import ReferenceGrant
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.resources.parameters import GatewayClassParameters

GATEWAY_API: Final = "gateway.networking.k8s.io"
OURS: Final = "gateway.varnish-software.com"

MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000


@dataclass(frozen=True)
class Kind:
    """A kind that we read, and under which versions."""

    model: type[Resource]
    group: str
    versions: tuple[str, ...]
    is_namespaced: bool = True


KINDS: Final[Mapping[tuple[str, str], Kind]] = {
    (kind.group, kind.model.__name__): kind
    for kind in (
        Kind(GatewayClass, GATEWAY_API, ("v1", "v1beta1"), is_namespaced=False),
        Kind(Gateway, GATEWAY_API, ("v1", "v1beta1")),
        Kind(ListenerSet, GATEWAY_API, ("v1",)),
        Kind(HTTPRoute, GATEWAY_API, ("v1", "v1beta1")),
        Kind(ReferenceGrant, GATEWAY_API, ("v1", "v1beta1", "v1alpha2")),
        Kind(GatewayClassParameters, OURS, ("v1alpha1",), is_namespaced=False),
        Kind(VarnishCachePolicy, OURS, ("v1alpha1",)),
        Kind(VarnishCacheInvalidation, OURS, ("v1alpha1",)),
        Kind(Service, "", ("v1",)),
        Kind(EndpointSlice, "discovery.k8s.io", ("v1",)),
        Kind(Namespace, "", ("v1",), is_namespaced=False),
        Kind(ConfigMap, "", ("v1",)),
        Kind(Secret, "", ("v1",)),
    )
}

SHARED: Final = frozenset({"Gateway", "Service", "Namespace", "ConfigMap", "Secret"})
"""Names that other groups have kinds of too."""

NOT_BUILT: Final = frozenset({"GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "BackendTLSPolicy"})
"""Kinds of the Gateway API that this version does not serve."""

SECRET_NAMES: Final = frozenset(
    {
        *("apiVersion", "kind", "type", "data", "stringData", "immutable", "metadata", "name", "namespace", "labels"),
        *("annotations", "uid", "generation", "resourceVersion", "creationTimestamp"),
    }
)
"""Fields of a Secret."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a field."""

    trail: tuple[str | int, ...]
    """The field: where it is within the object."""
    message: str
    is_key: bool = False
    """It is the field that should not be there, not its value."""
    names: frozenset[str] | None = None
    """Parts of the trail that may be said, where not all may."""

    def __str__(self) -> str:
        where = trail_text(self.trail, self.names)
        if not where:
            return self.message
        return f"{where}{' ' if self.message.startswith(('is ', 'must ')) else ': '}{self.message}"


class InvalidObjectError(Exception):
    """An object that is none; `flaws` name the fields."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("; ".join(discreet(str(each)) for each in self.flaws))


def kind_of(content: Mapping[str, Any]) -> Kind | None:
    """The kind of an object; None for those of others (a Deployment, say). Raises InvalidObjectError."""
    group, _, version = str(content.get("apiVersion")).rpartition("/")
    name = str(content.get("kind"))
    kind = KINDS.get((group, name))
    if kind and version not in kind.versions:
        wrong = f"is {quoted(version)}, which is no version of {name}: write {api_version(kind)}"
        raise InvalidObjectError([Flaw(("apiVersion",), wrong)])
    if not kind and group in (GATEWAY_API, OURS):
        raise InvalidObjectError([Flaw(("kind",), _unknown_kind(name, group))])
    if not kind and (meant := _meant(group, name)):
        wrong = f"is {quoted(str(content.get('apiVersion')))}, which has no {name}; did you mean {api_version(meant)}?"
        raise InvalidObjectError([Flaw(("apiVersion",), wrong)])
    return kind


def api_version(kind: Kind) -> str:
    return f"{kind.group}/{kind.versions[0]}".lstrip("/")


def _unknown_kind(name: str, group: str) -> str:
    meant = None if name in NOT_BUILT else near(name, [kind for of, kind in KINDS if of == group])
    return f"{named(name)} of {group} is not served by this version" + (f"; did you mean {meant}?" if meant else "")


def _meant(group: str, name: str) -> Kind | None:
    """A kind of ours under a wrong group: one whose name nobody else has, or whose group is almost the right one."""
    kind = next((kind for (_, known), kind in KINDS.items() if known == name), None)
    if kind is None:
        return None
    return kind if name not in SHARED or near(group, [kind.group], ALMOST_THE_SAME) else None


def parse(kind: Kind, content: Mapping[str, Any], *, unknown_fields: Literal["ignore", "forbid"]) -> Resource:
    """The model of an object. Raises InvalidObjectError. A missing namespace is `default`."""
    if unknown_fields == "forbid":
        _check_size(content)
    placed = _placed(kind, content)
    try:
        return kind.model.model_validate(placed, extra=unknown_fields)
    except ValidationError:
        pass
    try:  # null means absent in Kubernetes; few objects have any, so that only those pay for it
        return kind.model.model_validate(_without_nulls(placed), extra=unknown_fields)
    except ValidationError as error:
        raise InvalidObjectError(_flaws(kind.model, content, error)) from None


def renewed(before: Resource, content: Mapping[str, Any]) -> Resource | None:
    """An object of which only metadata and status can have changed, with the very spec that it had; None for others.

    It is the API server that says so: the generation counts what is written to a spec. A status that is read, as that
    of a Service is, has to be parsed: that is none of these.
    """
    status = type(before).model_fields.get("status")
    if status is None or status.annotation is not Unread:
        return None
    found, known = content["metadata"], before.metadata
    if known.generation is None or (known.uid, known.generation) != (found.get("uid"), found.get("generation")):
        return None
    try:
        metadata = Metadata.model_validate(found, extra="ignore")
    except ValidationError:
        return None
    return before.model_copy(update={"metadata": metadata, "status": content.get("status")})


def _without_nulls(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nulls(value) for key, value in node.items() if value is not None}
    return [_without_nulls(value) for value in node] if isinstance(node, list) else node


def _check_size(content: Mapping[str, Any]) -> None:
    """YAML's aliases can make a short file endless; whatever walks an object later relies on this."""
    level: list[Any] = [content]
    nodes = 0
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        nodes += len(level)
        if not level:
            return
        if nodes > MAX_NODES:
            break
    raise InvalidObjectError([Flaw((), f"has more than {MAX_NODES} values, or more than {MAX_DEPTH} levels")])


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def title(content: Mapping[str, Any]) -> str:
    """`HTTPRoute default/web`: what to call an object that may be broken."""
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    name, namespace = _said(known.get("name", "?")), _said(known.get("namespace") or "default")
    kind = named(str(content.get("kind")))
    return f"{kind} {namespace}/{name}" if is_namespaced(content) else f"{kind} {name}"


def is_namespaced(content: Mapping[str, Any]) -> bool:
    """Kinds that are not ours are taken for such."""
    kind = next((found for (_, name), found in KINDS.items() if name == content.get("kind")), None)
    return kind is None or kind.is_namespaced


def _said(name: object) -> str:
    """A name that is one; what is none may be anything."""
    return named(name) if isinstance(name, str) and _NAME.fullmatch(name) else "?"


def _placed(kind: Kind, content: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = content.get("metadata")
    if not kind.is_namespaced or not isinstance(metadata, dict) or metadata.get("namespace"):
        return content
    return {**content, "metadata": {**metadata, "namespace": "default"}}


def _flaws(model: type[Resource], content: Mapping[str, Any], error: ValidationError) -> list[Flaw]:
    """Each field once; of a Secret nothing is said but which of its fields it is."""
    is_secret = model is Secret
    names = SECRET_NAMES if is_secret else None
    found: dict[tuple[str | int, ...], Flaw] = {}
    for details in error.errors(include_url=False):
        trail = _written(details["loc"], content)
        is_key = details["type"] == "extra_forbidden"
        known = fields_at(model, trail[:-1]) if is_key else ()
        found.setdefault(trail, Flaw(trail, plain(details, known, is_secret=is_secret), is_key, names))
    return list(found.values())


def _written(trail: tuple[str | int, ...], content: Any) -> tuple[str | int, ...]:
    """As far as the object has it, and what is missing there: pydantic adds what it tried."""
    node = content
    for index, part in enumerate(trail):
        if not isinstance(node, (dict, list)):
            return trail[:index]
        is_there = part in node if isinstance(node, dict) else isinstance(part, int) and part < len(node)
        if not is_there:
            return trail[: index + 1]
        node = node[part]  # type: ignore[index]
    return trail


def fields_at(model: type[BaseModel], trail: Iterable[str | int]) -> tuple[str, ...]:
    """The fields that could stand there."""
    found: type[BaseModel] | None = model
    for part in trail:
        if isinstance(part, str) and found:
            found = next((_model_in(each.annotation) for name, each in _named_fields(found) if name == part), None)
    return tuple(name for name, _ in _named_fields(found)) if found else ()


def _named_fields(model: type[BaseModel]) -> Iterable[tuple[str, FieldInfo]]:
    return ((field.alias or name, field) for name, field in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Of `Part`, `Part | None`, `tuple[Part, ...]` and what is annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
