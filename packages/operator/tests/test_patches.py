"""Patches of pods: what they change, what they may not, and what becomes of a broken one."""

from typing import Any

import pytest

from operator_rig import condition, contents_of, resources_of
from test_objects import GATEWAY_WITH, found, plan, wanted
from test_objects_golden import CLUSTER
from varnish_gateway_operator.resources.broken import broken_of
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.resources.parse import InvalidObjectError
from varnish_gateway_operator.resources.patches import merge_patch
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import Memory, translate
from varnish_gateway_operator.translate.objects.owned import objects_of
from varnish_gateway_operator.translate.objects.shape import ClusterOptions


def pod_spec(parameters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    made = wanted(parameters=ParametersSpec.model_validate(parameters), **fields)
    spec: dict[str, Any] = found(objects_of(made).owned, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({}, {"a": None}, {}),
    ],
)
def test_a_merge_patch(target: Any, patch: Any, expected: Any) -> None:
    before = repr(target)
    assert merge_patch(target, patch) == expected
    assert repr(target) == before


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("podPatch: {spec: {containers: []}}", "podPatch: spec.containers is the gateway's own; use containerPatch"),
        ("podPatch: {spec: {hostNetwork: true}}", "podPatch: spec.hostNetwork is the gateway's own"),
        ("podPatch: {spec: {serviceAccountName: admin}}", "podPatch: spec.serviceAccountName is the gateway's own"),
        ("podPatch: {spec: {securityContext: {}}}", "is the gateway's own; use podSecurityContext"),
        ("podPatch: {spec: []}", "podPatch: spec must be an object"),
        ("podPatch: {metadata: {name: x}}", "podPatch: 'name' is not a field of a pod template that can be patched"),
        ("podPatch: {status: {}}", "podPatch: 'status' is not a field of a pod template that can be patched"),
        ("containerPatch: {image: other}", "containerPatch: image is the gateway's own; use image"),
        ("containerPatch: {command: [sh]}", "containerPatch: command is the gateway's own"),
        ("containerPatch: {securityContext: {privileged: true}}", "securityContext.privileged would be weaker"),
        ("containerPatch: {securityContext: {runAsUser: 0}}", "securityContext.runAsUser would be weaker"),
        ("containerPatch: {securityContext: {capabilities: {add: [SYS_ADMIN]}}}", "capabilities would be weaker"),
        ("containerPatch: {securityContext: {capabilities: {drop: [KILL]}}}", "capabilities would be weaker"),
        ("containerPatch: {securityContext: {seccompProfile: {type: Unconfined}}}", "seccompProfile would be weaker"),
        (
            "containerPatch: {securityContext: {readOnlyRootFilesystem: false}}",
            "readOnlyRootFilesystem would be weaker",
        ),
        ("extraContainers: [{name: gateway, image: x}]", "extraContainers: gateway is the gateway's own"),
        ("extraEnv: [{name: VARNISH_GATEWAY_POD}]", "names that begin with VARNISH_GATEWAY_ are the gateway's own"),
    ],
)
def test_a_broken_patch_is_a_condition(spec: str, message: str) -> None:
    text, _, parameters = GATEWAY_WITH.format(spec=spec).rpartition("---\n")
    with pytest.raises(InvalidObjectError) as caught:
        resources_of(parameters)
    bad = broken_of(contents_of(parameters)[0], str(caught.value))
    assert bad
    told = translate(snapshot_of(resources_of(text), [bad]), {}, CLUSTER, Memory())
    found = condition(told, "Gateway", "gw", "Accepted") or {}
    assert (found["status"], found["reason"]) == ("False", "InvalidParameters")
    assert message in found["message"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("podSecurityContext: {fsGroup: 7}", ""),
        ("podSecurityContext: {runAsNonRoot: false, runAsUser: 0}", "podSecurityContext weakens the pods' "),
        ("extraContainers: [{name: a, image: b, securityContext: {privileged: true}}]", "extraContainers a weakens "),
        (
            "extraInitContainers: [{name: a, image: b, securityContext: {procMount: Unmasked}}]",
            "extraInitContainers a ",
        ),
    ],
)
def test_weaker_security_is_told(spec: str, message: str) -> None:
    found = condition(plan(GATEWAY_WITH.format(spec=spec)), "Gateway", "gw", "Accepted") or {}
    assert found["status"] == "True"
    assert found["message"].startswith(message)
    assert bool(found["message"]) == bool(message)


def test_labels_of_ours_are_not_patched_away() -> None:
    patch = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None, "team": "web"}}}
    made = wanted(parameters=ParametersSpec.model_validate({"podPatch": patch}))
    deployment = found(objects_of(made).owned, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels["team"] == "web"
    assert deployment["selector"]["matchLabels"].items() <= labels.items()


def test_a_class_chooses_pull_secrets_before_the_operator() -> None:
    options = ClusterOptions(gateway_image="gateway:1", pull_secrets=("operators",))
    assert pod_spec({}, options=options)["imagePullSecrets"] == [{"name": "operators"}]
    of_class = pod_spec({"imagePullSecrets": [{"name": "own"}]}, options=options)
    assert of_class["imagePullSecrets"] == [{"name": "own"}]
    assert "imagePullSecrets" not in pod_spec({})


def test_only_listeners_are_open_to_everybody() -> None:
    sockets = [{"name": "http-80", "port": 80, "protocol": "HTTP"}]
    pod = wanted().pod
    assert pod
    opened = pod.model_validate({**pod.model_dump(), "sockets": sockets})
    policy = found(objects_of(wanted(pod=opened)).owned, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [
        {"ports": [{"port": 80, "protocol": "TCP"}]},
        {"from": [{"namespaceSelector": {}}], "ports": [{"port": 9180, "protocol": "TCP"}]},
    ]
    closed = found(objects_of(wanted()).owned, "NetworkPolicy")["spec"]["ingress"]
    assert [list(rule) for rule in closed] == [["from", "ports"]], "a rule without ports would open all of them"
    off = ParametersSpec.model_validate({"networkPolicy": {"enabled": False}})
    assert found(objects_of(wanted(parameters=off)).owned, "NetworkPolicy") is None


@pytest.mark.parametrize(
    "patch", ["{securityContext: null}", "{securityContext: {runAsNonRoot: null}}", "{image: null}"]
)
def test_nothing_of_ours_is_removed(patch: str) -> None:
    """null is as good as nothing in Kubernetes, and a patch that would be refused for it does without."""
    made = plan(GATEWAY_WITH.format(spec=f"containerPatch: {patch}")).gateways["default", "gw"].owned
    template = found(made, "Deployment")["spec"]["template"]["spec"]
    plain = found(plan(GATEWAY_WITH.format(spec="")).gateways["default", "gw"].owned, "Deployment")
    assert template == plain["spec"]["template"]["spec"]


def test_null_removes() -> None:
    made = plan(GATEWAY_WITH.format(spec="containerPatch: {livenessProbe: null}")).gateways["default", "gw"].owned
    assert "livenessProbe" not in found(made, "Deployment")["spec"]["template"]["spec"]["containers"][0]
