"""A gateway from a folder: every edit of a file is in effect within a second, and the statuses say so."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml

from live_rig import wait_for

pytestmark = pytest.mark.live

ADDRESS = "127.21.0.1"
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
VCL_SECONDS = 3.0
"""VCL is compiled to C before it is in effect: a second on an idle machine."""

USER_VCL = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: with-vcl}
spec: {userVCLConfigMapRef: {name: user-vcl, namespace: default}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: user-vcl}
data:
  user.vcl: |
    sub vcl_deliver { set resp.http.X-User = "%s"; }
"""


class Standalone:
    """The command, its folder, and what it answers."""

    def __init__(self, folder: Path, *, edit: Callable[[Path], None] = lambda _: None) -> None:
        self.folder, self.state, self.ready = folder / "yaml", folder / "state", folder / "ready"
        shutil.copytree(QUICKSTART, self.folder, ignore=shutil.ignore_patterns("*.py", "*.md"))
        edit(self.folder)
        command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "standalone", str(self.folder)]
        command += ["--state", str(self.state), "--address", ADDRESS, "--ready-file", str(self.ready)]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=log)

    def ask(self, host: str, path: str = "/", *, port: int = 8080) -> tuple[int, dict[str, str], str]:
        """Status, headers, body; status 0 where nobody listens."""
        connection = HTTPConnection(ADDRESS, port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        except (OSError, HTTPException):
            return 0, {}, ""
        finally:
            connection.close()

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def status(self, kind: str, name: str) -> dict[str, Any]:
        path = self.state / "status" / kind / "default" / f"{name}.yaml"
        loaded = yaml.safe_load(path.read_text()) if path.exists() else {}
        return dict(loaded.get("status", {}))

    def programmed(self) -> dict[str, Any]:
        return condition(self.status("gateway", "quickstart").get("conditions", []), "Programmed")

    def is_programmed(self) -> bool:
        return self.programmed().get("status") == "True"

    def log_text(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


def condition(conditions: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((item for item in conditions if item["type"] == name), {})


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vgw-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def backends() -> Iterator[None]:
    command = [sys.executable, str(QUICKSTART / "backends.py"), ADDRESS, "/nonexistent"]
    with subprocess.Popen(command) as process:
        yield
        process.kill()


@pytest.fixture
def gateway(backends: None, folder: Path) -> Iterator[Standalone]:
    standalone = Standalone(folder)
    try:
        wait_for("the gateway to be ready", standalone.ready.exists)
        wait_for("a backend", lambda: standalone.ask("blog.example.com")[0] == 200)
        yield standalone
    finally:
        if standalone.process.poll() is None:
            standalone.stop()
        print(standalone.log_text())


def test_edits_are_in_effect_within_a_second(gateway: Standalone) -> None:
    wait_for("Programmed", gateway.is_programmed, 5)

    gateway.edit("routes.yaml", "value: /old", "value: /older")
    wait_for("a changed rule", lambda: gateway.ask("shop.example.com", "/older")[0] == 301, 1)

    gateway.edit("routes.yaml", "weight: 80", "weight: 0")
    wait_for("a changed weight", lambda: served_by(gateway, "/api") == {"api-v2"}, 1)

    gateway.edit("services.yaml", "port: 9104", "port: 9101")
    wait_for("a changed endpoint", lambda: "storefront" in gateway.ask("blog.example.com")[2], 1)

    added = (gateway.folder / "routes.yaml").read_text().replace("shop", "added").replace("blog", "also-added")
    (gateway.folder / "added.yaml").write_text(added)
    wait_for("an added file", lambda: gateway.ask("added.example.com")[0] == 200, 1)

    (gateway.folder / "added.yaml").unlink()
    wait_for("a deleted file", lambda: gateway.ask("added.example.com")[0] == 404, 1)
    assert gateway.status("httproute", "added") == {}
    assert gateway.stop() == 0


def served_by(gateway: Standalone, path: str) -> set[str]:
    return {gateway.ask("shop.example.com", path)[2].split()[0] for _ in range(10)}


def test_user_vcl_comes_changes_and_breaks(gateway: Standalone) -> None:
    (gateway.folder / "vcl.yaml").write_text(USER_VCL % "one")
    reference = "{group: gateway.varnish-software.com, kind: GatewayClassParameters, name: with-vcl}"
    name = "controllerName: varnish-software.com/gateway"
    gateway.edit("gateway.yaml", name, f"{name}\n  parametersRef: {reference}")
    wait_for("user VCL", lambda: gateway.ask("blog.example.com")[1].get("x-user") == "one", VCL_SECONDS)

    (gateway.folder / "vcl.yaml").write_text(USER_VCL % "two")
    wait_for("changed user VCL", lambda: gateway.ask("blog.example.com")[1].get("x-user") == "two", VCL_SECONDS)
    wait_for("Programmed", gateway.is_programmed, VCL_SECONDS)

    (gateway.folder / "vcl.yaml").write_text(USER_VCL.replace("resp.http", "no.such.thing") % "three")
    wait_for("the compiler's message", lambda: "no.such.thing" in gateway.programmed().get("message", ""), VCL_SECONDS)
    assert gateway.programmed()["status"] == "False"
    assert gateway.ask("blog.example.com")[1]["x-user"] == "two"

    gateway.edit("routes.yaml", "value: /old", "value: /older")
    wait_for("a route beside broken VCL", lambda: gateway.ask("shop.example.com", "/older")[0] == 301, 1)


def test_a_listener_moves_to_another_port(gateway: Standalone) -> None:
    gateway.edit("gateway.yaml", "port: 8080", "port: 8081")
    wait_for("the new port", lambda: gateway.ask("blog.example.com", port=8081)[0] == 200, 10)
    assert gateway.ask("blog.example.com")[0] == 0
    wait_for("Programmed", gateway.is_programmed, 5)


def test_broken_yaml_breaks_its_own_file_only(gateway: Standalone) -> None:
    gateway.edit("routes.yaml", "kind: HTTPRoute", "kind: [HTTPRoute")
    wait_for("the log to name file and line", lambda: "routes.yaml:" in gateway.log_text(), 2)
    mistakes = gateway.state / "status" / "mistakes.yaml"
    wait_for("the list of mistakes", lambda: mistakes.exists() and "routes.yaml" in mistakes.read_text(), 2)
    assert gateway.ask("blog.example.com")[0] == 200

    gateway.edit("services.yaml", "port: 9104", "port: 9101")
    wait_for("another file's change", lambda: "storefront" in gateway.ask("blog.example.com")[2], 1)
    gateway.edit("routes.yaml", "kind: [HTTPRoute", "kind: HTTPRoute")
    wait_for("the list to be empty again", lambda: "routes.yaml" not in _text(mistakes), 2)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_varnishd_killed_in_mid_traffic_comes_back(gateway: Standalone) -> None:
    children = subprocess.run(
        ["pgrep", "-f", f"a http-8080={ADDRESS}:8080"], capture_output=True, text=True, check=True
    )
    for pid in children.stdout.split():
        subprocess.run(["kill", "-9", pid], check=False)
    wait_for("varnishd to be gone", lambda: gateway.ask("blog.example.com")[0] == 0, 5)
    wait_for("varnishd to be back", lambda: gateway.ask("blog.example.com")[0] == 200, 15)
    assert gateway.process.poll() is None


def test_a_second_start_serves_in_seconds(gateway: Standalone, folder: Path) -> None:
    assert gateway.stop() == 0
    gateway.ready.unlink(missing_ok=True)
    start = time.monotonic()
    again = Standalone(folder / "again")
    try:
        wait_for("the second start", again.ready.exists, 10)
        print(f"ready after {time.monotonic() - start:.1f} s")
        assert again.ask("blog.example.com")[0] == 200
    finally:
        assert again.stop() == 0


def test_two_gateways_on_one_port(backends: None, folder: Path) -> None:
    def add_a_second(manifests: Path) -> None:
        text = (manifests / "gateway.yaml").read_text().replace("name: quickstart", "name: second")
        (manifests / "second.yaml").write_text(text.partition("---\n")[2])

    standalone = Standalone(folder, edit=add_a_second)
    try:
        wait_for("the gateway to be ready", standalone.ready.exists)
        assert standalone.ask("blog.example.com")[0] == 200
        listeners = standalone.status("gateway", "second")["listeners"]
        assert condition(listeners[0]["conditions"], "Accepted")["reason"] == "PortUnavailable"
    finally:
        assert standalone.stop() == 0


def test_a_port_in_use_is_named(backends: None, folder: Path) -> None:
    with socket.create_server((ADDRESS, 8080)):
        standalone = Standalone(folder)
        try:
            wait_for("the log to name the port", lambda: f"{ADDRESS}:8080" in standalone.log_text(), 15)
            assert standalone.process.poll() is None
            assert not standalone.ready.exists()
        finally:
            assert standalone.stop() == 0


def test_a_folder_that_is_not_there_is_an_error() -> None:
    command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "standalone", "/no/such/folder"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert "/no/such/folder" in ended.stderr
