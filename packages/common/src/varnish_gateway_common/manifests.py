"""A folder of Kubernetes manifests (extra `folder`): every *.yaml, *.yml and *.json below it, several documents a file,
Lists too."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from varnish_gateway_common.manifest_text import Places, Trail, Wrong, documents
from varnish_gateway_common.reading import read_regular
from varnish_gateway_common.wording import discreet

SUFFIXES: Final = (".yaml", ".yml", ".json")
JSON: Final = ".json"
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_FILES: Final = 50_000
MAX_ENTRIES: Final = 500_000
"""Files and folders of all kinds."""
MAX_TOTAL_BYTES: Final = 256 * 1024 * 1024
MAX_FOLDERS_DEEP: Final = 32

Place = tuple[str | int, ...]
"""Of an object within its document."""


@dataclass(frozen=True)
class Manifest:
    """One object, and where it stands."""

    file: Path
    line: int
    """The line where its document begins, from 1."""
    content: Mapping[str, Any]
    document: int = 0
    """Its place among the file's documents, from 0, and ..."""
    within: Place = ()
    """... where it is within it: an item of a List."""


@dataclass(frozen=True)
class Mistake:
    """What could not be read, and where."""

    file: Path
    line: int
    column: int
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", discreet(self.message))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.message}"


@dataclass(frozen=True)
class Contents:
    """What a file holds: the documents that could be read, and the mistake that ended the reading, if any."""

    manifests: tuple[Manifest, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True)
class _Known:
    """A file as it was read last."""

    path: Path
    stamp: tuple[int, int, int]
    contents: Contents


@dataclass
class Folder:
    """A folder that is read again and again; a file that did not change is not parsed again.

    A file that breaks keeps, document by document, nothing of its past here: what to do with objects whose file is
    broken is the caller's decision (`Contents.mistakes` names the file).
    """

    root: Path
    containing: bytes = b""
    """Files without these bytes are passed over: cheap where only one kind is wanted."""
    _cache: dict[str, _Known] = field(default_factory=dict)

    def read(self) -> dict[Path, Contents]:
        """Every file's contents, in the order of their paths; none of a folder that is not there.

        Raises OSError when the folder itself cannot be read.
        """
        files = _files(str(self.root)) if self.root.is_dir() else ()
        seen: dict[str, _Known] = {}
        total = 0
        for path in files:
            if found := self._file(path):
                seen[path] = found
                total += found.stamp[1]
            if total > MAX_TOTAL_BYTES or len(seen) > MAX_FILES:
                raise OSError(None, f"more than {MAX_FILES} files, or {MAX_TOTAL_BYTES} bytes", str(self.root))
        self._cache = seen
        return {known.path: known.contents for known in seen.values()}

    def read_again(self, paths: Iterable[Path]) -> dict[Path, Contents]:
        """The contents of these files alone, when it is known that no other has changed; those that are gone are not
        among them."""
        contents: dict[Path, Contents] = {}
        for path in paths:
            found = self._file(str(path))
            if found:
                self._cache[str(path)] = found
                contents[path] = found.contents
            else:
                self._cache.pop(str(path), None)
        return contents

    def _file(self, name: str) -> _Known | None:
        """What is known of the file when it did not change, else what it holds now; None: it is gone."""
        try:
            stat = os.stat(name)  # noqa: PTH116 - see _files
        except OSError:
            return None
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._cache.get(name)
        if known and known.stamp == stamp:
            return known
        path = known.path if known else Path(name)
        return _Known(path, stamp, self._parse(path))

    def _parse(self, path: Path) -> Contents:
        try:
            text = read_regular(path, MAX_FILE_BYTES)
        except OSError as error:
            return _unread(path, error.strerror or str(error))
        if self.containing not in text:
            return Contents()
        return parse(path, text)


def _unread(path: Path, why: str) -> Contents:
    return Contents(mistakes=(Mistake(path, 1, 1, why),))


def parse(path: Path, text: bytes) -> Contents:
    """The documents of a file, up to its first syntax error; one that is no object costs itself."""
    manifests: list[Manifest] = []
    mistakes: list[Mistake] = []
    for index, found in enumerate(documents(text, is_json=path.suffix == JSON)):
        if isinstance(found, Wrong):
            mistakes.append(Mistake(path, found.line, found.column, found.message))
            continue
        try:
            manifests += [Manifest(path, found.line, item, index, within) for item, within in _objects(found.value)]
        except _NotAnObjectError as error:
            mistakes.append(Mistake(path, found.line, found.column, str(error)))
    return Contents(tuple(manifests), tuple(mistakes))


@dataclass
class Finder:
    """Where fields of manifests stand; a file is read once more for that, once for all that is asked of it in a row."""

    _file: Path | None = None
    _places: Places = field(default_factory=lambda: Places(()))

    def find(self, manifest: Manifest, trail: Trail, *, is_key: bool = False) -> tuple[int, int]:
        """Line and column; those of the document where the file is not what it was any more."""
        found = self._of(manifest.file).find(manifest.document, (*manifest.within, *trail), is_key=is_key)
        return found or (manifest.line, 1)

    def text_line(self, manifest: Manifest, trail: Trail, line: int) -> tuple[int, int] | None:
        """Where a line of a field of several lines stands."""
        return self._of(manifest.file).text_line(manifest.document, (*manifest.within, *trail), line)

    def _of(self, file: Path) -> Places:
        if file != self._file:
            self._file, self._places = file, Places(())
            with suppress(OSError):
                self._places = Places.of(read_regular(file, MAX_FILE_BYTES), is_json=file.suffix == JSON)
        return self._places


class _NotAnObjectError(Exception):
    pass


def _objects(content: Any, within: Place = ()) -> Iterator[tuple[Mapping[str, Any], Place]]:
    if content is None:
        return
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise _NotAnObjectError(f"a Kubernetes object is wanted here, not {kind}")
    if content.get("kind") == "List" and isinstance(content.get("items"), list):
        for index, item in enumerate(content["items"]):
            if isinstance(item, dict) and item.get("kind") == "List":
                raise _NotAnObjectError("a List in a List")  # with YAML's aliases it could grow without end
            yield from _objects(item, ("items", index))
        return
    if not isinstance(content.get("kind"), str) or not isinstance(content.get("apiVersion"), str):
        raise _NotAnObjectError("apiVersion and kind are missing")
    yield content, within


class _TooManyError(Exception):
    pass


def _files(folder: str) -> Iterator[str]:
    """Manifests below the folder, in the order of their paths; what begins with a dot (editors' and our own temporary
    files) is passed over. Text and not Path, which would take most of the time at 10,000 files. Raises OSError."""
    try:
        yield from _below(folder, [MAX_ENTRIES], 0)
    except _TooManyError:
        raise OSError(None, f"more than {MAX_ENTRIES} entries", folder) from None


def _below(folder: str, left: list[int], depth: int) -> Iterator[str]:
    """`left`: how many entries may still be looked at."""
    for entry in sorted(_entries(folder, left), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.name.endswith(SUFFIXES):
            yield entry.path
        if depth < MAX_FOLDERS_DEEP and entry.is_dir(follow_symlinks=False):
            with suppress(OSError):  # it went in the meantime, or is not for us to read
                yield from _below(entry.path, left, depth + 1)


def _entries(folder: str, left: list[int]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0:
                raise _TooManyError
            yield entry
