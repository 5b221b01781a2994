"""The program in a cluster, with an API server in memory that has a class, a Gateway and a route."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fake_kube import FakeKube
from operator_rig import GATEWAY, contents_of, route
from varnish_gateway_common.kube.api import Json
from varnish_gateway_operator.cluster import Cluster, Settings
from varnish_gateway_operator.translate.objects.shape import ClusterOptions

GATEWAY_PATH: Final = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/gw"
ROUTE_PATH: Final = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/web"
LEASE_PATH: Final = "/apis/coordination.k8s.io/v1/namespaces/system/leases/operator"
WEB: Final = route("[{backendRefs: [{name: web, port: 80}]}]")


def put(kube: FakeKube, text: str) -> None:
    for content in contents_of(text):
        if content["kind"] not in ("GatewayClass", "GatewayClassParameters", "Namespace"):
            content["metadata"]["namespace"] = "default"
        kube.put(content)


def filled() -> FakeKube:
    found = FakeKube()
    put(found, GATEWAY + WEB)
    put(found, "{apiVersion: v1, kind: Namespace, metadata: {name: default}}")
    return found


PATIENCE_SECONDS: Final = 60


@asynccontextmanager
async def operator(kube: FakeKube, identity: str = "one", *, port: int = 0) -> AsyncIterator[Cluster]:
    settings = Settings("system", "operator", identity, "127.0.0.1", port, ClusterOptions("gateway:1"))
    cluster = Cluster(kube, settings)
    task = asyncio.create_task(cluster.run())
    try:
        yield cluster
    finally:
        cluster.leave()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def until(claim: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim():  # noqa: ASYNC110 - the fake has no event for everything
            await asyncio.sleep(0.005)


def attached(kube: FakeKube) -> int | None:
    status = kube.objects[GATEWAY_PATH].get("status") or {"listeners": [{}]}
    found: int | None = status["listeners"][0].get("attachedRoutes")
    return found


def parents(kube: FakeKube) -> list[Json]:
    found: list[Json] = (kube.objects[ROUTE_PATH].get("status") or {}).get("parents", [])
    return found


def statuses(kube: FakeKube) -> int:
    return len(kube.sent("merge", "/status"))


def holder(kube: FakeKube) -> str:
    lease = kube.objects.get(LEASE_PATH)
    return str(lease["spec"]["holderIdentity"]) if lease else ""
