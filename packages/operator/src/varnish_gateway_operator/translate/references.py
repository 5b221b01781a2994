"""The one function that resolves every reference from one object to another."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.core import Secret, Service
from varnish_gateway_operator.resources.grants import ReferenceGrant
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.problems import Identity

Verdict = Literal["InvalidKind", "RefNotPermitted", "NotFound"]

R = TypeVar("R", bound=Resource)


class Origin(NamedTuple):
    """Who refers: only the kind and the namespace matter to a grant."""

    kind: str
    namespace: str
    group: str = GATEWAY_API


class Target(NamedTuple):
    """What is referred to; the namespace is the origin's unless it is named."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{named(self.kind)} {named(self.namespace)}/{named(self.name)}"

    @property
    def identity(self) -> Identity:
        return self.kind, self.namespace, self.name

    @property
    def kind_text(self) -> str:
        return f"{named(self.group or 'core')}/{named(self.kind)}"


def not_permitted(target: Target) -> str:
    where = named(target.namespace)
    return f"is {where}, where no ReferenceGrant permits {target}; add one there"


@dataclass
class References:
    """Resolves references in a snapshot, and remembers each question with its answer.

    As long as the answers stay the same, so does everything that was made of them: that is what lets a result be kept
    from one round to the next.
    """

    snapshot: Snapshot
    _objects: dict[tuple[str, str, str], Resource | None] = field(default_factory=dict)
    _grants: dict[str, tuple[ReferenceGrant, ...]] = field(default_factory=dict)

    def resolve(self, origin: Origin, target: Target, kind: type[R]) -> R | Verdict:
        """The object of `kind`, or why it cannot be had: kind, then permission, then existence, so that nothing is
        told about objects that may not be referred to."""
        if (target.group, target.kind) != ("", kind.__name__):
            return "InvalidKind"
        if target.namespace != origin.namespace and not self._is_granted(origin, target):
            return "RefNotPermitted"
        found = self._lookup(target)
        return found if isinstance(found, kind) else "NotFound"

    def answers(self) -> "Answers":
        return Answers(tuple(self._objects.items()), tuple(self._grants.items()))

    def _lookup(self, target: Target) -> Resource | None:
        found = _find(self.snapshot, target.kind, target.namespace, target.name)
        self._objects[target.kind, target.namespace, target.name] = found
        return found

    def _is_granted(self, origin: Origin, target: Target) -> bool:
        """Whether a ReferenceGrant in the target's namespace permits the reference."""
        grants = self.snapshot.grants_into.get(target.namespace, ())
        self._grants[target.namespace] = grants
        return any(_permits(grant, origin, target) for grant in grants)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a result was made of."""

    objects: tuple[tuple[tuple[str, str, str], Resource | None], ...]
    grants: tuple[tuple[str, tuple[ReferenceGrant, ...]], ...]

    def still_hold(self, snapshot: Snapshot) -> bool:
        for question, answer in self.objects:
            if _find(snapshot, *question) is not answer:
                return False
        return all(snapshot.grants_into.get(namespace, ()) == answer for namespace, answer in self.grants)


def _find(snapshot: Snapshot, kind: str, namespace: str, name: str) -> Resource | None:
    if kind == Service.__name__:
        return snapshot.services.get((namespace, name))
    if kind == Secret.__name__:
        return snapshot.secrets.get((namespace, name))
    return None


def _permits(grant: ReferenceGrant, origin: Origin, target: Target) -> bool:
    """Whether one entry of `from` and one of `to` fit: entries are alternatives, the two lists are not."""
    is_from = any(
        (entry.group, entry.kind, entry.namespace) == (origin.group, origin.kind, origin.namespace)
        for entry in grant.spec.from_
    )
    return is_from and any(
        (entry.group, entry.kind) == (target.group, target.kind) and entry.name in (None, "", target.name)
        for entry in grant.spec.to
    )
