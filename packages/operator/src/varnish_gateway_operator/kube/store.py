"""Everything that was read from the cluster. An object is parsed once for each resourceVersion that it has."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.kube.api import Json
from varnish_gateway_common.kube.watch import Changed, Listed, News
from varnish_gateway_operator.kube.kinds import Source, api_version
from varnish_gateway_operator.kube.reports import pod_essence, reports_of
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.broken import Broken, broken_of
from varnish_gateway_operator.resources.parse import InvalidObjectError, parse, renewed
from varnish_gateway_operator.snapshot import Snapshot, snapshot_of
from varnish_gateway_operator.translate import Reports
from varnish_gateway_operator.translate.objects.shape import Identity

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
MOST_GRAVES: Final = 10_000
MOST_SERVED: Final = 256 * 1024
"""Characters of a value of a Secret: four times a chain of certificates at its largest, which is 64 kB."""


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """An object as it was read."""

    identity: Identity
    version: str
    """Its resourceVersion."""
    resource: Resource | None
    """For the snapshot: where the object is broken, what it was before."""
    live: Json | None
    """The whole of an object of ours."""
    problem: str = ""
    broken: Broken | None = None
    """What can be said of it where there is a problem."""


@dataclass(frozen=True)
class View:
    """All that is known at one moment."""

    snapshot: Snapshot
    own: Mapping[Identity, Json]
    """The objects of ours, and their pods, by identity."""
    reports: Reports
    unread: frozenset[Identity] = frozenset()
    """Objects that cannot be read as they are."""


@dataclass
class Store:
    """Fed by what is followed and by the answers to what is written, whichever comes first."""

    on_news: Callable[[], None] = lambda: None
    on_problem: Callable[[str], None] = lambda _: None
    """Told of every object that cannot be read, and that is good again."""
    _collections: dict[Source, dict[Identity, Known]] = field(default_factory=dict)
    _unlisted: set[Source] = field(default_factory=set)
    _own: dict[Identity, Json] = field(default_factory=dict)
    _graves: dict[Identity, int] = field(default_factory=dict)
    """The version at which an object went: answers to what was written before come too late."""
    _written: dict[Identity, Json] = field(default_factory=dict)
    """Statuses that are on their way: the events that they cause are no news."""
    _view: View | None = None

    def expect(self, sources: Iterable[Source]) -> None:
        """What is to be followed from now on; what no longer is, is forgotten."""
        wanted = set(sources)
        for source in self._collections.keys() - wanted:
            for known in self._collections.pop(source).values():
                self._forget(known)
            self._unlisted.discard(source)
        for source in wanted - self._collections.keys():
            self._collections[source] = {}
            self._unlisted.add(source)
        self._tell()

    @property
    def missing(self) -> tuple[str, ...]:
        """What was never listed. As long as there is any, nothing can be said of what does not exist."""
        return tuple(sorted(map(str, self._unlisted)))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many objects of each kind there are."""
        found: dict[str, int] = {}
        for source, objects in self._collections.items():
            found[source.kind] = found.get(source.kind, 0) + len(objects)
        return found

    @property
    def broken(self) -> int:
        return sum(1 for objects in self._collections.values() for known in objects.values() if known.problem)

    def reader(self, source: Source) -> Callable[[Json], Known]:
        """How an object of this source is read: what did not change is what it was."""
        return lambda content: self._read(source, content)

    def take(self, source: Source, news: News[Known]) -> None:
        """Objects that changed or are gone, or all there are."""
        objects = self._collections.get(source)
        if objects is None:
            return  # no longer followed
        if isinstance(news, Listed):
            self._unlisted.discard(source)
            listed = {known.identity: known for known in news.objects}
            gone = [known for identity, known in objects.items() if identity not in listed]
            for known in gone:
                self._remove(objects, known.identity, known.version)
            for known in listed.values():
                self._put(objects, known)
            self._tell()
        elif isinstance(news, Changed):
            self._put(objects, news.object)
        else:
            self._remove(objects, news.object.identity, news.object.version)

    def accept(self, content: Json, *, is_news: bool = True) -> None:
        """The API server's answer to a write: so that the next round builds on it, and not on what was there before.

        Not `is_news`: what was written makes no difference to anything.
        """
        home = next((each for each in self._homes(content["kind"]) if each.labels or not each.fields), None)
        if home:
            self._put(self._collections[home], self._read(home, content), is_news=is_news)

    @contextmanager
    def writing(self, identity: Identity, status: Json) -> Iterator[None]:
        """While a status is written, for the event may come before the answer."""
        self._written[identity] = status
        try:
            yield
        finally:
            self._written.pop(identity, None)

    def view(self) -> View:
        """Everything, frozen; the same as before if nothing has changed."""
        if self._view is None:
            all_known = [known for objects in self._collections.values() for known in objects.values()]
            resources = (known.resource for known in all_known if known.resource is not None)
            broken = (known.broken for known in all_known if known.broken is not None)
            own = dict(self._own)
            snapshot = snapshot_of(resources, broken)
            unread = frozenset(known.identity for known in all_known if known.problem)
            self._view = View(snapshot, own, reports_of(own, snapshot.gateways.values()), unread)
        return self._view

    def _homes(self, kind: str) -> Iterable[Source]:
        return sorted((each for each in self._collections if each.kind == kind), key=lambda each: not each.labels)

    def _put(self, objects: dict[Identity, Known], known: Known, *, is_news: bool = True) -> None:
        before = objects.get(known.identity)
        if before is known:
            return
        oldest = max(int(before.version) if before else 0, self._graves.get(known.identity, 0))
        if int(known.version) < oldest:
            return  # an event that was on its way while the answer to a later write came
        objects[known.identity] = known
        if known.live is not None:
            self._own[known.identity] = known.live
        elif before and before.live is not None:
            del self._own[known.identity]
        self._view = None
        if is_news and not self._is_echo(before, known):
            self.on_news()

    def _is_echo(self, before: Known | None, known: Known) -> bool:
        """Whether nothing is new but the status that is being written."""
        if known.identity not in self._written:
            return False  # what came instead may be why the last write was refused: it has to be merged with
        if before is None or known.resource is None or before.resource is None or known.problem:
            return False
        return _essence(before.resource) == _essence(known.resource) and (
            getattr(known.resource, "status", None) == self._written[known.identity]
        )

    def _remove(self, objects: dict[Identity, Known], identity: Identity, version: str) -> None:
        known = objects.get(identity)
        if known and int(known.version) <= int(version):
            del objects[identity]
            self._forget(known)
            self._tell()
        if len(self._graves) >= MOST_GRAVES:
            self._graves.clear()
        self._graves[identity] = int(version)

    def _forget(self, known: Known) -> None:
        if known.live is not None:
            self._own.pop(known.identity, None)

    def _tell(self) -> None:
        self._view = None
        self.on_news()

    def _read(self, source: Source, content: Json) -> Known:
        """One bad object is one bad object: its last good version stays."""
        metadata = content["metadata"]
        identity = source.kind, metadata.get("namespace", ""), metadata["name"]
        before = self._collections.get(source, {}).get(identity)
        if before and before.version == metadata["resourceVersion"]:
            return before
        content = slim(source, content)
        is_own = content["metadata"].get("labels", {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        live = content if is_own else None
        resource, problem = _parsed(source, content, before.resource if before and not before.problem else None)
        if problem and not (before and before.problem == problem):
            self.on_problem(f"{'/'.join(filter(None, identity))}: {problem}")
        elif before and before.problem and not problem:
            self.on_problem(f"mended: {'/'.join(filter(None, identity))}")
        if not problem:
            return Known(identity, metadata["resourceVersion"], resource, live)
        last_good = before.resource if before else None
        return Known(identity, metadata["resourceVersion"], last_good, live, problem, broken_of(content, problem))


def _essence(resource: Resource) -> tuple[object, ...]:
    """What of an object makes a difference, apart from its status."""
    metadata = resource.metadata
    return id(getattr(resource, "spec", resource)), metadata.labels, metadata.deletion_timestamp


def slim(source: Source, content: Json) -> Json:
    """Without what nobody here reads and everybody has; with what the items of lists leave out."""
    metadata: dict[str, Any] = dict(content["metadata"])
    metadata.pop("managedFields", None)
    if LAST_APPLIED in (annotations := metadata.get("annotations") or {}):
        metadata["annotations"] = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
    version = str(content.get("apiVersion", "")).rpartition("/")[2]
    is_whole = version in source.versions and not source.is_metadata_only
    version = version if is_whole else source.versions[0]
    head = {"apiVersion": api_version(source.group, version), "kind": source.kind, "metadata": metadata}
    found = {**content, **head}
    if source.kind == "Secret":
        return {**found, "data": _digests(found) if source.labels else _served(found)}
    return pod_essence(found) if source.kind == "Pod" else found


def _served(secret: Json) -> dict[str, str]:
    """The two values that a listener can serve; of one that is larger than any, enough to be refused."""
    data = secret.get("data") or {}
    return {key: data[key][:MOST_SERVED] for key in ("tls.crt", "tls.key") if isinstance(data.get(key), str)}


def _digests(secret: Json) -> dict[str, str]:
    """What is compared with a manifest of ours: `digested`."""
    return {key: digest(str(value).encode()) for key, value in (secret.get("data") or {}).items()}


def digested(manifest: Json) -> Json:
    """As the store has it: a Secret without what it holds."""
    return {**manifest, "data": _digests(manifest)} if manifest["kind"] == "Secret" else manifest


def _parsed(source: Source, content: Json, before: Resource | None) -> tuple[Resource | None, str]:
    """The model, or why there is none. `before`: the object as it was good last."""
    if source.model is None:
        return None, ""
    if before and (found := renewed(before, content)):
        return found, ""
    try:
        return parse(source.model, content, unknown_fields="ignore"), ""
    except InvalidObjectError as error:
        return None, str(error)
