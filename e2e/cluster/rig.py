"""A gateway with backends in a cluster, and what tests do to it."""

import time
from base64 import b64encode
from http.client import HTTPConnection
from typing import Any

from e2e.cluster.api import Api, Json, until
from e2e.cluster.install import ECHO_IMAGE
from e2e.cluster.layout import OPERATOR_NAMESPACE
from e2e.cluster.pki import self_signed
from e2e.cluster.traffic import Traffic

NAMESPACE = "e2e"
GATEWAY = "web"
CLASS = "varnish"
BASE = f"{GATEWAY}-{CLASS}"
ROUTE = "live"
HOST = f"{ROUTE}.example.com"
BACKENDS = "echo"
SECRET = "certificate"
USER_VCL = "user-vcl"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
TEMPORARY = {"temporary": "true"}
INFRA_HASH = "varnish.io/infra-hash"


class Rig:
    """`web` in namespace `e2e`: HTTP, HTTPS, user VCL, and a route of `live.example.com` to two pods of `echo`."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def build(self) -> None:
        self.api.create({"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
        self.api.create(_backends())
        self.api.create(_service())
        self.api.create(self._secret())
        user_vcl = {"name": USER_VCL, "namespace": NAMESPACE}
        self.api.create({"kind": "ConfigMap", "metadata": user_vcl, "data": {"user.vcl": ""}})
        self.change_parameters(userVCLConfigMapRef=user_vcl)
        self.api.create(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
                "spec": {"gatewayClassName": CLASS, "listeners": listeners(80)},
            }
        )
        self.create_route(HOST)
        until("the gateway is programmed", self.is_programmed, seconds=120)
        self.wait_for_answer(HOST)

    def clear(self) -> None:
        self.api.delete_all("HTTPRoute", NAMESPACE, **TEMPORARY)
        until("the gateway is settled", self.is_settled)

    @property
    def address(self) -> str:
        addresses = self.gateway()["status"].get("addresses", [])
        assert addresses, "the Gateway has no address"
        return str(addresses[0]["value"])

    def gateway(self) -> Json:
        return self.api.get("Gateway", GATEWAY, NAMESPACE)

    def is_programmed(self) -> bool:
        """For the generation that it has now."""
        gateway = self.gateway()
        conditions = {each["type"]: each for each in gateway.get("status", {}).get("conditions", [])}
        found = conditions.get("Programmed", {})
        return bool(found.get("status") == "True" and found["observedGeneration"] == gateway["metadata"]["generation"])

    def create_route(self, host: str, **rule: Any) -> Json:
        """Named by the first label of the host. All but the first go when the test ends."""
        metadata = {"name": host.partition(".")[0], "namespace": NAMESPACE}
        backends = [{"name": BACKENDS, "port": 80}]
        return self.api.create(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": metadata if host == HOST else {**metadata, "labels": TEMPORARY},
                "spec": {
                    "parentRefs": [{"name": GATEWAY}],
                    "hostnames": [host],
                    "rules": [{"backendRefs": backends, **rule}],
                },
            }
        )

    def ask(self, host: str, *, port: int = 80, address: str = "") -> int:
        """The status of one answer; 0 for none."""
        connection = HTTPConnection(address or self.address, port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": host})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def traffic(self, host: str = HOST) -> Traffic:
        return Traffic(self.address, host)

    def pods(self) -> list[Json]:
        """The gateway's that are not leaving."""
        found = self.api.items("Pod", NAMESPACE, **{"app.kubernetes.io/instance": BASE})
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod_ids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def operators(self) -> list[Json]:
        return self.api.items("Pod", OPERATOR_NAMESPACE, **{"app.kubernetes.io/name": "varnish-gateway-operator"})

    def operator_ids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.operators()}

    def kill_operators(self) -> set[str]:
        """All of them at once; who they were."""
        pods = self.operators()
        for pod in pods:
            self.api.delete("Pod", pod["metadata"]["name"], OPERATOR_NAMESPACE, grace_seconds=0)
        return {pod["metadata"]["uid"] for pod in pods}

    def has_budget(self) -> bool:
        """Whether a disruption budget is in effect: without one all pods may be evicted at once."""
        budgets = self.api.items("PodDisruptionBudget", NAMESPACE)
        return any(budget.get("status", {}).get("disruptionsAllowed") for budget in budgets)

    def wait_for_answer(self, host: str) -> None:
        until(f"{host} answers", lambda: self.ask(host) == 200, seconds=90)

    def wait_for_pods(self, count: int) -> None:
        until(f"{count} pods", lambda: len(self.pods()) == count and self.is_settled(), seconds=120)

    def infra_hash(self) -> str:
        template = self.api.get("Deployment", BASE, NAMESPACE)["spec"]["template"]
        return str(template["metadata"]["annotations"][INFRA_HASH])

    def is_settled(self, name: str = BASE, namespace: str = NAMESPACE) -> bool:
        """All replicas are of the newest template and ready, and none is left of another."""
        deployment = self.api.get("Deployment", name, namespace)
        wanted, status = deployment["spec"]["replicas"], deployment["status"]
        seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
        counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "readyReplicas")]
        return seen and counts == [wanted] * 3

    def listen_on(self, *ports: int) -> None:
        self.api.patch("Gateway", GATEWAY, {"spec": {"listeners": listeners(*ports)}}, NAMESPACE)

    def change_route(self, **rule: Any) -> None:
        backends = [{"name": BACKENDS, "port": 80}]
        self.api.patch("HTTPRoute", ROUTE, {"spec": {"rules": [{"backendRefs": backends, **rule}]}}, NAMESPACE)

    def change_certificate(self) -> None:
        self.api.patch("Secret", SECRET, {"data": self._secret()["data"]}, NAMESPACE)

    def change_user_vcl(self, text: str) -> None:
        self.api.patch("ConfigMap", USER_VCL, {"data": {"user.vcl": text}}, NAMESPACE)

    def change_parameters(self, **change: Any) -> None:
        self.api.patch("GatewayClassParameters", CLASS, {"spec": change})

    def scale_backends(self, replicas: int) -> None:
        self.api.patch("Deployment", BACKENDS, {"spec": {"replicas": replicas}}, NAMESPACE)
        until("the backends are settled", lambda: self.is_settled(BACKENDS))

    def _secret(self) -> Json:
        """With another certificate each time."""
        content = {key: b64encode(value.encode()).decode() for key, value in self_signed(HOST).items()}
        metadata = {"name": SECRET, "namespace": NAMESPACE}
        return {"kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": content}


def listeners(*ports: int) -> list[Json]:
    """HTTP on these ports, and HTTPS."""
    https = {"mode": "Terminate", "certificateRefs": [{"name": SECRET}]}
    return [
        *({"name": f"http-{port}", "port": port, "protocol": "HTTP"} for port in ports),
        {"name": "https", "port": 443, "protocol": "HTTPS", "tls": https},
    ]


def serve_for(seconds: float) -> None:
    """Traffic goes on meanwhile: what happens late must happen before the test ends."""
    time.sleep(seconds)


def _backends() -> Json:
    """Each leaves only after it is no longer asked, as backends must."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": BACKENDS,
        "image": ECHO_IMAGE,
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": 3000}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
        "securityContext": restricted,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": BACKENDS, "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": BACKENDS}},
            "template": {
                "metadata": {"labels": {"app": BACKENDS}},
                "spec": {
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                },
            },
        },
    }


def _service() -> Json:
    ports = [{"name": f"http-{port}", "port": port, "targetPort": 3000} for port in (80, 8080)]
    return {
        "kind": "Service",
        "metadata": {"name": BACKENDS, "namespace": NAMESPACE},
        "spec": {"selector": {"app": BACKENDS}, "ports": ports},
    }
