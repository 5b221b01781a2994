"""Chaperones with a real varnishd, ghost and HAProxy, for one case after the other."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from chaperone_rig import QUICK_COMPILE
from documents import Documents
from places import own_address
from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.ghost import Ghost
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket
from varnish_gateway_common.report import Report

SOCKETS = (
    *(PodSocket(name=names.socket_name("http", port), port=port) for port in (8080, 8081, 8090)),
    *(
        PodSocket(name=names.socket_name("https", port), port=port, protocol="HTTPS", front="proxy")
        for port in (8443, 8444)
    ),
)
"""Those of the cases: one gateway serves most of them."""
DRAIN_SECONDS = 2


def wait_for(what: str, claim: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until the claim holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


class LiveGateway:
    """A chaperone that is given one gateway's documents after the other's."""

    def __init__(
        self, folder: Path, sockets: tuple[PodSocket, ...] = SOCKETS, head_limits: HeadLimits | None = None
    ) -> None:
        self.address = own_address()
        self.state = folder / "state" / "default" / "gw"
        self.endpoints = folder / "endpoints"
        self.run = folder / "run"
        self.sockets = sockets
        self.log = folder / "log"
        self._head_limits = head_limits or HeadLimits()

    @contextmanager
    def running(self, *options: str, files: int = 0) -> Iterator["LiveGateway"]:
        """As a child of the tests, which may have so many files open at most; drained at the end."""
        pod = Pod(
            version=1,
            gateway="default/gw",
            sockets=self.sockets,
            storage="malloc,64m",
            varnishd_arguments=QUICK_COMPILE,
            head_limits=self._head_limits,
        )
        write_if_changed(self.state / names.POD, pod.to_json())
        self.endpoints.mkdir(parents=True)
        command = ["prlimit", f"--nofile={files}:{files}"] if files else []
        command += [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "run", *options]
        command += ["--state", str(self.state), "--endpoints", str(self.endpoints), "--run", str(self.run)]
        command += ["--address", self.address, "--web", f"{self.address}:{names.WEB_PORT}"]
        command += ["--drain-deadline", str(DRAIN_SECONDS)]
        with self.log.open("wb") as log, subprocess.Popen(command, stderr=log) as self._process:
            try:
                yield self
            finally:
                self.stop()
                sys.stderr.write(self.log.read_text())

    @property
    def processes(self) -> tuple[int, int]:
        """HAProxy's master and its newest worker. Raises StopIteration, ValueError or OSError while there is none."""
        master = next(pid for pid in _children(self._process.pid) if _name(pid) == "haproxy")
        return master, max(_children(master))

    @property
    def serving(self) -> tuple[int, ...]:
        """HAProxy's newest worker and varnishd's child: another one where one ended. 0 for one that is not there."""
        own = [pid for pid in _children(self._process.pid) if _name(pid) in {"haproxy", "varnishd"}]
        return tuple(max(_children(pid), default=0) for pid in sorted(own, key=_name))

    @contextmanager
    def unattended(self) -> Iterator[int]:
        """varnishd's process, while chaperone does nothing about anything."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield next(pid for pid in _children(self._process.pid) if _name(pid) == "varnishd")
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Drained; the exit code."""
        self._process.terminate()
        return self._process.wait(timeout=30)

    def load(self, documents: Documents, ghost: Ghost | None = None) -> None:
        """Give it the documents, and wait until they, and this ghost.json, are in effect."""
        documents.write(self.state, self.endpoints)
        wait_for("the documents to be in effect", lambda: self._runs(documents, ghost))

    @property
    def report(self) -> Report:
        """Raises FileNotFoundError before the first."""
        return Report.from_json((self.state / names.REPORT).read_bytes())

    def _runs(self, documents: Documents, ghost: Ghost | None) -> bool:
        try:
            report = self.report
            running = Ghost.from_json((self.run / names.GHOST).read_bytes()) if ghost else None
        except FileNotFoundError:
            return False
        pod_digest = digest((self.state / names.POD).read_bytes())
        is_whole = report.is_serving and report.pod_digest == pod_digest
        return is_whole and running == ghost and documents.digests.items() <= report.model_dump().items()


def _children(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                yield int(folder.name)


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


class LiveGateways:
    """A chaperone for every set of sockets that the cases need; most share one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[tuple[PodSocket, ...], LiveGateway] = {}

    def serving(self, documents: Documents, ghost: Ghost) -> LiveGateway:
        """The one with the sockets that these documents ask for; they are in effect."""
        own = {socket.name: socket for socket in documents.sockets}
        sockets = tuple(own.get(socket.name, socket) for socket in SOCKETS)
        if sockets not in self._running:
            gateway = LiveGateway(self._folder / str(len(self._running)), sockets)
            self._running[sockets] = self._stack.enter_context(gateway.running())
        self._running[sockets].load(documents, ghost)
        return self._running[sockets]
