"""How a varnishd is emptied without losing a request: an iterator of steps (pure).

The one who executes sends back what came of each step; whatever happens, the last step is Stop.
"""

from collections.abc import Generator
from dataclasses import dataclass

SHORT_IDLE_SECONDS = 1
QUIET_SECONDS = 3.0


@dataclass(frozen=True)
class BecomeUnready:
    """Say in /readyz and in the report that this gateway is leaving."""


@dataclass(frozen=True)
class ServeOn:
    """Wait while clients are still being told to go elsewhere."""

    seconds: float


@dataclass(frozen=True)
class CloseConnections:
    """Ghost answers every request with Connection: close."""


@dataclass(frozen=True)
class StopFront:
    """HAProxy takes no new connection, and ends the old ones after their next answer."""


@dataclass(frozen=True)
class AwaitFront:
    """Wait until HAProxy has no connection left, or only ones that are idle; at most so long."""

    seconds: float
    quiet_seconds: float


@dataclass(frozen=True)
class ShortenIdle:
    """Connections without a request are closed after this time."""

    seconds: int


@dataclass(frozen=True)
class AwaitNoSessions:
    """Wait until varnishd holds no client's connection, or only ones that are idle; at most so long."""

    seconds: float
    quiet_seconds: float
    """Without any request for so long, what is left is idle: varnishd keeps the patience that it had with a
    connection when it became idle, so that ShortenIdle does not reach it."""


@dataclass(frozen=True)
class Stop:
    """End varnishd."""


Step = BecomeUnready | ServeOn | CloseConnections | StopFront | ShortenIdle | AwaitFront | AwaitNoSessions | Stop


@dataclass(frozen=True)
class Outcome:
    """What came of a step. One that failed does not hold up the next."""

    is_hastened: bool = False
    """Somebody does not want to wait any longer."""


def steps(*, delay_seconds: float, deadline_seconds: float, has_front: bool = False) -> Generator[Step, Outcome, None]:
    """The steps in their order: connections end by themselves, the front's first, then varnishd is stopped.

    The deadline is one for both: both are emptied at the same time.
    """
    front = (StopFront(),) if has_front else ()
    awaited = (AwaitFront(deadline_seconds, QUIET_SECONDS),) if has_front else ()
    for step in (
        BecomeUnready(),
        ServeOn(delay_seconds),
        CloseConnections(),
        *front,
        ShortenIdle(SHORT_IDLE_SECONDS),
        *awaited,
        AwaitNoSessions(deadline_seconds, QUIET_SECONDS),
    ):
        outcome = yield step
        if outcome.is_hastened:
            break
    yield Stop()
