"""pod.json: what the pod template of a gateway fixes. Any change of it rolls the pods; nothing else does."""

from typing import Literal

from varnish_gateway_common.document import Document
from varnish_gateway_common.routing import Port


class PodSocket(Document):
    """A socket to open. The container's port is the listener's."""

    name: str
    port: Port
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"


class Pod(Document):
    """The whole document; the digest of its canonical bytes goes into `varnish.io/infra-hash`."""

    version: Literal[1]
    gateway: str
    """`namespace/name` of the Gateway."""
    sockets: tuple[PodSocket, ...] = ()
    storage: str = "malloc,256m"
    """varnishd's -s."""
    varnishd_arguments: tuple[str, ...] = ()
    """More arguments of varnishd; those that chaperone sets itself are refused before they get here."""
