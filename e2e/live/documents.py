"""What the operator makes of manifests, for a chaperone that runs without it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.pod import PodSocket
from varnish_gateway_operator.app import options
from varnish_gateway_operator.files import FolderSource
from varnish_gateway_operator.resources.parameters import Passes
from varnish_gateway_operator.translate import Memory, translate
from varnish_gateway_operator.translate.plan import GatewayPlan
from varnish_gateway_operator.translate.vcl import concatenated


@dataclass(frozen=True)
class Documents:
    """All that one gateway is given, but its pod.json: which sockets it has is the test's choice."""

    manifests: bytes
    """Where the endpoints are."""
    sockets: tuple[PodSocket, ...]
    """Those that it asks for."""
    routing: bytes
    vcl: bytes
    certificates: bytes
    pems: Mapping[str, bytes]

    def passing(self, passes: Passes) -> "Documents":
        """The same, without a user's VCL, with passes that go one way."""
        return replace(self, vcl=_default(passes))

    @property
    def has_user_vcl(self) -> bool:
        return self.vcl != _default("Auto")

    @property
    def digests(self) -> dict[str, str]:
        """What a report says of them once they are in effect."""
        return {
            "routing_digest": digest(self.routing),
            "vcl_digest": digest(self.vcl),
            "certificates_digest": digest(self.certificates),
        }

    def write(self, state: Path, endpoints: Path) -> None:
        """As the operator does: the index of certificates after its files."""
        for name, pem in self.pems.items():
            write_if_changed(state / names.CERTIFICATE_FOLDER / f"{name}.pem", pem)
        write_if_changed(state / names.CERTIFICATES, self.certificates)
        write_if_changed(endpoints / "in.yaml", self.manifests)
        write_if_changed(state / names.VCL, self.vcl)
        write_if_changed(state / names.ROUTING, self.routing)


def translated(manifests: bytes) -> dict[str, Documents]:
    """`namespace/name` -> the documents of each Gateway."""
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        (Path(folder) / "in.yaml").write_bytes(manifests)
        plan = translate(FolderSource(Path(folder)).read(), {}, options(), Memory(), datetime.now(UTC))
    return {"/".join(key): _documents(gateway, manifests) for key, gateway in plan.gateways.items()}


def _documents(gateway: GatewayPlan, manifests: bytes) -> Documents:
    return Documents(
        manifests,
        gateway.pod.sockets if gateway.pod else (),
        gateway.routing,
        _default("Auto") if gateway.vcl is None else gateway.vcl.encode(),
        gateway.certificates.to_json(),
        gateway.certificate_files,
    )


def _default(passes: Passes) -> bytes:
    return concatenated(options().vcl, "", passes).encode()
