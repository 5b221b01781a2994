"""What ghost adds to a request: CPU of varnishd's child, against the same varnishd with plain hand-written VCL."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.document import ghost
from bench.load import Load, Wrk
from bench.plain import ADDRESS, BACKEND_PORT, BACKEND_VCL, BARE, EQUAL
from bench.table import DOCS, table
from bench.varnish import Varnish
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.resources.parameters import Passes
from varnish_gateway_operator.translate.vcl import concatenated

BARE_PORT, EQUAL_PORT, GHOST_PORT = 18001, 18002, 18080
SIZES = (10, 1_000, 10_000)
ROUNDS = 5
SECONDS = 1


@dataclass(frozen=True)
class Kind:
    """A kind of request, and how ghost's passes go: unless somebody wants it otherwise, directly."""

    name: str
    path: str
    passes: Passes = "Auto"


KINDS = (
    Kind("pass", "/page"),
    Kind("pass, by fetch", "/page", passes="Fetch"),
    Kind("synth (404)", "/nothing"),
    Kind("redirect", "/redirect"),
)

TEXT = """# What ghost adds to a request

CPU of varnishd's child, user and system, for each request, from its own clock; wrk with random hosts and a browser's
usual fields over 32 connections, on the other processor. All varnishds run at once and are measured in turn; the
ratios are medians over {rounds} turns of {seconds} s, with their quartiles.

*bare* is hand-written VCL that routes one kind of host and does nothing else; *equal* does for the client and the
backend what ghost does: checks Host and target, replaces X-Forwarded-* and X-Gateway-* (bench/plain.py). Neither grows
with the number of routes, as a VCL that somebody wrote for so many would.

*pass* is what a gateway does unless its user's VCL or class parameters want otherwise: the exchange in the client's own
thread. *By fetch* is through Varnish's own threads, as every pass of the hand-written VCL is.
"""


@dataclass(frozen=True)
class Ratio:
    """A median over turns with its quartiles."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"**{self.middle:.3f}** ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Row:
    """One kind of request at one number of routes; CPU in microseconds by name of the varnishd."""

    kind: str
    routes: int
    us: dict[str, float]
    to_bare: Ratio
    to_equal: Ratio
    failed: int


@dataclass(frozen=True)
class Run:
    us: float
    load: Load


def measure(varnish: Varnish, *, hosts: int, path: str) -> Run:
    before = varnish.cpu_seconds()
    load = Wrk(f"http://{varnish.address}:{varnish.port}", hosts=hosts, path=path, seconds=SECONDS).result()
    return Run((varnish.cpu_seconds() - before) * 1e6 / load.requests, load)


def run() -> Iterator[Row]:
    for routes in SIZES:
        with ExitStack() as stack:
            stack.enter_context(Varnish("backend", BACKEND_VCL, ADDRESS, BACKEND_PORT))
            bare = stack.enter_context(Varnish("bare", BARE.vcl, ADDRESS, BARE_PORT, cpu=0))
            equal = stack.enter_context(Varnish("equal", EQUAL.vcl, ADDRESS, EQUAL_PORT, cpu=0))
            ours = {
                passes: stack.enter_context(with_ghost(routes, port=GHOST_PORT + place, passes=passes))
                for place, passes in enumerate(sorted({kind.passes for kind in KINDS}))
            }
            for kind in KINDS:
                yield compare(kind, routes, (bare, equal, ours[kind.passes]))


def with_ghost(
    routes: int, *, port: int = GHOST_PORT, passes: Passes = "Auto", cpu: int = 0, arguments: tuple[str, ...] = ()
) -> Varnish:
    document = ghost(routes, port=port, endpoint=(ADDRESS, BACKEND_PORT)).to_json()
    return Varnish("ghost", concatenated(vcl_parts(), "", passes), ADDRESS, port, document, cpu, arguments)


def compare(kind: Kind, routes: int, measured: tuple[Varnish, ...]) -> Row:
    # In turn, each of them first as often, so that drift of the machine falls on all; the first turn warms them.
    turns = []
    for number in range(ROUNDS + 1):
        order = measured[number % 3 :] + measured[: number % 3]
        turns.append({varnish.name: measure(varnish, hosts=routes, path=kind.path) for varnish in order})
    del turns[0]
    return Row(
        kind=kind.name,
        routes=routes,
        us={varnish.name: statistics.median(turn[varnish.name].us for turn in turns) for varnish in measured},
        to_bare=ratio(turns, "bare"),
        to_equal=ratio(turns, "equal"),
        failed=sum(run.load.broken for turn in turns for run in turn.values()),
    )


def ratio(turns: list[dict[str, Run]], baseline: str) -> Ratio:
    low, middle, high = statistics.quantiles((turn["ghost"].us / turn[baseline].us for turn in turns), n=4)
    return Ratio(low, middle, high)


def section() -> str:
    rows = list(run())
    plot(rows, DOCS / "data-path.svg")
    head = ("request", "routes", "bare, us", "equal, us", "ghost, us", "ghost / bare", "ghost / equal", "failed")
    cells = (
        (row.kind, f"{row.routes:,}", *(f"{us:.1f}" for us in row.us.values()), row.to_bare, row.to_equal, row.failed)
        for row in rows
    )
    text = TEXT.format(rounds=ROUNDS, seconds=SECONDS)
    return f"{text}\n{table(head, cells)}\n![CPU per request](data-path.svg)\n"


def plot(rows: list[Row], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "varnish-gateway"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(KINDS), figsize=(4 * len(KINDS), 3.2), squeeze=False)
    for axis, kind in zip(axes[0], KINDS, strict=True):
        chosen = [row for row in rows if row.kind == kind.name]
        for offset, name in enumerate(chosen[0].us):
            places = [place + 0.27 * (offset - 1) for place in range(len(chosen))]
            axis.bar(places, [row.us[name] for row in chosen], 0.27, label=name)
        axis.set_xticks(range(len(chosen)), [f"{row.routes:,}" for row in chosen])
        axis.set_xlabel("routes")
        axis.set_ylabel("us CPU per request")
        axis.set_title(kind.name)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
