"""Which listeners can be served, and what is to be said of those that cannot."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from varnish_gateway_common import names
from varnish_gateway_common.wording import named, quoted
from varnish_gateway_operator.resources.gateway import Gateway, Listener, ListenerSet, RouteGroupKind
from varnish_gateway_operator.resources.parse import GATEWAY_API
from varnish_gateway_operator.translate.conditions import (
    Condition,
    accepted,
    conflicted,
    no_conflicts,
    not_accepted,
    not_resolved,
    overlapping_hostnames,
    resolved_refs,
)
from varnish_gateway_operator.translate.hostnames import intersects
from varnish_gateway_operator.translate.problems import Problem, not_built, unsupported
from varnish_gateway_operator.translate.selectors import unknown_operators
from varnish_gateway_operator.translate.tls import tls_options

SUPPORTED_KINDS: Final = {"HTTP": ("HTTPRoute",), "HTTPS": ("HTTPRoute",)}
"""Protocol -> the kinds of routes that its listeners take."""

Protocol = Literal["HTTP", "HTTPS"]


Owner = Gateway | ListenerSet


@dataclass(frozen=True)
class ListenerVerdict:
    """A listener, judged: `conditions` are all but Programmed, which depends on what runs. ResolvedRefs is without
    the certificates."""

    owner: Owner
    listener: Listener
    conditions: tuple[Condition, ...]
    supported_kinds: tuple[str, ...]

    @cached_property
    def is_accepted(self) -> bool:
        return Condition("Accepted", "True", "Accepted") in self.conditions

    @cached_property
    def key(self) -> str:
        """Its name among all listeners of the Gateway."""
        return key_of(self.owner, self.listener)

    @property
    def protocol(self) -> Protocol:
        """Of one that is accepted."""
        return "HTTPS" if self.listener.protocol == "HTTPS" else "HTTP"

    @property
    def hostname(self) -> str:
        return self.listener.hostname or ""


def key_of(owner: Owner, listener: Listener) -> str:
    """The listener's own name where it is the Gateway's; a set's are told apart by what no such name has."""
    return listener.name if isinstance(owner, Gateway) else f"{owner.full_name}/{listener.name}"


def listener_verdict(
    owner: Owner, listener: Listener, accepted: Condition, conflict: Condition | None, served: Sequence[Listener]
) -> ListenerVerdict:
    """`served`: all HTTPS listeners of the Gateway that are accepted."""
    overlap = _overlap(listener, owner.spec.listeners, served) if listener in served else ()
    conditions = (accepted, conflict or no_conflicts(), _resolved(listener), *overlap)
    return ListenerVerdict(owner, listener, conditions, _supported(listener))


def _overlap(listener: Listener, own: Sequence[Listener], served: Sequence[Listener]) -> tuple[Condition, ...]:
    """ "This condition MUST be set on all Listeners with overlapping TLS config. [...] MUST NOT be set when it is
    False." Listeners of another owner are not named: their names are none of this one's business."""
    others = [
        other
        for other in served
        if other is not listener
        and other.port == listener.port
        and intersects(other.hostname or "", listener.hostname or "")
    ]
    if not others:
        return ()
    names = dict.fromkeys(other.name if other in own else "another owner's listener" for other in others)
    whose = f"hostnames overlap with those of {', '.join(names)}"
    message = f"{whose}: a request on a connection that was made for another listener is answered with 421"
    return (overlapping_hostnames(message),)


def conflicts_of(listeners: Sequence[Listener], earlier: Sequence[Listener]) -> Mapping[str, Condition]:
    """Which of an owner's listeners cannot be told apart from each other, or from `earlier` ones: those of owners that
    have precedence, as far as they are accepted."""
    return {**dict(_conflicts_with(listeners, earlier)), **_conflicts(listeners)}


def _conflicts_with(listeners: Sequence[Listener], earlier: Sequence[Listener]) -> Iterator[tuple[str, Condition]]:
    for listener in listeners:
        others = [other for other in earlier if other.port == listener.port]
        if any(other.protocol != listener.protocol for other in others):
            message = f"port {listener.port} has another protocol by a listener that has precedence"
            yield listener.name, conflicted("ProtocolConflict", message, field="protocol")
        elif any(other.hostname == listener.hostname for other in others):
            message = f"the hostname is that of a listener of port {listener.port} that has precedence"
            yield listener.name, conflicted("HostnameConflict", message, field="hostname")


def _conflicts(listeners: Sequence[Listener]) -> Mapping[str, Condition]:
    """ "The implementation MUST NOT pick one conflicting Listener as the winner. ALL indistinct Listeners must not be
    accepted for processing." """
    known = [listener for listener in listeners if listener.protocol in SUPPORTED_KINDS]
    protocols: dict[int, set[str]] = {}
    for listener in known:
        protocols.setdefault(listener.port, set()).add(listener.protocol)
    twins = Counter((listener.port, listener.protocol, listener.hostname or "") for listener in known)
    found: dict[str, Condition] = {}
    for listener in known:
        if len(protocols[listener.port]) > 1:
            message = f"port {listener.port} is asked for by {' and '.join(sorted(protocols[listener.port]))}"
            found[listener.name] = conflicted("ProtocolConflict", message, field="protocol")
        elif twins[listener.port, listener.protocol, listener.hostname or ""] > 1:
            message = f"another listener of port {listener.port} has the hostname {listener.hostname or '(any)'} too"
            found[listener.name] = conflicted("HostnameConflict", message, field="hostname")
    return found


def accepted_of(listener: Listener, conflict: Condition | None, owner: str | None) -> Condition:
    if conflict:
        return not_accepted(conflict.reason, conflict.message, field=conflict.field)
    if listener.protocol not in SUPPORTED_KINDS:
        return not_accepted("UnsupportedProtocol", _unknown_protocol(listener.protocol), field="protocol")
    if listener.port == names.WEB_PORT:
        message = f"port {listener.port} serves the gateway's own health and metrics: take another"
        return not_accepted("PortUnavailable", message, field="port")
    if owner:
        message = f"port {listener.port} belongs to the older Gateway {owner}: take another"
        return not_accepted("PortUnavailable", message, field="port")
    for problem in _unsupported(listener):
        return not_accepted(problem.reason, str(problem), field=problem.field)
    return accepted()


def _unsupported(listener: Listener) -> Iterable[Problem]:
    if listener.filters and listener.filters.requests:
        yield not_built("filters")
    if listener.tls and listener.protocol == "HTTP":
        yield unsupported("tls", "must not be set for protocol HTTP")
    if listener.tls and listener.tls.mode != "Terminate":
        protocol = named(listener.protocol)
        yield unsupported("tls.mode", f"{quoted(listener.tls.mode)} is not possible for protocol {protocol}")
    namespaces = listener.allowed_routes.namespaces
    if namespaces.from_ not in ("Same", "All", "Selector", "None"):
        yield unsupported("allowedRoutes.namespaces.from", f"{quoted(namespaces.from_)} is not a known value")
    if listener.tls and listener.protocol == "HTTPS":
        yield from tls_options(listener.tls.options).problems
    for operator in unknown_operators(namespaces.selector) if namespaces.selector else ():
        yield unsupported("allowedRoutes.namespaces.selector", f"has the unknown operator {quoted(operator)}")


def _unknown_protocol(protocol: str) -> str:
    fix = f": write {protocol.upper()}" if protocol.upper() in SUPPORTED_KINDS else ""
    return f"{quoted(protocol)} is not a supported protocol{fix}"


def _supported(listener: Listener) -> tuple[str, ...]:
    """The kinds that the listener asks for and can have; all it can have where it does not ask."""
    possible = SUPPORTED_KINDS.get(listener.protocol, ())
    wanted = listener.allowed_routes.kinds
    if not wanted:
        return possible
    return tuple(dict.fromkeys(kind.kind for kind in wanted if _is_possible(kind, possible)))


def _is_possible(kind: RouteGroupKind, possible: Sequence[str]) -> bool:
    return kind.group == GATEWAY_API and kind.kind in possible


def _resolved(listener: Listener) -> Condition:
    """The kinds of routes; certificates, which change while everything else stays, are judged apart."""
    possible = SUPPORTED_KINDS.get(listener.protocol, ())
    for index, kind in enumerate(listener.allowed_routes.kinds):
        if not _is_possible(kind, possible):
            what = f"{named(kind.group)}/{named(kind.kind)}"
            message = f"{what} is not supported by listeners of protocol {named(listener.protocol)}"
            return not_resolved("InvalidRouteKinds", message, field=f"allowedRoutes.kinds[{index}]")
    return resolved_refs()
