"""What a cluster gets besides Kubernetes: images, and the gateway by its chart."""

from pathlib import Path

from e2e.cluster import images
from e2e.cluster.layout import OPERATOR_NAMESPACE
from e2e.cluster.namespaces import ROOT, Cluster

CHART = ROOT / "helm" / "varnish-gateway"
RELEASE = "varnish-gateway"
ECHO_IMAGE = "localhost/echo:1"
SUITE_IMAGES = tuple(f"registry.k8s.io/gateway-api/conformance/echo-basic:{tag}" for tag in ("v0.1.0", "v0.2.0"))


def echo(cluster: Cluster, programs: Path) -> None:
    """The conformance suite's backend, under the names that its manifests have."""
    state = cluster.layout.state
    cluster.load(images.write(state / "echo.tar", programs / "bin/echo-basic", ECHO_IMAGE, *SUITE_IMAGES))


def gateway(cluster: Cluster, archives: Path, *values: str) -> None:
    """As a user would by the README, in a namespace that admits only what is restricted."""
    for archive in sorted(archives.glob("*.tar")):
        cluster.load(archive)
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    cluster.kubectl("label", "namespace", OPERATOR_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    helm = ["helm", "install", RELEASE, str(CHART), f"--namespace={OPERATOR_NAMESPACE}", "--wait", "--timeout=2m"]
    cluster.run(*helm, *(f"--set={value}" for value in values))
