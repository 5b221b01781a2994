"""Statuses: merged with what others wrote, written to the version that was read, and no more often than needed."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from fake_kube import FakeKube
from varnish_gateway_common.kube.api import ForbiddenError, InvalidError, Json, TooManyRequestsError
from varnish_gateway_operator.kube.kinds import Source, sources
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.times import stamped
from varnish_gateway_operator.translate.status import ObjectStatus

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
ROUTES: Source = next(source for source in sources() if source.kind == "HTTPRoute")
THEIRS = {"controllerName": "example.com/theirs", "parentRef": {"name": "x"}, "conditions": []}


def path(name: str) -> str:
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/{name}"


class Rig:
    def __init__(self, *names: str) -> None:
        self.kube = FakeKube()
        self.store = Store()
        self.store.expect(sources())
        self.writer = StatusWriter(self.kube, self.store)
        for name in names:
            self.put(name)

    def put(self, name: str, **status: Any) -> None:
        """As somebody else writes it; the store sees it."""
        head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        metadata = {"namespace": "default", "name": name}
        self.store.accept(self.kube.put({**head, "metadata": metadata, "spec": {}, "status": status}))

    def wanted(self, name: str, status: str = "True") -> ObjectStatus:
        """Others' entries as the store has them, and ours."""
        route = self.store.view().snapshot.http_routes["default", name]
        theirs = [
            each for each in route.status.get("parents", ()) if each["controllerName"] == THEIRS["controllerName"]
        ]
        conditions = [{"type": "Accepted", "status": status, "reason": "R", "message": "", "observedGeneration": 1}]
        ours = {"controllerName": "varnish-software.com/gateway", "parentRef": {"name": "gw"}, "conditions": conditions}
        return ObjectStatus(route, {"parents": [*theirs, ours]})

    def parents(self, name: str) -> list[Json]:
        found: list[Json] = self.kube.objects[path(name)]["status"]["parents"]
        return found


@pytest.fixture
async def rig() -> Rig:
    return Rig("a")


async def test_written_once_with_its_time_which_moves_with_the_status_only(rig: Rig) -> None:
    assert await rig.writer.write([rig.wanted("a")], NOW) == (1, True)
    assert await rig.writer.write([rig.wanted("a")], LATER) == (0, True)
    assert rig.parents("a")[0]["conditions"][0]["lastTransitionTime"] == NOW
    await rig.writer.write([rig.wanted("a", "False")], LATER)
    assert rig.parents("a")[0]["conditions"][0]["lastTransitionTime"] == LATER
    again = StatusWriter(rig.kube, rig.store)
    assert await again.write([rig.wanted("a", "False")], LATER) == (0, True)
    assert len(rig.kube.writes) == 2


async def test_who_writes_in_between_loses_nothing(rig: Rig) -> None:
    wanted = rig.wanted("a")
    rig.kube.before_write = lambda: rig.put("a", parents=[THEIRS])
    assert await rig.writer.write([wanted], NOW) == (0, True)
    assert rig.parents("a") == [THEIRS]
    assert rig.writer.conflicts == 1
    assert await rig.writer.write([rig.wanted("a")], NOW) == (1, True)
    assert rig.parents("a")[0] == THEIRS
    assert len(rig.parents("a")) == 2


async def test_what_is_refused_is_told_and_not_sent_again_until_it_is_another(rig: Rig) -> None:
    rig.kube.refuse = lambda verb, _: InvalidError("no", status=422) if verb == "merge" else None
    for _ in range(3):
        assert await rig.writer.write([rig.wanted("a")], NOW) == (0, True)
    assert len(rig.kube.writes) == 1
    await rig.writer.write([rig.wanted("a", "False")], NOW)
    assert len(rig.kube.writes) == 2


async def test_what_is_forbidden_is_told_once_and_tried_again(rig: Rig) -> None:
    rig.kube.refuse = lambda verb, _: ForbiddenError("not yet", status=403) if verb == "merge" else None
    with capture_logs() as logs:
        for _ in range(3):
            assert await rig.writer.write([rig.wanted("a")], NOW) == (0, True)
    assert [entry["event"] for entry in logs] == ["status of HTTPRoute default/a: not yet"]
    assert rig.writer.forbidden
    rig.kube.refuse = lambda *_: None
    assert await rig.writer.write([rig.wanted("a")], NOW) == (1, True)
    assert not rig.writer.forbidden


async def test_what_need_not_be_written_any_more_is_not_forbidden(rig: Rig) -> None:
    rig.kube.refuse = lambda verb, _: ForbiddenError("not yet", status=403) if verb == "merge" else None
    await rig.writer.write([rig.wanted("a")], NOW)
    assert rig.writer.forbidden
    rig.put("a", **stamped(rig.wanted("a").status, {}, NOW))  # somebody else said the same
    assert await rig.writer.write([rig.wanted("a")], NOW) == (0, True)
    assert not rig.writer.forbidden


async def test_what_is_refused_for_good_is_not_forbidden(rig: Rig) -> None:
    rig.kube.refuse = lambda verb, _: ForbiddenError("not yet", status=403) if verb == "merge" else None
    await rig.writer.write([rig.wanted("a")], NOW)
    rig.kube.refuse = lambda verb, _: InvalidError("no", status=422) if verb == "merge" else None
    assert await rig.writer.write([rig.wanted("a")], NOW) == (0, True)
    assert not rig.writer.forbidden


async def test_an_object_that_is_gone_is_no_trouble(rig: Rig) -> None:
    wanted = rig.wanted("a")
    rig.kube.drop(path("a"))
    assert await rig.writer.write([wanted], NOW) == (0, True)


async def test_until_it_is_late() -> None:
    names = [f"r{number}" for number in range(40)]
    rig = Rig(*names)
    wanted = [rig.wanted(name) for name in names]
    assert await rig.writer.write(wanted, NOW, is_late=lambda: len(rig.kube.writes) >= 30) == (30, False)
    assert await rig.writer.write(wanted, NOW) == (10, True)


async def test_a_server_that_has_enough_is_left_alone() -> None:
    rig = Rig(*(f"r{number}" for number in range(40)))
    rig.kube.refuse = lambda verb, _: TooManyRequestsError("later", status=429) if verb == "merge" else None
    with pytest.raises(TooManyRequestsError):
        await rig.writer.write([rig.wanted(f"r{number}") for number in range(40)], NOW)
    assert len(rig.kube.writes) == 1
    rig.kube.refuse = lambda verb, _: None
    assert await rig.writer.write([rig.wanted(f"r{number}") for number in range(40)], NOW) == (40, True)
