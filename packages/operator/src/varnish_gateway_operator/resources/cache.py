"""VarnishCachePolicy and VarnishCacheInvalidation (gateway.varnish-software.com/v1alpha1)."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, StringConstraints, model_validator

from varnish_gateway_common.wording import worded
from varnish_gateway_operator.resources.base import (
    DESCRIBED,
    Described,
    HeaderName,
    Namespace,
    ObjectName,
    Resource,
    SectionName,
    Unread,
    rules,
)

DURATION = worded(r"^(0|([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|ms|s|m|h)){1,8})$", "must be a time like 10s")
Duration = Annotated[str, StringConstraints(pattern=DURATION, max_length=64)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
PATH = worded(r"^/[^\s\"]*$", "must be a path: a '/' first, no blanks")
Path = Annotated[str, StringConstraints(pattern=PATH, max_length=4096)]
RequestHost = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$",
        max_length=253,
    ),
]


class PolicyTarget(Described):
    """A Gateway, an HTTPRoute, or a rule of one, in the policy's namespace."""

    group: Annotated[str, StringConstraints(max_length=253)]
    """gateway.networking.k8s.io"""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Gateway or HTTPRoute."""
    name: ObjectName
    """Its name."""
    section_name: SectionName | None = None
    """The name of a rule of the HTTPRoute."""


class KeyQueryParameters(Described):
    """Which query parameters tell objects apart."""

    model_config = ConfigDict(
        **DESCRIBED, **rules(("!(has(self.include) && has(self.exclude))", "include and exclude exclude each other"))
    )

    include: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """Only these."""
    exclude: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """All but these."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.include and self.exclude:
            raise ValueError("include and exclude exclude each other")
        return self


class CacheKey(Described):
    """What tells objects apart besides scheme, host and path."""

    headers: Annotated[tuple[HeaderName, ...], Field(max_length=64)] = ()
    """Request headers."""
    query_parameters: KeyQueryParameters | None = None
    """Query parameters; all of them by default."""


class BypassHeader(Described):
    """A request header for which the cache is passed by."""

    name: HeaderName
    """Its name."""
    value_regex: Annotated[str, StringConstraints(max_length=4096)] = ""
    """Only where its value matches; any value by default."""


class Bypass(Described):
    """Requests that are never answered from the cache."""

    headers: Annotated[tuple[BypassHeader, ...], Field(max_length=64)] = ()
    """Any of these."""


class CachePolicySpec(Described):
    """What is cached, and for how long."""

    model_config = ConfigDict(
        **DESCRIBED,
        **rules(("!(has(self.defaultTTL) && has(self.forcedTTL))", "defaultTTL and forcedTTL exclude each other")),
    )

    target_ref: PolicyTarget
    """What the policy is for. The most specific one counts as a whole: that of a rule, of a route, of a Gateway."""
    default_ttl: Annotated[Duration | None, Field(alias="defaultTTL")] = None
    """How long an answer is fresh that does not say so itself."""
    forced_ttl: Annotated[Duration | None, Field(alias="forcedTTL")] = None
    """How long an answer is fresh, whatever it says itself."""
    grace: Duration | None = None
    """How long a stale answer is given while a new one is fetched."""
    keep: Duration | None = None
    """How long a stale answer is kept for when there is no backend."""
    request_coalescing: StrictBool | None = None
    """Whether of several requests for one object only one is sent to the backend; it is, by default."""
    cache_key: CacheKey | None = None
    """What tells objects apart."""
    bypass: Bypass | None = None
    """What is never cached."""

    @model_validator(mode="after")
    def _has_one_ttl(self) -> Self:
        if self.default_ttl is not None and self.forced_ttl is not None:
            raise ValueError("defaultTTL and forcedTTL exclude each other")
        return self


class AncestorStatus(Described):
    """What is said of the policy for one of its targets."""

    ancestor_ref: PolicyTarget
    """The target."""
    controller_name: str
    """Who says so."""
    conditions: tuple[Unread, ...] = ()
    """Accepted."""


class CachePolicyStatus(Described):
    """What became of the policy."""

    ancestors: Annotated[tuple[AncestorStatus, ...], Field(max_length=16)] = ()
    """By target."""


class VarnishCachePolicy(Resource):
    """Caching for what a Gateway, an HTTPRoute or one of its rules serves. Without one nothing is cached."""

    spec: CachePolicySpec
    status: Unread = None


class GatewayRef(Described):
    """A Gateway."""

    name: ObjectName
    """Its name."""
    namespace: Namespace | None = None
    """Its namespace; that of the object itself by default."""


class CacheInvalidationSpec(Described):
    """What is to be removed from the cache."""

    gateway_ref: GatewayRef
    """Whose cache."""
    type: Literal["Purge", "Ban"]
    """Purge: the objects of these paths. Ban: all objects whose path matches one of these regular expressions."""
    hostname: RequestHost
    """Of this host."""
    paths: Annotated[tuple[Path, ...], Field(min_length=1, max_length=1024)]
    """Paths, or regular expressions of paths."""
    ttl: Duration | None = None
    """How long the object is kept when all is done; `1h` by default."""


class PathResult(Described):
    """What became of a path."""

    path: str
    """The path."""
    success: bool
    """Whether it was removed."""
    message: str = ""
    """What went wrong."""


class PodResult(Described):
    """What became of it in a pod."""

    pod_name: str
    """The pod."""
    success: bool
    """Whether all paths were removed."""
    message: str = ""
    """What went wrong."""
    path_results: tuple[PathResult, ...] = ()
    """By path."""
    completed_at: str | None = None
    """When."""


class CacheInvalidationStatus(Described):
    """How far it is."""

    phase: Literal["Pending", "InProgress", "Complete", "Failed"] | None = None
    """Complete when every pod has done it."""
    message: str = ""
    """What is to be said of it."""
    completed_at: str | None = None
    """When the last pod had done it."""
    pod_results: tuple[PodResult, ...] = ()
    """By pod."""


class VarnishCacheInvalidation(Resource):
    """Removes objects from a gateway's cache, once."""

    spec: CacheInvalidationSpec
    status: Unread = None
