"""What is wrong with a rule or a reference of a route: values, which end as conditions and as findings."""

import re
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from varnish_gateway_common.wording import named

Identity = tuple[str, str, str]
"""Kind, namespace (empty for kinds without one) and name of an object."""

Trail = tuple[str | int, ...]
"""From an object to one of its fields."""

_STEP: Final = re.compile(r"[^.\[\]]+")


def trail_of(field: str) -> Trail:
    """`spec.rules[0].name` as a trail."""
    return tuple(int(part) if part.isdecimal() else part for part in _STEP.findall(field))


@dataclass(frozen=True)
class Problem:
    """Something that a rule asks for and does not get."""

    reason: str
    """The condition's reason."""
    field: str
    """Which field, as `filters[0].type`."""
    message: str
    target: Identity | None = None
    """What it names, where that is not there."""

    def __str__(self) -> str:
        return f"{self._subject} {self.message}"

    @property
    def _subject(self) -> str:
        """`backendRefs[0] names Service ...`: its name does."""
        return self.field.removesuffix(".name") if self.message.startswith("names ") else self.field

    def within(self, prefix: str) -> "Problem":
        return replace(self, field=f"{prefix}.{self.field}")


def unsupported(field: str, message: str) -> Problem:
    return Problem("UnsupportedValue", field, message)


def not_built(field: str) -> Problem:
    return Problem("UnsupportedValue", field, "is not supported by this version")


def incompatible(field: str, message: str) -> Problem:
    return Problem("IncompatibleFilters", field, message)


class Finding(NamedTuple):
    """One mistake."""

    identity: Identity
    """The object in which it can be mended."""
    trail: Trail
    """The field."""
    message: str
    is_error: bool = True
    target: Identity | None = None
    """What it says is not there."""
    hint: str = ""
    """What may be meant instead."""
    text_place: tuple[int, int] | None = None
    """Line and column within the field's own text."""

    def __str__(self) -> str:
        return f"{title_of(self.identity)}: {self.message}{self.hint}"


def title_of(identity: Identity) -> str:
    kind, namespace, name = identity
    return f"{named(kind)} {named(namespace)}/{named(name)}" if namespace else f"{named(kind)} {named(name)}"
