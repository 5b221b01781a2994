"""Which kinds are followed, how much of each, and where they are in the API."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_common.kube.api import Selection, path_of
from varnish_gateway_operator.resources.core import ConfigMap, EndpointSlice, Namespace, Secret
from varnish_gateway_operator.resources.parse import KINDS, Kind
from varnish_gateway_operator.translate.certificates import TLS_SECRET

OWN: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
"""Selects what the operator made, and the pods that came of it."""


@dataclass(frozen=True)
class Source:
    """A part of the API that is followed."""

    kind: str
    group: str
    versions: tuple[str, ...]
    """The first one that is served is taken."""
    model: Kind | None = None
    """How it gets into the snapshot; None: it does not."""
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    is_metadata_only: bool = False

    def selection(self, version: str) -> Selection:
        path = path_of(api_version(self.group, version), plural(self.kind), namespace=self.namespace)
        return Selection(path, self.labels, self.fields, self.is_metadata_only)

    @property
    def is_of_one(self) -> bool:
        """Whether it is an object that somebody refers to by its name."""
        return self.fields.startswith("metadata.name=")

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.namespace, self.labels, self.fields)))


def api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def plural(kind: str) -> str:
    """`httproutes`: what a kind is called in paths."""
    name = kind.lower()
    if name.endswith("parameters"):
        return name
    if name.endswith("y") and not name.endswith("ay"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"


def sources() -> tuple[Source, ...]:
    """All that is followed from the start."""
    return (*_read(KINDS.values()), *_own())


def config_map_source(namespace: str, name: str) -> Source:
    """One ConfigMap that somebody refers to: there may be many, and most are nobody's business here."""
    fields = f"metadata.name={name}"
    return Source("ConfigMap", "", ("v1",), _kind_of(ConfigMap), namespace=namespace, fields=fields)


def secret_source(namespace: str, name: str) -> Source:
    """One Secret that a listener refers to; no other is read."""
    fields = f"metadata.name={name},type={TLS_SECRET}"
    return Source("Secret", "", ("v1",), _kind_of(Secret), namespace=namespace, fields=fields)


def _read(kinds: Iterable[Kind]) -> Iterable[Source]:
    for kind in kinds:
        if kind.model in (ConfigMap, Secret, EndpointSlice):
            continue  # those are followed by name, and the last is for the pods
        yield Source(
            kind.model.__name__,
            kind.group,
            kind.versions,
            kind,
            is_metadata_only=kind.model is Namespace,
        )


def _own() -> Iterable[Source]:
    """Services are missing here, because all of them are followed already."""
    yield Source("ConfigMap", "", ("v1",), _kind_of(ConfigMap), labels=OWN)
    for kind, group, version in (
        ("Secret", "", "v1"),
        ("ServiceAccount", "", "v1"),
        ("Pod", "", "v1"),
        ("Deployment", "apps", "v1"),
        ("Role", "rbac.authorization.k8s.io", "v1"),
        ("RoleBinding", "rbac.authorization.k8s.io", "v1"),
        ("PodDisruptionBudget", "policy", "v1"),
        ("HorizontalPodAutoscaler", "autoscaling", "v2"),
        ("NetworkPolicy", "networking.k8s.io", "v1"),
    ):
        yield Source(kind, group, (version,), labels=OWN)


def _kind_of(model: type[ConfigMap] | type[Secret]) -> Kind:
    return KINDS["", model.__name__]
