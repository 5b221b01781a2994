"""What each part of a request costs in instructions: varnishd's child under callgrind, so that no noise is in it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.data_path import GHOST_PORT, KINDS, Kind, with_ghost
from bench.document import host
from bench.plain import ADDRESS, BACKEND_PORT, BACKEND_VCL, STEPS
from bench.table import table
from bench.varnish import Varnish

ROUTES = 1_000
REQUESTS = 400
CALLGRIND = (
    "valgrind",
    "-q",
    "--tool=callgrind",
    "--trace-children=yes",
    "--trace-children-skip=/usr/bin/*,/bin/*,/usr/lib/*",  # the C compiler, as slow as it would be
    "--instr-atstart=no",
)
FEW_THREADS = ("-p", "thread_pools=1", "-p", "thread_pool_min=10")
FIELDS = {"User-Agent": "bench", "Accept": "*/*", "Accept-Encoding": "gzip", "Accept-Language": "en"}

TEXT = f"""# Instructions of a request

User-space instructions of varnishd's child for each request, counted by callgrind: hardly any noise, and blind for the
kernel's part and the processor's caches. {ROUTES:,} routes; {REQUESTS} requests over one connection, after as many to
warm up. Each line of hand-written VCL does what the line above it does and one thing more (bench/plain.py); its passes
are all by fetch. Ghost's are direct unless somebody wants otherwise.
"""


@dataclass(frozen=True)
class Row:
    """Instructions by kind of request."""

    what: str
    counts: dict[str, float]


def run() -> Iterator[Row]:
    with Varnish("backend", BACKEND_VCL, ADDRESS, BACKEND_PORT):
        for step in STEPS:
            yield Row(step.what, counts(Varnish("counted", step.vcl, ADDRESS, GHOST_PORT), KINDS))
        ours: dict[str, float] = {}
        for passes in sorted({kind.passes for kind in KINDS}):
            ours |= counts(with_ghost(ROUTES, passes=passes), tuple(kind for kind in KINDS if kind.passes == passes))
        yield Row("ghost", {kind.name: ours[kind.name] for kind in KINDS})


def counts(varnish: Varnish, kinds: tuple[Kind, ...]) -> dict[str, float]:
    with TemporaryDirectory(prefix="vgw-bench-") as folder:
        varnish.arguments, varnish.runner = FEW_THREADS, (*CALLGRIND, f"--callgrind-out-file={folder}/%p")
        with varnish:
            return {kind.name: count(varnish, kind.path, Path(folder)) for kind in kinds}


def count(varnish: Varnish, path: str, folder: Path) -> float:
    """Instructions for each request."""
    ask(varnish, path)
    control(varnish, "--instr=on")
    control(varnish, "--zero")
    ask(varnish, path)
    known = set(folder.iterdir())
    control(varnish, "--dump")
    control(varnish, "--instr=off")
    texts = [file.read_text() for file in set(folder.iterdir()) - known]
    return max(int(line.split()[1]) for text in texts for line in text.splitlines() if is_total(line)) / REQUESTS


def is_total(line: str) -> bool:
    return line.startswith(("totals:", "summary:"))


def control(varnish: Varnish, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(varnish.child)], check=True, capture_output=True)


def ask(varnish: Varnish, path: str) -> None:
    connection = HTTPConnection(varnish.address, varnish.port, timeout=30)
    for number in range(REQUESTS):
        connection.request("GET", path, headers={"Host": host(number % ROUTES), **FIELDS})
        connection.getresponse().read()
    connection.close()


def section() -> str:
    rows = list(run())
    first = rows[0].counts
    cells = (
        (row.what, *(f"{count:,.0f} ({count / first[kind]:.3f})" for kind, count in row.counts.items())) for row in rows
    )
    return f"{TEXT}\n{table(('', *(kind.name for kind in KINDS)), cells)}"
