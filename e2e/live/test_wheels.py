"""The three wheels install into an empty environment, and their commands answer."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "operator", "chaperone")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    packages = [str(ROOT / "packages" / name) for name in PACKAGES]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), *packages]
    subprocess.run(command, check=True)
    return folder


@pytest.mark.parametrize("name", ["varnish-gateway-operator", "varnish-gateway-chaperone"])
def test_a_wheel_alone_gives_its_command(name: str, wheels: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python, command = tmp_path / "bin" / "python", tmp_path / "bin" / name
    install = [str(python), "-m", "pip", "install", "--quiet", "--find-links", str(wheels), name]
    subprocess.run(install, check=True)
    usage = subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    assert name in usage
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
    assert version.strip().endswith("0.1.0")


def test_the_wheel_of_common_imports_alone(wheels: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    (wheel,) = wheels.glob("varnish_gateway_common-*.whl")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    subprocess.run(
        [str(python), "-c", "import varnish_gateway_common.ghost, varnish_gateway_common.report"], check=True
    )
