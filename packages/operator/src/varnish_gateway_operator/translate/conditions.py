"""Conditions: what the user is told. Named constructors keep types, reasons and wording in one place."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from varnish_gateway_common.wording import discreet

Status = Literal["True", "False", "Unknown"]

MAX_MESSAGE: Final = 32_768
"""Of a condition, in Kubernetes."""


@dataclass(frozen=True)
class Condition:
    """A condition without its times and generation, which are added on the way out."""

    type: str
    status: Status
    reason: str
    message: str = ""

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


def accepted(message: str = "", *, reason: str = "Accepted") -> Condition:
    return Condition("Accepted", "True", reason, message)


def not_accepted(reason: str, message: str) -> Condition:
    return Condition("Accepted", "False", reason, message)


def left_out(namespace: str) -> Condition:
    """Of a route for which its Gateway has no room."""
    text = "the routes of this Gateway take more than there is room for: its newest one goes without in the namespace"
    return not_accepted("NoRoom", f"{text} that takes most, {namespace}")


def resolved_refs(message: str = "") -> Condition:
    return Condition("ResolvedRefs", "True", "ResolvedRefs", message)


def not_resolved(reason: str, message: str) -> Condition:
    return Condition("ResolvedRefs", "False", reason, message)


def programmed() -> Condition:
    return Condition("Programmed", "True", "Programmed")


def not_programmed(reason: str, message: str) -> Condition:
    return Condition("Programmed", "False", reason, message)


def programmed_unknown(message: str) -> Condition:
    return Condition("Programmed", "Unknown", "Pending", message)


def no_conflicts() -> Condition:
    return Condition("Conflicted", "False", "NoConflicts")


def conflicted(reason: str, message: str) -> Condition:
    return Condition("Conflicted", "True", reason, message)


def overlapping_hostnames(message: str) -> Condition:
    return Condition("OverlappingTLSConfig", "True", "OverlappingHostnames", message)


def partially_invalid(message: str) -> Condition:
    """The specification wants the message to begin with `Dropped Rule`."""
    return Condition("PartiallyInvalid", "True", "UnsupportedValue", message)
