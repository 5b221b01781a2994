"""How long the operator takes to translate 10,000 HTTPRoutes: cold, and again after one of them changed.

    python bench/translate.py [ROUTES]

Prints JSON: CPU seconds of each stage and the process's resident memory. Parsing YAML is not part of it: the
objects are given as the YAML parser would give them.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from varnish_gateway_operator.app import options
from varnish_gateway_operator.garbage import without_collection
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.parse import kind_of, parse
from varnish_gateway_operator.snapshot import Snapshot, snapshot_of
from varnish_gateway_operator.state import StateFolder
from varnish_gateway_operator.translate import Memory, Plan, translate

GATEWAY_API = "gateway.networking.k8s.io/v1"


def gateway() -> list[dict[str, Any]]:
    """A class, and a Gateway with one listener."""
    return [
        {
            "apiVersion": GATEWAY_API,
            "kind": "GatewayClass",
            "metadata": {"name": "varnish"},
            "spec": {"controllerName": "varnish-software.com/gateway"},
        },
        {
            "apiVersion": GATEWAY_API,
            "kind": "Gateway",
            "metadata": {"name": "gw", "namespace": "default"},
            "spec": {
                "gatewayClassName": "varnish",
                "listeners": [{"name": "http", "protocol": "HTTP", "port": 8080}],
            },
        },
    ]


def service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"service-{number}", "namespace": "default"},
        "spec": {"selector": {"app": f"app-{number}"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }


def route(number: int, *, weight: int = 90) -> dict[str, Any]:
    """A route of its own host: a prefix with a split, an exact path with filters, a redirect."""
    name = f"service-{number % 1000}"
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {
            "name": f"route-{number}",
            "namespace": "default",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": weight,
        },
        "spec": {
            "parentRefs": [{"name": "gw"}],
            "hostnames": [f"host-{number}.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [{"name": name, "port": 80, "weight": weight}, {"name": "service-0", "port": 80}],
                },
                {
                    "matches": [{"path": {"type": "Exact", "value": "/login"}, "method": "POST"}],
                    "filters": [
                        {
                            "type": "RequestHeaderModifier",
                            "requestHeaderModifier": {"set": [{"name": "x-login", "value": "yes"}]},
                        }
                    ],
                    "backendRefs": [{"name": name, "port": 80}],
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
                    "filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 301, "scheme": "https"}}],
                },
            ],
        },
    }


def parsed(content: dict[str, Any]) -> Resource:
    kind = kind_of(content)
    assert kind is not None
    return parse(kind, content, unknown_fields="ignore")


def timed(step: Callable[[], Any], seconds: dict[str, float], name: str) -> Any:
    began = time.process_time()
    found = step()
    seconds[name] = round(time.process_time() - began, 3)
    return found


def main(count: int) -> None:
    contents = [*gateway(), *(service(number) for number in range(1000)), *(route(number) for number in range(count))]
    seconds: dict[str, float] = {}
    memory, settings = Memory(), options()

    def translated(snapshot: Snapshot) -> Plan:
        return translate(snapshot, {}, settings, memory)

    resources = timed(lambda: [parsed(content) for content in contents], seconds, "models_cold")
    snapshot = timed(lambda: snapshot_of(resources), seconds, "snapshot")
    timed(lambda: translated(snapshot), seconds, "translate_cold")
    timed(lambda: translated(snapshot), seconds, "translate_unchanged")
    resources[-1] = timed(lambda: parsed(route(count - 1, weight=10)), seconds, "models_one_changed")
    changed = timed(lambda: snapshot_of(resources), seconds, "snapshot_one_changed")
    plan = timed(lambda: translated(changed), seconds, "translate_one_changed")
    resources[1] = resources[1].model_copy(update={"status": {"conditions": []}})
    changed = snapshot_of(resources)
    timed(lambda: translated(changed), seconds, "translate_a_gateways_status_changed")
    resources[2] = parsed({**service(0), "spec": {"ports": [{"name": "web", "port": 80}]}})
    changed = snapshot_of(resources)
    timed(lambda: translated(changed), seconds, "translate_one_service_of_all_changed")
    with TemporaryDirectory() as folder:
        state = StateFolder(Path(folder))
        timed(lambda: state.write_gateways(plan, is_complete=True), seconds, "write_routing")
        timed(lambda: state.write_statuses(plan, is_complete=True, now="now"), seconds, "write_statuses_cold")
        timed(lambda: state.write_statuses(plan, is_complete=True, now="now"), seconds, "write_statuses_unchanged")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "routes": count,
        "seconds": seconds,
        "cold_seconds": round(seconds["models_cold"] + seconds["snapshot"] + seconds["translate_cold"], 3),
        "one_changed_seconds": round(
            sum(seconds[f"{stage}_one_changed"] for stage in ("models", "snapshot", "translate")), 3
        ),
        "peak_rss_mib": round(peak, 1),
        "routing_bytes": len(plan.gateways["default", "gw"].routing),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    with without_collection():  # as the operator's rounds are run
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
