"""Documents and slices to what varnishd and ghost shall run (pure)."""

from dataclasses import dataclass

from pydantic import ValidationError

from varnish_gateway_chaperone.endpoints import Names, Table, dumped, table
from varnish_gateway_chaperone.inputs import Slice
from varnish_gateway_common.document import digest
from varnish_gateway_common.ghost import Ghost, splice
from varnish_gateway_common.pod import Pod
from varnish_gateway_common.routing import Routing


class DocumentError(Exception):
    """A document that is not what it should be; the message names the field."""


@dataclass(frozen=True)
class ParsedRouting:
    """A good routing.json: its bytes, what they say, and their digest."""

    content: bytes
    routing: Routing
    digest: str

    @property
    def hostnames(self) -> frozenset[str]:
        """Names outside the cluster that need addresses."""
        services = self.routing.services.values()
        return frozenset(service.external_name.hostname for service in services if service.external_name)


@dataclass(frozen=True)
class ParsedPod:
    """A good pod.json and the digest of its bytes."""

    content: bytes
    pod: Pod
    digest: str


@dataclass(frozen=True)
class Merged:
    """ghost.json, and which routing.json is in it."""

    content: bytes
    digest: str
    routing_digest: str
    endpoints: Table


def parse_routing(content: bytes) -> ParsedRouting:
    """Raises DocumentError."""
    try:
        return ParsedRouting(content, Routing.from_json(content), digest(content))
    except ValidationError as error:
        raise DocumentError(explained(error)) from None


def parse_pod(content: bytes) -> ParsedPod:
    """Raises DocumentError."""
    try:
        return ParsedPod(content, Pod.from_json(content), digest(content))
    except ValidationError as error:
        raise DocumentError(explained(error)) from None


def routing_of(ghost: bytes) -> ParsedRouting:
    """The routing inside a ghost.json: the last good one of a chaperone that starts again. Raises DocumentError."""
    try:
        content = Ghost.from_json(ghost).routing.to_json()
    except ValidationError as error:
        raise DocumentError(explained(error)) from None
    return parse_routing(content)


def merge(routing: ParsedRouting, slices: tuple[Slice, ...], names: Names) -> Merged:
    """The routing's bytes as they are, and beside them the endpoints of its Services."""
    endpoints = table(routing.routing, slices, names)
    content = splice(routing.content, dumped(endpoints))
    return Merged(content, digest(content), routing.digest, endpoints)


def explained(error: ValidationError) -> str:
    """The first mistakes of a document, for people: `rules.3.action: ...`."""
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, mistake['loc'])) or 'document'}: {mistake['msg']}" for mistake in mistakes[:3]]
    more = len(mistakes) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")
