"""Following a collection: nothing is missed, whatever happens to the connection."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import pytest

from varnish_gateway_common.kube.api import (
    GoneError,
    InvalidError,
    Json,
    KubeError,
    NotFoundError,
    Page,
    Selection,
    TooManyRequestsError,
    UnreachableError,
    error_of,
    path_of,
)
from varnish_gateway_common.kube.watch import Changed, Listed, News, Pause, Removed, follow

ALL = Selection("/api/v1/pods")

Step = Json | KubeError


def thing(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> Json:
    return {"type": kind, "object": thing(name, version)}


class Script:
    """A Reader that answers as it is told: pages and errors for lists, lists of events and errors for watches."""

    def __init__(self, pages: list[Page | KubeError], watches: list[list[Step]]) -> None:
        self.pages, self.watches = pages, watches
        self.asked: list[str] = []
        self.slept: list[float] = []

    async def page(self, selection: Selection, rest: str) -> Page:
        self.asked.append(f"list {rest}".strip())
        found = self.pages.pop(0)
        if isinstance(found, KubeError):
            raise found
        return found

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        self.asked.append(f"watch {resource_version}")
        for step in self.watches.pop(0):
            if isinstance(step, KubeError):
                raise step
            yield step

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def news(self) -> list[News[str]]:
        """All there is until the script ends."""
        found = []

        def name(content: Json) -> str:
            return str(content["metadata"]["name"])

        async with aclosing(follow(self, ALL, name, sleep=self.sleep)) as all_news:  # type: ignore[type-var]
            with suppress(IndexError):
                async for each in all_news:
                    found.append(each)
        return found


def page(*names: str, version: int = 1, rest: str = "") -> Page:
    return Page(tuple(thing(name, version) for name in names), str(version), rest)


async def test_a_list_comes_in_pages_and_is_told_once() -> None:
    script = Script([page("a", "b", rest="next"), page("c", version=7)], [[event("ADDED", "d", 8)]])
    assert await script.news() == [Listed(("a", "b", "c")), Changed("d")]
    assert script.asked == ["list", "list next", "watch 7", "watch 8"]


async def test_a_watch_goes_on_where_it_ended_bookmarks_included() -> None:
    events: list[Step] = [event("MODIFIED", "a", 5), event("DELETED", "a", 6), event("BOOKMARK", "", 9)]
    script = Script([page("a")], [events, []])
    assert await script.news() == [Listed(("a",)), Changed("a"), Removed("a")]
    assert script.asked == ["list", "watch 1", "watch 9", "watch 9"]


@pytest.mark.parametrize(
    "gone",
    [
        GoneError("too old", status=410),
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}},
    ],
)
async def test_a_version_that_is_forgotten_is_listed_again(gone: Any) -> None:
    script = Script([page("a"), page("b", version=20)], [[gone], []])
    assert await script.news() == [Listed(("a",)), Listed(("b",))]
    assert script.asked[:4] == ["list", "watch 1", "list", "watch 20"]


async def test_a_list_whose_pages_expire_is_begun_anew() -> None:
    script = Script([page("a", rest="next"), GoneError("expired"), page("b", version=3)], [[]])
    assert await script.news() == [Listed(("b",))]


async def test_a_broken_connection_loses_nothing() -> None:
    script = Script([page("a")], [[event("ADDED", "b", 4), UnreachableError("broke")], [event("ADDED", "c", 5)]])
    assert await script.news() == [Listed(("a",)), Changed("b"), Changed("c")]
    assert script.asked == ["list", "watch 1", "watch 4", "watch 5"]


async def test_a_server_that_is_not_there_is_asked_less_and_less_often() -> None:
    script = Script([UnreachableError("no")] * 12, [])
    await script.news()
    assert all(0.1 <= seconds <= 30 for seconds in script.slept)
    assert script.slept[-1] >= 15
    assert sorted(script.slept[:6]) == script.slept[:6]


async def test_the_servers_own_wish_counts() -> None:
    script = Script([TooManyRequestsError("later", retry_after_seconds=40), page("a")], [])
    await script.news()
    assert script.slept[0] == 40


async def test_failures_are_told_and_the_listener_may_end_it() -> None:
    def give_up(error: KubeError) -> None:
        raise error

    script = Script([NotFoundError("no such kind", status=404)], [])
    with pytest.raises(NotFoundError):
        await anext(follow(script, ALL, str, on_failure=give_up))


def test_after_a_stable_life_the_pause_is_short_again() -> None:
    pause = Pause(chance=lambda: 1.0)
    assert [pause.after(UnreachableError(""), 0) for _ in range(4)] == [0.2, 0.4, 0.8, 1.6]
    assert pause.after(UnreachableError(""), 60) == 0.2
    assert pause.after(None, 60) == 0
    assert pause.after(None, 0) > 0, "a watch that ends at once must not be begun in a tight loop"


def test_what_an_answer_means() -> None:
    assert isinstance(error_of(410, ""), GoneError)
    assert type(error_of(500, "")) is KubeError
    untyped = "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): .spec.odd: field not declared"
    assert type(error_of(500, untyped)) is InvalidError
    assert error_of(429, "", retry_after="7").retry_after_seconds == 7
    assert error_of(429, "", retry_after="Wed, 21 Oct").retry_after_seconds == 0


def test_paths() -> None:
    assert path_of("v1", "namespaces", name="a") == "/api/v1/namespaces/a"
    wanted = "/apis/apps/v1/namespaces/n/deployments/web/status"
    assert path_of("apps/v1", "deployments", namespace="n", name="web", part="status") == wanted
