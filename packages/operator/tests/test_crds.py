"""The definitions of our own kinds: up to date, structural, and the existing project's manifests are accepted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from operator_rig import GATEWAY, condition, contents_of, plan, resources_of
from varnish_gateway_operator.crds import exported, main
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.resources.parse import InvalidObjectError, kind_of, parse

EXPORTED: Final = exported()
FOLDER: Final = Path(__file__).parents[3] / "helm" / "varnish-gateway" / "crds"
ALLOWED: Final = {
    "additionalProperties",
    "description",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}

LOGGING: Final = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: logs}
spec:
  logging: {mode: varnishncsa, format: "%h %t", extraArgs: [-q, "ReqMethod eq 'GET'"], image: example.com/log:1}
  userVCLConfigMapRef: {name: vcl, namespace: default, key: user.vcl}
  varnishdExtraArgs: [-p, thread_pools=4]
  resources: {limits: {memory: 1Gi}}
  podDisruptionBudget: {minAvailable: 1}
  service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local}
"""
POLICY: Final = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: VarnishCachePolicy
metadata: {name: basic}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: gw}
  defaultTTL: 5m
  requestCoalescing: true
  grace: 30s
  keep: 24h
  cacheKey: {headers: [Accept-Language], queryParameters: {include: [page]}}
  bypass: {headers: [{name: Authorization}, {name: Cookie, valueRegex: "session="}]}
---
"""
INVALIDATION: Final = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: VarnishCacheInvalidation
metadata: {name: gone}
spec: {gatewayRef: {name: gw}, type: Purge, hostname: a.example.com, paths: [/a], ttl: 1h}
---
"""


def schemas(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield node
    for each in node.get("properties", {}).values():
        yield from schemas(each)
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from schemas(node[key])


@pytest.mark.parametrize("name", EXPORTED)
def test_the_definition_is_not_stale(name: str) -> None:
    assert (FOLDER / name).read_text() == EXPORTED[name], "run: nox -s schema"


def test_no_other_definition_is_there(tmp_path: Path) -> None:
    main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", EXPORTED)
def test_the_schema_is_structural(name: str) -> None:
    version = yaml.safe_load(EXPORTED[name])["spec"]["versions"][0]
    for schema in schemas(version["schema"]["openAPIV3Schema"]):
        assert set(schema) <= ALLOWED
        assert "type" in schema or schema["x-kubernetes-int-or-string"]


@pytest.mark.parametrize("name", EXPORTED)
def test_every_field_says_what_it_is(name: str) -> None:
    spec = yaml.safe_load(EXPORTED[name])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for schema in schemas(spec):
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            assert all(each.get("description") for each in schema.get("properties", {}).values())


@pytest.mark.parametrize(
    "text", [LOGGING, LOGGING.replace("[-q,", "[-b, -c, -E, -graw, -t, 'off', -q,"), POLICY, INVALIDATION]
)
def test_manifests_of_the_existing_project_are_accepted(text: str) -> None:
    assert resources_of(text)


@pytest.mark.parametrize(
    ("text", "replaced", "by", "message"),
    [
        (POLICY, "grace: 30s", "forcedTTL: 1m", "exclude each other"),
        (POLICY, "{include: [page]}", "{include: [page], exclude: [x]}", "exclude each other"),
        (LOGGING, "{minAvailable: 1}", "{}", "either minAvailable or maxUnavailable"),
        (LOGGING, "resources: {", "autoscaling: {minReplicas: 3, maxReplicas: 2}\n  resources: {", "minReplicas"),
        (LOGGING, "resources: {", "extraVolumes: [{name: run}]\n  resources: {", "gateway's own"),
        (LOGGING, "resources: {", "extraVolumes: [{}]\n  resources: {", "must have a name"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-w/tmp/log, -q,", "not for a log on standard output"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-Q, /etc/passwd, -q,", "not for a log on standard output"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-f/etc/passwd, -q,", "not for a log on standard output"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-bw/tmp/log, -q,", "a word of its own"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-cD, -q,", "a word of its own"),
        (LOGGING, "extraArgs: [-q,", "extraArgs: [-cqReqURL, -q,", "a word of its own"),
        (LOGGING, "extraArgs: [-q,", 'extraArgs: ["a\\nb", -q,', "control characters"),
        (LOGGING, "thread_pools=4", '"a\\nb"', "control characters"),
        (LOGGING, "resources: {", "extraVolumeMounts: [{name: run, mountPath: /x}]\n  resources: {", "gateway's own"),
        (LOGGING, "resources: {", "extraInitContainers: [{name: gateway, image: x}]\n  resources: {", "gateway's own"),
        (LOGGING, "thread_pools=4", "-T0.0.0.0:6082", "set by the gateway itself"),
        (LOGGING, "thread_pools=4", "-dT0.0.0.0:6082", "a word of its own"),
    ],
)
def test_what_the_definitions_refuse_is_refused_in_a_folder_too(
    text: str, replaced: str, by: str, message: str
) -> None:
    (content,) = contents_of(text.replace(replaced, by))
    kind = kind_of(content)
    assert kind
    with pytest.raises(InvalidObjectError, match=message):
        parse(kind, content, unknown_fields="forbid")


def test_a_policy_is_told_that_it_has_no_effect() -> None:
    found = plan(GATEWAY + POLICY + INVALIDATION)
    (entry,) = found.statuses["VarnishCachePolicy", "default", "basic"].status["ancestors"]
    assert entry["ancestorRef"]["name"] == "gw"
    assert entry["conditions"][0]["reason"] == "NotSupported"
    missing = plan(GATEWAY + POLICY.replace("name: gw", "name: none"))
    (entry,) = missing.statuses["VarnishCachePolicy", "default", "basic"].status["ancestors"]
    assert entry["conditions"][0]["reason"] == "TargetNotFound"
    odd = plan(GATEWAY + POLICY.replace("kind: Gateway", "kind: GRPCRoute"))
    (entry,) = odd.statuses["VarnishCachePolicy", "default", "basic"].status["ancestors"]
    assert entry["conditions"][0]["reason"] == "Invalid"
    status = found.statuses["VarnishCacheInvalidation", "default", "gone"].status
    assert status == {"phase": "Pending", "message": "invalidations are not carried out by this version"}
    assert condition(found, "Gateway", "gw", "Accepted")


@pytest.mark.parametrize("word", ["-p thread_pools=4", "-p ", " -p", "thread_pools =4", "thread_pools= 4"])
def test_a_blank_inside_of_a_word_is_refused_with_the_fix(word: str) -> None:
    """varnishd would not start, or take it for a part of the value."""
    with pytest.raises(ValueError, match='as "-p", "thread_pools=4"'):
        ParametersSpec.model_validate({"varnishdExtraArgs": [word]})
    ParametersSpec.model_validate({"varnishdExtraArgs": ["-p", "cc_command=exec cc -O2 %s"]})
