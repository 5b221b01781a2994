"""What the objects of a gateway hold (pure)."""

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from varnish_gateway_chaperone.endpoints import SERVICE_LABEL, read_slice
from varnish_gateway_chaperone.inputs import Slice
from varnish_gateway_chaperone.merge import DocumentError
from varnish_gateway_chaperone.outward import is_outward
from varnish_gateway_common import names
from varnish_gateway_common.kube.api import Json, Selection, path_of

MAX_DOCUMENT_BYTES: Final = 256 * 1024 * 1024
"""A compressed document may not become larger: ten times what 10,000 routes are."""
GZIP: Final = 16 + zlib.MAX_WBITS

Kind = Literal["ConfigMap", "Secret", "EndpointSlices"]


@dataclass(frozen=True)
class Subject:
    """What is followed: an object by its name, or the EndpointSlices of a namespace."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"EndpointSlices of {self.name}" if self.kind == "EndpointSlices" else f"{self.kind} {self.name}"

    def selection(self, namespace: str) -> Selection:
        """How to ask for it. A Role that names objects allows lists and watches of them only by that name."""
        if self.kind == "EndpointSlices":
            return Selection(path_of("discovery.k8s.io/v1", "endpointslices", namespace=self.name), SERVICE_LABEL)
        path = path_of("v1", "secrets" if self.kind == "Secret" else "configmaps", namespace=namespace)
        return Selection(path, fields=f"metadata.name={self.name}")


@dataclass(frozen=True)
class Item:
    """An object as far as it counts."""

    name: str
    values: Mapping[str, bytes] = field(default_factory=dict)
    slice: Slice | None = None
    mistakes: tuple[str, ...] = ()


def read(subject: Subject, content: Json, may_lead_to: Callable[[str], bool] = is_outward) -> Item:
    """Whatever an object holds; what cannot be read of it, or leads where it may not, is a mistake."""
    name = str(content["metadata"].get("name", ""))
    if subject.kind == "EndpointSlices":
        found, refused = read_slice(content, may_lead_to)
        return Item(name, slice=found, mistakes=refused)
    values: dict[str, bytes] = {}
    mistakes: list[str] = []
    for key, value in _values(subject.kind, content):
        try:
            values[key] = value if key == names.PART or subject.kind == "Secret" else plain(value)
        except DocumentError as error:
            mistakes.append(f"{subject}: {key}: {error}")
    return Item(name, values, mistakes=tuple(mistakes))


def _values(kind: Kind, content: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """The API server has checked that base64 is base64."""
    texts, encoded = ({}, content.get("data")) if kind == "Secret" else (content.get("data"), content.get("binaryData"))
    plain_values = [(key, str(text).encode()) for key, text in (texts or {}).items()]
    return plain_values + [(key, base64.b64decode(text)) for key, text in (encoded or {}).items()]


def plain(content: bytes) -> bytes:
    """A document that may be compressed. Raises DocumentError."""
    return inflated(content) if content.startswith(b"\x1f\x8b") else content


def inflated(content: bytes) -> bytes:
    """Raises DocumentError for what gzip did not write, and for what would fill the memory."""
    unpacker = zlib.decompressobj(GZIP)
    try:
        found = unpacker.decompress(content, MAX_DOCUMENT_BYTES)
    except zlib.error as error:
        raise DocumentError(f"not compressed by gzip: {error}") from None
    if not unpacker.eof:
        raise DocumentError("cut short, or too large")
    return found
