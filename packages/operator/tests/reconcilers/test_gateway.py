"""The Gateway reconciler: what it removes, and when."""

from typing import Any

from fake_kube import FakeKube
from varnish_gateway_common.kube.api import Json
from varnish_gateway_operator.kube.apply import Applier
from varnish_gateway_operator.kube.kinds import sources
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.reconcilers.gateway import GONE_SECONDS, GatewayReconciler
from varnish_gateway_operator.translate import Plan

LABELS = {"app.kubernetes.io/managed-by": "varnish-gateway"}
REPORTS = "/api/v1/namespaces/default/configmaps/gw-varnish-report"


class Rig:
    def __init__(self) -> None:
        self.kube = FakeKube()
        self.store = Store()
        self.store.expect(sources())
        self.seconds = 0.0
        self.reconciler = GatewayReconciler(
            Applier(self.kube, self.store), StatusWriter(self.kube, self.store), clock=lambda: self.seconds
        )

    def put(self, kind: str, name: str, **fields: Any) -> None:
        metadata = {"namespace": "default", "name": name, "labels": LABELS, **fields.pop("metadata", {})}
        content: Json = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}
        self.store.accept(self.kube.put(content))

    async def round(self) -> list[str]:
        return (await self.reconciler.write_objects(Plan({}, {}), self.store.view())).done

    @property
    def reports(self) -> list[str]:
        return sorted(self.kube.objects[REPORTS]["data"])


async def test_the_report_of_a_pod_that_is_gone_is_dropped_after_a_while() -> None:
    rig = Rig()
    rig.put("ConfigMap", "gw-varnish-report", data={"there": "{}", "gone": "{}"})
    rig.put("Pod", "there")
    await rig.round()
    rig.seconds = GONE_SECONDS - 1
    await rig.round()
    assert rig.reports == ["gone", "there"]
    rig.seconds = GONE_SECONDS
    await rig.round()
    assert rig.reports == ["there"]


async def test_a_pod_that_was_only_seen_late_keeps_its_report() -> None:
    rig = Rig()
    rig.put("ConfigMap", "gw-varnish-report", data={"late": "{}"})
    await rig.round()
    rig.put("Pod", "late")
    rig.seconds = GONE_SECONDS / 2
    await rig.round()
    rig.seconds = GONE_SECONDS * 2
    await rig.round()
    assert rig.reports == ["late"]


async def test_what_belongs_to_a_gateway_that_is_gone_goes_where_kubernetes_does_not_see_to_it() -> None:
    rig = Rig()
    rig.put("ConfigMap", "gw-varnish", metadata={"ownerReferences": [{"kind": "Gateway", "name": "gw", "uid": "1"}]})
    elsewhere = {"namespace": "other", "labels": {**LABELS, "varnish-software.com/gateway-uid": "1"}}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    rig.store.accept(rig.kube.put({**binding, "metadata": {**elsewhere, "name": "vg-1-endpoints"}}))
    assert await rig.round() == ["removed RoleBinding other/vg-1-endpoints"]
