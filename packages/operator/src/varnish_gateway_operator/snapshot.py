"""A frozen view of every object that matters, taken at one moment; all that translation knows of the world."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.resources.cache import VarnishCacheInvalidation, VarnishCachePolicy
from varnish_gateway_operator.resources.core import ConfigMap, Namespace, Secret, Service
from varnish_gateway_operator.resources.gateway import Gateway, GatewayClass, ListenerSet
from varnish_gateway_operator.resources.grants import ReferenceGrant
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.resources.parameters import GatewayClassParameters

Key = tuple[str, str]
"""Namespace and name; the namespace is empty for kinds without one."""

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Snapshot:
    """Every object by its key. An object that did not change is the same object as in the snapshot before."""

    gateway_classes: Mapping[Key, GatewayClass] = field(default_factory=dict)
    gateways: Mapping[Key, Gateway] = field(default_factory=dict)
    listener_sets: Mapping[Key, ListenerSet] = field(default_factory=dict)
    http_routes: Mapping[Key, HTTPRoute] = field(default_factory=dict)
    grants: Mapping[Key, ReferenceGrant] = field(default_factory=dict)
    services: Mapping[Key, Service] = field(default_factory=dict)
    namespaces: Mapping[Key, Namespace] = field(default_factory=dict)
    config_maps: Mapping[Key, ConfigMap] = field(default_factory=dict)
    secrets: Mapping[Key, Secret] = field(default_factory=dict)
    parameters: Mapping[Key, GatewayClassParameters] = field(default_factory=dict)
    cache_policies: Mapping[Key, VarnishCachePolicy] = field(default_factory=dict)
    cache_invalidations: Mapping[Key, VarnishCacheInvalidation] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    """What cannot be read now. Where it could be before, that is above."""

    @cached_property
    def grants_into(self) -> Mapping[str, tuple[ReferenceGrant, ...]]:
        """The ReferenceGrants of each namespace."""
        found: dict[str, list[ReferenceGrant]] = {}
        for grant in self.grants.values():
            found.setdefault(grant.namespace, []).append(grant)
        return {namespace: tuple(grants) for namespace, grants in found.items()}


def snapshot_of(resources: Iterable[Resource], broken: Iterable[Broken] = ()) -> Snapshot:
    """The snapshot of these objects, in the order of their keys; of two with one key the later counts."""
    by_kind: dict[type[Resource], dict[Key, Resource]] = {}
    for resource in resources:
        by_kind.setdefault(type(resource), {})[resource.key] = resource

    def those_of(kind: type[R]) -> Mapping[Key, R]:
        found = by_kind.get(kind, {})
        return {key: resource for key, resource in sorted(found.items()) if isinstance(resource, kind)}

    return Snapshot(
        gateway_classes=those_of(GatewayClass),
        gateways=those_of(Gateway),
        listener_sets=those_of(ListenerSet),
        http_routes=those_of(HTTPRoute),
        grants=those_of(ReferenceGrant),
        services=those_of(Service),
        namespaces=those_of(Namespace),
        config_maps=those_of(ConfigMap),
        secrets=those_of(Secret),
        parameters=those_of(GatewayClassParameters),
        cache_policies=those_of(VarnishCachePolicy),
        cache_invalidations=those_of(VarnishCacheInvalidation),
        broken=tuple(broken),
    )
