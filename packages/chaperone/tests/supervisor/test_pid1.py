"""The duties of PID 1, in a process that orphans are given to as if it were."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, os, signal, subprocess, sys, time
from varnish_gateway_chaperone.supervisor import pid1
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

def program():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    # A process that outlives its parent: it falls to the one that reaps.
    subprocess.run(["sh", "-c", "sleep 0.2 & echo orphan $!"])
    print("ready", os.getpid(), flush=True)
    time.sleep(60)

sys.exit(pid1.run(program, is_init=True))
"""


@pytest.fixture
def init() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def words(init: subprocess.Popen[str]) -> int:
    assert init.stdout
    return int(init.stdout.readline().split()[1])


def test_orphans_are_reaped(init: subprocess.Popen[str]) -> None:
    orphan, _ = words(init), words(init)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{orphan}").exists():
        assert time.monotonic() < deadline, "a zombie is left"
        time.sleep(0.02)
    assert init.poll() is None


def test_signals_are_forwarded_and_the_programs_exit_code_is_ours(init: subprocess.Popen[str]) -> None:
    words(init), words(init)
    init.send_signal(signal.SIGTERM)
    assert init.wait(5) == 7


def test_a_program_that_is_killed(init: subprocess.Popen[str]) -> None:
    words(init)
    subprocess.run(["kill", "-9", str(words(init))], check=True)
    assert init.wait(5) == 128 + signal.SIGKILL
