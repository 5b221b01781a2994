"""Whether OpenSSL takes a certificate with its key: asked before HAProxy sees it, once for each content."""

import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path

from varnish_gateway_common.document import digest


class Vetting:
    """Remembers what was good, so that a rotation among a thousand costs one look."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def mistakes(self, pems: Mapping[str, bytes]) -> dict[str, str]:
        """Name -> what is wrong with it. Raises OSError for a full disk."""
        by_digest = {name: digest(pem) for name, pem in pems.items()}
        unseen = {found: pems[name] for name, found in by_digest.items() if found not in self._said}
        said = {found: self._said[found] for found in by_digest.values() if found in self._said}
        self._said = said | (_looked_at(unseen) if unseen else {})
        return {name: self._said[found] for name, found in by_digest.items() if self._said[found]}

    def trust(self, pems: Mapping[str, bytes]) -> None:
        """HAProxy serves them: there is nothing to look for."""
        self._said.update(dict.fromkeys(map(digest, pems.values()), ""))

    def refuse(self, pem: bytes, reason: str) -> None:
        """HAProxy found what OpenSSL did not."""
        self._said[digest(pem)] = reason


def _looked_at(pems: Mapping[str, bytes]) -> dict[str, str]:
    """Python's ssl reads files only: one that is ours alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        file = Path(folder) / "pem"
        file.touch(0o600)
        return {found: _mistake(context, file, pem) for found, pem in pems.items()}


def _mistake(context: ssl.SSLContext, file: Path, pem: bytes) -> str:
    """Empty when there is none."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return "holds no certificate"
    if b"PRIVATE KEY-----" not in pem:
        return "holds no private key"
    if b"ENCRYPTED" in pem:
        return "holds an encrypted key"
    file.write_bytes(pem)
    try:
        context.load_cert_chain(file, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "PEM"
        return (
            "the key is not the certificate's" if reason == "KEY_VALUES_MISMATCH" else f"OpenSSL refuses it ({reason})"
        )
    return ""
