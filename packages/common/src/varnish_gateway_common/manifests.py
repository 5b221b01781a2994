"""A folder of Kubernetes manifests (extra `folder`): every *.yaml below it, several documents a file, Lists too."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import yaml

SUFFIXES: Final = (".yaml", ".yml")
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
FAST_NESTING: Final = 500
"""libyaml recurses on the C stack without a limit, so what may nest deeper than this is left to the Python loader."""

_OTHER_THAN_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_DEEP_INDENT: Final = re.compile(rb"^[ \t?:-]{%d}" % FAST_NESTING, re.MULTILINE)


@dataclass(frozen=True)
class Manifest:
    """One object, and where it stands."""

    file: Path
    line: int
    """The line where its document begins, from 1."""
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Mistake:
    """What could not be read, and where."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


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
        self._cache = seen = {path: found for path in files if (found := self._file(path))}
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
            if path.stat().st_size > MAX_FILE_BYTES:
                return Contents(mistakes=(Mistake(path, 1, f"larger than {MAX_FILE_BYTES} bytes"),))
            text = path.read_bytes()
        except OSError as error:
            return Contents(mistakes=(Mistake(path, 1, error.strerror or str(error)),))
        if self.containing not in text:
            return Contents()
        return parse(path, text)


def _loader(text: bytes) -> Any:
    """The fast loader where it is safe, and there is one; the same in Python otherwise, ten times slower."""
    brackets = text.translate(None, _OTHER_THAN_BRACKETS)
    nesting = max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
    may_be_deep = nesting > FAST_NESTING or _DEEP_INDENT.search(text)
    return yaml.SafeLoader(text) if may_be_deep else getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)


def parse(path: Path, text: bytes) -> Contents:
    """The documents of a file, up to its first syntax error; one that is no object costs itself."""
    manifests: list[Manifest] = []
    mistakes: list[Mistake] = []
    loader = _loader(text)
    line = 1
    try:
        while loader.check_node():
            node = loader.get_node()
            line = node.start_mark.line + 1
            try:
                found = [Manifest(path, line, item) for item in _objects(loader.construct_document(node))]
            except _NotAnObjectError as error:
                mistakes.append(Mistake(path, line, str(error)))
            else:
                manifests.extend(found)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mistakes.append(_syntax_mistake(path, text, line, error))
    finally:
        loader.dispose()
    return Contents(tuple(manifests), tuple(mistakes))


def _syntax_mistake(path: Path, text: bytes, line: int, error: Exception) -> Mistake:
    """Where the parser stopped; else the document's own line."""
    if isinstance(error, yaml.reader.ReaderError):
        return Mistake(path, text.count(b"\n", 0, error.position) + 1, f"not valid YAML: {error.reason}")
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error) or type(error).__name__
    return Mistake(path, mark.line + 1 if mark else line, f"not valid YAML: {message}")


class _NotAnObjectError(Exception):
    pass


def _objects(content: Any) -> Iterator[Mapping[str, Any]]:
    if content is None:
        return
    if not isinstance(content, dict):
        raise _NotAnObjectError(f"a Kubernetes object is wanted here, not {type(content).__name__}")
    if content.get("kind") == "List" and isinstance(content.get("items"), list):
        for item in content["items"]:
            if isinstance(item, dict) and item.get("kind") == "List":
                raise _NotAnObjectError("a List in a List")  # with YAML's aliases it could grow without end
            yield from _objects(item)
        return
    if not isinstance(content.get("kind"), str) or not isinstance(content.get("apiVersion"), str):
        raise _NotAnObjectError("apiVersion and kind are missing")
    yield content


def _files(folder: str) -> Iterator[str]:
    """Manifests below the folder, in the order of their paths; what begins with a dot (editors' and our own temporary
    files) is passed over. Text and not Path, which would take most of the time at 10,000 files. Raises OSError."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.name.endswith(SUFFIXES):
            yield entry.path
        if entry.is_dir(follow_symlinks=False):
            with suppress(OSError):  # it went in the meantime, or is not for us to read
                yield from _files(entry.path)
