"""What a pass costs: direct and by Varnish's fetch, beside plain `return (pass)`, nginx, HAProxy and Envoy."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import proxies
from bench.document import ghost
from bench.load import Load, Wrk
from bench.program import Program
from bench.varnish import Varnish
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.translate.vcl import concatenated

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks-passes.md"
ADDRESS = "127.30.0.2"
BACKEND = (ADDRESS, 18100)
PLAIN = "plain pass"
ROUNDS = 11
SECONDS = 1
LARGE_BYTES = 64 << 10

BACKEND_VCL = f"""
vcl 4.1;
backend default none;
sub vcl_recv {{ return (synth(200)); }}
sub vcl_synth {{
    set resp.http.Content-Type = "text/plain";
    set resp.http.Server = "bench";
    if (req.url ~ "large") {{ synthetic({{"{"x" * LARGE_BYTES}"}}); }} else {{ synthetic({{"{"x" * 657}"}}); }}
    return (deliver);
}}
"""
PLAIN_VCL = f"""
vcl 4.1;
backend default {{ .host = "{ADDRESS}"; .port = "{BACKEND[1]}"; }}
sub vcl_recv {{ return (pass); }}
"""
TEXT = f"""# What a pass costs

Written by `nox -s bench -- pass`: CPU of the proxy in microseconds a request, user and system, of one processor that
it has for itself; wrk and the backend share the other one. All run at once and are measured in turn; ratios are to
plain `return (pass)` of the same varnishd in the same turn, medians over {ROUNDS} turns of {SECONDS} s with their
quartiles. nginx and HAProxy have one route for all hosts, ghost and Envoy one a host.

"""


@dataclass(frozen=True)
class Kind:
    """A kind of request."""

    name: str
    path: str
    post_bytes: int = 0


KINDS = (
    Kind("GET, 657 B", "/page"),
    Kind("GET, 64 KiB", "/page/large"),
    Kind("POST, 10 KiB", "/page", post_bytes=10 << 10),
)


@dataclass(frozen=True)
class Run:
    us: float
    load: Load


Turn = dict[str, Run]


def of_ghost(name: str, port: int, routes: int, *, is_direct: bool) -> Varnish:
    document = ghost(routes, port=port, endpoint=BACKEND).to_json()
    vcl = concatenated(vcl_parts(), "", "Direct" if is_direct else "Fetch")
    return Varnish(name, vcl, ADDRESS, port, document, cpu=0)


def run(kind: Kind, routes: int, connections: int) -> list[Turn]:
    """The turns of all proxies; the first one, which warms them, left out."""
    with ExitStack() as stack:
        stack.enter_context(Varnish("backend", BACKEND_VCL, *BACKEND))
        measured: list[Program] = [
            stack.enter_context(Varnish(PLAIN, PLAIN_VCL, ADDRESS, 18101, cpu=0)),
            stack.enter_context(of_ghost("ghost, direct", 18102, routes, is_direct=True)),
            stack.enter_context(of_ghost("ghost, by fetch", 18103, routes, is_direct=False)),
            stack.enter_context(proxies.nginx(ADDRESS, 18104, BACKEND)),
            stack.enter_context(proxies.haproxy(ADDRESS, 18105, BACKEND)),
        ]
        if proxies.has_envoy():
            measured.append(stack.enter_context(proxies.envoy(ADDRESS, 18106, BACKEND, routes=routes)))
        turns = []
        for number in range(ROUNDS + 1):
            order = measured[number % len(measured) :] + measured[: number % len(measured)]
            turns.append({proxy.name: measure(proxy, kind, routes, connections) for proxy in order})
        return turns[1:]


def measure(proxy: Program, kind: Kind, hosts: int, connections: int) -> Run:
    before = proxy.cpu_seconds()
    url = f"http://{proxy.address}:{proxy.port}"
    load = Wrk(
        url, hosts=hosts, path=kind.path, seconds=SECONDS, connections=connections, post_bytes=kind.post_bytes
    ).result()
    return Run((proxy.cpu_seconds() - before) * 1e6 / load.requests, load)


def rows(turns: list[Turn]) -> Iterator[str]:
    for name in sorted(turns[0]):
        runs = [turn[name] for turn in turns]
        ratios = [turn[name].us / turn[PLAIN].us for turn in turns]
        low, middle, high = statistics.quantiles(ratios, n=4)
        speed = statistics.median(run.load.per_second for run in runs)
        slow = statistics.median(run.load.p99_ms for run in runs)
        failed = sum(run.load.broken + run.load.status for run in runs)
        us = statistics.median(run.us for run in runs)
        ratio = f"**{middle:.2f}** ({low:.2f} to {high:.2f})"
        yield f"| {name} | {us:.1f} | {ratio} | {speed:.0f} | {slow:.1f} | {failed} |"


def section() -> str:
    parts = []
    for routes, connections, kinds in ((10, 32, KINDS), (10_000, 32, KINDS[:1]), (10, 256, KINDS[:1])):
        for kind in kinds:
            found = "\n".join(rows(run(kind, routes, connections)))
            head = "| | us CPU | to plain pass | requests/s | p99 ms | failed |\n|---|---|---|---|---|---|"
            parts.append(f"## {kind.name}, {routes:,} routes, {connections} connections\n\n{head}\n{found}\n")
    return TEXT + "\n".join(parts)


def main() -> None:
    text = section()
    PAGE.write_text(text)
    print(text)
