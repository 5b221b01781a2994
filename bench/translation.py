"""How long a translation of many HTTPRoutes takes, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from bench.table import table

TEXT = """# Translation of 10,000 HTTPRoutes

What the operator does from objects as the YAML parser gives them to routing.json: CPU seconds, in a process of its own.
Each route has a host of its own and three rules (a split, a filter, a redirect); there are 1,000 Services.
"""


def section() -> str:
    command = [sys.executable, str(Path(__file__).with_name("translate.py"))]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    stages = ((name.replace("_", " "), f"{seconds:.3f}") for name, seconds in found["seconds"].items())
    rows = (
        ("all, cold (models, snapshot, translate)", f"{found['cold_seconds']:.2f} s"),
        ("one route changed", f"{found['one_changed_seconds'] * 1000:.0f} ms"),
        ("most resident memory, the objects' and the test's own included", f"{found['peak_rss_mib']:.0f} MiB"),
        ("routing.json", f"{found['routing_bytes'] / 1e6:.1f} MB"),
    )
    return f"{TEXT}\n{table(('', ''), rows)}\n{table(('stage', 'CPU s'), stages)}"
