"""VCLs in varnishd: each gets a name of its own, the newest good one is used, the others are discarded."""

import re
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.varnish.cli import Cli, CliRefusedError
from varnish_gateway_common import names
from varnish_gateway_common.document import digest

COMPILE_SECONDS: Final = 60
"""A compiler on a busy machine takes its time; one that takes longer than this hangs."""
MAX_MESSAGE_LINES: Final = 20

_NOISE = re.compile(
    r"^(Message from VCC-compiler:|Running VCC-compiler failed.*|VCL compilation failed|VCL compiled\.)$"
)


class VclError(Exception):
    """A VCL that does not compile; the message is the compiler's."""


class Vcls:
    """The VCLs of one varnishd process."""

    def __init__(self, cli: Cli, file: Path) -> None:
        """`file`: where varnishd looks for a VCL of that name."""
        self._cli = cli
        self._file = file
        self._count = 0
        self._lingering: list[str] = []
        self.active_digest = ""
        self.passes_directly = False
        """Whether passes go without Varnish's fetch."""

    async def use(self, content: bytes) -> None:
        """Compile and use. Raises VclError, CliError, and OSError when the text cannot be written."""
        name = self._next_name(content)
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_bytes(content)
        await self._load(name)
        try:
            await self._cli.command("vcl.use", name)
        except CliRefusedError:
            await self._discard([name])
            raise
        self.active_digest = digest(content)
        self.passes_directly = names.PASS_DIRECTLY in content
        lingering, self._lingering = self._lingering, [name]
        await self._discard(lingering)

    def _next_name(self, content: bytes) -> str:
        """A digest and a counter: the same text may come again while its former self still lingers."""
        self._count += 1
        return f"vgw_{digest(content)[:12]}_{self._count}"

    async def _load(self, name: str) -> None:
        try:
            await self._cli.command("vcl.load", name, self._file.name, timeout_seconds=COMPILE_SECONDS)
        except CliRefusedError as refused:
            raise VclError(readable(refused.message, self._file)) from None

    async def _discard(self, names: list[str]) -> None:
        """What requests still hold goes when they end; what is refused is tried again after the next VCL."""
        for name in names:
            try:
                await self._cli.command("vcl.discard", name)
            except CliRefusedError:
                self._lingering.append(name)


def readable(message: str, file: Path) -> str:
    """The compiler's message without what says nothing: where, what, and the marked line."""
    lines = [line.rstrip().replace(f"'{file}'", file.name) for line in message.splitlines()]
    said = [line for line in lines if line and not _NOISE.match(line)]
    rest = len(said) - MAX_MESSAGE_LINES
    return "\n".join(said[:MAX_MESSAGE_LINES] + ([f"... and {rest} more lines"] if rest > 0 else []))
