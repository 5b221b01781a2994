"""EndpointSlices to endpoints of Services (pure)."""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from varnish_gateway_chaperone.inputs import Slice, SliceEndpoint, SliceName, SlicePort
from varnish_gateway_common.ghost import Endpoint
from varnish_gateway_common.routing import ExternalName, Service, ServiceKey
from varnish_gateway_common.wording import discreet, named, plain, quoted, trail_text

SERVICE_LABEL = "kubernetes.io/service-name"

Table = dict[ServiceKey, tuple[Endpoint, ...]]
Names = Mapping[str, tuple[str, ...]]
"""Hostname -> its addresses."""

_TABLE: TypeAdapter[Table] = TypeAdapter(Table)


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Metadata(_Read):
    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None


class _Port(_Read):
    name: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    protocol: str | None = None


class _Conditions(_Read):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Endpoint(_Read):
    addresses: tuple[str, ...]
    conditions: _Conditions | None = None
    zone: str | None = None


class _EndpointSlice(_Read):
    metadata: _Metadata
    address_type: str = Field(default="IPv4", alias="addressType")
    ports: tuple[_Port, ...] | None = None
    endpoints: tuple[_Endpoint, ...] | None = None


def read_slice(
    content: Mapping[str, Any], may_lead_to: Callable[[str], bool] = lambda _: True
) -> tuple[Slice | None, tuple[str, ...]]:
    """The slice of a manifest, and what of it was refused; None: all of it. Without a label it is no Service's."""
    try:
        found = _EndpointSlice.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return None, (discreet(f"EndpointSlice: {trail_text(first['loc'])} {plain(first)}"),)
    namespace = found.metadata.namespace or "default"
    title = f"{named(namespace)}/{named(found.metadata.name)}"
    service = (found.metadata.labels or {}).get(SERVICE_LABEL)
    if service is None:
        return Slice(namespace, found.metadata.name, "", (), ()), (f"EndpointSlice {title}: no label {SERVICE_LABEL}",)
    endpoints, refused = _endpoints(found, may_lead_to)
    ports = tuple(
        SlicePort(port.name or "", port.port)
        for port in found.ports or ()
        if port.port is not None and port.protocol in {None, "TCP"}
    )
    reasons = tuple(f"EndpointSlice {title}: {reason}" for reason in refused)
    return Slice(namespace, found.metadata.name, service, ports, endpoints), reasons


def _endpoints(
    found: _EndpointSlice, may_lead_to: Callable[[str], bool]
) -> tuple[tuple[SliceEndpoint, ...], list[str]]:
    if found.address_type not in {"IPv4", "IPv6"}:
        return (), [f"addressType {quoted(found.address_type)} is not supported, only IPv4 and IPv6"]
    endpoints: list[SliceEndpoint] = []
    refused: list[str] = []
    for endpoint in found.endpoints or ():
        state = _state(endpoint.conditions or _Conditions())
        for text in endpoint.addresses:
            address = address_of(text, found.address_type)
            if address is None:
                refused.append(f"{quoted(text)} is not an {found.address_type} address")
            elif not may_lead_to(address):
                refused.append(f"{address} is of this machine, its link or its provider")
            elif state is not None:
                endpoints.append(SliceEndpoint(address, state, endpoint.zone))
    return tuple(endpoints), refused


def _state(conditions: _Conditions) -> Literal["ready", "draining"] | None:
    """Null `ready` is true, null `serving` is `ready` (EndpointConditions)."""
    if conditions.ready is not False:
        return "ready"
    if conditions.serving and conditions.terminating:
        return "draining"
    return None


def address_of(text: str, family: str) -> str | None:
    """The canonical text of an address that a request may be sent to."""
    try:
        address = ipaddress.IPv4Address(text) if family == "IPv4" else ipaddress.IPv6Address(text)
    except ValueError:
        return None
    is_scoped = isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None
    return None if is_scoped or address.is_unspecified or address.is_multicast else str(address)


def merged_by_name(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """One slice a name, the last one read, in the order of the names."""
    by_name: dict[SliceName, Slice] = {(found.namespace, found.name): found for found in slices}
    return tuple(by_name[name] for name in sorted(by_name))


@dataclass
class EndpointTables:
    """Tables, one after the other: a Service whose slices or addresses did not change keeps its endpoints."""

    _known: dict[ServiceKey, tuple[object, tuple[Endpoint, ...]]] = field(default_factory=dict)

    def table(self, services: Mapping[ServiceKey, Service], slices: Iterable[Slice], names: Names) -> Table:
        """The endpoints of every Service, in an order that only the content decides."""
        by_service: defaultdict[tuple[str, str], list[Slice]] = defaultdict(list)
        for found in slices:
            by_service[found.namespace, found.service].append(found)
        self._known = {key: self._service(key, service, by_service, names) for key, service in services.items()}
        return {key: endpoints for key, (_, endpoints) in self._known.items()}

    def _service(
        self, key: ServiceKey, service: Service, by_service: Mapping[tuple[str, str], list[Slice]], names: Names
    ) -> tuple[object, tuple[Endpoint, ...]]:
        """What the endpoints were made from, and the endpoints."""
        external = service.external_name
        made_from: object
        if external:
            addresses = names.get(external.hostname, ())
            made_from = external.port, addresses
        else:
            slices = by_service.get((service.namespace, service.name), ())
            made_from = service.port_name, slices
        known = self._known.get(key)
        if known and known[0] == made_from:
            return known
        return made_from, _ordered(_resolved(external, addresses) if external else _sliced(service, slices))


def dumped(endpoints: Table) -> bytes:
    """Canonical JSON of the table."""
    return _TABLE.dump_json(endpoints, exclude_defaults=True)


def loaded(endpoints: bytes) -> Table:
    """The table of such JSON. Raises ValidationError."""
    return _TABLE.validate_json(endpoints)


def _sliced(service: Service, slices: Iterable[Slice]) -> Iterator[Endpoint]:
    for found in slices:
        for port in found.ports:
            if port.name == service.port_name:
                for end in found.endpoints:
                    yield Endpoint(address=end.address, port=port.port, zone=end.zone, state=end.state)


def _resolved(external: ExternalName, addresses: Iterable[str]) -> Iterator[Endpoint]:
    for address in addresses:
        yield Endpoint(address=address, port=external.port)


def _ordered(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """By address and port, each once: a ready one wins over the same one draining."""
    ordered = sorted(endpoints, key=lambda end: (_rank(end), end.state != "ready", end.zone or ""))
    once: dict[tuple[str, int], Endpoint] = {}
    for end in ordered:
        once.setdefault((end.address, end.port), end)
    return tuple(once.values())


def _rank(end: Endpoint) -> tuple[int, int, int]:
    address = ipaddress.ip_address(end.address)
    return address.version, int(address), end.port
