"""Kinds of Kubernetes itself: Service, EndpointSlice, Namespace, ConfigMap, Secret."""

import base64
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from varnish_gateway_operator.resources.base import Part, Port, Resource, Unread

MAX_SECRET_TEXT: Final = 2 * 1024 * 1024
"""Kubernetes' limit for a Secret is 1 MiB, before base64."""

TLS_KEYS: Final = frozenset({"tls.crt", "tls.key", "ca.crt"})
"""The keys of a Secret that may be named."""

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
    cluster_ips: Annotated[tuple[str, ...], Field(alias="clusterIPs")] = ()
    external_ips: Annotated[tuple[str, ...], Field(alias="externalIPs")] = ()

    allocate_load_balancer_node_ports: Unread = None
    cluster_ip: Annotated[Unread, Field(alias="clusterIP")] = None
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


class Ingress(Part):
    ip: str | None = None
    hostname: str | None = None

    ip_mode: Unread = None
    ports: Unread = None


class LoadBalancerStatus(Part):
    ingress: tuple[Ingress, ...] = ()


class ServiceStatus(Part):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()

    conditions: Unread = None


class Service(Resource):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


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


def _decoded(data: object) -> dict[str, bytes]:
    """From base64, with line breaks or without. No message tells a value, for it may be a key."""
    return {key: _bytes_of_base64(key, text) for key, text in _texts(data).items()}


def _encoded(data: object) -> dict[str, bytes]:
    return {key: text.encode("utf-8", "surrogatepass") for key, text in _texts(data).items()}


def _texts(data: object) -> dict[str, str]:
    pairs = data.items() if isinstance(data, dict) else [(None, None)]
    found = {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}
    if len(found) < len(pairs):
        raise PydanticCustomError("secret", "must map names to text")
    if sum(len(text) for text in found.values()) > MAX_SECRET_TEXT:
        raise PydanticCustomError("secret", "is larger than it can be")
    return found


def _bytes_of_base64(key: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        which = key if key in TLS_KEYS else "a value"
        raise PydanticCustomError("secret", "{which} is not base64", {"which": which}) from None


class ConfigMap(Resource):
    data: dict[str, str] = {}
    binary_data: Annotated[dict[str, bytes], BeforeValidator(_decoded), Field(repr=False)] = {}
    immutable: Unread = None


class Secret(Resource):
    """Values are bytes; those of `stringData` count before those of `data`, as they do in Kubernetes."""

    type: str = "Opaque"
    data: Annotated[dict[str, bytes], BeforeValidator(_decoded), Field(repr=False)] = {}
    string_data: Annotated[dict[str, bytes], BeforeValidator(_encoded), Field(repr=False)] = {}
    immutable: Unread = None

    def value(self, key: str) -> bytes | None:
        return self.string_data.get(key, self.data.get(key))
