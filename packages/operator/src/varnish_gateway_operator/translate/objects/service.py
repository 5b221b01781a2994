"""The Service before the pods: a port for each socket, and the addresses that the Gateway asks for."""

from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.parameters import ServiceParameters
from varnish_gateway_operator.translate.objects.shape import Json, Wanted


def service(wanted: Wanted, pod: Pod, asked: ServiceParameters) -> Json:
    balanced = asked.type == "LoadBalancer"
    options = {
        "externalTrafficPolicy": asked.external_traffic_policy if asked.type != "ClusterIP" else None,
        "externalIPs": list(wanted.request.external),
        "loadBalancerIP": wanted.request.load_balancer_ip,
        "loadBalancerClass": asked.load_balancer_class if balanced else None,
        "loadBalancerSourceRanges": list(asked.load_balancer_source_ranges) if balanced else None,
    }
    return {
        **wanted.manifest("v1", "Service", labels=asked.labels, annotations=asked.annotations),
        "spec": {
            "type": asked.type,
            "selector": wanted.selector,
            "ports": [
                {"name": socket.name, "port": socket.port, "targetPort": socket.port, "protocol": "TCP"}
                for socket in pod.sockets
            ],
            **{name: value for name, value in options.items() if value},
        },
    }
