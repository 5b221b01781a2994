"""A thousand connections whose answers take three seconds: who else waits, and how many threads that takes."""

import asyncio
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.data_path import BARE_PORT, with_ghost
from bench.document import host
from bench.plain import ADDRESS, BACKEND_PORT, BARE
from bench.table import table
from bench.varnish import Varnish

CONNECTIONS = 1_000
SECONDS = 3
SLOW, QUICK = "/page/slow", "/page/quick"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

TEXT = f"""# Many slow answers

{CONNECTIONS:,} connections ask at once for what the backend answers after {SECONDS} s. Meanwhile another client
asks for what is answered at once, on a new connection each time. A request that waits keeps a thread; where Varnish
fetches, two.
"""


@dataclass
class Waiting:
    what: str
    threads_before: int
    threads: int = 0
    """The most that were seen."""
    answered: int = 0
    seconds: float = 0
    """Until the last slow answer."""
    quick_ms: list[float] = field(default_factory=list)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The backend."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(SECONDS if SLOW.encode() in head else 0)
            writer.write(OK)
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass  # varnishd keeps idle connections open until the end
    finally:
        writer.close()


async def ask(port: int, path: str) -> bool:
    """Whether it was answered as it should be."""
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host(0)}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.read()).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
    finally:
        writer.close()


async def wait(varnish: Varnish, what: str) -> Waiting:
    backend = await asyncio.start_server(serve, ADDRESS, BACKEND_PORT, backlog=CONNECTIONS)
    found = Waiting(what, threads_of(varnish))
    begun = time.monotonic()
    slow = asyncio.gather(*(ask(varnish.port, SLOW) for _ in range(CONNECTIONS)))
    while not slow.done():
        asked = time.monotonic()
        if await ask(varnish.port, QUICK):
            found.quick_ms.append((time.monotonic() - asked) * 1000)
        found.threads = max(found.threads, threads_of(varnish))
        await asyncio.sleep(0.02)
    found.seconds, found.answered = time.monotonic() - begun, sum(await slow)
    backend.close()
    return found


def threads_of(varnish: Varnish) -> int:
    return len(list(Path(f"/proc/{varnish.child}/task").iterdir()))


def run() -> Iterator[Waiting]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    made: dict[str, Callable[[], Varnish]] = {
        "plain pass": lambda: Varnish("bare", BARE.vcl, ADDRESS, BARE_PORT, cpu=0),
        "ghost, by fetch": lambda: with_ghost(10, passes="Fetch"),
        "ghost, direct": lambda: with_ghost(10),
    }
    for what, make in made.items():
        with make() as varnish:
            yield asyncio.run(wait(varnish, what))


def section() -> str:
    head = ("", "answered", "all after, s", "threads before", "at most", "quick answers", "median ms", "slowest ms")
    cells = (
        (
            row.what,
            f"{row.answered:,} of {CONNECTIONS:,}",
            f"{row.seconds:.2f}",
            row.threads_before,
            f"{row.threads:,}",
            len(row.quick_ms),
            f"{statistics.median(row.quick_ms):.1f}",
            f"{max(row.quick_ms):.0f}",
        )
        for row in run()
    )
    return f"{TEXT}\n{table(head, cells)}"
