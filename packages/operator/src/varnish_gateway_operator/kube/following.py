"""Keeps a store up to date: one task for each source."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

import structlog

from varnish_gateway_common.kube.api import KubeError, NotFoundError, Reach, Reader, reach_of
from varnish_gateway_common.kube.watch import Heard, Listed, follow
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
        self._unserved: set[Source] = set()
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
            self._unserved.discard(source)
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
        self._unserve(source)

    async def _follow(self, source: Source, version: str) -> None:
        """Raises NotFoundError."""

        def fail(error: KubeError) -> None:
            if isinstance(error, NotFoundError):
                raise error
            self._failures += 1
            self._trouble(source, error)

        heard = Heard(self._reader, partial(self._mended, source))
        news = follow(heard, source.selection(version), self._store.reader(source), on_failure=fail, sleep=self._sleep)
        async for each in news:
            self._store.take(source, each)

    def _mended(self, source: Source) -> None:
        was_unserved = source in self._unserved
        self._unserved.discard(source)
        if self._troubles.pop(source, None) or was_unserved:
            log.info(f"{source} is followed again")

    def _unserve(self, source: Source) -> None:
        """No trouble: there are no objects of a kind that is not installed."""
        self._troubles.pop(source, None)
        if source not in self._unserved:
            self._unserved.add(source)
            log.warning(f"{source} is not followed: the API server does not know this kind")

    def _trouble(self, source: Source, error: KubeError) -> None:
        """Told once, not at every attempt."""
        before, self._troubles[source] = self._troubles.get(source), error
        if before is None or str(before) != str(error):
            log.warning(f"{source} is not followed: {error}")
