"""routing.json: what one Gateway routes where, in the order in which ghost tries it.

    sockets -> listeners -> hosts --index--> rules -> action -> backends --key--> services

Everything is decided here once: rules stand in their final order of precedence, hostnames are lower-case, references
are resolved, and what could not be resolved says so. A rule is one match of one rule of an HTTPRoute, with what is to
be done; it names no position, so that a rule that did not change is the same bytes in the next document.
"""

from typing import Annotated, Literal

from pydantic import Field

from varnish_gateway_common.document import Document

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP port."""

ServiceKey = str
"""A port of a Service: `namespace/name:port`."""


class PathMatch(Document):
    """How a path is matched (HTTPPathMatch): byte for byte, by whole elements, or by a regular expression."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


class ValueMatch(Document):
    """How a header or a query parameter is matched; the first value of a repeated one counts.

    Names of headers are lower-case here; names of query parameters are compared as they are.
    """

    name: str
    type: Literal["Exact", "RegularExpression"] = "Exact"
    value: str


class Match(Document):
    """The conditions of a rule, all of which must hold (HTTPRouteMatch)."""

    path: PathMatch = PathMatch()
    method: str | None = None
    headers: tuple[ValueMatch, ...] = ()
    query_parameters: tuple[ValueMatch, ...] = ()


class Header(Document):
    """A header field."""

    name: str
    value: str


class HeaderEdit(Document):
    """Changes of header fields (HTTPHeaderFilter), in this order: remove, set, add."""

    remove: tuple[str, ...] = ()
    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()


class PathRewrite(Document):
    """A new path: all of it, or the part that the rule's PathPrefix matched (HTTPPathModifier)."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    value: str


class UrlRewrite(Document):
    """What the backend is asked for in place of what the client asked for (HTTPURLRewriteFilter)."""

    hostname: str | None = None
    path: PathRewrite | None = None


class Filters(Document):
    """The filters of a rule or of one of its backends; all that are set apply."""

    request_headers: HeaderEdit | None = None
    response_headers: HeaderEdit | None = None
    url_rewrite: UrlRewrite | None = None


class Backend(Document):
    """A share of a rule's requests (HTTPBackendRef)."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    service: ServiceKey | None = None
    """None: the reference is invalid or refused, and its share is answered with 500."""
    filters: Filters = Filters()


class Forward(Document):
    """Send to a backend, chosen by weight. No backend with a weight above 0: 500."""

    type: Literal["Forward"]
    backends: tuple[Backend, ...] = ()


class Redirect(Document):
    """Answer with a redirect (HTTPRequestRedirectFilter); what is not set stays as the request has it."""

    type: Literal["Redirect"]
    status: Literal[301, 302, 303, 307, 308] = 302
    scheme: Literal["http", "https"] | None = None
    hostname: str | None = None
    port: Port | None = None
    path: PathRewrite | None = None


class Refuse(Document):
    """Answer with 500: this rule asks for what cannot be given. The reason is for logs, never for clients."""

    type: Literal["Refuse"]
    reason: str


class Rule(Document):
    """One match of one rule of an HTTPRoute, and what is to be done with what matches."""

    route: str
    """`namespace/name` of the HTTPRoute."""
    index: Annotated[int, Field(ge=0)] = 0
    """The rule's place in its HTTPRoute, from 0."""
    name: str | None = None
    """The rule's name (sectionName)."""
    match: Match = Match()
    filters: Filters = Filters()
    action: Annotated[Forward | Redirect | Refuse, Field(discriminator="type")]


class Host(Document):
    """The rules of one hostname, as routes write it: `a.example.com`, `*.example.com`, or empty for any.

    A request is tried on its exact host, then on wildcards from the longest suffix to the shortest, then on the empty
    hostname; the first rule that matches answers. Since the hostname is the route's and not its intersection with the
    listener's, an exact hostname keeps its precedence on a listener that narrows a wildcard down to the same name.
    """

    hostname: str = ""
    rules: tuple[int, ...] = ()
    """Places in `Routing.rules`, ascending: the order of precedence."""


class Listener(Document):
    """A listener of the Gateway. A request belongs to the one with the most specific hostname of its socket."""

    name: str
    hostname: str = ""
    hosts: tuple[Host, ...] = ()


class Socket(Document):
    """What listens: one socket for all listeners of a port. Its name `{proto}-{port}` is varnishd's too."""

    name: str
    port: Port
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"
    listeners: tuple[Listener, ...] = ()


class ExternalName(Document):
    """A Service that is a name outside the cluster."""

    hostname: str
    port: Port


class Service(Document):
    """A port of a Service whose endpoints are wanted. EndpointSlices are matched by the port's *name*."""

    namespace: str
    name: str
    port_name: str = ""
    external_name: ExternalName | None = None


class Disclosure(Document):
    """What answers tell of the gateway, besides Via."""

    server: bool = False
    """`Server` of the gateway's own answers."""
    x_varnish: bool = False
    """`X-Varnish`."""


class Routing(Document):
    """The whole document."""

    version: Literal[1]
    gateway: str
    """`namespace/name` of the Gateway."""
    sockets: tuple[Socket, ...] = ()
    rules: tuple[Rule, ...] = ()
    services: dict[ServiceKey, Service] = {}
    trusted_networks: tuple[str, ...] = ()
    """CIDR networks of proxies whose X-Forwarded-* and Forwarded are kept and continued; all others' are set anew."""
    disclosure: Disclosure = Disclosure()
    expression_routes: tuple[str, ...] = ()
    """`namespace/name` of the HTTPRoutes with regular expressions, oldest first: where these are too many, the
    newest go without."""
