"""Services without a ready endpoint, and what their EndpointSlices have instead (pure)."""

from collections.abc import Iterable, Sequence
from typing import Final

from varnish_gateway_chaperone.endpoints import SERVICE_LABEL
from varnish_gateway_chaperone.inputs import Slice
from varnish_gateway_chaperone.merge import Merged
from varnish_gateway_common.report import UnservedService
from varnish_gateway_common.routing import Service
from varnish_gateway_common.wording import named

MOST: Final = 50
"""As many are told; a report has room for other things."""
MOST_PORTS: Final = 3


def unserved_of(merged: Merged, slices: Sequence[Slice]) -> tuple[UnservedService, ...]:
    """By key. Names outside of the cluster have no slices; what is wrong with them is told where they are resolved."""
    empty = [
        key
        for key, endpoints in merged.endpoints.items()
        if not merged.routing.services[key].external_name and all(end.state != "ready" for end in endpoints)
    ]
    services = merged.routing.services
    return tuple(UnservedService(service=key, reason=_reason(services[key], slices)) for key in sorted(empty)[:MOST])


def _reason(service: Service, slices: Iterable[Slice]) -> str:
    near = [found for found in slices if found.namespace == service.namespace]
    own = [found for found in near if found.service == service.name]
    if not own:
        label = f"the label {SERVICE_LABEL}: {named(service.name)}"
        odd = next((found for found in near if not found.service), None)
        return f"no EndpointSlice has {label}" + (f"; {_title(odd)} has no such label at all" if odd else "")
    fitting = [found for found in own if any(port.name == service.port_name for port in found.ports)]
    if not fitting:
        return f"{_title(own[0])} has {_ports(own[0])}, and not {_port(service.port_name)}"
    return f"{_title(fitting[0])} has no ready endpoint"


def _title(found: Slice) -> str:
    return f"EndpointSlice {named(found.namespace)}/{named(found.name)}"


def _ports(found: Slice) -> str:
    if not found.ports:
        return "no port"
    more = f" and {len(found.ports) - MOST_PORTS} more" if len(found.ports) > MOST_PORTS else ""
    return ", ".join(_port(port.name) for port in found.ports[:MOST_PORTS]) + more


def _port(name: str) -> str:
    return f"the port {named(name)!r}" if name else "a port without a name"
