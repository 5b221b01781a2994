"""secrets.json and routing.parts.json: where a gateway in a cluster finds what one object cannot hold."""

from typing import Literal

from varnish_gateway_common.document import Document


class Secrets(Document):
    """secrets.json: the Secrets that together hold the files that certificates.json names, as `<name>.pem`."""

    version: Literal[1]
    secrets: tuple[str, ...] = ()
    """Names, in the gateway's namespace."""


class Part(Document):
    """A ConfigMap that holds a part."""

    name: str
    digest: str
    """Of the part's bytes."""


class RoutingParts(Document):
    """routing.parts.json, in place of a routing.json that is too large even when compressed.

    The parts, joined in this order, are routing.json compressed by gzip. While ConfigMaps change one after the other,
    digests do not agree: then nothing is taken yet.
    """

    version: Literal[1]
    digest: str
    """Of routing.json itself."""
    parts: tuple[Part, ...] = ()
