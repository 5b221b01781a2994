"""The Kubernetes API as its clients here see it: collections, pages, events, and what can go wrong.

KubeError
 |- UnreachableError      no answer, or none in time
 |- TooManyRequestsError  429: later
 |- ConflictError         409: the object is another one by now
 |- GoneError             410: that version is forgotten, list again
 |- NotFoundError         404
 |- ForbiddenError        403
 '- InvalidError          400, 413, 415, 422: it will not be taken, however often
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

Json = dict[str, Any]


class KubeError(Exception):
    """The API server refused, or did not answer. Everything else that it answers (401, 5xx) is one of these itself."""

    def __init__(self, message: str, *, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        """The server's own wish; 0 where it has none."""


class UnreachableError(KubeError):
    pass


class TooManyRequestsError(KubeError):
    pass


class ConflictError(KubeError):
    pass


class GoneError(KubeError):
    pass


class NotFoundError(KubeError):
    pass


class ForbiddenError(KubeError):
    pass


class InvalidError(KubeError):
    pass


@dataclass(frozen=True)
class Reach:
    """How well the API server can be followed at the moment."""

    unfollowed: int = 0
    """Collections that cannot be."""
    is_reachable: bool = True
    """Whether it answers at all."""
    failures: int = 0
    """Lists and watches that failed so far."""


def reach_of(troubles: Iterable[KubeError], failures: int) -> Reach:
    """`troubles`: why what cannot be followed cannot be."""
    found = tuple(troubles)
    return Reach(len(found), not any(isinstance(error, UnreachableError) for error in found), failures)


_BY_STATUS: Final[Mapping[int, type[KubeError]]] = {
    400: InvalidError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyRequestsError,
}


UNTYPED: Final = "failed to create typed patch object"
"""What an API server says, with status 500, of an applied object that has fields which its kind has not."""


def error_of(status: int, message: str, *, retry_after: str | None = None) -> KubeError:
    """The error for an HTTP status; `retry_after` is the header's text."""
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    kind = InvalidError if message.startswith(UNTYPED) else _BY_STATUS.get(status, KubeError)
    return kind(message[:2000], status=status, retry_after_seconds=seconds)


def path_of(api_version: str, plural: str, *, namespace: str = "", name: str = "", part: str = "") -> str:
    """`/apis/apps/v1/namespaces/default/deployments/web`: a collection, an object of it, or an object's `part`."""
    root = "/apis" if "/" in api_version else "/api"
    space = f"/namespaces/{namespace}" if namespace else ""
    return "".join([f"{root}/{api_version}{space}/{plural}", *(f"/{each}" for each in (name, part) if each)])


@dataclass(frozen=True)
class Selection:
    """Some objects of a collection, or all of them."""

    path: str
    labels: str = ""
    """A label selector."""
    fields: str = ""
    """A field selector."""
    is_metadata_only: bool = False


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: tuple[Json, ...]
    resource_version: str
    rest: str = ""
    """How to ask for the next page; empty: this is the last one."""


class Reader(Protocol):
    """What it takes to follow a collection. Both raise KubeError."""

    async def page(self, selection: Selection, rest: str) -> Page:
        """The first page, or the one that the page before calls `rest`."""
        ...

    def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        """`{"type": ..., "object": ...}` for everything after a version, bookmarks and errors too, until the server has
        had enough."""
        ...
