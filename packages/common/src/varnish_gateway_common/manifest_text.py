"""The text of a manifest, YAML or JSON: its documents, what each says, and where its fields stand.

Nothing that is said of a text here quotes it: a key may stand anywhere, in tags and anchors too. Aliases are walked and
counted each time they come, as whoever uses the values will walk them.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 100
MAX_ALIASED: Final = 100_000
"""Values that the aliases of one file may stand for."""
MAX_SEPARATORS: Final = 2_000_000
"""What stands between the values of a file. There are about as many, each of half a kilobyte while it is read."""
FAST_NESTING: Final = 500
"""libyaml recurses on the C stack without a limit, so what may nest deeper than this is left to the Python loader."""

TEMPLATE: Final = "a template ({{ }}), not YAML: render it first, as `helm template` does, and use what comes out"

Trail = Sequence[str | int]
"""From a document to a value in it: `("spec", "rules", 0)`."""

_OTHER_THAN_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_DEEP_INDENT: Final = re.compile(rb"^[ \t?:-]{%d}" % FAST_NESTING, re.MULTILINE)
_SEPARATORS: Final = (b"\n", b",", b":", b"- ", b"[", b"{")

_YAML: Final = "tag:yaml.org,2002:"
_TEXTS: Final = frozenset({f"{_YAML}str", f"{_YAML}timestamp", f"{_YAML}value"})
_SCALARS: Final = {f"{_YAML}{name}": f"construct_yaml_{name}" for name in ("int", "float", "bool", "null")}
_MERGE: Final = f"{_YAML}merge"

_PLAIN: Final = {
    "mapping values are not allowed": "a second ': ' in one line: put the value in quotes, or begin a new line",
    "could not find expected ':'": "a key without a ':' after it",
    "did not find expected key": "neither a key nor the end of this block: look at the indentation",
    "expected <block end>": "neither a key nor the end of this block: look at the indentation",
    "did not find expected '-'": "neither a '- ' nor the end of this list: look at the indentation",
    "expected ',' or": "a '[' or '{' that is not closed",
    "node content": "a value that is missing, or a '[' or '{' that is not closed",
    "cannot start any token": "a character that begins nothing, as a tab or '@': indent with spaces, or use quotes",
    "undefined alias": "an alias (*) whose anchor (&) is not there",
    "unexpected end of stream": "a quote that is not closed",
    "duplicate anchor": "an anchor (&) that is there already",
}
"""Of what the parser says -> in plain words."""


@dataclass(frozen=True)
class Written:
    """A document: what it says, and where it begins, counted from 1."""

    line: int
    column: int
    value: Any


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a text, and where."""

    line: int
    column: int
    message: str


class _WrongError(Exception):
    """A document that says something that no object can."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        self.line, self.column = _start(node)
        super().__init__(message)


def documents(text: bytes, *, is_json: bool = False) -> Iterator[Written | Wrong]:
    """Every document, up to the first error of syntax."""
    if sum(map(text.count, _SEPARATORS)) > MAX_SEPARATORS:
        yield Wrong(1, 1, f"has more than about {MAX_SEPARATORS} values: make several files of it")
    else:
        yield from _json(text) if is_json else _yaml(text)


@dataclass
class Places:
    """Where the values of a text stand; it is parsed once more for that, when it is needed."""

    nodes: Sequence[yaml.Node]
    text: bytes = b""

    @classmethod
    def of(cls, text: bytes, *, is_json: bool = False) -> "Places":
        nodes: list[yaml.Node] = []
        try:
            for node in _json_nodes(text) if is_json else _nodes(_loader(text)):
                nodes.append(node)
        except (yaml.YAMLError, ValueError, RecursionError):
            pass  # what stands before that is known
        return cls(nodes, text)

    def find(self, document: int, trail: Trail, *, is_key: bool = False) -> tuple[int, int] | None:
        """Line and column of a value, or with `is_key` of its key; of what it would stand in, where it is not there."""
        if document >= len(self.nodes):
            return None
        node = self.nodes[document]
        for index, part in enumerate(trail):
            found = _child(node, part)
            if found is None:
                break
            if is_key and index == len(trail) - 1:
                return _start(found[0])
            node = found[1]
        return _start(node)

    def text_line(self, document: int, trail: Trail, line: int) -> tuple[int, int] | None:
        """Where a line of a text of several lines stands, from 1, and the column at which it begins; None for a text
        whose lines are not the file's."""
        node = self.nodes[document] if document < len(self.nodes) else None
        for part in trail:
            found = _child(node, part) if node else None
            node = found[1] if found else None
        if not isinstance(node, yaml.ScalarNode) or node.style != "|":
            return None
        begin = _start(node)[0]
        return begin + line, _indentation(self.text.split(b"\n")[begin:], node.value.split("\n")) + 1


def _indentation(file: Sequence[bytes], text: Sequence[str]) -> int:
    """Of a text's lines in its file: what the first that is not blank has more there than in the text."""
    for there, here in zip(file, text, strict=False):
        if here.strip():
            return max(0, len(there) - len(there.lstrip(b" ")) - (len(here) - len(here.lstrip(" "))))
    return 0


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    return None


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _loader(text: bytes) -> Any:
    """The fast loader where it is safe, and there is one; the same in Python otherwise, ten times slower."""
    brackets = text.translate(None, _OTHER_THAN_BRACKETS)
    nesting = max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
    may_be_deep = nesting > FAST_NESTING or _DEEP_INDENT.search(text)
    return yaml.SafeLoader(text) if may_be_deep else getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)


def _nodes(loader: Any) -> Iterator[yaml.Node]:
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


def _yaml(text: bytes) -> Iterator[Written | Wrong]:
    place = 1, 1
    try:
        loader = _loader(text)
        values = _Values(loader)
        for node in _nodes(loader):
            place = _start(node)
            try:
                yield Written(*place, values.of_document(node))
            except _WrongError as error:
                yield Wrong(error.line, error.column, str(error))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        yield _syntax(text, place, error)


class _Values:
    """What nodes say, as JSON has it: keys are texts, and so are times."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._seen: set[int] = set()
        """Lists and mappings of this document."""
        self._aliased = 0

    def of_document(self, node: yaml.Node) -> Any:
        self._seen.clear()
        return self._of(node, 0)

    def _of(self, node: yaml.Node, depth: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._count(node, depth)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if node.tag != f"{_YAML}seq":
            raise _WrongError(node, _TAG)
        return [self._of(child, depth + 1) for child in node.value]

    def _count(self, node: yaml.Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _WrongError(node, f"nested deeper than {MAX_DEPTH} levels")
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return
        self._aliased += 1 + len(node.value)
        if self._aliased > MAX_ALIASED:
            raise _WrongError(node, f"aliases (*) stand for more than {MAX_ALIASED} values")

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in _TEXTS:
            return node.value
        if node.tag not in _SCALARS:
            raise _WrongError(node, _TAG)
        try:
            return getattr(self._loader, _SCALARS[node.tag])(node)
        except (ValueError, KeyError):  # a tag that promises what the text does not keep, a number without end
            raise _WrongError(node, "not the number or word that it is said to be: put it in quotes") from None

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        if node.tag != f"{_YAML}map":
            raise _WrongError(node, _TAG)
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = self._merged(value, depth) | merged
                continue
            name = _key(key)
            if name in lines:
                raise _WrongError(key, f"this key stands twice in its mapping, first in line {lines[name]}")
            lines[name] = _start(key)[0]
            found[name] = self._of(value, depth + 1)
        return merged | found if merged else found

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        """Of `<<`: a mapping or several, of which the first counts."""
        value = self._of(node, depth + 1)
        parts = value if isinstance(value, list) else [value]
        found: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, dict):
                raise _WrongError(node, "<< can only merge a mapping")
            found = part | found
        return found


_TAG: Final = "a tag (!) that no manifest needs: put the value in quotes"


def _key(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    is_template = isinstance(node, yaml.MappingNode) and node.flow_style
    raise _WrongError(node, TEMPLATE if is_template else "a key must be a text")


def _syntax(text: bytes, place: tuple[int, int], error: Exception) -> Wrong:
    """Where the parser stopped; else where the document begins."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position] if isinstance(error.position, int) else b""
        line_begin = before.rfind(b"\n") + 1
        return Wrong(before.count(b"\n") + 1, len(before) - line_begin + 1, "not valid YAML: no text in UTF-8")
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        is_deep = isinstance(error, RecursionError)
        return Wrong(*place, f"nested deeper than {MAX_DEPTH} levels" if is_deep else "not valid YAML")
    if _is_template(text, mark.line, getattr(error, "context_mark", None) or mark):
        return Wrong(mark.line + 1, mark.column + 1, TEMPLATE)
    words = _in_plain_words(getattr(error, "problem", "") or "")
    return Wrong(mark.line + 1, mark.column + 1, f"not valid YAML: {words}")


def _is_template(text: bytes, line: int, begin: Any) -> bool:
    lines = text.split(b"\n")
    return any(b"{{" in lines[each] or b"{%" in lines[each] for each in {line, begin.line} if each < len(lines))


def _in_plain_words(problem: str) -> str:
    return next((words for said, words in _PLAIN.items() if said in problem), "this cannot stand here")


def _json(text: bytes) -> Iterator[Written | Wrong]:
    """One object after the other, as kubectl has it."""
    line = column = 1
    try:
        for begin, value in _json_values(decoded := text.decode("utf-8-sig")):
            line, column = _place(decoded, begin)
            yield Written(line, column, value)
    except json.JSONDecodeError as error:
        yield Wrong(error.lineno, error.colno, "not valid JSON: this cannot stand here")
    except _TwiceError:
        yield Wrong(line, column, "a key stands twice in one mapping")
    except UnicodeDecodeError as error:
        yield Wrong(text.count(b"\n", 0, error.start) + 1, 1, "not valid JSON: no text in UTF-8")
    except RecursionError:
        yield Wrong(line, column, f"nested deeper than {MAX_DEPTH} levels")
    except ValueError:
        yield Wrong(line, column, "not valid JSON: a number without end")


class _TwiceError(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


def _json_values(text: str) -> Iterator[tuple[int, Any]]:
    decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(object_pairs_hook=_once).raw_decode
    at = _after_blanks(text, 0)
    while at < len(text):
        value, end = decode(text, at)
        yield at, value
        at = _after_blanks(text, end)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _json_nodes(text: bytes) -> Iterator[yaml.Node]:
    """YAML's nodes of it: all JSON is YAML but for its tabs."""
    decoded = text.decode("utf-8-sig").replace("\t", " ")
    begins = [begin for begin, _ in _json_values(decoded)]
    for begin, end in zip(begins, [*begins[1:], len(decoded)], strict=True):
        before = "\n" * decoded.count("\n", 0, begin) + " " * (_place(decoded, begin)[1] - 1)
        yield from _nodes(_loader((before + decoded[begin:end]).encode()))
