"""The certificates and kubeconfigs of a cluster: one authority, one identity for each program."""

import datetime
import ipaddress
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.layout import API, API_SERVICE, NODE, NODE_ADDRESS

API_NAMES = ("localhost", *(".".join(("kubernetes", "default", "svc", "cluster", "local")[:n]) for n in (1, 2, 3, 5)))
IDENTITIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "apiserver": ("kube-apiserver", "", (*API_NAMES, "127.0.0.1", API_SERVICE, NODE_ADDRESS)),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters", ()),
    "front-proxy": ("front-proxy-client", "", ()),
    "admin": ("admin", "system:masters", ()),
    "controller-manager": ("system:kube-controller-manager", "", ()),
    "scheduler": ("system:kube-scheduler", "", ()),
    "kubelet": (f"system:node:{NODE}", "system:nodes", (NODE, NODE_ADDRESS, "127.0.0.1")),
    "proxy": ("system:kube-proxy", "", ()),
}
"""File -> user, group, and the names and addresses that it serves."""
START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2050, 1, 1, tzinfo=datetime.UTC)


def write(folder: Path) -> None:
    """All files that the programs are told of."""
    folder.mkdir(parents=True)
    authority_key = _new_key(folder / "ca.key")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    authority = _signed(_builder(name, name, authority_key, is_authority=True), authority_key, folder / "ca.crt")
    for file, (user, group, names) in IDENTITIES.items():
        key = _new_key(folder / f"{file}.key")
        builder = _builder(_subject(user, group), authority.subject, key, is_authority=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_name, names))), critical=False)
        _signed(builder, authority_key, folder / f"{file}.crt")
        (folder / f"{file}.kubeconfig").write_text(_kubeconfig(folder, file))
    accounts = _new_key(folder / "accounts.key").public_key()
    (folder / "accounts.pub").write_bytes(
        accounts.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def self_signed(host: str) -> dict[str, str]:
    """A new certificate and its key, as a Secret's data has them before base64."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject(host, ""), _subject(host, ""), key, is_authority=False)
    certificate = builder.add_extension(x509.SubjectAlternativeName([_name(host)]), critical=False)
    signed = certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {"tls.crt": signed.decode(), "tls.key": _pem(key).decode()}


def _new_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    file.touch(mode=0o600)
    file.write_bytes(_pem(key))
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _subject(user: str, group: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, file: Path) -> x509.Certificate:
    certificate = builder.sign(key, hashes.SHA256())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _kubeconfig(folder: Path, user: str) -> str:
    """JSON is YAML too."""
    cluster = {"server": API, "certificate-authority": str(folder / "ca.crt")}
    identity = {"client-certificate": str(folder / f"{user}.crt"), "client-key": str(folder / f"{user}.key")}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": user, "context": {"cluster": "cluster", "user": user}}],
            "current-context": user,
        }
    )
