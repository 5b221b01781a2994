"""Answers of HAProxy, read; and a master that loses a question."""

import asyncio
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chaperone_rig import PATIENCE_SECONDS
from varnish_gateway_chaperone.haproxy import runtime
from varnish_gateway_chaperone.haproxy.runtime import (
    FakeRuntime,
    HaproxyLostError,
    HaproxyRefusedError,
    RuntimeClient,
    alerts,
    new_certificate,
    parsed_info,
    parsed_statistics,
    set_certificate,
)

FILE = Path("/run/g/certificates/a.pem")


def test_tables() -> None:
    assert parsed_info("Name: HAProxy\nPid: 7\n\n") == {"Name": "HAProxy", "Pid": "7"}
    assert parsed_statistics("# pxname,svname,scur,\na,FRONTEND,3,\n")[0]["pxname"] == "a"


def test_what_matters_of_many_lines() -> None:
    said = "[NOTICE]   (1) : version\n[ALERT]    (1) : config : no such file"
    assert alerts(said) == "config : no such file"
    assert alerts("") == "HAProxy said nothing"


async def test_a_refused_certificate_leaves_nothing_behind() -> None:
    fake = FakeRuntime()
    with pytest.raises(HaproxyRefusedError, match="Can't load"):
        await new_certificate(fake, FILE, b"hostile")
    assert fake.told[-1] == f"del ssl cert {FILE}"


class Saying(FakeRuntime):
    """Answers one command so."""

    def __init__(self, command: str, answer: str) -> None:
        super().__init__()
        self._command, self._answer = command, answer

    async def ask(self, command: str, payload: str | None = None) -> str:
        usual = await super().ask(command, payload)
        return self._answer if command.startswith(self._command) else usual


async def test_a_certificate_that_is_refused_at_the_last_moment_is_given_up() -> None:
    """Else the next change would find an open transaction."""
    fake = Saying("commit", "Can't commit")
    with pytest.raises(HaproxyRefusedError, match="Can't commit"):
        await set_certificate(fake, FILE, b"good")
    assert fake.told[-1] == f"abort ssl cert {FILE}"


@pytest.mark.parametrize("said", ["", "Unknown command"])
async def test_a_change_that_is_not_confirmed_is_refused(said: str) -> None:
    with pytest.raises(HaproxyRefusedError, match=said or "without a word"):
        await runtime.attach(Saying("add ssl crt-list", said), Path("list"), "line")


@contextmanager
def answering(folder: Path, said: str | None) -> Iterator[RuntimeClient]:
    """A HAProxy, both of whose processes say this, or nothing and for ever."""
    path = folder / "sock"
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as asked:
                        asked.recv(1024)
                        asked.sendall(said.encode() if said is not None else b"")
                        if said is None:
                            asked.recv(1024)  # until who asks gives up

        pool.submit(answer)
        try:
            yield RuntimeClient(path, path)
        finally:
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def short() -> Iterator[Path]:
    """Unix sockets have short paths."""
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        yield Path(folder)


async def test_who_serves(short: Path) -> None:
    with answering(short, "Name: HAProxy\nPid: 12\n") as client:
        assert await client.look(PATIENCE_SECONDS) == 12


async def test_what_is_answered_while_we_are_busy_is_answered(short: Path) -> None:
    with answering(short, "Pid: 12\n") as client:
        looking = asyncio.create_task(client.look(0.3))
        await asyncio.sleep(0)
        time.sleep(1)  # noqa: ASYNC251 - this is what the test is about
        assert await looking == 12


@pytest.mark.parametrize(("said", "told"), [(None, "does not answer"), ("Pid: none", "does not say who serves")])
async def test_no_answer(short: Path, said: str | None, told: str) -> None:
    with answering(short, said) as client, pytest.raises(HaproxyLostError, match=told):
        await client.look(0.1 if said is None else PATIENCE_SECONDS)


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(HaproxyLostError, match="does not answer"):
        await RuntimeClient(tmp_path / "none", tmp_path / "none").look(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "pem",
    [
        b"x" * (runtime.MAX_PAYLOAD + 1),
        *(b"a" + end + b"%EOF%" + end + b"shutdown frontend https-443\n" for end in (b"\n", b"\r\n", b"\r", b"\x0c")),
        b"%EOF%",
        b"a\n \t%EOF% \nb",
    ],
)
async def test_what_a_payload_cannot_hold_is_never_sent(pem: bytes) -> None:
    fake = FakeRuntime()
    with pytest.raises(HaproxyRefusedError, match="need a reload"):
        await set_certificate(fake, FILE, pem)
    assert fake.told == []


class Forgetful(FakeRuntime):
    """Loses the first questions."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._left = lost

    async def ask_master(self, command: str) -> str:
        self._left -= 1
        if self._left >= 0:
            raise HaproxyLostError("connection reset")
        return await super().ask_master(command)


async def test_a_reload_that_is_lost_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "RELOAD_PAUSE_SECONDS", 0)
    fake = Forgetful(2)
    await runtime.reload(fake)
    assert fake.told == ["reload"]
    with pytest.raises(HaproxyLostError):
        await runtime.reload(Forgetful(100))
