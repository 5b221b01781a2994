"""What Prometheus is told."""

import os
import subprocess
from importlib import metadata

from varnish_gateway_common.kube.api import Reach
from varnish_gateway_operator.metrics import Facts, exposition


def test_every_fact_is_told_once() -> None:
    facts = Facts(
        is_leading=True,
        objects={"HTTPRoute": 3},
        writes={"apply": 2},
        rounds=5,
        round_seconds=0.5,
        reach=Reach(2, False, 7),
    )
    lines = [line for line in exposition(facts).decode().splitlines() if not line.startswith("#")]
    assert "varnish_gateway_operator_leading 1.0" in lines
    assert 'varnish_gateway_operator_objects{kind="HTTPRoute"} 3.0' in lines
    assert 'varnish_gateway_operator_writes_total{verb="apply"} 2.0' in lines
    assert "varnish_gateway_operator_rounds_total 5.0" in lines
    assert "varnish_gateway_operator_api_reachable 0.0" in lines
    assert "varnish_gateway_operator_unfollowed_sources 2.0" in lines
    assert "varnish_gateway_operator_follow_failures_total 7.0" in lines
    assert (
        f'varnish_gateway_operator_build_info{{version="{metadata.version("varnish-gateway-operator")}"}} 1.0' in lines
    )
    assert len(lines) == len(set(lines)) == 14


def test_prometheus_has_nothing_to_find_fault_with() -> None:
    command = [os.environ["VARNISH_GATEWAY_PROMTOOL"], "check", "metrics"]
    facts = Facts(objects={"HTTPRoute": 3}, writes={"apply": 2})
    judged = subprocess.run(command, input=exposition(facts), capture_output=True, check=False)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, b"")
