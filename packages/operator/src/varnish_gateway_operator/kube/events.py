"""Events: what became of an object, where `kubectl describe` shows it, once for each change of a condition that counts.

They are told as they come, a few in a second and beside everything else: whoever breaks ten thousand routes at once
reads of some of them here, and of all of them in their statuses.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

from varnish_gateway_common import names
from varnish_gateway_common.kube.api import Json, KubeError, NotFoundError, path_of
from varnish_gateway_operator.kube.api import Kube
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.times import HOLDERS, identity_of_entry
from varnish_gateway_operator.translate.status import is_ours

log = structlog.get_logger()

API_VERSION: Final = "events.k8s.io/v1"
MOST_WAITING: Final = 256
PAUSE_SECONDS: Final = 0.2
"""Between two that are told."""
LIFETIME: Final = timedelta(hours=1)
"""After which Kubernetes forgets an Event, by default: until then the same news is told by counting."""
LONGEST_NOTE: Final = 1000
"""In bytes; Kubernetes permits 1024."""
LONGEST_NAME: Final = 200
MUST_BE_TRUE: Final = frozenset({"Accepted", "Programmed", "ResolvedRefs"})
"""Any other condition of ours is bad news when it is true."""


class News(NamedTuple):
    """Something that a condition says now and did not say before."""

    is_good: bool
    type: str
    reason: str
    note: str


@dataclass(frozen=True)
class Told:
    """An Event that is there."""

    name: str
    count: int
    since: datetime


def news(before: Json, after: Json) -> Iterator[News]:
    """What is to be told of two statuses of an object: what is not as it should be, and that it is again. What is not
    decided yet is no news, nor is that something new is as it should be."""
    known = {(each.place, each.content.get("type")): each.content for each in _conditions(before)}
    for found in _conditions(after):
        last = known.get((found.place, found.content.get("type")), {})
        if found.content.get("status") == "Unknown" or _said(last) == _said(found.content):
            continue
        if not _is_good(found.content):
            yield _news(found, is_good=False)
        elif last and not _is_good(last):
            yield _news(found, is_good=True)


@dataclass
class Events:
    """Tells news through `kube`. What is not told in time is left out."""

    kube: Kube
    identity: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause_seconds: float = PAUSE_SECONDS
    dropped: int = 0
    _waiting: deque[tuple[Resource, News]] = field(default_factory=deque)
    _told: dict[tuple[str, News], Told] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, resource: Resource, before: Json, after: Json) -> None:
        """An object's status has changed."""
        for each in news(before, after):
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append((resource, each))
                self._news.set()
            else:
                self.dropped += 1

    async def run(self) -> None:
        """Until it is cancelled; an Event that cannot be written is one less."""
        while True:
            await self._news.wait()
            while self._waiting:
                try:
                    await self._write(*self._waiting.popleft())
                except KubeError as error:
                    self.dropped += 1
                    log.debug(f"an Event was not written: {error}")
                await asyncio.sleep(self.pause_seconds)
            self._news.clear()

    async def _write(self, resource: Resource, what: News) -> None:
        """Raises KubeError."""
        now = self.clock()
        self._told = {key: told for key, told in self._told.items() if now - told.since < LIFETIME}
        key = resource.metadata.uid or "/".join((resource.kind, *resource.key)), what
        told = self._told.get(key)
        if told and await self._counted(resource, told, now):
            self._told[key] = Told(told.name, told.count + 1, told.since)
            return
        content = _event(resource, what, self.identity, now)
        await self.kube.create(_path(resource), content)
        self._told[key] = Told(content["metadata"]["name"], 1, now)

    async def _counted(self, resource: Resource, told: Told, now: datetime) -> bool:
        """Whether the Event was there still."""
        series = {"count": told.count + 1, "lastObservedTime": _time(now)}
        try:
            await self.kube.merge(_path(resource, told.name), {"series": series})
        except NotFoundError:
            return False
        return True


class _Found(NamedTuple):
    """A condition, and whose it is."""

    place: str
    title: str
    content: Json


def _conditions(status: Json) -> Iterator[_Found]:
    """Those of the object, of its listeners, and of our own entries beside those of other controllers."""
    yield from (_Found("", "", each) for each in _objects(status.get("conditions")))
    for holder in HOLDERS:
        for entry in _objects(status.get(holder)):
            if holder == "listeners" or is_ours(entry):
                for each in _objects(entry.get("conditions")):
                    yield _Found(f"{holder} {identity_of_entry(entry)}", _title(holder, entry), each)


def _objects(found: object) -> Iterator[Json]:
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())


def _title(holder: str, entry: Json) -> str:
    """`listener web`, `Gateway web`; nothing where there can be only one."""
    if holder == "listeners":
        return f"listener {entry.get('name')}"
    ref = entry.get("parentRef")
    return f"{ref.get('kind') or 'Gateway'} {ref.get('name')}" if isinstance(ref, dict) else ""


def _is_good(condition: Json) -> bool:
    """A message beside a condition that is as it should be is a warning."""
    is_true = condition.get("status") == "True"
    return is_true and not condition.get("message") if condition.get("type") in MUST_BE_TRUE else not is_true


def _said(condition: Json) -> tuple[object, ...]:
    return tuple(condition.get(each) for each in ("status", "reason", "message"))


def _news(found: _Found, *, is_good: bool) -> News:
    condition = found.content
    place = f"{found.title}: " if found.title else ""
    message = f": {condition['message']}" if condition.get("message") else ""
    note = f"{place}{condition['type']} is {condition['status']}{message}"
    return News(is_good, condition["type"], condition["reason"], _cut(note))


def _cut(note: str) -> str:
    return note.encode()[:LONGEST_NOTE].decode(errors="ignore")


def _event(resource: Resource, what: News, identity: str, now: datetime) -> Json:
    told = f"{resource.metadata.uid}{what}{now.timestamp()}".encode()
    return {
        "apiVersion": API_VERSION,
        "kind": "Event",
        "metadata": {
            "name": f"{resource.name[:LONGEST_NAME]}.{hashlib.sha256(told).hexdigest()[:16]}",
            "namespace": _namespace(resource),
        },
        "eventTime": _time(now),
        "type": "Normal" if what.is_good else "Warning",
        "reason": what.reason,
        "action": what.type,
        "note": what.note,
        "regarding": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": resource.name,
            **({"namespace": resource.namespace} if resource.namespace else {}),
            **({"uid": resource.metadata.uid} if resource.metadata.uid else {}),
        },
        "reportingController": names.CONTROLLER_NAME,
        "reportingInstance": identity[:128],
    }


def _path(resource: Resource, name: str = "") -> str:
    return path_of(API_VERSION, "events", namespace=_namespace(resource), name=name)


def _namespace(resource: Resource) -> str:
    """Events about what has no namespace are in the default one."""
    return resource.namespace or "default"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
