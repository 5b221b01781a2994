"""Names that more than one program must know."""

import hashlib
from typing import Final

STANDS_ON: Final = "Varnish 7.7, HAProxy 3.0, Gateway API 1.7"
"""What a user wants to know beside our own version."""

CONTROLLER_NAME: Final = "varnish-software.com/gateway"
API_GROUP: Final = "gateway.varnish-software.com"
API_VERSION: Final = "v1alpha1"

MANAGED_BY: Final = "varnish-gateway"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
"""On every object that the operator makes, and on the pods that come of it."""

# A gateway's folder STATE/<namespace>/<gateway>/, or the keys of its ConfigMap.
ROUTING: Final = "routing.json"
ROUTING_PARTS: Final = "routing.parts.json"
VCL: Final = "main.vcl"
LAST_GOOD_VCL: Final = "main.last-good.vcl"
POD: Final = "pod.json"
CERTIFICATES: Final = "certificates.json"
CERTIFICATE_FOLDER: Final = "certificates"
SECRETS: Final = "secrets.json"
REPORT: Final = "report.json"
STATUS: Final = "status"
"""STATE/status/<kind>/<namespace>/<name>.yaml; for kinds without a namespace STATE/status/<kind>/<name>.yaml."""


def folder_of(namespace: str) -> str:
    """The folder in STATE of a namespace's gateways: its name. The namespace `status` has `status_`, a name that no
    namespace can have."""
    return f"{STATUS}_" if namespace == STATUS else namespace


def namespace_of(folder: str) -> str | None:
    """The other way round; None for the folder of statuses."""
    if folder == STATUS:
        return None
    return STATUS if folder == folder_of(STATUS) else folder


PART: Final = "part"
"""The key of a ConfigMap that holds a part of a routing.json."""
PEM: Final = ".pem"
"""After a certificate's name: its file, or its key in a Secret."""

# The environment of a gateway's pod.
NAMESPACE_VARIABLE: Final = "VARNISH_GATEWAY_NAMESPACE"
POD_NAME_VARIABLE: Final = "VARNISH_GATEWAY_POD_NAME"
POD_VARIABLE: Final = "VARNISH_GATEWAY_POD"
"""pod.json itself: a pod's sockets do not change while it lives."""

# Between chaperone and ghost, in the folder that varnishd's environment names.
GHOST_FOLDER: Final = "VARNISH_GATEWAY_GHOST_FOLDER"
GHOST_HEAD_LIMITS: Final = "VARNISH_GATEWAY_GHOST_HEAD_LIMITS"
GHOST: Final = "ghost.json"
GHOST_CANDIDATE: Final = "ghost.candidate.json"

INTERNAL_SOCKET: Final = "ghost"
"""varnishd's unix socket for what only chaperone may ask."""

PASS_DIRECTLY: Final = b"vgw_router.pass_directly();"
"""In a main.vcl whose passes are direct."""

WEB_PORT: Final = 9180
"""Health, readiness and metrics of a chaperone: no listener can have this port."""


LONGEST_BASE: Final = 48
"""Of a base: what is added to it must fit into the 63 characters of a label."""


def base(namespace: str, gateway: str, class_name: str) -> str:
    """The name of a Gateway's objects: `<gateway>-<class>`; where that is no DNS label of at most 48 characters that
    begins with a letter, what can be kept of it and a hash of what it stands for."""
    wanted = f"{gateway}-{class_name}"
    label = wanted.lower().replace(".", "-")
    label = label if label[0].isalpha() else f"gw-{label}"
    if label == wanted and len(label) <= LONGEST_BASE:
        return label
    identity = f"{namespace}/{gateway}/{class_name}".encode()
    return f"{label[:LONGEST_BASE].rstrip('-')}-{hashlib.sha256(identity).hexdigest()[:8]}"


def report_of(base: str) -> str:
    """The ConfigMap that a gateway's pods report into."""
    return f"{base}-report"


def socket_name(protocol: str, port: int) -> str:
    """`http-80`: the name of a socket in every document, in varnishd's -a and in X-Gateway-Listener."""
    return f"{protocol.lower()}-{port}"


def service_key(namespace: str, name: str, port: int) -> str:
    """`namespace/name:port`: a port of a Service in routing.json and ghost.json."""
    return f"{namespace}/{name}:{port}"
