"""What TLS before varnishd costs: CPU of front and varnishd together for each request that the cache answers."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.certificates import pem
from bench.fronts import HIT_VCL, NAME, Front, Fronts
from bench.pairs import Pairs, in_turn
from bench.reload import wait_for
from bench.tls_client import can_connect
from bench.varnish import Varnish

ADDRESS = "127.30.0.2"
PLAIN_PORT, H2_PORT = 18101, 18102
HAPROXY_PORT, TCP_PORT, HITCH_PORT, NGINX_PORT = 18443, 18444, 18445, 18446
ROUNDS = 15
SECONDS = 1
CONNECTIONS = 32


@contextmanager
def fronts() -> Iterator[dict[str, Front]]:
    """All of them before one varnishd; HAProxy in TCP mode before another one, which speaks HTTP/2."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="vgw-bench-")))
        folder.chmod(0o711)  # hitch's worker is another user
        make = Fronts(folder, ADDRESS)
        make.write_certificates({"bench": pem(NAME)})
        h2_socket = folder / "h2.sock"
        plain = Varnish("plain", HIT_VCL, ADDRESS, PLAIN_PORT, cpu=0, arguments=listening(make.socket))
        h2 = Varnish("h2", HIT_VCL, ADDRESS, H2_PORT, cpu=0, arguments=(*listening(h2_socket), "-p", "feature=+http2"))
        stack.enter_context(plain), stack.enter_context(h2)
        made = [make.haproxy(HAPROXY_PORT, plain), make.haproxy_tcp(TCP_PORT, h2, h2_socket)]
        made += [make.hitch(HITCH_PORT, plain), make.nginx(NGINX_PORT)]
        for front in made:
            stack.enter_context(front)
            wait_for(lambda front=front: can_connect(ADDRESS, front.port))  # type: ignore[misc]
        yield {front.name: front for front in made}


def listening(socket: Path) -> tuple[str, ...]:
    return ("-a", f"https={socket},PROXY,mode=666")


def run(made: dict[str, Front]) -> Iterator[tuple[str, str, Pairs]]:
    """The kind of requests, whom ours is compared with, and what both cost."""
    yield compare("HTTP/1.1", made["HAProxy"], made["hitch"], ["--h1"])
    for streams in (1, 8):
        what = f"HTTP/2, {streams} at a time"
        yield compare(what, made["HAProxy"], made["HAProxy, TCP mode"], ["-m", str(streams)])


def compare(what: str, ours: Front, theirs: Front, options: list[str]) -> tuple[str, str, Pairs]:
    pairs = in_turn(ours, theirs, lambda front: h2load(front.port, options), rounds=ROUNDS, seconds=SECONDS)
    return what, theirs.name, pairs


def h2load(port: int, options: list[str]) -> tuple[int, int]:
    """Requests that succeeded, and those that did not."""
    command = ["taskset", "-c", "1", "h2load", "-t1", f"-c{CONNECTIONS}", f"-D{SECONDS}", *options]
    command += [f"--connect-to={ADDRESS}:{port}", f"https://{NAME}/"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if not found or found[1] == "0":
        raise RuntimeError(f"h2load said: {output}")
    good, *bad = map(int, found.groups())
    return good, sum(bad)
