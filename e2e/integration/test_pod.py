"""A gateway's pod before a real API server: it reads with its own rights what the operator made, and reports."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from gateway_objects import gateway_of, route_of
from operator_process import apply, get, kubectl, until

from chaperone_rig import Lines, wait_until
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.sources.kube.assembly import Assembly
from varnish_gateway_chaperone.sources.kube.client import KubeClient, Server
from varnish_gateway_chaperone.sources.kube.objects import Subject
from varnish_gateway_chaperone.sources.kube.source import KubeSource
from varnish_gateway_common.kube.api import ForbiddenError, path_of
from varnish_gateway_common.report import Report

pytestmark = pytest.mark.usefixtures("operator")

BASE = "gw-varnish"
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: ["{address}"]}}]
"""


@dataclass
class Pod:
    """The service account of a gateway's pods."""

    namespace: str
    kube: KubeClient
    lines: Lines

    @asynccontextmanager
    async def views(self) -> AsyncIterator[list[Inputs]]:
        """What the source says, as it says it."""
        source = KubeSource(self.kube, self.namespace, Assembly(BASE, b"{}"), self.lines.log)
        seen: list[Inputs] = []

        async def follow() -> None:
            async for view in source.views():
                seen.append(view)

        following = asyncio.create_task(follow())
        try:
            yield seen
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
async def pod(namespace: str, tmp_path: Path) -> AsyncIterator[Pod]:
    apply(
        gateway_of(namespace)
        + route_of(namespace)
        + SLICE.format(name="web-1", namespace=namespace, address="10.1.0.1")
    )
    where = f"--namespace={namespace}"
    until("the Deployment", lambda: get("deployment", BASE, where))
    token = tmp_path / "token"
    token.write_text(kubectl("create", "token", BASE, where))
    kube = KubeClient(server(token))
    yield Pod(namespace, kube, Lines())
    await kube.close()


def server(token: Path) -> Server:
    cluster = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    return Server(cluster["server"], Path(cluster["certificate-authority"]), token)


async def until_view(seen: list[Inputs], claim: Callable[[Inputs], object]) -> None:
    await wait_until(lambda: seen and claim(seen[-1]), seconds=20)


def addresses(view: Inputs) -> list[str]:
    return sorted(end.address for found in view.slices for end in found.endpoints)


async def test_it_sees_what_the_operator_made_and_what_becomes_of_it(pod: Pod) -> None:
    async with pod.views() as seen:
        await until_view(seen, lambda view: view.is_complete and addresses(view) == ["10.1.0.1"])
        assert seen[-1].routing
        assert b'"gateway":"%b/gw"' % pod.namespace.encode() in seen[-1].routing
        assert seen[-1].vcl
        assert seen[-1].mistakes == ()
        more = SLICE.format(name="web-2", namespace=pod.namespace, address="10.1.0.2")
        await asyncio.to_thread(apply, more)
        await until_view(seen, lambda view: addresses(view) == ["10.1.0.1", "10.1.0.2"])
        gone = ("endpointslice", "web-1", f"--namespace={pod.namespace}")
        await asyncio.to_thread(kubectl, "delete", *gone)
        await until_view(seen, lambda view: addresses(view) == ["10.1.0.2"])
        before = seen[-1].routing
        match = '[{"op": "add", "path": "/spec/hostnames", "value": ["a.test"]}]'
        change = ("httproute", "web", f"--namespace={pod.namespace}", "--type=json", f"--patch={match}")
        await asyncio.to_thread(kubectl, "patch", *change)
        await until_view(seen, lambda view: view.routing != before and b"a.test" in (view.routing or b""))
    assert not pod.lines.said("cannot be followed")


async def test_it_reports_and_may_read_nothing_else(pod: Pod) -> None:
    path = path_of("v1", "configmaps", namespace=pod.namespace)
    await pod.kube.merge(f"{path}/{BASE}-report", {"data": {"gw-1": Report(version=1, pod="gw-1").to_json().decode()}})
    others = Subject("ConfigMap", "kube-root-ca.crt"), Subject("Secret", "other"), Subject("EndpointSlices", "default")
    for subject in others:
        with pytest.raises(ForbiddenError):
            await pod.kube.page(subject.selection(pod.namespace), "")
    with pytest.raises(ForbiddenError):
        await pod.kube.merge(f"{path}/{BASE}", {"data": {"a": "b"}})
