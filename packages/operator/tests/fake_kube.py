"""An API server in memory, as far as the operator uses one: versions, watches, server-side apply, refusals."""

import asyncio
import copy
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from varnish_gateway_common.kube.api import (
    ConflictError,
    GoneError,
    Json,
    KubeError,
    NotFoundError,
    Page,
    Selection,
    UnreachableError,
)
from varnish_gateway_operator.kube.apply import path_to

_OBJECT = re.compile(r"(?P<path>.*?)(?P<status>/status)?$")


@dataclass
class Write:
    """One that was sent, whatever became of it."""

    verb: str
    path: str
    content: Json
    manager: str = ""


@dataclass
class FakeKube:
    """Holds objects by their paths. `put` and `drop` are what other people do."""

    objects: dict[str, Json] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    unserved: set[str] = field(default_factory=set)
    """Plurals of kinds that are not installed."""
    refuse: Callable[[str, str], KubeError | None] = lambda _verb, _path: None
    """Asked before anything is done; verb and path."""
    before_write: Callable[[], object] = lambda: None
    """Called once, when a write has arrived: what happens just before it takes effect."""
    _history: list[tuple[int, str, Json, Json | None]] = field(default_factory=list)
    _forgotten: int = 0
    _applied: dict[tuple[str, str], Json] = field(default_factory=dict)
    _versions: Iterator[int] = field(default_factory=lambda: count(1))
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _breaks: int = 0

    # What others do.

    def put(self, content: Json) -> Json:
        """Create or replace an object, status and all."""
        path = path_to(content)
        before = self.objects.get(path)
        metadata = {"uid": f"uid-of-{path}", "generation": 1, **content["metadata"]}
        return self._store(path, {**copy.deepcopy(content), "metadata": metadata}, before)

    def drop(self, path: str) -> None:
        gone = self.objects.pop(path)
        version = next(self._versions)
        self._note(version, path, {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(version)}}, None)

    def forget_history(self) -> None:
        """Every watch that begins at an older version is told 410."""
        self._forgotten = next(self._versions)
        self._history.clear()

    def break_watches(self) -> None:
        self._breaks += 1
        self._wake()

    # What the operator asks.

    async def page(self, selection: Selection, rest: str) -> Page:
        self._check("list", selection.path)
        found = [self._shown(selection, each) for each in self.objects.values() if _is_selected(selection, each)]
        start = int(rest or 0)
        end = start + 2
        return Page(tuple(found[start:end]), str(self._last()), str(end) if end < len(found) else "")

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        self._check("watch", selection.path)
        version, breaks = int(resource_version), self._breaks
        if version < self._forgotten:
            raise GoneError("too old", status=410)
        while True:
            for number, _, before, after in [each for each in self._history if each[0] > version]:
                version = number
                if event := _event(selection, before, after):
                    yield {"type": event[0], "object": self._shown(selection, event[1])}
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
            async with self._changed:
                await self._changed.wait_for(lambda: self._last() > version or self._breaks > breaks)  # noqa: B023
            if self._breaks > breaks:
                raise UnreachableError("the connection broke")

    async def get(self, path: str) -> Json:
        self._check("get", path)
        return copy.deepcopy(self._known(path))

    async def create(self, path: str, content: Json) -> Json:
        own = path_to(content)
        self._begin(Write("create", own, content))
        if own in self.objects:
            raise ConflictError("exists", status=409)
        return self.put(content)

    async def replace(self, path: str, content: Json) -> Json:
        self._begin(Write("replace", path, content))
        self._compare(self._known(path), content)
        return self._store(path, copy.deepcopy(content), self._known(path))

    async def merge(self, path: str, patch: Json) -> Json:
        self._begin(Write("merge", path, patch))
        found = _OBJECT.match(path)
        assert found
        known = self._known(found["path"])
        self._compare(known, patch)
        return self._store(found["path"], _merged(known, patch), known)

    async def apply(self, path: str, manifest: Json, manager: str) -> Json:
        self._begin(Write("apply", path, manifest, manager))
        known = self.objects.get(path, {"metadata": {"uid": f"uid-of-{path}", "generation": 1}})
        others = [each for (own, by), each in self._applied.items() if own == path and by != manager]
        cleared = _without(known, self._applied.get((path, manager), {}), [manifest, *others])
        self._applied[path, manager] = copy.deepcopy(manifest)
        return self._store(path, _merged(cleared, manifest), self.objects.get(path))

    async def delete(self, path: str, uid: str) -> None:
        self._begin(Write("delete", path, {"uid": uid}))
        if self._known(path)["metadata"]["uid"] != uid:
            raise ConflictError("another uid", status=409)
        self.drop(path)

    def sent(self, verb: str, part: str = "") -> list[Write]:
        return [write for write in self.writes if write.verb == verb and part in write.path]

    def _begin(self, write: Write) -> None:
        self.writes.append(copy.deepcopy(write))
        happens, self.before_write = self.before_write, lambda: None
        happens()
        self._check(write.verb, write.path)

    def _check(self, verb: str, path: str) -> None:
        if error := self.refuse(verb, path):
            raise error
        if self.unserved & set(path.split("/")):
            raise NotFoundError("no such kind", status=404)

    def _known(self, path: str) -> Json:
        if path not in self.objects:
            raise NotFoundError(f"{path} not found", status=404)
        return self.objects[path]

    def _compare(self, known: Json, content: Json) -> None:
        wanted = content["metadata"].get("resourceVersion") if "metadata" in content else None
        if wanted not in (None, known["metadata"]["resourceVersion"]):
            raise ConflictError("the object has been modified", status=409)

    def _store(self, path: str, content: Json, before: Json | None) -> Json:
        if before is not None and _unversioned(before) == _unversioned(content):
            return copy.deepcopy(before)
        if before is not None and before.get("spec") != content.get("spec"):
            content["metadata"]["generation"] = before["metadata"]["generation"] + 1
        version = next(self._versions)
        content["metadata"]["resourceVersion"] = str(version)
        self.objects[path] = content
        self._note(version, path, before or {}, content)
        return copy.deepcopy(content)

    def _note(self, version: int, path: str, before: Json, after: Json | None) -> None:
        self._history.append((version, path, before, copy.deepcopy(after)))
        self._wake()

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        asyncio.get_running_loop().create_task(wake())

    def _last(self) -> int:
        return max(self._history[-1][0] if self._history else 0, self._forgotten)

    def _shown(self, selection: Selection, content: Json) -> Json:
        """As lists and watches show it: with its managers, and of metadata only that."""
        metadata = {**content["metadata"], "managedFields": [{"manager": "somebody"}]}
        if selection.is_metadata_only:
            return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}
        return copy.deepcopy({**content, "metadata": metadata})


def _event(selection: Selection, before: Json, after: Json | None) -> tuple[str, Json] | None:
    was, is_ = bool(before) and _is_selected(selection, before), bool(after) and _is_selected(selection, after)
    if after and is_:
        return ("MODIFIED" if was else "ADDED"), after
    if not was:
        return None
    version = after["metadata"]["resourceVersion"] if after else before["metadata"]["resourceVersion"]
    return "DELETED", {**before, "metadata": {**before["metadata"], "resourceVersion": version}}


def _is_selected(selection: Selection, content: Json | None) -> bool:
    assert content is not None
    path = path_to(content)
    collection = path.rpartition("/")[0]
    everywhere = re.sub(r"/namespaces/[^/]+(?=/)", "", collection)
    if selection.path not in (collection, everywhere):
        return False
    labels = content["metadata"].get("labels") or {}
    key, _, value = selection.labels.partition("=")
    if selection.labels and labels.get(key) != value:
        return False
    key, _, value = selection.fields.partition("=")
    found = content["metadata"]["name"] if key == "metadata.name" else content.get(key)
    return not selection.fields or found == value


def _merged(known: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    found = dict(known) if isinstance(known, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found


def _without(known: Any, before: Any, kept: list[Any]) -> Any:
    """Less what was applied before, and is in none of the manifests that are kept."""
    if not isinstance(known, dict) or not isinstance(before, dict):
        return known
    found = {}
    for key, value in known.items():
        others = [each[key] for each in kept if isinstance(each, dict) and key in each]
        if key in before and not others:
            continue
        found[key] = _without(value, before.get(key), others)
    return found


def _unversioned(content: Json) -> Json:
    return {**content, "metadata": {**content["metadata"], "resourceVersion": ""}}
