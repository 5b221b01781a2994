"""A backend for the soak: what it answers follows from the path, so that whoever gets it can tell whether it is right.

`/page/SEED/BYTES/FRAMING`: so many bytes that follow from the seed, with a length, chunked, or up to the end of the
connection; `cut` promises twice as many and breaks off. `/page/silent` is not answered at all. A POST is answered with
the digest of its body. One process, any number of addresses; it runs until it is killed.
"""

import asyncio
import hashlib
import sys
from collections.abc import Iterable

PIECE = 16 << 10
SILENT = "/page/silent"


def content(seed: int, size: int) -> bytes:
    """No two seeds have a stretch in common."""
    block = hashlib.sha256(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def pieces(body: bytes) -> Iterable[bytes]:
    return (body[place : place + PIECE] for place in range(0, len(body), PIECE))


async def head_of(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    """Method, target and fields. Raises IncompleteReadError at the end."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return method, target, fields


async def body_of(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def answer(writer: asyncio.StreamWriter, target: str) -> bool:
    """Whether the connection goes on."""
    seed, size, framing = target.split("?")[0].split("/")[2:]
    body = content(int(seed), int(size))
    if framing == "chunked":
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces(body):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True
    promised = len(body) * 2 + 1 if framing == "cut" else len(body)
    length = b"" if framing == "closed" else b"Content-Length: %d\r\n" % promised
    writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n" % length)
    for piece in pieces(body):
        writer.write(piece)
        await writer.drain()
    return framing == "length"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            method, target, fields = await head_of(reader)
            body = await body_of(reader, fields)
            if method == "POST":
                digest = hashlib.sha256(body).hexdigest().encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(digest), digest))
            elif target == SILENT:
                await reader.read()
                break
            elif not await answer(writer, target):
                break
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main(addresses: list[str]) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        await asyncio.start_server(serve, host, int(port))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
