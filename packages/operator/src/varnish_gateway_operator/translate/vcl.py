"""main.vcl: generated parts around the user's, in one file. The user's part is never parsed to be changed, and nothing
else of the user's is ever pasted."""

from dataclasses import dataclass
from typing import Final, Literal

from varnish_gateway_common.wording import named, quoted
from varnish_gateway_operator.resources.parameters import GatewayClassParameters, ParametersSpec, Passes
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.problems import Identity
from varnish_gateway_operator.translate.vcl_messages import UserVcl

MOST_KEYS: Final = 10
"""Of a ConfigMap, in a message."""


@dataclass(frozen=True)
class VclParts:
    """The generated parts, static text."""

    preamble: str
    direct: str
    """Follows the preamble where passes are direct."""
    postamble: str


@dataclass(frozen=True)
class Vcl:
    """main.vcl, or why there is no new one: then the last good one stays, for to leave the user's part out would be
    to leave out what it protects."""

    text: str | None
    user: UserVcl | None = None
    problem: str | None = None
    missing: Identity | None = None
    """The ConfigMap, where there is none."""


def main_vcl(parameters: GatewayClassParameters | None, snapshot: Snapshot, parts: VclParts) -> Vcl:
    """The user's VCL between the generated parts."""
    spec = parameters.spec if parameters else ParametersSpec()
    ref = spec.user_vcl_config_map_ref
    if ref is None:
        return Vcl(concatenated(parts, "", spec.passes))
    found = snapshot.config_maps.get((ref.namespace, ref.name))
    identity = ("ConfigMap", ref.namespace, ref.name)
    if found is None:
        name = f"{named(ref.namespace)}/{named(ref.name)}"
        return Vcl(None, problem=f"userVCLConfigMapRef names ConfigMap {name}, which does not exist", missing=identity)
    if ref.key not in found.data:
        there = ", ".join(map(quoted, list(found.data)[:MOST_KEYS])) or "none"
        return Vcl(None, problem=f"userVCLConfigMapRef: {found.title} has no key {quoted(ref.key)}; it has {there}")
    text = found.data[ref.key]
    first_line = _before(parts, text, spec.passes).count("\n") + 1
    return Vcl(concatenated(parts, text, spec.passes), UserVcl(identity, ref.key, text, first_line))


def concatenated(parts: VclParts, user: str, passes: Passes = "Auto") -> str:
    """All parts, as the class parameters want passes to go."""
    return _before(parts, user, passes) + _closed(user) + parts.postamble


def _before(parts: VclParts, user: str, passes: Passes) -> str:
    is_direct = (passes_of(user) if passes == "Auto" else passes) == "Direct"
    return _closed(parts.preamble) + (_closed(parts.direct) if is_direct else "")


NOT_DIRECT = ("vcl_backend_", "vcl_deliver", "vcl_synth", "vcl_pass", "include", "C{")
"""What a direct pass would skip, or what may bring that in unseen."""


def passes_of(user: str) -> Literal["Direct", "Fetch"]:
    """How passes go beside a user's VCL. The words need not stand where they mean something, as in a comment: a pass
    that is slower than it need be is right, one that skips what the user wrote is not."""
    return "Fetch" if any(word in user for word in NOT_DIRECT) else "Direct"


def _closed(text: str) -> str:
    """With a newline at its end, so that a last line does not swallow the next part's first."""
    return text if not text or text.endswith("\n") else text + "\n"
