"""Following a collection: list it, watch it, and whatever happens to the connection, never miss that an object went."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from varnish_gateway_common.kube.api import GoneError, Json, KubeError, Page, Reader, Selection, error_of

FIRST_SECONDS: Final = 0.2
CAP_SECONDS: Final = 30.0
STABLE_SECONDS: Final = 5.0

T = TypeVar("T")


@dataclass(frozen=True)
class Listed(Generic[T]):
    """All there are. What was known before and is not among them is gone."""

    objects: tuple[T, ...]


@dataclass(frozen=True)
class Changed(Generic[T]):
    """One is new, or another than it was."""

    object: T


@dataclass(frozen=True)
class Removed(Generic[T]):
    """One is gone, or no longer among those selected; this is how it was last."""

    object: T


News = Listed[T] | Changed[T] | Removed[T]


class Pause:
    """How long to wait after a failure: longer each time, up to a cap, and never as long as everybody else."""

    def __init__(self, *, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._seconds = 0.0

    def after(self, error: KubeError | None, lived_seconds: float) -> float:
        """The wait after what failed with `error`, or ended with none, having lived so long."""
        is_stable = lived_seconds >= STABLE_SECONDS
        if error is None and is_stable:
            return 0.0
        self._seconds = FIRST_SECONDS if is_stable or not self._seconds else min(self._seconds * 2, CAP_SECONDS)
        wished = error.retry_after_seconds if error else 0.0
        return max(wished, self._seconds * (0.5 + self._chance() / 2))


class Heard:
    """A reader that tells when the API server answers: `follow` alone does not, for bookmarks are no news."""

    def __init__(self, kube: Reader, tell: Callable[[], None]) -> None:
        self._kube = kube
        self._tell = tell

    async def page(self, selection: Selection, rest: str) -> Page:
        found = await self._kube.page(selection, rest)
        self._tell()
        return found

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        async with aclosing(self._kube.events(selection, resource_version)) as events:
            async for event in events:
                if event.get("type") != "ERROR":
                    self._tell()
                yield event


async def follow(
    reader: Reader,
    selection: Selection,
    read: Callable[[Json], T],
    *,
    on_failure: Callable[[KubeError], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> AsyncIterator[News[T]]:
    """The collection for ever: first Listed, then what changes; Listed again whenever something may have been missed.

    Each object is `read` as soon as it arrives, so that a long list is never there twice.
    """
    pause, version = Pause(), ""
    while True:
        began, error = time.monotonic(), None
        try:
            if not version:
                objects, version = await _list(reader, selection, read)
                yield Listed(objects)
            async with aclosing(reader.events(selection, version)) as events:
                async for event in events:
                    if news := _news(event, read):
                        yield news
                    version = event["object"]["metadata"]["resourceVersion"]
        except GoneError:
            version = ""
        except KubeError as failure:
            error = failure
            on_failure(failure)
        if seconds := pause.after(error, time.monotonic() - began):
            await sleep(seconds)


async def _list(reader: Reader, selection: Selection, read: Callable[[Json], T]) -> tuple[tuple[T, ...], str]:
    """Everything, and the version from which to watch on. Raises GoneError when it took too long to page through."""
    objects: list[T] = []
    rest = ""
    while True:
        page = await reader.page(selection, rest)
        objects += [read(item) for item in page.items]
        rest = page.rest
        if not rest:
            return tuple(objects), page.resource_version
        await asyncio.sleep(0)  # reading a page takes a while, and others have work too


def _news(event: Json, read: Callable[[Json], T]) -> Changed[T] | Removed[T] | None:
    """What an event says; None for a bookmark. Raises KubeError for one that is an error."""
    kind, content = event["type"], event["object"]
    if kind == "ERROR":
        raise error_of(content.get("code", 500), content.get("message", "the watch failed"))
    if kind == "BOOKMARK":
        return None
    return Removed(read(content)) if kind == "DELETED" else Changed(read(content))
