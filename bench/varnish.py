"""A varnishd for a benchmark: one socket, a VCL, and its child's CPU time and memory."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

VARNISHD = os.environ.get("VARNISH_GATEWAY_VARNISHD", "varnishd")
VMOD_PATH = os.environ.get("VARNISH_GATEWAY_VMOD_PATH", "")
CPUCLOCK_SCHED = 2
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass
class Varnish:
    """Runs while the block runs: `with Varnish(...) as varnish`."""

    name: str
    vcl: str
    address: str
    port: int
    ghost: bytes = b""
    """ghost.json, for a VCL that imports ghost."""
    cpu: int = 1
    """What is measured has processor 0 for itself; backends and load share the other one."""
    arguments: tuple[str, ...] = ()
    """Further ones."""
    runner: tuple[str, ...] = ()
    """What it runs under."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="vgw-bench-")
        folder = self.folder
        (folder / "main.vcl").write_text(self.vcl)
        (folder / "ghost.json").write_bytes(self.ghost)
        command = ["taskset", "-c", str(self.cpu), *self.runner]
        command += [VARNISHD, "-F", "-n", str(folder / "work"), "-f", str(folder / "main.vcl")]
        command += ["-a", f"http-{self.port}={self.address}:{self.port}", "-s", "malloc,64m"]
        command += ["-a", f"ghost={folder / 'ghost.sock'},mode=600"]
        command += ["-p", f"vmod_path={VMOD_PATH}", "-p", "vcc_feature=-err_unref", *self.arguments]
        self._process = subprocess.Popen(
            command,
            env=os.environ | {"VARNISH_GATEWAY_GHOST_FOLDER": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self._accepts():
            if self._process.poll() is not None:
                raise RuntimeError(f"varnishd of {self.name} ended with {self._process.returncode}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def _accepts(self) -> bool:
        """Sockets are open before anybody accepts: only an answer tells that the child runs."""
        connection = HTTPConnection(self.address, self.port, timeout=1)
        try:
            connection.request("GET", "/", headers={"Host": "host-0.example.com"})
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    @property
    def child(self) -> int:
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(tasks[0])

    def cpu_seconds(self) -> float:
        """User and system time of the child so far."""
        return cpu_seconds(self.child)

    def resident_mib(self) -> float:
        """Resident memory of the child without its shared memory logs."""
        return resident_mib(self.child)


def cpu_seconds(pid: int) -> float:
    """From the process's own clock (clock_getcpuclockid), which counts nanoseconds where /proc counts ticks."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def resident_mib(pid: int) -> float:
    """Anonymous memory only: varnishd's logs are shared files that fill with use, whatever the routes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no RssAnon of {pid}")
