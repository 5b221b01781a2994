"""How long a translation of many HTTPRoutes takes, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from bench.table import table


def section() -> str:
    command = [sys.executable, str(Path(__file__).with_name("translate.py"))]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = ((name.replace("_", " "), value) for name, value in figures.items())
    return f"# Translation of 10,000 HTTPRoutes\n\n{table(('', ''), rows)}"
