"""Objects of ours: two writers with disjoint fields, no write without a reason, and nothing that is somebody else's."""

from typing import Any

import pytest

from fake_kube import FakeKube
from varnish_gateway_common.kube.api import Json
from varnish_gateway_operator.kube.apply import Applier, ForeignObjectError, covers, identity_of, surplus
from varnish_gateway_operator.kube.kinds import sources
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.translate.objects.shape import Identity
from varnish_gateway_operator.translate.plan import Manager, Owned

PATH = "/api/v1/namespaces/default/configmaps/gw-varnish"
LABELS = {"app.kubernetes.io/managed-by": "varnish-gateway"}


def config_map(manager: Manager, data: dict[str, str], **metadata: Any) -> Owned:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": "default",
            "name": "gw-varnish",
            "labels": LABELS,
            "ownerReferences": [{"kind": "Gateway", "name": "gw", "uid": "1"}],
            **metadata,
        },
        "data": data,
    }
    return Owned(manager, manifest)


ROUTING = config_map("httproute", {"routing.json": "{}"})
VCL = config_map("gateway", {"main.vcl": "vcl 4.1;"})


class Rig:
    """An applier whose store has seen everything."""

    def __init__(self, kube: FakeKube | None = None) -> None:
        self.kube = kube or FakeKube()
        self.store = Store()
        self.store.expect(sources())
        self.applier = Applier(self.kube, self.store)
        for content in self.kube.objects.values():
            self.store.accept(content)

    async def bring(self, *wanted: Owned) -> list[bool]:
        own = self.store.view().own
        return [await self.applier.bring(each, own.get(identity_of(each.manifest))) for each in wanted]

    def edit(self, **changes: Any) -> None:
        """What somebody does with kubectl."""
        self.store.accept(self.kube.put({**self.kube.objects[PATH], **changes}))


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    assert await rig.bring(ROUTING, VCL) == [True, True]
    return rig


async def test_two_managers_write_disjoint_keys_of_one_object(rig: Rig) -> None:
    assert rig.kube.objects[PATH]["data"] == {"routing.json": "{}", "main.vcl": "vcl 4.1;"}
    assert [write.manager for write in rig.kube.sent("apply")] == [
        "varnish-gateway-httproute",
        "varnish-gateway-gateway",
    ]
    assert set(rig.kube.objects[PATH]["metadata"]["annotations"]) == {
        "varnish.io/applied-httproute",
        "varnish.io/applied-gateway",
    }
    await rig.bring(config_map("httproute", {"other.json": "{}"}))
    assert rig.kube.objects[PATH]["data"] == {"other.json": "{}", "main.vcl": "vcl 4.1;"}


async def test_what_is_in_effect_is_not_written_again_not_even_by_a_new_process(rig: Rig) -> None:
    assert await rig.bring(ROUTING, VCL) == [False, False]
    again = Rig(rig.kube)
    assert await again.bring(ROUTING, VCL) == [False, False]
    assert len(rig.kube.writes) == 2


async def test_what_somebody_edits_is_repaired_and_what_they_add_stays(rig: Rig) -> None:
    rig.edit(data={"routing.json": "edited", "main.vcl": "vcl 4.1;", "note": "mine"})
    assert await rig.bring(ROUTING, VCL) == [True, False]
    assert rig.kube.objects[PATH]["data"] == {"routing.json": "{}", "main.vcl": "vcl 4.1;", "note": "mine"}
    rig.edit(metadata={**rig.kube.objects[PATH]["metadata"], "annotations": {"mine": "1"}})
    assert await rig.bring(ROUTING) == [True]
    assert rig.kube.objects[PATH]["metadata"]["annotations"]["mine"] == "1"


async def test_what_somebody_deletes_comes_back(rig: Rig) -> None:
    rig.kube.drop(PATH)
    rig.store = Store()
    assert await Rig(rig.kube).bring(ROUTING) == [True]
    assert PATH in rig.kube.objects


async def test_a_leftover_of_a_former_process_is_removed(rig: Rig) -> None:
    await rig.bring(config_map("gateway", {"main.vcl": "vcl 4.1;", "old": "1"}))
    again = Rig(rig.kube)
    assert await again.bring(VCL) == [True]
    assert "old" not in rig.kube.objects[PATH]["data"]


async def test_what_lost_its_label_is_ours_by_its_owner(rig: Rig) -> None:
    rig.edit(metadata={**rig.kube.objects[PATH]["metadata"], "labels": {}})
    assert rig.store.view().own == {}
    assert await rig.bring(VCL) == [True]
    assert rig.kube.objects[PATH]["metadata"]["labels"] == LABELS


async def test_an_object_of_somebody_else_is_not_taken_over() -> None:
    rig = Rig()
    theirs = rig.kube.put(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "gw-varnish"}}
    )
    with pytest.raises(ForeignObjectError, match="is there already"):
        await rig.bring(VCL)
    assert rig.kube.objects[PATH] == theirs
    assert rig.kube.writes == []


@pytest.mark.parametrize(
    ("live", "wanted", "claim"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": {}}, True),
        ({}, {"a": {"b": 1}}, False),
        ({"a": [{"name": "x", "v": 1}, {"name": "y", "v": 2, "w": 3}]}, {"a": [{"name": "y", "v": 2}]}, True),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, False),
        ({"a": [1, 2]}, {"a": [1]}, True),
        ({"a": []}, {"a": [1]}, False),
        ({"a": "text"}, {"a": [1]}, False),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"cpu": "1000m", "memory": "1024Mi"}}, True),
        ({"requests": {"cpu": "500m", "memory": "1M"}}, {"requests": {"cpu": 0.5, "memory": 1000000}}, True),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1001m"}}, False),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "one"}}, False),
        ({"emptyDir": {"sizeLimit": "1Ki"}}, {"emptyDir": {"sizeLimit": "1.024e3"}}, True),
        ({"labels": {"size": "1"}}, {"labels": {"size": "1000m"}}, False),
    ],
)
def test_what_covers_what(live: Json, wanted: Json, claim: bool) -> None:
    assert covers(live, wanted) is claim


def test_what_is_not_wanted_any_more() -> None:
    def live(kind: str, name: str, **metadata: Any) -> tuple[Identity, Json]:
        content = {"kind": kind, "metadata": {"namespace": "default", "name": name, "labels": LABELS, **metadata}}
        return (kind, "default", name), content

    here, gone = [{"kind": "Gateway", "uid": "1"}], [{"kind": "Gateway", "uid": "2"}]
    elsewhere = {**LABELS, "varnish-software.com/gateway-uid": "2"}
    own = dict(
        [
            live("ConfigMap", "wanted", ownerReferences=here),
            live("ConfigMap", "surplus", ownerReferences=here),
            live("ConfigMap", "of-a-gateway-that-is-gone", ownerReferences=gone),
            live("ConfigMap", "labelled-by-somebody"),
            live("ConfigMap", "on-its-way", ownerReferences=here, deletionTimestamp="2026-01-01T00:00:00Z"),
            live("RoleBinding", "in-another-namespace", labels=elsewhere),
            live("Pod", "pod", ownerReferences=here),
        ]
    )
    found = surplus(own, {("ConfigMap", "default", "wanted")}, {"1"})
    assert [each["metadata"]["name"] for each in found] == ["surplus", "in-another-namespace"]
    assert [each["metadata"]["name"] for each in surplus(own, (), (), {"2"})] == []
