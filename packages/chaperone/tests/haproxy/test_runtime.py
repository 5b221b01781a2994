"""Answers of HAProxy, read; and a master that loses a question."""

from pathlib import Path

import pytest

from varnish_gateway_chaperone.haproxy import runtime
from varnish_gateway_chaperone.haproxy.runtime import (
    FakeRuntime,
    HaproxyLostError,
    HaproxyRefusedError,
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


async def test_who_serves() -> None:
    assert await runtime.worker(Saying("show info", "Name: HAProxy\nPid: 12")) == 12
    with pytest.raises(HaproxyLostError, match="does not say who serves"):
        await runtime.worker(Saying("show info", "Pid: none"))


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
