"""ListenerSets: who is allowed, what their certificates may be, and what is said of them."""

from typing import Any

import pytest

from certificate_rig import NOW, gateway, grant, listener, pair, secret
from operator_rig import GATEWAY, OPTIONS, plan
from varnish_gateway_operator.resources.parse import kind_of, parse
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import Memory, Plan, translate

PAIR = pair("a.test")


def set_of(namespace: str = "team") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{name: more, namespace: {namespace}}}
spec:
  parentRef: {{name: gw, namespace: default}}
  listeners: [{{name: http, protocol: HTTP, port: 8081}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{team: web}}}}
---
"""


def allowing(namespaces: str) -> str:
    return GATEWAY.replace(
        "gatewayClassName: varnish", f"gatewayClassName: varnish\n  allowedListeners: {{namespaces: {namespaces}}}"
    )


def conditions(found: Plan, namespace: str = "team") -> dict[str, dict[str, Any]]:
    status = found.statuses["ListenerSet", namespace, "more"].status
    return {each["type"]: each for each in status["conditions"]}


@pytest.mark.parametrize(
    ("namespaces", "namespace", "is_allowed"),
    [
        ("{from: All}", "team", True),
        ("{from: None}", "default", False),
        ("{}", "default", False),
        ("{from: Same}", "default", True),
        ("{from: Same}", "team", False),
        ("{from: Selector, selector: {matchLabels: {team: web}}}", "team", True),
        ("{from: Selector, selector: {matchLabels: {team: shop}}}", "team", False),
        ("{from: Selector}", "team", False),
        ("{from: Some}", "default", False),
    ],
)
def test_who_is_allowed(namespaces: str, namespace: str, is_allowed: bool) -> None:
    found = plan(allowing(namespaces) + set_of(namespace))
    accepted = conditions(found, namespace)["Accepted"]
    assert accepted["reason"] == ("Accepted" if is_allowed else "NotAllowed")
    assert found.statuses["Gateway", "default", "gw"].status["attachedListenerSets"] == int(is_allowed)
    pod = found.gateways["default", "gw"].pod
    assert pod
    assert len(pod.sockets) == 1 + is_allowed


def test_the_set_of_a_gateway_that_is_not_accepted() -> None:
    refused = allowing("{from: All}").replace("protocol: HTTP", "protocol: UDP")
    found = conditions(plan(refused + set_of()))
    assert found["Accepted"]["reason"] == "ParentNotAccepted"
    assert found["Programmed"]["reason"] == "ParentNotAccepted"


def test_a_set_of_nobody_of_ours_is_left_alone() -> None:
    alien = set_of().replace("{name: gw, namespace: default}", "{name: theirs, namespace: default}")
    assert ("ListenerSet", "team", "more") not in plan(GATEWAY + alien).statuses


def with_certificate(*grants: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The conditions of a set in `team` with a certificate of the namespace `far`, and its only listener's."""
    class_, gateway_ = gateway(listener("own", "own.test", "own"))
    gateway_["spec"]["allowedListeners"] = {"namespaces": {"from": "All"}}
    more = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ListenerSet",
        "metadata": {"name": "more", "namespace": "team"},
        "spec": {
            "parentRef": {"name": "gw", "namespace": "default"},
            "listeners": [listener("https", "a.test", "far/cert")],
        },
    }
    contents = [class_, gateway_, more, secret("own", PAIR), secret("cert", PAIR, namespace="far"), *grants]
    resources = []
    for content in contents:
        kind = kind_of(content)
        assert kind
        resources.append(parse(kind, content, unknown_fields="forbid"))
    found = translate(snapshot_of(resources), {}, OPTIONS, Memory(), NOW)
    (entry,) = found.statuses["ListenerSet", "team", "more"].status["listeners"]
    return {**{each["type"]: each for each in entry["conditions"]}, "set": conditions(found)["Accepted"]}


def test_a_grant_to_gateways_is_none_to_sets() -> None:
    found = with_certificate(grant("far"))
    assert found["ResolvedRefs"]["reason"] == "RefNotPermitted"
    assert found["set"]["reason"] == "ListenersNotValid"
    assert found["set"]["status"] == "False"


def test_a_set_needs_a_grant_of_its_own() -> None:
    own = grant("far")
    own["spec"]["from"] = [{"group": "gateway.networking.k8s.io", "kind": "ListenerSet", "namespace": "team"}]
    found = with_certificate(own)
    assert found["ResolvedRefs"]["status"] == "True"
    assert found["set"]["status"] == "True"
