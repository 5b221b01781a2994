"""The source against an API server in memory: what it follows, what it survives."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from chaperone_rig import Lines, Until
from kube_rig import BASE, MAPS, POD, addresses, config_map, gateway, routing, slice_of, slices_of
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.sources.kube import source
from varnish_gateway_chaperone.sources.kube.assembly import Assembly
from varnish_gateway_chaperone.sources.kube.fake import FakeKube
from varnish_gateway_chaperone.sources.kube.source import KubeSource
from varnish_gateway_common.kube import watch
from varnish_gateway_common.kube.api import ForbiddenError, Reach, UnreachableError


class Views:
    """A source that is followed."""

    def __init__(self, kube: FakeKube, lines: Lines, until: Until) -> None:
        self.source = KubeSource(kube, "a", Assembly(BASE, POD), lines.log)
        self._until = until
        self.seen: list[Inputs] = []

    async def follow(self) -> None:
        async for view in self.source.views():
            self.seen.append(view)

    async def until(self, claim: Callable[[Inputs], object], seconds: float = 2.0) -> None:
        await self._until(lambda: self.seen and claim(self.seen[-1]), seconds)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
async def views(kube: FakeKube, lines: Lines, until: Until, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Views]:
    monkeypatch.setattr(watch, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(watch, "CAP_SECONDS", 0.05)
    found = Views(kube, lines, until)
    following = asyncio.create_task(found.follow())
    yield found
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_the_sockets_at_once_then_documents_and_endpoints(kube: FakeKube, views: Views) -> None:
    gateway(kube, "b/web", "c/web")
    await views.until(lambda view: view.is_complete and len(addresses(view)) == 2)
    assert views.seen[0] == Inputs(pod=POD, is_complete=False)
    assert views.seen[-1].routing == routing("b/web", "c/web")
    asked = {selection.fields or selection.labels for _, selection in kube.asked}
    assert asked == {f"metadata.name={BASE}", "kubernetes.io/service-name"}


async def test_a_gateway_without_documents_yet_is_waited_for(kube: FakeKube, views: Views) -> None:
    await views.until(lambda view: view.is_complete)
    assert views.seen[-1].routing is None
    gateway(kube, "b/web")
    await views.until(addresses)


async def test_endpoints_come_and_go(kube: FakeKube, views: Views) -> None:
    gateway(kube, "b/web")
    await views.until(addresses)
    kube.put(slices_of("b"), "web-2", **slice_of("b/web", "fd00::2"))
    await views.until(lambda view: addresses(view) == ["10.0.0.0", "fd00::2"])
    kube.delete(slices_of("b"), "web-1")
    await views.until(lambda view: addresses(view) == ["fd00::2"])
    count = len(views.seen)
    kube.put(slices_of("b"), "other-1", **slice_of("b/other", "10.0.0.9"))
    kube.put(slices_of("b"), "web-2", **slice_of("b/web", "fd00::3"))
    await views.until(lambda view: addresses(view) == ["fd00::3"])
    assert len(views.seen) == count + 1, "what is no concern of ours is no view"


async def test_many_changes_at_once_are_one_view(kube: FakeKube, views: Views) -> None:
    gateway(kube, "b/web")
    await views.until(addresses)
    count = len(views.seen)
    for number in range(200):
        kube.put(slices_of("b"), "web-1", **slice_of("b/web", f"10.0.1.{number}"))
    await views.until(lambda view: addresses(view) == ["10.0.1.199"])
    assert len(views.seen) <= count + 2


async def test_an_api_server_that_is_gone_changes_nothing(kube: FakeKube, views: Views, lines: Lines) -> None:
    gateway(kube, "b/web")
    await views.until(addresses)
    before = views.seen[-1]
    assert views.source.reach == Reach()
    kube.is_unreachable = UnreachableError("the API server is not reached")
    kube.drop()
    tries = len(kube.asked)
    await views.until(lambda _: len(kube.asked) > tries + 10)
    assert views.seen[-1] is before
    assert len(lines.said("cannot be followed")) == 2, "once for each, however long it lasts"
    reach = views.source.reach
    assert (reach.unfollowed, reach.is_reachable) == (2, False)
    assert reach.failures >= 10
    kube.put(slices_of("b"), "web-1", **slice_of("b/web", "10.0.0.7"))
    kube.put(MAPS, BASE, **config_map(routing__json=routing("b/web"), main__vcl="newer"))
    kube.is_unreachable = None
    await views.until(lambda view: addresses(view) == ["10.0.0.7"] and view.vcl == b"newer")
    assert lines.said("is followed again")
    await views.until(lambda _: views.source.reach.is_reachable and not views.source.reach.unfollowed)


async def test_a_forgotten_version_is_listed_anew_and_what_went_meanwhile_is_gone(kube: FakeKube, views: Views) -> None:
    gateway(kube, "b/web")
    kube.put(slices_of("b"), "web-2", **slice_of("b/web", "10.0.0.2"))
    await views.until(lambda view: len(addresses(view)) == 2)
    kube.is_unreachable = UnreachableError("the API server is not reached")
    kube.drop()
    await asyncio.sleep(0.02)
    kube.delete(slices_of("b"), "web-1")
    kube.is_unreachable = None
    kube.forget()
    await views.until(lambda view: addresses(view) == ["10.0.0.2"])


async def test_a_namespace_that_we_may_not_read_is_told_and_the_others_serve(
    kube: FakeKube, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "HOLD_SECONDS", 0.2)
    gateway(kube, "b/web")
    await views.until(addresses)
    kube.refusals[slices_of("c")] = ForbiddenError("c is not yours", status=403)
    gateway(kube, "b/web", "c/web")
    await views.until(lambda view: view.routing == routing("b/web", "c/web"))
    assert views.seen[-1].mistakes == ("EndpointSlices of c: c is not yours",)
    assert len(addresses(views.seen[-1])) == 1
    del kube.refusals[slices_of("c")]
    await views.until(lambda view: len(addresses(view)) == 2 and not view.mistakes)


async def test_what_is_no_longer_wanted_is_not_followed(kube: FakeKube, views: Views) -> None:
    gateway(kube, "b/web", "c/web")
    await views.until(lambda view: len(addresses(view)) == 2)
    gateway(kube, "b/web")
    await views.until(lambda view: len(addresses(view)) == 1)
    assert {task.get_name() for task in asyncio.all_tasks()} & {"EndpointSlices of c", "EndpointSlices of b"} == {
        "EndpointSlices of b"
    }
