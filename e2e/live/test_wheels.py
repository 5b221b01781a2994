"""The three wheels install into an empty environment, and their commands answer."""

import hashlib
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(ROOT / "packages" / name for name in ("common", "operator", "chaperone"))
PIP = (sys.executable, "-m", "pip")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of our wheels, just built."""
    folder = tmp_path_factory.mktemp("wheels")
    build(folder, "--no-deps", "--no-build-isolation", *map(str, PACKAGES))
    return folder


@pytest.fixture(scope="module")
def others(ours: Path, pytestconfig: pytest.Config) -> Path:
    """A folder of the wheels that ours depend on, fetched once for as long as ours ask for the same."""
    asked = b"".join((package / "pyproject.toml").read_bytes() for package in PACKAGES)
    folder = pytestconfig.cache.mkdir("wheels") / hashlib.sha256(asked).hexdigest()[:16]
    if not folder.exists():
        fetched = folder.with_suffix(".part")
        build(fetched, "--prefer-binary", "--find-links", str(ours), *map(str, ours.iterdir()))
        for wheel in ours.iterdir():
            (fetched / wheel.name).unlink()
        fetched.rename(folder)
    return folder


def build(folder: Path, *arguments: str) -> None:
    subprocess.run([*PIP, "wheel", "--quiet", "--wheel-dir", str(folder), *arguments], check=True)


@pytest.fixture
def wheels(ours: Path, others: Path) -> tuple[Path, Path]:
    """Where all that an installation needs is found."""
    return ours, others


def installed(folder: Path, wheels: Iterable[Path], name: str) -> Path:
    """The programs of an environment that has this and what it depends on, and nothing else."""
    venv.create(folder)
    python = str(folder / "bin" / "python")
    found = [f"--find-links={where}" for where in wheels]
    subprocess.run(
        [*PIP, "--python", python, "install", "--quiet", "--no-compile", "--no-index", *found, name], check=True
    )
    return folder / "bin"


@pytest.mark.parametrize("name", ["varnish-gateway-operator", "varnish-gateway-chaperone"])
def test_a_wheel_alone_gives_its_command(name: str, wheels: tuple[Path, Path], tmp_path: Path) -> None:
    command = installed(tmp_path, wheels, name) / name
    usage = subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    assert name in usage
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
    assert metadata.version("varnish-gateway-common") in version


def test_the_wheel_of_common_imports_alone(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    python = installed(tmp_path, wheels, "varnish-gateway-common") / "python"
    program = "import varnish_gateway_common.ghost, varnish_gateway_common.report"
    subprocess.run([python, "-c", program], check=True)
