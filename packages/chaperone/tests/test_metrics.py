"""The text of /metrics."""

from prometheus_client.parser import text_string_to_metric_families

from varnish_gateway_chaperone.metrics import Facts, exposition
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
            digests={"routing": "3f2a"},
            reloads={"routing": 2},
            refusals={"vcl": 1},
            restarts={"worker": 3},
            rules=12,
            endpoints={"ready": 4},
            requests={"forwarded": 7},
            upstream={"opened": 3},
            passes_directly=True,
            reach=Reach(unfollowed=2, is_reachable=False, failures=5),
            varnish={"MAIN.client_req": 9, "MAIN.threads": 200, "MAIN.unknown": 1},
        )
    )
    assert found["varnish_gateway_info", "default/gw,3f2a"] == 1
    assert found["varnish_gateway_ready", ""] == 1
    assert found["varnish_gateway_reloads_total", "routing"] == 2
    assert found["varnish_gateway_refusals_total", "vcl"] == 1
    assert found["varnish_gateway_restarts_total", "worker"] == 3
    assert found["varnish_gateway_rules", ""] == 12
    assert found["varnish_gateway_endpoints", "ready"] == 4
    assert found["varnish_gateway_ghost_requests_total", "forwarded"] == 7
    assert found["varnish_gateway_upstream_total", "opened"] == 3
    assert found["varnish_gateway_passes_directly", ""] == 1
    assert found["varnish_main_client_req_total", ""] == 9
    assert found["varnish_main_threads", ""] == 200
    assert found["varnish_gateway_api_reachable", ""] == 0
    assert found["varnish_gateway_unfollowed_collections", ""] == 2
    assert found["varnish_gateway_follow_failures_total", ""] == 5


def test_before_anything_serves() -> None:
    found = samples(Facts())
    assert found["varnish_gateway_ready", ""] == 0
    assert ("varnish_gateway_api_reachable", "") not in found, "from files there is no API server"
