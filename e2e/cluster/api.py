"""The API server as tests ask it: one connection, JSON in and out."""

import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
PATHS = {
    "Namespace": "api/v1/{}namespaces",
    "Service": "api/v1/{}services",
    "ConfigMap": "api/v1/{}configmaps",
    "Pod": "api/v1/{}pods",
    "PodDisruptionBudget": "apis/policy/v1/{}poddisruptionbudgets",
    "Deployment": "apis/apps/v1/{}deployments",
    "Gateway": "apis/gateway.networking.k8s.io/v1/{}gateways",
    "GatewayClass": "apis/gateway.networking.k8s.io/v1/{}gatewayclasses",
    "HTTPRoute": "apis/gateway.networking.k8s.io/v1/{}httproutes",
    "GatewayClassParameters": "apis/gateway.varnish-software.com/v1alpha1/{}gatewayclassparameters",
    "Lease": "apis/coordination.k8s.io/v1/{}leases",
    "Secret": "api/v1/{}secrets",
}
Found = TypeVar("Found")
MERGE = "application/merge-patch+json"


class Api:
    """KUBECONFIG's server. Raises AssertionError with the server's words for what it refuses."""

    def __init__(self) -> None:
        config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=server["certificate-authority"])
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        self._client = httpx.Client(base_url=server["server"], verify=context, timeout=30)

    def close(self) -> None:
        self._client.close()

    def create(self, manifest: Mapping[str, Any]) -> Json:
        namespace = manifest["metadata"].get("namespace", "")
        return self._ask("POST", _path(manifest["kind"], namespace), json=manifest)

    def get(self, kind: str, name: str, namespace: str = "") -> Json:
        return self._ask("GET", f"{_path(kind, namespace)}/{name}")

    def patch(self, kind: str, name: str, change: Mapping[str, Any], namespace: str = "") -> Json:
        """A merge patch."""
        path = f"{_path(kind, namespace)}/{name}"
        return self._ask("PATCH", path, content=json.dumps(change), headers={"Content-Type": MERGE})

    def delete(self, kind: str, name: str, namespace: str = "", *, grace_seconds: int | None = None) -> None:
        grace = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        self._ask("DELETE", f"{_path(kind, namespace)}/{name}", params=grace)

    def delete_all(self, kind: str, namespace: str, **labels: str) -> None:
        self._ask("DELETE", _path(kind, namespace), params={"labelSelector": _selector(labels)})

    def items(self, kind: str, namespace: str = "", **labels: str) -> list[Json]:
        found = self._ask("GET", _path(kind, namespace), params={"labelSelector": _selector(labels)})
        return list(found["items"])

    def evict(self, pod: str, namespace: str) -> bool:
        """False where a disruption budget does not let it go now."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        answer = self._client.post(f"{_path('Pod', namespace)}/{pod}/eviction", json=body)
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return False
        answer.raise_for_status()
        return True

    def _ask(self, method: str, path: str, **request: Any) -> Json:
        answer = self._client.request(method, path, **request)
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.text}")
        return dict(answer.json())


def until(what: str, ask: Callable[[], Found], *, seconds: float = 60, every: float = 0.1) -> Found:
    """What `ask` answers as soon as that is true. Raises AssertionError when it was not in that time."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(every)
    return found


def _path(kind: str, namespace: str) -> str:
    return "/" + PATHS[kind].format(f"namespaces/{namespace}/" if namespace else "")


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())
