"""Resident memory of varnishd's child: bare, and with ghost at several sizes, each after the same load."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bench.data_path import BARE_PORT, SIZES, with_ghost
from bench.load import Wrk
from bench.plain import ADDRESS, BACKEND_PORT, BACKEND_VCL, BARE
from bench.table import table
from bench.varnish import Varnish


@dataclass(frozen=True)
class Memory:
    what: str
    mib: float


def after_load(varnish: Varnish, hosts: int) -> float:
    Wrk(f"http://{varnish.address}:{varnish.port}", hosts=hosts, path="/page", seconds=3).result()
    return varnish.resident_mib()


def run() -> Iterator[Memory]:
    with ExitStack() as stack:
        stack.enter_context(Varnish("backend", BACKEND_VCL, ADDRESS, BACKEND_PORT))
        with Varnish("bare", BARE.vcl, ADDRESS, BARE_PORT) as bare:
            yield Memory("bare varnishd", after_load(bare, 1))
        for routes in SIZES:
            with with_ghost(routes) as ours:
                yield Memory(f"{routes:,} routes with two rules each", after_load(ours, routes))


def section() -> str:
    rows = list(run())
    bare = rows[0].mib
    cells = ((row.what, f"{row.mib:.0f}", f"{row.mib - bare:.0f}") for row in rows)
    return f"# Memory of varnishd's child\n\n{table(('', 'anonymous MiB', 'above bare varnishd'), cells)}"
