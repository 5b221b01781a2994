"""What all objects of a Gateway have in common: what they are made of, names, labels and owner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

from varnish_gateway_common import names
from varnish_gateway_common.certificates import Certificates
from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.gateway import Infrastructure
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.translate.objects.addresses import Request

Json = dict[str, Any]
Manager = Literal["gateway", "httproute"]
"""Which of the two reconcilers writes an object, or its part of one."""

Identity = tuple[str, str, str]
"""Kind, namespace and name."""

GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
CLASS_NAME: Final = "gateway.networking.k8s.io/gateway-class-name"
GATEWAY_UID: Final = "varnish-software.com/gateway-uid"
"""On objects in other namespaces than their Gateway's, where owners cannot be named."""
INSTANCE: Final = "app.kubernetes.io/instance"
LONGEST_LABEL: Final = 63


@dataclass(frozen=True)
class Owned:
    """An object of ours as it is to be, complete: what a manager leaves out, it gives up."""

    manager: Manager
    manifest: Json = field(repr=False)


@dataclass(frozen=True)
class ClusterOptions:
    """What the operator is told about the cluster."""

    gateway_image: str
    endpoints_role: str = "varnish-gateway-endpoints"
    """The ClusterRole that permits to read EndpointSlices."""
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with which pods' images are pulled, unless a class says otherwise."""


@dataclass(frozen=True)
class Before:
    """What the Gateway's ConfigMap holds."""

    vcl: str | None = None
    last_good_vcl: str | None = None


@dataclass(frozen=True)
class Wanted:
    """All that a Gateway's objects are made of: values only, for as long as they are equal nothing is made again."""

    namespace: str
    name: str
    class_name: str
    uid: str
    infrastructure: Infrastructure
    options: ClusterOptions
    routing: bytes
    vcl: str | None
    """None: what was written last stays."""
    certificates: Certificates
    certificate_files: Mapping[str, bytes] = field(repr=False)
    namespaces: tuple[str, ...]
    """Of the Services that are routed to."""
    pod: Pod | None
    parameters: ParametersSpec | None
    """None, for either: pods, their Service and what scales them stay as they are."""
    request: Request
    """Addresses."""
    before: Before | None
    """None: there was nothing."""
    confirmed: frozenset[str] = frozenset()
    """Digests of VCL that some pod runs."""

    @cached_property
    def base(self) -> str:
        return names.base(self.namespace, self.name, self.class_name)

    @cached_property
    def selector(self) -> Json:
        """Labels of the pods, which never change."""
        return {names.MANAGED_BY_LABEL: names.MANAGED_BY, INSTANCE: self.base}

    @cached_property
    def labels(self) -> Json:
        """Of every object; the user's own cannot take the place of ours."""
        return {
            **self.infrastructure.labels,
            GATEWAY_NAME: _label(self.name, self.base),
            CLASS_NAME: _label(self.class_name, self.base),
            "app.kubernetes.io/name": names.MANAGED_BY,
            **self.selector,
        }

    @property
    def annotations(self) -> Json:
        return dict(self.infrastructure.annotations)

    def manifest(
        self,
        api_version: str,
        kind: str,
        suffix: str = "",
        *,
        labels: Mapping[str, str] = MappingProxyType({}),
        annotations: Mapping[str, str] = MappingProxyType({}),
    ) -> Json:
        """apiVersion, kind and metadata of an object that the Gateway owns; `suffix` is added to the base."""
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": self.base + suffix,
                "namespace": self.namespace,
                **_annotations({**annotations, **self.annotations}),
                "labels": {**labels, **self.labels},
                "ownerReferences": [self._owner()],
            },
        }

    def foreign(self, api_version: str, kind: str, *, name: str, namespace: str) -> Json:
        """The same for an object in another namespace."""
        labels = {**self.labels, GATEWAY_UID: self.uid}
        metadata = {"name": name, "namespace": namespace, **_annotations(self.annotations), "labels": labels}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}

    def _owner(self) -> Json:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def _annotations(annotations: Json) -> Json:
    return {"annotations": annotations} if annotations else {}


def _label(name: str, base: str) -> str:
    return name if len(name) <= LONGEST_LABEL else base
