"""Health, readiness and metrics over HTTP (extra `web`): three paths, GET and HEAD, one answer a connection."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import h11

READ_SECONDS: Final = 5
WRITE_SECONDS: Final = 5
READ_BYTES: Final = 8192
MAX_CONNECTIONS: Final = 128
"""At once. Beyond it who has not asked for anything yet is cut off, longest first, and when all have, who comes."""

COLLECT_SECONDS: Final = 1.0
"""Who asks for metrics within it gets the same: to collect them is to ask those who have other things to do."""

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    content_type: str = TEXT


Page = Callable[[], Coroutine[None, None, Answer]]


class Web:
    """A server for some pages."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self._open = 0
        self._silent: dict[asyncio.StreamWriter, None] = {}
        """Who has not asked yet, longest first."""

    async def serve(self, address: str, port: int) -> None:
        """Until it is cancelled. Raises OSError when the port is in use."""
        server = await asyncio.start_server(self._exchange, address, port)
        async with server:
            await server.serve_forever()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._makes_room():
            writer.transport.abort()
            return
        self._open += 1
        self._silent[writer] = None
        try:
            await self._serve(reader, writer)
        except (h11.ProtocolError, OSError, TimeoutError):
            pass  # a client that does not speak HTTP, or left
        finally:
            self._open -= 1
            self._silent.pop(writer, None)
            writer.close()

    def _makes_room(self) -> bool:
        """Whether one more connection is taken: a probe must be answered whoever holds others open."""
        if self._open < MAX_CONNECTIONS:
            return True
        longest = next(iter(self._silent), None)
        if longest:
            del self._silent[longest]
            longest.transport.abort()
        return longest is not None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=READ_BYTES)
        async with asyncio.timeout(READ_SECONDS):
            request = await _request(connection, reader)
        self._silent.pop(writer, None)
        answer = await self._answer(request)
        writer.write(_bytes(connection, request, answer))
        async with asyncio.timeout(WRITE_SECONDS):
            await writer.drain()

    async def _answer(self, request: h11.Request) -> Answer:
        if request.method not in {b"GET", b"HEAD"}:
            return Answer(405, b"GET only\n")
        page = self._pages.get(request.target.split(b"?", 1)[0].decode(errors="replace"))
        return await page() if page else Answer(404, b"/healthz /readyz /metrics\n")


def at_most_every(seconds: float, page: Page) -> Page:
    """The page, made once for all who ask within this time of its beginning."""
    made: asyncio.Task[Answer] | None = None
    until = 0.0

    async def shared() -> Answer:
        nonlocal made, until
        loop = asyncio.get_running_loop()
        if made is None or (made.done() and loop.time() >= until):
            made, until = loop.create_task(page()), loop.time() + seconds
        return await asyncio.shield(made)  # one who leaves must not end it for the others

    return shared


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
