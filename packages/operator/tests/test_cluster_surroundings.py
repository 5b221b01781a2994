"""The program in a cluster: what it follows because others name it, its pages, and writes that are refused once."""

import asyncio
import socket
from http.client import HTTPConnection

import pytest
from structlog.testing import capture_logs

from cluster_rig import ROUTE_PATH, attached, filled, operator, put, until
from fake_kube import FakeKube
from operator_rig import CLASS, OWN_PARAMETERS
from varnish_gateway_common.kube.api import ConflictError, ForbiddenError, KubeError
from varnish_gateway_operator import cluster as cluster_module

CONFIG = "/api/v1/namespaces/default/configmaps/gw-varnish"


@pytest.fixture
async def kube() -> FakeKube:
    return filled()


async def test_user_vcl_is_followed_as_long_as_parameters_name_it(kube: FakeKube) -> None:
    def parameters(spec: str) -> None:
        head = "apiVersion: gateway.varnish-software.com/v1alpha1, kind: GatewayClassParameters"
        put(kube, f"{{{head}, metadata: {{name: own}}, spec: {spec}}}")

    def user_vcl(text: str) -> None:
        put(kube, f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: vcl}}, data: {{user.vcl: '{text}'}}}}")

    def vcl() -> str:
        return str(kube.objects[CONFIG]["data"]["main.vcl"]) if CONFIG in kube.objects else ""

    put(kube, CLASS.replace("/gateway}", "/gateway, " + OWN_PARAMETERS + "}"))
    user_vcl("# the first")
    parameters("{userVCLConfigMapRef: {name: vcl, namespace: default}}")
    async with operator(kube):
        await until(lambda: "# the first" in vcl())
        user_vcl("# the second")
        await until(lambda: "# the second" in vcl())
        parameters("{}")
        await until(lambda: "# the" not in vcl())


async def page(port: int, path: str) -> tuple[int, str]:
    def asked() -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(asked)


async def test_pages_are_served_once_the_port_is_free(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> bool:
        return any("not served on port" in str(entry["event"]) for entry in logs)

    monkeypatch.setattr(cluster_module, "RETRY_SECONDS", (0.5, 0.01))
    kube.refuse = lambda verb, path: ForbiddenError("no", status=403) if "/services" in path else None
    with capture_logs() as logs, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with operator(kube, port=port) as cluster:
            await until(told)
            taken.close()
            await until(lambda: any("leading" in str(entry["event"]) for entry in logs) and len(cluster.missing) == 1)
            async with asyncio.timeout(60):
                while True:
                    try:
                        assert await page(port, "/healthz") == (200, "ok\n")
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.01)
            assert await page(port, "/readyz") == (503, "not listed yet: Service\n")
            kube.refuse = lambda verb, path: None
            await until(lambda: attached(kube) == 1)
            assert await page(port, "/readyz") == (200, "ok\n")
            status, metrics = await page(port, "/metrics")
            assert status == 200
            assert 'objects{kind="HTTPRoute"} 1.0' in metrics
            assert "leading 1.0" in metrics


async def test_an_object_that_somebody_changed_just_then_is_applied_again(kube: FakeKube) -> None:
    conflicts = [ConflictError("somebody else's", status=409)]

    def refuse(verb: str, path: str) -> KubeError | None:
        return conflicts.pop() if conflicts and verb == "apply" and path == CONFIG else None

    kube.refuse = refuse
    async with operator(kube):
        await until(lambda: CONFIG in kube.objects and attached(kube) == 1)
    assert not conflicts


async def test_a_removal_that_is_refused_is_tried_again(kube: FakeKube) -> None:
    labels = "{app.kubernetes.io/managed-by: varnish-gateway, varnish-software.com/gateway-uid: gone}"
    head = "apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding"
    put(kube, f"{{{head}, metadata: {{name: left, labels: {labels}}}}}")
    is_forbidden = True
    kube.refuse = lambda verb, _: ForbiddenError("no", status=403) if is_forbidden and verb == "delete" else None
    async with operator(kube):
        await until(lambda: len(kube.sent("delete")) >= 2)
        assert attached(kube) == 1, "all else is done"
        is_forbidden = False
        await until(lambda: not any(path.endswith("/rolebindings/left") for path in kube.objects))
        assert ROUTE_PATH in kube.objects
