"""A child process: in a session of its own, gone when its parent is, its output read line by line."""

import asyncio
import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

PR_SET_PDEATHSIG: Final = 1
MAX_LINE_BYTES: Final = 64 * 1024
TAIL_LINES: Final = 20

_LIBC = ctypes.CDLL(None, use_errno=True)


class Child:
    """A running child. Its session is its own, so that Ctrl-C on a terminal reaches its parent alone."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> "Child":
        """Start; with `on_line` both outputs go there, else they are its parent's. Raises OSError.

        Must be called in the main thread: the kernel takes the death of the *thread* that forked for its parent's.
        """
        output = asyncio.subprocess.PIPE if on_line else None
        process = await asyncio.create_subprocess_exec(
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT if on_line else None,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),
        )
        child = cls(process)
        if on_line:
            child._reading = asyncio.create_task(child._read(on_line), name=f"output of {process.pid}")
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit code; minus the signal's number when one killed it. What is left of its session goes too."""
        code = await self._process.wait()
        self._kill_session()
        if self._reading:
            await asyncio.shield(self._reading)  # who gives up waiting must not end the reading
        return code

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            self._process.send_signal(number)

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM; SIGKILL for its whole session when it takes longer."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL for its whole session."""
        self._kill_session()
        return await self.wait()

    def _kill_session(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self.pid, signal.SIGKILL)

    async def _read(self, on_line: Callable[[str], None]) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # longer than MAX_LINE_BYTES: the stream has dropped it
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.tail.append(text)
            on_line(text)


def _ends_with(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return in_child
