"""What one large body costs in memory: downloads and an upload that are passed on as they come, both ways of a pass."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.data_path import with_ghost
from bench.document import host
from bench.plain import ADDRESS, BACKEND_PORT
from bench.table import table
from bench.varnish import Varnish
from varnish_gateway_operator.resources.parameters import Passes

BYTES = 2 << 30
PIECE = bytes(64 << 10)
SLOW_EACH = 64
"""Pieces that a slow client takes before it pauses."""
SAMPLE_SECONDS = 0.05
HEAD = f"Host: {host(0)}\r\nConnection: close\r\n"

TEXT = f"""# Large bodies

Anonymous memory of varnishd's child while {BYTES >> 30} GiB go through it: by how many MiB it grew, at most. A slow
client pauses for a moment after every {SLOW_EACH * len(PIECE) >> 20} MiB and leaves after an eighth, so that the
backend would be far ahead of it if anybody let it.
"""


@dataclass(frozen=True)
class Stream:
    what: str
    passes: Passes
    gib: float
    mib: float


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The backend: sends so much, or counts what it gets."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            got = await read(reader, BYTES)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(got)), got))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BYTES)
            await write(writer)
    except (OSError, asyncio.IncompleteReadError):
        pass  # the slow client leaves, and whoever only looks whether varnishd answers
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader, wanted: int) -> int:
    """How much of it came."""
    got = 0
    while got < wanted and (piece := await reader.read(len(PIECE))):
        got += len(piece)
    return got


async def write(writer: asyncio.StreamWriter) -> None:
    for _ in range(BYTES // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


async def download(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(f"GET /page HTTP/1.1\r\n{HEAD}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return await read(reader, BYTES)


async def upload(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(f"POST /page HTTP/1.1\r\n{HEAD}Content-Length: {BYTES}\r\n\r\n".encode())
    await write(writer)
    await reader.readuntil(b"\r\n\r\n")
    return int(await reader.read())


async def download_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(f"GET /page HTTP/1.1\r\n{HEAD}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while got < BYTES // 8:
        got += await read(reader, SLOW_EACH * len(PIECE))
        await asyncio.sleep(SAMPLE_SECONDS)
    return got


KINDS: dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int]]] = {
    "download": download,
    "download by a slow client": download_slowly,
    "upload": upload,
}


async def measure(varnish: Varnish, passes: Passes, what: str) -> Stream:
    reader, writer = await asyncio.open_connection(ADDRESS, varnish.port)
    before = most = varnish.resident_mib()
    moving = asyncio.ensure_future(KINDS[what](reader, writer))
    while not moving.done():
        most = max(most, varnish.resident_mib())
        await asyncio.sleep(SAMPLE_SECONDS)
    writer.close()
    return Stream(what, passes, await moving / (1 << 30), most - before)


async def run() -> list[Stream]:
    streams = []
    async with await asyncio.start_server(serve, ADDRESS, BACKEND_PORT):
        for passes in ("Direct", "Fetch"):
            with with_ghost(10, passes=passes) as varnish:
                streams += [await measure(varnish, passes, what) for what in KINDS]
    return streams


def section() -> str:
    cells = ((f"{row.what}, {row.passes}", f"{row.gib:.2f}", f"{row.mib:.1f}") for row in asyncio.run(run()))
    return f"{TEXT}\n{table(('', 'GiB', 'MiB more'), cells)}"
