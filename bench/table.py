"""Where results go, and how they look."""

from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks"


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    names = list(head)
    lines: list[Iterable[object]] = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)
