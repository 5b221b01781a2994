"""What is kept from one round to the next. It changes how long a round takes, never what comes out of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.broken import Broken
from varnish_gateway_operator.resources.gateway import Gateway
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.resources.parameters import GatewayClassParameters
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.attach import Parent, Places, parents_of, places_of
from varnish_gateway_operator.translate.certificates import CertificateMemory
from varnish_gateway_operator.translate.classes import ClassVerdict, judge_classes
from varnish_gateway_operator.translate.cluster import ObjectMemory
from varnish_gateway_operator.translate.gateways import GatewayVerdict, judge
from varnish_gateway_operator.translate.options import Options
from varnish_gateway_operator.translate.patience import Patience
from varnish_gateway_operator.translate.programmed import BrokenRules, Warnings
from varnish_gateway_operator.translate.routing import Standing
from varnish_gateway_operator.translate.rules import CompiledRoute, compile_route
from varnish_gateway_operator.translate.selectors import Labels
from varnish_gateway_operator.translate.status import ObjectStatus, UnreadPlaces


@dataclass(frozen=True, eq=False)
class Ground:
    """All that decides where a route stands. Its places are of when it was laid: statuses in them are old."""

    made_of: tuple[object, ...]
    places: Places
    external_names: frozenset[Key]
    """Gateways whose classes permit Services of type ExternalName."""
    labels: Mapping[str, Labels]


@dataclass(frozen=True, eq=False)
class Topology:
    """Our classes and Gateways, and what of them matters to routes."""

    made_of: tuple[Resource, ...]
    classes: Mapping[str, ClassVerdict]
    gateways: Mapping[Key, GatewayVerdict]
    ground: Ground


@dataclass(frozen=True, eq=False, slots=True)
class PlacedRoute:
    """A route, compiled and attached."""

    route: HTTPRoute
    ground: Ground
    compiled: CompiledRoute
    has_external_names: bool
    parents: tuple[Parent, ...]
    standings: tuple[tuple[Key, Standing], ...]


@dataclass(eq=False, slots=True)
class KnownStatus:
    """A route's status and what it was made of."""

    placed: PlacedRoute
    broken: BrokenRules
    unserved: Warnings
    crowded: frozenset[Key]
    """Gateways that have no room for it."""
    unread: UnreadPlaces
    status: ObjectStatus
    attached: tuple[tuple[Key, str], ...]
    """Gateway and listener for each seat that counts as an attached route."""

    @property
    def made_of(self) -> tuple[PlacedRoute, BrokenRules, Warnings, frozenset[Key], UnreadPlaces]:
        return self.placed, self.broken, self.unserved, self.crowded, self.unread


@dataclass
class Memory:
    """Of the last round."""

    options: Options | None = None
    topology: Topology | None = None
    placed: dict[Key, PlacedRoute] = field(default_factory=dict)
    statuses: dict[Key, KnownStatus] = field(default_factory=dict)
    certificates: CertificateMemory = field(default_factory=CertificateMemory)
    """The one thing here that does change what comes out: the last good certificate of a Secret that broke."""
    objects: ObjectMemory = field(default_factory=ObjectMemory)
    patience: Patience = field(default_factory=Patience)


def place_routes(snapshot: Snapshot, options: Options, memory: Memory) -> tuple[Topology, dict[Key, PlacedRoute]]:
    """Every route, compiled and attached; what did not change is taken from memory."""
    if memory.options != options:
        memory.options, memory.topology, memory.placed, memory.statuses = options, None, {}, {}
    topology = _topology(snapshot, options, memory.topology)
    placed = {
        key: _place(route, snapshot, options, topology.ground, memory.placed.get(key))
        for key, route in snapshot.http_routes.items()
    }
    memory.topology, memory.placed = topology, placed
    return topology, placed


def _topology(snapshot: Snapshot, options: Options, known: Topology | None) -> Topology:
    made_of: tuple[Resource, ...] = (
        *snapshot.gateway_classes.values(),
        *snapshot.gateways.values(),
        *snapshot.listener_sets.values(),
        *snapshot.parameters.values(),
        *snapshot.namespaces.values(),
        *(each for each in snapshot.broken if each.kind == GatewayClassParameters.__name__),
    )
    if known and known.made_of == made_of:
        return known
    classes = judge_classes(snapshot)
    ours = [gateway for gateway in snapshot.gateways.values() if _is_ours(gateway, classes)]
    labels = {namespace.name: namespace.metadata.labels for namespace in snapshot.namespaces.values()}
    gateways = judge(ours, tuple(snapshot.listener_sets.values()), labels, shares_host=options.shares_host)
    decisive = tuple(_decisive(each) for each in made_of if not isinstance(each, Broken))
    if known and known.ground.made_of == decisive:
        return Topology(made_of, classes, gateways, known.ground)  # with 10,000 routes to place it pays to look
    places, external = places_of(gateways.values()), _with_external_names(ours, classes)
    return Topology(made_of, classes, gateways, Ground(decisive, places, external, labels))


def _decisive(resource: Resource) -> tuple[object, ...]:
    """What of an object can make a difference to where routes stand: no status, and not who wrote what when."""
    found = resource.metadata
    is_leaving = found.deletion_timestamp is not None
    return (
        resource.kind,
        resource.key,
        found.creation_timestamp,
        is_leaving,
        found.labels,
        getattr(resource, "spec", None),
    )


def _with_external_names(gateways: Iterable[Gateway], classes: Mapping[str, ClassVerdict]) -> frozenset[Key]:
    parameters = {gateway.key: classes[gateway.spec.gateway_class_name].parameters for gateway in gateways}
    return frozenset(key for key, found in parameters.items() if found and found.spec.external_names)


def _is_ours(gateway: Gateway, classes: Mapping[str, ClassVerdict]) -> bool:
    """One that is being deleted is nobody's any more: its objects are not to come back."""
    return gateway.spec.gateway_class_name in classes and not gateway.metadata.deletion_timestamp


def _place(
    route: HTTPRoute, snapshot: Snapshot, options: Options, ground: Ground, known: PlacedRoute | None
) -> PlacedRoute:
    is_same = known is not None and known.route.spec is route.spec and known.compiled.answers.still_hold(snapshot)
    if known and is_same and known.ground is ground:
        return known if known.route is route else replace(known, route=route)
    parents = parents_of(route, ground.places, ground.labels.get(route.namespace, {}))
    external = options.has_external_names or all(parent.gateway in ground.external_names for parent in parents)
    if known and is_same and known.has_external_names == external:
        compiled = known.compiled
    else:
        compiled = compile_route(route, snapshot, has_external_names=external)
    return PlacedRoute(route, ground, compiled, external, parents, _standings(compiled, parents))


def _standings(compiled: CompiledRoute, parents: tuple[Parent, ...]) -> tuple[tuple[Key, Standing], ...]:
    """For each Gateway, the listeners and hostnames under which the route is served."""
    hosts: dict[Key, dict[tuple[str, str], None]] = {}
    for parent in parents:
        for attachment in parent.attachments:
            if attachment.listener.is_accepted:
                seat = attachment.listener.key, attachment.hostname
                hosts.setdefault(parent.gateway, {})[seat] = None
    return tuple((gateway, Standing(compiled, tuple(seats))) for gateway, seats in hosts.items())
