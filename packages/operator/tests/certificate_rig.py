"""Certificates for tests, made on the spot."""

import base64
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Pair = tuple[bytes, bytes]

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def pair(
    *names: str,
    start: int = 2020,
    end: int = 2120,
    key: Key | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
    issuer: str = "test",
) -> Pair:
    """`tls.crt` and `tls.key` of a certificate that its own key has signed, whoever it says that did."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name("test"))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(start, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(end, 1, 1, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    certificate = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, form, NoEncryption())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def secret(name: str, content: Pair, *, namespace: str = "default") -> dict[str, Any]:
    """The manifest of a Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": base64.b64encode(content[0]).decode(),
            "tls.key": base64.b64encode(content[1]).decode(),
        },
    }


def listener(name: str, hostname: str, *refs: str, port: int = 8443) -> dict[str, Any]:
    """An HTTPS listener; a reference is a name, or namespace/name."""
    found = []
    for ref in refs:
        namespace, _, own = ref.rpartition("/")
        found.append({"name": own, **({"namespace": namespace} if namespace else {})})
    return {
        "name": name,
        "protocol": "HTTPS",
        "port": port,
        **({"hostname": hostname} if hostname else {}),
        "tls": {"certificateRefs": found},
    }


def gateway(*listeners: dict[str, Any]) -> list[dict[str, Any]]:
    """A class and a Gateway `default/gw`."""
    group = "gateway.networking.k8s.io/v1"
    return [
        {
            "apiVersion": group,
            "kind": "GatewayClass",
            "metadata": {"name": "varnish"},
            "spec": {"controllerName": "varnish-software.com/gateway"},
        },
        {
            "apiVersion": group,
            "kind": "Gateway",
            "metadata": {"name": "gw"},
            "spec": {"gatewayClassName": "varnish", "listeners": list(listeners)},
        },
    ]


def grant(namespace: str) -> dict[str, Any]:
    """Gateways in `default` may refer to Secrets of this namespace."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "gateways", "namespace": namespace},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default"}],
            "to": [{"group": "", "kind": "Secret"}],
        },
    }
