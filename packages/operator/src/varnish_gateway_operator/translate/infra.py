"""pod.json: what cannot change while a gateway's processes live."""

from varnish_gateway_common import names
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket, RequestLog
from varnish_gateway_operator.resources.parameters import Logging, ParametersSpec
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.listeners import Protocol
from varnish_gateway_operator.translate.objects.pod import STORAGE_FOLDER


def pod_of(gateway: GatewayVerdict, spec: ParametersSpec, *, in_cluster: bool) -> Pod:
    """One socket for each port that is served, by number."""
    sockets = sorted({(verdict.listener.port, verdict.protocol) for verdict in gateway.served})
    return Pod(
        version=1,
        gateway=gateway.gateway.full_name,
        sockets=tuple(_socket(port, protocol, spec) for port, protocol in sockets),
        storage=_storage(spec, f"{STORAGE_FOLDER}/" if in_cluster else ""),
        varnishd_arguments=spec.varnishd_extra_args,
        head_limits=HeadLimits(**spec.header_limits.model_dump()),
        request_log=_request_log(spec.logging),
    )


def _socket(port: int, protocol: Protocol, spec: ParametersSpec) -> PodSocket:
    return PodSocket(
        name=names.socket_name(protocol, port),
        port=port,
        protocol=protocol,
        front="proxy" if protocol == "HTTPS" or spec.http2.cleartext else "direct",
        accepts_proxy_protocol=spec.client_address.proxy_protocol,
    )


def _request_log(logging: Logging | None) -> RequestLog | None:
    if logging is None or logging.mode == "varnishlog-json":
        return None
    form = ("-F", logging.format) if logging.format and logging.mode == "varnishncsa" else ()
    return RequestLog(program=logging.mode, arguments=(*form, *logging.extra_args))


def _storage(spec: ParametersSpec, folder: str) -> str:
    """varnishd wants a file's name before its size; a relative one lies in its working directory."""
    where = "" if spec.storage.type == "malloc" else f"{folder}storage.bin,"
    return f"{spec.storage.type},{where}{spec.storage.size}"
