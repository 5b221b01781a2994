"""New TLS connections, each with one request: our front against nginx with its own TLS."""

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.fronts import Front
from bench.hits import ADDRESS
from bench.pairs import Pairs, in_turn

ROUNDS = 7
SECONDS = 1
PROTOCOLS = {"HTTP/1.1": "h1", "HTTP/2": "h2"}


def run(made: dict[str, Front]) -> Iterator[tuple[str, Pairs]]:
    """What kind of handshake, and what it cost."""
    for kind in ("full", "resumed"):
        for name, protocol in PROTOCOLS.items():

            def load(front: Front, protocol: str = protocol, kind: str = kind) -> tuple[int, int]:
                return connect(front, protocol, kind)

            yield f"{kind}, {name}", in_turn(made["HAProxy"], made["nginx"], load, rounds=ROUNDS, seconds=SECONDS)


def connect(front: Front, protocol: str, kind: str) -> tuple[int, int]:
    command = ["taskset", "-c", "1", sys.executable, "-m", "bench.tls_client"]
    command += [ADDRESS, str(front.port), protocol, kind, str(SECONDS)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["connections"], found["failed"]
