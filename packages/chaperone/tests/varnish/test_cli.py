"""The CLI protocol against a server that speaks it: framing, authentication, time, garbage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from varnish_gateway_chaperone.varnish.cli import (
    CliLostError,
    CliRefusedError,
    VarnishCli,
    cli_port,
    quoted,
    response,
)

SECRET = b"secret\n"
CHALLENGE = "ixslvvxrgkjptxmcgnnsdxsvdmvfympg"


def frame(status: int, text: str) -> bytes:
    body = text.encode()
    return b"%-3d %-8d\n%b\n" % (status, len(body), body)


@asynccontextmanager
async def server(answer: Callable[[str], bytes]) -> AsyncIterator[int]:
    ended = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(end := asyncio.Event())
        writer.write(frame(107, f"{CHALLENGE}\n\nAuthentication required.\n"))
        while line := await reader.readline():
            word = line.decode().rstrip("\n")
            if word.startswith("auth "):
                is_right = word == f"auth {response(CHALLENGE, SECRET)}"
                writer.write(frame(200, "hello") if is_right else frame(107, f"{CHALLENGE}\n\nno\n"))
            else:
                writer.write(answer(word))
        writer.close()
        end.set()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.gather(*(end.wait() for end in ended))


def test_the_response_is_the_one_of_the_manual() -> None:
    """varnish-cli(7): challenge and secret of its example."""
    assert response(CHALLENGE, b"foo\n") == "455ce847f0073c7ab3b1465f74507b75d3dc064c1e7de3b71e00de9092fdc89a"


async def test_a_command_and_its_answer() -> None:
    async with server(lambda line: frame(200, f"you said\n{line}")) as port:
        cli = await VarnishCli.connect(port, SECRET)
        assert await cli.command("vcl.load", "a", "/tmp/with space") == 'you said\nvcl.load a "/tmp/with space"'
        await cli.close()


async def test_commands_given_at_once_get_their_own_answers() -> None:
    async with server(lambda line: frame(200, line)) as port:
        cli = await VarnishCli.connect(port, SECRET)
        words = [str(number) for number in range(50)]
        assert await asyncio.gather(*map(cli.command, words)) == words
        await cli.close()


async def test_a_refusal_has_status_and_message() -> None:
    async with server(lambda _: frame(106, "Syntax error")) as port:
        cli = await VarnishCli.connect(port, SECRET)
        with pytest.raises(CliRefusedError, match="Syntax error") as found:
            await cli.command("vcl.load")
        assert found.value.status == 106
        await cli.close()


async def test_a_truncated_answer_is_an_answer() -> None:
    async with server(lambda _: frame(201, "much\n[response was limited]")) as port:
        cli = await VarnishCli.connect(port, SECRET)
        assert (await cli.command("param.show")).startswith("much")
        await cli.close()


async def test_the_wrong_secret() -> None:
    async with server(lambda _: b"") as port:
        with pytest.raises(CliRefusedError):
            await VarnishCli.connect(port, b"other\n")


async def test_no_answer_in_time_ends_the_connection() -> None:
    async with server(lambda _: b"") as port:
        cli = await VarnishCli.connect(port, SECRET)
        with pytest.raises(CliLostError, match="no answer in time"):
            await cli.command("ping", timeout_seconds=0.05)
        with pytest.raises(CliLostError):
            await cli.command("ping", timeout_seconds=0.05)


async def test_who_gives_up_waiting_leaves_the_connection_in_order() -> None:
    async with server(lambda line: frame(200, line)) as port:
        cli = await VarnishCli.connect(port, SECRET)
        given_up = asyncio.create_task(cli.command("slow"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await cli.command("next") == "next"
        assert given_up.cancelled()
        await cli.close()


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad\r\n\r\n", b"200 99999999\nx", b"abc def      \n", b"200 -5      \n"]
)
async def test_garbage_is_not_waited_for(garbage: bytes) -> None:
    async with server(lambda _: garbage) as port:
        cli = await VarnishCli.connect(port, SECRET)
        with pytest.raises(CliLostError):
            await cli.command("ping", timeout_seconds=60)


async def test_nobody_listens() -> None:
    async with server(lambda _: b"") as port:
        pass
    with pytest.raises(CliLostError):
        await VarnishCli.connect(port, SECRET)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("vcl.use", "vcl.use"), ("", '""'), ("a b", '"a b"'), ('a"b\\', '"a\\"b\\\\"'), ("a\nstop", '"a\\nstop"')],
)
def test_quoting(word: str, wanted: str) -> None:
    assert quoted(word) == wanted


def test_the_port_in_shared_memory(tmp_path: Path) -> None:
    folder = tmp_path / "_.vsm_mgt"
    assert cli_port(tmp_path) is None
    folder.mkdir()
    (folder / "_.index").write_text("# 1 2\n+ _.Arg.1 0 8 Arg -i\n+ _.Arg.2 0 24 Arg -T\n")
    assert cli_port(tmp_path) is None
    (folder / "_.Arg.2").write_bytes(b"127.0.0.1 35625\n\0\0\0")
    assert cli_port(tmp_path) == 35625
    (folder / "_.Arg.2").write_bytes(b"\xff")
    assert cli_port(tmp_path) is None
