"""What goes wrong in a cluster, under traffic: no request is lost."""

import os
import signal
import subprocess
from functools import partial

import httpx

from e2e.cluster import programs
from e2e.cluster.api import until
from e2e.cluster.layout import Layout
from e2e.cluster.rig import HOST, NAMESPACE, Rig, serve_for

OUTAGE_SECONDS = 60


def test_scaling_loses_nothing(rig: Rig) -> None:
    with rig.traffic() as traffic:
        for replicas in (3, 1, 2):
            rig.change_parameters(replicas=replicas)
            rig.wait_for_pods(replicas)
            serve_for(8)
    traffic.check(at_least=1000)


def test_evicting_every_pod_as_a_drained_node_does_loses_nothing(rig: Rig) -> None:
    """With a disruption budget: the next goes when the one before is replaced."""
    rig.change_parameters(podDisruptionBudget={"minAvailable": 1})
    try:
        with rig.traffic() as traffic:
            for pod in rig.pods():
                until("a pod is evicted", partial(rig.api.evict, pod["metadata"]["name"], NAMESPACE), seconds=120)
            rig.wait_for_pods(2)
            serve_for(8)
        traffic.check(at_least=1000)
    finally:
        rig.change_parameters(podDisruptionBudget=None)


def test_endpoint_churn_loses_nothing(rig: Rig) -> None:
    with rig.traffic() as traffic:
        for replicas in (4, 1, 3, 1, 2):
            rig.scale_backends(replicas)
            serve_for(4)
    traffic.check(at_least=1000)


def test_a_killed_operator_is_missed_by_nobody(rig: Rig) -> None:
    with rig.traffic() as traffic:
        killed = rig.kill_operators()
        until("others run", lambda: rig.operator_ids() and not rig.operator_ids() & killed)
        rig.create_route("after-the-operator.example.com")
        rig.wait_for_answer("after-the-operator.example.com")
        serve_for(3)
    traffic.check(at_least=100)


def test_an_api_server_that_is_gone_for_a_minute_is_missed_by_nobody(rig: Rig, layout: Layout) -> None:
    address, name = rig.address, "kube-apiserver"
    with rig.traffic() as traffic:
        pid = int((layout.run / f"{name}.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        serve_for(OUTAGE_SECONDS)
        with (layout.logs / f"{name}.log").open("ab") as log:
            subprocess.run(["setsid", "--fork", *programs.command(layout, name)], stdout=log, stderr=log, check=True)
        until("a new route is accepted", lambda: _creates(rig, "after-the-outage.example.com"), seconds=60)
        until("it is served", lambda: rig.ask("after-the-outage.example.com", address=address) == 200, seconds=60)
    traffic.check(at_least=2000)
    assert rig.ask(HOST) == 200


def _creates(rig: Rig, host: str) -> bool:
    try:
        rig.create_route(host)
    except (AssertionError, httpx.TransportError):
        return False
    return True
