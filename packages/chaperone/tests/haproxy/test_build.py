"""What is read in `haproxy -vv`."""

from pathlib import Path

import pytest

from certificate_authority import pem
from chaperone_rig import Rig, program
from https_rig import A, inputs
from varnish_gateway_chaperone.haproxy.build import Build, parsed
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths, Limits
from varnish_gateway_chaperone.haproxy.daemon import FrontError, FrontProgram

SAID = """\
HAProxy version 3.0.11-1+deb13u5 2026/07/14 - https://haproxy.org/
Status: long-term supported branch
Built with OpenSSL version : OpenSSL 3.0.17 1 Jul 2025
Running on OpenSSL version : {library}
OpenSSL library supports : TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3
"""


@pytest.mark.parametrize(
    ("library", "version", "is_hybrid"),
    [
        ("OpenSSL 3.5.0 8 Apr 2025", (3, 5), True),
        ("OpenSSL 3.5.9 29 Sep 2026", (3, 5), True),
        ("OpenSSL 3.10.1 1 Jan 2029", (3, 10), True),
        ("OpenSSL 4.0.0 1 Apr 2027", (4, 0), True),
        ("OpenSSL 3.4.9 1 Jan 2026", (3, 4), False),
        ("OpenSSL 3.0.19 27 Jan 2026", (3, 0), False),
        ("OpenSSL 1.1.1w  11 Sep 2023", (1, 1), False),
        ("AWS-LC FIPS 3.5.0", (0, 0), False),
        ("LibreSSL 3.9.2", (0, 0), False),
        ("", (0, 0), False),
    ],
)
def test_the_library_that_runs_counts(library: str, version: tuple[int, int], *, is_hybrid: bool) -> None:
    build = parsed(SAID.format(library=library))
    assert build.openssl == version
    assert build.has_hybrid_groups is is_hybrid


@pytest.mark.parametrize(("version", "is_patched"), [("3.0.11-9e587df+gateway1", True), ("3.0.11-1+deb13u5", False)])
def test_ours_is_known_by_its_version(version: str, *, is_patched: bool) -> None:
    build = parsed(SAID.replace("3.0.11-1+deb13u5", version))
    assert build.version == version
    assert build.is_patched is is_patched


def test_of_what_is_no_haproxy_nothing_is_known() -> None:
    assert parsed("usage: cat FILE\n") == Build()
    assert not Build().is_patched
    assert not Build().has_hybrid_groups


def fake(folder: Path, library: str) -> FrontProgram:
    """A program that says so and counts how often it was asked."""
    file = folder / "haproxy"
    file.write_text(f"#!/bin/sh\necho asked >>{folder}/asked\ncat <<'E'\n{SAID.format(library=library)}E\n")
    file.chmod(0o755)
    return FrontProgram(str(file), FrontPaths(folder / "run"), "::1", Limits())


async def test_a_program_is_asked_once(tmp_path: Path) -> None:
    program = fake(tmp_path, "OpenSSL 3.5.9 29 Sep 2026")
    assert [(await program.build()).has_hybrid_groups for _ in range(3)] == [True] * 3
    assert (tmp_path / "asked").read_text() == "asked\n"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FrontError, match="could not be started"):
        await FrontProgram(str(tmp_path / "none"), FrontPaths(tmp_path), "::1", Limits()).build()


@pytest.mark.live
async def test_what_runs_is_patched_and_has_the_groups_of_its_library(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test")))
    build = await rig.front._program.build()
    assert build.is_patched, program("VARNISH_GATEWAY_HAPROXY")
    assert build.openssl >= (3, 0)
    text = FrontPaths(rig.paths.run).configuration.read_text()
    assert ("X25519MLKEM768:X25519" in text) is build.has_hybrid_groups
    assert not rig.lines.said("lacks our patches")
