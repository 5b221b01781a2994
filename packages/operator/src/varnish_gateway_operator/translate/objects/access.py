"""Who the pods are, and what they may: their own objects by name, and EndpointSlices where they route to."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_operator.translate.objects.shape import Json, Wanted

GROUP: Final = "rbac.authorization.k8s.io"
READ: Final = ["get", "list", "watch"]


def service_account(wanted: Wanted) -> Json:
    """No token by default: only the pod's own container asks for one."""
    return {**wanted.manifest("v1", "ServiceAccount"), "automountServiceAccountToken": False}


def role(wanted: Wanted, *, config_maps: Sequence[str], secrets: Sequence[str]) -> Json:
    """Names, for everything that has one."""
    report = names.report_of(wanted.base)
    rules = [
        _rule("configmaps", READ, [*config_maps, report]),
        _rule("configmaps", ["patch"], [report]),
        *([_rule("secrets", READ, secrets)] if secrets else []),
    ]
    return {**wanted.manifest(f"{GROUP}/v1", "Role"), "rules": rules}


def role_bindings(wanted: Wanted) -> Iterable[Json]:
    """Of the Role, and of the ClusterRole for endpoints in each namespace that is routed to."""
    yield _bound(wanted, wanted.manifest(f"{GROUP}/v1", "RoleBinding"), "Role", wanted.base)
    identity = f"{wanted.namespace}/{wanted.name}".encode()
    name = f"vg-{hashlib.sha256(identity).hexdigest()[:16]}-endpoints"
    for namespace in wanted.namespaces:
        manifest = wanted.foreign(f"{GROUP}/v1", "RoleBinding", name=name, namespace=namespace)
        yield _bound(wanted, manifest, "ClusterRole", wanted.options.endpoints_role)


def _bound(wanted: Wanted, manifest: Json, kind: str, name: str) -> Json:
    return {
        **manifest,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": wanted.base, "namespace": wanted.namespace}],
    }


def _rule(resource: str, verbs: Sequence[str], resource_names: Sequence[str]) -> Json:
    return {
        "apiGroups": [""],
        "resources": [resource],
        "resourceNames": list(resource_names),
        "verbs": list(verbs),
    }
