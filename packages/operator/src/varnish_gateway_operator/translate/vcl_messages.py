"""What the VCL compiler says of main.vcl, told in the lines of the user's own text."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from varnish_gateway_operator.translate.problems import Identity

VMODS: Final = frozenset({"blob", "cookie", "directors", "h2", "proxy", "purge", "std", "unix", "vtc"})
"""Those that come with Varnish."""

_PLACE: Final = re.compile(r"\('?[^()']*'? Line (\d+) Pos (\d+)\)")
_MARKER: Final = re.compile(r"[-\t ]*#[-#\t ]*")
_NOISE: Final = re.compile(
    r"^\(program line \d+\), at$|, first reference:$|^At:\s*$|^\.\.\. and \d+ more lines$|, starting at$"
)
_MISSING: Final = re.compile(r"Symbol not found: '(\w+)\.")


class UserVcl(NamedTuple):
    """The user's text within main.vcl."""

    identity: Identity
    """Its ConfigMap."""
    key: str
    text: str
    first_line: int
    """Of main.vcl."""

    @property
    def last_line(self) -> int:
        return self.first_line + max(self.text.rstrip("\n").count("\n"), 0)


class Said(NamedTuple):
    """What the compiler says, and of which place of the user's text; line 0: of none."""

    fact: str
    line: int = 0
    column: int = 0

    def within(self, key: str) -> str:
        """`user.vcl:3:16: Symbol not found`."""
        return f"{key}:{self.line}:{self.column}: {self.fact}" if self.line else f"{key}: {self.fact}"


def told(message: str, user: UserVcl | None) -> Said:
    """The first mistake. Its text is not repeated: it may hold what is nobody's to read in a status."""
    lines = [line.rstrip() for line in message.splitlines()]
    fact = " ".join(_facts(lines)) or "does not compile"
    places = [(int(found[1]), int(found[2])) for line in lines if (found := _PLACE.search(line))]
    if user is None:
        return Said(fact)
    own = [place for place in places if user.first_line <= place[0] <= user.last_line]
    if own:
        line, column = own[0]
        return Said(fact + _fix(fact, user.text), line - user.first_line + 1, column)
    if places and any(line > user.last_line for line, _ in places):
        return Said(f"{fact} at its end: is a '{{' or a quote not closed?", user.last_line - user.first_line + 1, 1)
    return Said(fact + _fix(fact, user.text))


def _facts(lines: Iterable[str]) -> Iterator[str]:
    """Up to the first place, or where nothing stands before it, from there to the next."""
    has_place = is_source = False
    said = 0
    for line in lines:
        if _PLACE.search(line):
            if said:
                return
            has_place = is_source = True
            continue
        if is_source:
            is_source = False  # the line of VCL itself
            continue
        text = _NOISE.sub("", line.strip())
        if has_place and _MARKER.fullmatch(line):
            continue
        if text:
            said += 1
            yield text
        elif has_place and said:
            return


def _fix(fact: str, text: str) -> str:
    found = _MISSING.search(fact)
    if not found or found[1] not in VMODS or re.search(rf"^\s*import\s+{found[1]}\b", text, re.MULTILINE):
        return ""
    return f"; add: import {found[1]};"
