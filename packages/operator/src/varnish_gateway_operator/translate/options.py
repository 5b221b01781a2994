"""What differs between a folder on one host and a cluster."""

from dataclasses import dataclass

from varnish_gateway_operator.translate.objects.shape import ClusterOptions
from varnish_gateway_operator.translate.vcl import VclParts


@dataclass(frozen=True)
class Options:
    vcl: VclParts
    shares_host: bool
    """All Gateways listen on one host, so that two cannot have the same port."""
    has_external_names: bool
    """Services of type ExternalName are followed, whatever a class's parameters say."""
    cluster: ClusterOptions | None = None
    """None: a folder, where there are no objects to be made."""
