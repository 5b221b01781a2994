"""The small web server: three pages, and clients that do not behave."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from varnish_gateway_common.web import Answer, Web


async def page() -> Answer:
    return Answer(503, b"not ready\n")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    serving = asyncio.create_task(Web({"/readyz": page}).serve("127.0.0.1", free))
    while True:
        with suppress(ConnectionRefusedError):
            (await asyncio.open_connection("127.0.0.1", free))[1].close()
            break
        await asyncio.sleep(0.01)
    yield free
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/readyz", 503, "not ready\n"),
        ("GET", "/readyz?verbose", 503, "not ready\n"),
        ("HEAD", "/readyz", 503, ""),
        ("GET", "/", 404, "/healthz /readyz /metrics\n"),
        ("POST", "/readyz", 405, "GET only\n"),
    ],
)
async def test_pages(port: int, method: str, path: str, status: int, text: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, f"http://127.0.0.1:{port}{path}")
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("sent", [b"", b"\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000, b"GET\r\n\r\n"])
async def test_what_is_no_request_gets_nothing_and_breaks_nothing(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 503
