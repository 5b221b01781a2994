"""The first process of a cluster's namespaces: makes the node, starts every program, and reaps what is left behind.

python -m e2e.cluster.node STATE PROGRAMS [--control-plane]
"""

import argparse
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from e2e.cluster import cgroups, programs
from e2e.cluster.layout import API, GATEWAY_ADDRESS, NODE, NODE_ADDRESS, NODE_NETWORK, Layout

START_SECONDS = 60
started: dict[str, subprocess.Popen[bytes]] = {}
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1}
"""What kubelet insists on. They are the whole machine's, so it is shown files that have these values."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("programs", type=Path)
    parser.add_argument("--control-plane", action="store_true")
    options = parser.parse_args()
    layout = Layout(options.state, options.programs)
    mount(layout)
    connect()
    start(layout, programs.API)
    wait("the API server", lambda: bool(answer(layout, "/readyz")))
    start(layout, programs.CONTROLLERS)
    wait("the controllers", lambda: bool(answer(layout, "/api/v1/namespaces/default/serviceaccounts/default")))
    if not options.control_plane:
        prepare_cgroups(layout)
        start(layout, ("containerd",))
        wait("containerd", lambda: ends_well("ctr", "version"))
        start(layout, programs.NODE_PROGRAMS)
        wait("the node", lambda: is_ready(layout))
    print("ready", flush=True)
    while True:
        reap()


def mount(layout: Layout) -> None:
    """What the cluster writes is in memory, in mounts that nobody else sees and that end with it."""
    run("mount", "--make-rprivate", "/")
    cni_cache = Path("/var/lib/cni")
    cni_cache.mkdir(parents=True, exist_ok=True)
    for folder in ("/run", "/var/log", str(cni_cache)):
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    for name, content in programs.files(layout).items():
        file = layout.run / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    kubelet = layout.run / "kubelet"
    kubelet.mkdir()
    run("mount", "--bind", str(kubelet), str(kubelet))
    run("mount", "--make-rshared", str(kubelet))
    for name, value in SYSCTLS.items():
        file = layout.run / Path(name).name
        file.write_text(f"{value}\n")
        run("mount", "--bind", str(file), f"/proc/sys/{name}")


def connect() -> None:
    """Loopback, and the node's address on a bridge that leads nowhere."""
    run("hostname", NODE)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "node0", "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/{NODE_NETWORK.partition('/')[2]}", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    run("ip", "route", "add", "default", "via", GATEWAY_ADDRESS, "dev", "node0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def prepare_cgroups(layout: Layout) -> None:
    """kubelet wants its root in every hierarchy; a cpuset is empty until it is told of processors."""
    for hierarchy in cgroups.hierarchies():
        folder = hierarchy / layout.cgroup
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (file := folder / name).exists() and not file.read_text().strip():
                file.write_text((hierarchy / name).read_text())


def start(layout: Layout, names: tuple[str, ...]) -> None:
    for name in names:
        log = (layout.logs / f"{name}.log").open("ab")
        process = subprocess.Popen(programs.command(layout, name), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        (layout.run / f"{name}.pid").write_text(str(process.pid))
        started[name] = process


def wait(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        ended = [name for name, process in started.items() if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            raise SystemExit(f"{what}: not ready; ended: {ended}")
        time.sleep(0.1)


def answer(layout: Layout, path: str) -> bytes:
    """The API server's; nothing where it gives none, or an error."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    try:
        with urlopen(API + path, context=context, timeout=5) as response:
            return bytes(response.read())
    except OSError:
        return b""


def is_ready(layout: Layout) -> bool:
    node = json.loads(answer(layout, f"/api/v1/nodes/{NODE}") or b"{}")
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def ends_well(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def reap() -> None:
    """Containers' shims leave orphans, and they are the first process's to wait for."""
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(1)


if __name__ == "__main__":
    main()
