"""What a chaperone is told, as one frozen value: documents as they were read, and the slices of endpoints."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from varnish_gateway_common.kube.api import Reach

SliceName = tuple[str, str]
"""namespace, name of an EndpointSlice."""


@dataclass(frozen=True)
class SlicePort:
    """A port of an EndpointSlice."""

    name: str
    port: int


@dataclass(frozen=True)
class SliceEndpoint:
    """An address of an EndpointSlice that may get requests."""

    address: str
    state: Literal["ready", "draining"]
    zone: str | None = None


@dataclass(frozen=True)
class Slice:
    """What counts of an EndpointSlice."""

    namespace: str
    name: str
    service: str
    """Empty where no label says whose it is."""
    ports: tuple[SlicePort, ...]
    endpoints: tuple[SliceEndpoint, ...]


@dataclass(frozen=True)
class Inputs:
    """One view; None where a document does not exist (yet)."""

    pod: bytes | None = None
    routing: bytes | None = None
    vcl: bytes | None = None
    certificates: bytes | None = None
    pems: Mapping[str, bytes] = field(default_factory=dict)
    """Name -> content of `certificates/<name>.pem`; the same object as long as none changed."""
    slices: tuple[Slice, ...] = ()
    last_good_vcl: bytes | None = None
    """What served elsewhere, for a start with a main.vcl that does not compile."""
    mistakes: tuple[str, ...] = ()
    """What of the slices was refused, each with its place."""
    is_complete: bool = True
    """False: the documents are there, the slices are still being read."""


class Source(Protocol):
    """Where inputs come from."""

    def views(self) -> AsyncIterator[Inputs]:
        """The documents at once, then complete views: the first one, and one after each change."""
        ...

    @property
    def reach(self) -> Reach | None:
        """How well the API server can be followed; None where there is none."""
        ...
