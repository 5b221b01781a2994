"""Conditions: what the user is told. Named constructors keep types, reasons and wording in one place."""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from varnish_gateway_common.wording import discreet
from varnish_gateway_operator.translate.problems import Identity, Trail

Status = Literal["True", "False", "Unknown"]

MAX_MESSAGE: Final = 32_768
"""Of a condition, in Kubernetes."""


class Subject(NamedTuple):
    """An object, a field of it, and what is wrong with that."""

    identity: Identity
    trail: Trail
    message: str
    target: Identity | None = None
    """What the field names, where that is not there."""
    text_place: tuple[int, int] | None = None
    """Line and column within the field's own text."""


@dataclass(frozen=True)
class Condition:
    """A condition without its times and generation, which are added on the way out."""

    type: str
    status: Status
    reason: str
    message: str = ""
    field: str = ""
    """Which field of the object is to blame, relative to what the condition is about; not part of it in Kubernetes."""
    is_consequence: bool = False
    """Another object, or another condition, says why."""
    subject: Subject | None = None
    """Another object that is to blame."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", discreet(self.message))

    def to_json(self, generation: int) -> dict[str, Any]:
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message[:MAX_MESSAGE],
            "observedGeneration": generation,
        }


def accepted(message: str = "", *, reason: str = "Accepted", is_consequence: bool = False) -> Condition:
    return Condition("Accepted", "True", reason, message, is_consequence=is_consequence)


def not_accepted(reason: str, message: str, *, field: str = "", is_consequence: bool = False) -> Condition:
    return Condition("Accepted", "False", reason, message, field, is_consequence)


def left_out(namespace: str) -> Condition:
    """Of a route for which its Gateway has no room."""
    text = "the routes of this Gateway take more than there is room for: its newest one goes without in the namespace"
    return not_accepted("NoRoom", f"{text} that takes most, {namespace}")


def resolved_refs(message: str = "") -> Condition:
    return Condition("ResolvedRefs", "True", "ResolvedRefs", message)


def not_resolved(reason: str, message: str, *, field: str = "") -> Condition:
    return Condition("ResolvedRefs", "False", reason, message, field)


def programmed() -> Condition:
    return Condition("Programmed", "True", "Programmed")


def not_programmed(
    reason: str, message: str, *, is_consequence: bool = False, subject: Subject | None = None
) -> Condition:
    return Condition("Programmed", "False", reason, message, is_consequence=is_consequence, subject=subject)


def programmed_unknown(message: str) -> Condition:
    return Condition("Programmed", "Unknown", "Pending", message)


def no_conflicts() -> Condition:
    return Condition("Conflicted", "False", "NoConflicts")


def conflicted(reason: str, message: str, *, field: str = "") -> Condition:
    return Condition("Conflicted", "True", reason, message, field)


def overlapping_hostnames(message: str) -> Condition:
    return Condition("OverlappingTLSConfig", "True", "OverlappingHostnames", message)


def partially_invalid(message: str) -> Condition:
    """The specification wants the message to begin with `Dropped Rule`."""
    return Condition("PartiallyInvalid", "True", "UnsupportedValue", message)
