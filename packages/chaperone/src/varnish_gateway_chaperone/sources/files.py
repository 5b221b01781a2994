"""Inputs from files: a gateway's folder of documents, and a folder of manifests with EndpointSlices."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from varnish_gateway_chaperone.endpoints import merged_by_name, read_slice
from varnish_gateway_chaperone.inputs import Inputs, Slice
from varnish_gateway_common import names
from varnish_gateway_common.manifests import SUFFIXES, Contents, Folder
from varnish_gateway_common.reading import read_regular

QUIET_MS: Final = 10
"""Changes that follow each other faster are taken together, ..."""
GATHER_MS: Final = 200
"""... for so long at most."""
LOOK_AGAIN_MS: Final = 5000
"""What a watch can miss (a folder replaced by another) is found by looking."""

FileChange = tuple[Change, str]

Changed = set[Path] | None
"""Files that may have changed; None: any."""

ReadFile = tuple[Contents, tuple[Slice, ...], tuple[str, ...]]
"""A file's contents, the slices that count for it, and its mistakes."""

DOCUMENTS: Final = frozenset({names.POD, names.ROUTING, names.VCL, names.CERTIFICATES})
PEM: Final = ".pem"


class FileSource:
    """Reads the documents of STATE/<namespace>/<gateway>/ and the EndpointSlices of a folder."""

    def __init__(self, state: Path, manifests: Path) -> None:
        self._state = state
        self._manifests = manifests
        self._slices = SliceFolder(manifests)
        self._pems = PemFolder(state / names.CERTIFICATE_FOLDER)

    async def views(self) -> AsyncIterator[Inputs]:
        """The documents at once, then complete views. Raises OSError when the folder of manifests cannot be read."""
        yield self._documents()
        while True:
            async for changed in self._changes():
                yield await asyncio.to_thread(self._view, changed)

    @property
    def reach(self) -> None:
        """Files need no API server."""
        return None

    async def _changes(self) -> AsyncIterator[Changed]:
        """Once when the watch stands, so that nothing falls between watching and reading, then at each change."""
        places = (self._state, self._manifests)
        before = [_identity(path) for path in places]
        watched = [path for path in places if path.is_dir()]
        if not watched:
            yield None
            await asyncio.sleep(LOOK_AGAIN_MS / 1000)
            return
        changes = self._watch(watched)
        coming = asyncio.create_task(anext(changes), name="watch of files")
        await asyncio.sleep(0)  # the watch stands when its task first waits
        yield None
        try:
            while before == [_identity(path) for path in places]:
                if changed := await coming:
                    yield self._manifests_of(changed)
                coming = asyncio.create_task(anext(changes), name="watch of files")
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _manifests_of(self, changes: set[FileChange]) -> Changed:
        """The manifests among what changed; None when a whole folder of them came or went."""
        paths = {Path(path) for _, path in changes}
        manifests = {path for path in paths if not self._is_document(path)}
        return manifests if all(path.suffix in SUFFIXES for path in manifests) else None

    def _watch(self, paths: list[Path]) -> AsyncGenerator[set[FileChange], None]:
        return awatch(
            *paths,
            watch_filter=self._is_ours,
            debounce=GATHER_MS,
            step=QUIET_MS,
            rust_timeout=LOOK_AGAIN_MS,
            yield_on_timeout=True,
        )

    def _is_ours(self, _: Change, path: str) -> bool:
        file = Path(path)
        is_manifest = not file.name.startswith(".") and (file.suffix in SUFFIXES or not file.suffix)
        return self._is_document(file) or (is_manifest and file.is_relative_to(self._manifests))

    def _is_document(self, file: Path) -> bool:
        """A document of the gateway, a certificate, or the folder of certificates that came or went."""
        certificates = self._state / names.CERTIFICATE_FOLDER
        if file.parent == certificates:
            return file.suffix == PEM and not file.name.startswith(".")
        return file == certificates or (file.parent == self._state and file.name in DOCUMENTS)

    def _documents(self) -> Inputs:
        """The index of certificates before its files: what is written later is at least as new."""
        pod, routing, vcl, certificates = (
            _content(self._state / name) for name in (names.POD, names.ROUTING, names.VCL, names.CERTIFICATES)
        )
        pems = self._pems.read() if certificates else {}
        return Inputs(pod, routing, vcl, certificates, pems, is_complete=False)

    def _view(self, changed: Changed) -> Inputs:
        slices, mistakes = self._slices.read(changed)
        return replace(self._documents(), slices=slices, mistakes=mistakes, is_complete=True)


class PemFolder:
    """The files of certificates; only what changed is read again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, tuple[tuple[int, int, int], bytes]] = {}
        self._pems: dict[str, bytes] = {}

    def read(self) -> Mapping[str, bytes]:
        """Name -> content: the same object as long as nothing changed."""
        found = {file.stem: self._file(file) for file in sorted(self._root.glob(f"[!.]*{PEM}"))}
        read = {name: file for name, file in found.items() if file}
        if read != self._read:
            self._read = read
            self._pems = {name: content for name, (_, content) in read.items()}
        return self._pems

    def _file(self, file: Path) -> tuple[tuple[int, int, int], bytes] | None:
        try:
            stat = file.stat()
            mark = stat.st_mtime_ns, stat.st_size, stat.st_ino
            last = self._read.get(file.stem)
            return last if last and last[0] == mark else (mark, read_regular(file))
        except OSError:
            return None


class SliceFolder:
    """The EndpointSlices of a folder; a file that breaks keeps the slices that it had."""

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root, containing=b"EndpointSlice")
        self._read: dict[Path, ReadFile] = {}
        self._all: tuple[tuple[Slice, ...], tuple[str, ...]] = ((), ())

    def read(self, changed: Changed = None) -> tuple[tuple[Slice, ...], tuple[str, ...]]:
        """All slices, and what was refused with its place: the same objects as long as nothing changed."""
        before = self._read
        if changed is None:
            self._read = {path: self._file(path, contents) for path, contents in self._folder.read().items()}
        else:
            self._read = self._with(changed)
        if not _is_same(before, self._read):
            slices = merged_by_name(found for _, of_file, _ in self._read.values() for found in of_file)
            self._all = slices, tuple(mistake for _, _, of_file in self._read.values() for mistake in of_file)
        return self._all

    def _with(self, changed: set[Path]) -> dict[Path, ReadFile]:
        """What is read already, with some files read again; in the order of their paths, as always."""
        if not changed:
            return self._read
        files = self._folder.read_again(changed)
        kept = {path: found for path, found in self._read.items() if path not in changed or path in files}
        read = kept | {path: self._file(path, contents) for path, contents in files.items()}
        return read if len(read) == len(kept) else dict(sorted(read.items()))

    def _file(self, path: Path, contents: Contents) -> ReadFile:
        last = self._read.get(path)
        if last and last[0] is contents:
            return last
        slices, mistakes = _slices(contents)
        if contents.mistakes and last:
            slices = last[1]
        return contents, slices, (*map(str, contents.mistakes), *mistakes)


def _is_same(before: dict[Path, ReadFile], after: dict[Path, ReadFile]) -> bool:
    if before is after:
        return True
    return len(before) == len(after) and all(before.get(path) is found for path, found in after.items())


def _slices(contents: Contents) -> tuple[tuple[Slice, ...], list[str]]:
    slices: list[Slice] = []
    mistakes: list[str] = []
    for manifest in contents.manifests:
        if manifest.content["kind"] != "EndpointSlice":
            continue
        found, refused = read_slice(manifest.content)
        mistakes.extend(f"{manifest.file}:{manifest.line}: {reason}" for reason in refused)
        if found:
            slices.append(found)
    return tuple(slices), mistakes


def _content(path: Path) -> bytes | None:
    """A file that cannot be read is as good as none: the last good one stays."""
    try:
        return read_regular(path)
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
