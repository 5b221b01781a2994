"""From one Kubernetes object, as JSON has it, to its model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

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


class InvalidObjectError(Exception):
    """An object that is none; `messages` name the fields."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("; ".join(self.messages))


def kind_of(content: Mapping[str, Any]) -> Kind | None:
    """The kind of an object; None for those of others (a Deployment, say). Raises InvalidObjectError."""
    group, _, version = str(content.get("apiVersion")).rpartition("/")
    name = str(content.get("kind"))
    kind = KINDS.get((group, name))
    if kind and version not in kind.versions:
        raise InvalidObjectError([f"apiVersion: {version!r} is not a version of {name}, use {kind.versions[0]!r}"])
    if not kind and group in (GATEWAY_API, OURS):
        raise InvalidObjectError([f"kind: {name} of {group} is not served by this version"])
    return kind


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
        raise InvalidObjectError(_message(details) for details in error.errors(include_url=False)) from None


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
    raise InvalidObjectError([f"has more than {MAX_NODES} values, or more than {MAX_DEPTH} levels"])


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def title(content: Mapping[str, Any]) -> str:
    """`HTTPRoute default/web`: what to call an object that may be broken."""
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    name = str(known.get("name", "?"))
    try:
        kind = kind_of(content)
    except InvalidObjectError:
        kind = None
    is_namespaced = kind.is_namespaced if kind else True
    namespace = known.get("namespace") or "default"
    return f"{content.get('kind')} {namespace}/{name}" if is_namespaced else f"{content.get('kind')} {name}"


def _placed(kind: Kind, content: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = content.get("metadata")
    if not kind.is_namespaced or not isinstance(metadata, dict) or metadata.get("namespace"):
        return content
    return {**content, "metadata": {**metadata, "namespace": "default"}}


def _message(details: ErrorDetails) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"]).lstrip(".")
    what = "unknown field" if details["type"] == "extra_forbidden" else _wording(details)
    return f"{where}: {what}" if where else what


def _wording(details: ErrorDetails) -> str:
    """Pydantic's words, with the value that they are about."""
    if details["type"] == "secret":
        return details["msg"]
    value = details["input"]
    subject = repr(value)[:80] if isinstance(value, (str, int, float)) else type(value).__name__
    return details["msg"].removeprefix("Value error, ").replace("Input", subject).replace("String", subject)
