"""The command lines of a cluster's programs, and the files that they read. Pure."""

import json
from typing import Any

from e2e.cluster.layout import (
    DNS_SERVICE,
    LOAD_BALANCERS,
    NODE,
    NODE_ADDRESS,
    NODE_PODS,
    PAUSE_IMAGE,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)

ETCD = "http://127.0.0.1:2379"
API = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "load-balancer")
NODE_PROGRAMS = ("kubelet", "kube-proxy")


def command(layout: Layout, name: str) -> list[str]:
    """How a program is started."""
    if name == "containerd":
        return ["containerd", "--config", str(layout.run / "containerd.toml")]
    return [layout.program(name), *(f"--{option}={value}" for option, value in _options(layout, name).items())]


def files(layout: Layout) -> dict[str, str]:
    """Name in the run folder -> content."""
    return {
        "containerd.toml": _containerd(layout),
        "cni/pods.conflist": json.dumps(_pod_network(layout)),
        "kubelet.json": json.dumps(_kubelet(layout)),
        "proxy.json": json.dumps(_proxy(layout)),
        "resolv.conf": "",
        "audit.json": json.dumps(_audit()),
    }


def _options(layout: Layout, name: str) -> dict[str, object]:
    pki = layout.pki
    match name:
        case "etcd":
            return {
                "data-dir": layout.run / "etcd",
                "unsafe-no-fsync": "true",
                "listen-client-urls": ETCD,
                "advertise-client-urls": ETCD,
                "listen-peer-urls": "http://127.0.0.1:2380",
            }
        case "kube-apiserver":
            return _apiserver(layout)
        case "kube-controller-manager":
            config = layout.kubeconfig("controller-manager")
            return {
                **_authenticated(layout, "controller-manager"),
                "service-account-private-key-file": pki / "accounts.key",
                "root-ca-file": pki / "ca.crt",
                "use-service-account-credentials": "true",
                "allocate-node-cidrs": "true",
                "cluster-cidr": POD_NETWORK,
                "service-cluster-ip-range": SERVICE_NETWORK,
                "kubeconfig": config,
            }
        case "kube-scheduler":
            return _authenticated(layout, "scheduler")
        case "load-balancer":
            return {"kubeconfig": layout.kubeconfig(), "network": LOAD_BALANCERS}
        case "kubelet":
            return {
                "config": layout.run / "kubelet.json",
                "kubeconfig": layout.kubeconfig("kubelet"),
                "hostname-override": NODE,
                "node-ip": NODE_ADDRESS,
                "root-dir": layout.run / "kubelet",
            }
        case "kube-proxy":
            return {"config": layout.run / "proxy.json"}
    raise ValueError(name)


def _authenticated(layout: Layout, user: str) -> dict[str, object]:
    config = layout.kubeconfig(user)
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
    }


def _apiserver(layout: Layout) -> dict[str, object]:
    pki = layout.pki
    return {
        "etcd-servers": ETCD,
        "service-cluster-ip-range": SERVICE_NETWORK,
        "advertise-address": NODE_ADDRESS,
        "bind-address": "0.0.0.0",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "service-account-key-file": pki / "accounts.pub",
        "service-account-signing-key-file": pki / "accounts.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "kubelet-client-certificate": pki / "apiserver-kubelet.crt",
        "kubelet-client-key": pki / "apiserver-kubelet.key",
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": pki / "ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki / "front-proxy.crt",
        "proxy-client-key-file": pki / "front-proxy.key",
        "audit-policy-file": layout.run / "audit.json",
        "audit-log-path": layout.audit,
    }


def _audit() -> dict[str, object]:
    """Every answered request of a service account that is not Kubernetes' own: who did what, not with what."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None"},
        ],
    }


def _containerd(layout: Layout) -> str:
    # Adjusting OOM scores needs CAP_SYS_RESOURCE, which root in a container may lack.
    return f"""\
version = 2
root = "{layout.run}/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.run}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _pod_network(layout: Layout) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.run / "addresses"),
        "ranges": [[{"subnet": NODE_PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}


def _kubelet(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.run / "resolv.conf"),
        # The machine's disk is not the cluster's to worry about.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%"}
        | {"imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 200,
    }


def _proxy(layout: Layout) -> dict[str, Any]:
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("proxy"))},
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NODE,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": untouched,
    }
