"""A program that runs during a benchmark: begun, awaited and ended, and what it costs."""

import os
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

CPUCLOCK_SCHED = 2
SHARED_MEMORY = Path("/dev/shm")


class Program(ABC):
    """Runs while the block runs: `with Varnish(...) as varnish`."""

    name: str
    address: str
    port: int
    cpu: int = 0
    """What is measured has processor 0 for itself; backends and load share the other one."""

    @abstractmethod
    def command(self) -> list[str]:
        """Writes what the program reads into its folder."""

    def environment(self) -> dict[str, str]:
        return {}

    def accepts(self) -> bool:
        """Whether it serves."""
        return can_connect(self.address, self.port)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="vgw-bench-", dir=memory_folder())
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.cpu), *self.command()],
            env=os.environ | self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.accepts():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def cpu_seconds(self) -> float:
        """User and system time so far, of it and its workers."""
        return sum(map(cpu_seconds, processes(self.process.pid)))


def memory_folder() -> Path | None:
    """Where files are memory, as in a pod: on a disk varnishd's log costs a tenth of a pass. None: where others are.

    Varnish runs code from there, which some systems forbid.
    """
    is_fit = SHARED_MEMORY.is_dir() and not os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC
    return SHARED_MEMORY if is_fit else None


def can_connect(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def processes(pid: int) -> list[int]:
    """It and its descendants."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [pid, *(found for child in children for found in processes(child))]


def cpu_seconds(pid: int) -> float:
    """From the process's own clock (clock_getcpuclockid), which counts nanoseconds where /proc counts ticks."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
