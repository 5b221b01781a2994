"""Where things are, inside the cluster's namespaces and out, and the addresses that it uses. Pure."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

NODE = "node"
NODE_ADDRESS = "10.89.0.2"
NODE_NETWORK = "10.89.0.0/24"
GATEWAY_ADDRESS = "10.89.0.1"
"""Nobody has it: a default route must lead somewhere, and here it leads nowhere."""
POD_NETWORK = "10.88.0.0/16"
NODE_PODS = "10.88.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
LOAD_BALANCERS = "10.89.1.0/24"
API = "https://127.0.0.1:6443"
OPERATOR_NAMESPACE = "varnish-gateway-system"
PAUSE_IMAGE = "localhost/pause:1"


@dataclass(frozen=True)
class Layout:
    state: Path
    """Outside, and seen inside: certificates, kubeconfigs, logs."""
    programs: Path
    """What toolchain/build-kubernetes.sh made."""
    run: Path = Path("/run/cluster")
    """Inside only, in memory: databases, containers, sockets."""

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit(self) -> Path:
        """What service accounts asked the API server for, an event a line."""
        return self.logs / "audit.log"

    @property
    def cgroup(self) -> str:
        """One of this state's own, so that what a killed run left is found by the next."""
        return f"gateway-cluster-{hashlib.sha256(str(self.state).encode()).hexdigest()[:8]}"

    @property
    def containerd_socket(self) -> Path:
        return Path("/run/containerd/containerd.sock")

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.pki / f"{user}.kubeconfig"

    def program(self, name: str) -> str:
        return str(self.programs / "bin" / name)
