"""TLS Secrets: the files that certificates.json names, as many to a Secret as it holds."""

import base64
from collections.abc import Iterator, Mapping
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_operator.translate.objects.shape import Json, Wanted

MOST_BYTES: Final = 1_000_000
"""Kubernetes' limit is 1 MiB of data."""


def tls_secrets(wanted: Wanted) -> list[Json]:
    """In the order of the files' names; a file above the limit cannot be, for a chain is 64 kB at most."""
    return [
        {
            **wanted.manifest("v1", "Secret", "-tls" if index == 1 else f"-tls-{index}"),
            "type": "Opaque",
            "data": {f"{name}{names.PEM}": base64.b64encode(content).decode() for name, content in files.items()},
        }
        for index, files in enumerate(_shares(wanted.certificate_files), start=1)
    ]


def _shares(files: Mapping[str, bytes]) -> Iterator[Mapping[str, bytes]]:
    share: dict[str, bytes] = {}
    size = 0
    for name, content in sorted(files.items()):
        if share and size + len(content) > MOST_BYTES:
            yield share
            share, size = {}, 0
        share[name] = content
        size += len(content)
    if share:
        yield share
