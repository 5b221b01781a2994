"""The text of /metrics."""

import subprocess
from importlib import metadata

from prometheus_client.parser import text_string_to_metric_families

from chaperone_rig import program
from varnish_gateway_chaperone.metrics import (
    HAPROXY_COUNTERS,
    HAPROXY_GAUGES,
    HAPROXY_SOCKETS,
    VARNISH_COUNTERS,
    VARNISH_GAUGES,
    Facts,
    exposition,
)
from varnish_gateway_common.kube.api import Reach


def samples(facts: Facts) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(exposition(facts).decode())
    found = (sample for family in families for sample in family.samples)
    return {(sample.name, ",".join(sample.labels.values())): sample.value for sample in found}


def test_everything_is_there() -> None:
    found = samples(
        Facts(
            gateway="default/gw",
            is_ready=True,
            reloads={"routing": 2},
            refusals={"vcl": 1},
            restarts={"worker": 3},
            rules=12,
            endpoints={"ready": 4},
            requests={"received": 8, "forwarded": 7},
            upstream={"opened": 3},
            passes_directly=True,
            reach=Reach(unfollowed=2, is_reachable=False, failures=5),
            varnish={
                "MAIN.client_req": 9,
                "MAIN.s_synth": 9,
                "MAIN.threads": 200,
                "MAIN.uptime": 60,
                "MAIN.unknown": 1,
            },
            haproxy={"Uptime_sec": "61", "Idle_pct": "97", "CumConns": "5"},
            sockets={"https-8443": {"bin": "100", "req_tot": "2"}},
        )
    )
    assert found["varnish_gateway_info", "default/gw"] == 1
    assert found["varnish_gateway_build_info", metadata.version("varnish-gateway-chaperone")] == 1
    assert found["varnish_gateway_ready", ""] == 1
    assert found["varnish_gateway_reloads_total", "routing"] == 2
    assert found["varnish_gateway_refusals_total", "vcl"] == 1
    assert found["varnish_gateway_restarts_total", "worker"] == 3
    assert found["varnish_gateway_rules", ""] == 12
    assert found["varnish_gateway_endpoints", "ready"] == 4
    assert found["varnish_gateway_ghost_requests_total", "forwarded"] == 7
    assert found["varnish_gateway_upstream_total", "opened"] == 3
    assert found["varnish_gateway_passes_directly", ""] == 1
    assert found["varnish_gateway_client_requests_total", ""] == 8
    assert ("varnish_gateway_ghost_requests_total", "received") not in found
    assert not {"varnish_main_client_req_total", "varnish_main_s_synth_total"} & {name for name, _ in found}
    assert found["varnish_main_threads", ""] == 200
    assert found["varnish_main_uptime_seconds", ""] == 60
    assert found["haproxy_uptime_seconds", ""] == 61
    assert found["haproxy_idle_ratio", ""] == 0.97
    assert found["haproxy_connections_accepted_total", ""] == 5
    assert found["haproxy_socket_received_bytes_total", "https-8443"] == 100
    assert found["varnish_gateway_api_reachable", ""] == 0
    assert found["varnish_gateway_unfollowed_collections", ""] == 2
    assert found["varnish_gateway_follow_failures_total", ""] == 5


def test_before_anything_serves() -> None:
    found = samples(Facts())
    assert found["varnish_gateway_ready", ""] == 0
    assert ("varnish_gateway_api_reachable", "") not in found, "from files there is no API server"


EVERYTHING = Facts(
    gateway="default/gw",
    reloads={"routing": 1},
    refusals={"vcl": 1},
    restarts={"worker": 1},
    endpoints={"ready": 1},
    requests={"received": 1, "forwarded": 1},
    upstream={"opened": 1},
    varnish=dict.fromkeys((*VARNISH_COUNTERS, *VARNISH_GAUGES), 1),
    haproxy=dict.fromkeys((*HAPROXY_COUNTERS, *HAPROXY_GAUGES), "1"),
    sockets={"https-8443": dict.fromkeys(HAPROXY_SOCKETS, "1")},
    reach=Reach(),
)


def test_prometheus_has_nothing_to_find_fault_with() -> None:
    command = [program("VARNISH_GATEWAY_PROMTOOL"), "check", "metrics"]
    judged = subprocess.run(command, input=exposition(EVERYTHING), capture_output=True, check=False)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, b"")
