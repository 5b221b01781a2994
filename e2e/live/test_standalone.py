"""A gateway from a folder: every edit of a file is in effect within a second, and the statuses say so."""

import http.client
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from live_rig import wait_for
from places import own_address
from standalone_rig import BACKENDS, Standalone, backends, condition

pytestmark = pytest.mark.live

PROMPT_SECONDS = 3.0
"""A second is promised; on a busy machine, at least the quickest of some edits keeps to this."""

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


@pytest.fixture(scope="module")
def running() -> Iterator[Standalone]:
    """One for all tests that only edit its folder."""
    with backends(), tempfile.TemporaryDirectory(prefix="vgw-") as name:
        standalone = Standalone(Path(name))
        try:
            standalone.await_ready()
            yield standalone
        finally:
            standalone.end()


@pytest.fixture
def gateway(running: Standalone) -> Standalone:
    """As the example has it, whatever the test before made of it."""
    running.restore()
    wait_for("the example's routes", lambda: is_as_ever(running))
    return running


def is_as_ever(gateway: Standalone) -> bool:
    """What the tests change is as the example says."""
    blog, old = gateway.ask("blog.example.com"), gateway.ask("shop.example.com", "/old")
    is_blog = blog.status == 200 and blog.body.startswith(b"blog") and "x-user" not in blog.fields
    return is_blog and old.status == 301 and gateway.is_programmed()


def seconds_until(what: str, claim: Callable[[], bool]) -> float:
    """How long it took."""
    begun = time.monotonic()
    wait_for(what, claim)
    return time.monotonic() - begun


def test_edits_are_in_effect_promptly(gateway: Standalone) -> None:
    wait_for("Programmed", gateway.is_programmed)

    gateway.edit("routes.yaml", "value: /old", "value: /older")
    took = [seconds_until("a changed rule", lambda: gateway.ask("shop.example.com", "/older").status == 301)]

    gateway.edit("routes.yaml", "weight: 80", "weight: 0")
    took.append(seconds_until("a changed weight", lambda: served_by(gateway, "/api") == {"api-v2"}))

    gateway.edit("services.yaml", "port: 9104", "port: 9101")
    took.append(seconds_until("a changed endpoint", lambda: "storefront" in gateway.says("blog.example.com")))

    added = (gateway.folder / "routes.yaml").read_text().replace("shop", "added").replace("blog", "also-added")
    (gateway.folder / "added.yaml").write_text(added)
    took.append(seconds_until("an added file", lambda: gateway.ask("added.example.com").status == 200))

    (gateway.folder / "added.yaml").unlink()
    took.append(seconds_until("a deleted file", lambda: gateway.ask("added.example.com").status == 404))
    wait_for("its status to go", lambda: gateway.status("httproute", "added") == {})
    assert min(took) < PROMPT_SECONDS


def served_by(gateway: Standalone, path: str) -> set[str]:
    return {gateway.says("shop.example.com", path).split()[0] for _ in range(10)}


def test_user_vcl_comes_changes_and_breaks(gateway: Standalone) -> None:
    (gateway.folder / "vcl.yaml").write_text(USER_VCL % "one")
    reference = "{group: gateway.varnish-software.com, kind: GatewayClassParameters, name: with-vcl}"
    name = "controllerName: varnish-software.com/gateway"
    gateway.edit("gateway.yaml", name, f"{name}\n  parametersRef: {reference}")
    wait_for("user VCL", lambda: gateway.ask("blog.example.com").fields.get("x-user") == "one")

    (gateway.folder / "vcl.yaml").write_text(USER_VCL % "two")
    wait_for("changed user VCL", lambda: gateway.ask("blog.example.com").fields.get("x-user") == "two")
    wait_for("Programmed", gateway.is_programmed)

    (gateway.folder / "vcl.yaml").write_text(USER_VCL.replace("resp.http", "no.such.thing") % "three")
    wait_for("the compiler's message", lambda: "no.such.thing" in gateway.programmed().get("message", ""))
    assert gateway.programmed()["status"] == "False"
    assert gateway.ask("blog.example.com").fields["x-user"] == "two"
    told = "vcl.yaml:12:27 ConfigMap default/user-vcl: user.vcl:1:23: Symbol not found: 'no.such.thing.X-User'"
    wait_for("the log to say so", lambda: told in gateway.log_text())
    assert gateway.log_text().count("Symbol not found") == 1, "by one of the programs"

    gateway.edit("routes.yaml", "value: /old", "value: /older")
    wait_for("a route beside broken VCL", lambda: gateway.ask("shop.example.com", "/older").status == 301)


def test_a_listener_moves_to_another_port(gateway: Standalone) -> None:
    gateway.edit("gateway.yaml", "port: 8080", "port: 8081")
    wait_for("the new port", lambda: gateway.ask("blog.example.com", port=8081).status == 200)
    assert gateway.ask("blog.example.com").status == 0
    wait_for("Programmed", gateway.is_programmed)


def test_broken_yaml_breaks_its_own_file_only(gateway: Standalone) -> None:
    gateway.edit("routes.yaml", "kind: HTTPRoute", "kind: [HTTPRoute")
    wait_for("the log to name file and line", lambda: "routes.yaml:" in gateway.log_text())
    mistakes = gateway.state / "status" / "mistakes.yaml"
    wait_for("the list of mistakes", lambda: mistakes.exists() and "routes.yaml" in mistakes.read_text())
    assert gateway.ask("blog.example.com").status == 200

    gateway.edit("services.yaml", "port: 9104", "port: 9101")
    wait_for("another file's change", lambda: "storefront" in gateway.says("blog.example.com"))
    gateway.edit("routes.yaml", "kind: [HTTPRoute", "kind: HTTPRoute")
    wait_for("the list to be empty again", lambda: "routes.yaml" not in _text(mistakes))


def test_a_mistake_is_told_once_and_when_it_is_mended(gateway: Standalone) -> None:
    told = "names Gateway default/quickstrat, which does not exist; did you mean default/quickstart?"
    before = gateway.log_text().count(told)
    gateway.edit("routes.yaml", "name: quickstart", "name: quickstrat")
    wait_for("the log to say so", lambda: gateway.log_text().count(told) > before)
    lines = [line for line in gateway.log_text().splitlines() if told in line]
    assert all("routes.yaml:" in line for line in lines)
    gateway.restore()
    wait_for("its end", lambda: "mended: routes.yaml:" in gateway.log_text())


def test_it_says_how_to_look_in(gateway: Standalone) -> None:
    found = re.search(r"varnishlog -n ([^\" ]+)", gateway.log_text())
    assert found
    assert Path(found[1]).is_dir()


def test_the_examples_backends_answer_head(gateway: Standalone) -> None:
    with closing(http.client.HTTPConnection(BACKENDS, 9104, timeout=60)) as connection:
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_varnishd_killed_in_mid_traffic_comes_back(gateway: Standalone) -> None:
    children = subprocess.run(
        ["pgrep", "-f", f"a http-8080={gateway.address}:8080"], capture_output=True, text=True, check=True
    )
    for pid in children.stdout.split():
        subprocess.run(["kill", "-9", pid], check=False)
    wait_for("varnishd to be gone", lambda: gateway.ask("blog.example.com").status == 0)
    wait_for("varnishd to be back", lambda: gateway.ask("blog.example.com").status == 200)
    assert gateway.process.poll() is None


def test_a_second_start_serves_in_seconds(gateway: Standalone) -> None:
    assert gateway.stop() == 0
    assert not gateway.ready.exists()
    start = time.monotonic()
    gateway.start_again()
    gateway.await_ready()
    assert time.monotonic() - start < 30
    assert gateway.ask("blog.example.com").status == 200


def test_two_gateways_on_one_port(running: Standalone, folder: Path) -> None:
    def add_a_second(manifests: Path) -> None:
        text = (manifests / "gateway.yaml").read_text().replace("name: quickstart", "name: second")
        (manifests / "second.yaml").write_text(text.partition("---\n")[2])

    standalone = Standalone(folder, edit=add_a_second)
    try:
        standalone.await_ready()
        assert standalone.ask("blog.example.com").status == 200
        wait_for("a status", lambda: "listeners" in standalone.status("gateway", "second"))
        listeners = standalone.status("gateway", "second")["listeners"]
        assert condition(listeners[0]["conditions"], "Accepted")["reason"] == "PortUnavailable"
    finally:
        assert standalone.stop() == 0


def test_a_port_in_use_is_named(running: Standalone, folder: Path) -> None:
    address = own_address()
    with socket.create_server((address, 8080)):
        standalone = Standalone(folder, address=address)
        try:
            wait_for("the log to name the port", lambda: f"{address}:8080" in standalone.log_text())
            assert standalone.process.poll() is None
            assert not standalone.ready.exists()
        finally:
            assert standalone.stop() == 0


def test_a_folder_that_is_not_there_is_an_error() -> None:
    command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "standalone", "/no/such/folder"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "/no/such/folder" in ended.stderr
