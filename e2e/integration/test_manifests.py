"""What the operator makes of a Gateway, and what its own kinds permit, judged by a real API server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "helm" / "varnish-gateway" / "crds"
CASES = ROOT / "packages" / "operator" / "tests" / "cluster"
HEAD = "apiVersion: gateway.varnish-software.com/v1alpha1\nmetadata: {name: x, namespace: default}\n"


def kubectl(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("kubectl", *arguments), input=text, capture_output=True, text=True, check=False)


def judged(*objects: Any) -> subprocess.CompletedProcess[str]:
    """By server-side apply, without doing it."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", text=text)


@pytest.fixture(scope="module")
def cluster() -> None:
    """Our own kinds, a namespace that is routed to, and one that warns of every pod that is not restricted."""
    for arguments in (
        ("apply", "--server-side", f"--filename={CRDS}"),
        ("wait", "--for=condition=Established", "crd", "--all"),
        ("create", "namespace", "apps"),
        ("label", "namespace", "default", "pod-security.kubernetes.io/warn=restricted"),
    ):
        done = kubectl(*arguments)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
@pytest.mark.usefixtures("cluster")
def test_every_object_of_a_gateway_is_accepted_without_a_warning(case: Path) -> None:
    for objects in yaml.safe_load((case / "objects.yaml").read_text()).values():
        for each in objects:
            del each["manager"]
        done = judged(*objects)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
@pytest.mark.usefixtures("cluster")
def test_the_manifests_of_our_own_kinds_are_accepted(case: Path) -> None:
    objects = list(yaml.safe_load_all((case / "in.yaml").read_text()))
    for each in objects:
        if each["apiVersion"].startswith("gateway.varnish-software.com/"):
            assert judged(each).returncode == 0


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("GatewayClassParameters", "{varnishdExtraArgs: [-p, a=b, -T0.0.0.0:1]}", "are set by the gateway itself"),
        ("GatewayClassParameters", "{varnishdExtraArgs: [-dT0.0.0.0:1]}", "a word of its own"),
        ("GatewayClassParameters", "{extraVolumes: [{name: run, emptyDir: {}}]}", "are the gateway's own"),
        ("GatewayClassParameters", "{extraVolumes: [{emptyDir: {}}]}", "extraVolumes[0].name: Required value"),
        ("GatewayClassParameters", "{podDisruptionBudget: {}}", "either minAvailable or maxUnavailable"),
        ("GatewayClassParameters", "{autoscaling: {minReplicas: 3, maxReplicas: 2}}", "must not be above maxReplicas"),
        ("GatewayClassParameters", "{clientAddress: {trustedNetworks: [10.0.0.1/8]}}", "without host bits"),
        ("GatewayClassParameters", "{service: {externalNetworks: ['2001:db8::1/32']}}", "without host bits"),
        ("GatewayClassParameters", "{service: {externalNetworks: [1.2.3]}}", "must be a network"),
        ("GatewayClassParameters", "{service: {type: ExternalName}}", "Unsupported value"),
        ("GatewayClassParameters", "{logging: {extraArgs: [-q, a, -w, /x]}}", "not for a log on standard output"),
        ("GatewayClassParameters", "{logging: {extraArgs: [-bw/x]}}", "every flag must be a word of its own"),
        ("GatewayClassParameters", "{servce: {}}", 'unknown field "servce"'),
        (
            "VarnishCachePolicy",
            "{targetRef: {group: g, kind: Gateway, name: a}, defaultTTL: 1s, forcedTTL: 1s}",
            "exclude each other",
        ),
        ("VarnishCachePolicy", "{}", 'missing required field "targetRef"'),
        (
            "VarnishCacheInvalidation",
            "{gatewayRef: {name: a}, type: Purge, hostname: 'a b', paths: [/]}",
            "spec.hostname",
        ),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_what_makes_no_sense_is_refused(kind: str, spec: str, message: str) -> None:
    content = yaml.safe_load(f"{HEAD}kind: {kind}\nspec: {spec}\n")
    if kind == "GatewayClassParameters":
        del content["metadata"]["namespace"]
    done = judged(content)
    assert done.returncode != 0
    assert message in done.stderr
