"""The command: its exit codes, its signals, what it says where."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operator_rig import GATEWAY
from varnish_gateway_operator.cli import main

COMMAND = [sys.executable, "-m", "varnish_gateway_operator"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    (found / "gateway.yaml").write_text(GATEWAY)
    return found


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_zero_without_mistakes_and_json_when_not_on_a_terminal(folder: Path, tmp_path: Path) -> None:
    found = run("translate", folder, "--out", tmp_path / "out")
    assert found.returncode == 0
    assert [json.loads(line)["level"] for line in found.stderr.splitlines()] == ["info"]


def test_one_with_mistakes_and_the_good_is_written(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.yaml").write_text("[")
    found = run("translate", folder, "--out", tmp_path / "out")
    assert found.returncode == 1
    assert "bad.yaml:" in found.stderr
    assert (tmp_path / "out/default/gw/pod.json").exists()


def test_log_lines_cannot_be_forged(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.yaml").write_text(
        'apiVersion: v1\nkind: Service\nmetadata: {name: "a\\n{\\"level\\": \\"info\\"}\\e[2J"}\n'
    )
    lines = run("translate", folder, "--out", tmp_path / "out").stderr.splitlines()
    assert [json.loads(line)["level"] for line in lines] == ["error", "info"]
    assert r"\x1b[2J" in json.loads(lines[0])["event"]


@pytest.mark.parametrize("out", ["in", "in/state"])
def test_two_when_out_would_be_read_as_manifests(folder: Path, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(folder), "--out", str(folder.parent / out)]) == 2
    assert "would be read as manifests" in capsys.readouterr().err


def test_two_without_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_one_when_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    found = run("translate", folder, "--out", tmp_path / "out")
    assert found.returncode == 1
    assert json.loads(found.stderr.splitlines()[-1])["level"] == "error"


@pytest.mark.parametrize("address", ["8080", ":", ":0", ":65536", ":http"])
def test_two_for_an_address_without_a_port(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", "--gateway-image", "x", "--web", address])
    assert left.value.code == 2
    assert "is not like :8080 or 127.0.0.1:8080" in capsys.readouterr().err


def test_one_without_a_cluster(tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    environment.pop("KUBERNETES_SERVICE_HOST", None)
    command = [*COMMAND, "run", "--gateway-image", "x", "--web", "[::1]:8080"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert found.returncode == 1
    assert json.loads(found.stderr.splitlines()[-1])["level"] == "error"


def test_says_its_version() -> None:
    stands_on = "Varnish 7.7, HAProxy 3.0, Gateway API 1.7"
    assert run("--version").stdout == f"varnish-gateway-operator 0.1.0 ({stands_on})\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_with_zero(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["translate", str(folder), "--out", str(tmp_path / "out"), "--watch"]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "out/status/mistakes.yaml").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopped" in errors


def test_on_a_terminal_lines_are_those_of_the_other_program(tmp_path: Path) -> None:
    """One clock and one format for whoever watches both."""
    (tmp_path / "in").mkdir()
    master, slave = os.openpty()
    command = [*COMMAND, "translate", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    subprocess.run(command, stderr=slave, timeout=60, check=False)
    line = os.read(master, 10_000).decode().splitlines()[0]
    assert re.fullmatch(r"\d\d:\d\d:\d\d error   no manifest \(.*\) is in .*: nothing is served", line)
