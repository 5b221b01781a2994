"""The loop: a signal is noticed at once whatever is under way, endpoints are followed to the end, bugs cost a round."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chaperone_rig import PATIENCE_SECONDS, Lines, Rig, Until, own_address, status_of, with_service
from varnish_gateway_chaperone import app
from varnish_gateway_chaperone.app import Chaperone, Options, compose
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.report import ReportFile
from varnish_gateway_chaperone.rounds import Rounds
from varnish_gateway_chaperone.serving import DrainTimes
from varnish_gateway_chaperone.supervisor.tree import Backoff


class Feed:
    """A source that is told what to say."""

    reach = None

    def __init__(self, *inputs: Inputs) -> None:
        self._queue: asyncio.Queue[Inputs] = asyncio.Queue()
        for one in inputs:
            self.say(one)

    def say(self, inputs: Inputs) -> None:
        self._queue.put_nowait(inputs)

    async def views(self) -> AsyncIterator[Inputs]:
        while True:
            yield await self._queue.get()


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_a_signal_ends_the_start_of_a_varnishd(tmp_path: Path, lines: Lines, until: Until) -> None:
    varnishd, started = tmp_path / "varnishd", tmp_path / "started"
    script(varnishd, f"touch {started}; exec sleep 600")
    options = Options(tmp_path / "run", own_address(), "127.0.0.1", 0, str(varnishd))
    options.run.mkdir()
    feed = Feed(Inputs(pod=b'{"version":1,"gateway":"default/gw"}'))
    chaperone = compose(options, feed, ReportFile(tmp_path), lines.log)
    running = asyncio.create_task(chaperone.run())
    await until(started.exists)
    chaperone.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await running == 0


async def test_a_bug_costs_one_round(
    tmp_path: Path, lines: Lines, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[Inputs] = []

    async def round_(_: Rounds, inputs: Inputs) -> None:
        rounds.append(inputs)
        if len(rounds) == 1:
            raise RuntimeError("a bug")

    monkeypatch.setattr(Rounds, "round", round_)
    monkeypatch.setattr(app, "BUG_SECONDS", 0.01)
    options = Options(tmp_path / "run", own_address(), "127.0.0.1", 0, "varnishd")
    chaperone = compose(options, Feed(Inputs()), ReportFile(tmp_path), lines.log)
    running = asyncio.create_task(chaperone.run())
    await until(lambda: len(rounds) == 2)
    assert "a bug" in str(lines.said("a round failed"))
    chaperone.leave()
    assert await running == 0


async def test_pages_are_served_once_their_port_is_free(
    tmp_path: Path, lines: Lines, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Backoff", lambda **_: Backoff(first_seconds=0.01))
    address = own_address()
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        chaperone = compose(
            Options(tmp_path / "run", address, address, port, "varnishd"), Feed(), ReportFile(tmp_path), lines.log
        )
        running = asyncio.create_task(chaperone.run())
        await until(lambda: lines.said("health and metrics are not served"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (status := await status_of(address, port, "/healthz")) == 0:  # noqa: ASYNC110 - the world outside
            await asyncio.sleep(0.01)
    assert status == 200
    assert await status_of(address, port, "/readyz") == 503
    chaperone.leave()
    assert await running == 0


@pytest.mark.live
async def test_a_signal_is_noticed_while_a_vcl_is_compiled(until: Until) -> None:
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        rig, hold, held = Rig(Path(folder)), Path(folder) / "hold", Path(folder) / "held"
        wait = f"while [ -e {hold} ]; do touch {held}; sleep 0.02; done"
        compiler = script(Path(folder) / "cc", f'{wait}\nexec cc -shared -fpic -O0 -o "$2" "$1"')
        slow = ["-p", f"cc_command=exec {compiler} %s %o"]
        feed = Feed(rig.inputs("200", varnishd_arguments=slow))
        chaperone = Chaperone(feed, rig.rounds, rig.news, rig.lines.log)
        running = asyncio.create_task(chaperone.run())
        await until(lambda: rig.rounds.is_serving)
        hold.touch()
        feed.say(rig.inputs("204", varnishd_arguments=slow))
        await until(held.exists)
        chaperone.leave()
        await until(lambda: rig.rounds.report.is_draining and rig.ghost.running.is_draining)
        hold.unlink()
        assert await running == 0
        assert not rig.lines.said("a step of the drain failed"), "the CLI is of use to the drain after that"


@pytest.mark.live
async def test_endpoints_are_followed_while_connections_are_drained(until: Until) -> None:
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        rig = Rig(Path(folder), DrainTimes(delay_seconds=60))
        inputs = with_service(rig.inputs(), "10.0.0.1")
        feed = Feed(inputs)
        chaperone = Chaperone(feed, rig.rounds, rig.news, rig.lines.log)
        running = asyncio.create_task(chaperone.run())
        await until(lambda: rig.rounds.is_serving)
        chaperone.leave()
        await until(lambda: rig.rounds.report.is_draining)
        feed.say(replace(inputs, slices=with_service(inputs, "10.0.0.2").slices))
        await until(lambda: b"10.0.0.2" in rig.paths.ghost.read_bytes())
        chaperone.leave()
        assert await running == 0
