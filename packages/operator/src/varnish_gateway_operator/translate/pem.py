"""A certificate chain and its key, out of the bytes of a Secret: read, checked, and written again in one form.

What is written is made of what was understood, so that nothing else in the Secret reaches the front proxy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from varnish_gateway_common.document import digest

MAX_CHAIN_BYTES: Final = 64 * 1024
"""OpenSSL's clients give up beyond 100 kB."""
MAX_KEY_BYTES: Final = 16 * 1024
MIN_RSA_BITS: Final = 2048
"""OpenSSL's security level 2, the default of Debian, refuses what is smaller, and signatures by weak digests."""
CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
WEAK_DIGESTS: Final = frozenset({"md5", "sha1"})

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOSTNAME: Final = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_HOSTILE: Final = (
    ValueError,
    TypeError,
    ArithmeticError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""All that the parser says of what is none."""


class InvalidCertificateError(Exception):
    """Why these bytes cannot be served; never with a part of them."""


@dataclass(frozen=True)
class Pair:
    """A chain and its key."""

    content: bytes
    """PEM: the chain from the leaf on, then the key."""
    digest: str
    names: tuple[str, ...]
    """The leaf's DNS names, lower-case; none that could not be a hostname."""
    not_before: datetime
    not_after: datetime
    """The time in which all certificates of the chain are valid."""


def read_pair(chain: bytes, key: bytes) -> Pair:
    """From `tls.crt` and `tls.key`. Raises InvalidCertificateError."""
    certificates = _chain(chain)
    private = _private_key(key)
    try:
        if not _belong_together(certificates[0], private):
            raise InvalidCertificateError("tls.key does not belong to the first certificate of tls.crt")
        if not _is_whole(private):
            raise InvalidCertificateError("tls.key is damaged: its parts contradict each other")
        for number, certificate in enumerate(certificates, 1):
            _check_strength(certificate, number)
        content = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        content += private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Pair(
            content,
            digest(content),
            _names(certificates[0]),
            max(certificate.not_valid_before_utc for certificate in certificates),
            min(certificate.not_valid_after_utc for certificate in certificates),
        )
    except _HOSTILE:
        raise InvalidCertificateError("tls.crt or tls.key has parts that cannot be read") from None


def _chain(text: bytes) -> Sequence[x509.Certificate]:
    if len(text) > MAX_CHAIN_BYTES:
        raise InvalidCertificateError(f"tls.crt is larger than {MAX_CHAIN_BYTES} bytes")
    try:
        return x509.load_pem_x509_certificates(text)
    except _HOSTILE:
        raise InvalidCertificateError("tls.crt is not a chain of certificates in PEM") from None


def _private_key(text: bytes) -> PrivateKeyTypes:
    if len(text) > MAX_KEY_BYTES:
        raise InvalidCertificateError(f"tls.key is larger than {MAX_KEY_BYTES} bytes")
    if b"ENCRYPTED" in text:
        raise InvalidCertificateError("tls.key is encrypted; there is nobody to ask for its password")
    try:
        # To look for primes again takes longer than all the rest; _is_whole checks what damage can bring about.
        return load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
    except _HOSTILE:
        raise InvalidCertificateError("tls.key is not a private key in PEM") from None


def _belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def _is_whole(key: PrivateKeyTypes) -> bool:
    """A damaged key loads as well as a good one, belongs to its certificate by its public half, and fails at every
    handshake."""
    if isinstance(key, rsa.RSAPrivateKey):
        parts = key.private_numbers()
        p, q, e = parts.p, parts.q, parts.public_numbers.e
        exponents = (parts.d, p - 1), (parts.d, q - 1), (parts.dmp1, p - 1), (parts.dmq1, q - 1)
        are_inverse = all(each * e % modulus == 1 for each, modulus in exponents)
        return p * q == parts.public_numbers.n and are_inverse and parts.iqmp * q % p == 1
    if isinstance(key, ec.EllipticCurvePrivateKey):
        derived = ec.derive_private_key(key.private_numbers().private_value, key.curve)
        return derived.public_key().public_numbers() == key.public_key().public_numbers()
    return True


def _check_strength(certificate: x509.Certificate, number: int) -> None:
    """What the front proxy would refuse is refused here, where it can be said why."""
    key = certificate.public_key()
    what = f"certificate {number} of tls.crt"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise InvalidCertificateError(f"{what} has an RSA key of {key.key_size} bits; {MIN_RSA_BITS} are needed")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            raise InvalidCertificateError(f"{what} has a key on the curve {key.curve.name}, which is not supported")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise InvalidCertificateError(f"{what} has a key that is neither RSA, nor ECDSA, nor Ed25519")
    algorithm = certificate.signature_hash_algorithm
    if algorithm and algorithm.name in WEAK_DIGESTS and certificate.issuer != certificate.subject:
        raise InvalidCertificateError(f"{what} is signed by way of {algorithm.name}, which clients refuse")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """A certificate can name anything; what is no hostname is no server name either."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = (name.lower() for name in found.get_values_for_type(x509.DNSName))
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253 and _HOSTNAME.fullmatch(name)))
