"""What the live tests share: the server behind the gateways, and the gateways of the cases."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from case import all_cases
from front_rig import Front, running_front
from live_rig import LiveGateways


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """One for a module: its tests leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="vgw-") as name, running_front(Path(name)) as found:
        yield found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--load-seconds", type=float, default=3.0, help="how long certificates are swapped under load")
    parser.addoption("--flood-seconds", type=float, default=0.5, help="how long attacks last")


@pytest.fixture
def load_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--load-seconds"))


@pytest.fixture
def flood_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--flood-seconds"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unix sockets have short paths: pytest's own folders may be too deep."""
    with tempfile.TemporaryDirectory(prefix="vgw-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def echo() -> Iterator[None]:
    endpoints = sorted({endpoint for case in all_cases() for endpoint in case.services})
    command = [sys.executable, str(Path(__file__).with_name("echo.py")), *endpoints]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield
        process.kill()


@pytest.fixture(scope="session")
def gateways(echo: None) -> Iterator[LiveGateways]:
    with tempfile.TemporaryDirectory(prefix="vgw-") as name, ExitStack() as stack:
        yield LiveGateways(Path(name), stack)
