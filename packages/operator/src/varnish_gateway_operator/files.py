"""A folder of manifests as a source of snapshots: the last good version of each object, and every mistake."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from varnish_gateway_common.manifests import Contents, Finder, Folder, Manifest
from varnish_gateway_common.wording import discreet
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.core import Namespace
from varnish_gateway_operator.resources.parse import Flaw, InvalidObjectError, is_namespaced, kind_of, parse, title
from varnish_gateway_operator.snapshot import Snapshot, snapshot_of

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace."""

Identity = tuple[str, str, str]
"""Kind, namespace and name."""


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
    objects: dict[Identity, Known] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


@dataclass
class FolderSource:
    """Reads the folder again and again; objects that did not change stay the same objects."""

    root: Path
    mistakes: tuple[Mistake, ...] = ()
    """Of the last reading."""
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
        resources, twins = self._distinct()
        self.mistakes = tuple(sorted([*twins, *(each for file in self._files.values() for each in file.mistakes)]))
        self._snapshot = snapshot_of([*resources.values(), *self._implied_namespaces(resources)])
        return self._snapshot

    def _read_file(self, path: Path, contents: Contents, finder: Finder) -> _File:
        before = self._files.get(path)
        if before and before.contents is contents:
            return before
        return _Reading(self.root, finder, before.objects if before else {}).of(contents)

    def _distinct(self) -> tuple[dict[Identity, Resource], list[Mistake]]:
        """Every object once; of two files that define it the first counts, and the other is told so."""
        found: dict[Identity, Known] = {}
        twins: list[Mistake] = []
        for file in self._files.values():
            for identity, known in file.objects.items():
                first = found.setdefault(identity, known)
                if first is not known:
                    where = f"{_below(self.root, first.manifest.file)}:{first.manifest.line}"
                    twins.append(_twin(self.root, known.manifest, f"is defined in {where} already; that one counts"))
        return {identity: known.resource for identity, known in found.items()}, twins

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
            if identity in self.before:
                found.objects.setdefault(identity, self.before[identity])
        else:
            if known and found.objects.setdefault(_identity(known.resource), known) is not known:
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
