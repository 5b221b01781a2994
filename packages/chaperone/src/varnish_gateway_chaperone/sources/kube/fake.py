"""An API server in memory, for tests: the protocol `Kube`, and hands to change what it holds."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from varnish_gateway_common.kube.api import GoneError, Json, KubeError, NotFoundError, Page, Selection

Event = tuple[int, str, Json]
"""Version, collection, and what a watch sends."""


class FakeKube:
    """Objects by collection; every change has the next version, and every watch sees it."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Json]] = {}
        self._events: list[Event] = []
        self._version = 0
        self._forgotten = 0
        self._changed = asyncio.Event()
        self.refusals: dict[str, KubeError] = {}
        """Collection -> what is answered in place of its objects."""
        self.is_unreachable: KubeError | None = None
        self.asked: list[tuple[str, Selection]] = []
        self.patches: list[tuple[str, Json]] = []

    def put(self, collection: str, name: str, **content: Any) -> None:
        """A new object, or a new content of one that is there."""
        known = self._objects.setdefault(collection, {})
        kind = "MODIFIED" if name in known else "ADDED"
        self._version += 1
        metadata = {"name": name, **content.pop("metadata", {}), "resourceVersion": str(self._version)}
        known[name] = {"metadata": metadata, **content}
        self._tell(kind, collection, known[name])

    def delete(self, collection: str, name: str) -> None:
        content = self._objects[collection].pop(name)
        self._version += 1
        self._tell("DELETED", collection, content | {"metadata": self._stamped(content)})

    def forget(self) -> None:
        """Watches from before this moment are told that their version is gone."""
        self._forgotten = self._version
        self._wake()

    def drop(self) -> None:
        """Watches notice what `refusals` and `is_unreachable` say by now."""
        self._wake()

    async def page(self, selection: Selection, rest: str) -> Page:  # noqa: ARG002 - one page has all
        self.asked.append(("list", selection))
        self._check(selection)
        found = [one for one in self._objects.get(selection.path, {}).values() if _is_selected(selection, one)]
        return Page(tuple(found), str(self._version))

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        self.asked.append(("watch", selection))
        seen = int(resource_version)
        while True:
            changed = self._changed
            self._check(selection)
            if seen < self._forgotten:
                raise GoneError("too old", status=410)
            for version, collection, event in self._events:
                if version > seen and collection == selection.path and _is_selected(selection, event["object"]):
                    yield event
            seen = self._version
            await changed.wait()

    async def merge(self, path: str, patch: Json) -> None:
        self._check(Selection(path))
        collection, _, name = path.rpartition("/")
        if name not in self._objects.get(collection, {}):
            raise NotFoundError(f"{name} is not there", status=404)
        self.patches.append((path, patch))
        known = self._objects[collection][name]
        self.put(collection, name, data={**known.get("data", {}), **patch["data"]})

    def _check(self, selection: Selection) -> None:
        if error := self.is_unreachable or self.refusals.get(selection.path):
            raise error

    def _stamped(self, content: Json) -> Json:
        return {**content["metadata"], "resourceVersion": str(self._version)}

    def _tell(self, kind: str, collection: str, content: Json) -> None:
        self._events.append((self._version, collection, {"type": kind, "object": content}))
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _is_selected(selection: Selection, content: Json) -> bool:
    """By name, or by a label that is there: all that pods ask for."""
    metadata = content["metadata"]
    is_named = not selection.fields or selection.fields == f"metadata.name={metadata['name']}"
    return is_named and (not selection.labels or selection.labels in metadata.get("labels", {}))
