"""Health, readiness and metrics over HTTP (extra `web`): three paths, GET and HEAD, one answer a connection."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import h11

READ_SECONDS: Final = 5
READ_BYTES: Final = 8192

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    content_type: str = TEXT


Page = Callable[[], Awaitable[Answer]]


class Web:
    """A server for some pages."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages

    async def serve(self, address: str, port: int) -> None:
        """Until it is cancelled. Raises OSError when the port is in use."""
        server = await asyncio.start_server(self._exchange, address, port)
        async with server:
            await server.serve_forever()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=READ_BYTES)
        try:
            async with asyncio.timeout(READ_SECONDS):
                request = await _request(connection, reader)
            answer = await self._answer(request)
            writer.write(_bytes(connection, request, answer))
            await writer.drain()
        except (h11.ProtocolError, OSError, TimeoutError):
            pass  # a client that does not speak HTTP, or left
        finally:
            writer.close()

    async def _answer(self, request: h11.Request) -> Answer:
        if request.method not in {b"GET", b"HEAD"}:
            return Answer(405, b"GET only\n")
        page = self._pages.get(request.target.split(b"?", 1)[0].decode(errors="replace"))
        return await page() if page else Answer(404, b"/healthz /readyz /metrics\n")


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            raise h11.RemoteProtocolError("no request")
        connection.receive_data(await reader.read(READ_BYTES))


def _bytes(connection: h11.Connection, request: h11.Request, answer: Answer) -> bytes:
    headers = [
        ("content-type", answer.content_type),
        ("content-length", str(len(answer.body))),
        ("cache-control", "no-store"),
        ("connection", "close"),
    ]
    body = b"" if request.method == b"HEAD" else answer.body
    events = [h11.Response(status_code=answer.status, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
    return b"".join(connection.send(event) or b"" for event in events)
