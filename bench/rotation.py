"""A Secret among a thousand changes: from just before its file is replaced to the first handshake that shows it."""

import base64
import json
import os
import random
import re
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.certificates import pem, pems
from bench.reload import wait_for
from bench.tls_client import certificate
from varnish_gateway_common.files import write_atomically

ADDRESS = "127.30.0.3"
PORT = 18447
LISTENERS, CERTIFICATES = 20, 50
"""Of a listener; a Gateway may have 64 listeners and each 64 certificates."""
ROTATIONS = 50

KEY = b"-----BEGIN PRIVATE KEY-----"

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: varnish}
spec: {controllerName: varnish-software.com/gateway}
---
"""


@dataclass(frozen=True)
class Rotation:
    certificates: int
    start_seconds: float
    """From the command to the moment when every listener serves, the translation included."""
    haproxy_start_ms: int
    milliseconds: tuple[float, ...]
    """Of each rotation, as a client sees it."""
    haproxy_ms: tuple[int, ...]
    """Of each, what telling HAProxy took."""
    reloads: int


def names() -> list[str]:
    return [f"c{number}.l{listener}.example.com" for listener in range(LISTENERS) for number in range(CERTIFICATES)]


def secret_name(hostname: str) -> str:
    return hostname.replace(".", "-")


def gateway() -> str:
    listeners = []
    for number in range(LISTENERS):
        refs = [{"name": secret_name(name)} for name in names()[number * CERTIFICATES : (number + 1) * CERTIFICATES]]
        listener = {"name": f"l{number}", "protocol": "HTTPS", "port": PORT, "hostname": f"*.l{number}.example.com"}
        listeners.append(listener | {"tls": {"certificateRefs": refs}})
    document = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "bench"}}
    return GATEWAY + json.dumps(document | {"spec": {"gatewayClassName": "varnish", "listeners": listeners}})


def write_secret(folder: Path, hostname: str, content: bytes) -> None:
    at = content.index(KEY)
    parts = {"tls.crt": content[:at], "tls.key": content[at:]}
    document: dict[str, object] = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
    document["metadata"] = {"name": secret_name(hostname)}
    document["data"] = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    write_atomically(folder / f"{secret_name(hostname)}.yaml", json.dumps(document).encode())


def run() -> Rotation:
    with TemporaryDirectory(prefix="vgw-bench-") as place:
        folder, log, ready = Path(place) / "folder", Path(place) / "log", Path(place) / "ready"
        folder.mkdir()
        (folder / "gateway.yaml").write_text(gateway())
        for name, content in pems(names()).items():
            write_secret(folder, name, content)
        command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "standalone", str(folder)]
        command += ["--address", ADDRESS, "--ready-file", str(ready), "--state", f"{place}/state"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        begun = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"PATH": path})
        try:
            wait_for(ready.exists)
            seconds = time.monotonic() - begun
            times = tuple(rotate(folder, name) for name in random.Random(1).sample(names(), ROTATIONS))
        finally:
            process.terminate()
            process.wait()
        return measured(seconds, times, log.read_text())


def rotate(folder: Path, hostname: str) -> float:
    content = pem(hostname, serial=2)
    expected = ssl.PEM_cert_to_DER_cert(content[: content.index(KEY)].decode())
    begun = time.monotonic()
    write_secret(folder, hostname, content)
    wait_for(lambda: certificate(ADDRESS, PORT, hostname) == expected)
    return (time.monotonic() - begun) * 1000


def measured(seconds: float, times: tuple[float, ...], log: str) -> Rotation:
    started = re.search(r"HAProxy serves (\d+) certificates after (\d+) ms", log)
    if not started:
        raise RuntimeError(f"chaperone said: {log[-2000:]}")
    told = [line for line in log.splitlines() if "certificates are in use after" in line]
    took = tuple(int(found[1]) for line in told if (found := re.search(r"in use after (\d+) ms", line)))
    return Rotation(int(started[1]), seconds, int(started[2]), times, took, sum("reload" in line for line in told))
