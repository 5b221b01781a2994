"""Names that more than one program must know."""

from typing import Final

CONTROLLER_NAME: Final = "varnish-software.com/gateway"
API_GROUP: Final = "gateway.varnish-software.com"
API_VERSION: Final = "v1alpha1"

# A gateway's folder STATE/<namespace>/<gateway>/, or the keys of its ConfigMap.
ROUTING: Final = "routing.json"
VCL: Final = "main.vcl"
POD: Final = "pod.json"
CERTIFICATES: Final = "certificates.json"
CERTIFICATE_FOLDER: Final = "certificates"
REPORT: Final = "report.json"
STATUS: Final = "status"
"""STATE/status/<kind>/<namespace>/<name>.yaml; for kinds without a namespace STATE/status/<kind>/<name>.yaml."""

# Between chaperone and ghost, in the folder that varnishd's environment names.
GHOST_FOLDER: Final = "VARNISH_GATEWAY_GHOST_FOLDER"
GHOST: Final = "ghost.json"
GHOST_CANDIDATE: Final = "ghost.candidate.json"

INTERNAL_SOCKET: Final = "ghost"
"""varnishd's unix socket for what only chaperone may ask."""

WEB_PORT: Final = 9180
"""Health, readiness and metrics of a chaperone: no listener can have this port."""


def socket_name(protocol: str, port: int) -> str:
    """`http-80`: the name of a socket in every document, in varnishd's -a and in X-Gateway-Listener."""
    return f"{protocol.lower()}-{port}"


def service_key(namespace: str, name: str, port: int) -> str:
    """`namespace/name:port`: a port of a Service in routing.json and ghost.json."""
    return f"{namespace}/{name}:{port}"
