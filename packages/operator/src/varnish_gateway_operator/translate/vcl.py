"""main.vcl: three parts in one file. The user's part is never parsed, and nothing else of the user's is ever pasted."""

from dataclasses import dataclass

from varnish_gateway_operator.resources.parameters import GatewayClassParameters
from varnish_gateway_operator.snapshot import Snapshot


@dataclass(frozen=True)
class VclParts:
    """The generated parts, static text."""

    preamble: str
    postamble: str

    @property
    def user_line(self) -> int:
        """The line of main.vcl on which the user's part begins."""
        return _closed(self.preamble).count("\n") + 1


@dataclass(frozen=True)
class Vcl:
    """main.vcl, or why there is no new one: then the last good one stays, for to leave the user's part out would be
    to leave out what it protects."""

    text: str | None
    problem: str | None = None


def main_vcl(parameters: GatewayClassParameters | None, snapshot: Snapshot, parts: VclParts) -> Vcl:
    """Preamble, the user's VCL, postamble."""
    ref = parameters.spec.user_vcl_config_map_ref if parameters else None
    if ref is None:
        return Vcl(concatenated(parts, ""))
    found = snapshot.config_maps.get((ref.namespace, ref.name))
    if found is None:
        return Vcl(None, f"userVCLConfigMapRef: ConfigMap {ref.namespace}/{ref.name} does not exist")
    if ref.key not in found.data:
        return Vcl(None, f"userVCLConfigMapRef: ConfigMap {ref.namespace}/{ref.name} has no key {ref.key!r}")
    return Vcl(concatenated(parts, found.data[ref.key]))


def concatenated(parts: VclParts, user: str) -> str:
    return _closed(parts.preamble) + _closed(user) + parts.postamble


def _closed(text: str) -> str:
    """With a newline at its end, so that a last line does not swallow the next part's first."""
    return text if not text or text.endswith("\n") else text + "\n"
