"""report.json: what a chaperone really runs, for the operator to turn into statuses."""

from typing import Literal

from varnish_gateway_common.document import Document


class Refusal(Document):
    """An input that was not taken; the last good one still serves."""

    input: Literal["routing", "vcl", "pod", "endpoints", "certificates"]
    digest: str
    """Of the refused bytes; empty when they could not be read."""
    message: str


class BrokenRule(Document):
    """A rule that ghost could not compile; it answers 500, the others serve."""

    route: str
    index: int
    reason: str


class UnservedService(Document):
    """A Service that is routed to and has no ready endpoint: requests for it are answered with 503."""

    service: str
    """Its key in routing.json."""
    reason: str


class Report(Document):
    """The whole document."""

    version: Literal[1]
    pod: str
    """The name of the pod, or of the host."""
    is_serving: bool = False
    is_draining: bool = False
    pod_digest: str = ""
    """Digest of the pod.json whose sockets are open; empty before the first."""
    routing_digest: str = ""
    """Digest of the routing.json in effect; empty before the first."""
    vcl_digest: str = ""
    """Digest of the main.vcl in effect; empty before the first."""
    passes_directly: bool = False
    """Whether the main.vcl in effect passes requests on without Varnish's fetch."""
    certificates_digest: str = ""
    """Digest of the certificates.json in effect; empty before the first."""
    refusals: tuple[Refusal, ...] = ()
    broken_rules: tuple[BrokenRule, ...] = ()
    unserved: tuple[UnservedService, ...] = ()
    """The first of them."""
