"""A gateway from a folder: the translator, and a chaperone for each Gateway that it accepts.

FOLDER --translator--> STATE/<namespace>/<gateway>/ --chaperone (one each)--> varnishd
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import DocumentError, parse_pod
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.supervisor.tree import Backoff, Kept
from varnish_gateway_chaperone.varnish.arguments import Paths, listen_address
from varnish_gateway_chaperone.varnish.daemon import is_in_use
from varnish_gateway_common import names
from varnish_gateway_common.files import write_atomically
from varnish_gateway_common.pod import Pod
from varnish_gateway_common.reading import read_regular
from varnish_gateway_common.report import Report

LOOK_SECONDS: Final = 0.1
NOTHING_SECONDS: Final = 3.0
"""A folder without a Gateway is worth a line after this time."""
TRANSLATOR: Final = "varnish-gateway-operator"
STOP_MARGIN_SECONDS: Final = 15.0
WEB_PORTS: Final = 100
SHORT_FOLDER: Final = Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of our own in it
MAX_SHORT_CHARACTERS: Final = 40
"""Unix sockets have 107 bytes for their path."""

GatewayName = tuple[str, str]
"""namespace, name"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    folder: Path
    state: Path | None
    address: str
    ready_file: Path | None
    drain_deadline_seconds: float
    passed_on: tuple[str, ...]
    """Arguments for every chaperone."""


@dataclass
class Gateway:
    """A chaperone of ours."""

    name: GatewayName
    state: Path
    index: int
    """Its place among run directories."""
    web_port: int
    kept: Kept
    announced: str = ""
    """Digest of the pod.json whose sockets were said to serve."""
    stopping: asyncio.Task[None] | None = None


class Standalone:
    """Starts what is there, ends what is gone, says when all of it serves."""

    def __init__(self, options: Options, run: Path, log: Log) -> None:
        self._options = options
        self._run = run
        self._state = options.state or run / "state"
        self._log = log
        self._gateways: dict[GatewayName, Gateway] = {}
        self._leaving: dict[GatewayName, Gateway] = {}
        """Removed, and still being drained: their places and their names are not free yet."""
        self._failed = ""
        self._is_leaving = asyncio.Event()
        self._is_ready = False

    async def run(self) -> int:
        """Until a signal comes; then every gateway is drained. The exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        self._state.mkdir(parents=True, exist_ok=True)
        translator = Kept("the translator", self._translator, self._log, Backoff(cap_seconds=5.0))
        try:
            await self._watch()
        finally:
            self._unready()
            await self._stop_all()
            await translator.stop(STOP_MARGIN_SECONDS)
        return 0

    def _on_signal(self) -> None:
        """The first says to leave; the second is passed on: it takes too long."""
        if self._is_leaving.is_set():
            for gateway in self._all:
                if gateway.kept.child:
                    gateway.kept.child.signal(signal.SIGTERM)
        self._is_leaving.set()

    async def _watch(self) -> None:
        begun = asyncio.get_running_loop().time()
        is_warned = False
        while not self._is_leaving.is_set():
            self._round()
            if not self._gateways and not is_warned and asyncio.get_running_loop().time() - begun > NOTHING_SECONDS:
                is_warned = True
                self._log.warning("no Gateway is accepted yet; still looking", folder=str(self._options.folder))
            try:
                async with asyncio.timeout(LOOK_SECONDS * (5 if self._is_ready else 1)):
                    await self._is_leaving.wait()
            except TimeoutError:
                pass

    def _round(self) -> None:
        """What fails (a full disk) is tried again by the next look, and holds up nothing else."""
        found = dict(gateway_folders(self._state))
        failed = []
        self._leaving = {name: one for name, one in self._leaving.items() if one.stopping and not one.stopping.done()}
        for name in self._gateways.keys() - found.keys():
            self._log.info("a gateway is gone", gateway="/".join(name))
            self._stop(name)
        for name in found.keys() - self._gateways.keys() - self._leaving.keys():
            failed += _attempt(partial(self._start, name, found[name]))
        failed += _attempt(self._look_for_readiness)
        self._say(sorted(failed))

    def _stop(self, name: GatewayName) -> None:
        """Beside the rounds: draining takes its time."""
        gateway = self._leaving[name] = self._gateways.pop(name)
        gateway.stopping = asyncio.create_task(gateway.kept.stop(self._grace_seconds), name=f"end of {'/'.join(name)}")
        self._is_ready = False

    def _say(self, failed: list[str]) -> None:
        said = "; ".join(failed)
        if said and said != self._failed:
            self._log.warning("a file could not be written; tried again", reason=said)
        self._failed = said

    @property
    def _all(self) -> list[Gateway]:
        return [*self._gateways.values(), *self._leaving.values()]

    def _start(self, name: GatewayName, state: Path) -> None:
        """Its report is removed first: what an earlier process wrote says nothing about the new one."""
        used = {gateway.index for gateway in self._all}
        index = next(free for free in range(len(used) + 1) if free not in used)
        web_port = self._free_web_port()
        (state / names.REPORT).unlink(missing_ok=True)
        arguments = [*program("varnish_gateway_chaperone"), "run", *self._arguments(state, index, web_port)]
        kept = Kept(f"the chaperone of {'/'.join(name)}", lambda: Child.start(arguments), self._log)
        self._gateways[name] = Gateway(name, state, index, web_port, kept)
        self._is_ready = False

    def _free_web_port(self) -> int:
        """9180 and what follows: the first that no gateway here has, and nobody else."""
        used = {gateway.web_port for gateway in self._all}
        ports = range(names.WEB_PORT, names.WEB_PORT + WEB_PORTS)
        free = (port for port in ports if port not in used and not is_in_use(self._options.address, port))
        return next(free, names.WEB_PORT)

    def _arguments(self, state: Path, index: int, web_port: int) -> Iterator[str]:
        options = self._options
        yield from ("--state", str(state), "--endpoints", str(options.folder), "--run", str(self._run / str(index)))
        yield from ("--address", options.address)
        yield from ("--web", listen_address(options.address, web_port))
        yield from ("--drain-deadline", str(options.drain_deadline_seconds), "--told-elsewhere", *options.passed_on)

    async def _translator(self) -> Child:
        arguments = ("translate", str(self._options.folder), "--out", str(self._state), "--watch")
        return await Child.start([*translator_program(), *arguments])

    def _look_for_readiness(self) -> None:
        """Ready when every gateway serves the newest of its sockets."""
        serving = [pod for gateway in self._gateways.values() if (pod := self._serving(gateway))]
        is_ready = bool(serving) and len(serving) == len(self._gateways)
        if is_ready and not self._is_ready and self._options.ready_file:
            lines = [url for pod in serving for url in urls(pod, self._options.address)]
            write_atomically(self._options.ready_file, "".join(f"{line}\n" for line in lines).encode())
        self._is_ready = is_ready

    def _serving(self, gateway: Gateway) -> Pod | None:
        """The sockets that it serves on, once they are those of its pod.json; said once."""
        try:
            pod = parse_pod(read_regular(gateway.state / names.POD))
            report = Report.from_json(read_regular(gateway.state / names.REPORT))
        except (OSError, ValueError, DocumentError):
            return None
        if not report.is_serving or report.pod_digest != pod.digest:
            return None
        if gateway.announced != pod.digest:
            gateway.announced = pod.digest
            web = f"http://{listen_address(self._options.address, gateway.web_port)}/readyz"
            where = " ".join(urls(pod.pod, self._options.address)) or "no listener"
            look = f"varnishlog -n {Paths(self._run / str(gateway.index)).workdir}"
            self._log.info(f"serving on {where}", gateway="/".join(gateway.name), health=web, look_in=look)
        return pod.pod

    def _unready(self) -> None:
        if self._options.ready_file:
            with suppress(OSError):
                self._options.ready_file.unlink(missing_ok=True)

    @property
    def _grace_seconds(self) -> float:
        return self._options.drain_deadline_seconds + STOP_MARGIN_SECONDS

    async def _stop_all(self) -> None:
        for name in list(self._gateways):
            self._stop(name)
        await asyncio.gather(*(gateway.stopping for gateway in self._leaving.values() if gateway.stopping))


def gateway_folders(state: Path) -> Iterator[tuple[GatewayName, Path]]:
    """Every STATE/<namespace>/<gateway>/ with a pod.json."""
    for file in sorted(state.glob(f"*/*/{names.POD}")):
        folder = file.parent
        if namespace := names.namespace_of(folder.parent.name):
            yield (namespace, folder.name), folder


def _attempt(action: Callable[[], object]) -> list[str]:
    """Do it; why it failed, if it did."""
    try:
        action()
    except OSError as error:
        return [str(error)]
    return []


def urls(pod: Pod, address: str) -> list[str]:
    """Where the sockets of a pod can be reached."""
    return [f"{socket.protocol.lower()}://{listen_address(address, socket.port)}" for socket in pod.sockets]


def program(module: str) -> list[str]:
    """This Python with one of our modules: no script has to be found. Never a module of the folder that one is in."""
    return [sys.executable, "-P", "-m", module]


def translator_program() -> list[str]:
    """The translator's command, beside this Python or in PATH. Raises OSError."""
    beside = Path(sys.executable).with_name(TRANSLATOR)
    found = str(beside) if beside.exists() else shutil.which(TRANSLATOR)
    if found is None:
        raise FileNotFoundError(f"{TRANSLATOR} is neither beside {sys.executable} nor in PATH")
    return [found]


def problem_of(folder: Path, state: Path) -> str | None:
    """Why this cannot be the folder of statuses and translations."""
    if state.is_relative_to(folder):
        return f"{state} lies within {folder}, and what is written there would be read as manifests: name one outside"
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            return None
    except OSError as error:
        return f"{state} cannot be written to: {error.strerror}"


def run(options: Options, log: Log) -> int:
    """The `standalone` command. Its exit code."""
    if options.ready_file and (failed := _attempt(partial(options.ready_file.unlink, missing_ok=True))):
        log.error("the ready file of an earlier run cannot be removed", reason=failed[0])
        return 1
    place = Path(tempfile.gettempdir())
    place = place if len(str(place)) <= MAX_SHORT_CHARACTERS else SHORT_FOLDER
    with tempfile.TemporaryDirectory(prefix="vgw-", dir=place, ignore_cleanup_errors=True) as folder:
        return asyncio.run(_standalone(options, Path(folder), log))


async def _standalone(options: Options, folder: Path, log: Log) -> int:
    return await Standalone(options, folder, log).run()
