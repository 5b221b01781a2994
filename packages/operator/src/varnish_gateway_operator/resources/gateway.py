"""GatewayClass and Gateway (gateway.networking.k8s.io/v1), with the experimental channel's fields."""

from typing import Annotated

from pydantic import AfterValidator, Field

from varnish_gateway_common.wording import quoted
from varnish_gateway_operator.resources.base import (
    Hostname,
    LabelSelector,
    LocalObjectReference,
    Namespace,
    ObjectName,
    ObjectReference,
    Part,
    Port,
    Resource,
    SecretObjectReference,
    SectionName,
    Unread,
)


class ParametersReference(Part):
    group: str
    kind: str
    name: str
    namespace: Namespace | None = None


class GatewayClassSpec(Part):
    controller_name: str
    parameters_ref: ParametersReference | None = None
    description: str | None = None


class GatewayClass(Resource):
    spec: GatewayClassSpec
    status: Unread = None


class RouteNamespaces(Part):
    from_: Annotated[str, Field(alias="from")] = "Same"
    selector: LabelSelector | None = None


class RouteGroupKind(Part):
    group: str = "gateway.networking.k8s.io"
    kind: str


class AllowedRoutes(Part):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


class ListenerTls(Part):
    mode: str = "Terminate"
    certificate_refs: Annotated[tuple[SecretObjectReference, ...], Field(max_length=64)] = ()
    options: Annotated[dict[str, str], Field(max_length=16)] = {}


class ListenerFilter(Part):
    type: str
    external_auth: Unread = None
    extension_ref: LocalObjectReference | None = None


class ListenerFilters(Part):
    requests: tuple[ListenerFilter, ...] = ()


class Listener(Part):
    name: SectionName
    hostname: Hostname | None = None
    port: Port
    protocol: str
    tls: ListenerTls | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()
    filters: ListenerFilters | None = None


def _have_names_of_their_own(listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    names = [listener.name for listener in listeners]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"listener name {quoted(name)} must be unique")
    return listeners


Listeners = Annotated[
    tuple[Listener, ...], Field(min_length=1, max_length=64), AfterValidator(_have_names_of_their_own)
]


class GatewayAddress(Part):
    type: str = "IPAddress"
    value: str = ""
    routability: str = ""


class Infrastructure(Part):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    parameters_ref: LocalObjectReference | None = None


class ListenerNamespaces(Part):
    from_: Annotated[str, Field(alias="from")] = "None"
    selector: LabelSelector | None = None


class AllowedListeners(Part):
    namespaces: ListenerNamespaces = ListenerNamespaces()


class BackendTls(Part):
    client_certificate_ref: SecretObjectReference | None = None


class FrontendValidation(Part):
    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], Field(alias="caCertificateRefs")]
    mode: str = "AllowValidOnly"


class FrontendTls(Part):
    validation: FrontendValidation | None = None


class FrontendTlsPort(Part):
    port: Port
    tls: FrontendTls


class FrontendTlsConfig(Part):
    default: FrontendTls
    per_port: tuple[FrontendTlsPort, ...] = ()


class GatewayTls(Part):
    backend: BackendTls | None = None
    frontend: FrontendTlsConfig | None = None


class GatewaySpec(Part):
    gateway_class_name: ObjectName
    listeners: Listeners
    addresses: tuple[GatewayAddress, ...] = ()
    infrastructure: Infrastructure | None = None
    allowed_listeners: AllowedListeners = AllowedListeners()
    tls: GatewayTls | None = None
    default_scope: str = "None"


class Gateway(Resource):
    spec: GatewaySpec
    status: Unread = None


class ParentGateway(Part):
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    name: ObjectName
    namespace: Namespace | None = None

    def key_from(self, namespace: str) -> tuple[str, str]:
        """Namespace and name of the Gateway, for an object of `namespace`; what is no Gateway has no such key."""
        is_gateway = (self.group, self.kind) == ("gateway.networking.k8s.io", "Gateway")
        return (self.namespace or namespace, self.name) if is_gateway else ("", "")


class ListenerSetSpec(Part):
    parent_ref: ParentGateway
    listeners: Listeners


class ListenerSet(Resource):
    """Listeners that somebody else adds to a Gateway."""

    spec: ListenerSetSpec
    status: Unread = None

    @property
    def gateway(self) -> tuple[str, str]:
        return self.spec.parent_ref.key_from(self.namespace)
