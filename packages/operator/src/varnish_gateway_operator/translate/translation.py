"""One round: all of it, from the snapshot, each time; memory makes it cheap."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from varnish_gateway_common.document import digest
from varnish_gateway_common.report import Report
from varnish_gateway_common.routing import Disclosure
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.budgets import Room, room_for
from varnish_gateway_operator.translate.caching import caching_statuses
from varnish_gateway_operator.translate.certificates import GatewayCertificates, certificates_of, forget_gone
from varnish_gateway_operator.translate.classes import ClassVerdict
from varnish_gateway_operator.translate.cluster import name_clashes, programmed_in_cluster, wanted_of
from varnish_gateway_operator.translate.conditions import Condition, Subject, not_programmed
from varnish_gateway_operator.translate.features import SUPPORTED
from varnish_gateway_operator.translate.findings import Judged, findings_of
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.infra import pod_of
from varnish_gateway_operator.translate.memory import KnownStatus, Memory, PlacedRoute, Topology, place_routes
from varnish_gateway_operator.translate.objects.addresses import addresses_of
from varnish_gateway_operator.translate.objects.config_maps import MOST_PACKED
from varnish_gateway_operator.translate.objects.shape import ClusterOptions
from varnish_gateway_operator.translate.options import Options
from varnish_gateway_operator.translate.plan import GatewayPlan, Plan, StatusKey
from varnish_gateway_operator.translate.programmed import (
    Broken,
    BrokenRules,
    Reports,
    Unserved,
    Warnings,
    Written,
    broken_rules,
    programmed_by,
    unserved_services,
)
from varnish_gateway_operator.translate.refused import refused_statuses, unread_places
from varnish_gateway_operator.translate.routing import Standing, routing_json
from varnish_gateway_operator.translate.set_status import set_accepted, set_status
from varnish_gateway_operator.translate.status import (
    Certificates,
    ObjectStatus,
    UnreadPlaces,
    class_status,
    gateway_accepted,
    gateway_status,
    has_own_entry,
    route_conditions,
    route_status,
)
from varnish_gateway_operator.translate.vcl import Vcl, main_vcl


@dataclass(frozen=True)
class _Seen:
    """All that a Gateway's documents are made of."""

    snapshot: Snapshot
    topology: Topology
    certificates: GatewayCertificates
    standings: Sequence[Standing]
    reports: Sequence[Report]
    obstacle: str | None

    def parameters_of(self, verdict: GatewayVerdict) -> ParametersSpec:
        found = self.topology.classes[verdict.gateway.spec.gateway_class_name].parameters
        return found.spec if found else ParametersSpec()


@dataclass(frozen=True)
class _Translated:
    """A Gateway's documents, if it has anything to serve, its two summaries, and its addresses."""

    plan: GatewayPlan | None
    accepted: Condition
    programmed: Condition
    addresses: Sequence[Mapping[str, str]] | None = None
    """None: not known, as in a folder."""
    changes_at: datetime | None = None
    """When it would come out otherwise though nothing changed but the time."""


def translate(
    snapshot: Snapshot,
    reports: Reports,
    options: Options,
    memory: Memory,
    now: datetime | None = None,
    *,
    obstacles: Mapping[Key, str] = MappingProxyType({}),
) -> Plan:
    """What is to be written for this snapshot, given what the running processes report.

    Without `now` nothing is said of certificates that are not valid yet or any more. `obstacles`: why a Gateway's
    objects could not be written the last time.
    """
    topology, placed = place_routes(snapshot, options, memory)
    rooms = _rooms(placed, options)
    unread = unread_places(snapshot, topology.ground.places, topology.classes)
    routes = _route_statuses(placed, broken_rules(reports), unserved_services(reports), unread, memory, _crowded(rooms))
    attached = _attached(routes)
    features = SUPPORTED if options.cluster else ()
    statuses = [class_status(verdict, features) for verdict in topology.classes.values()]
    certificates = _certificates(topology, snapshot, memory, now)
    clashes = name_clashes(topology.gateways.values()) if options.cluster else {}
    gateways: dict[Key, GatewayPlan] = {}
    conditions: dict[Key, tuple[Condition, Condition]] = {}
    moments = [each.changes_at for each in certificates.values()]
    for key, verdict in topology.gateways.items():
        standings = rooms[key].standings if key in rooms else ()
        seen = _Seen(snapshot, topology, certificates[key], standings, reports.get(key, ()), obstacles.get(key))
        found = _translated(verdict, seen, options, memory, now)
        if key in clashes:
            found = replace(found, plan=None, programmed=not_programmed("Invalid", clashes[key]), addresses=())
        moments.append(found.changes_at)
        conditions[key] = found.accepted, found.programmed
        if found.plan:
            gateways[key] = found.plan
        statuses += _gateway_statuses(verdict, found, certificates[key].listeners, attached.get(key, {}))
    statuses += [each.status for each in routes.values() if each.placed.parents or has_own_entry(each.placed.route)]
    statuses += caching_statuses(snapshot)
    # In place of those from before.
    statuses += refused_statuses(snapshot.broken, topology.ground.places, topology.classes, unread)
    judged = Judged(
        snapshot,
        topology.classes,
        topology.gateways,
        certificates,
        conditions,
        routes,
        is_alone=options.cluster is None,
    )
    by_key = {status_key(each.resource): each for each in statuses}
    return Plan(gateways, by_key, min(filter(None, moments), default=None), findings_of(judged))


def _translated(
    verdict: GatewayVerdict, seen: _Seen, options: Options, memory: Memory, now: datetime | None
) -> _Translated:
    found = _gateway(verdict, seen, options)
    programmed, until = memory.patience.judge(verdict.gateway, found.programmed, now)
    found = replace(found, programmed=programmed, changes_at=until)
    return _in_cluster(verdict, found, seen, options.cluster, memory) if options.cluster else found


def _gateway_statuses(
    verdict: GatewayVerdict, found: _Translated, certificates: Certificates, attached: Mapping[str, int]
) -> Iterator[ObjectStatus]:
    """The Gateway's, and those of the ListenerSets that name it."""
    sets = [(each, set_accepted(each, certificates, found.accepted)) for each in verdict.sets]
    yield gateway_status(
        verdict,
        certificates,
        accepted=found.accepted,
        programmed=found.programmed,
        attached=attached,
        attached_sets=sum(accepted.status == "True" for _, accepted in sets) if sets else None,
        addresses=found.addresses,
    )
    for each, accepted in sets:
        yield set_status(each, certificates, accepted=accepted, programmed=found.programmed, attached=attached)


def status_key(resource: Resource) -> StatusKey:
    return resource.kind, resource.namespace, resource.name


def _certificates(
    topology: Topology, snapshot: Snapshot, memory: Memory, now: datetime | None
) -> Mapping[Key, GatewayCertificates]:
    forget_gone(memory.certificates, snapshot)
    return {
        key: certificates_of(verdict, snapshot, memory.certificates, now) for key, verdict in topology.gateways.items()
    }


def _gateway(verdict: GatewayVerdict, seen: _Seen, options: Options) -> _Translated:
    class_verdict = seen.topology.classes[verdict.gateway.spec.gateway_class_name]
    accepted = gateway_accepted(verdict, class_verdict, in_cluster=options.cluster is not None)
    if not verdict.served and not options.cluster:
        return _Translated(None, accepted, not_programmed("Invalid", "no listener can be served", is_consequence=True))
    spec = seen.parameters_of(verdict)
    routing = routing_json(
        verdict,
        seen.standings,
        trusted_networks=spec.client_address.trusted_networks,
        disclosure=Disclosure(server=spec.disclosure.server, x_varnish=spec.disclosure.x_varnish),
    )
    plan = GatewayPlan(routing, None, None, seen.certificates.document, seen.certificates.files)
    if accepted.status != "True":  # routes stay in effect; what the invalid part decides stays as it was
        return _Translated(plan, accepted, not_programmed("Invalid", accepted.message, is_consequence=True))
    vcl = main_vcl(class_verdict.parameters, seen.snapshot, options.vcl)
    pod = pod_of(verdict, spec, in_cluster=options.cluster is not None)
    plan = replace(plan, vcl=vcl.text, pod=pod)
    if vcl.text is None:
        return _Translated(plan, accepted, _without_vcl(vcl, class_verdict, seen.reports))
    written = Written(
        routing=digest(routing),
        vcl=digest(vcl.text.encode()),
        pod=digest(pod.to_json()),
        user_vcl=vcl.user,
        certificates=digest(plan.certificates.to_json()) if plan.certificates.sockets else None,
    )
    return _Translated(plan, accepted, programmed_by(seen.reports, written))


def _without_vcl(vcl: Vcl, class_verdict: ClassVerdict, reports: Sequence[Report]) -> Condition:
    """The parameters are to blame, whichever Gateways have them."""
    is_serving = any(report.is_serving for report in reports)
    unknown = "no VCL is written without it"
    kept = "what was good before serves" if is_serving else "nothing serves" if reports else unknown
    name = class_verdict.target or ("GatewayClass", "", class_verdict.gateway_class.name)
    trail = ("spec", "userVCLConfigMapRef", "name" if vcl.missing else "key")
    subject = Subject(name, trail, str(vcl.problem), vcl.missing)
    return not_programmed("Invalid", f"{vcl.problem}; {kept}", subject=subject)


def _in_cluster(
    verdict: GatewayVerdict, found: _Translated, seen: _Seen, options: ClusterOptions, memory: Memory
) -> _Translated:
    """With its objects; without a plan where there is nothing to run, and nothing that ran before."""
    if found.plan is None:
        return found
    wanted = wanted_of(
        verdict,
        found.plan,
        options,
        parameters=seen.parameters_of(verdict) if found.accepted.status == "True" else None,
        standings=seen.standings,
        reports=seen.reports,
        snapshot=seen.snapshot,
    )
    objects = memory.objects.objects_of(wanted)
    service = seen.snapshot.services.get((wanted.namespace, wanted.base))
    addresses = addresses_of(wanted.request, service)
    return replace(
        found,
        plan=replace(found.plan, owned=objects.owned, kept=objects.kept) if objects.owned else None,
        programmed=programmed_in_cluster(found.programmed, objects, addresses, seen.obstacle),
        addresses=addresses.found,
    )


def _rooms(placed: Mapping[Key, PlacedRoute], options: Options) -> Mapping[Key, Room]:
    """The routes of each Gateway that it has room for."""
    found: dict[Key, list[Standing]] = {}
    for route in placed.values():
        for gateway, standing in route.standings:
            found.setdefault(gateway, []).append(standing)
    packed_bytes = MOST_PACKED if options.cluster else None
    return {gateway: room_for(standings, packed_bytes) for gateway, standings in found.items()}


def _crowded(rooms: Mapping[Key, Room]) -> Mapping[str, frozenset[Key]]:
    """Route's full name -> Gateways without room for it."""
    found: dict[str, frozenset[Key]] = {}
    for gateway, room in rooms.items():
        for name in room.left_out:
            found[name] = found.get(name, frozenset()) | {gateway}
    return found


def _route_statuses(
    placed: Mapping[Key, PlacedRoute],
    broken: Broken,
    unserved: Unserved,
    unread: UnreadPlaces,
    memory: Memory,
    crowded: Mapping[str, frozenset[Key]],
) -> Mapping[Key, KnownStatus]:
    """Every route's status; one whose inputs are the same objects as before is the same object too."""
    found: dict[Key, KnownStatus] = {}
    for key, route in placed.items():
        own = broken.get(route.route.full_name, ()) if broken else ()
        warnings = _warnings(route, unserved) if unserved else ()
        without = crowded.get(route.route.full_name, frozenset()) if crowded else frozenset()
        known = memory.statuses.get(key)
        made_of = (route, own, warnings, without, unread)
        is_same = known is not None and known.made_of == made_of
        found[key] = known if known and is_same else _route_status(*made_of)
    memory.statuses = found
    return found


def _warnings(placed: PlacedRoute, unserved: Unserved) -> Warnings:
    """Every Service of the route that a Gateway of its has no endpoint for."""
    gateways = dict.fromkeys(parent.gateway for parent in placed.parents)
    keys = sorted({service.key for service in placed.compiled.services})
    return tuple(
        (gateway, f"Service {key} has no ready endpoint: {unserved[gateway][key]}")
        for gateway in gateways
        if gateway in unserved
        for key in keys
        if key in unserved[gateway]
    )


def _route_status(
    placed: PlacedRoute, broken: BrokenRules, warnings: Warnings, crowded: frozenset[Key], unread: UnreadPlaces
) -> KnownStatus:
    found = [
        (parent, route_conditions(parent, placed.compiled, broken, warnings, crowded)) for parent in placed.parents
    ]
    seats = {
        (parent.gateway, attachment.listener.key)
        for parent, conditions in found
        if conditions[0].status == "True"
        for attachment in parent.attachments
    }
    return KnownStatus(
        placed, broken, warnings, crowded, unread, route_status(placed.route, found, unread), tuple(sorted(seats))
    )


def _attached(routes: Mapping[Key, KnownStatus]) -> Mapping[Key, Mapping[str, int]]:
    """Gateway -> listener -> how many accepted routes are attached there."""
    counts = Counter(seat for each in routes.values() for seat in each.attached)
    found: dict[Key, dict[str, int]] = {}
    for (gateway, listener), count in counts.items():
        found.setdefault(gateway, {})[listener] = count
    return found
