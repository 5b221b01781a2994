"""What translation comes to: everything that is to be written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from varnish_gateway_common.certificates import Certificates
from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.objects.shape import Identity, Manager, Owned
from varnish_gateway_operator.translate.problems import Finding
from varnish_gateway_operator.translate.status import ObjectStatus

__all__ = ["GatewayPlan", "Manager", "Owned", "Plan", "StatusKey"]

StatusKey = tuple[str, str, str]
"""Kind, namespace (empty for kinds without one) and name."""


@dataclass(frozen=True)
class GatewayPlan:
    """The documents of one Gateway. None: what was written last stays."""

    routing: bytes
    vcl: str | None
    pod: Pod | None
    certificates: Certificates
    certificate_files: Mapping[str, bytes]
    """Name -> content, for every name in `certificates`."""
    owned: tuple[Owned, ...] = ()
    """In a cluster: the Gateway's objects, in the order to apply them."""
    kept: frozenset[Identity] = frozenset()
    """Objects that are not applied and yet stay as they are."""


@dataclass(frozen=True)
class Plan:
    """Everything that is to be there, and nothing else of ours."""

    gateways: Mapping[Key, GatewayPlan]
    statuses: Mapping[StatusKey, ObjectStatus]
    changes_at: datetime | None = None
    """When it would come out otherwise though nothing changed but the time."""
    findings: tuple[Finding, ...] = ()
    """What is not as somebody wants it."""
