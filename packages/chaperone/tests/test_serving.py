"""A real varnishd under supervision: crashes, hangs, ports in use, bad arguments, broken VCLs, full disks."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from chaperone_rig import NoSource, Rig, get, status_of, with_service
from varnish_gateway_chaperone.observe import Observer
from varnish_gateway_chaperone.varnish import daemon
from varnish_gateway_chaperone.varnish.cli import CliLostError

pytestmark = pytest.mark.live


MakeRig = Callable[[], Awaitable[Rig]]


def pids(rig: Rig) -> tuple[int, int]:
    varnishd = rig.serving.varnishd
    assert varnishd
    assert varnishd.worker
    return varnishd.child.pid, varnishd.worker


def is_another(rig: Rig, worker: int) -> bool:
    varnishd = rig.serving.varnishd
    return varnishd is not None and varnishd.worker not in {worker, None}


async def test_it_serves_and_reports(rig: Rig) -> None:
    inputs = rig.inputs("204")
    await rig.serve(inputs)
    assert await status_of(rig.address) == 204
    report = rig.rounds.report
    assert report.is_serving
    assert all((report.pod_digest, report.routing_digest, report.vcl_digest))
    assert b'"is_serving":true' in (rig.state / "report.json").read_bytes()
    assert rig.lines.said("reloaded routing")


async def test_the_process_that_serves_is_killed(rig: Rig) -> None:
    inputs = rig.inputs()
    await rig.serve(inputs)
    manager, worker = pids(rig)
    rig.ghost.running = type(rig.ghost.running)()  # what it ran dies with it
    reloads = rig.ghost.reloads
    os.kill(worker, signal.SIGKILL)
    await rig.until(inputs, lambda: is_another(rig, worker))
    await rig.serve(inputs)
    assert await status_of(rig.address) == 200
    assert pids(rig)[0] == manager, "varnishd starts it again by itself"
    assert rig.ghost.reloads == reloads + 1, "and ghost is brought back to what is wanted"
    assert rig.lines.said("the process that serves")


async def test_deaths_are_counted_by_varnishds_own_account(rig: Rig) -> None:
    """It starts its worker again between two looks of ours, which see another one and not how many there were."""
    inputs = rig.inputs()
    await rig.serve(inputs)
    observer = Observer(rig.rounds.parts, rig.rounds, rig.ghost, rig.serving._statistics, NoSource())
    for number in range(1, 4):
        worker = pids(rig)[1]
        os.kill(worker, signal.SIGKILL)
        await rig.until(inputs, partial(is_another, rig, worker))
        await rig.serve(inputs)
        assert (await observer.facts()).restarts["worker"] == number
    os.kill(pids(rig)[0], signal.SIGKILL)
    await rig.until(inputs, lambda: rig.serving.varnishd_restarts == 1)
    await rig.serve(inputs)
    assert (await observer.facts()).restarts["worker"] == 3, "another varnishd begins at 0, the count does not"


async def test_varnishd_is_killed(rig: Rig) -> None:
    inputs = rig.inputs()
    await rig.serve(inputs)
    manager, _ = pids(rig)
    os.kill(manager, signal.SIGKILL)
    await rig.until(inputs, lambda: rig.serving.varnishd_restarts == 1)
    await rig.serve(inputs)
    assert await status_of(rig.address) == 200
    assert pids(rig)[0] != manager
    assert rig.lines.said("varnishd was killed by signal 9; started again")


async def test_a_varnishd_that_served_is_started_again_at_once(rig: Rig) -> None:
    inputs = rig.inputs()
    await rig.serve(inputs)
    for _ in range(3):
        varnishd = rig.serving.varnishd
        assert varnishd
        os.kill(varnishd.child.pid, signal.SIGKILL)
        await varnishd.child.wait()
        await rig.rounds.round(inputs)
        assert rig.rounds.is_serving, "the round that finds it dead starts the next one"
    assert await status_of(rig.address) == 200


async def test_varnishd_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "HANG_SECONDS", 0.3)
    inputs = rig.inputs()
    await rig.serve(inputs)
    os.kill(pids(rig)[0], signal.SIGSTOP)
    await rig.until(inputs, lambda: rig.serving.varnishd_restarts == 1)
    monkeypatch.setattr(daemon, "HANG_SECONDS", 10)
    await rig.serve(inputs)
    assert await status_of(rig.address) == 200
    assert rig.lines.said("varnishd does not answer and is killed")


async def test_a_varnishd_whose_cli_is_lost_is_replaced(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.serve(rig.inputs())
    varnishd = rig.serving.varnishd
    assert varnishd

    async def lost(*_: str, **__: float) -> str:
        raise CliLostError("the connection is closed")

    monkeypatch.setattr(varnishd.cli, "command", lost)
    await rig.rounds.round(rig.inputs("204"))
    await rig.serve(rig.inputs("204"))
    assert await status_of(rig.address) == 204
    assert rig.serving.varnishd_restarts == 1
    assert rig.lines.said("varnishd does not answer and is killed")


async def test_a_vcl_that_does_not_compile(rig: Rig) -> None:
    await rig.serve(rig.inputs("204"))
    await rig.rounds.round(rig.inputs("nonsense"))
    assert "(main.vcl Line 1 Pos" in rig.refusals()["vcl"]
    assert "nonsense" in rig.refusals()["vcl"]
    assert rig.rounds.is_serving
    assert await status_of(rig.address) == 204
    await rig.serve(rig.inputs("205"))
    assert await status_of(rig.address) == 205


async def test_many_vcls_one_after_the_other(rig: Rig) -> None:
    for status in (200, 201, 202, 203):
        await rig.serve(rig.inputs(str(status)))
        await rig.rounds.round(rig.inputs(str(status)))
        assert await status_of(rig.address) == status
    varnishd = rig.serving.varnishd
    assert varnishd
    listed = await varnishd.cli.command("vcl.list")
    kept = [line for line in listed.splitlines() if "vgw_" in line and not line.startswith("discarded")]
    assert len(kept) <= 2, "the old ones are discarded, once nobody holds them"


async def test_a_chaperone_that_starts_again_falls_back_to_the_last_good_of_everything(rig: Rig) -> None:
    await rig.serve(rig.inputs("204"))
    await rig.serving.end()
    again = Rig.__new__(Rig)
    again.__init__(rig.paths.run.parent / "other")  # type: ignore[misc]
    for name in ("ghost.json", "last-good.vcl", "last-good.pod.json"):
        (again.paths.run / name).write_bytes((rig.paths.run / name).read_bytes())
    bad = rig.inputs("nonsense")
    try:
        inputs = type(bad)(pod=b"{", routing=b"[", vcl=bad.vcl)
        await again.until(inputs, lambda: again.rounds.is_serving)
        assert await status_of(again.address) == 204
        assert set(again.refusals()) == {"pod", "routing", "vcl"}
    finally:
        again.serving.hasten.set()
        await again.serving.end()


async def test_a_port_in_use_is_named_and_waited_for(rig: Rig) -> None:
    inputs = rig.inputs()
    with socket.create_server((rig.address, 8080)):
        await rig.until(inputs, lambda: "pod" in rig.refusals())
        assert rig.refusals()["pod"] == f"{rig.address}:8080 is in use by another process"
        assert not rig.rounds.is_serving
    await rig.serve(inputs)
    assert await status_of(rig.address) == 200


async def test_sockets_change(rig: Rig) -> None:
    await rig.serve(rig.inputs(ports=(8080, 8081)))
    assert await status_of(rig.address, 8081) == 200
    await rig.serve(rig.inputs(ports=(8080, 8082)))
    assert [get(rig.address, port) for port in (8080, 8081, 8082)] == [200, 0, 200]
    assert rig.lines.said("varnishd is drained and started anew")


async def test_a_new_port_that_is_in_use_costs_the_others_nothing(rig: Rig) -> None:
    await rig.serve(rig.inputs())
    manager = pids(rig)
    changed = rig.inputs(ports=(8080, 8081))
    with socket.create_server((rig.address, 8081)):
        await rig.until(changed, lambda: "pod" in rig.refusals())
        assert "8081" in rig.refusals()["pod"]
        assert await status_of(rig.address) == 200
        assert pids(rig) == manager
    await rig.serve(changed)
    assert await status_of(rig.address, 8081) == 200


async def test_a_refused_pod_that_is_taken_back_is_forgotten(rig: Rig) -> None:
    await rig.serve(rig.inputs())
    with socket.create_server((rig.address, 8081)):
        await rig.until(rig.inputs(ports=(8080, 8081)), lambda: "pod" in rig.refusals())
        await rig.rounds.round(rig.inputs())
    assert rig.refusals() == {}
    assert rig.rounds.retry_seconds is None


async def test_an_argument_that_varnishd_refuses(rig: Rig) -> None:
    await rig.serve(rig.inputs())
    bad = rig.inputs(varnishd_arguments=["-p", "no_such_parameter=1"])
    await rig.until(bad, lambda: "pod" in rig.refusals() and rig.rounds.is_serving)
    assert "no_such_parameter" in rig.refusals()["pod"], "in varnishd's own words"
    assert await status_of(rig.address) == 200
    assert rig.rounds.retry_seconds is None, "it is not tried again before it changes"
    await rig.serve(rig.inputs(varnishd_arguments=["-p", "thread_pool_min=20"]))
    assert await status_of(rig.address) == 200


async def test_an_argument_that_varnishd_refuses_at_the_first_start(rig: Rig) -> None:
    bad = rig.inputs(varnishd_arguments=["-s", "nonsense"])
    await rig.until(bad, lambda: "pod" in rig.refusals())
    assert "nonsense" in rig.refusals()["pod"]
    await rig.serve(rig.inputs())
    assert await status_of(rig.address) == 200


async def test_a_full_disk_is_said_and_the_last_good_one_serves_on(rig: Rig) -> None:
    inputs = rig.inputs("204")
    await rig.serve(inputs)
    rig.paths.ghost_candidate.symlink_to("/dev/full")
    other = type(inputs)(inputs.pod, b'{"version":1,"gateway":"default/other"}', inputs.vcl)
    await rig.rounds.round(other)
    assert rig.lines.said("No space left on device")
    assert rig.rounds.is_serving
    assert await status_of(rig.address) == 204
    await rig.until(other, lambda: rig.ghost.reloads == 2)


async def test_a_vcl_whose_init_fails_at_the_start(rig: Rig) -> None:
    bad = rig.inputs("204")
    assert bad.vcl
    bad = type(bad)(bad.pod, bad.routing, bad.vcl + b' sub vcl_init { return (fail("no luck")); }')
    await rig.until(bad, lambda: "vcl" in rig.refusals())
    assert "no luck" in rig.refusals()["vcl"]
    assert not rig.rounds.is_serving
    await rig.serve(rig.inputs("205"))
    await rig.until(bad, lambda: "vcl" in rig.refusals())
    assert await status_of(rig.address) == 205


async def test_ghost_refuses(rig: Rig) -> None:
    inputs = rig.inputs("204")
    await rig.serve(inputs)
    hostile = type(inputs)(inputs.pod, b'{"version":1,"gateway":"default/hostile"}', inputs.vcl)
    await rig.until(hostile, lambda: "routing" in rig.refusals())
    assert rig.rounds.is_serving
    assert rig.rounds.retry_seconds is None
    assert await status_of(rig.address) == 204


async def test_what_never_served_ends_at_once(rig: Rig) -> None:
    await rig.until(rig.inputs("nonsense"), lambda: "vcl" in rig.refusals())
    assert rig.serving.varnishd
    await rig.serving.end()
    assert not rig.lines.said("connections are cut")


async def test_connections_that_do_not_end_are_cut_at_the_deadline(rig: Rig) -> None:
    await rig.serve(rig.inputs())
    assert await status_of(rig.address) == 200, "it accepts connections by now"
    with socket.create_connection((rig.address, 8080)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        await rig.serving.end()
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert rig.lines.said("1 connections are cut")
    assert rig.serving.varnishd is None


async def test_a_drain_without_ghost_ends_all_the_same(rig: Rig) -> None:
    await rig.serve(rig.inputs())
    rig.ghost.is_lost = True
    await rig.serving.end()
    (said,) = rig.lines.said("a step of the drain failed")
    assert said["step"] == "CloseConnections"
    assert rig.serving.varnishd is None


@pytest.mark.parametrize("garbage", [b"", b'{"version":1,"routing":{"ver', b"\0" * 1000, b"[" * 100_000])
async def test_a_damaged_ghost_json_of_a_former_life_is_replaced(rig: Rig, garbage: bytes) -> None:
    rig.paths.ghost.write_bytes(garbage)
    await rig.serve(rig.inputs())
    assert rig.paths.ghost.read_bytes().startswith(b'{"version":1,"routing":{"version":1,')
    assert await status_of(rig.address) == 200


async def test_damaged_documents_of_a_former_life_and_no_others(rig: Rig) -> None:
    for path in (rig.paths.ghost, rig.paths.last_good_vcl, rig.paths.last_good_pod):
        path.write_bytes(b"\xff\0garbage")
    bad = rig.inputs("nonsense")
    await rig.rounds.round(type(bad)(b"{", b"[", bad.vcl))
    assert not rig.rounds.is_serving
    assert {"pod", "routing"} <= set(rig.refusals())
    await rig.serve(rig.inputs())
    assert await status_of(rig.address) == 200


async def test_endpoints_are_followed_while_ghost_refuses_a_newer_routing(rig: Rig) -> None:
    inputs = with_service(rig.inputs("204"), "10.0.0.1")
    await rig.serve(inputs)
    digest = rig.rounds.report.routing_digest
    assert inputs.routing
    hostile = replace(inputs, routing=inputs.routing.replace(b"default/gw", b"default/hostile"))
    await rig.rounds.round(hostile)
    await rig.rounds.round(replace(hostile, slices=with_service(inputs, "10.0.0.2").slices))
    applied = rig.rounds.parts.ghost.applied
    assert applied
    assert [end.address for end in applied.endpoints["default/web:80"]] == ["10.0.0.2"]
    assert "routing" in rig.refusals()
    assert rig.rounds.report.routing_digest == digest
    assert rig.ghost.reloads == 3, "the refused one was tried once"
    await rig.serve(inputs)
