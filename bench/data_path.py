"""What ghost adds to a request: CPU of varnishd's child, against the same varnishd with plain hand-written VCL."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bench.document import ghost
from bench.load import Load, Wrk
from bench.varnish import Varnish
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.translate.vcl import concatenated

ADDRESS = "127.30.0.1"
BACKEND_PORT, PLAIN_PORT, GHOST_PORT = 18000, 18001, 18080
SIZES = (10, 1_000, 10_000)
ROUNDS = 21
SECONDS = 1

# The backend is a varnishd that answers everything itself: fast, and no other program to install.
BACKEND_VCL = """
vcl 4.1;
backend default none;
sub vcl_recv { return (synth(200)); }
sub vcl_synth { set resp.http.Content-Type = "text/plain"; set resp.body = "0123456789abcdef"; return (deliver); }
"""

# What somebody would write by hand for one host of each kind.
PLAIN_VCL = f"""
vcl 4.1;
backend default {{ .host = "{ADDRESS}"; .port = "{BACKEND_PORT}"; }}
sub vcl_recv {{
    if (req.http.host !~ "^host-[0-9]+\\.example\\.com$") {{ return (synth(404)); }}
    if (req.url ~ "^/redirect(/|$)") {{ return (synth(301)); }}
    if (req.url ~ "^/page(/|$)") {{ return (pass); }}
    return (synth(404));
}}
sub vcl_synth {{
    if (resp.status == 301) {{ set resp.http.Location = "http://note.example.com" + req.url; }}
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    set resp.body = "" + resp.status + " " + resp.reason + {{"
"}};
    return (deliver);
}}
"""

KINDS = {"pass": "/page", "synth (404)": "/nothing", "redirect": "/redirect"}


@dataclass(frozen=True)
class Row:
    """One kind of request at one number of routes; the ratio is the median over pairs of runs, with its quartiles."""

    kind: str
    routes: int
    plain_us: float
    ghost_us: float
    ratio: float
    ratio_low: float
    ratio_high: float
    plain_per_second: float
    ghost_per_second: float
    failed: int


def measure(varnish: Varnish, *, hosts: int, path: str) -> tuple[float, Load]:
    """CPU microseconds of the child per request."""
    before = varnish.cpu_seconds()
    load = Wrk(f"http://{varnish.address}:{varnish.port}", hosts=hosts, path=path, seconds=SECONDS).result()
    return (varnish.cpu_seconds() - before) * 1e6 / load.requests, load


def run() -> Iterator[Row]:
    for routes in SIZES:
        document = ghost(routes, port=GHOST_PORT, endpoint=(ADDRESS, BACKEND_PORT)).to_json()
        with ExitStack() as stack:
            stack.enter_context(Varnish("backend", BACKEND_VCL, ADDRESS, BACKEND_PORT))
            plain = stack.enter_context(Varnish("plain", PLAIN_VCL, ADDRESS, PLAIN_PORT, cpu=0))
            ours = stack.enter_context(
                Varnish("ghost", concatenated(vcl_parts(), "", "Fetch"), ADDRESS, GHOST_PORT, document, cpu=0)
            )
            for kind, path in KINDS.items():
                yield compare(kind, routes, path, plain, ours)


def compare(kind: str, routes: int, path: str, plain: Varnish, ours: Varnish) -> Row:
    measure(plain, hosts=routes, path=path), measure(ours, hosts=routes, path=path)  # warm both
    # In turn, plain first and ghost first alternately, so that drift of the machine falls on both.
    pairs = []
    for number in range(ROUNDS):
        first, second = (plain, ours) if number % 2 == 0 else (ours, plain)
        results = {varnish.name: measure(varnish, hosts=routes, path=path) for varnish in (first, second)}
        pairs.append((results["plain"], results["ghost"]))
    low, middle, high = statistics.quantiles((mine[0] / theirs[0] for theirs, mine in pairs), n=4)
    return Row(
        kind=kind,
        routes=routes,
        plain_us=statistics.median(theirs[0] for theirs, _ in pairs),
        ghost_us=statistics.median(mine[0] for _, mine in pairs),
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        plain_per_second=statistics.median(theirs[1].per_second for theirs, _ in pairs),
        ghost_per_second=statistics.median(mine[1].per_second for _, mine in pairs),
        failed=sum(load.broken for pair in pairs for _, load in pair),
    )
