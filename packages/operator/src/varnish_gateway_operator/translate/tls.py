"""tls.options of a listener: what the specification leaves to implementations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from varnish_gateway_common.names import API_GROUP
from varnish_gateway_common.wording import quoted
from varnish_gateway_operator.translate.problems import Problem, unsupported

Version = Literal["TLSv1.2", "TLSv1.3"]
Alpn = tuple[Literal["h2", "http/1.1"], ...]

MIN_VERSION: Final = f"{API_GROUP}/min-version"
ALPN: Final = f"{API_GROUP}/alpn"

VERSIONS: Final[Mapping[str, Version]] = {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}
ALPNS: Final[Mapping[str, Alpn]] = {"h2,http/1.1": ("h2", "http/1.1"), "http/1.1": ("http/1.1",)}


@dataclass(frozen=True)
class TlsOptions:
    """How a listener speaks TLS, and what of its options cannot be had."""

    min_version: Version = "TLSv1.2"
    alpn: Alpn = ("h2", "http/1.1")
    problems: tuple[Problem, ...] = ()


def tls_options(options: Mapping[str, str]) -> TlsOptions:
    """An option that is not known could be one that protects: it is refused, never passed over."""
    known: Mapping[str, Mapping[str, object]] = {MIN_VERSION: VERSIONS, ALPN: ALPNS}
    problems = []
    for key, value in options.items():
        if key not in known:
            problems.append(unsupported("tls.options", f"{quoted(key)} is not a known option"))
        elif value not in known[key]:
            wanted = " or ".join(f'"{each}"' for each in known[key])
            problems.append(unsupported("tls.options", f"{key} is {quoted(value)}; it can be {wanted}"))
    return TlsOptions(
        VERSIONS.get(options.get(MIN_VERSION, ""), "TLSv1.2"),
        ALPNS.get(options.get(ALPN, ""), ("h2", "http/1.1")),
        tuple(problems),
    )
