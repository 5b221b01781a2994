"""PID 1 of a container: forwards signals to the program, reaps what others left behind, ends as the program ends.

The program runs in a child of its own, so that reaping strangers here and waiting for children there cannot get in
each other's way.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


def run(program: Callable[[], int], *, is_init: bool | None = None) -> int:
    """The program's exit code; as PID 1 (or when told so) from a child that this process looks after.

    Call it before any thread or event loop exists.
    """
    if not (os.getpid() == 1 if is_init is None else is_init):
        return program()
    watched = {*FORWARDED, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
        sys.exit(program())
    return _look_after(child, watched)


def _look_after(child: int, watched: set[signal.Signals]) -> int:
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        code = _reap(child)
        if code is not None:
            return code


def _reap(child: int) -> int | None:
    """Take every dead process; the program's exit code when it is among them (128 + signal, as shells have it)."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            ended = os.waitstatus_to_exitcode(status)
            code = 128 - ended if ended < 0 else ended
