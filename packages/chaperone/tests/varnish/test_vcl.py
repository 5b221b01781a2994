"""VCLs: names, the newest in use, the others discarded, messages for people."""

from pathlib import Path

import pytest

from varnish_gateway_chaperone.varnish.cli import CliRefusedError, FakeVarnishCli
from varnish_gateway_chaperone.varnish.vcl import VclError, Vcls, readable
from varnish_gateway_common.document import digest


@pytest.fixture
def cli(tmp_path: Path) -> FakeVarnishCli:
    return FakeVarnishCli(tmp_path)


@pytest.fixture
def vcls(cli: FakeVarnishCli, tmp_path: Path) -> Vcls:
    return Vcls(cli, tmp_path / "main.vcl")


async def test_the_newest_is_used_and_the_others_are_discarded(cli: FakeVarnishCli, vcls: Vcls) -> None:
    for text in (b"one", b"two", b"one"):
        await vcls.use(text)
        assert vcls.active_digest == digest(text)
        assert list(cli.loaded.values()) == [text.decode()]
    assert cli.active == f"vgw_{digest(b'one')[:12]}_3"


async def test_a_refused_one_changes_nothing_and_says_why(cli: FakeVarnishCli, vcls: Vcls) -> None:
    await vcls.use(b"good")
    active = cli.active
    with pytest.raises(VclError, match=r"^Syntax error\n\(main.vcl Line 1 Pos 1\)\nbroken\n######$"):
        await vcls.use(b"broken")
    assert cli.active == active
    assert vcls.active_digest == digest(b"good")


async def test_what_cannot_be_discarded_yet_goes_later(cli: FakeVarnishCli, vcls: Vcls) -> None:
    await vcls.use(b"one")
    first = cli.active
    cli.undiscardable.add(str(first))
    await vcls.use(b"two")
    assert first in cli.loaded
    cli.undiscardable.clear()
    await vcls.use(b"three")
    assert list(cli.loaded.values()) == ["three"]


async def test_whether_passes_are_direct_is_in_the_text(vcls: Vcls) -> None:
    for text, passes_directly in ((b"one", False), (b"sub vcl_init { vgw_router.pass_directly(); }", True)):
        await vcls.use(text)
        assert vcls.passes_directly is passes_directly


def test_a_long_message_is_cut() -> None:
    message = "\n".join(f"line {number}" for number in range(100))
    assert readable(message, Path("/run/main.vcl")).splitlines()[-1] == "... and 80 more lines"


async def test_a_vcl_that_is_not_used_does_not_stay(cli: FakeVarnishCli, vcls: Vcls) -> None:
    await vcls.use(b"first")
    cli.is_unusable = True
    for _ in range(3):
        with pytest.raises(CliRefusedError):
            await vcls.use(b"second")
    assert list(cli.loaded.values()) == ["first"]
    cli.is_unusable = False
    await vcls.use(b"second")
    assert list(cli.loaded.values()) == ["second"]
