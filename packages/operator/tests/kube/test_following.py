"""How well the API server can be followed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from fake_kube import FakeKube
from varnish_gateway_common.kube.api import KubeError, Reach, UnreachableError
from varnish_gateway_common.kube.watch import News
from varnish_gateway_operator.kube.following import Following
from varnish_gateway_operator.kube.kinds import Source, sources
from varnish_gateway_operator.kube.store import Known, Store

ROUTES: Source = next(source for source in sources() if source.kind == "HTTPRoute")


class Rig:
    def __init__(self) -> None:
        self.kube, self.store = FakeKube(), Store()
        self.following = Following(self.kube, self.store, sleep=lambda _: asyncio.sleep(0.001))
        self.following.want([ROUTES])

    @property
    def reach(self) -> Reach:
        return self.following.reach

    async def until(self, claim: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not claim():  # noqa: ASYNC110 - the fake has no event for everything
                await asyncio.sleep(0.001)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    found = Rig()
    yield found
    await found.following.close()


async def test_a_quiet_collection_is_followed_again_as_soon_as_the_server_answers(rig: Rig) -> None:
    await rig.until(lambda: not rig.store.missing)
    gone: list[KubeError] = [UnreachableError("gone")]
    rig.kube.refuse = lambda verb, path: gone[0] if gone else None
    with capture_logs() as logs:
        rig.kube.break_watches()
        await rig.until(lambda: rig.reach.failures >= 2)
        assert (rig.reach.unfollowed, rig.reach.is_reachable) == (1, False)
        gone.clear()
        await rig.until(lambda: rig.reach.is_reachable)
    assert rig.reach.unfollowed == 0
    assert logs[-1]["event"] == "HTTPRoute is followed again"


async def test_a_kind_that_is_not_installed_is_told_once_and_no_trouble() -> None:
    rig = Rig()
    rig.kube.unserved.add("httproutes")
    try:
        with capture_logs() as logs:
            await rig.until(lambda: not rig.store.missing)
            await asyncio.sleep(0.05)
            assert rig.reach == Reach()
            rig.kube.unserved.clear()
            await rig.until(lambda: len(logs) > 1)
        assert [entry["event"] for entry in logs] == [
            "HTTPRoute is not followed: the API server does not know this kind",
            "HTTPRoute is followed again",
        ]
    finally:
        await rig.following.close()


async def test_a_bug_costs_a_pause_and_only_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    bugs, take = [RuntimeError("a bug")], Store.take

    def buggy(store: Store, source: Source, news: News[Known]) -> None:
        if bugs:
            raise bugs.pop()
        take(store, source, news)

    monkeypatch.setattr(Store, "take", buggy)
    with capture_logs() as logs:
        rig = Rig()
        await rig.until(lambda: not rig.store.missing)
        await rig.following.close()
    assert "following HTTPRoute failed because of a bug" in str(logs[0]["event"])
