"""One version for wheels, crates, chart and images."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[3] / "toolchain" / "version.py"


def test_every_file_that_names_the_version_names_the_same() -> None:
    told = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
