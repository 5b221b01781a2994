"""What Prometheus gets, gathered when it asks: no counter lives here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "varnish_gateway_operator"


@dataclass(frozen=True)
class Facts:
    """Everything that is measured, at one moment."""

    is_leading: bool = False
    objects: Mapping[str, int] = field(default_factory=dict)
    """Kind -> how many are known."""
    broken: int = 0
    unfollowed: int = 0
    follow_failures: int = 0
    gateways: int = 0
    rounds: int = 0
    round_seconds: float = 0.0
    failed_rounds: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    """Verb -> how many writes were sent."""
    conflicts: int = 0


class _Facts(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        facts = self._facts
        yield GaugeMetricFamily(f"{PREFIX}_leading", "Whether this operator writes.", facts.is_leading)
        yield GaugeMetricFamily(f"{PREFIX}_gateways", "Gateways that are served.", facts.gateways)
        objects = GaugeMetricFamily(f"{PREFIX}_objects", "Objects that are known.", labels=["kind"])
        for kind, count in facts.objects.items():
            objects.add_metric([kind], count)
        yield objects
        yield GaugeMetricFamily(f"{PREFIX}_broken_objects", "Objects that cannot be read.", facts.broken)
        yield GaugeMetricFamily(f"{PREFIX}_unfollowed_sources", "Kinds that cannot be followed now.", facts.unfollowed)
        yield CounterMetricFamily(f"{PREFIX}_follow_failures", "Lists and watches that failed.", facts.follow_failures)
        yield CounterMetricFamily(f"{PREFIX}_rounds", "Translations of everything.", facts.rounds)
        yield CounterMetricFamily(f"{PREFIX}_round_seconds", "Time that translations took.", facts.round_seconds)
        yield CounterMetricFamily(f"{PREFIX}_failed_rounds", "Rounds that were tried again.", facts.failed_rounds)
        requests = CounterMetricFamily(f"{PREFIX}_writes", "Writes that were sent.", labels=["verb"])
        for verb, count in facts.requests.items():
            requests.add_metric([verb], count)
        yield requests
        yield CounterMetricFamily(f"{PREFIX}_conflicts", "Statuses that somebody else wrote first.", facts.conflicts)


def exposition(facts: Facts) -> bytes:
    """The text of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(facts))
    return generate_latest(registry)
