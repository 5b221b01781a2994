"""varnishd's CLI protocol: text over TCP, with a shared secret.

CliError
+-- CliLostError      the connection: refused, closed, or no answer in time
+-- CliRefusedError   varnishd's answer: a status that is not 200, with its message
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

OK: Final = 200
TRUNCATED: Final = 201
UNAUTHENTICATED: Final = 107
HEADER_BYTES: Final = 13
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+*-]+")


class CliError(Exception):
    """What went wrong between chaperone and varnishd's CLI."""


class CliLostError(CliError):
    """No connection, or no answer."""


class CliRefusedError(CliError):
    """varnishd does not do it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Cli(Protocol):
    """The boundary to varnishd's CLI."""

    async def command(self, *words: str, timeout_seconds: float = 10) -> str:
        """The text of the answer. Raises CliError."""
        ...


class VarnishCli:
    """One authenticated connection; one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, port: int, secret: bytes, *, timeout_seconds: float = 10) -> "VarnishCli":
        """A connection that may give commands. Raises CliError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                cli = cls(*await asyncio.open_connection("127.0.0.1", port))
        except (OSError, TimeoutError) as error:
            raise CliLostError(f"varnishd's CLI on port {port}: {_said(error)}") from error
        try:
            await cli._authenticate(secret, timeout_seconds)
        except CliError:
            await cli.close()
            raise
        return cli

    async def command(self, *words: str, timeout_seconds: float = 10) -> str:
        """Send a command, wait for its answer. Raises CliLostError (also when it takes too long), CliRefusedError.

        Who gives up waiting leaves the exchange to end by itself: its answer must not be taken for the next one's.
        """
        exchange = asyncio.create_task(self._in_turn(" ".join(map(quoted, words)), timeout_seconds), name=words[0])
        exchange.add_done_callback(_retrieved)
        status, text = await asyncio.shield(exchange)
        if status not in {OK, TRUNCATED}:
            raise CliRefusedError(status, text)
        return text

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _authenticate(self, secret: bytes, timeout_seconds: float) -> None:
        status, text = await self._in_time(self._answer(), timeout_seconds)
        if status == UNAUTHENTICATED:
            challenge = text.split("\n", 1)[0]
            status, text = await self._exchange(f"auth {response(challenge, secret)}", timeout_seconds)
        if status != OK:
            raise CliRefusedError(status, text)

    async def _in_turn(self, line: str, timeout_seconds: float) -> tuple[int, str]:
        async with self._turn:
            return await self._exchange(line, timeout_seconds)

    async def _exchange(self, line: str, timeout_seconds: float) -> tuple[int, str]:
        self._writer.write(line.encode() + b"\n")
        return await self._in_time(self._answer(), timeout_seconds)

    async def _in_time(self, answer: Awaitable[tuple[int, str]], timeout_seconds: float) -> tuple[int, str]:
        """An answer that comes late would be taken for the next one's: the connection ends with the first delay."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self._writer.close()
            raise CliLostError(f"varnishd's CLI: {_said(error)}") from error

    async def _answer(self) -> tuple[int, str]:
        """`status length\\n`, 13 bytes in all; then the text and a newline."""
        header = await self._reader.readexactly(HEADER_BYTES)
        status, length = (int(part) for part in header.split())
        if length > MAX_ANSWER_BYTES:
            raise ValueError(f"an answer of {length} bytes")
        body = await self._reader.readexactly(length + 1)
        return status, body[:-1].decode(errors="replace")


def response(challenge: str, secret: bytes) -> str:
    """SHA-256 of challenge, secret and challenge, each challenge with its newline."""
    line = challenge.encode() + b"\n"
    return hashlib.sha256(line + secret + line).hexdigest()


def quoted(word: str) -> str:
    """A word of a command; what is not plain goes in double quotes with backslashes."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def cli_port(workdir: Path) -> int | None:
    """The port that varnishd chose for its CLI, as its shared memory says; None: not yet.

    With `-T 127.0.0.1:0` only varnishd knows it: the segment `Arg -T` holds `address port` for its own tools.
    """
    folder = workdir / "_.vsm_mgt"
    try:
        for line in (folder / "_.index").read_text().splitlines():
            words = line.split()
            if words[:1] == ["+"] and words[-2:] == ["Arg", "-T"]:
                text = (folder / words[1]).read_bytes().rstrip(b"\0").split()
                return int(text[1])
    except (OSError, ValueError, IndexError):
        return None
    return None


def _retrieved(exchange: asyncio.Task[tuple[int, str]]) -> None:
    """What it raised is known to who waits for it; when nobody does, it is of no interest."""
    if not exchange.cancelled():
        exchange.exception()


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError):
        return "closed by varnishd"
    return str(error)


class FakeVarnishCli:
    """A varnishd that knows VCLs by name, for tests: a text with `broken` in it does not compile."""

    def __init__(self, vcl_path: Path = Path()) -> None:
        self._vcl_path = vcl_path
        self.commands: list[tuple[str, ...]] = []
        self.loaded: dict[str, str] = {}
        self.active: str | None = None
        self.is_lost = False
        self.undiscardable: set[str] = set()
        self.is_unusable = False

    async def command(self, *words: str, timeout_seconds: float = 10) -> str:  # noqa: ARG002
        self.commands.append(words)
        if self.is_lost:
            raise CliLostError("varnishd's CLI: closed by varnishd")
        match words:
            case ("vcl.load", name, path):
                return self._load(name, self._vcl_path / path)
            case ("vcl.use", name):
                if self.is_unusable:
                    raise CliRefusedError(300, "no")
                self.active = name
            case ("vcl.discard", name):
                if name == self.active or name in self.undiscardable:
                    raise CliRefusedError(300, f"Cannot discard active VCL program {name}")
                del self.loaded[name]
        return ""

    def _load(self, name: str, path: Path) -> str:
        text = path.read_text()
        if "broken" in text:
            message = f"Message from VCC-compiler:\nSyntax error\n('{path}' Line 1 Pos 1)\nbroken\n######\n\n"
            raise CliRefusedError(106, message + "Running VCC-compiler failed, exited with 2\nVCL compilation failed")
        self.loaded[name] = text
        return "VCL compiled."
