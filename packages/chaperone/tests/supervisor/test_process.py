"""Children: output, signals, sessions, and that they go with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaperone_rig import Until
from varnish_gateway_chaperone.supervisor.process import Child


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


async def test_lines_and_code() -> None:
    lines: list[str] = []
    child = await Child.start(sh("echo one; echo two >&2; printf 'a\\377b'; exit 3"), on_line=lines.append)
    assert await child.wait() == 3
    assert lines == ["one", "two", "a\ufffdb"]
    assert list(child.tail) == lines


async def test_a_line_without_end_does_not_stop_the_reading() -> None:
    lines: list[str] = []
    child = await Child.start(sh("head -c 300000 /dev/zero | tr '\\0' x; echo; echo last"), on_line=lines.append)
    assert await child.wait() == 0
    assert lines[-1] == "last"


async def test_a_signals_number_is_said() -> None:
    child = await Child.start(sh("kill -9 $$"))
    assert await child.wait() == -signal.SIGKILL


async def test_a_session_of_its_own() -> None:
    child = await Child.start(sh("exec sleep 60"))
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert await child.stop(5) == -signal.SIGTERM


async def test_what_ignores_sigterm_is_killed_with_its_children(until: Until) -> None:
    lines: list[str] = []
    child = await Child.start(sh("trap '' TERM; sleep 60 & echo $!; wait; wait"), on_line=lines.append)
    await until(lambda: lines)
    assert await child.stop(0.1) == -signal.SIGKILL
    await until(lambda: not is_alive(int(lines[0])))


async def test_what_a_dead_child_leaves_behind_goes_too(until: Until) -> None:
    lines: list[str] = []
    child = await Child.start(sh("sleep 60 > /dev/null 2>&1 & echo $!"), on_line=lines.append)
    assert await child.wait() == 0
    await until(lambda: not is_alive(int(lines[0])))


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        await Child.start(["/no/such/program"])


def test_children_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import asyncio\n"
        "from varnish_gateway_chaperone.supervisor.process import Child\n"
        "async def main():\n"
        "    child = await Child.start(['sleep', '60'])\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
