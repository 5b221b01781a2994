"""The three wheels install into an empty environment, and their commands answer."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "operator", "chaperone")
PIP = (sys.executable, "-m", "pip")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    packages = [str(ROOT / "packages" / name) for name in PACKAGES]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, *packages], check=True)
    return folder


def installed(folder: Path, wheels: Path, name: str) -> Path:
    """The programs of an environment that has this and what it depends on, and nothing else."""
    venv.create(folder)
    python = str(folder / "bin" / "python")
    options = ["--quiet", "--no-compile", "--prefer-binary", "--find-links", str(wheels)]
    subprocess.run([*PIP, "--python", python, "install", *options, name], check=True)
    return folder / "bin"


@pytest.mark.parametrize("name", ["varnish-gateway-operator", "varnish-gateway-chaperone"])
def test_a_wheel_alone_gives_its_command(name: str, wheels: Path, tmp_path: Path) -> None:
    command = installed(tmp_path, wheels, name) / name
    usage = subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    assert name in usage
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
    assert version.strip().endswith("0.1.0")


def test_the_wheel_of_common_imports_alone(wheels: Path, tmp_path: Path) -> None:
    (wheel,) = wheels.glob("varnish_gateway_common-*.whl")
    python = installed(tmp_path, wheels, str(wheel)) / "python"
    program = "import varnish_gateway_common.ghost, varnish_gateway_common.report"
    subprocess.run([python, "-c", program], check=True)
