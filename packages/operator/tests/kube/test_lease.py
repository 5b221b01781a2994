"""Who may write: one operator at a time, and none that cannot be sure."""

import pytest
from structlog.testing import capture_logs

from fake_kube import FakeKube
from varnish_gateway_common.kube.api import KubeError, UnreachableError
from varnish_gateway_operator.kube.lease import LEASE_SECONDS, RENEW_SECONDS, Fenced, Lease, NotLeaderError

PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases/operator"


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Rig:
    """Two operators, each with a clock of its own that began at another time."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.clocks = FakeClock(), FakeClock()
        self.clocks[1].seconds = 50.0
        self.one, self.two = (
            Lease(self.kube, "system", "operator", name, clock=clock)
            for name, clock in zip(("one", "two"), self.clocks, strict=True)
        )

    def pass_time(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.seconds += seconds


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def test_the_first_gets_it_and_keeps_it(rig: Rig) -> None:
    for _ in range(5):
        await rig.one.try_once()
        await rig.two.try_once()
        assert (rig.one.is_held, rig.two.is_held) == (True, False)
        rig.pass_time(RENEW_SECONDS - 1)
    assert rig.kube.objects[PATH]["spec"]["leaseTransitions"] == 0


async def test_of_two_at_once_one_gets_it(rig: Rig) -> None:
    rig.kube.before_write = lambda: rig.kube.put(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": "system", "name": "operator"},
            "spec": {"holderIdentity": "two", "leaseDurationSeconds": LEASE_SECONDS},
        }
    )
    await rig.one.try_once()
    assert not rig.one.is_held


async def test_who_cannot_renew_stops_before_another_may_begin(rig: Rig) -> None:
    await rig.one.try_once()
    await rig.two.try_once()
    rig.kube.refuse = lambda verb, path: UnreachableError("gone") if verb == "replace" else None
    rig.pass_time(RENEW_SECONDS)
    await rig.one.try_once()
    await rig.two.try_once()
    assert (rig.one.is_held, rig.two.is_held) == (False, False)
    rig.kube.refuse = lambda verb, path: None
    rig.pass_time(LEASE_SECONDS - RENEW_SECONDS)
    await rig.two.try_once()
    await rig.one.try_once()
    assert (rig.one.is_held, rig.two.is_held) == (False, True)
    assert rig.kube.objects[PATH]["spec"]["leaseTransitions"] == 1


async def test_given_back_it_is_free_at_once(rig: Rig) -> None:
    await rig.one.try_once()
    await rig.one.release()
    assert not rig.one.is_held
    await rig.two.try_once()
    assert rig.two.is_held
    await rig.one.release()
    assert rig.kube.objects[PATH]["spec"]["holderIdentity"] == "two", "what is not ours is not given back"


async def test_without_it_nothing_is_written(rig: Rig) -> None:
    fenced = Fenced(rig.kube, rig.one)
    writes = (
        lambda: fenced.create("/api/v1/namespaces/a/configmaps", {}),
        lambda: fenced.replace("/api/v1/namespaces/a/configmaps/a", {}),
        lambda: fenced.merge("/api/v1/namespaces/a/configmaps/a", {}),
        lambda: fenced.apply("/api/v1/namespaces/a/configmaps/a", {}, "m"),
        lambda: fenced.delete("/api/v1/namespaces/a/configmaps/a", "uid"),
    )
    for write in writes:
        with pytest.raises(NotLeaderError):
            await write()
    assert rig.kube.writes == []
    await rig.one.try_once()
    with pytest.raises(KubeError):
        await fenced.delete("/api/v1/namespaces/a/configmaps/a", "uid")
    rig.pass_time(RENEW_SECONDS)
    with pytest.raises(NotLeaderError):
        await fenced.delete("/api/v1/namespaces/a/configmaps/a", "uid")
    assert fenced.writes == {"delete": 1}


async def test_changes_are_told(rig: Rig) -> None:
    told: list[bool] = []
    rig.one.on_change = lambda: told.append(rig.one.is_held)
    await rig.one.try_once()
    await rig.one.try_once()
    rig.pass_time(RENEW_SECONDS)
    rig.kube.refuse = lambda verb, path: UnreachableError("gone")
    await rig.one.try_once()
    assert told == [True, False]


async def test_a_lapse_while_it_is_renewed_is_told(rig: Rig) -> None:
    """Who looked just then had to wait, and waits to be told."""
    await rig.one.try_once()
    told: list[bool] = []
    rig.one.on_change = lambda: told.append(rig.one.is_held)
    rig.pass_time(RENEW_SECONDS - 1)
    rig.kube.before_write = lambda: rig.pass_time(2)
    await rig.one.try_once()
    assert told == [False, True]


async def test_who_cannot_give_it_back_leaves_all_the_same(rig: Rig) -> None:
    await rig.one.try_once()
    rig.kube.refuse = lambda verb, path: UnreachableError("gone")
    with capture_logs() as logs:
        await rig.one.release()
    assert not rig.one.is_held
    assert "others have to wait" in str(logs[-1]["event"])
