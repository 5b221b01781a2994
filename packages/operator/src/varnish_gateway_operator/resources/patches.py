"""Patches of the pods' template (JSON merge patches, RFC 7396): what they may not change, and how they are applied."""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

POD_FIELDS: Final = frozenset({"metadata", "spec"})
METADATA_FIELDS: Final = frozenset({"annotations", "labels"})
OWN_POD_FIELDS: Final[Mapping[str, str]] = {
    "automountServiceAccountToken": "",
    "containers": "containerPatch and extraContainers",
    "ephemeralContainers": "",
    "hostIPC": "",
    "hostNetwork": "",
    "hostPID": "",
    "imagePullSecrets": "imagePullSecrets",
    "initContainers": "extraInitContainers",
    "restartPolicy": "",
    "securityContext": "podSecurityContext",
    "serviceAccount": "",
    "serviceAccountName": "",
    "shareProcessNamespace": "",
    "terminationGracePeriodSeconds": "terminationGracePeriod",
    "volumes": "extraVolumes",
}
OWN_CONTAINER_FIELDS: Final[Mapping[str, str]] = {
    "args": "",
    "command": "",
    "env": "extraEnv",
    "image": "image",
    "name": "",
    "ports": "",
    "volumeMounts": "extraVolumeMounts",
}
"""What the gateway depends on, or what would take its safety: field -> the parameter that is there for it."""


def pod_patch_problem(patch: Json) -> str | None:
    """Why it cannot be applied to a pod template."""
    for part, allowed in ((patch, POD_FIELDS), (patch.get("metadata", {}), METADATA_FIELDS)):
        if not isinstance(part, dict):
            return "metadata must be an object"
        if other := sorted(part.keys() - allowed):
            return f"{other[0]!r} is not a field of a pod template that can be patched"
    spec = patch.get("spec", {})
    if not isinstance(spec, dict):
        return "spec must be an object"
    return _own(spec, OWN_POD_FIELDS, "spec.")


def container_patch_problem(patch: Json) -> str | None:
    """Why it cannot be applied to the gateway's container."""
    return _own(patch, OWN_CONTAINER_FIELDS, "") or _weakening(patch)


def merge_patch(target: Any, patch: Any) -> Any:
    """The target as the patch wants it: null removes, an object is merged, whatever else takes the place."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge_patch(found.get(key), value)
    return found


def weaknesses(context: Json) -> list[str]:
    """Fields of a pod's or a container's securityContext that permit more than the gateway's own does."""
    capabilities = context.get("capabilities")
    added = capabilities.get("add") if isinstance(capabilities, dict) else None
    seccomp = context.get("seccompProfile", {})
    claims = {
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation", False) is not False,
        "capabilities": bool(added) or (capabilities is not None and _dropped(capabilities) != ["ALL"]),
        "privileged": context.get("privileged", False) is not False,
        "procMount": context.get("procMount", "Default") != "Default",
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem", True) is not True,
        "runAsNonRoot": context.get("runAsNonRoot", True) is not True,
        "runAsUser": context.get("runAsUser", 1) in (0, None),
        "seccompProfile": not isinstance(seccomp, dict) or seccomp.get("type", "RuntimeDefault") == "Unconfined",
    }
    return [name for name, is_weaker in claims.items() if is_weaker]


def _own(part: Json, own: Mapping[str, str], prefix: str) -> str | None:
    for name in sorted(part.keys() & own.keys()):
        instead = f"; use {own[name]}" if own[name] else ""
        return f"{prefix}{name} is the gateway's own{instead}"
    return None


def _weakening(patch: Json) -> str | None:
    context = patch.get("securityContext", {})
    if not isinstance(context, dict):
        return "securityContext must be an object"
    found = weaknesses(context)
    return f"securityContext.{found[0]} would be weaker than the gateway's own" if found else None


def _dropped(capabilities: Any) -> Any:
    """A patch that says nothing of it leaves it."""
    return capabilities.get("drop", ["ALL"]) if isinstance(capabilities, dict) else None
