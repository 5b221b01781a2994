"""`python -m bench` measures the data path and writes docs/benchmarks.md and its plot; pass, soak, tls: see there."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench import data_path, memory, passes, reload, soak, tls
from bench.data_path import Row
from bench.memory import Memory
from bench.reload import Reload

DOCS = Path(__file__).parent.parent / "docs"

HEAD = """# Benchmarks

Written by `nox -s bench`; every figure is of one run on one machine, ghost and its baseline in turn. Machines are
noisy: what counts are ratios (the median over pairs of short runs, with its quartiles).

The baseline is the same varnishd with a few lines of hand-written VCL that do the same for one kind of host. CPU is
that of varnishd's child, user and system, per request; the load is wrk with random hosts over 32 connections.
"""


def data_path_table(rows: list[Row]) -> str:
    lines = [
        "## What ghost adds to a request\n",
        "| request | routes | plain VCL, us CPU | ghost, us CPU | ratio | plain, req/s | ghost, req/s | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"**{row.ratio:.3f}** ({row.ratio_low:.3f} to {row.ratio_high:.3f})"
        cpu = f"{row.plain_us:.1f} | {row.ghost_us:.1f}"
        speed = f"{row.plain_per_second:.0f} | {row.ghost_per_second:.0f}"
        lines.append(f"| {row.kind} | {row.routes:,} | {cpu} | {ratio} | {speed} | {row.failed} |")
    return "\n".join([*lines, "", "![CPU per request](benchmarks.svg)", ""])


def reload_table(reloads: list[Reload]) -> str:
    lines = [
        f"## Changes at {reload.ROUTES:,} routes, under load\n",
        "From the moment before the file is replaced to the first answer that shows it.\n",
        "| changed | median ms | slowest ms | requests meanwhile | failed |",
        "|---|---|---|---|---|",
    ]
    for row in reloads:
        median, slowest = statistics.median(row.milliseconds), max(row.milliseconds)
        lines.append(f"| {row.what} | {median:.0f} | {slowest:.0f} | {row.load.requests:,} | {row.failed} |")
    return "\n".join([*lines, ""])


def memory_table(rows: list[Memory]) -> str:
    lines = ["## Memory of varnishd's child\n", "| | anonymous MiB | above bare varnishd |", "|---|---|---|"]
    bare = rows[0].mib
    lines += [f"| {row.what} | {row.mib:.0f} | {row.mib - bare:.0f} |" for row in rows]
    return "\n".join([*lines, ""])


def translate_table() -> str:
    command = [sys.executable, str(Path(__file__).with_name("translate.py"))]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    lines = ["## Translation of 10,000 HTTPRoutes\n", "| | |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {value} |" for name, value in figures.items()]
    return "\n".join([*lines, ""])


def plot(rows: list[Row], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "varnish-gateway"
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(row.kind for row in rows))
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(4 * len(kinds), 3.2), squeeze=False)
    for axis, kind in zip(axes[0], kinds, strict=True):
        chosen = [row for row in rows if row.kind == kind]
        places = range(len(chosen))
        axis.bar([place - 0.2 for place in places], [row.plain_us for row in chosen], 0.4, label="plain VCL")
        axis.bar([place + 0.2 for place in places], [row.ghost_us for row in chosen], 0.4, label="ghost")
        axis.set_xticks(list(places), [f"{row.routes:,}" for row in chosen])
        axis.set_xlabel("routes")
        axis.set_ylabel("us CPU per request")
        axis.set_title(kind)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main(arguments: list[str]) -> None:
    if arguments == ["pass"]:
        passes.main()
        return
    if arguments[:1] == ["tls"]:
        tls.main(arguments[1:])
        return
    if arguments[:1] == ["soak"]:
        sys.exit(soak.main(float(arguments[1]) if arguments[1:] else 600))
    rows = list(data_path.run())
    parts = [HEAD, data_path_table(rows), memory_table(list(memory.run())), reload_table(list(reload.run()))]
    parts.append(translate_table())
    plot(rows, DOCS / "benchmarks.svg")
    (DOCS / "benchmarks.md").write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
