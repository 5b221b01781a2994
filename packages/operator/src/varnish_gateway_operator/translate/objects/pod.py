"""The pod template: the only thing that, when it changes, replaces the pods."""

import json
from typing import Any, Final

from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.resources.patches import merge_patch
from varnish_gateway_operator.translate.objects.shape import Json, Wanted

INFRA_HASH: Final = "varnish.io/infra-hash"
USER: Final = 65532
"""The image's own, and nobody's elsewhere."""
RUN: Final = "/run/varnish-gateway"
"""Sockets, keys, shared memory, documents: a memory file system that survives the container and not the pod."""
STORAGE_FOLDER: Final = "/var/cache/varnish-gateway"
"""On the node's disk, where objects are kept in a file."""
GRACE_SECONDS: Final = 60
GRACE_SHARE_SECONDS: Final = 15
"""Of these, before draining begins and after it ends."""
RESTRICTED: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod_template(wanted: Wanted, pod: Pod, spec: ParametersSpec) -> Json:
    """With the digest of itself, so that whoever compares two sees at a glance whether they are the same."""
    template = merge_patch({"metadata": {}, "spec": _pod_spec(wanted, pod, spec)}, spec.pod_patch)
    labels = {**template["metadata"].get("labels", {}), **wanted.labels}
    annotations = {**template["metadata"].get("annotations", {}), **wanted.annotations}
    template = {**template, "metadata": {"labels": labels, "annotations": annotations}}
    own = digest(json.dumps(template, sort_keys=True, separators=(",", ":")).encode())
    return {**template, "metadata": {"labels": labels, "annotations": {**annotations, INFRA_HASH: own}}}


def _pod_spec(wanted: Wanted, pod: Pod, spec: ParametersSpec) -> Json:
    return {
        "serviceAccountName": wanted.base,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _grace(spec),
        "securityContext": _security_context(spec),
        "containers": [merge_patch(_container(wanted, pod, spec), spec.container_patch), *spec.extra_containers],
        "volumes": [
            {"name": "run", "emptyDir": {"medium": "Memory"}},
            *({"name": name, "emptyDir": {}} for name in _folders(spec)),
            *spec.extra_volumes,
        ],
        "topologySpreadConstraints": _spread(wanted, spec),
        **_where_asked(
            imagePullSecrets=_pull_secrets(wanted, spec),
            initContainers=list(spec.extra_init_containers),
            nodeSelector=spec.node_selector,
            tolerations=list(spec.tolerations),
            affinity=spec.affinity,
            priorityClassName=spec.priority_class_name,
        ),
    }


def _security_context(spec: ParametersSpec) -> Json:
    return {
        **RESTRICTED,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        **spec.pod_security_context,
    }


def _container(wanted: Wanted, pod: Pod, spec: ParametersSpec) -> Json:
    return {
        "name": "gateway",
        "image": spec.image or wanted.options.gateway_image,
        "command": ["varnish-gateway-chaperone", "pod"],
        "args": [
            f"--config-map={wanted.base}",
            f"--report={names.report_of(wanted.base)}",
            f"--drain-deadline={max(_grace(spec) - GRACE_SHARE_SECONDS, 1)}",
        ],
        "env": [
            _from_field("VARNISH_GATEWAY_NAMESPACE", "metadata.namespace"),
            _from_field("VARNISH_GATEWAY_POD_NAME", "metadata.name"),
            {"name": "VARNISH_GATEWAY_POD", "value": pod.to_json().decode()},
            *spec.extra_env,
        ],
        "ports": [
            *({"name": socket.name, "containerPort": socket.port, "protocol": "TCP"} for socket in pod.sockets),
            {"name": "web", "containerPort": names.WEB_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/readyz", period=1, failures=120),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "securityContext": {
            **RESTRICTED,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "run", "mountPath": RUN},
            *({"name": name, "mountPath": path} for name, path in _folders(spec).items()),
            *spec.extra_volume_mounts,
        ],
        **_where_asked(resources=spec.resources, lifecycle=spec.lifecycle),
    }


def _pull_secrets(wanted: Wanted, spec: ParametersSpec) -> list[Json]:
    """The class's, else the operator's choice."""
    chosen = [each.name for each in spec.image_pull_secrets] or wanted.options.pull_secrets
    return [{"name": name} for name in chosen]


def _folders(spec: ParametersSpec) -> dict[str, str]:
    """Volumes on the node's disk, and where they are."""
    storage = {"storage": STORAGE_FOLDER} if spec.storage.type == "file" else {}
    return {"tmp": "/tmp", **storage}  # noqa: S108 - a volume of its own


def _grace(spec: ParametersSpec) -> int:
    return spec.grace_seconds or GRACE_SECONDS


def _from_field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(path: str, *, period: int, failures: int) -> Json:
    return {
        "httpGet": {"path": path, "port": names.WEB_PORT},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _spread(wanted: Wanted, spec: ParametersSpec) -> list[Json]:
    """Over nodes as far as that goes, unless the parameters know better; a constraint that does not say whom it
    counts counts these pods."""
    default = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    asked = spec.topology_spread_constraints or (default,)
    return [{"labelSelector": {"matchLabels": wanted.selector}, **each} for each in asked]


def _where_asked(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value}
