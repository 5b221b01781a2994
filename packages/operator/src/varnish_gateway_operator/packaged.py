"""The VCL texts that are part of this package."""

from importlib import resources

from varnish_gateway_operator.translate.vcl import VclParts


def vcl_parts() -> VclParts:
    """What stands around the user's VCL."""
    folder = resources.files("varnish_gateway_operator.translate") / "vcl"
    return VclParts(
        preamble=(folder / "preamble.vcl").read_text("utf-8"),
        direct=(folder / "direct.vcl").read_text("utf-8"),
        postamble=(folder / "postamble.vcl").read_text("utf-8"),
    )
