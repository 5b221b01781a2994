"""Statuses of objects that are not ours: what translation merged, written to the very version that it merged with.

A conflict means that somebody wrote in between. What they wrote arrives by the watch, is merged, and written then:
there is nothing to try again before.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from varnish_gateway_common.kube.api import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    Json,
    KubeError,
    NotFoundError,
    path_of,
)
from varnish_gateway_operator.kube.api import Kube
from varnish_gateway_operator.kube.kinds import plural
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.times import stamped
from varnish_gateway_operator.translate.plan import StatusKey
from varnish_gateway_operator.translate.status import ObjectStatus

log = structlog.get_logger()

AT_ONCE: Final = 16
"""Writes in flight."""


@dataclass
class StatusWriter:
    """Writes through `kube`, and tells the store what came of it."""

    kube: Kube
    store: Store
    tell: Callable[[Resource, Json, Json], None] = lambda _resource, _before, _after: None
    """Called with an object, its status before, and what was written."""
    conflicts: int = 0
    _settled: dict[StatusKey, ObjectStatus] = field(default_factory=dict)
    """Those of which it is known that there is nothing to write."""
    _refused: dict[StatusKey, Json] = field(default_factory=dict)
    """What the API server would not take: not sent again until it is another."""
    forbidden: set[StatusKey] = field(default_factory=set)
    """What it would not take from us. Rights may come: it is tried again."""

    async def write(
        self, wanted: Iterable[ObjectStatus], now: str, *, is_late: Callable[[], bool] = lambda: False
    ) -> tuple[int, bool]:
        """Those that differ from what is there, until it `is_late`. How many were written, and whether that was all.

        Raises KubeError when the API server is not to be had, with the rest unwritten.
        """
        batch = _Batch(self._due(wanted, now), is_late)
        written = await asyncio.gather(*(self._work(batch) for _ in range(AT_ONCE)))
        if batch.failure:
            raise batch.failure
        return sum(written), not batch.is_cut

    def forget(self, wanted: Iterable[StatusKey]) -> None:
        """Of objects that are gone."""
        kept = set(wanted)
        for key in self._settled.keys() - kept:
            self._settled.pop(key, None)
            self._refused.pop(key, None)
        self.forbidden &= kept

    def _due(self, wanted: Iterable[ObjectStatus], now: str) -> Iterator[tuple[ObjectStatus, Json]]:
        """Looked for as they are written: when it is late, nothing was looked for in vain."""
        for each in wanted:
            if self._settled.get(_key(each)) is each:
                self.forbidden.discard(_key(each))
                continue
            status = stamped(each.status, _known(each), now)
            if is_contained(status, _known(each)) or self._refused.get(_key(each)) == each.status:
                self._settle(each)
            else:
                yield each, status

    async def _work(self, batch: "_Batch") -> int:
        """One after the other, as others do beside; how many were written."""
        written = 0
        while not batch.is_over() and (each := next(batch.due, None)):
            try:
                written += await self._write(*each)
            except KubeError as error:
                batch.failure = error
        return written

    async def _write(self, wanted: ObjectStatus, status: Json) -> bool:
        """Raises KubeError when the API server is not to be had."""
        key = _key(wanted)
        try:
            with self.store.writing(key, status):
                self.store.accept(await self.kube.merge(_path(wanted), _patch(wanted, status)), is_news=False)
        except ConflictError:
            self.conflicts += 1
            return False
        except NotFoundError:
            return False
        except ForbiddenError as error:
            if key not in self.forbidden:
                log.error(f"{_title(wanted)}: {error}")
            self.forbidden.add(key)
            return False
        except InvalidError as error:
            log.error(f"{_title(wanted)}: {error}")
            self._refused[key] = wanted.status
            self._settle(wanted)
            return False
        self._settle(wanted)
        self.tell(wanted.resource, _known(wanted), status)
        return True

    def _settle(self, wanted: ObjectStatus) -> None:
        """There is nothing to write, and so nothing that could be forbidden."""
        self._settled[_key(wanted)] = wanted
        self.forbidden.discard(_key(wanted))


@dataclass
class _Batch:
    """Writes of one call; when it is late, or one finds no API server, the rest is not tried."""

    due: Iterator[tuple[ObjectStatus, Json]]
    is_late: Callable[[], bool]
    failure: KubeError | None = None
    is_cut: bool = False

    def is_over(self) -> bool:
        self.is_cut = self.is_cut or self.is_late()
        return self.is_cut or self.failure is not None


def _path(wanted: ObjectStatus) -> str:
    found = wanted.resource
    return path_of(found.api_version, plural(found.kind), namespace=found.namespace, name=found.name, part="status")


def _title(wanted: ObjectStatus) -> str:
    return f"status of {wanted.resource.kind} {'/'.join(filter(None, wanted.resource.key))}"


def _patch(wanted: ObjectStatus, status: Json) -> Json:
    return {"metadata": {"resourceVersion": wanted.resource.metadata.resource_version}, "status": status}


def is_contained(wanted: Json, live: Json) -> bool:
    """Whether a merge patch with these fields would change nothing."""
    return all(key in live and live[key] == value for key, value in wanted.items())


def _known(wanted: ObjectStatus) -> Json:
    found = getattr(wanted.resource, "status", None)
    return found if isinstance(found, dict) else {}


def _key(wanted: ObjectStatus) -> StatusKey:
    return wanted.resource.kind, wanted.resource.namespace, wanted.resource.name
