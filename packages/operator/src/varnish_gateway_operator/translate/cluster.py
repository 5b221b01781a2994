"""What a cluster adds to a Gateway's documents: its objects, its addresses, and what stands in their way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from varnish_gateway_common import names
from varnish_gateway_common.report import Report
from varnish_gateway_operator.resources.core import ConfigMap
from varnish_gateway_operator.resources.gateway import Infrastructure
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.conditions import Condition, not_programmed
from varnish_gateway_operator.translate.gateways import GatewayVerdict, age
from varnish_gateway_operator.translate.objects.addresses import Addresses, requested
from varnish_gateway_operator.translate.objects.config_maps import before_in
from varnish_gateway_operator.translate.objects.owned import Objects, objects_of
from varnish_gateway_operator.translate.objects.shape import Before, ClusterOptions, Wanted
from varnish_gateway_operator.translate.plan import GatewayPlan
from varnish_gateway_operator.translate.routing import Standing


@dataclass
class ObjectMemory:
    """Of the last round: what the objects were made of, and what came of it."""

    known: dict[Key, tuple[Wanted, Objects]] = field(default_factory=dict)

    def objects_of(self, wanted: Wanted) -> Objects:
        """The very same as before while nothing changed: to compress is what takes long here."""
        key = wanted.namespace, wanted.name
        before = self.known.get(key)
        if before and before[0] == wanted:
            return before[1]
        found = objects_of(wanted)
        self.known[key] = wanted, found
        return found


def wanted_of(
    verdict: GatewayVerdict,
    plan: GatewayPlan,
    options: ClusterOptions,
    *,
    parameters: ParametersSpec | None,
    standings: Sequence[Standing],
    reports: Sequence[Report],
    snapshot: Snapshot,
) -> Wanted:
    """`parameters`: None where they cannot be had."""
    gateway = verdict.gateway
    base = names.base(gateway.namespace, gateway.name, gateway.spec.gateway_class_name)
    service = (parameters or ParametersSpec()).service
    return Wanted(
        namespace=gateway.namespace,
        name=gateway.name,
        class_name=gateway.spec.gateway_class_name,
        uid=gateway.metadata.uid or "",
        infrastructure=gateway.spec.infrastructure or Infrastructure(),
        options=options,
        routing=plan.routing,
        vcl=plan.vcl,
        certificates=plan.certificates,
        certificate_files=plan.certificate_files,
        namespaces=_namespaces(standings),
        pod=plan.pod,
        parameters=parameters,
        request=requested(gateway, service),
        before=_before(snapshot.config_maps.get((gateway.namespace, base))),
        confirmed=frozenset(report.vcl_digest for report in reports),
    )


def _namespaces(standings: Sequence[Standing]) -> tuple[str, ...]:
    """Those whose EndpointSlices are read."""
    services = {service for standing in standings for service in standing.route.services}
    return tuple(sorted({service.namespace for service in services if service.external_name is None}))


def _before(found: ConfigMap | None) -> Before | None:
    is_ours = found is not None and found.metadata.labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    return before_in(found) if found and is_ours else None


def name_clashes(gateways: Iterable[GatewayVerdict]) -> Mapping[Key, str]:
    """Gateways whose objects would have the names of an older one's: `a-b` of the class `c` and `a` of `b-c`, say."""
    owners: dict[Key, str] = {}
    found: dict[Key, str] = {}
    for gateway in sorted((verdict.gateway for verdict in gateways), key=age):
        base = names.base(gateway.namespace, gateway.name, gateway.spec.gateway_class_name)
        wanted = [(gateway.namespace, name) for name in (base, names.report_of(base))]
        others = [owners[each] for each in wanted if each in owners]
        if others:
            found[gateway.key] = f"the name {base} of its objects is that of the older Gateway {others[0]}'s"
        else:
            owners.update(dict.fromkeys(wanted, gateway.full_name))
    return found


def programmed_in_cluster(programmed: Condition, objects: Objects, found: Addresses, obstacle: str | None) -> Condition:
    """What cannot be written, what pods refuse, what nobody can reach, and only then what pods do."""
    for problem in (objects.problem, obstacle):
        if problem:
            return not_programmed("Invalid", problem)
    if programmed.reason == "Invalid" or found.problem is None:
        return programmed
    return found.problem
