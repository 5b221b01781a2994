"""A folder of manifests as a source of snapshots: the last good version of each object, and every mistake."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from varnish_gateway_common.manifests import Contents, Finder, Folder, Manifest
from varnish_gateway_common.wording import discreet, named
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.core import Namespace
from varnish_gateway_operator.resources.parse import Flaw, InvalidObjectError, is_namespaced, kind_of, parse, title
from varnish_gateway_operator.snapshot import Snapshot, snapshot_of
from varnish_gateway_operator.telling import Line, Lines, key_of
from varnish_gateway_operator.translate.findings import without_consequences
from varnish_gateway_operator.translate.problems import Finding, Identity

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace."""


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong in a file; the rest of it counts, and so does the last good version of what is wrong."""

    file: Path
    """Below the folder."""
    line: int
    column: int
    object: str
    """`HTTPRoute default/web`; empty where no object could be made out."""
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", discreet(self.message))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.object + ': ' if self.object else ''}{self.message}"


@dataclass(frozen=True)
class Known:
    """A good object, and what it was made of."""

    manifest: Manifest
    resource: Resource


@dataclass
class _File:
    """What a file holds, by the last reading that was good for each object."""

    contents: Contents
    others: list[str] = field(default_factory=list)
    """Kinds of objects that are none of ours."""
    broken: set[Identity] = field(default_factory=set)
    objects: dict[Identity, Known] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


@dataclass
class FolderSource:
    """Reads the folder again and again; objects that did not change stay the same objects."""

    root: Path
    mistakes: tuple[Mistake, ...] = ()
    """Of the last reading."""
    unread: frozenset[Identity] = frozenset()
    """Objects that are there and cannot be read as they are."""
    _known: Mapping[Identity, Known] = field(default_factory=dict)
    _folder: Folder = field(init=False)
    _files: dict[Path, _File] = field(default_factory=dict)
    _namespaces: dict[str, Namespace] = field(default_factory=dict)
    _snapshot: Snapshot | None = None

    def __post_init__(self) -> None:
        self._folder = Folder(self.root)

    def read(self) -> Snapshot:
        """The folder as it is now; the very same snapshot while no file changed.

        Raises OSError when the folder itself cannot be read: nothing is forgotten then.
        """
        if not self.root.is_dir():
            raise NotADirectoryError(f"{self.root} is not a folder")
        contents, finder = self._folder.read(), Finder()
        files = {path: self._read_file(path, found, finder) for path, found in contents.items()}
        if self._snapshot and _are_same(files, self._files):
            return self._snapshot
        self._files = files
        self._known, twins = self._distinct()
        resources = {identity: known.resource for identity, known in self._known.items()}
        self.unread = frozenset(identity for file in files.values() for identity in file.broken)
        self.mistakes = tuple(sorted([*twins, *(each for file in self._files.values() for each in file.mistakes)]))
        self._snapshot = snapshot_of([*resources.values(), *self._implied_namespaces(resources)])
        return self._snapshot

    def _read_file(self, path: Path, contents: Contents, finder: Finder) -> _File:
        before = self._files.get(path)
        if before and before.contents is contents:
            return before
        return _Reading(self.root, finder, before.objects if before else {}).of(contents)

    @property
    def others(self) -> Mapping[str, int]:
        """How many objects there are of kinds that are none of ours."""
        return Counter(sorted(kind for file in self._files.values() for kind in file.others))

    @property
    def has_files(self) -> bool:
        return bool(self._files)

    def lines(self, findings: Iterable[Finding]) -> Lines:
        """Everything that is wrong, in the order of the files."""
        may_be_unread = any(file.contents.mistakes for file in self._files.values())
        kept = without_consequences(findings, self.unread, may_be_unread=may_be_unread)
        finder = Finder()
        placed = [(self._place(each, finder), each) for each in sorted(kept, key=self._file_of)]
        found: list[tuple[tuple[str, int, int], Hashable, Line]] = [
            ((str(each.file), each.line, each.column), (each.file, each.object, each.message), Line(str(each)))
            for each in self.mistakes
        ]
        for place, each in placed:
            text = f"{place[0]}:{place[1]}:{place[2]} {each}" if place[0] else str(each)
            found.append((place, key_of(each), Line(text, each.is_error)))
        return {key: line for _, key, line in sorted(found, key=lambda item: item[0])}

    def _file_of(self, finding: Finding) -> str:
        known = self._known.get(finding.identity)
        return str(known.manifest.file) if known else ""

    def _place(self, finding: Finding, finder: Finder) -> tuple[str, int, int]:
        known = self._known.get(finding.identity)
        if known is None:
            return "", 0, 0
        manifest = known.manifest
        line, column = finder.find(manifest, finding.trail)
        if finding.text_place:
            own = finder.text_line(manifest, finding.trail, finding.text_place[0])
            line, column = (own[0], own[1] + finding.text_place[1] - 1) if own else (line, column)
        return str(_below(self.root, manifest.file)), line, column

    def _distinct(self) -> tuple[dict[Identity, Known], list[Mistake]]:
        """Every object once; of two files that define it the first counts, and the other is told so."""
        found: dict[Identity, Known] = {}
        twins: list[Mistake] = []
        for file in self._files.values():
            for identity, known in file.objects.items():
                first = found.setdefault(identity, known)
                if first is not known:
                    where = f"{_below(self.root, first.manifest.file)}:{first.manifest.line}"
                    twins.append(_twin(self.root, known.manifest, f"is defined in {where} already; that one counts"))
        return found, twins

    def _implied_namespaces(self, resources: Mapping[Identity, Resource]) -> Iterator[Namespace]:
        """In a folder a namespace that is used exists; all have the label that Kubernetes gives them."""
        written = {resource.name: resource for resource in resources.values() if isinstance(resource, Namespace)}
        used = {resource.namespace for resource in resources.values()} - {""}
        self._namespaces = {
            name: _labelled(name, written.get(name), self._namespaces.get(name)) for name in sorted({*used, *written})
        }
        yield from self._namespaces.values()


def _are_same(files: Mapping[Path, _File], before: Mapping[Path, _File]) -> bool:
    return files.keys() == before.keys() and all(file is before[path] for path, file in files.items())


def _below(root: Path, file: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else file


def _twin(root: Path, manifest: Manifest, message: str) -> Mistake:
    return Mistake(_below(root, manifest.file), manifest.line, 1, title(manifest.content), message)


@dataclass
class _Reading:
    """A new reading of a file. Of what is broken the last good version stays; what is gone is gone, unless the
    reading ended early: then nothing is."""

    root: Path
    finder: Finder
    before: Mapping[Identity, Known]

    def of(self, contents: Contents) -> _File:
        found = _File(contents)
        for each in contents.mistakes:
            found.mistakes.append(Mistake(_below(self.root, each.file), each.line, each.column, "", each.message))
        for manifest in contents.manifests:
            self._take(manifest, found)
        if contents.mistakes:
            found.objects = {**self.before, **found.objects}
        return found

    def _take(self, manifest: Manifest, found: _File) -> None:
        try:
            known = _known(manifest, self.before)
        except InvalidObjectError as error:
            found.mistakes += [self._mistake(manifest, flaw) for flaw in error.flaws]
            identity = _identity_of_broken(manifest.content)
            found.broken.add(identity)
            if identity in self.before:
                found.objects.setdefault(identity, self.before[identity])
        else:
            if known is None:
                found.others.append(named(str(manifest.content["kind"])))
            elif found.objects.setdefault(_identity(known.resource), known) is not known:
                found.mistakes.append(
                    _twin(self.root, manifest, "is defined in this file already; the first one counts")
                )

    def _mistake(self, manifest: Manifest, flaw: Flaw) -> Mistake:
        line, column = self.finder.find(manifest, flaw.trail, is_key=flaw.is_key)
        return Mistake(_below(self.root, manifest.file), line, column, title(manifest.content), str(flaw))


def _known(manifest: Manifest, before: Mapping[Identity, Known]) -> Known | None:
    """The object, the very same as before if its content is the same; None for kinds that are none of ours."""
    kind = kind_of(manifest.content)
    if kind is None:
        return None
    known = before.get(_identity_of_broken(manifest.content))
    if known and known.manifest.content == manifest.content:
        return Known(manifest, known.resource)
    return Known(manifest, parse(kind, manifest.content, unknown_fields="forbid"))


def _identity(resource: Resource) -> Identity:
    return resource.kind, resource.namespace, resource.name


def _identity_of_broken(content: Mapping[str, Any]) -> Identity:
    """As far as it can be made out."""
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    namespace = str(known.get("namespace") or "default") if is_namespaced(content) else ""
    return str(content.get("kind")), namespace, str(known.get("name", "?"))


def _labelled(name: str, written: Namespace | None, before: Namespace | None) -> Namespace:
    labels = {**(written.metadata.labels if written else {}), NAMESPACE_NAME: name}
    if before and before.metadata.labels == labels:
        return before
    content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    return Namespace.model_validate(content)
