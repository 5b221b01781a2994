"""The steps of a drain, interrupted at each of them."""

import pytest

from varnish_gateway_chaperone.drain import (
    AwaitNoSessions,
    BecomeUnready,
    CloseConnections,
    Outcome,
    ServeOn,
    ShortenIdle,
    Step,
    Stop,
    steps,
)

ALL = [BecomeUnready(), ServeOn(5), CloseConnections(), ShortenIdle(1), AwaitNoSessions(30, 3), Stop()]


def executed(hastened_at: int | None = None, *, has_front: bool = False) -> list[Step]:
    plan = steps(delay_seconds=5, deadline_seconds=30, has_front=has_front)
    found: list[Step] = [next(plan)]
    while not isinstance(found[-1], Stop):
        found.append(plan.send(Outcome(is_hastened=hastened_at == len(found) - 1)))
    with pytest.raises(StopIteration):
        plan.send(Outcome())
    return found


def test_in_order() -> None:
    assert executed() == ALL


def test_what_is_before_varnishd_is_emptied_before_it() -> None:
    found = [type(step).__name__ for step in executed(has_front=True)]
    order = ["CloseConnections", "StopFront", "ShortenIdle", "AwaitFront", "AwaitNoSessions", "Stop"]
    assert found == ["BecomeUnready", "ServeOn", *order]


@pytest.mark.parametrize("at", range(len(ALL) - 1))
def test_haste_at_any_step_leads_to_the_stop_and_repeats_nothing(at: int) -> None:
    assert executed(hastened_at=at) == [*ALL[: at + 1], Stop()]
