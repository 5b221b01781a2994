"""Which Secrets are read: those that a listener of ours refers to, and may refer to."""

import pytest

from operator_rig import CLASS, snapshot
from varnish_gateway_operator.translate.wanted_secrets import wanted_secrets

GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: vault}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}], to: [{group: "", kind: Secret}]}
---
"""


def listeners(ref: str) -> str:
    return f"listeners: [{{name: https, protocol: HTTPS, port: 443, tls: {{certificateRefs: [{ref}]}}}}]"


def gateway(ref: str, *, class_name: str = "varnish", more: str = "") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw, namespace: default}}
spec: {{gatewayClassName: {class_name}, {more}{listeners(ref)}}}
---
"""


def listener_set(ref: str) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{name: more, namespace: team}}
spec: {{parentRef: {{name: gw, namespace: default}}, {listeners(ref)}}}
---
"""


OPEN = "allowedListeners: {namespaces: {from: All}}, "


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (gateway("{name: a}"), {("default", "a")}),
        (gateway("{name: a, kind: ConfigMap}"), set()),
        (gateway("{name: a}", class_name="another"), set()),
        (gateway("{name: a, namespace: vault}"), set()),
        (gateway("{name: a, namespace: vault}") + GRANT, {("vault", "a")}),
        (gateway("{name: a}") + listener_set("{name: b}"), {("default", "a")}),
        (gateway("{name: a}", more=OPEN) + listener_set("{name: b}"), {("default", "a"), ("team", "b")}),
        (gateway("{name: a}", more=OPEN) + listener_set("{name: b, namespace: vault}") + GRANT, {("default", "a")}),
    ],
)
def test_wanted_secrets(text: str, wanted: set[tuple[str, str]]) -> None:
    assert wanted_secrets(snapshot(CLASS + text)) == wanted
