"""Which of upstream's major fixes the HAProxy that we build lacks: for whoever makes a release.

    nox -s majors -- CHANGELOG [--source FOLDER]

CHANGELOG is HAProxy's own of the series that we build, a file or a URL. Besides it only Debian's source is fetched, and
not even that where FOLDER has it unpacked. A fix is carried when its subject is that of one of Debian's patches, or is
named by `Upstream:` in one of ours. Exits with 1 when one is lacking.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PATCHES: Final = HERE / "haproxy-patches"
NOT_BUILT: Final = HERE / "haproxy-not-built"

_RELEASE: Final = re.compile(r"\d{4}/\d\d/\d\d : (?P<version>\d+(\.\d+)+)")
_FIX: Final = re.compile(r"\s+- (?P<subject>BUG/(MAJOR|CRITICAL): .+)")
_HEADER: Final = re.compile(r"^(Subject|Upstream): *(?P<subject>.*(\n .*)*)", re.MULTILINE)
_NUMBER: Final = re.compile(r"\[PATCH[^]]*\]")


@dataclass(frozen=True)
class Fix:
    """One of upstream's, in the release that brought it."""

    version: str
    subject: str

    @property
    def subsystem(self) -> str:
        """`BUG/MAJOR: mux-h2: ...`: mux-h2."""
        return self.subject.split(": ")[1]


def fixes(changelog: str) -> Iterator[Fix]:
    """The major ones, release by release."""
    version = ""
    for line in changelog.splitlines():
        if release := _RELEASE.match(line):
            version = release["version"]
        elif version and (fix := _FIX.match(line)):
            yield Fix(version, fix["subject"].strip())


def carried(patches: Iterable[str]) -> frozenset[str]:
    """Subjects of the fixes that these patches are."""
    return frozenset(_plain(found["subject"]) for text in patches for found in _HEADER.finditer(text))


def not_built(text: str) -> frozenset[str]:
    """Subsystems that our build leaves out, each a line with its reason."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#"))


def lacking(changelog: str, built: str, patches: Iterable[str], left_out: frozenset[str]) -> list[Fix]:
    """What came after the version that is built, and is neither carried nor of a subsystem that is left out.

    Raises ValueError for a changelog that does not reach back to that version: it is another series', or none.
    """
    if not any((release := _RELEASE.match(line)) and release["version"] == built for line in changelog.splitlines()):
        raise ValueError(f"the changelog does not name {built}, which is built")
    have = carried(patches)
    later = (fix for fix in fixes(changelog) if _order(fix.version) > _order(built))
    return [fix for fix in later if _plain(fix.subject) not in have and fix.subsystem not in left_out]


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _plain(subject: str) -> str:
    """Without what mail adds, and without the severity, which a backport may change."""
    words = " ".join(_NUMBER.sub("", subject).split())
    return re.sub(r"^[A-Z]+(/[A-Z]+)?: ", "", words).lower()


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s majors --", description="upstream's major fixes that we lack")
    parser.add_argument("changelog", metavar="CHANGELOG", help="HAProxy's CHANGELOG of our series: a file or a URL")
    parser.add_argument("--source", type=Path, metavar="FOLDER", help="Debian's source, unpacked (default: fetched)")
    given = parser.parse_args()
    changelog = _read(given.changelog)
    if given.source:
        return _judge(changelog, given.source)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "haproxy"
        subprocess.run([str(HERE / "debian-source.sh"), "trixie", "haproxy", str(source)], check=True)
        return _judge(changelog, source)


def _judge(changelog: str, source: Path) -> int:
    built = (source / "VERSION").read_text().strip()
    files = [*sorted((source / "debian/patches").glob("*.patch")), *sorted(PATCHES.glob("*.patch"))]
    patches = [file.read_text(errors="replace") for file in files]
    try:
        found = lacking(changelog, built, patches, not_built(NOT_BUILT.read_text()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for fix in found:
        print(f"{fix.version}: {fix.subject}")
    print(f"HAProxy {built} with {len(files)} patches lacks {len(found)} of upstream's major fixes", file=sys.stderr)
    return 1 if found else 0


def _read(place: str) -> str:
    if not place.startswith(("https://", "http://")):
        return Path(place).read_text(errors="replace")
    with urllib.request.urlopen(place, timeout=60) as answer:  # noqa: S310 - http or https, as it was given
        return str(answer.read().decode(errors="replace"))


if __name__ == "__main__":
    sys.exit(main())
