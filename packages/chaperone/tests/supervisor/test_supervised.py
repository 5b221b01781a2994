"""One program at a time: started, buried, waited with, told of once."""

import asyncio
from dataclasses import dataclass

import pytest

from chaperone_rig import Lines, Until
from varnish_gateway_chaperone.supervisor import supervised
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.supervisor.supervised import Supervised


@dataclass
class Sleeper:
    """A program that does nothing."""

    child: Child
    has_served: bool

    @classmethod
    async def start(cls, *, has_served: bool) -> "Sleeper":
        return cls(await Child.start(["sleep", "60"]), has_served)

    @property
    def is_running(self) -> bool:
        return self.child.is_running

    async def kill(self) -> int:
        return await self.child.kill()


class One(Supervised[Sleeper]):
    """It counts how often it was looked at, and how often somebody was woken."""

    def __init__(self, lines: Lines) -> None:
        self.looks = self.wakes = 0
        super().__init__("sleeper", self._seen, lines.log, self._woken)

    async def _seen(self, _: Sleeper) -> None:
        self.looks += 1

    def _woken(self) -> None:
        self.wakes += 1


@pytest.mark.parametrize("has_served", [True, False])
async def test_the_next_one_is_waited_for_only_if_the_last_one_never_served(lines: Lines, *, has_served: bool) -> None:
    one = One(lines)
    waits = []
    for number in range(1, 5):
        assert has_served or one.retry_seconds or one.is_due()
        sleeper = await Sleeper.start(has_served=has_served)
        one.started(sleeper)
        assert not one.is_due(), "one runs"
        await sleeper.kill()
        await one.bury(sleeper)
        one.current = None
        assert one.restarts == number
        waits.append(one.retry_seconds)
        assert one.is_due() is has_served
    if has_served:
        assert waits == [None] * 4
    else:
        given = [wait for wait in waits if wait is not None]
        assert given == sorted(given)
        assert len(given) == 4
        assert given[-1] > 2 * given[0] > 0
    assert len(lines.said("sleeper was killed by signal 9; started again")) == 4


async def test_what_does_not_start_is_told_once_and_tried_again(lines: Lines) -> None:
    one = One(lines)
    for _ in range(3):
        one.failed("3f2a", "the port is in use")
    assert [event["level"] for event in lines.said("sleeper does not start")] == ["error", "debug", "debug"]
    told = one.refusal
    assert told
    assert (told.digest, told.message) == ("3f2a", "the port is in use")
    assert not one.is_due()
    assert one.wakes == 3
    one.confirm()
    assert one.refusal is None
    assert one.is_due()


async def test_it_is_looked_at_until_it_ends(lines: Lines, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "LOOK_SECONDS", 0.01)
    one, sleeper = One(lines), await Sleeper.start(has_served=True)
    one.started(sleeper)
    await until(lambda: one.looks > 2)
    assert one.wakes == 0
    await sleeper.kill()
    await until(lambda: one.wakes == 1)
    looks = one.looks
    await asyncio.sleep(0.1)
    assert one.looks == looks


async def test_what_is_lost_is_killed_and_left_to_the_next_round(lines: Lines) -> None:
    one, sleeper = One(lines), await Sleeper.start(has_served=True)
    one.started(sleeper)
    await one.lost(sleeper, "no answer")
    assert not sleeper.is_running
    assert one.current is sleeper
    assert one.wakes == 1
    await one.lost(sleeper, "no answer")
    assert len(lines.said("sleeper does not answer and is killed")) == 1
