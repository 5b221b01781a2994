"""Kinds of Kubernetes itself: Service, EndpointSlice, Namespace, ConfigMap, Secret."""

from typing import Annotated

from pydantic import Field, StrictInt, StringConstraints

from varnish_gateway_operator.resources.base import Part, Port, Resource, Unread

ExternalHostname = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?$",
        max_length=253,
    ),
]


class ServicePort(Part):
    name: str = ""
    port: Port
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: Annotated[StrictInt, Field(ge=1, le=65535)] | str | None = None
    node_port: Unread = None


class ServiceSpec(Part):
    type: str = "ClusterIP"
    external_name: ExternalHostname | None = None
    ports: tuple[ServicePort, ...] = ()

    allocate_load_balancer_node_ports: Unread = None
    cluster_ip: Annotated[Unread, Field(alias="clusterIP")] = None
    cluster_ips: Annotated[Unread, Field(alias="clusterIPs")] = None
    external_ips: Annotated[Unread, Field(alias="externalIPs")] = None
    external_traffic_policy: Unread = None
    health_check_node_port: Unread = None
    internal_traffic_policy: Unread = None
    ip_families: Unread = None
    ip_family_policy: Unread = None
    load_balancer_class: Unread = None
    load_balancer_ip: Annotated[Unread, Field(alias="loadBalancerIP")] = None
    load_balancer_source_ranges: Unread = None
    publish_not_ready_addresses: Unread = None
    selector: Unread = None
    session_affinity: Unread = None
    session_affinity_config: Unread = None
    traffic_distribution: Unread = None


class Service(Resource):
    spec: ServiceSpec = ServiceSpec()
    status: Unread = None


class EndpointPort(Part):
    name: str = ""
    port: Port | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointConditions(Part):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Part):
    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    conditions: EndpointConditions = EndpointConditions()
    zone: str | None = None

    deprecated_topology: Unread = None
    hints: Unread = None
    hostname: Unread = None
    node_name: Unread = None
    target_ref: Unread = None


class EndpointSlice(Resource):
    """Read here only to be judged: the gateway's own process turns it into endpoints."""

    address_type: str
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


class Namespace(Resource):
    spec: Unread = None
    status: Unread = None


class ConfigMap(Resource):
    data: dict[str, str] = {}
    binary_data: Unread = None
    immutable: Unread = None


class Secret(Resource):
    """The values are not kept: what is asked of a Secret here is whether it has a key."""

    type: str = "Opaque"
    data: Annotated[dict[str, str], Field(repr=False)] = {}
    string_data: Annotated[dict[str, str], Field(repr=False)] = {}
    immutable: Unread = None

    def has(self, key: str) -> bool:
        return key in self.data or key in self.string_data
