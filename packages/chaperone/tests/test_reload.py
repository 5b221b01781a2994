"""Desired against applied: what ghost and varnishd are told, and what happens when they refuse."""

from pathlib import Path

import pytest

from varnish_gateway_chaperone.merge import Merged, merge, parse_routing
from varnish_gateway_chaperone.reload import GhostReload, VclReload
from varnish_gateway_chaperone.varnish.arguments import Paths
from varnish_gateway_chaperone.varnish.cli import CliLostError, FakeVarnishCli
from varnish_gateway_chaperone.varnish.ghost import (
    FakeGhost,
    GhostLostError,
    GhostRefusedError,
    Running,
    UnusableEndpoint,
)
from varnish_gateway_chaperone.varnish.vcl import Vcls
from varnish_gateway_common.document import digest
from varnish_gateway_common.ghost import Endpoint
from varnish_gateway_common.routing import Routing, Rule


def merged(route: str = "default/a") -> Merged:
    rule = Rule.model_validate({"route": route, "action": {"type": "Forward"}})
    return merge(parse_routing(Routing(version=1, gateway="default/gw", rules=(rule,)).to_json()), {})


HOSTILE = merged("default/hostile")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def ghost(paths: Paths) -> FakeGhost:
    return FakeGhost(paths.ghost_candidate)


@pytest.fixture
def reload(ghost: FakeGhost, paths: Paths) -> GhostReload:
    return GhostReload(ghost, paths)


async def test_the_candidate_becomes_ghost_json_once_ghost_runs_it(reload: GhostReload, paths: Paths) -> None:
    assert await reload.apply(merged())
    assert paths.ghost.read_bytes() == merged().content
    assert not paths.ghost_candidate.exists()
    assert not await reload.apply(merged())
    assert reload.reloads == 1


async def test_what_is_refused_leaves_the_last_good_one(reload: GhostReload, paths: Paths, ghost: FakeGhost) -> None:
    await reload.apply(merged())
    assert not await reload.apply(HOSTILE)
    assert paths.ghost.read_bytes() == merged().content
    assert not paths.ghost_candidate.exists()
    assert reload.applied == merged()
    assert reload.refusal
    assert (reload.refusal.digest, reload.refusal.message) == (HOSTILE.routing.digest, "hostile content")
    asked = ghost.reloads
    assert not await reload.apply(HOSTILE), "the same bytes are not tried again"
    assert ghost.reloads == asked


async def test_a_mistake_that_can_be_seen_here_is_named(paths: Paths) -> None:
    class Strict(FakeGhost):
        async def reload(self) -> Running:
            raise GhostRefusedError("at column 4711")

    strict = GhostReload(Strict(paths.ghost_candidate), paths)
    await strict.apply(merge(parse_routing(b'{"version":1,"gateway":"a/b","rules":[{"route":3}]}'), {}))
    assert strict.refusal
    assert strict.refusal.message.startswith("rules.0.route: ")


async def test_endpoints_that_ghost_leaves_out_are_told(paths: Paths) -> None:
    class Picky(FakeGhost):
        async def reload(self) -> Running:
            unusable = (UnusableEndpoint(service="default/web:80", address="web.test"),)
            return (await super().reload()).model_copy(update={"unusable": unusable})

    picky = GhostReload(Picky(paths.ghost_candidate), paths)
    assert await picky.apply(merged())
    assert [(told.input, told.message) for told in picky.unusable] == [
        ("endpoints", "'web.test' of default/web:80 is no address")
    ]


async def test_a_refusal_ends_when_the_last_good_one_is_wanted_again(reload: GhostReload) -> None:
    await reload.apply(merged())
    await reload.apply(HOSTILE)
    assert reload.choose(merged().routing) == merged().routing
    assert not await reload.apply(merged())
    assert reload.refusal is None


async def test_while_one_is_refused_the_last_good_one_gets_the_endpoints(reload: GhostReload) -> None:
    await reload.apply(merged())
    await reload.apply(HOSTILE)
    good = reload.choose(HOSTILE.routing)
    assert good == merged().routing
    moved = merge(good, {"default/web:80": (Endpoint(address="10.0.0.1", port=80),)})
    assert await reload.apply(moved)
    assert reload.applied == moved
    assert reload.refusal
    assert reload.refusal.digest == HOSTILE.routing.digest
    other = merged("default/b")
    assert reload.choose(other.routing) == other.routing
    assert reload.refusal is None


async def test_what_an_earlier_chaperone_left_serves_while_a_newer_one_is_refused(
    reload: GhostReload, paths: Paths, ghost: FakeGhost
) -> None:
    paths.ghost.write_bytes(merged().content)
    ghost.running = Running(digest=merged().digest)
    assert not await reload.apply(HOSTILE)
    assert reload.applied == merged()
    assert reload.choose(HOSTILE.routing) == merged().routing


async def test_a_new_process_is_asked_what_it_runs(reload: GhostReload, ghost: FakeGhost) -> None:
    await reload.apply(merged())
    reload.forget()
    assert await reload.apply(merged())
    assert ghost.reloads == 1, "it read ghost.json by itself"


async def test_a_refused_one_does_not_hide_what_a_new_process_runs(reload: GhostReload, ghost: FakeGhost) -> None:
    await reload.apply(merged())
    await reload.apply(HOSTILE)
    reload.forget()
    assert not await reload.apply(HOSTILE)
    assert reload.applied == merged()
    assert reload.refusal
    assert ghost.reloads == 2, "the refused one is not tried again"


async def test_another_digest_than_expected_is_tried_again(reload: GhostReload, paths: Paths) -> None:
    class Forgetful(FakeGhost):
        async def reload(self) -> Running:
            return self.running

    forgetful = GhostReload(Forgetful(paths.ghost_candidate), paths)
    with pytest.raises(GhostLostError, match="ghost runs , not"):
        await forgetful.apply(merged())
    assert forgetful.applied is None
    assert not paths.ghost.exists()


async def test_a_seed_that_is_refused_does_not_stay(reload: GhostReload, paths: Paths) -> None:
    reload.seed(HOSTILE)
    assert paths.ghost.exists()
    await reload.apply(HOSTILE)
    assert not paths.ghost.exists()


async def test_a_seed_replaces_nothing(reload: GhostReload, paths: Paths) -> None:
    paths.ghost.write_bytes(b"last good")
    reload.seed(merged())
    await reload.apply(HOSTILE)
    assert paths.ghost.read_bytes() == b"last good"


async def test_a_full_disk_costs_the_reload_and_nothing_else(reload: GhostReload, paths: Paths) -> None:
    await reload.apply(merged())
    paths.ghost_candidate.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        await reload.apply(merged("default/b"))
    assert paths.ghost.read_bytes() == merged().content
    assert reload.applied == merged()
    assert await reload.apply(merged("default/b")), "once there is space"


async def test_before_there_is_anything_to_apply_what_ghost_read_by_itself_counts(
    reload: GhostReload, paths: Paths, ghost: FakeGhost
) -> None:
    await reload.adopt()  # there is no file
    reload.forget()
    paths.ghost.write_bytes(merged().content)
    ghost.running = Running(digest=merged().digest)
    await reload.adopt()
    assert reload.applied == merged()
    assert not await reload.apply(merged())
    assert ghost.reloads == 0


@pytest.fixture
def cli(paths: Paths) -> FakeVarnishCli:
    return FakeVarnishCli(paths.vcl.parent)


async def test_a_good_vcl_is_kept_as_last_good(cli: FakeVarnishCli, paths: Paths) -> None:
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    assert await vcl.apply(vcls, b"good")
    assert not paths.last_good_vcl.exists()
    vcl.confirm()
    assert paths.last_good_vcl.read_bytes() == b"good"
    assert not await vcl.apply(vcls, b"good")


async def test_a_broken_vcl_leaves_the_one_in_use(cli: FakeVarnishCli, paths: Paths) -> None:
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    await vcl.apply(vcls, b"good")
    assert not await vcl.apply(vcls, b"broken")
    assert vcl.refusal
    assert vcl.refusal.digest == digest(b"broken")
    assert "main.vcl Line 1" in vcl.refusal.message
    compiled = len(cli.commands)
    await vcl.apply(vcls, b"broken")
    assert len(cli.commands) == compiled, "the same text is not compiled again"
    await vcl.apply(vcls, b"good")
    assert vcl.refusal is None


async def test_a_broken_vcl_at_the_start_gives_way_to_the_last_good_one(cli: FakeVarnishCli, paths: Paths) -> None:
    paths.last_good_vcl.write_bytes(b"good")
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    assert await vcl.apply(vcls, b"broken")
    assert vcls.active_digest == digest(b"good")
    assert vcl.refusal


async def test_a_new_pod_falls_back_to_what_serves_elsewhere(cli: FakeVarnishCli, paths: Paths) -> None:
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    assert not await vcl.apply(vcls, b"broken", b"broken too")
    tried = len(cli.commands)
    assert not await vcl.apply(vcls, b"broken", b"broken too")
    assert len(cli.commands) == tried, "neither is compiled again"
    assert await vcl.apply(vcls, b"broken", b"good elsewhere")
    assert vcls.active_digest == digest(b"good elsewhere")
    assert vcl.refusal
    assert vcl.refusal.digest == digest(b"broken")
    paths.last_good_vcl.write_bytes(b"good here")
    again = Vcls(FakeVarnishCli(paths.vcl.parent), paths.vcl)
    assert await vcl.apply(again, b"broken", b"good elsewhere")
    assert again.active_digest == digest(b"good here")


async def test_a_broken_vcl_at_the_very_first_start_is_waited_out(cli: FakeVarnishCli, paths: Paths) -> None:
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    assert not await vcl.apply(vcls, b"broken")
    assert vcls.active_digest == ""
    assert await vcl.apply(vcls, b"good")


async def test_a_lost_varnishd_is_not_a_broken_vcl(cli: FakeVarnishCli, paths: Paths) -> None:
    vcl, vcls = VclReload(paths), Vcls(cli, paths.vcl)
    cli.is_lost = True
    with pytest.raises(CliLostError):
        await vcl.apply(vcls, b"good")
    assert vcl.refusal is None
