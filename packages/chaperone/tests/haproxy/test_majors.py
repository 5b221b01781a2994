"""What a releaser is told of upstream's major fixes."""

import subprocess
import sys
from pathlib import Path

import pytest

from toolchain import haproxy_majors
from toolchain.haproxy_majors import Fix, carried, fixes, lacking, not_built

CHANGELOG = """\
ChangeLog :
===========

2026/07/03 : 3.0.13
    - BUG/MAJOR: htx: don't swap buffers for empty HTX message with an error
    - BUG/MINOR: cli: something small
    - BUG/CRITICAL: mux-h2: end of the world
    - BUG/MAJOR: quic: something of HTTP/3

2026/05/01 : 3.0.12
    - BUG/MAJOR: mux-h1: Deal with true 64-bits integer to emit chunks size

2025/06/02 : 3.0.11
    - BUG/MAJOR: listeners: what the built version has
"""
DEBIAN = """\
From: somebody
Subject: [PATCH 2/3] BUG/MEDIUM: mux-h1: Deal with true 64-bits integer to emit
 chunks size

More words.
"""
OURS = (
    "Subject: of our own\nUpstream: BUG/MAJOR: htx: don't swap buffers for empty HTX message with an error\n\n--- a\n"
)
LEFT_OUT = not_built("# why not\nquic   no USE_QUIC\n")


def test_major_fixes_are_read_release_by_release() -> None:
    found = list(fixes(CHANGELOG))
    assert [fix.version for fix in found] == ["3.0.13", "3.0.13", "3.0.13", "3.0.12", "3.0.11"]
    assert [fix.subsystem for fix in found] == ["htx", "mux-h2", "quic", "mux-h1", "listeners"]


def test_a_patch_is_known_by_its_subject() -> None:
    assert carried([DEBIAN, OURS]) == {
        "mux-h1: deal with true 64-bits integer to emit chunks size",
        "of our own",
        "htx: don't swap buffers for empty htx message with an error",
    }


def test_what_is_lacking_is_later_not_carried_and_built() -> None:
    fatal = Fix("3.0.13", "BUG/CRITICAL: mux-h2: end of the world")
    assert lacking(CHANGELOG, "3.0.11", [DEBIAN, OURS], LEFT_OUT) == [fatal]
    assert len(lacking(CHANGELOG, "3.0.11", [], LEFT_OUT)) == 3
    assert lacking(CHANGELOG, "3.0.13", [], LEFT_OUT) == []
    assert [fix.version for fix in lacking(CHANGELOG, "3.0.12", [], frozenset())] == ["3.0.13"] * 3


@pytest.mark.parametrize("changelog", ["", "not a changelog", CHANGELOG.replace("3.0.", "3.2.")])
def test_a_changelog_of_something_else_proves_nothing(changelog: str) -> None:
    with pytest.raises(ValueError, match=r"3\.0\.11"):
        lacking(changelog, "3.0.11", [], LEFT_OUT)


@pytest.mark.parametrize(("kept", "code"), [("CRITICAL", 1), ("htx", 0)])
def test_it_works_from_files_alone(tmp_path: Path, kept: str, code: int) -> None:
    source, changelog = tmp_path / "source", tmp_path / "CHANGELOG"
    (source / "debian/patches").mkdir(parents=True)
    (source / "VERSION").write_text("3.0.11\n")
    (source / "debian/patches/0001.patch").write_text(DEBIAN)
    lines = [line for line in CHANGELOG.splitlines() if "BUG/" not in line or kept in line or "listeners" in line]
    changelog.write_text("\n".join(lines))
    command = [sys.executable, haproxy_majors.__file__, str(changelog), "--source", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stdout == ("3.0.13: BUG/CRITICAL: mux-h2: end of the world\n" if code else "")
    assert f"lacks {code} of" in done.stderr
