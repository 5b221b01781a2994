"""The small web server: three pages, and clients that do not behave."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from varnish_gateway_common import web
from varnish_gateway_common.web import Answer, Web, at_most_every


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


async def test_who_says_nothing_does_not_keep_others_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_CONNECTIONS", 3)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 503
    for reader, writer in silent[:7]:
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b"", "those who came first are cut off first"
        writer.close()
    assert not silent[-1][0].at_eof()
    for _, writer in silent[7:]:
        writer.close()


async def test_who_waits_for_an_answer_keeps_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_CONNECTIONS", 2)
    is_made = asyncio.Event()

    async def slow() -> Answer:
        await is_made.wait()
        return Answer(200, b"made\n")

    server = Web({"/metrics": slow})
    listening = await asyncio.start_server(server._exchange, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/metrics"
    async with listening, httpx.AsyncClient(timeout=60) as client:
        waiting = [asyncio.create_task(client.get(address)) for _ in range(2)]
        while server._open < 2 or server._silent:  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)
        with pytest.raises(httpx.TransportError):
            await client.get(address)
        is_made.set()
        assert [(await one).text for one in waiting] == ["made\n"] * 2


async def test_a_page_is_made_once_for_all_who_ask() -> None:
    made = 0

    async def counted() -> Answer:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return Answer(200, f"{made}".encode())

    shared = at_most_every(3600, counted)
    impatient = asyncio.create_task(shared())
    others = [asyncio.create_task(shared()) for _ in range(500)]
    await asyncio.sleep(0)
    impatient.cancel()
    assert {(await one).body for one in others} == {b"1"}
    assert (await shared()).body == b"1"
    fresh = at_most_every(0, counted)
    assert [(await fresh()).body for _ in range(3)] == [b"2", b"3", b"4"]


async def test_a_page_that_fails_is_tried_again() -> None:
    answers = [Answer(200, b"ok")]

    async def failing() -> Answer:
        if len(answers) == 1:
            answers.append(answers[0])
            raise RuntimeError("a bug")
        return answers[0]

    shared = at_most_every(0, failing)
    with pytest.raises(RuntimeError):
        await shared()
    assert (await shared()).body == b"ok"
