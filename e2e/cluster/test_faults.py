"""What goes wrong in a cluster, under traffic: no request is lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from e2e.cluster import node, programs
from e2e.cluster.api import Json, until
from e2e.cluster.layout import Layout
from e2e.cluster.rig import HOST, NAMESPACE, Rig, serve_for
from e2e.cluster.traffic import Traffic

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
    until("the budget counts the pods", rig.has_budget)
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
    address = rig.address
    with rig.traffic() as traffic:
        with without_api_server(layout):
            serve_for(OUTAGE_SECONDS)
        until("a new route is accepted", lambda: _creates(rig, "after-the-outage.example.com"), seconds=60)
        until("it is served", lambda: rig.ask("after-the-outage.example.com", address=address) == 200, seconds=60)
        for replicas in (3, 2):  # what follows endpoints has found them as they were
            rig.scale_backends(replicas)
    traffic.check(at_least=2000)
    assert rig.ask(HOST) == 200


def test_a_pod_restarts_without_an_api_server(rig: Rig, layout: Layout) -> None:
    """Its container's first process is killed: kubelet starts the next one, which finds what the pod has in memory."""
    pod, address = rig.pods()[0], rig.pods()[0]["status"]["podIP"]
    with without_api_server(layout):
        until("the pod answers", lambda: rig.ask(HOST, address=address) == 200)
        os.kill(chaperone_of(pod), signal.SIGKILL)
        until("the pod does not answer", lambda: rig.ask(HOST, address=address) != 200)
        until("it does again", lambda: rig.ask(HOST, address=address) == 200)
        with Traffic(address, HOST) as traffic:
            serve_for(5)
        traffic.check(at_least=200)
    until("the API server is back", lambda: _creates(rig, "after-the-restart.example.com"), seconds=60)
    rig.wait_for_answer("after-the-restart.example.com")
    until("its new life is known", lambda: _restarts(rig, pod) == 1)
    until("the gateway is programmed", rig.is_programmed)


@contextmanager
def without_api_server(layout: Layout) -> Iterator[None]:
    """The controllers begin anew with it: elsewhere they lose their Lease, and end. One that remembers the nodes'
    heartbeats of before the outage would take all nodes for lost, and every pod for unready."""
    for name in ("kube-controller-manager", "kube-apiserver"):
        os.kill(int((layout.run / f"{name}.pid").read_text()), signal.SIGKILL)
    try:
        yield
    finally:
        start(layout, "kube-apiserver")
        until("the API server is ready", lambda: node.answer(layout, "/readyz"))
        start(layout, "kube-controller-manager")


def start(layout: Layout, name: str) -> None:
    """The child of the cluster's first process, which reaps it."""
    pid_file = layout.run / f"{name}.pid"
    command = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pid_file), *programs.command(layout, name)]
    with (layout.logs / f"{name}.log").open("ab") as log:
        subprocess.run(["setsid", "--fork", *command], stdout=log, stderr=log, check=True)


def chaperone_of(pod: Json) -> int:
    """The first process of the pod's container, as the node numbers it."""
    (status,) = pod["status"]["containerStatuses"]
    container = status["containerID"].removeprefix("containerd://")
    tasks = subprocess.run(["ctr", "tasks", "list"], capture_output=True, text=True, check=True).stdout
    return next(int(pid) for name, pid, *_ in map(str.split, tasks.splitlines()) if name == container)


def _restarts(rig: Rig, pod: Json) -> int:
    (status,) = rig.api.get("Pod", pod["metadata"]["name"], NAMESPACE)["status"]["containerStatuses"]
    return int(status["restartCount"]) if status["ready"] else 0


def _creates(rig: Rig, host: str) -> bool:
    try:
        rig.create_route(host)
    except (AssertionError, httpx.TransportError):
        return False
    return True
