"""What changes how: at once, without a lost request, and without replacing pods that need not be."""

import statistics
import time
from collections.abc import Callable

import pytest

from e2e.cluster.api import until
from e2e.cluster.rig import BACKENDS, HOST, NAMESPACE, Rig, serve_for

CHANGES: dict[str, tuple[Callable[[Rig], None], Callable[[Rig], None]]] = {
    "route": (
        lambda rig: rig.change_route(matches=[{"path": {"type": "PathPrefix", "value": "/"}}, {"method": "PUT"}]),
        lambda rig: rig.change_route(),
    ),
    "endpoints": (lambda rig: rig.scale_backends(3), lambda rig: rig.scale_backends(2)),
    "certificate": (Rig.change_certificate, Rig.change_certificate),
    "user VCL": (
        lambda rig: rig.change_user_vcl("sub vcl_deliver { set resp.http.x-changed = 1; }"),
        lambda rig: rig.change_user_vcl(""),
    ),
}
"""What is changed: how, and how back."""


@pytest.mark.parametrize(("standing", "created"), [(10, 100), (3000, 20)])
def test_new_routes_come_into_effect_and_lose_nothing(rig: Rig, standing: int, created: int) -> None:
    """What it takes is told and not judged: that is a matter of the machine, and of what else it does."""
    for number in range(standing):
        rig.create_route(f"standing-{number}.example.com")
    rig.wait_for_answer(f"standing-{standing - 1}.example.com")
    address = rig.address
    with rig.traffic() as traffic:
        milliseconds = sorted(_until_answered(rig, f"new-{number}", address) for number in range(created))
    traffic.check(at_least=100)
    p50, p99 = statistics.median(milliseconds), milliseconds[created * 99 // 100 - 1]
    print(f"\n{standing} routes, from the API server's answer to the gateway's: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


def _until_answered(rig: Rig, name: str, address: str) -> float:
    """Milliseconds, of a route that goes again."""
    host = f"{name}.example.com"
    rig.create_route(host)
    began = time.monotonic()
    until(f"{host} answers", lambda: rig.ask(host, address=address) == 200, every=0.002)
    took = (time.monotonic() - began) * 1000
    rig.api.delete("HTTPRoute", name, NAMESPACE)
    return took


def test_twenty_flips_of_a_live_route_lose_nothing(rig: Rig) -> None:
    headers = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-flip", "value": "1"}]}}
    with rig.traffic() as traffic:
        for flip in range(20):
            backends = [{"name": BACKENDS, "port": (80, 8080)[flip % 2]}]
            rig.change_route(backendRefs=backends, filters=[headers] if flip % 3 else [])
            serve_for(0.5)
        rig.change_route()
    traffic.check(at_least=500)


@pytest.mark.parametrize("what", CHANGES)
def test_pods_stay_where_only_their_configuration_changes(rig: Rig, what: str) -> None:
    pods, infra_hash = rig.pod_ids(), rig.infra_hash()
    with rig.traffic() as traffic:
        for change in CHANGES[what]:
            change(rig)
            serve_for(3)  # the operator has seen it by then, and would have acted
            until("the gateway is programmed", rig.is_programmed)
    traffic.check(at_least=100)
    assert rig.infra_hash() == infra_hash
    assert rig.pod_ids() == pods


def test_a_new_port_replaces_the_pods_and_loses_nothing(rig: Rig) -> None:
    pods, infra_hash = rig.pod_ids(), rig.infra_hash()
    with rig.traffic() as traffic:
        rig.listen_on(80, 8081)
        until("the pods are replaced", lambda: rig.is_settled() and not rig.pod_ids() & pods, seconds=120)
        assert rig.infra_hash() != infra_hash
        until("the gateway is programmed", rig.is_programmed)
        until("the new port answers", lambda: rig.ask(HOST, port=8081) == 200)
        rig.listen_on(80)
        until("the hash of before", lambda: rig.infra_hash() == infra_hash)
        until("the pods are replaced", rig.is_settled, seconds=120)
        serve_for(10)
    traffic.check(at_least=1000)
