"""Self-signed P-256 certificates with their keys, by openssl's command."""

import subprocess
from concurrent.futures import ThreadPoolExecutor


def pem(name: str, serial: int = 1) -> bytes:
    """Certificate, then key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-set_serial", str(serial)]
    command += ["-days", "9", "-keyout", "-", "-out", "-"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    key, certificate = output.split(b"-----BEGIN CERTIFICATE-----")
    return b"-----BEGIN CERTIFICATE-----" + certificate + key


def pems(names: list[str]) -> dict[str, bytes]:
    """Name -> PEM."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(pem, names), strict=True))
