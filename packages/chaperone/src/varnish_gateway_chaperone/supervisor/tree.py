"""Keeping things alive: delays that grow, tasks that do not end, children that are started again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from varnish_gateway_chaperone.supervisor.process import Child

STABLE_SECONDS: Final = 10.0


@dataclass
class Backoff:
    """Delays between attempts: each twice the last up to a cap, from the start again after a stable life."""

    first_seconds: float = 0.2
    cap_seconds: float = 30.0
    _next: float = 0.0

    def after(self, lived_seconds: float) -> float:
        """The delay before the next attempt when the last one lived so long."""
        if lived_seconds >= STABLE_SECONDS or not self._next:
            self._next = self.first_seconds
        delay = self._next
        self._next = min(delay * 2, self.cap_seconds)
        return delay

    def reset(self) -> None:
        """What came next has worked: the one that follows is tried at once, and the delays begin anew."""
        self._next = 0.0


async def guarded(name: str, work: Callable[[], Awaitable[None]], log: structlog.typing.FilteringBoundLogger) -> None:
    """Work that should never end: when it does, or fails, it is said and begun again."""
    backoff = Backoff()
    while True:
        begun = time.monotonic()
        try:
            await work()
            log.error("a task ended that should not", task=name)
        except Exception:
            log.exception("a task failed", task=name)
        await asyncio.sleep(backoff.after(time.monotonic() - begun))


class Kept:
    """A child that is started again whenever it ends, until it is stopped."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Awaitable[Child]],
        log: structlog.typing.FilteringBoundLogger,
        backoff: Backoff | None = None,
    ) -> None:
        self._name = name
        self._start = start
        self._log = log
        self._backoff = backoff or Backoff()
        self.child: Child | None = None
        self.restarts = 0
        self._task = asyncio.create_task(self._keep(), name=name)

    async def stop(self, grace_seconds: float) -> None:
        """No more starts; SIGTERM, and SIGKILL after the grace."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self.child and self.child.is_running:
            await self.child.stop(grace_seconds)

    async def _keep(self) -> None:
        while True:
            begun = time.monotonic()
            ended = await self._live_once()
            delay = self._backoff.after(time.monotonic() - begun)
            self._log.warning(f"{self._name} {ended}; started again", delay_seconds=round(delay, 1))
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _live_once(self) -> str:
        try:
            self.child = await self._start()
        except OSError as error:
            return f"could not be started: {error}"
        return how_it_ended(await self.child.wait())


def how_it_ended(code: int) -> str:
    """`exited with 2`, `was killed by signal 9`."""
    return f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
