"""The NetworkPolicy of the pods: everybody may ask the listeners, and whoever gathers metrics the web port."""

from varnish_gateway_common import names
from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.parameters import NetworkPolicy
from varnish_gateway_operator.translate.objects.shape import Json, Wanted


def network_policy(wanted: Wanted, pod: Pod, asked: NetworkPolicy) -> Json:
    """Nothing is said of where pods may connect to: that is where backends are."""
    listeners = [_port(socket.port) for socket in pod.sockets]
    # A rule without ports is one for all of them.
    public: list[Json] = [{"ports": listeners}] if listeners else []
    metrics = {"from": list(asked.metrics_from) or [{"namespaceSelector": {}}], "ports": [_port(names.WEB_PORT)]}
    return {
        **wanted.manifest("networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {
            "podSelector": {"matchLabels": wanted.selector},
            "policyTypes": ["Ingress"],
            "ingress": [*public, metrics],
        },
    }


def _port(number: int) -> Json:
    return {"port": number, "protocol": "TCP"}
