"""GatewayClassParameters (gateway.varnish-software.com/v1alpha1, cluster-scoped): how a class's gateways are run.

The docstrings of fields are what `kubectl explain` says of them. What goes into the pod template as it stands is looked
at as far as this program depends on it; the rest is the API server's to judge.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from varnish_gateway_common.wording import named, quoted, worded
from varnish_gateway_operator.resources.base import DESCRIBED, Described, Namespace, ObjectName, Resource, Unread, rules
from varnish_gateway_operator.resources.patches import container_patch_problem, pod_patch_problem

REFUSED_ARGUMENTS = ("-M", "-S", "-F", "-f", "-n", "-T", "-a")
"""Those that the gateway itself sets, and on which its safety rests."""

LIMIT_PARAMETERS = ("http_req_size", "http_req_hdr_len", "http_resp_size", "http_resp_hdr_len", "http_max_hdr")
"""Those that follow from headerLimits: varnishd alone would take what ghost or HAProxy then refuses."""
LIMIT_ARGUMENTS = f"^(-p)?({'|'.join(LIMIT_PARAMETERS)})="
INSTEAD = "varnishdExtraArgs: limits of heads are set by headerLimits, for every listener and both directions"

REFUSED_LOG_ARGUMENTS = ("-D", "-N", "-P", "-Q", "-d", "-f", "-k", "-n", "-r", "-w")
"""Those that make a program of Varnish's end, look elsewhere, read any file, or write elsewhere."""

JOINED_ARGUMENTS = "^-[CdFV]."
JOINED_LOG_ARGUMENTS = "^-[aAbcCEhjuvV]."
"""A flag without a value, and more in the same word: that could be any of those above."""

BLANK = "^-[^ ]* |^ | $|^[a-z0-9_]+( +=|= )"
"""Between a flag and its value, around a word, or around the = of a parameter: varnishd would take it for a part."""
NO_BLANK = 'a blank is in a word: write flag and value as two words, as "-p", "thread_pools=4"'

ONE_EACH = "every flag must be a word of its own"

CONTROL = r"[\x00-\x1f\x7f]"

OWN_VOLUMES = ("run", "storage", "tmp")
RESERVED = f"{', '.join(OWN_VOLUMES)} are the gateway's own"
OWN_CONTAINER = "gateway"
OWN_VARIABLES = "VARNISH_GATEWAY_"
OWN_VARIABLES_RULE = f"extraEnv: names that begin with {OWN_VARIABLES} are the gateway's own"

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

Json = Annotated[dict[str, Any], WithJsonSchema(OPEN)]
Count = Annotated[StrictInt, Field(ge=0)]
PERCENTAGE = worded(r"^(100|[1-9]?[0-9])%$", "must be a number, or a percentage like 50%")
Percentage = Annotated[str, StringConstraints(pattern=PERCENTAGE)]
Share = Annotated[Count | Percentage, WithJsonSchema({"x-kubernetes-int-or-string": True})]
Argument = Annotated[str, StringConstraints(max_length=1024)]
Labels = Annotated[dict[str, str], Field(max_length=64)]


SIZE = worded("^[1-9][0-9]*[kKmMgGtT]?$", "must be a size like 256m")
GRACE = worded(r"^[1-9][0-9]{0,4}(s|m|h)$", "must be a time like 60s")


class ConfigMapKey(Described):
    """A key of a ConfigMap."""

    name: ObjectName
    """Name of the ConfigMap."""
    namespace: Namespace
    """Its namespace."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)] = "user.vcl"
    """The key whose value is the VCL."""


class Storage(Described):
    """varnishd's -s."""

    type: Literal["malloc", "file"] = "malloc"
    """malloc: in memory. file: in a file that is mapped into memory."""
    size: Annotated[str, StringConstraints(pattern=SIZE)] = "256m"
    """How much, in bytes or with a suffix."""


def _all(field: str) -> str:
    """The beginning of a rule in CEL that each x of a list must keep."""
    return f"!has(self.{field}) || self.{field}.all(x"


class Logging(Described):
    """A log of requests on the container's standard output."""

    model_config = ConfigDict(
        **DESCRIBED,
        **rules(
            (
                f"{_all('extraArgs')}, !{list(REFUSED_LOG_ARGUMENTS)}.exists(y, x.startsWith(y)))",
                f"extraArgs: {', '.join(REFUSED_LOG_ARGUMENTS)} are not for a log on standard output",
            ),
            (f"{_all('extraArgs')}, !x.matches('{JOINED_LOG_ARGUMENTS}'))", f"extraArgs: {ONE_EACH}"),
        ),
    )

    mode: Literal["varnishlog", "varnishlog-json", "varnishncsa"] = "varnishlog"
    """Which of Varnish's programs writes it; varnishlog-json is accepted, and not there."""
    format: Argument | None = None
    """varnishncsa's -F."""
    extra_args: Annotated[tuple[Argument, ...], Field(max_length=64)] = ()
    """More arguments of the program, each flag a word of its own; not -D, -N, -P, -Q, -d, -f, -k, -n, -r, -w."""
    image: str | None = None
    """Accepted for compatibility: the program runs in the gateway's own container."""

    @model_validator(mode="after")
    def _goes_to_standard_output(self) -> Self:
        for argument in self.extra_args:
            if argument.startswith(REFUSED_LOG_ARGUMENTS):
                raise ValueError(f"extraArgs: {argument[:2]} is not for a log on standard output")
            if re.search(JOINED_LOG_ARGUMENTS, argument):
                raise ValueError(f"extraArgs: {argument[:20]}: {ONE_EACH}")
        if any(re.search(CONTROL, text) for text in (self.format or "", *self.extra_args)):
            raise ValueError("control characters are not allowed")
        return self


class Disruption(Described):
    """A PodDisruptionBudget."""

    model_config = ConfigDict(
        **DESCRIBED,
        **rules(
            ("has(self.minAvailable) != has(self.maxUnavailable)", "must have either minAvailable or maxUnavailable")
        ),
    )

    min_available: Share | None = None
    """How many pods must stay."""
    max_unavailable: Share | None = None
    """How many pods may be missing."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("must have either minAvailable or maxUnavailable")
        return self


def _why(error: ValueError) -> str:
    return ": it has host bits" if "host bits" in str(error) else ""


def _network(text: str) -> str:
    """In its canonical form, always with a prefix length. Host bits are a mistake: which network was meant?"""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is not a network like 10.0.0.0/8 or 2001:db8::/32{_why(error)}") from None


NETWORK = worded(r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", "must be a network like 10.0.0.0/8")
NETWORK_RULE = {
    "rule": "isCIDR(self) ? cidr(self).masked().ip() == cidr(self).ip() : isIP(self)",
    "message": "must be a network like 10.0.0.0/8 or 2001:db8::/32, without host bits",
}

SourceRange = Annotated[str, StringConstraints(pattern=NETWORK, max_length=64)]
Network = Annotated[
    str,
    StringConstraints(pattern=NETWORK, max_length=64),
    AfterValidator(_network),
    Field(json_schema_extra={"x-kubernetes-validations": [NETWORK_RULE]}),
]


class ServiceParameters(Described):
    """The Service before the pods."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "LoadBalancer"
    """How the Service is reached."""
    annotations: Labels = {}
    """More annotations."""
    labels: Labels = {}
    """More labels."""
    load_balancer_class: str | None = None
    """Which load balancer, where there are several."""
    load_balancer_source_ranges: Annotated[tuple[SourceRange, ...], Field(max_length=256)] = ()
    """Who may connect, where the load balancer can tell."""
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Local keeps the client's address and goes only to pods on the same node."""
    external_networks: Annotated[tuple[Network, ...], Field(max_length=256)] = ()
    """Networks that are routed to the cluster's nodes. A Gateway's spec.addresses can ask for an address of these;
    without a load balancer for no other, because whoever may choose any address takes the traffic of others."""


class PullSecret(Described):
    """A Secret of the Gateway's namespace."""

    name: ObjectName
    """Its name."""


class NetworkPolicy(Described):
    """Who may connect to the pods. A NetworkPolicy of your own adds to it."""

    enabled: StrictBool = True
    """Whether there is one."""
    metrics_from: Annotated[tuple[Json, ...], Field(max_length=32)] = ()
    """Who may ask for health and metrics, as NetworkPolicyPeers; every pod of the cluster by default."""


Bytes = Annotated[StrictInt, Field(ge=4096, le=262144)]
HeaderFields = Annotated[StrictInt, Field(ge=16, le=1000)]


class HeaderLimits(Described):
    """How large the heads of requests and of answers may be, on every listener. Larger ones are answered with 414, 431
    or, where a backend sends them, 502."""

    request_line_bytes: Annotated[StrictInt, Field(ge=1024, le=65536)] = 8192
    """Bytes of a request's first line."""
    request_header_bytes: Bytes = 32768
    """Bytes of a request's header fields, with the ends of their lines."""
    request_header_fields: HeaderFields = 64
    """How many header fields a request may have."""
    response_header_bytes: Bytes = 65536
    """Bytes of a backend's header fields and status line."""
    response_header_fields: HeaderFields = 128
    """How many header fields a backend's answer may have."""


Passes = Literal["Auto", "Direct", "Fetch"]


class Http2(Described):
    """HTTP/2 apart from HTTPS listeners, which always have it."""

    cleartext: StrictBool = False
    """HTTP listeners speak HTTP/2 with prior knowledge (h2c) beside HTTP/1.1."""


class ClientAddress(Described):
    """Who the client is, where a load balancer or another proxy stands before the gateway."""

    proxy_protocol: StrictBool = False
    """Every connection begins with PROXY v1 or v2; one that does not is refused."""
    trusted_networks: Annotated[tuple[Network, ...], Field(max_length=256)] = ()
    """Peers whose X-Forwarded-* and Forwarded are believed."""


class AnswerDisclosure(Described):
    """What answers tell of the gateway itself. `Via` always says `1.1 varnish-gateway`."""

    server: StrictBool = False
    """The gateway's own answers have `Server: Varnish`; answers of backends have the backend's in any case."""
    x_varnish: StrictBool = False
    """All answers have X-Varnish, the numbers that varnishlog knows their requests by."""


class Autoscaling(Described):
    """A HorizontalPodAutoscaler."""

    model_config = ConfigDict(
        **DESCRIBED,
        **rules(
            (
                "(has(self.minReplicas) ? self.minReplicas : 2) <= self.maxReplicas",
                "minReplicas must not be above maxReplicas",
            )
        ),
    )

    min_replicas: Annotated[StrictInt, Field(ge=1)] = 2
    """Never fewer pods."""
    max_replicas: Annotated[StrictInt, Field(ge=1)]
    """Never more pods."""
    target_cpu_utilization_percentage: Annotated[StrictInt, Field(ge=1, alias="targetCPUUtilizationPercentage")] = 80
    """Of the CPU that the pods request, unless there are metrics."""
    metrics: Annotated[tuple[Json, ...], Field(max_length=32)] = ()
    """In place of CPU: metrics of an autoscaling/v2 HorizontalPodAutoscaler."""
    behavior: Json | None = None
    """How fast, as autoscaling/v2 has it."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not be above maxReplicas")
        return self


class _Open:
    """Marks an object of Kubernetes' own of which these fields, all of them texts, must be there."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = wanted

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "minLength": 1, "maxLength": 1024}
        return {**OPEN, "properties": dict.fromkeys(self.wanted, text), "required": list(self.wanted)}

    def _checked(self, value: dict[str, Any]) -> dict[str, Any]:
        for name in self.wanted:
            if not isinstance(value.get(name), str) or not value[name]:
                raise ValueError(f"must have a {name}")
        return value


Volume = Annotated[dict[str, Any], _Open("name")]
VolumeMount = Annotated[dict[str, Any], _Open("name", "mountPath")]
InitContainer = Annotated[dict[str, Any], _Open("name", "image")]
Variable = Annotated[dict[str, Any], _Open("name")]
Container = InitContainer
SpreadConstraint = Annotated[dict[str, Any], _Open("topologyKey", "whenUnsatisfiable")]


class ParametersSpec(Described):
    """How the gateways of a class are run."""

    model_config = ConfigDict(
        **DESCRIBED,
        **rules(
            (
                f"{_all('varnishdExtraArgs')}, !{list(REFUSED_ARGUMENTS)}.exists(y, x.startsWith(y)))",
                f"varnishdExtraArgs: {', '.join(REFUSED_ARGUMENTS)} are set by the gateway itself",
            ),
            (f"{_all('varnishdExtraArgs')}, !x.matches('{JOINED_ARGUMENTS}'))", f"varnishdExtraArgs: {ONE_EACH}"),
            (f"{_all('varnishdExtraArgs')}, !x.matches('{BLANK}'))", f"varnishdExtraArgs: {NO_BLANK}"),
            (f"{_all('varnishdExtraArgs')}, !x.matches('{LIMIT_ARGUMENTS}'))", INSTEAD),
            (f"{_all('extraVolumes')}, !(x.name in {list(OWN_VOLUMES)}))", f"extraVolumes: {RESERVED}"),
            (f"{_all('extraVolumeMounts')}, !(x.name in {list(OWN_VOLUMES)}))", f"extraVolumeMounts: {RESERVED}"),
            *(
                (f"{_all(field)}, x.name != '{OWN_CONTAINER}')", f"{field}: {OWN_CONTAINER} is the gateway's own")
                for field in ("extraInitContainers", "extraContainers")
            ),
            (f"{_all('extraEnv')}, !x.name.startsWith('{OWN_VARIABLES}'))", OWN_VARIABLES_RULE),
        ),
    )

    user_vcl_config_map_ref: Annotated[ConfigMapKey | None, Field(alias="userVCLConfigMapRef")] = None
    """VCL that is put between the generated parts."""
    varnishd_extra_args: Annotated[tuple[Argument, ...], Field(max_length=64)] = ()
    """More arguments of varnishd; not -M, -S, -F, -f, -n, -T and -a, which the gateway sets itself."""
    storage: Storage = Storage()
    """Where cached objects are."""
    http2: Http2 = Http2()
    """HTTP/2."""
    client_address: ClientAddress = ClientAddress()
    """Who the client is."""
    header_limits: HeaderLimits = HeaderLimits()
    """How large heads may be. Every thread of varnishd has room for one: large limits cost memory."""
    disclosure: AnswerDisclosure = AnswerDisclosure()
    """What answers tell of the gateway itself."""
    external_names: StrictBool = False
    """Services of type ExternalName are followed. Whoever may make one then decides what the gateway connects to."""
    passes: Passes = "Auto"
    """How a request that is not cached reaches its backend. Direct: in the client's own thread, which is several times
    cheaper. Fetch: by Varnish's own fetch. Auto: direct, unless the user's VCL has something that a direct pass would
    skip: vcl_backend_*, vcl_deliver, vcl_synth, vcl_pass."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """The gateway's image, in place of the operator's choice."""
    image_pull_secrets: Annotated[tuple[PullSecret, ...], Field(max_length=16)] = ()
    """Secrets with which the pods' images are pulled, in place of the operator's choice; they stand in each Gateway's
    own namespace."""
    logging: Logging | None = None
    """A log of requests."""
    extra_env: Annotated[tuple[Variable, ...], Field(max_length=64)] = ()
    """More environment variables of the gateway's container."""
    extra_volumes: Annotated[tuple[Volume, ...], Field(max_length=32)] = ()
    """More volumes of the pods."""
    extra_volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] = ()
    """More mounts of the gateway's container."""
    extra_init_containers: Annotated[tuple[InitContainer, ...], Field(max_length=32)] = ()
    """Containers that run before the gateway's."""
    extra_containers: Annotated[tuple[Container, ...], Field(max_length=16)] = ()
    """Containers that run beside the gateway's."""
    lifecycle: Json = {}
    """Hooks of the gateway's container; what preStop takes is a part of terminationGracePeriod."""
    resources: Json = {}
    """Requests and limits of the gateway's container; shared memory and malloc storage count in its memory."""
    pod_disruption_budget: Disruption | None = None
    """How many pods an eviction must leave."""
    topology_spread_constraints: Annotated[tuple[SpreadConstraint, ...], Field(max_length=32)] = ()
    """How pods are spread, in place of evenly over nodes. One without labelSelector is given that of the pods."""
    service: ServiceParameters = ServiceParameters()
    """The Service."""
    replicas: Annotated[StrictInt, Field(ge=0, le=1000)] | None = None
    """How many pods, 2 by default; nothing with autoscaling."""
    autoscaling: Autoscaling | None = None
    """As many pods as are needed."""
    termination_grace_period: Annotated[str, StringConstraints(pattern=GRACE)] | None = None
    """How long a pod may take to drain, `60s` by default."""
    node_selector: Labels = {}
    """Labels of the nodes that will do."""
    tolerations: Annotated[tuple[Json, ...], Field(max_length=32)] = ()
    """Taints of nodes that will do."""
    affinity: Json = {}
    """Which nodes, and beside which pods."""
    priority_class_name: str | None = None
    """The pods' PriorityClass."""
    pod_security_context: Json = {}
    """Fields of the pods' securityContext, in place of the gateway's own. What is weaker is told in the Gateway's
    Accepted condition."""
    network_policy: NetworkPolicy = NetworkPolicy()
    """Who may connect to the pods: everybody to the listeners' ports."""
    pod_patch: Json = {}
    """A JSON merge patch of the pod template, for what has no field here; not of what the gateway depends on."""
    container_patch: Json = {}
    """A JSON merge patch of the gateway's container, for what has no field here; not of what the gateway depends on,
    and nothing that weakens its securityContext."""

    @property
    def grace_seconds(self) -> int | None:
        text = self.termination_grace_period
        return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]] if text else None

    @model_validator(mode="after")
    def _arguments_are_not_ours(self) -> Self:
        for argument in self.varnishd_extra_args:
            if argument.startswith(REFUSED_ARGUMENTS):
                raise ValueError(f"varnishdExtraArgs: {argument[:2]} is set by the gateway itself")
            if re.search(JOINED_ARGUMENTS, argument):
                raise ValueError(f"varnishdExtraArgs: {argument[:20]}: {ONE_EACH}")
            if re.search(BLANK, argument):
                raise ValueError(f"varnishdExtraArgs: {quoted(argument)}: {NO_BLANK}")
            if re.search(LIMIT_ARGUMENTS, argument):
                raise ValueError(INSTEAD)
            if re.search(CONTROL, argument):
                raise ValueError("varnishdExtraArgs: control characters are not allowed")
        return self

    @model_validator(mode="after")
    def _names_are_not_ours(self) -> Self:
        for volume in self.extra_volumes:
            if volume["name"] in OWN_VOLUMES:
                raise ValueError(f"extraVolumes: {named(volume['name'])} is the gateway's own")
        for mount in self.extra_volume_mounts:
            if mount["name"] in OWN_VOLUMES:
                raise ValueError(f"extraVolumeMounts: {named(mount['name'])} is the gateway's own")
        for field, containers in (
            ("extraInitContainers", self.extra_init_containers),
            ("extraContainers", self.extra_containers),
        ):
            if any(container["name"] == OWN_CONTAINER for container in containers):
                raise ValueError(f"{field}: {OWN_CONTAINER} is the gateway's own")
        if any(variable["name"].startswith(OWN_VARIABLES) for variable in self.extra_env):
            raise ValueError(OWN_VARIABLES_RULE)
        return self

    @model_validator(mode="after")
    def _patches_leave_what_is_ours(self) -> Self:
        problems = {
            "podPatch": pod_patch_problem(self.pod_patch),
            "containerPatch": container_patch_problem(self.container_patch),
        }
        for field, problem in problems.items():
            if problem:
                raise ValueError(f"{field}: {problem}")
        return self


class GatewayClassParameters(Resource):
    """How the gateways of a class are run."""

    spec: ParametersSpec = ParametersSpec()
    status: Unread = None
