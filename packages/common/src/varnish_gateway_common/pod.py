"""pod.json: what the pod template of a gateway fixes. Any change of it rolls the pods; nothing else does."""

from typing import Literal, Self

from pydantic import model_validator

from varnish_gateway_common.document import Document
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.routing import Port


class PodSocket(Document):
    """A socket to open. The container's port is the listener's."""

    name: str
    port: Port
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"
    front: Literal["direct", "proxy"] = "direct"
    """direct: varnishd's own socket, HTTP/1.1. proxy: HAProxy before it, for TLS and HTTP/2. HTTPS is always proxy."""
    accepts_proxy_protocol: bool = False
    """Whether what connects (a load balancer) must say with PROXY v1 or v2 who the client is."""

    @model_validator(mode="after")
    def _https_has_a_front(self) -> Self:
        if self.protocol == "HTTPS" and self.front != "proxy":
            raise ValueError("an HTTPS socket needs the front `proxy`")
        return self


class RequestLog(Document):
    """A program of Varnish's that writes of each request to the container's standard output."""

    program: Literal["varnishlog", "varnishncsa"]
    arguments: tuple[str, ...] = ()


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
    head_limits: HeadLimits = HeadLimits()
    """For varnishd, ghost and HAProxy alike."""
    request_log: RequestLog | None = None
    """None: there is none."""
