"""What messages may say of a user's manifests: never more than 40 characters of a text, and nothing of a Secret.

All messages pass through here: `quoted` and `named` put a text into one, `plain` makes one of what pydantic refuses,
`discreet` is the last gate of each, should a text have come in by another way.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import ErrorDetails

MAX_QUOTED: Final = 40
"""Characters: enough to find it again, too few for a key."""
LIKELY_ENOUGH: Final = 0.6
ALMOST_THE_SAME: Final = 0.8
"""How alike names must be, from 0 to 1, for one to be offered in place of the other."""

_UNBROKEN: Final = re.compile(rf"[A-Za-z0-9+=_.~%-]{{{MAX_QUOTED + 1},}}")
"""Longer than any word of ours: what names, keys and tokens are made of."""

_PATTERNS: Final[dict[str, str]] = {}
"""A regular expression of a model -> what it asks for, in words; filled by `worded`."""


def quoted(value: object) -> str:
    """A value of a manifest for a message: `'text'`, `80`, `a mapping`; a long one is cut."""
    if isinstance(value, str):
        cut = value[:MAX_QUOTED]
        return f"{cut!r}" if cut == value else f"{cut!r}…"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > MAX_QUOTED * 3:
        return "a huge number"
    return str(value)[:MAX_QUOTED] if isinstance(value, (int, float)) else _shape(value)


def named(text: str) -> str:
    """A name for a message, without quotes; a long one is cut, and what is not printable is shown."""
    cut = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:MAX_QUOTED])
    return cut if len(text) <= MAX_QUOTED else f"{cut}…"


def discreet(message: str) -> str:
    """The last gate of a message: no unbroken text that is longer than what may be quoted."""
    return message if len(message) <= MAX_QUOTED else _UNBROKEN.sub(lambda found: f"{found[0][:MAX_QUOTED]}…", message)


def worded(pattern: str, words: str) -> str:
    """The pattern itself; a message about it says the words."""
    _PATTERNS[pattern] = words
    return pattern


def near(name: str, known: Iterable[str], likeness: float = LIKELY_ENOUGH) -> str | None:
    """What was meant, if one of what is known is alike."""
    found = get_close_matches(name[:253], list(known), n=1, cutoff=likeness)
    return found[0] if found else None


def trail_text(trail: Iterable[str | int], names: Collection[str] | None = None) -> str:
    """`spec.rules[0].name`; with `names`, any part that is none of them is left unsaid."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{named(part)}" if names is None or part in names else "[…]"
        for part in trail
    )
    return "".join(parts).lstrip(".")


def plain(details: ErrorDetails, known: Iterable[str] = (), *, is_secret: bool = False) -> str:
    """What pydantic refuses, in plain words; `known`: the names that could stand there."""
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        return _unknown(str(details["loc"][-1]), known, is_secret=is_secret)
    if kind == "missing":
        return "is missing"
    if kind in ("secret", "told"):
        return details["msg"]
    wanted = _wanted(kind, details.get("ctx", {}))
    if is_secret:
        return wanted
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    return f"is {quoted(value)}{_type_note(kind, value)}; it {wanted}{_advice(kind, value)}"


def _unknown(name: str, known: Iterable[str], *, is_secret: bool) -> str:
    meant = None if is_secret else near(name, known)
    return f"unknown field; did you mean {meant}?" if meant else "unknown field"


def _type_note(kind: str, value: object) -> str:
    return ", a text" if isinstance(value, str) and kind in _SHAPES and "text" not in _SHAPES[kind] else ""


def _advice(kind: str, value: object) -> str:
    if kind == "int_type" and isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return ": write it without quotes"
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return ": write it in quotes"
    return ""


_SHAPES: Final = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "datetime_parsing": "must be a time like 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a time like 2026-01-31T12:00:00Z",
    "datetime_type": "must be a time like 2026-01-31T12:00:00Z",
}
_BOUNDS: Final = {
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "string_too_long": "may have {max_length} characters",
    "string_too_short": "must not be empty",
    "too_long": "may have {max_length} entries",
    "too_short": "must have an entry",
    "literal_error": "must be {expected}",
}


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _SHAPES:
        return _SHAPES[kind]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(context.get("pattern")), "has a form that is not allowed")
    return "cannot stand here"


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else "something else"
