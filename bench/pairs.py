"""Two fronts measured in turn, so that what the machine does besides falls on both."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.fronts import Front

Field = Literal["all_us", "front_us", "per_second"]


@dataclass(frozen=True)
class Cost:
    """Of a request, or of a connection: CPU microseconds of all processes, and of the front's."""

    all_us: float
    front_us: float
    per_second: float
    failed: int


@dataclass(frozen=True)
class Pairs:
    """What the same load cost ours and theirs."""

    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]

    def ratio(self, field: Field) -> str:
        """The median over the pairs, with its quartiles."""
        found = (
            getattr(mine, field) / getattr(other, field) for mine, other in zip(self.ours, self.theirs, strict=True)
        )
        low, middle, high = statistics.quantiles(found, n=4)
        return f"**{middle:.2f}** ({low:.2f} to {high:.2f})"

    @property
    def failed(self) -> int:
        return sum(cost.failed for cost in (*self.ours, *self.theirs))


def median(costs: tuple[Cost, ...], field: Field) -> float:
    return float(statistics.median(getattr(cost, field) for cost in costs))


def in_turn(
    ours: Front, theirs: Front, load: Callable[[Front], tuple[int, int]], *, rounds: int, seconds: int
) -> Pairs:
    """`load` says how many succeeded and how many failed in that many seconds."""

    def measure(front: Front) -> Cost:
        before, own = front.cpu_seconds(), front.own_cpu_seconds()
        good, bad = load(front)
        all_us, front_us = front.cpu_seconds() - before, front.own_cpu_seconds() - own
        return Cost(all_us * 1e6 / good, front_us * 1e6 / good, good / seconds, bad)

    measure(ours), measure(theirs)  # warm both
    costs: dict[str, list[Cost]] = {ours.name: [], theirs.name: []}
    for number in range(rounds):
        for front in (ours, theirs) if number % 2 else (theirs, ours):
            costs[front.name].append(measure(front))
    return Pairs(tuple(costs[ours.name]), tuple(costs[theirs.name]))
