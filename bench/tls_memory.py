"""HAProxy's start and memory with many certificates, and what idle connections hold in HAProxy and in varnishd."""

import resource
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.certificates import pems
from bench.fronts import HIT_VCL, NAME, Fronts
from bench.hits import ADDRESS, HAPROXY_PORT, PLAIN_PORT, listening
from bench.reload import wait_for
from bench.tls_client import Client, can_connect
from bench.varnish import Varnish, resident_mib

SIZES = (1, 100, 1_000)
IDLE = 10_000
SPARE_FILES = 500


@dataclass(frozen=True)
class Start:
    certificates: int
    seconds: float
    """From the command to the first handshake."""
    mib: float


@dataclass(frozen=True)
class Idle:
    """Connections with one answered request behind them."""

    connections: int
    haproxy_mib: float
    varnishd_mib: float


def starts() -> Iterator[Start]:
    made = pems([NAME, *(f"name-{number}.example.com" for number in range(SIZES[-1] - 1))])
    for size in SIZES:
        with TemporaryDirectory(prefix="vgw-bench-") as folder:
            fronts = Fronts(Path(folder), ADDRESS)
            fronts.write_certificates(dict(list(made.items())[:size]))
            begun = time.monotonic()
            with fronts.haproxy(HAPROXY_PORT) as front:
                wait_for(lambda: can_connect(ADDRESS, HAPROXY_PORT))
                yield Start(size, time.monotonic() - begun, resident_mib(front.process.pid))


def idle() -> Idle:
    """As many as the limit of open files allows: HAProxy has two for each, the client's and varnishd's."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    count = min(IDLE, (files - SPARE_FILES) // 2)
    with ExitStack() as stack:
        fronts = Fronts(Path(stack.enter_context(TemporaryDirectory(prefix="vgw-bench-"))), ADDRESS)
        fronts.write_certificates(pems([NAME]))
        arguments = (*listening(fronts.socket), "-p", "timeout_idle=60")
        varnish = stack.enter_context(Varnish("plain", HIT_VCL, ADDRESS, PLAIN_PORT, cpu=0, arguments=arguments))
        front = stack.enter_context(fronts.haproxy(HAPROXY_PORT, varnish, connections=count + 50))
        wait_for(lambda: can_connect(ADDRESS, HAPROXY_PORT))
        client = Client(ADDRESS, HAPROXY_PORT, "h2", resumes=False)
        client.connect().close()
        before = resident_mib(front.process.pid), varnish.resident_mib()
        kept: list[ssl.SSLSocket] = [client.connect() for _ in range(count)]
        after = resident_mib(front.process.pid), varnish.resident_mib()
        for connection in kept:
            connection.close()
    return Idle(count, after[0] - before[0], after[1] - before[1])
