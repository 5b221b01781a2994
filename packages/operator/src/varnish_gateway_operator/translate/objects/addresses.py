"""Addresses: which of those that a Gateway asks for can be had, what the Service is told, and what it comes to."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from varnish_gateway_common.wording import named, quoted
from varnish_gateway_operator.resources.core import Service
from varnish_gateway_operator.resources.gateway import Gateway, GatewayAddress
from varnish_gateway_operator.resources.parameters import ServiceParameters
from varnish_gateway_operator.translate.conditions import Condition, not_programmed

Json = dict[str, str]

TYPES: Final = ("IPAddress", "Hostname")


@dataclass(frozen=True)
class Request:
    """What the Gateway asks for, by the way in which it can be had."""

    external: tuple[str, ...] = ()
    """By the nodes, to which their network is routed."""
    balanced: tuple[str, ...] = ()
    """By a load balancer, if it likes; names too."""
    unusable: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Then any address will do."""
        return not (self.external or self.balanced or self.unusable)

    @property
    def load_balancer_ip(self) -> str | None:
        """A Service can ask for one."""
        return next((value for value in self.balanced if is_ip(value)), None)


@dataclass(frozen=True)
class Addresses:
    """What the Gateway's status says."""

    found: tuple[Json, ...] = ()
    problem: Condition | None = None


def requested(gateway: Gateway, service: ServiceParameters) -> Request:
    """An address without a value asks for nothing in particular."""
    ways: dict[str, list[str]] = {"external": [], "balanced": [], "unusable": []}
    for address in gateway.spec.addresses:
        if address.value and address.type in TYPES:
            ways[_way(address, service)].append(address.value)
    return Request(**{way: tuple(dict.fromkeys(values)) for way, values in ways.items()})


def _way(address: GatewayAddress, service: ServiceParameters) -> str:
    if address.type == "IPAddress":
        if not is_ip(address.value):
            return "unusable"
        found = ipaddress.ip_address(address.value)
        if any(found in ipaddress.ip_network(network) for network in service.external_networks):
            return "external"
    return "balanced" if service.type == "LoadBalancer" else "unusable"


def address_problem(address: GatewayAddress) -> str | None:
    """What is asked for that nobody here can promise."""
    if address.type not in TYPES:
        return f"{quoted(address.type)} is not a supported type"
    return f"routability {quoted(address.routability)} is not supported" if address.routability else None


def addresses_of(request: Request, service: Service | None) -> Addresses:
    """Those that the Service really has; of those, only the ones that are asked for, where any are."""
    assigned = _assigned(service) if service else ()
    if request.is_empty:
        waiting = not_programmed("AddressNotAssigned", "the Service has no address yet")
        return Addresses(assigned, None if assigned else waiting)
    external = service.spec.external_ips if service else ()
    wanted = {*request.external, *request.balanced}
    having = (*({"type": "IPAddress", "value": value} for value in external), *assigned)
    found = {each["value"]: each for each in having if each["value"] in wanted}
    missing = [*request.unusable, *(value for value in (*request.external, *request.balanced) if value not in found)]
    if not missing:
        return Addresses(tuple(found.values()))
    message = f"cannot be used, or are not assigned yet: {', '.join(named(value) for value in missing)}"
    return Addresses(tuple(found.values()), not_programmed("AddressNotUsable", message))


def _assigned(service: Service) -> tuple[Json, ...]:
    """The load balancer's; without one, those inside of the cluster."""
    if service.spec.type == "LoadBalancer":
        ingress = service.status.load_balancer.ingress
        values = [(each.ip and "IPAddress", each.ip) for each in ingress]
        values += [("Hostname", each.hostname) for each in ingress if each.hostname and not each.ip]
    else:
        values = [("IPAddress", value) for value in service.spec.cluster_ips if is_ip(value)]
    return tuple({"type": kind, "value": value} for kind, value in values if kind and value)


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
