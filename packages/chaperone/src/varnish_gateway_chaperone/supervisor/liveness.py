"""When a program that does not answer is taken for one that hangs (pure)."""

from dataclasses import dataclass
from typing import Final

MISSES: Final = 3
HANG_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Misses:
    """Questions in turn that were not answered in time."""

    number: int = 0
    since: float = 0.0
    """When the first of them was asked."""

    def and_one(self, asked_at: float) -> "Misses":
        return Misses(self.number + 1, self.since if self.number else asked_at)

    def are_a_hang(self, now: float) -> bool:
        """Several, over some time: a question may be lost, and a machine may have a bad moment."""
        return self.number >= MISSES and now - self.since >= HANG_SECONDS
