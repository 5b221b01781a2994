"""Keeps a store up to date: one task for each source."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import structlog

from varnish_gateway_common.kube.api import KubeError, NotFoundError, Reach, Reader, reach_of
from varnish_gateway_common.kube.watch import Listed, follow
from varnish_gateway_operator.kube.kinds import Source
from varnish_gateway_operator.kube.store import Store

log = structlog.get_logger()

UNSERVED_SECONDS: Final = 10.0
"""A kind that the API server does not know is asked for again: its definition may be installed later."""


class Following:
    """Which sources are followed can change at any time."""

    def __init__(
        self, reader: Reader, store: Store, *, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    ) -> None:
        self._reader = reader
        self._store = store
        self._sleep = sleep
        self._tasks: dict[Source, asyncio.Task[None]] = {}
        self._troubles: dict[Source, KubeError] = {}
        self._failures = 0

    @property
    def reach(self) -> Reach:
        """As it was at the last attempts."""
        return reach_of(self._troubles.values(), self._failures)

    def want(self, sources: Iterable[Source]) -> None:
        """Follow these, and no others."""
        wanted = set(sources)
        if wanted == self._tasks.keys():
            return
        self._store.expect(wanted)
        for source in self._tasks.keys() - wanted:
            self._tasks.pop(source).cancel()
            self._troubles.pop(source, None)
        for source in wanted - self._tasks.keys():
            self._tasks[source] = asyncio.create_task(self._keep(source), name=f"follow {source}")

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, source: Source) -> None:
        """For ever. A mistake of ours costs this source a pause, not the program its eyes."""
        while True:
            try:
                await self._follow_any(source)
            except Exception:
                log.exception(f"following {source} failed because of a bug; it is begun anew")
            await self._sleep(UNSERVED_SECONDS * (0.5 + random.random() / 2))  # noqa: S311

    async def _follow_any(self, source: Source) -> None:
        """The first version that is served; returns when none is, and then there are no objects."""
        for version in source.versions:
            try:
                await self._follow(source, version)
            except NotFoundError:
                continue
        self._store.take(source, Listed(()))
        self._trouble(source, NotFoundError("the API server does not know this kind"))

    async def _follow(self, source: Source, version: str) -> None:
        """Raises NotFoundError."""

        def fail(error: KubeError) -> None:
            if isinstance(error, NotFoundError):
                raise error
            self._failures += 1
            self._trouble(source, error)

        news = follow(
            self._reader, source.selection(version), self._store.reader(source), on_failure=fail, sleep=self._sleep
        )
        async for each in news:
            self._store.take(source, each)
            if self._troubles.pop(source, None):
                log.info(f"{source} is followed again")

    def _trouble(self, source: Source, error: KubeError) -> None:
        """Told once, not at every attempt."""
        before, self._troubles[source] = self._troubles.get(source), error
        if before is None or str(before) != str(error):
            log.warning(f"{source} is not followed: {error}")
