"""Certificates for tests: PEM files of a chain and its key, and gateways' folders with them."""

import datetime
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from varnish_gateway_common.certificates import Certificate, Certificates, Entry, TlsSocket
from varnish_gateway_common.document import digest

VALID: datetime.timedelta = datetime.timedelta(days=9)


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(*names: str, serial: int = 1, key: Key | None = None) -> bytes:
    """A certificate that signs itself, then its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    return certificate(key, *names, serial=serial) + key_pem(key)


def certificate(key: Key, *names: str, serial: int = 1) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def index(pems: Mapping[str, bytes], entries: tuple[Entry, ...], socket: str = "https-8443") -> bytes:
    """certificates.json."""
    certificates = tuple(Certificate(name=name, digest=digest(content)) for name, content in pems.items())
    return Certificates(
        version=1, certificates=certificates, sockets=(TlsSocket(name=socket, entries=entries),)
    ).to_json()
