"""backendRefs -> shares of a rule, the Services they need, and what is wrong with them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from varnish_gateway_common import names, routing
from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.resources.core import Service, ServicePort
from varnish_gateway_operator.translate.filters import NO_FILTERS, filtering
from varnish_gateway_operator.translate.problems import Problem
from varnish_gateway_operator.translate.references import Origin, References, Target, not_permitted

UNSPOKEN_PROTOCOLS: Final = frozenset({"kubernetes.io/h2c", "kubernetes.io/wss"})
"""Values of appProtocol that say, in Kubernetes' words, that plain HTTP/1.1 will not do."""


MOST_PORTS: Final = 10
"""Of a Service, in a message."""


class ServicePortKey(NamedTuple):
    """A port of a Service that is wanted: what becomes an entry of the table of Services."""

    key: str
    namespace: str
    name: str
    port_name: str
    external_name: tuple[str, int] | None = None


class Share(NamedTuple):
    """A backendRef: its weight, its Service unless that is invalid, its filters."""

    weight: int
    service: str | None
    filters: routing.Filters


class Backends(NamedTuple):
    """What a rule's backendRefs come to."""

    shares: tuple[Share, ...] = ()
    services: tuple[ServicePortKey, ...] = ()
    unresolved: tuple[Problem, ...] = ()
    """References that are invalid: their shares answer 500."""
    problems: tuple[Problem, ...] = ()
    """Filters that cannot be given: the rule is refused."""


def backends_of(
    refs: Sequence[httproute.BackendRef],
    *,
    origin: Origin,
    references: References,
    is_prefix: bool,
    has_external_names: bool,
) -> Backends:
    """Every backendRef with its weight and its filters."""
    shares: list[Share] = []
    services: list[ServicePortKey] = []
    unresolved: list[Problem] = []
    problems: list[Problem] = []
    for index, ref in enumerate(refs):
        own = filtering(ref.filters, is_prefix=is_prefix, can_redirect=False)
        problems += [problem.within(f"backendRefs[{index}]") for problem in own.problems]
        found = _service(ref, origin=origin, references=references, has_external_names=has_external_names)
        if isinstance(found, Problem):
            unresolved.append(found.within(f"backendRefs[{index}]"))
            shares.append(Share(ref.weight, None, own.filters))
        else:
            services.append(found)
            shares.append(Share(ref.weight, found.key, own.filters))
    return Backends(tuple(shares), tuple(services), tuple(unresolved), tuple(problems))


def forward_json(shares: tuple[Share, ...]) -> bytes:
    """The canonical bytes of a Forward."""
    if all(filters is NO_FILTERS for _, _, filters in shares):
        return _plain_forward_json(tuple((weight, service) for weight, service, _ in shares))
    backends = (routing.Backend(weight=weight, service=service, filters=filters) for weight, service, filters in shares)
    return routing.Forward(type="Forward", backends=tuple(backends)).to_json()


@lru_cache(maxsize=10_000)
def _plain_forward_json(shares: tuple[tuple[int, str | None], ...]) -> bytes:
    """Many rules have the same."""
    backends = (routing.Backend(weight=weight, service=service) for weight, service in shares)
    return routing.Forward(type="Forward", backends=tuple(backends)).to_json()


def _service(
    ref: httproute.BackendRef, *, origin: Origin, references: References, has_external_names: bool
) -> ServicePortKey | Problem:
    target = Target(ref.group, ref.kind, ref.namespace or origin.namespace, ref.name)
    found = references.resolve(origin, target, Service)
    if isinstance(found, Service):
        return _port(ref, found, has_external_names=has_external_names)
    if found == "InvalidKind":
        return Problem("InvalidKind", "kind", f"is {target.kind_text}, which is no Service")
    if found == "RefNotPermitted":
        return Problem("RefNotPermitted", "namespace", not_permitted(target))
    return Problem("BackendNotFound", "name", f"names {target}, which does not exist", target.identity)


def _port(ref: httproute.BackendRef, service: Service, *, has_external_names: bool) -> ServicePortKey | Problem:
    if ref.port is None:
        return Problem("BackendNotFound", "port", f"must say which port of {service.title}{_ports(service)}")
    key = names.service_key(service.namespace, service.name, ref.port)
    port = _find(service, ref.port)
    if service.spec.type == "ExternalName":
        return _external(ref.port, service, port, key) if has_external_names else _external_is_off(service)
    if port is None:
        return _no_port(service, ref.port)
    if port.protocol != "TCP":
        spoken = f"is {port.port}, where {service.title} speaks {named(port.protocol)}, not TCP"
        return Problem("UnsupportedProtocol", "port", spoken)
    if port.app_protocol in UNSPOKEN_PROTOCOLS:
        spoken = f"is {port.port}, where {service.title} speaks {port.app_protocol}, which is not supported yet"
        return Problem("UnsupportedProtocol", "port", spoken)
    return ServicePortKey(key, service.namespace, service.name, port.name)


def _find(service: Service, number: int) -> ServicePort | None:
    """The port with that number; the same number may stand there for UDP too."""
    found = None
    for port in service.spec.ports:
        if port.port == number and (found is None or port.protocol == "TCP"):
            found = port
    return found


def _external(number: int, service: Service, port: ServicePort | None, key: str) -> ServicePortKey | Problem:
    """A Service that is a name elsewhere; it needs no ports, and where it has some they count."""
    if service.spec.external_name is None:
        return Problem("BackendNotFound", "name", f"names {service.title}, which has no externalName")
    if port is None and service.spec.ports:
        return _no_port(service, number)
    target = port.target_port if port and isinstance(port.target_port, int) else number
    external = service.spec.external_name.rstrip(".").lower(), target
    return ServicePortKey(key, service.namespace, service.name, port.name if port else "", external)


def _external_is_off(service: Service) -> Problem:
    return Problem("RefNotPermitted", "name", f"names {service.title}, an ExternalName, which are turned off")


def _no_port(service: Service, number: int) -> Problem:
    return Problem("BackendNotFound", "port", f"is {number}, which {service.title} does not have{_ports(service)}")


def _ports(service: Service) -> str:
    """What there is instead."""
    numbers = ", ".join(str(port.port) for port in service.spec.ports[:MOST_PORTS])
    return f"; it has {numbers}" if numbers else "; it has none"
