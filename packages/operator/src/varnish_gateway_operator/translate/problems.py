"""What is wrong with a rule or a reference of a route: values, which end as conditions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that a rule asks for and does not get."""

    reason: str
    """The condition's reason."""
    field: str
    """Which field, as `filters[0].type`."""
    message: str

    def __str__(self) -> str:
        return f"{self.field} {self.message}"

    def within(self, prefix: str) -> "Problem":
        return Problem(self.reason, f"{prefix}.{self.field}", self.message)


def unsupported(field: str, message: str) -> Problem:
    return Problem("UnsupportedValue", field, message)


def not_built(field: str) -> Problem:
    return Problem("UnsupportedValue", field, "is not supported by this version")


def incompatible(field: str, message: str) -> Problem:
    return Problem("IncompatibleFilters", field, message)
