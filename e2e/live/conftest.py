"""What the live tests share: the server behind the gateway, and the gateway of the cases."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from case import all_cases
from live_rig import LiveGateway


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
def gateway(echo: None) -> Iterator[LiveGateway]:
    # Unix sockets have short paths: pytest's own folders may be too deep.
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        live = LiveGateway(Path(folder))
        process = live.start()
        try:
            yield live
        finally:
            process.terminate()
            process.wait(timeout=30)
