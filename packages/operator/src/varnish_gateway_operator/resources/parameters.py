"""GatewayClassParameters (gateway.varnish-software.com/v1alpha1, cluster-scoped): how a class's gateways are run."""

import ipaddress
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints, model_validator

from varnish_gateway_operator.resources.base import Namespace, ObjectName, Part, Resource, Unread

REFUSED_ARGUMENTS = ("-M", "-S", "-F", "-f", "-n", "-T", "-a")
"""Those that the gateway itself sets, and on which its safety rests."""


class ConfigMapKey(Part):
    name: ObjectName
    namespace: Namespace
    key: str = "user.vcl"


class Storage(Part):
    """varnishd's -s."""

    type: Annotated[str, StringConstraints(pattern="^(malloc|file)$")] = "malloc"
    size: Annotated[str, StringConstraints(pattern="^[1-9][0-9]*[kKmMgGtT]?$")] = "256m"


class Logging(Part):
    mode: str = "varnishlog"
    format: str | None = None
    extra_args: tuple[str, ...] = ()
    image: str | None = None


class Disruption(Part):
    min_available: StrictInt | str | None = None
    max_unavailable: StrictInt | str | None = None


class ServiceParameters(Part):
    type: str = "LoadBalancer"
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_traffic_policy: str | None = None


def _network(text: str) -> str:
    """In its canonical form, always with a prefix length. Host bits are a mistake: which network was meant?"""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not a network like 10.0.0.0/8 or 2001:db8::/32 ({error})") from None


Network = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", max_length=64), AfterValidator(_network)
]


class Http2(Part):
    """HTTP/2 apart from HTTPS listeners, which always have it."""

    cleartext: StrictBool = False
    """HTTP listeners speak HTTP/2 with prior knowledge (h2c) beside HTTP/1.1."""


class ClientAddress(Part):
    """Who the client is, where a load balancer or another proxy stands before the gateway."""

    proxy_protocol: StrictBool = False
    """Every connection begins with PROXY v1 or v2; one that does not is refused."""
    trusted_networks: Annotated[tuple[Network, ...], Field(max_length=256)] = ()
    """Peers whose X-Forwarded-* and Forwarded are believed."""


class ParametersSpec(Part):
    user_vcl_config_map_ref: Annotated[ConfigMapKey | None, Field(alias="userVCLConfigMapRef")] = None
    varnishd_extra_args: tuple[str, ...] = ()
    storage: Storage = Storage()
    http2: Http2 = Http2()
    client_address: ClientAddress = ClientAddress()

    image: str | None = None
    logging: Logging | None = None
    extra_volumes: Unread = None
    extra_volume_mounts: Unread = None
    extra_init_containers: Unread = None
    resources: Unread = None
    pod_disruption_budget: Disruption | None = None
    topology_spread_constraints: Unread = None
    service: ServiceParameters | None = None
    replicas: StrictInt | None = None
    autoscaling: Unread = None
    termination_grace_period: str | None = None
    node_selector: Unread = None
    tolerations: Unread = None
    affinity: Unread = None
    priority_class_name: str | None = None
    pod_security_context: Unread = None

    @model_validator(mode="after")
    def _arguments_are_not_ours(self) -> Self:
        for argument in self.varnishd_extra_args:
            if argument.startswith(REFUSED_ARGUMENTS):
                raise ValueError(f"varnishdExtraArgs: {argument[:2]} is set by the gateway itself")
            if re.search(r"[\x00-\x1f\x7f]", argument):
                raise ValueError("varnishdExtraArgs: control characters are not allowed")
        return self


class GatewayClassParameters(Resource):
    spec: ParametersSpec = ParametersSpec()
    status: Unread = None
