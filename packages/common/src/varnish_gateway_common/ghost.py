"""ghost.json: routing.json and one more table, the endpoints of every service that it names.

The two parts are spliced as bytes: an endpoint change neither parses nor dumps the routing again, and ghost keeps what
it compiled while the bytes of `routing` stay the same.
"""

from typing import Final, Literal

from varnish_gateway_common.document import Document
from varnish_gateway_common.routing import Port, Routing, ServiceKey

_BEFORE: Final = b'{"version":1,"routing":'
_BETWEEN: Final = b',"endpoints":'


class Endpoint(Document):
    """An address that serves."""

    address: str
    """An IPv4 or IPv6 address, never a name."""
    port: Port
    zone: str | None = None
    state: Literal["ready", "draining"] = "ready"
    """draining: terminating, yet still serving; used only when no endpoint is ready."""


class Ghost(Document):
    """The whole document."""

    version: Literal[1]
    routing: Routing
    endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}


def splice(routing: bytes, endpoints: bytes) -> bytes:
    """The bytes of ghost.json from the canonical bytes of its two parts."""
    return _BEFORE + routing + _BETWEEN + endpoints + b"}"


def unspliced(ghost: bytes) -> tuple[bytes, bytes]:
    """The two parts of what `splice` made. Raises ValueError for anything else.

    No key of the second part has that name, since Services' keys hold a slash.
    """
    if not (ghost.startswith(_BEFORE) and _BETWEEN in ghost and ghost.endswith(b"}")):
        raise ValueError("not a ghost.json that chaperone wrote")
    routing, _, endpoints = ghost[len(_BEFORE) : -1].rpartition(_BETWEEN)
    return routing, endpoints
