"""Many routes: the numbers are right soon, each is told once or twice, and memory stays within bounds."""

import asyncio
import time
from collections import Counter

from gateway_objects import gateway_of
from operator_process import Account, Json, Operator, apply, attached, audit_position, get, until

from varnish_gateway_operator.kube.client import KubeClient, connect

MANY = 1_000
MOST = 10_000
AT_ONCE = 24
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"


def route(namespace: str, number: int) -> Json:
    """Of its own host: a prefix, an exact path with a filter, a redirect."""
    header = {"set": [{"name": "x-number", "value": str(number)}]}
    backend = [{"name": "web", "port": 80}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"namespace": namespace, "name": f"route-{number}"},
        "spec": {
            "parentRefs": [{"name": "gw"}],
            "hostnames": [f"host-{number}.example.com"],
            "rules": [
                {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backend},
                {
                    "matches": [{"path": {"type": "Exact", "value": "/login"}, "method": "POST"}],
                    "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": header}],
                    "backendRefs": backend,
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
                    "filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 301}}],
                },
            ],
        },
    }


async def create(kube: KubeClient, namespace: str, numbers: range) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await kube.create(ROUTES.format(namespace), route(namespace, number))

    await asyncio.gather(*(one(number) for number in numbers))


async def test_many_routes_at_once(operator: Operator, account: Account, namespace: str) -> None:
    kube = await connect()
    try:
        apply(gateway_of(namespace))
        until("the Deployment", lambda: get("deployment", "gw-varnish", f"--namespace={namespace}"))
        since = audit_position()
        await create(kube, namespace, range(MANY))
        last = time.monotonic()
        until("the number of routes", lambda: attached(namespace, "gw") == MANY, 5)
        print(f"{MANY} routes: attachedRoutes right {time.monotonic() - last:.1f} s after the last")
        until("every status", lambda: len(statuses(account, namespace, since)) == MANY, 60, pause=1.0)
        print(f"... all statuses after {time.monotonic() - last:.1f} s")
        await asyncio.sleep(1)
        counts = statuses(account, namespace, since)
        print(f"... status writes a route: {Counter(counts.values())}")
        assert max(counts.values()) <= 2

        await create(kube, namespace, range(MANY, MOST))
        until("the number of routes", lambda: attached(namespace, "gw") == MOST, 60, pause=1.0)
        # Not all statuses are written by then: on two processors that do everything it takes a minute; they add little.
        print(f"{MOST} routes: {operator.resident_bytes / 2**20:.0f} MiB at most")
        assert operator.resident_bytes < 512 * 2**20
    finally:
        await kube.close()


def statuses(account: Account, namespace: str, since: int) -> Counter[str]:
    """Route -> how often its status was written."""
    what = f"patch httproutes/status {namespace}/"
    return Counter(each for each in account.writes(since) if each.startswith(what))
