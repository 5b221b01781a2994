"""A ghost.json of any size: routes of distinct hosts that forward, redirect, or share one host."""

from varnish_gateway_common.ghost import Endpoint, Ghost
from varnish_gateway_common.names import socket_name
from varnish_gateway_common.routing import (
    Backend,
    Forward,
    Host,
    Listener,
    Match,
    PathMatch,
    Redirect,
    Routing,
    Rule,
    Service,
    Socket,
)

SERVICE = "default/web:80"
PROBE = "default/probe:80"


def host(number: int) -> str:
    return f"host-{number}.example.com"


def routing(
    routes: int, *, port: int, with_redirects: bool = False, extra: tuple[tuple[str, Rule], ...] = ()
) -> Routing:
    """Every route has a host of its own and forwards `/page`; with redirects, it has a second rule for `/redirect`.

    `extra` are further rules, each with its host.
    """
    forward = Forward(type="Forward", backends=(Backend(service=SERVICE),))
    redirect = Redirect(type="Redirect", status=301, hostname="note.example.com")
    rules, hosts = [], []
    for number in range(routes if with_redirects else 0):
        rules.append(Rule(route=f"default/r{number}", match=Match(path=PathMatch(value="/redirect")), action=redirect))
    first = len(rules)
    for number in range(routes):
        rules.append(Rule(route=f"default/r{number}", match=Match(path=PathMatch(value="/page")), action=forward))
        hosts.append(Host(hostname=host(number), rules=(number, first + number) if with_redirects else (number,)))
    for name, rule in extra:
        hosts.append(Host(hostname=name, rules=(len(rules),)))
        rules.append(rule)
    listener = Listener(name="http", hosts=tuple(hosts))
    return Routing(
        version=1,
        gateway="default/gw",
        sockets=(Socket(name=socket_name("http", port), port=port, listeners=(listener,)),),
        rules=tuple(rules),
        services={key: Service(namespace="default", name=key[8:-3], port_name="http") for key in (SERVICE, PROBE)},
    )


def ghost(routes: int, *, port: int, endpoint: tuple[str, int]) -> Ghost:
    address, endpoint_port = endpoint
    return Ghost(
        version=1,
        routing=routing(routes, port=port, with_redirects=True),
        endpoints={SERVICE: (Endpoint(address=address, port=endpoint_port),)},
    )
