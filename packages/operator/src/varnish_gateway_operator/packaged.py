"""The VCL texts that are part of this package."""

from importlib import resources

from varnish_gateway_operator.translate.vcl import VclParts


def vcl_parts() -> VclParts:
    """The preamble and the postamble."""
    folder = resources.files("varnish_gateway_operator.translate") / "vcl"
    return VclParts(
        preamble=(folder / "preamble.vcl").read_text("utf-8"),
        postamble=(folder / "postamble.vcl").read_text("utf-8"),
    )
