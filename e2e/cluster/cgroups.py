"""Control groups, of both versions: where a cluster's pods are counted."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """The one of version 2, or each controller's of version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [file.parent for file in CGROUPS.glob("*/cgroup.procs")]


def remove(name: str) -> None:
    """Those that nobody is in any more, the deepest first."""
    for hierarchy in hierarchies():
        folders = [path for path in (hierarchy / name).rglob("*") if path.is_dir()]
        for folder in [*sorted(folders, reverse=True), hierarchy / name]:
            if folder.exists():
                folder.rmdir()
