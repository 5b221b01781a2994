"""What a HAProxy is, by its own account (pure)."""

import re
from dataclasses import dataclass
from typing import Final

OURS: Final = "+gateway"
"""At the end of the version of those that toolchain/build-haproxy.sh builds."""
HYBRID_SINCE: Final = (3, 5)
"""The OpenSSL that brought X25519MLKEM768."""

_VERSION: Final = re.compile(r"^HAProxy version (\S+)", re.MULTILINE)
_OPENSSL: Final = re.compile(r"^Running on OpenSSL version : OpenSSL (\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Build:
    """A program and the library that it runs with."""

    version: str = ""
    openssl: tuple[int, int] = (0, 0)
    """Of another library, or none, nothing is known."""

    @property
    def is_patched(self) -> bool:
        """Whether it has our patches."""
        return OURS in self.version

    @property
    def has_hybrid_groups(self) -> bool:
        """Whether keys can be agreed on that no quantum computer finds afterwards."""
        return self.openssl >= HYBRID_SINCE


def parsed(text: str) -> Build:
    """From what `haproxy -vv` prints."""
    version, openssl = _VERSION.search(text), _OPENSSL.search(text)
    return Build(version[1] if version else "", (int(openssl[1]), int(openssl[2])) if openssl else (0, 0))
