"""The server behind the live tests: answers what it saw, as JSON, on every endpoint that the cases name."""

import asyncio
import json
import sys
from collections.abc import Iterable

ANSWER_HEADERS = "x-echo-set: echo\r\nx-echo-add: echo\r\nx-echo-remove: echo\r\n"
MAX_HEAD_BYTES = 128 * 1024


async def _read_body(reader: asyncio.StreamReader, headers: list[tuple[str, str]]) -> int:
    fields = dict(headers)
    if "chunked" in fields.get("transfer-encoding", ""):
        total = 0
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
            total += size
        await reader.readline()
        return total
    length = int(fields.get("content-length", "0"))
    await reader.readexactly(length)
    return length


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, port = writer.get_extra_info("sockname")[:2]
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request_line, *lines = head[:-4].split("\r\n")
            method, path, _ = request_line.split(" ")
            headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
            received = await _read_body(reader, headers)
            headers.append(("x-echo-port", str(port)))
            saw = {"endpoint": f"{host}:{port}", "method": method, "path": path, "headers": headers, "body": received}
            body = json.dumps(saw).encode()
            writer.write(
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
                f"{ANSWER_HEADERS}\r\n".encode()
            )
            if method != "HEAD":
                writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(endpoints: Iterable[tuple[str, int]]) -> None:
    """Listen on every endpoint until cancelled; says "ready" on standard output."""
    servers = [await asyncio.start_server(_serve, host, port, limit=MAX_HEAD_BYTES) for host, port in endpoints]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve((host, int(port)) for host, _, port in (argument.rpartition(":") for argument in sys.argv[1:])))
