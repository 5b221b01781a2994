"""All objects of a Gateway, in the order in which they are applied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from varnish_gateway_operator.translate.objects.access import role, role_bindings, service_account
from varnish_gateway_operator.translate.objects.certificates import tls_secrets
from varnish_gateway_operator.translate.objects.config_maps import (
    LIMIT,
    MOST_PARTS,
    RoutingMaps,
    Value,
    base_map,
    documents,
    part_map,
    part_suffix,
    report_map,
    routing_maps,
    size,
)
from varnish_gateway_operator.translate.objects.network_policy import network_policy
from varnish_gateway_operator.translate.objects.service import service
from varnish_gateway_operator.translate.objects.shape import Identity, Json, Owned, Wanted
from varnish_gateway_operator.translate.objects.workload import workload

POD_KINDS: Final = ("Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler")
"""Kinds that stay as they are while it is not known what they should be."""


@dataclass(frozen=True)
class Objects:
    """What is to be there, what is to stay as it is, and what does not fit."""

    owned: tuple[Owned, ...] = ()
    kept: frozenset[Identity] = frozenset()
    problem: str | None = None


def objects_of(wanted: Wanted) -> Objects:
    """Permissions before what they are for, content before the index that names it, everything before the pods.

    Where nothing can run and nothing ever did, there is nothing.
    """
    if wanted.pod is None and wanted.before is None:
        return Objects()
    routing = routing_maps(wanted)
    secrets = tls_secrets(wanted)
    values = documents(wanted, [each["metadata"]["name"] for each in secrets])
    crowded = _crowded(values, routing)
    first = [*_access(wanted, routing, secrets), *secrets, report_map(wanted)]
    first += [] if crowded else [base_map(wanted, values)]
    return Objects(
        (
            *(Owned("gateway", manifest) for manifest in first),
            *(Owned("httproute", manifest) for manifest in _routing(wanted, routing)),
            *(Owned("gateway", manifest) for manifest in _pods(wanted)),
        ),
        frozenset(_kept(wanted, routing, is_crowded=bool(crowded))),
        "; ".join(filter(None, (routing.problem, crowded))) or None,
    )


def _crowded(values: Sequence[Value], routing: RoutingMaps) -> str | None:
    free = LIMIT - size(routing.values)
    if size(values) <= free:
        return None
    return f"VCL and the index of certificates take {size(values)} bytes, of which {free} are left beside the routes"


def _access(wanted: Wanted, routing: RoutingMaps, secrets: Sequence[Json]) -> Iterator[Json]:
    """While the routes are too large, those that are served stay readable, wherever they are."""
    number = MOST_PARTS if routing.problem else len(routing.parts)
    config_maps = [wanted.base + suffix for suffix in ("", *map(part_suffix, range(number)))]
    yield service_account(wanted)
    yield role(wanted, config_maps=config_maps, secrets=[each["metadata"]["name"] for each in secrets])
    yield from role_bindings(wanted)


def _routing(wanted: Wanted, routing: RoutingMaps) -> Iterator[Json]:
    for number, part in enumerate(routing.parts):
        yield part_map(wanted, number, part)
    if not routing.problem:
        yield base_map(wanted, routing.values)


def _pods(wanted: Wanted) -> Iterator[Json]:
    if wanted.pod and wanted.parameters:
        yield service(wanted, wanted.pod, wanted.parameters.service)
        if wanted.parameters.network_policy.enabled:
            yield network_policy(wanted, wanted.pod, wanted.parameters.network_policy)
        yield from workload(wanted, wanted.pod, wanted.parameters)


def _kept(wanted: Wanted, routing: RoutingMaps, *, is_crowded: bool) -> Iterator[Identity]:
    """What is not applied, and yet not to go."""
    if not (wanted.pod and wanted.parameters):
        yield from ((kind, wanted.namespace, wanted.base) for kind in POD_KINDS)
    if routing.problem or is_crowded:
        yield "ConfigMap", wanted.namespace, wanted.base
    if routing.problem:
        yield from (("ConfigMap", wanted.namespace, wanted.base + part_suffix(number)) for number in range(MOST_PARTS))
