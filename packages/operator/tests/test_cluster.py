"""The program in a cluster, with an API server in memory: rounds, leadership, and what it survives."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from cluster_rig import (
    GATEWAY_PATH,
    LEASE_PATH,
    ROUTE_PATH,
    attached,
    filled,
    holder,
    operator,
    parents,
    put,
    statuses,
    until,
)
from fake_kube import FakeKube
from operator_rig import route
from varnish_gateway_common.kube.api import ForbiddenError, InvalidError, Json, KubeError, UnreachableError
from varnish_gateway_operator.kube import lease as lease_module
from varnish_gateway_operator.kube.following import Following
from varnish_gateway_operator.kube.kinds import Source
from varnish_gateway_operator.reconcilers import round as round_module


@pytest.fixture
async def kube() -> FakeKube:
    return filled()


async def test_statuses_are_written_once_and_a_restart_writes_nothing_but_its_lease(kube: FakeKube) -> None:
    async with operator(kube):
        await until(lambda: statuses(kube) >= 3)
        await asyncio.sleep(0.3)
    assert statuses(kube) == 3, "class, Gateway, route"
    before = len(kube.writes)
    with capture_logs() as logs:
        async with operator(kube, "two"):
            await until(lambda: any("nothing to write" in str(entry["event"]) for entry in logs))
            await asyncio.sleep(0.1)
    assert {write.path for write in kube.writes[before:]} == {LEASE_PATH}


async def test_a_change_is_noticed_and_so_is_its_end(kube: FakeKube) -> None:
    async with operator(kube):
        await until(lambda: attached(kube) == 1)
        put(kube, route("[{}]", name="other"))
        await until(lambda: attached(kube) == 2)
        kube.drop(ROUTE_PATH)
        await until(lambda: attached(kube) == 1)


async def test_of_two_operators_one_writes_and_the_other_takes_over(kube: FakeKube) -> None:
    async with operator(kube, "one"):
        await until(lambda: attached(kube) == 1)
        async with operator(kube, "two") as second:
            await until(lambda: not second.missing)
            put(kube, route("[{}]", name="other"))
            await until(lambda: attached(kube) == 2)
            assert holder(kube) == "one"
            assert not second.is_leading
    assert holder(kube) == ""
    async with operator(kube, "two"):
        await until(lambda: holder(kube) == "two")
        put(kube, route("[{}]", name="third"))
        await until(lambda: attached(kube) == 3)


async def test_who_no_longer_leads_sleeps_whatever_the_time_would_change(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakes: list[bool] = []
    want = Following.want

    def counted(following: Following, sources: Iterable[Source]) -> None:
        wakes.append(True)
        want(following, sources)

    monkeypatch.setattr(Following, "want", counted)
    monkeypatch.setattr(lease_module, "RETRY_SECONDS", 0.01)
    async with operator(kube) as cluster:
        await until(lambda: attached(kube) == 1)
        monkeypatch.setattr(round_module.Rounds, "changes_at", datetime(2026, 1, 1, tzinfo=UTC))
        put(kube, route("[{}]", name="other"))
        await until(lambda: attached(kube) == 2)
        lease = kube.objects[LEASE_PATH]
        kube.put({**lease, "spec": {**lease["spec"], "holderIdentity": "two"}})
        await until(lambda: not cluster.is_leading)
        await asyncio.sleep(0.3)
        wakes.clear()
        await asyncio.sleep(0.5)
        assert len(wakes) <= 2, "of what it wrote last, and that it does not lead"


async def test_nothing_is_decided_before_everything_is_known(kube: FakeKube) -> None:
    kube.refuse = lambda verb, path: ForbiddenError("no", status=403) if "/services" in path else None
    with capture_logs() as logs:
        async with operator(kube) as cluster:
            await until(lambda: len(cluster.missing) == 1 and holder(kube))
            await asyncio.sleep(0.1)
            assert statuses(kube) == 0
            kube.refuse = lambda verb, path: None
            await until(lambda: attached(kube) == 1)
    told = [str(entry["event"]) for entry in logs if str(entry["event"]).startswith("Service is")]
    assert told == ["Service is not followed: no", "Service is followed again"]


async def test_a_kind_that_is_not_installed_is_one_without_objects(kube: FakeKube) -> None:
    kube.unserved.add("gatewayclassparameters")
    async with operator(kube) as cluster:
        await until(lambda: attached(kube) == 1)
        assert not cluster.missing


@pytest.mark.parametrize("loss", ["break", "forget"])
async def test_what_happens_while_no_watch_is_there_is_noticed(kube: FakeKube, loss: str) -> None:
    async with operator(kube):
        await until(lambda: attached(kube) == 1)
        gone: list[KubeError] = [UnreachableError("gone")]
        kube.refuse = lambda verb, path: gone[0] if gone and verb in ("list", "watch") else None
        kube.break_watches()
        await asyncio.sleep(0.05)
        kube.drop(ROUTE_PATH)
        if loss == "forget":
            kube.forget_history()
        gone.clear()
        await until(lambda: attached(kube) == 0)


async def test_a_server_that_fails_for_a_while_is_tried_again(kube: FakeKube) -> None:
    fails = [UnreachableError("gone")] * 2

    def refuse(verb: str, path: str) -> KubeError | None:
        return fails.pop() if verb == "merge" and fails else None

    kube.refuse = refuse
    async with operator(kube):
        await until(lambda: attached(kube) == 1 and parents(kube))


async def test_a_bug_costs_one_round(kube: FakeKube, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs, monkeypatch.context() as patched:
        async with operator(kube):
            patched.setattr(round_module, "translate", broken)
            await until(lambda: any("because of a bug" in str(entry["event"]) for entry in logs))
            patched.undo()
            await until(lambda: attached(kube) == 1)


def programmed(kube: FakeKube) -> tuple[str, str]:
    """Reason and message."""
    conditions = (kube.objects[GATEWAY_PATH].get("status") or {}).get("conditions", ())
    return next(((each["reason"], each["message"]) for each in conditions if each["type"] == "Programmed"), ("", ""))


async def test_what_stands_in_the_way_is_told_and_tried_again(kube: FakeKube) -> None:
    path = "/api/v1/namespaces/default/services/gw-varnish"
    kube.put({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "gw-varnish"}})
    async with operator(kube):
        await until(lambda: "Service gw-varnish: it is there already" in programmed(kube)[1])
        assert programmed(kube)[0] == "Invalid"
        assert kube.sent("apply", "/deployments/"), "the rest is made"
        assert not kube.sent("apply", "/services/")
        kube.drop(path)
        await until(lambda: programmed(kube)[0] != "Invalid")
    assert kube.objects[path]["metadata"]["ownerReferences"]


async def test_what_is_refused_is_told_and_costs_nothing_else(kube: FakeKube) -> None:
    def refuse(verb: str, path: str) -> KubeError | None:
        is_it = verb == "apply" and "/deployments/" in path
        return InvalidError("spec.replicas: must be small", status=422) if is_it else None

    kube.refuse = refuse
    async with operator(kube):
        await until(lambda: "must be small" in programmed(kube)[1] and attached(kube) == 1)


async def test_rights_that_come_late_are_waited_for_before_anything_is_said(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def refuse(verb: str, path: str) -> KubeError | None:
        told.append(programmed(kube)[1])
        is_it = verb == "apply" and "/deployments/" in path
        return ForbiddenError("not yours", status=403) if is_it and is_forbidden else None

    kube.refuse, is_forbidden = refuse, True
    async with operator(kube):
        await until(lambda: len(kube.sent("apply", "/deployments/")) >= 2)
        is_forbidden = False
        await until(lambda: any("/deployments/" in path for path in kube.objects))
        assert not any("not yours" in each for each in told)
        is_forbidden = True
        monkeypatch.setattr(round_module, "PATIENCE", timedelta(seconds=0.1))
        kube.drop("/apis/apps/v1/namespaces/default/deployments/gw-varnish")
        await until(lambda: "Deployment gw-varnish: not yours" in programmed(kube)[1])


async def test_deleted_and_edited_objects_come_back_and_a_deleted_gateways_do_not(kube: FakeKube) -> None:
    config = "/api/v1/namespaces/default/configmaps/gw-varnish"
    async with operator(kube):
        await until(lambda: parents(kube))
        made = kube.objects[config]["data"]
        kube.put({**kube.objects[config], "data": {**made, "main.vcl": "edited"}})
        await until(lambda: kube.objects[config]["data"] == made)
        kube.drop(config)
        await until(lambda: config in kube.objects and kube.objects[config]["data"] == made)
        before = len(kube.sent("apply"))
        kube.drop(GATEWAY_PATH)
        kube.drop(config)
        await until(lambda: not parents(kube))
        assert len(kube.sent("apply")) == before


async def test_what_is_being_deleted_is_not_repaired(kube: FakeKube) -> None:
    config = "/api/v1/namespaces/default/configmaps/gw-varnish"
    async with operator(kube):
        await until(lambda: parents(kube))
        namespace = {"name": "default", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace})
        kube.drop(config)
        kube.drop(ROUTE_PATH)
        await until(lambda: attached(kube) == 0)
        assert config not in kube.objects


async def test_foreign_parents_stay(kube: FakeKube) -> None:
    theirs = {"controllerName": "example.com/theirs", "parentRef": {"name": "x"}, "conditions": []}
    kube.put({**kube.objects[ROUTE_PATH], "status": {"parents": [theirs]}})
    async with operator(kube):
        await until(lambda: len(parents(kube)) == 2)
    assert parents(kube)[0] == theirs


def accepted(content: Json) -> tuple[str, str, str]:
    """Status, reason and message."""
    found = next((each for each in content.get("conditions", ()) if each["type"] == "Accepted"), None)
    return (found["status"], found["reason"], found["message"]) if found else ("", "", "")


async def test_a_route_that_cannot_be_read_is_told_so_and_its_last_good_version_serves(kube: FakeKube) -> None:
    theirs = {"controllerName": "example.com/theirs", "parentRef": {"name": "x"}, "conditions": []}
    config = "/api/v1/namespaces/default/configmaps/gw-varnish"
    async with operator(kube):
        await until(lambda: parents(kube))
        made, spec = kube.objects[config]["data"]["routing.json"], kube.objects[ROUTE_PATH]["spec"]
        refs = [{"name": "gw"}, {"name": "gw", "port": "odd"}, {"name": "not-ours"}]
        bad = {**kube.objects[ROUTE_PATH], "spec": {**spec, "hostnames": ["UPPER"], "parentRefs": refs}}
        kube.put({**bad, "status": {"parents": [theirs, *parents(kube)]}})
        await until(lambda: accepted(parents(kube)[-1])[1] == "UnsupportedValue")
        told = parents(kube)
        assert [each["parentRef"]["name"] for each in told] == ["x", "gw"]
        assert told[0] == theirs
        assert "spec.hostnames[0]" in accepted(told[-1])[2]
        assert kube.objects[config]["data"]["routing.json"] == made
        kube.put({**kube.objects[ROUTE_PATH], "spec": spec})
        await until(lambda: accepted(parents(kube)[-1])[0] == "True")


async def test_a_gateway_that_cannot_be_read_is_told_so_and_keeps_what_it_has(kube: FakeKube) -> None:
    """Also what it has in other namespaces, after a restart of the operator."""
    elsewhere = {"namespace": "default", "name": "odd", "uid": "odd-uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    odd = {"gatewayClassName": "varnish", "listeners": [{"name": "x", "port": "odd", "protocol": "HTTP"}]}
    labels = {"app.kubernetes.io/managed-by": "varnish-gateway", "varnish-software.com/gateway-uid": "odd-uid"}
    binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/of-odd"
    kube.put({**kube.objects[GATEWAY_PATH], "metadata": elsewhere, "spec": odd})
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    kube.put({**head, "metadata": {"namespace": "default", "name": "of-odd", "labels": labels}})
    async with operator(kube):
        path = GATEWAY_PATH.replace("/gw", "/odd")
        await until(lambda: accepted(kube.objects[path].get("status") or {})[1] == "Invalid")
        assert "spec.listeners[0].port" in accepted(kube.objects[path]["status"])[2]
        await until(lambda: attached(kube) == 1)
        assert binding in kube.objects
