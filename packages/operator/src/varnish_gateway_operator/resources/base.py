"""What all models are made of."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictInt, StringConstraints
from pydantic.alias_generators import to_camel

from varnish_gateway_common.wording import named, worded

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LETTERS = "must be lower-case letters, digits and '-'"
_SUBDOMAIN = worded(rf"^{_LABEL}(\.{_LABEL})*$", f"{_LETTERS}, with dots between")
_HOSTNAME = worded(rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$", f"{_LETTERS}, with dots between, and may begin with '*.'")

ObjectName = Annotated[str, StringConstraints(pattern=_SUBDOMAIN, max_length=253)]
"""A DNS subdomain: safe as the name of a file, and inside of JSON."""
Namespace = Annotated[str, StringConstraints(pattern=worded(rf"^{_LABEL}$", _LETTERS), max_length=63)]
SectionName = Annotated[str, StringConstraints(pattern=_SUBDOMAIN, max_length=253)]
Hostname = Annotated[str, StringConstraints(pattern=_HOSTNAME, max_length=253)]
PreciseHostname = Annotated[str, StringConstraints(pattern=_SUBDOMAIN, max_length=253)]
HeaderName = Annotated[
    str,
    StringConstraints(
        pattern=worded(r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", "must be the name of a header: letters, digits and '-'"),
        max_length=256,
    ),
]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]

Unread = Any
"""A field that Kubernetes knows and we pass over; it is named so that a misspelt one stands out."""


class Part(BaseModel):
    """A part of an object. Frozen; camelCase outside. A traceback must not quote what stands in it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


def asks(value: object) -> bool:
    """Whether anything is asked for: `{}`, and what holds nothing but such, is as good as left out."""
    if isinstance(value, BaseModel):
        return any(asks(each) for _, each in value)
    return value not in (None, (), {}, "")


DESCRIBED: Final = ConfigDict(
    frozen=True, alias_generator=to_camel, use_attribute_docstrings=True, hide_input_in_errors=True
)


class Described(Part):
    """A part of a kind of our own: the docstrings of its fields are what `kubectl explain` says of them."""

    model_config = DESCRIBED


def rules(*checks: tuple[str, str]) -> ConfigDict:
    """What the API server checks besides the shape: expressions in CEL, and what it says where one does not hold."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in checks]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": validations})


class Metadata(Part):
    """ObjectMeta."""

    name: ObjectName
    namespace: Namespace | None = None
    labels: dict[str, str] = {}
    generation: StrictInt | None = None
    resource_version: str | None = None
    uid: str | None = None
    creation_timestamp: datetime | None = None

    annotations: Unread = None
    deletion_grace_period_seconds: Unread = None
    deletion_timestamp: Unread = None
    finalizers: Unread = None
    generate_name: Unread = None
    managed_fields: Unread = None
    owner_references: Unread = None
    self_link: Unread = None


class Resource(Part):
    """An object. Compared by identity: what did not change is the same object in the next snapshot."""

    api_version: str
    kind: str
    metadata: Metadata

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Empty for kinds without one."""
        return self.metadata.namespace or ""

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def title(self) -> str:
        """`HTTPRoute default/web`, for messages."""
        name = named(self.name)
        return f"{self.kind} {named(self.namespace)}/{name}" if self.namespace else f"{self.kind} {name}"

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class LabelSelectorRequirement(Part):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Part):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class LocalObjectReference(Part):
    group: str
    kind: str
    name: str


class ObjectReference(Part):
    group: str = ""
    kind: str
    name: str
    namespace: Namespace | None = None


class SecretObjectReference(Part):
    group: str = ""
    kind: str = "Secret"
    name: str
    namespace: Namespace | None = None
