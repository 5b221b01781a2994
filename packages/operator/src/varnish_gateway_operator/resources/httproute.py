"""HTTPRoute (gateway.networking.k8s.io/v1), with every field of the experimental channel.

Fields that are not served yet are modelled all the same: a rule that uses one is refused with a condition that names
it, and a misspelt field inside of it is still a mistake.
"""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StringConstraints

from varnish_gateway_common.wording import worded
from varnish_gateway_operator.resources.base import (
    HeaderName,
    Hostname,
    LocalObjectReference,
    Namespace,
    Part,
    Port,
    PreciseHostname,
    Resource,
    SectionName,
    Unread,
)

DURATION = worded(r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", "must be a time like 10s")
Duration = Annotated[str, StringConstraints(pattern=DURATION)]


class ParentReference(Part):
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: Namespace | None = None
    name: str
    section_name: SectionName | None = None
    port: Port | None = None


class PathMatch(Part):
    type: str = "PathPrefix"
    value: Annotated[str, StringConstraints(max_length=1024)] = "/"


class HeaderMatch(Part):
    type: str = "Exact"
    name: HeaderName
    value: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class QueryParamMatch(Part):
    type: str = "Exact"
    name: HeaderName
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class RouteMatch(Part):
    path: PathMatch = PathMatch()
    headers: Annotated[tuple[HeaderMatch, ...], Field(max_length=16)] = ()
    query_params: Annotated[tuple[QueryParamMatch, ...], Field(max_length=16)] = ()
    method: str | None = None


class Header(Part):
    name: HeaderName
    value: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class HeaderFilter(Part):
    set: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    add: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    remove: Annotated[tuple[str, ...], Field(max_length=16)] = ()


class PathModifier(Part):
    type: str
    replace_full_path: Annotated[str, StringConstraints(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, StringConstraints(max_length=1024)] | None = None


class RequestRedirect(Part):
    scheme: str | None = None
    hostname: PreciseHostname | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: StrictInt = 302


class UrlRewrite(Part):
    hostname: PreciseHostname | None = None
    path: PathModifier | None = None


class BackendObjectReference(Part):
    group: str = ""
    kind: str = "Service"
    name: str
    namespace: Namespace | None = None
    port: Port | None = None


class Fraction(Part):
    numerator: StrictInt
    denominator: StrictInt = 100


class RequestMirror(Part):
    backend_ref: BackendObjectReference
    percent: StrictInt | None = None
    fraction: Fraction | None = None


class Cors(Part):
    allow_origins: tuple[str, ...] = ()
    allow_credentials: StrictBool | None = None
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: StrictInt = 5


class GrpcAuth(Part):
    allowed_headers: tuple[str, ...] = ()


class HttpAuth(Part):
    path: str = ""
    allowed_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()


class ForwardBody(Part):
    max_size: StrictInt = 0


class ExternalAuth(Part):
    protocol: str = ""
    backend_ref: BackendObjectReference
    grpc: GrpcAuth | None = None
    http: HttpAuth | None = None
    forward_body: ForwardBody | None = None


class Filter(Part):
    type: str
    request_header_modifier: HeaderFilter | None = None
    response_header_modifier: HeaderFilter | None = None
    request_mirror: RequestMirror | None = None
    request_redirect: RequestRedirect | None = None
    url_rewrite: UrlRewrite | None = None
    cors: Cors | None = None
    external_auth: ExternalAuth | None = None
    extension_ref: LocalObjectReference | None = None


class BackendRef(BackendObjectReference):
    weight: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 1
    filters: Annotated[tuple[Filter, ...], Field(max_length=16)] = ()


class Timeouts(Part):
    request: Duration | None = None
    backend_request: Duration | None = None


class Retry(Part):
    codes: tuple[StrictInt, ...] = ()
    attempts: StrictInt | None = None
    backoff: Duration | None = None


class SessionCookie(Part):
    name: str | None = None
    path: str | None = None
    lifetime_type: str | None = None


class SessionHeader(Part):
    name: str


class SessionPersistence(Part):
    session_name: str | None = None
    absolute_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    type: str = "Cookie"
    cookie_config: SessionCookie | None = None
    cookie: SessionCookie | None = None
    header: SessionHeader | None = None


class RouteRule(Part):
    name: SectionName | None = None
    matches: Annotated[tuple[RouteMatch, ...], Field(max_length=64)] = ()
    filters: Annotated[tuple[Filter, ...], Field(max_length=16)] = ()
    backend_refs: Annotated[tuple[BackendRef, ...], Field(max_length=16)] = ()
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Part):
    parent_refs: Annotated[tuple[ParentReference, ...], Field(max_length=32)] = ()
    use_default_gateways: str = "None"
    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16)] = ()
    rules: Annotated[tuple[RouteRule, ...], Field(max_length=16)] = (RouteRule(),)


class HTTPRoute(Resource):
    spec: HTTPRouteSpec
    status: Unread = None
