"""The project's version: packages/common/pyproject.toml has it, and every other file that must name it repeats it.

python toolchain/version.py           print it; exit code 1 when a file names another one
python toolchain/version.py 0.2.0     write it everywhere
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = "packages/common/pyproject.toml"
PLACES: Final = (
    (SOURCE, r'^version = "(.+)"$'),
    ("packages/operator/pyproject.toml", r'^version = "(.+)"$'),
    ("packages/operator/pyproject.toml", r'"varnish-gateway-common\[.+\]==(.+)"'),
    ("packages/chaperone/pyproject.toml", r'^version = "(.+)"$'),
    ("packages/chaperone/pyproject.toml", r'"varnish-gateway-common\[.+\]==(.+)"'),
    ("packages/ghost-vmod/Cargo.toml", r'^version = "(.+)"$'),
    ("packages/ghost-vmod/Cargo.lock", r'^name = "(?:ghost-\w+|vmod_ghost)"\nversion = "(.+)"$'),
    ("helm/varnish-gateway/Chart.yaml", r"^version: (.+)$"),
    ("helm/varnish-gateway/Chart.yaml", r"^appVersion: (.+)$"),
    ("images/operator/Containerfile", r"^ARG VERSION=(.+)$"),
    ("images/gateway/Containerfile", r"^ARG VERSION=(.+)$"),
    ("e2e/conformance/options.yaml", r"^  version: (.+)$"),
    ("README.md", r"/varnish-gateway-\w+:(\d\S*)"),
)
"""File, and what stands around the version in it; each is there at least once."""


def named() -> Mapping[str, set[str]]:
    """Versions by file."""
    found: dict[str, set[str]] = {}
    for file, pattern in PLACES:
        versions = set(re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE))
        found.setdefault(file, set()).update(versions or {f"none for {pattern}"})
    return found


def write(version: str) -> None:
    """Into every place."""
    for file, pattern in PLACES:
        path = ROOT / file
        path.write_text(re.sub(pattern, lambda told: _renamed(told, version), path.read_text(), flags=re.MULTILINE))


def _renamed(told: re.Match[str], version: str) -> str:
    start, end = told.start(1) - told.start(), told.end(1) - told.start()
    return told[0][:start] + version + told[0][end:]


def main(arguments: list[str]) -> int:
    if arguments:
        write(arguments[0])
    files = named()
    (version,) = files[SOURCE]
    print(version)
    others = {file: versions for file, versions in files.items() if versions != {version}}
    for file, versions in others.items():
        print(f"{file} names {', '.join(sorted(versions))}", file=sys.stderr)
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
