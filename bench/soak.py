"""`python -m bench soak [SECONDS]`: mixed load with aborts on both sides while routes, endpoints and VCL change.

Every body is checked. What a backend or a client breaks off must break visibly, everything else must arrive: wrong and
lost answers are counted, and connections, threads and memory of varnishd's child before, each minute, and after. Every
other VCL has direct passes, the others have Varnish's fetch.
"""

import asyncio
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import soak_backend
from bench.document import host
from bench.reload import SLICE, Gateway, ask, wait_for
from bench.varnish import resident_mib
from varnish_gateway_chaperone.varnish.ghost import GhostClient
from varnish_gateway_common import names
from varnish_gateway_common.files import write_atomically
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.translate.vcl import concatenated

ADDRESS = "127.30.0.1"
PORT = 18090
BACKENDS = tuple(f"127.30.0.{last}:18200" for last in (11, 12, 13))
CLIENTS = 24
FRAMINGS = ("length", "chunked", "closed", "cut")
SIZES = (0, 1, 300, 20_000, 70_000, 1_000_000)
SETTLE_SECONDS = 5
SAMPLE_SECONDS = 60
KINDS = (*["get"] * 6, "post", "post", "abort", "abort", "leave")
NOT_FOUND = 404


@dataclass(frozen=True)
class State:
    """Of varnishd's child."""

    mib: float
    threads: int
    sockets: int


class WrongError(Exception):
    """An answer that is not what the backend sent."""


class Client:
    """One connection after the other, one request after the other."""

    def __init__(self, number: int, until: float, seen: Counter[str]) -> None:
        self._random, self._until, self._seen = random.Random(number), until, seen

    async def run(self) -> None:
        while time.monotonic() < self._until:
            reader, writer = await asyncio.open_connection(ADDRESS, PORT)
            try:
                while time.monotonic() < self._until and await self._exchange(reader, writer):
                    pass
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        kind = self._random.choice(KINDS)
        framing = self._random.choice(FRAMINGS) if kind == "get" else "length"
        try:
            goes_on = await self._ask(reader, writer, kind, framing)
        except WrongError as error:
            self._seen[f"WRONG {kind} {framing}: {error}"] += 1
            return False
        except (OSError, asyncio.IncompleteReadError) as error:
            self._seen["cut, as it was" if framing == "cut" else f"LOST {kind} {framing}: {error}"] += 1
            return False
        self._seen[kind] += 1
        return goes_on

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, framing: str) -> bool:
        match kind:
            case "post":
                return await self._post(reader, writer)
            case "leave":
                return await self._leave(writer)
        return await self._get(reader, writer, kind, framing)

    async def _leave(self, writer: asyncio.StreamWriter) -> bool:
        """Asks a backend that says nothing, and goes."""
        writer.write(f"GET {soak_backend.SILENT} HTTP/1.1\r\nHost: {host(0)}\r\n\r\n".encode())
        await asyncio.sleep(self._random.random())
        return False

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, framing: str) -> bool:
        seed, size = self._random.randrange(1 << 30), self._random.choice(SIZES)
        writer.write(f"GET /page/{seed}/{size}/{framing} HTTP/1.1\r\nHost: {host(0)}\r\n\r\n".encode())
        fields = await answered(reader)
        if kind == "abort":
            return False
        body = await soak_backend.body_of(reader, fields)
        if body != soak_backend.content(seed, size):
            raise WrongError(f"{len(body)} bytes instead of {size}")
        return True

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = self._random.randbytes(self._random.choice(SIZES))
        head = f"POST /page HTTP/1.1\r\nHost: {host(0)}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        if self._random.random() < 0.1:
            writer.write(head + body[: len(body) // 2])
            await writer.drain()
            return False
        writer.write(head + body)
        await writer.drain()
        digest = await soak_backend.body_of(reader, await answered(reader))
        if digest.decode() != hashlib.sha256(body).hexdigest():
            raise WrongError("another digest")
        return True


async def answered(reader: asyncio.StreamReader) -> dict[str, str]:
    _, status, fields = await soak_backend.head_of(reader)
    if status != "200":
        raise OSError(f"status {status}")
    return fields


async def change(gateway: Gateway, seconds: float) -> int:
    """Endpoints come and go each second, a VCL each 10 s. Returns how many changes there were."""
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number += 1
        write_endpoints(gateway, number)
        if number % 10 == 0:
            write_vcl(gateway, number)
        await asyncio.sleep(1)
    return number


def write_vcl(gateway: Gateway, number: int) -> None:
    text = concatenated(vcl_parts(), "", "Fetch" if number % 20 else "Direct")
    write_atomically(gateway.state / names.VCL, f"{text}\n# {number}\n".encode())


def write_endpoints(gateway: Gateway, number: int) -> None:
    """Two of the three, another two each time."""
    chosen = [end for place, end in enumerate(BACKENDS) if place != number % len(BACKENDS)]
    ends = ", ".join(f"{{addresses: [{end.partition(':')[0]}]}}" for end in chosen)
    text = SLICE.format(name="web", port=18200, address="").replace("{addresses: []}", ends)
    write_atomically(gateway.endpoints / "web.yaml", text.encode())


@contextmanager
def running() -> Iterator[tuple[Gateway, Path]]:
    command = [sys.executable, "-m", "bench.soak_backend", *BACKENDS]
    with tempfile.TemporaryDirectory(prefix="vgw-soak-") as name, subprocess.Popen(command) as backend:
        gateway = Gateway(Path(name))
        write_endpoints(gateway, 0)
        try:
            wait_for(lambda: ask(host(0))[0] == NOT_FOUND)  # it has routes, none of them for /
            yield gateway, Path(name)
        finally:
            gateway.process.terminate()
            gateway.process.wait()
            backend.kill()


def state_of(chaperone: int) -> State:
    """Of the child of the varnishd that this chaperone runs."""
    manager = next(pid for pid in children_of(chaperone) if "varnishd" in command_of(pid))
    child = children_of(manager)[0]
    folder = Path(f"/proc/{child}")
    sockets = sum(is_socket(each) for each in (folder / "fd").iterdir())
    return State(resident_mib(child), len(list((folder / "task").iterdir())), sockets)


def is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except FileNotFoundError:
        return False  # closed meanwhile


def children_of(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def sample(chaperone: int, seconds: float) -> None:
    for minute in range(1, int(seconds / SAMPLE_SECONDS) + 1):
        await asyncio.sleep(SAMPLE_SECONDS)
        print(f"{minute:3} min: {state_of(chaperone)}", flush=True)


async def soak(gateway: Gateway, seconds: float) -> tuple[Counter[str], int]:
    seen: Counter[str] = Counter()
    until = time.monotonic() + seconds
    clients = [Client(number, until, seen).run() for number in range(CLIENTS)]
    changing = asyncio.create_task(change(gateway, seconds))
    await asyncio.gather(*clients, sample(gateway.process.pid, seconds))
    return seen, await changing


def main(seconds: float) -> int:
    """The exit code: 0 when nothing was wrong or lost."""
    with running() as (gateway, folder):
        asyncio.run(soak(gateway, SETTLE_SECONDS))  # warms up: threads, connections, arenas of memory
        time.sleep(SETTLE_SECONDS)
        before = state_of(gateway.process.pid)
        seen, changes = asyncio.run(soak(gateway, seconds))
        time.sleep(SETTLE_SECONDS)
        after = state_of(gateway.process.pid)
        ghost = asyncio.run(GhostClient(folder / "run" / "ghost.sock").status())
    print(f"{seconds:.0f} s, {changes} changes; before {before}; after {after}; {ghost.requests}; {ghost.upstream}")
    print("\n".join(f"{count:8} {what}" for what, count in sorted(seen.items())))
    return int(any(what.startswith(("WRONG", "LOST")) for what in seen))
