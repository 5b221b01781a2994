"""One program at a time: when the next one may start, that it lives, and how it ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

import structlog

from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.supervisor.tree import Backoff, how_it_ended
from varnish_gateway_common.report import Refusal

LOOK_SECONDS: Final = 0.5


class Running(Protocol):
    """A program that was started."""

    @property
    def child(self) -> Child: ...

    @property
    def is_running(self) -> bool: ...

    @property
    def has_served(self) -> bool:
        """Whether it came up: then its end is no sign that the next one will not."""
        ...

    async def kill(self) -> int:
        """SIGKILL: its exit code."""
        ...


P = TypeVar("P", bound=Running)


class Supervised(Generic[P]):
    """The one that runs, if one does."""

    def __init__(
        self,
        name: str,
        look: Callable[[P], Awaitable[None]],
        log: structlog.typing.FilteringBoundLogger,
        wake: Callable[[], None],
    ) -> None:
        """`look`: done again and again while it runs; it kills what hangs. `wake`: something is to be done."""
        self._name = name
        self._look = look
        self._log = log
        self._wake = wake
        self._backoff = Backoff()
        self._not_before = 0.0
        self._watching: asyncio.Task[None] | None = None
        self.current: P | None = None
        self.refusal: Refusal | None = None
        self.restarts = 0

    @property
    def retry_seconds(self) -> float | None:
        """When to try again; None: nothing is due."""
        return max(self._not_before - time.monotonic(), 0.0) if self._not_before else None

    def is_due(self) -> bool:
        """Whether one is to be started now; the caller does."""
        if self.current or time.monotonic() < self._not_before:
            return False
        self._not_before = 0.0
        return True

    def started(self, program: P) -> None:
        """It runs, and is watched from now on."""
        self.current = program
        self._watching = asyncio.create_task(self._watch(program), name=f"watch of {self._name}")

    def failed(self, digest: str, message: str) -> None:
        """It does not start with the pod.json of this digest: that is told, and tried again, later each time."""
        delay = self._backoff.after(0)
        self.refuse(digest, message, delay)
        self._not_before = time.monotonic() + delay
        self._wake()

    def refuse(self, digest: str, message: str, delay: float) -> None:
        """Told once, however often it is tried."""
        refusal = Refusal(input="pod", digest=digest, message=message)
        say = self._log.debug if refusal == self.refusal else self._log.error
        say(f"{self._name} does not start; tried again", message=message, delay_seconds=round(delay, 1))
        self.refusal = refusal

    def confirm(self) -> None:
        """It serves with what is wanted: nothing is refused any more."""
        self.refusal = None
        self.at_once()

    def at_once(self) -> None:
        """The next one need not be waited for."""
        self._backoff.reset()
        self._not_before = 0.0

    async def bury(self, program: P) -> None:
        """One that died: the next follows at once, however often, if it served.

        Who can end it with a request would otherwise keep it away from everybody.
        """
        self.unwatch()
        code = await program.kill()
        self.at_once() if program.has_served else self._postpone()
        delay = self.retry_seconds or 0.0
        self._log.error(f"{self._name} {how_it_ended(code)}; started again", delay_seconds=round(delay, 1))
        self.restarts += 1

    async def lost(self, program: P, reason: str) -> None:
        """It cannot be talked to any more: it is killed, and buried by the next round."""
        if program.is_running:
            self._log.error(f"{self._name} does not answer and is killed", reason=reason)
            self.unwatch()
            await program.kill()
        self._wake()

    def unwatch(self) -> None:
        """What ends it from now on is the caller's business."""
        if self._watching:
            self._watching.cancel()
            self._watching = None

    def _postpone(self) -> None:
        self._not_before = time.monotonic() + self._backoff.after(0)

    async def _watch(self, program: P) -> None:
        """Notice when it ends, or hangs."""
        ended = asyncio.create_task(program.child.wait(), name=f"end of {self._name}")
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=LOOK_SECONDS)
                if not ended.done():
                    await self._look(program)
        finally:
            ended.cancel()
        self._wake()
