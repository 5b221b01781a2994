"""pod.json: what cannot change while a gateway's processes live."""

from varnish_gateway_common import names
from varnish_gateway_common.pod import Pod, PodSocket
from varnish_gateway_operator.resources.parameters import GatewayClassParameters, ParametersSpec
from varnish_gateway_operator.translate.listeners import GatewayVerdict


def pod_of(gateway: GatewayVerdict, parameters: GatewayClassParameters | None) -> Pod:
    """One socket for each port that is served, by number."""
    spec = parameters.spec if parameters else ParametersSpec()
    ports = sorted({verdict.listener.port for verdict in gateway.served})
    return Pod(
        version=1,
        gateway=gateway.gateway.full_name,
        sockets=tuple(PodSocket(name=names.socket_name("HTTP", port), port=port) for port in ports),
        storage=f"{spec.storage.type},{spec.storage.size}" if spec.storage.type == "malloc" else _file(spec),
        varnishd_arguments=spec.varnishd_extra_args,
    )


def _file(spec: ParametersSpec) -> str:
    """varnishd wants the file's name before its size; a relative one lies in its working directory."""
    return f"file,storage.bin,{spec.storage.size}"
