"""What Prometheus gets, gathered when it asks: no counter lives here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from varnish_gateway_common.kube.api import Reach

VERSION: Final = metadata.version("varnish-gateway-operator")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "varnish_gateway_operator"


@dataclass(frozen=True)
class Facts:
    """Everything that is measured, at one moment."""

    is_leading: bool = False
    objects: Mapping[str, int] = field(default_factory=dict)
    """Kind -> how many are known."""
    broken: int = 0
    reach: Reach = field(default_factory=Reach)
    gateways: int = 0
    rounds: int = 0
    round_seconds: float = 0.0
    failed_rounds: int = 0
    writes: Mapping[str, int] = field(default_factory=dict)
    """Verb -> how many writes were sent."""
    conflicts: int = 0
    dropped_events: int = 0
    certificates: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Namespace and name of a Secret -> when its certificate ceases to be valid, in seconds since 1970."""


GAUGES: Final = {
    "leading": ("is_leading", "Whether this operator writes."),
    "gateways": ("gateways", "Gateways that are served."),
    "broken_objects": ("broken", "Objects that cannot be read."),
}
COUNTERS: Final = {
    "rounds": ("rounds", "Translations of everything."),
    "round_seconds": ("round_seconds", "Time that translations took."),
    "failed_rounds": ("failed_rounds", "Rounds that were tried again."),
    "conflicts": ("conflicts", "Statuses that somebody else wrote first."),
    "dropped_events": ("dropped_events", "Events that were too many at once, or could not be written."),
}
"""Name -> field of Facts, and what it is."""


class _Facts(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily(f"{PREFIX}_build", "What was built.", {"version": VERSION})
        for name, (field_name, about) in GAUGES.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", about, getattr(self._facts, field_name))
        for name, (field_name, about) in COUNTERS.items():
            yield CounterMetricFamily(f"{PREFIX}_{name}", about, getattr(self._facts, field_name))
        yield from self._reach()
        yield self._certificates()
        objects = GaugeMetricFamily(f"{PREFIX}_objects", "Objects that are known.", labels=["kind"])
        for kind, count in self._facts.objects.items():
            objects.add_metric([kind], count)
        yield objects
        writes = CounterMetricFamily(f"{PREFIX}_writes", "Writes that were sent.", labels=["verb"])
        for verb, count in self._facts.writes.items():
            writes.add_metric([verb], count)
        yield writes

    def _certificates(self) -> Metric:
        about = "When a certificate that a listener refers to ceases to be valid, since 1970."
        found = GaugeMetricFamily(f"{PREFIX}_certificate_not_after_seconds", about, labels=["namespace", "name"])
        for secret, moment in self._facts.certificates.items():
            found.add_metric(secret, moment)
        return found

    def _reach(self) -> Iterable[Metric]:
        reach = self._facts.reach
        yield GaugeMetricFamily(f"{PREFIX}_api_reachable", "Whether the API server answers.", reach.is_reachable)
        yield GaugeMetricFamily(f"{PREFIX}_unfollowed_sources", "What cannot be followed now.", reach.unfollowed)
        yield CounterMetricFamily(f"{PREFIX}_follow_failures", "Lists and watches that failed.", reach.failures)


def exposition(facts: Facts) -> bytes:
    """The text of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(facts))
    return generate_latest(registry)
