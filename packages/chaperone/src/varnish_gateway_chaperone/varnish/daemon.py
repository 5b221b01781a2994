"""A varnishd process: started without a VCL, reached over its CLI."""

import asyncio
import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedPod
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.varnish.arguments import (
    MAX_SOCKET_PATH,
    Paths,
    listen_address,
    open_sockets,
    too_long,
    varnishd_arguments,
    varnishd_environment,
)
from varnish_gateway_chaperone.varnish.cli import CliError, VarnishCli, cli_port
from varnish_gateway_chaperone.varnish.vcl import Vcls
from varnish_gateway_common.pod import Pod, PodSocket

START_SECONDS: Final = 20
POLL_SECONDS: Final = 0.01
STOP_SECONDS: Final = 10
HANG_SECONDS: Final = 40
"""varnishd waits 30 s for a process of its own that hangs, then kills it; longer, and it hangs itself."""

CHATTER: Final = ("Debug:", "Info:", "Child launched OK", "Error: Manager got SIGTERM")
NOISE: Final = ("Usage:", "(-? ", "Child starts", "Error: Child failed on launch", "Error: Child (")
_FROM_CHILD: Final = re.compile(r"^(Error|Info): Child \(\d+\) said ")


class StartError(Exception):
    """varnishd did not come up; the message is its own."""


class PortInUseError(StartError):
    """Another process has a port of this gateway; it may leave it."""


@dataclass
class Varnishd:
    """A running varnishd (the process that manages), and the way to talk to it."""

    pod: ParsedPod
    child: Child
    cli: VarnishCli
    vcls: Vcls
    worker: int | None = None
    """The process that serves; varnishd starts it again by itself."""
    has_served: bool = False
    """Whether there was such a process."""

    @property
    def said(self) -> str:
        """varnishd's last words."""
        return _said(self.child)

    @property
    def is_running(self) -> bool:
        return self.child.is_running

    async def start_worker(self) -> None:
        """Serve. Raises CliError."""
        await self.cli.command("start", timeout_seconds=START_SECONDS)
        await self.look()

    async def look(self) -> bool:
        """Ask who serves; True when that is another process than before. Raises CliError."""
        before = self.worker
        self.worker = worker_of(await self.cli.command("pid", timeout_seconds=HANG_SECONDS))
        self.has_served |= self.worker is not None
        return self.worker != before

    async def stop(self) -> int:
        """SIGTERM: its exit code."""
        await self.cli.close()
        return await self.child.stop(STOP_SECONDS)

    async def kill(self) -> int:
        """SIGKILL, also to what it has left behind: its exit code."""
        await self.cli.close()
        return await self.child.kill()


@dataclass(frozen=True)
class Program:
    """Which varnishd, and what does not change from start to start."""

    varnishd: str
    paths: Paths
    address: str
    vmod_path: str | None = None

    async def start(self, pod: ParsedPod, log: Log) -> Varnishd:
        """varnishd with its sockets open, its CLI connected, and no VCL. Raises StartError."""
        if path := too_long(pod.pod, self.paths):
            raise StartError(f"the path of a unix socket is longer than {MAX_SOCKET_PATH} bytes: {path}")
        try:
            for port in ports_in_use(open_sockets(pod.pod), self.address):
                raise PortInUseError(f"{listen_address(self.address, port)} is in use by another process")
            child = await self._spawn(pod.pod, log)
        except OSError as error:
            raise StartError(f"{self.varnishd} could not be started: {error}") from error
        try:
            cli = await self._connect(child)
        except BaseException:
            await child.kill()
            raise
        return Varnishd(pod, child, cli, Vcls(cli, self.paths.vcl))

    async def _spawn(self, pod: Pod, log: Log) -> Child:
        paths = self.paths
        await asyncio.to_thread(_clean, paths)
        return await Child.start(
            [self.varnishd, *varnishd_arguments(pod, paths, self.address, vmod_path=self.vmod_path)],
            environment=varnishd_environment(pod, paths, dict(os.environ)),
            on_line=lambda line: log.info("varnishd says", line=line) if _is_news(line) else log.debug(line),
        )

    async def _connect(self, child: Child) -> VarnishCli:
        try:
            async with asyncio.timeout(START_SECONDS):
                port = await self._port(child)
            return await VarnishCli.connect(port, self.paths.secret.read_bytes())
        except TimeoutError:
            raise StartError(f"varnishd opened no CLI within {START_SECONDS} s: {_said(child)}") from None
        except CliError as error:
            raise StartError(f"{error}: {_said(child)}") from error

    async def _port(self, child: Child) -> int:
        while True:
            if not child.is_running:
                await child.wait()
                raise StartError(_said(child))
            port = cli_port(self.paths.workdir)
            if port:
                return port
            await asyncio.sleep(POLL_SECONDS)


def worker_of(text: str) -> int | None:
    """The process that serves, from the answer to `pid`; None when there is none."""
    for line in text.splitlines():
        if line.startswith("Worker:"):
            return int(line.split()[1])
    return None


def _clean(paths: Paths) -> None:
    """Nothing of a former varnishd may be taken for the new one's; the secret is new each time."""
    shutil.rmtree(paths.workdir, ignore_errors=True)
    paths.ghost_socket.unlink(missing_ok=True)
    paths.secret.unlink(missing_ok=True)
    with os.fdopen(os.open(paths.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def ports_in_use(sockets: Iterable[PodSocket], address: str) -> list[int]:
    """Ports that somebody else has; other mistakes are varnishd's to explain."""
    return [wanted.port for wanted in sockets if is_in_use(address, wanted.port)]


def is_in_use(address: str, port: int) -> bool:
    """Whether the port cannot be bound because somebody has it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _is_news(line: str) -> bool:
    """Worth a line at the usual level: more than information, and not the echo of what chaperone does."""
    return bool(line) and not line.startswith(CHATTER)


def _said(child: Child) -> str:
    """varnishd's last words, without its chatter."""
    lines = [_FROM_CHILD.sub("", line) for line in child.tail]
    words = [line for line in lines if line and not line.startswith((*CHATTER, *NOISE))]
    return "\n".join(dict.fromkeys(words)) or "varnishd said nothing"


def find(program: str) -> str | None:
    """The program's path; None: it is not there. A mere name is one of PATH, never a file of the folder one is in."""
    return shutil.which(program)
