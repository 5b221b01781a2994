"""What is a hang, and what only looks like one."""

from functools import reduce

import pytest

from varnish_gateway_chaperone.supervisor.liveness import Misses


@pytest.mark.parametrize(
    ("asked_at", "now", "is_hang"),
    [
        ([], 1000, False),
        ([10], 1000, False),
        ([10, 12.5], 1000, False),
        ([10, 12.5, 15], 17, True),
        ([10, 10.5, 11], 11, False),
        ([10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5, 15], 15, True),
        ([10, 10.1, 10.2], 14.9, False),
    ],
)
def test_several_over_some_time(asked_at: list[float], now: float, *, is_hang: bool) -> None:
    misses = reduce(Misses.and_one, asked_at, Misses())
    assert misses.are_a_hang(now) is is_hang
