"""Ghost's client: what it makes of answers that are not what they should be."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from varnish_gateway_chaperone.varnish.ghost import GhostClient, GhostError, GhostLostError, GhostRefusedError


@asynccontextmanager
async def answering(status: str, body: str) -> AsyncIterator[GhostClient]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        writer.close()

    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:  # a short path, as sockets need one
        path = Path(folder) / "ghost"
        async with await asyncio.start_unix_server(answer, path):
            yield GhostClient(path)


async def test_what_it_runs() -> None:
    async with answering("200 OK", '{"digest": "abc", "rules": 2, "newer": 1}') as ghost:
        found = await ghost.reload()
    assert (found.digest, found.rules, found.endpoints) == ("abc", 2, 0)


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        ("422 Unprocessable", '{"error": "rules: not a list"}', GhostRefusedError, "rules: not a list"),
        ("422 Unprocessable", '{"reason": "x"}', GhostRefusedError, '{"reason": "x"}'),
        ("422 Unprocessable", "no JSON", GhostRefusedError, "no JSON"),
        ("503 Unavailable", "", GhostLostError, "ghost answers 503"),
        ("200 OK", "no JSON", GhostLostError, "ghost's answer is not understood: 1 mistakes"),
        ("200 OK", '{"rules": "many"}', GhostLostError, "ghost's answer is not understood: 1 mistakes"),
        ("nonsense", "", GhostLostError, "ghost does not answer"),
    ],
)
async def test_what_is_refused_is_not_what_is_lost(
    status: str, body: str, error: type[GhostError], message: str
) -> None:
    async with answering(status, body) as ghost:
        with pytest.raises(error) as caught:
            await ghost.reload()
    assert str(caught.value).startswith(message)


async def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(GhostLostError, match="ghost does not answer"):
        await GhostClient(tmp_path / "none").status()
