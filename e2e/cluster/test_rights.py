"""Who may do what: a gateway's pods next to nothing, the operator what it needs."""

import json
import subprocess
from typing import Any

import pytest

from e2e.cluster.layout import OPERATOR_NAMESPACE, Layout
from e2e.cluster.rig import BASE, NAMESPACE, Rig

FORBIDDEN = 403
POD = f"system:serviceaccount:{NAMESPACE}:{BASE}"
MAY = [
    ("get", f"configmaps/{BASE}"),
    ("patch", f"configmaps/{BASE}-report"),
    ("get", f"secrets/{BASE}-tls"),
    ("list", "endpointslices.discovery.k8s.io"),
]
MAY_NOT = [
    ("get", "configmaps/user-vcl"),
    ("list", "configmaps"),
    ("patch", f"configmaps/{BASE}"),
    ("get", "secrets/certificate"),
    ("list", "secrets"),
    ("create", "pods"),
    ("get", "pods"),
    ("list", "services"),
    ("get", "httproutes.gateway.networking.k8s.io"),
]


def can(verb: str, what: str, namespace: str) -> bool:
    command = ["kubectl", "auth", "can-i", verb, what, f"--namespace={namespace}", f"--as={POD}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "yes"


@pytest.mark.parametrize(("verb", "what"), MAY)
def test_a_pod_may(rig: Rig, verb: str, what: str) -> None:
    assert can(verb, what, NAMESPACE)


@pytest.mark.parametrize(("verb", "what"), MAY_NOT)
def test_a_pod_may_not(rig: Rig, verb: str, what: str) -> None:
    assert not can(verb, what, NAMESPACE)


@pytest.mark.parametrize(("verb", "what"), [*MAY, *MAY_NOT])
def test_a_pod_may_nothing_where_nothing_is_routed_to(rig: Rig, verb: str, what: str) -> None:
    assert not can(verb, what, "default")


def test_the_operator_is_refused_nothing(rig: Rig, layout: Layout) -> None:
    """An API server that has just begun knows no rights yet, so what was also allowed counts as allowed."""
    found = map(json.loads, layout.audit.read_text().splitlines())
    events = [event for event in found if f":{OPERATOR_NAMESPACE}:" in event["user"]["username"]]
    answers = {(_asked(event), event["responseStatus"].get("code") == FORBIDDEN) for event in events}
    allowed = {asked for asked, is_refused in answers if not is_refused}
    assert allowed
    assert {asked for asked, _ in answers} == allowed


def _asked(event: dict[str, Any]) -> tuple[str, str, str]:
    what = event["objectRef"]
    return event["verb"], what["resource"], what.get("subresource", "")
