"""What Prometheus gets, gathered when it asks: no counter lives here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from varnish_gateway_common.kube.api import Reach

VERSION: Final = metadata.version("varnish-gateway-chaperone")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

VARNISH_COUNTERS: Final[dict[str, str]] = {
    "MAIN.sess_conn": "Connections accepted, also chaperone's own",
    "MAIN.sess_dropped": "Client connections dropped for want of threads",
    "MAIN.sess_fail": "Client connections that could not be accepted",
    "MAIN.client_req_400": "Requests refused as malformed",
    "MAIN.cache_hit": "Requests answered from the cache",
    "MAIN.cache_miss": "Requests that were not in the cache",
    "MAIN.s_pass": "Requests passed",
    "MAIN.s_pipe": "Requests that user VCL piped",
    "MAIN.backend_conn": "Connections to backends of the user's VCL",
    "MAIN.backend_reuse": "Connections to backends of the user's VCL used again",
    "MAIN.backend_fail": "Connections to backends of the user's VCL that failed",
    "MAIN.fetch_failed": "Fetches that failed",
    "MAIN.threads_limited": "Times that no more threads could be made",
    "MAIN.n_lru_nuked": "Objects pushed out of a full cache",
    "MGT.child_panic": "Panics of the process that serves",
    "MGT.child_died": "Deaths of the process that serves by a signal, panics among them",
    "MGT.child_exit": "Ends of the process that serves of its own accord, unasked",
}
VARNISH_GAUGES: Final[dict[str, str]] = {
    "MAIN.uptime": "How long the process that serves has lived",
    "MAIN.threads": "Worker threads",
    "MAIN.n_object": "Objects in the cache",
    "MAIN.n_vcl": "VCLs loaded",
}

VARNISH_NAMES: Final[dict[str, str]] = {
    "MAIN.uptime": "varnish_main_uptime_seconds",
    "MAIN.s_pass": "varnish_main_passes",
    "MAIN.s_pipe": "varnish_main_pipes",
}
"""Those that say no unit, or one that they have not. Left out is what Varnish counts in its own way: chaperone's own
requests among the clients' (`client_req`), direct passes among the answers without a backend (`s_synth`)."""


class Measured(NamedTuple):
    """Something of HAProxy's, under a name that says its unit."""

    name: str
    about: str
    factor: float = 1


HAPROXY_COUNTERS: Final[dict[str, Measured]] = {
    "CumConns": Measured("connections_accepted", "Connections accepted, also chaperone's own"),
    "CumSslConns": Measured("tls_connections_accepted", "TLS connections accepted"),
}
HAPROXY_GAUGES: Final[dict[str, Measured]] = {
    "CurrConns": Measured("connections", "Connections"),
    "CurrSslConns": Measured("tls_connections", "TLS connections"),
    "Uptime_sec": Measured("uptime_seconds", "How long the worker has lived"),
    "Idle_pct": Measured("idle_ratio", "Share of the time that HAProxy has nothing to do, from 0 to 1", 0.01),
}
HAPROXY_SOCKETS: Final[dict[str, Measured]] = {
    "stot": Measured("sessions", "Sessions of a socket"),
    "req_tot": Measured("requests", "Requests of a socket"),
    "ereq": Measured("refused_requests", "Requests refused as malformed"),
    "bin": Measured("received_bytes", "Bytes received"),
    "bout": Measured("sent_bytes", "Bytes sent"),
}


@dataclass(frozen=True)
class Facts:
    """Everything that is measured, at one moment."""

    gateway: str = ""
    is_ready: bool = False
    is_draining: bool = False
    passes_directly: bool = False
    reloads: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    """Process -> how often it was started again."""
    rules: int = 0
    broken_rules: int = 0
    endpoints: dict[str, int] = field(default_factory=dict)
    """State -> how many."""
    requests: dict[str, float] = field(default_factory=dict)
    """Ghost's own counters."""
    upstream: dict[str, float] = field(default_factory=dict)
    """Of the connections of direct passes."""
    varnish: dict[str, int] = field(default_factory=dict)
    certificate_updates: int = 0
    haproxy: dict[str, str] = field(default_factory=dict)
    """HAProxy's `show info`."""
    sockets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Socket -> HAProxy's `show stat` of its frontend."""
    reach: Reach | None = None
    """None: there is no API server."""


class _Facts(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        facts = self._facts
        yield InfoMetricFamily("varnish_gateway", "Which Gateway this is a part of.", {"gateway": facts.gateway})
        yield InfoMetricFamily("varnish_gateway_build", "What was built.", {"version": VERSION})
        yield _gauge("ready", "Whether a good configuration serves.", facts.is_ready)
        yield _gauge("draining", "Whether this gateway is leaving.", facts.is_draining)
        yield _gauge("passes_directly", "Whether passes go without Varnish's fetch.", facts.passes_directly)
        yield _gauge("rules", "Rules in effect.", facts.rules)
        yield _gauge("broken_rules", "Rules that could not be compiled.", facts.broken_rules)
        yield _labelled_gauge("endpoints", "Endpoints in effect.", "state", facts.endpoints)
        yield _counter("reloads", "Inputs that were taken.", "input", facts.reloads)
        yield _counter("refusals", "Inputs that were refused.", "input", facts.refusals)
        yield _counter("restarts", "Processes that were started again.", "process", facts.restarts)
        yield from _requests(facts.requests)
        yield _counter("upstream", "Connections to endpoints, and what befell them.", "event", facts.upstream)
        updates = "Steps by which certificates changed without a reload."
        yield CounterMetricFamily("varnish_gateway_certificate_updates", updates, facts.certificate_updates)
        yield from _reach(facts.reach) if facts.reach else ()
        yield from _varnish(facts.varnish)
        yield from _haproxy(facts.haproxy, facts.sockets)


def exposition(facts: Facts) -> bytes:
    """The text of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(facts))
    return generate_latest(registry)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"varnish_gateway_{name}", about, value)


def _labelled_gauge(name: str, about: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"varnish_gateway_{name}", about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, about: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = CounterMetricFamily(f"varnish_gateway_{name}", about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _requests(counts: dict[str, float]) -> Iterable[Metric]:
    """Clients' requests are one number; the kinds are what became of them, and count parts and attempts too."""
    kinds = {kind: count for kind, count in counts.items() if kind != "received"}
    if len(kinds) < len(counts):
        about = "Requests of clients; not what chaperone itself asks."
        yield CounterMetricFamily("varnish_gateway_client_requests", about, counts["received"])
    yield _counter("ghost_requests", "Requests by ghost's own account.", "kind", kinds)


def _reach(reach: Reach) -> Iterable[Metric]:
    yield _gauge("api_reachable", "Whether the API server answers.", reach.is_reachable)
    yield _gauge("unfollowed_collections", "What of the API server cannot be followed now.", reach.unfollowed)
    failures = "Lists and watches that failed."
    yield CounterMetricFamily("varnish_gateway_follow_failures", failures, reach.failures)


def _varnish(counters: dict[str, int]) -> Iterable[Metric]:
    for name, about in VARNISH_COUNTERS.items():
        if name in counters:
            yield CounterMetricFamily(_varnish_name(name), about, counters[name])
    for name, about in VARNISH_GAUGES.items():
        if name in counters:
            yield GaugeMetricFamily(_varnish_name(name), about, counters[name])


def _varnish_name(name: str) -> str:
    return VARNISH_NAMES.get(name) or f"varnish_{name.lower().replace('.', '_')}"


def _haproxy(info: dict[str, str], sockets: dict[str, dict[str, str]]) -> Iterable[Metric]:
    for key, (name, about, _) in HAPROXY_COUNTERS.items():
        if key in info:
            yield CounterMetricFamily(f"haproxy_{name}", about, int(info[key]))
    for key, (name, about, factor) in HAPROXY_GAUGES.items():
        if key in info:
            yield GaugeMetricFamily(f"haproxy_{name}", about, int(info[key]) * factor)
    for key, (name, about, _) in HAPROXY_SOCKETS.items():
        family = CounterMetricFamily(f"haproxy_socket_{name}", about, labels=["socket"])
        for socket, row in sockets.items():
            family.add_metric([socket], int(row.get(key) or 0))
        if sockets:
            yield family
