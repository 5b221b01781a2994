"""Events: what is news, that it is told once, and how much of it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster_rig import ROUTE_PATH, filled, operator, put, until
from fake_kube import FakeKube
from operator_rig import route
from varnish_gateway_common.kube.api import ForbiddenError, Json
from varnish_gateway_operator.kube.events import LIFETIME, LONGEST_NOTE, MOST_WAITING, Events, news
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.gateway import Gateway

GOOD = ("True", "Accepted", "")
BAD = ("False", "Invalid", "it is odd")


def condition(said: tuple[str, str, str], type_: str = "Accepted") -> Json:
    return dict(zip(("status", "reason", "message"), said, strict=True)) | {"type": type_}


def status(*said: tuple[str, str, str]) -> Json:
    return {"conditions": [condition(each) for each in said]}


def told(before: Json, after: Json) -> list[tuple[bool, str, str]]:
    return [(each.is_good, each.reason, each.note) for each in news(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (status(), status(GOOD), []),
        (status(), status(BAD), [(False, "Invalid", "Accepted is False: it is odd")]),
        (status(BAD), status(BAD), []),
        (status(BAD), status(GOOD), [(True, "Accepted", "Accepted is True")]),
        (status(GOOD), status(("Unknown", "Pending", "soon")), []),
        (status(("Unknown", "Pending", "soon")), status(GOOD), [(True, "Accepted", "Accepted is True")]),
        (status(GOOD), status(("True", "Accepted", "but")), [(False, "Accepted", "Accepted is True: but")]),
        (
            {},
            {
                "listeners": [
                    {"name": "web", "conditions": [condition(("True", "HostnameConflict", "two"), "Conflicted")]}
                ]
            },
            [(False, "HostnameConflict", "listener web: Conflicted is True: two")],
        ),
        (
            {},
            {"listeners": [{"name": "web", "conditions": [condition(("False", "NoConflicts", ""), "Conflicted")]}]},
            [],
        ),
        (
            {},
            {
                "parents": [
                    {"controllerName": name, "parentRef": {"name": "gw"}, "conditions": [condition(BAD)]}
                    for name in ("example.com/other", "varnish-software.com/gateway")
                ]
            },
            [(False, "Invalid", "Gateway gw: Accepted is False: it is odd")],
        ),
        ({"conditions": "odd"}, {"conditions": [7], "parents": 7}, []),
    ],
)
def test_what_is_news(before: Json, after: Json, expected: list[tuple[bool, str, str]]) -> None:
    assert told(before, after) == expected


def test_a_note_fits() -> None:
    (found,) = news({}, status(("False", "Invalid", "\u00fc" * 2000)))
    assert len(found.note.encode()) <= LONGEST_NOTE


class Rig:
    def __init__(self) -> None:
        self.kube = FakeKube()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.events = Events(self.kube, "one", lambda: self.now, pause_seconds=0.0)
        metadata = {"name": "gw", "namespace": "default", "uid": "1"}
        spec = {"gatewayClassName": "varnish", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
        self.gateway: Resource = Gateway.model_validate(
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec}
        )

    async def tell(self, *said: tuple[str, str, str]) -> None:
        self.events.tell(self.gateway, {}, status(*said))
        await self.work()

    async def work(self) -> None:
        """Until nothing waits."""
        task = asyncio.create_task(self.events.run())
        await until(lambda: not self.events._waiting and not self.events._news.is_set())
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def written(self) -> list[dict[str, Any]]:
        return [content for path, content in self.kube.objects.items() if "/events/" in path]


async def test_an_event_is_about_its_object() -> None:
    rig = Rig()
    await rig.tell(BAD)
    (event,) = rig.written()
    assert event["metadata"]["namespace"] == "default"
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "Invalid", "Accepted")
    assert event["note"] == "Accepted is False: it is odd"
    assert event["regarding"] == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "namespace": "default",
        "name": "gw",
        "uid": "1",
    }


async def test_the_same_news_is_counted_until_it_is_forgotten() -> None:
    rig = Rig()
    for _ in range(3):
        await rig.tell(BAD)
    (event,) = rig.written()
    assert event["series"] == {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    rig.now += LIFETIME + timedelta(seconds=1)
    await rig.tell(BAD)
    assert len(rig.written()) == 2


async def test_an_event_that_somebody_removed_is_told_again() -> None:
    rig = Rig()
    await rig.tell(BAD)
    rig.kube.objects.clear()
    await rig.tell(BAD)
    assert len(rig.written()) == 1


async def test_too_much_news_is_left_out_and_counted() -> None:
    rig = Rig()
    for number in range(MOST_WAITING + 7):
        rig.events.tell(rig.gateway, {}, status(("False", "Invalid", str(number))))
    assert rig.events.dropped == 7
    await rig.work()
    assert len(rig.written()) == MOST_WAITING


async def test_events_that_may_not_be_written_harm_nothing() -> None:
    rig = Rig()
    rig.kube.refuse = lambda verb, path: ForbiddenError("no", status=403)
    await rig.tell(BAD)
    assert rig.events.dropped == 1
    rig.kube.refuse = lambda verb, path: None
    await rig.tell(BAD)
    assert len(rig.written()) == 1


async def test_a_route_that_goes_wrong_is_told() -> None:
    kube = filled()
    async with operator(kube):
        put(kube, route("[{backendRefs: [{name: missing, port: 80}]}]"))
        await until(lambda: [path for path in kube.objects if "/events/web." in path])
    (event,) = [content for path, content in kube.objects.items() if "/events/web." in path]
    assert (event["type"], event["reason"]) == ("Warning", "BackendNotFound")
    assert event["regarding"]["name"] == "web"
    assert ROUTE_PATH in kube.objects
