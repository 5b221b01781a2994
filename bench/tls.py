"""`python -m bench tls [PART ...]` measures HTTPS and puts its tables into docs/benchmarks-tls.md."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import handshakes, hits, rotation, tls_memory
from bench.pairs import Cost, Pairs, median

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks-tls.md"


def table(title: str, note: str, head: str, rows: Sequence[str]) -> str:
    line = "|" + "---|" * (head.count("|") - 1)
    return "\n".join([f"### {title}\n", note + "\n", head, line, *rows])


def measured_hits() -> str:
    with hits.fronts() as made:
        rows = [hits_row(*found) for found in hits.run(made)]
    note = "CPU of a request in microseconds: of front and varnishd together, and in brackets of the front alone."
    return table("Hits", note, "| requests | ours | compared with | theirs | ratio (quartiles) | failed |", rows)


def hits_row(what: str, other: str, pairs: Pairs) -> str:
    ours, theirs = costs(pairs.ours), costs(pairs.theirs)
    return f"| {what} | {ours} | {other} | {theirs} | {pairs.ratio('all_us')} | {pairs.failed} |"


def costs(found: tuple[Cost, ...]) -> str:
    return f"{median(found, 'all_us'):.1f} ({median(found, 'front_us'):.1f})"


def measured_handshakes() -> str:
    with hits.fronts() as made:
        rows = [handshakes_row(what, pairs) for what, pairs in handshakes.run(made)]
    note = """\
CPU of a new connection with one request, in microseconds, and how many of them that makes a second on one processor.
The ratio is that of HAProxy alone to nginx, which answers by itself. What was seen is what the client can do."""
    head = "| handshake | HAProxy, us | a second | with varnishd, us | nginx, us | a second | ratio (quartiles) "
    return table("New connections", note, head + "| seen a second, of both | failed |", rows)


def handshakes_row(what: str, pairs: Pairs) -> str:
    front, all_us, nginx = median(pairs.ours, "front_us"), median(pairs.ours, "all_us"), median(pairs.theirs, "all_us")
    seen = f"{median(pairs.ours, 'per_second'):,.0f} and {median(pairs.theirs, 'per_second'):,.0f}"
    mine = f"{front:.0f} | {1e6 / front:,.0f} | {all_us:.0f}"
    return (
        f"| {what} | {mine} | {nginx:.0f} | {1e6 / nginx:,.0f} | {pairs.ratio('front_us')} | {seen} | {pairs.failed} |"
    )


def measured_memory() -> str:
    rows = [f"| {row.certificates:,} | {row.seconds:.2f} | {row.mib:.0f} |" for row in tls_memory.starts()]
    note = "From the command to the first handshake, and the anonymous memory of the process then."
    certificates = table("Certificates in HAProxy", note, "| certificates | start, s | MiB |", rows)
    idle = tls_memory.idle()
    each = [mib * 1024 / idle.connections for mib in (idle.haproxy_mib, idle.varnishd_mib)]
    rows = [
        f"| {idle.connections:,} | {idle.haproxy_mib:.0f} | {each[0]:.1f} | {idle.varnishd_mib:.0f} | {each[1]:.1f} |"
    ]
    note = """\
Over HTTP/2, each after one answered request, so that each has its connection to varnishd: 10,000, or as many as the
limit of open files allows."""
    head = "| idle connections | HAProxy, MiB | KiB each | varnishd, MiB | KiB each |"
    return certificates + "\n\n" + table("Idle connections", note, head, rows)


def measured_rotation() -> str:
    found = rotation.run()
    median, slowest = statistics.median(found.milliseconds), max(found.milliseconds)
    told = statistics.median(found.haproxy_ms)
    row = (
        f"| {found.certificates:,} | {found.start_seconds:.1f} | {found.haproxy_start_ms} | {len(found.milliseconds)} "
    )
    row += f"| {median:.0f} | {slowest:.0f} | {told:.0f} | {found.reloads} |"
    note = """\
A gateway from a folder with that many Secrets. A rotation is timed from the moment before the Secret's file is replaced
to the first handshake that shows it: notice, translate, check, tell HAProxy."""
    head = "| certificates | start of all, s | of HAProxy, ms | rotations | median ms | slowest ms "
    return table("Rotation", note, head + "| of which telling HAProxy, ms | reloads |", [row])


PARTS: dict[str, Callable[[], str]] = {
    "hits": measured_hits,
    "handshakes": measured_handshakes,
    "memory": measured_memory,
    "rotation": measured_rotation,
}


def main(chosen: Sequence[str]) -> None:
    """All parts, or some: the page keeps what was measured before of the others."""
    for name in chosen or PARTS:
        text = PARTS[name]()
        print(text, flush=True)
        PAGE.write_text(replaced(PAGE.read_text(), name, text))


def replaced(page: str, name: str, text: str) -> str:
    """What stands between a part's marks."""
    before, mark, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{mark}{text}\n{end}{after}"
