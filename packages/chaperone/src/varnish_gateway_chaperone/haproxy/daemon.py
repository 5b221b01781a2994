"""A HAProxy process: a master in the foreground, and its worker, which serves."""

import asyncio
import os
import resource
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.haproxy.build import Build, parsed
from varnish_gateway_chaperone.haproxy.certificates import ParsedCertificates, Tls, parse_certificates
from varnish_gateway_chaperone.haproxy.configuration import (
    KEPT_CONNECTIONS,
    ConfigurationError,
    FrontPaths,
    Limits,
    certificate_list,
    configuration,
)
from varnish_gateway_chaperone.haproxy.runtime import HaproxyError, RuntimeClient, alerts, info
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedPod
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.pod import Pod

START_SECONDS: Final = 30
POLL_SECONDS: Final = 0.01
STOP_SECONDS: Final = 5
CHECK_SECONDS: Final = 30
MAX_LINES: Final = 200
"""Of what a program says and ends."""
MAX_THREADS: Final = 16
MAX_CONNECTIONS: Final = 20_000
MAX_REQUESTS: Final = 4_000
MISSING: Final = (
    "HTTPS and HTTP/2 need HAProxy, which was not there at the start: `nox -s gateway`, begun again, builds it; "
    "otherwise name one with --haproxy or VARNISH_GATEWAY_HAPROXY"
)
UNPATCHED: Final = (
    "this HAProxy lacks our patches, a client may end it; toolchain/build-haproxy.sh builds one with them"
)


class FrontError(Exception):
    """HAProxy did not come up; the message is its own."""


@dataclass
class Haproxy:
    """A running HAProxy and the way to talk to it."""

    pod: ParsedPod
    child: Child
    runtime: RuntimeClient
    tls: Tls
    worker: int

    @property
    def is_running(self) -> bool:
        return self.child.is_running

    @property
    def has_served(self) -> bool:
        """It is not one before it does."""
        return True

    async def kill(self) -> int:
        """SIGKILL, master and workers: the exit code."""
        return await self.child.kill()

    def soft_stop(self) -> None:
        """No new connections; the old ones end after their next answer, then the process does."""
        self.child.signal(signal.SIGUSR1)

    async def look(self, seconds: float) -> None:
        """Whether both processes answer within this time, and who serves. Raises HaproxyError.

        A master that hangs neither reloads nor drains.
        """
        self.worker = await self.runtime.look(seconds)


@dataclass(frozen=True)
class FrontProgram:
    """Which HAProxy, and what does not change from start to start."""

    haproxy: str | None
    paths: FrontPaths
    address: str
    limits: Limits
    _builds: dict[str, Build] = field(default_factory=dict, repr=False, compare=False)
    """Program -> what it said of itself: it is asked once."""

    async def build(self) -> Build:
        """What this HAProxy is. Raises FrontError."""
        if self._program not in self._builds:
            _, said = await _output([self._program, "-vv"])
            self._builds[self._program] = parsed(said)
        return self._builds[self._program]

    async def check(self, pod: Pod) -> None:
        """Whether HAProxy takes the configuration for this pod.json, before anything is stopped for it.

        Raises FrontError, and OSError for a full disk.
        """
        text = await self._configuration(pod)
        await asyncio.to_thread(self._prepare, pod)
        write_if_changed(self.paths.candidate, text.encode(), is_durable=False)
        code, said = await _output([self._program, "-c", "-q", "-f", str(self.paths.candidate)])
        if code:
            raise FrontError(alerts(said))

    async def start(self, pod: ParsedPod, tls: Tls, log: Log) -> Haproxy:
        """HAProxy serving these certificates. Raises FrontError, and OSError for a full disk."""
        build = await self.build()
        if not build.is_patched:
            log.warning(UNPATCHED, version=build.version)
        await self.write(pod.pod, Tls(), tls)
        for path in (self.paths.runtime_socket, self.paths.master_socket):
            path.unlink(missing_ok=True)
        child = await self._spawn(log)
        runtime = RuntimeClient(self.paths.runtime_socket, self.paths.master_socket)
        try:
            found = await _first_worker(child, runtime)
        except BaseException:
            await child.kill()
            raise
        return Haproxy(pod, child, runtime, tls, found)

    async def write(self, pod: Pod, running: Tls, target: Tls) -> None:
        """Files first: a reload or a restart reads them. Raises FrontError, and OSError for a full disk."""
        text = await self._configuration(pod, target)
        await asyncio.to_thread(write_tls, self.paths, running, target)
        write_if_changed(self.paths.configuration, text.encode(), is_durable=False)

    @property
    def _program(self) -> str:
        if self.haproxy is None:
            raise FrontError(MISSING)
        return self.haproxy

    async def _configuration(self, pod: Pod, tls: Tls | None = None) -> str:
        with_default = tls.with_default if tls else ()
        here = replace(self.limits, has_hybrid_groups=(await self.build()).has_hybrid_groups)
        try:
            return configuration(pod, self.paths, self.address, here, with_default=with_default)
        except ConfigurationError as error:
            raise FrontError(str(error)) from error

    def _prepare(self, pod: Pod) -> None:
        """Lists that a configuration names must exist, empty ones do."""
        _private(self.paths.lists)
        for socket in pod.sockets:
            if socket.protocol == "HTTPS" and not self.paths.list(socket.name).exists():
                write_private(self.paths.list(socket.name), b"")

    async def _spawn(self, log: Log) -> Child:
        arguments = ("-W", "-S", str(self.paths.master_socket), "-f", str(self.paths.configuration))
        try:
            return await Child.start(
                [self._program, *arguments],
                on_line=lambda line: log.info("HAProxy says", line=line) if _is_news(line) else log.debug(line),
            )
        except OSError as error:
            raise FrontError(f"{self.haproxy} could not be started: {error}") from error


def write_tls(paths: FrontPaths, running: Tls, target: Tls) -> None:
    """The files, before HAProxy is told: a reload or a restart reads them. Raises OSError."""
    _private(paths.certificates)
    _private(paths.lists)
    for name, pem in target.pems.items():
        if running.pems.get(name) != pem:
            write_private(paths.certificate(name), pem)
    for socket, entries in target.entries.items():
        write_private(paths.list(socket), certificate_list(entries, paths).encode())
    for file in paths.certificates.glob("*.pem"):
        if file.stem not in target.pems:
            file.unlink(missing_ok=True)


def last_good(paths: FrontPaths) -> ParsedCertificates:
    """What a chaperone that ran here before has served. Raises OSError and DocumentError."""
    pems = {file.stem: file.read_bytes() for file in paths.certificates.glob("*.pem")}
    return parse_certificates(paths.last_good.read_bytes(), pems)


def write_private(path: Path, content: bytes) -> None:
    """Mode 600, replaced as a whole. Raises OSError."""
    write_if_changed(path, content, is_durable=False)


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def limits(drain_seconds: float) -> Limits:
    """What this machine, or the container's share of it, allows."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    connections = MAX_CONNECTIONS if files < 0 else max(min(MAX_CONNECTIONS, (files - 500) // 3), 100)
    has_ipv6 = Path("/proc/net/if_inet6").exists()
    wanted = connections * (1 + KEPT_CONNECTIONS)
    sockets = wanted if files < 0 else max(min(wanted, files - 500), 2 * connections)
    # varnishd has as many files, of which a request takes two; half of them are for its own listeners.
    requests = MAX_REQUESTS if files < 0 else max(min(MAX_REQUESTS, (files - 500) // 4), 100)
    return Limits(min(_processors(), MAX_THREADS), connections, drain_seconds, has_ipv6, sockets, requests)


def _processors() -> int:
    """Those that this process may use, by its affinity and by its cgroup."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(count, max(-(-int(quota) // int(period)), 1))
    except (OSError, ValueError):
        return count


async def _first_worker(child: Child, runtime: RuntimeClient) -> int:
    try:
        async with asyncio.timeout(START_SECONDS):
            while child.is_running:
                try:
                    return int((await info(runtime))["Pid"])
                except (HaproxyError, KeyError, ValueError):
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise FrontError(f"HAProxy did not serve within {START_SECONDS} s: {_said(child)}") from None
    await child.wait()
    raise FrontError(_said(child))


async def _output(arguments: Sequence[str]) -> tuple[int, str]:
    said: deque[str] = deque(maxlen=MAX_LINES)
    try:
        child = await Child.start(arguments, on_line=said.append)
    except OSError as error:
        raise FrontError(f"{arguments[0]} could not be started: {error}") from error
    async with asyncio.timeout(CHECK_SECONDS):
        code = await child.wait()
    return code, "\n".join(said)


def _said(child: Child) -> str:
    return alerts("\n".join(child.tail))


def _is_news(line: str) -> bool:
    """Warnings about a proxy that stops, or a list without a certificate, are the echo of what chaperone does."""
    echo: tuple[str, ...] = (
        "stopped (cumulated",
        "no SSL certificate specified",
        "Exiting Master",
        "Former worker",
        "socketpair: Cannot transfer",  # a question to a worker that has just left
        "(Terminated)",
    )
    echo += ("workers exited", "exited with code 0")
    is_loud = line.startswith(("[ALERT]", "[WARNING]", "[EMERG]"))
    return is_loud and not any(words in line for words in echo)
