"""Back-off, tasks that must not end, children that are kept."""

import asyncio

import pytest

from chaperone_rig import Lines, Until
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.supervisor.tree import Backoff, Kept, guarded, how_it_ended


def test_delays_grow_to_a_cap_and_begin_again_after_a_stable_life() -> None:
    backoff = Backoff(first_seconds=1, cap_seconds=5)
    assert [backoff.after(0) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.after(60) == 1
    assert backoff.after(0) == 2
    backoff.reset()
    assert backoff.after(0) == 1


@pytest.mark.parametrize(("code", "said"), [(2, "exited with 2"), (-9, "was killed by signal 9")])
def test_how_it_ended(code: int, said: str) -> None:
    assert how_it_ended(code) == said


async def test_work_that_fails_or_ends_is_begun_again(lines: Lines, until: Until) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("a bug")
        if begun == 3:
            await asyncio.sleep(60)

    task = asyncio.create_task(guarded("work", work, lines.log))
    await until(lambda: begun == 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    events = lines.events
    assert [event["event"] for event in events] == ["a task failed", "a task ended that should not"]
    assert "RuntimeError: a bug" in events[0]["exception"]


async def test_a_kept_child_is_started_again_until_it_is_stopped(lines: Lines, until: Until) -> None:
    kept = Kept(
        "sleeper",
        lambda: Child.start(["sleep", "60"]),
        lines.log,
        Backoff(first_seconds=0.01),
    )
    await until(lambda: kept.child)
    first = kept.child
    assert first
    await first.kill()
    await until(lambda: kept.child is not first)
    assert kept.restarts == 1
    await kept.stop(5)
    assert kept.child
    assert not kept.child.is_running
    assert lines.said("sleeper was killed by signal 9; started again")


async def test_a_program_that_is_not_there_is_said_and_tried_again(lines: Lines, until: Until) -> None:
    kept = Kept("nobody", lambda: Child.start(["/no/such/program"]), lines.log, Backoff(first_seconds=0.01))
    await until(lambda: kept.restarts == 2)
    await kept.stop(1)
    assert lines.said("could not be started")
