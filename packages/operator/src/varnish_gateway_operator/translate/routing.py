"""routing.json of one Gateway: its sockets, listeners and hosts, and the rules of every route in order of precedence.

The bytes are those of `Routing.to_json()`. They are joined from the bytes of rules and services that are kept from
round to round, for with 10,000 routes making all of them anew would take longer than everything else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from varnish_gateway_common import names, routing
from varnish_gateway_operator.translate.backends import ServicePortKey
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.listeners import ListenerVerdict, Protocol
from varnish_gateway_operator.translate.rules import CompiledRoute

HostRules = dict[str, list[int]]
"""Hostname -> places of its rules."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A route on a Gateway: the listeners and hostnames under which its rules are listed."""

    route: CompiledRoute
    hosts: tuple[tuple[str, str], ...]
    """Listener's name and route's hostname, each pair once."""


def routing_json(
    gateway: GatewayVerdict,
    standings: Sequence[Standing],
    *,
    trusted_networks: tuple[str, ...] = (),
    disclosure: routing.Disclosure = routing.Disclosure(),  # noqa: B008 - frozen
) -> bytes:
    """Canonical bytes of the document."""
    ranked = sorted(
        (rule.precedence, rule.json, number)
        for number, standing in enumerate(standings)
        for rule in standing.route.rules
    )
    hosts = _hosts(standings, [number for _, _, number in ranked])
    head = routing.Routing(version=1, gateway=gateway.gateway.full_name, sockets=_sockets(gateway, hosts)).to_json()
    parts = [head[:-1]]
    if ranked:
        parts += [b',"rules":[', b",".join(json for _, json, _ in ranked), b"]"]
    if services := _services(standings):
        parts += [b',"services":{', b",".join(services), b"}"]
    if trusted_networks:
        parts += [b',"trusted_networks":', json.dumps(trusted_networks, separators=(",", ":")).encode()]
    if disclosure != routing.Disclosure():
        parts += [b',"disclosure":', disclosure.to_json()]
    if expression_routes := [
        name for _, name in sorted(each.route.rank for each in standings if each.route.has_expressions)
    ]:
        parts += [b',"expression_routes":', json.dumps(expression_routes, separators=(",", ":")).encode()]
    return b"".join((*parts, b"}"))


def _hosts(standings: Sequence[Standing], ranked: Sequence[int]) -> Mapping[str, HostRules]:
    """Listener's name -> hostname -> places of its rules, ascending."""
    places: list[list[int]] = [[] for _ in standings]
    for place, number in enumerate(ranked):
        places[number].append(place)
    found: dict[str, HostRules] = {}
    for standing, own in zip(standings, places, strict=True):
        for listener, hostname in standing.hosts:
            found.setdefault(listener, {}).setdefault(hostname, []).extend(own)
    return found


def _sockets(gateway: GatewayVerdict, hosts: Mapping[str, HostRules]) -> tuple[routing.Socket, ...]:
    by_socket = groupby(sorted(gateway.served, key=_socket), key=_socket)
    return tuple(
        routing.Socket(
            name=names.socket_name(protocol, port),
            port=port,
            protocol=protocol,
            listeners=tuple(_listener(verdict, hosts.get(verdict.key, {})) for verdict in verdicts),
        )
        for (port, protocol), verdicts in by_socket
    )


def _socket(verdict: ListenerVerdict) -> tuple[int, Protocol]:
    return verdict.listener.port, verdict.protocol


def _listener(verdict: ListenerVerdict, hosts: HostRules) -> routing.Listener:
    return routing.Listener(
        name=verdict.key,
        hostname=verdict.hostname,
        hosts=tuple(
            routing.Host(hostname=hostname, rules=tuple(sorted(places)))
            for hostname, places in sorted(hosts.items())
            if places
        ),
    )


def _services(standings: Sequence[Standing]) -> list[bytes]:
    """The members of the table of Services, by key; the keys are made of names that need no escaping."""
    found = {service.key: service for standing in standings for service in standing.route.services}
    return [b'"' + key.encode() + b'":' + _service_json(service) for key, service in sorted(found.items())]


@lru_cache(maxsize=20_000)
def _service_json(service: ServicePortKey) -> bytes:
    external = service.external_name and routing.ExternalName(
        hostname=service.external_name[0], port=service.external_name[1]
    )
    return routing.Service(
        namespace=service.namespace, name=service.name, port_name=service.port_name, external_name=external
    ).to_json()
