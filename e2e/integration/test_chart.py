"""What the chart makes is judged by a real API server."""

import subprocess
from pathlib import Path

import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "varnish-gateway"
VALUES = {
    "defaults": [],
    **{file.stem: [f"--values={file}"] for file in sorted((CHART / "ci").glob("*.yaml"))},
    "another-class": ["--set=gatewayClass.name=edge,gatewayClass.parameters.varnishdExtraArgs={-p,thread_pools=1}"],
    "several": ["--set=replicas=3,podDisruptionBudget.minAvailable=50%"],
}
NAMESPACE = "chart"
MONITORS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.monitoring.coreos.com}}
spec:
  group: monitoring.coreos.com
  names: {{kind: {kind}, plural: {plural}}}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
---
"""


def run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cluster() -> None:
    """A namespace that admits only what is restricted, and CRDs that the chart may count on."""
    monitors = [(kind, f"{kind.lower()}s") for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")]
    crds = "".join(MONITORS.format(kind=kind, plural=plural) for kind, plural in monitors)
    for arguments, text in (
        (("create", "namespace", NAMESPACE), None),
        (("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"), None),
        (("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/warn=restricted"), None),
        (("apply", "--filename=-"), crds),
        *((("apply", "--server-side", f"--filename={file}"), None) for file in sorted((CHART / "crds").glob("*.yaml"))),
        (("wait", "--for=condition=Established", "crd", "--all"), None),
    ):
        done = run("kubectl", *arguments, text=text)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.usefixtures("cluster")
def test_every_object_is_accepted_without_a_warning(values: str) -> None:
    made = run("helm", "template", "gateway", str(CHART), f"--namespace={NAMESPACE}", *VALUES[values])
    assert made.returncode == 0, made.stderr
    judged = run("kubectl", "apply", "--dry-run=server", "--validate=strict", "--filename=-", text=made.stdout)
    assert judged.returncode == 0, judged.stderr
    assert judged.stderr == ""
    assert judged.stdout.count("(server dry run)") == made.stdout.count("\nkind: ")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("replicas=-1", "/replicas"),
        ("replica=2", "replica"),
        ("images.pullPolicy=Sometimes", "/images/pullPolicy"),
        ("images.gateway.digest=sha256:abc", "/images/gateway/digest"),
        ("gatewayClass.name=Not_A_Name", "/gatewayClass/name"),
        ("serviceMonitor.interval=often", "/serviceMonitor/interval"),
    ],
)
def test_a_wrong_value_is_named(value: str, named: str) -> None:
    made = run("helm", "template", "gateway", str(CHART), f"--set={value}")
    assert made.returncode != 0
    assert named in made.stderr


def test_an_alert_tells_of_every_process_that_dies() -> None:
    made = run("helm", "template", "gateway", str(CHART), "--set=prometheusRule.enabled=true")
    assert made.returncode == 0, made.stderr
    rules = [one for one in yaml.safe_load_all(made.stdout) if one and one["kind"] == "PrometheusRule"]
    alerts = {rule["alert"]: rule for one in rules for group in one["spec"]["groups"] for rule in group["rules"]}
    assert alerts["VarnishGatewayProcessDied"]["expr"] == "increase(varnish_gateway_restarts_total[15m]) > 0"
    assert "{{ $labels.process }}" in alerts["VarnishGatewayProcessDied"]["annotations"]["summary"]
    assert alerts["VarnishGatewayProcessKeepsDying"]["labels"] == {"severity": "critical"}
