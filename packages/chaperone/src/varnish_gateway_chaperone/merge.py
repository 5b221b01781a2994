"""Documents and slices to what varnishd and ghost shall run (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from varnish_gateway_chaperone.endpoints import Table, dumped, loaded
from varnish_gateway_common.document import digest
from varnish_gateway_common.ghost import splice, unspliced
from varnish_gateway_common.pod import Pod
from varnish_gateway_common.routing import Routing, Service, ServiceKey


class DocumentError(Exception):
    """A document that is not what it should be; the message names the field."""


class _Services(BaseModel):
    """What chaperone itself needs of a routing.json. Ghost reads all of it, and refuses what is not as it should be:
    reading it twice would cost half a second at 10,000 routes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal[1]
    gateway: str
    services: dict[ServiceKey, Service] = {}


@dataclass(frozen=True)
class ParsedRouting:
    """A routing.json: its bytes, their digest, and the Services that it names."""

    content: bytes
    digest: str
    services: Mapping[ServiceKey, Service]

    @cached_property
    def sliced(self) -> frozenset[tuple[str, str]]:
        """Namespace and name of the Services whose endpoints are in EndpointSlices."""
        return frozenset((each.namespace, each.name) for each in self.services.values() if not each.external_name)

    @property
    def hostnames(self) -> frozenset[str]:
        """Names outside the cluster that need addresses."""
        services = self.services.values()
        return frozenset(service.external_name.hostname for service in services if service.external_name)


@dataclass(frozen=True)
class ParsedPod:
    """A good pod.json and the digest of its bytes."""

    content: bytes
    pod: Pod
    digest: str


@dataclass(frozen=True)
class Merged:
    """ghost.json, and what is in it."""

    content: bytes
    digest: str
    routing: ParsedRouting
    endpoints: Table


@lru_cache(maxsize=2)
def parse_routing(content: bytes) -> ParsedRouting:
    """Raises DocumentError when it is no JSON, of another version, or names Services that are none."""
    try:
        found = _Services.model_validate_json(content)
    except ValidationError as error:
        raise DocumentError(explained(error)) from None
    return ParsedRouting(content, digest(content), found.services)


def mistake_in(routing: ParsedRouting) -> str | None:
    """What is wrong with a routing.json that ghost refused, naming the field; None: nothing that can be seen here."""
    try:
        Routing.from_json(routing.content)
    except ValidationError as error:
        return explained(error)
    return None


def parse_pod(content: bytes) -> ParsedPod:
    """Raises DocumentError."""
    try:
        return ParsedPod(content, Pod.from_json(content), digest(content))
    except ValidationError as error:
        raise DocumentError(explained(error)) from None


def merged_of(ghost: bytes) -> Merged:
    """What a ghost.json was made of: the last good one of a chaperone that starts again. Raises DocumentError."""
    try:
        routing, endpoints = unspliced(ghost)
        return Merged(ghost, digest(ghost), parse_routing(routing), loaded(endpoints))
    except ValidationError as error:
        raise DocumentError(explained(error)) from None
    except ValueError as error:
        raise DocumentError(str(error)) from None


def merge(routing: ParsedRouting, endpoints: Table) -> Merged:
    """The routing's bytes as they are, and beside them the endpoints of its Services."""
    content = splice(routing.content, dumped(endpoints))
    return Merged(content, digest(content), routing, endpoints)


def explained(error: ValidationError) -> str:
    """The first mistakes of a document, for people: `rules.3.action: ...`."""
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, mistake['loc'])) or 'document'}: {mistake['msg']}" for mistake in mistakes[:3]]
    more = len(mistakes) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")
