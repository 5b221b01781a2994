"""What one client and one backend say to the gateway, byte for byte; kept as a line of JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

Front = Literal["direct", "h2c", "tls", "tls-h2"]
"""The listener, and what is spoken with it: HTTP/1.1, or HTTP/2 where the name says so."""
FRONTS: Final[tuple[Front, ...]] = get_args(Front)
HTTP1_FRONTS: Final[tuple[Front, ...]] = ("direct", "tls")
HTTP2_FRONTS: Final[tuple[Front, ...]] = ("h2c", "tls-h2")

HIDDEN: Final = b"/hidden"
"""A target that stands only where no reader may look for a request: in bodies and in values."""

Pieces = tuple[bytes, ...]


@dataclass(frozen=True)
class WireCase:
    """Each piece is a write of its own. After the answer the backend closes, or keeps the connection."""

    front: Front
    sent: Pieces
    answer: Pieces
    closes: bool = False

    def to_json(self) -> str:
        """One line."""
        texts = {"sent": _texts(self.sent), "answer": _texts(self.answer)}
        return json.dumps({"front": self.front, **texts, "closes": self.closes})

    @classmethod
    def from_json(cls, line: str) -> "WireCase":
        said = json.loads(line)
        return cls(said["front"], _pieces(said["sent"]), _pieces(said["answer"]), closes=said["closes"])


def read_corpus(file: Path) -> list[WireCase]:
    """None where there is no file."""
    return [WireCase.from_json(line) for line in file.read_text().splitlines()] if file.exists() else []


def write_corpus(file: Path, cases: Iterable[WireCase]) -> None:
    """Sorted, so that a new case is a new line and nothing else."""
    file.write_text("".join(f"{line}\n" for line in sorted({case.to_json() for case in cases})))


def _texts(pieces: Pieces) -> list[str]:
    return [piece.decode("latin-1") for piece in pieces]


def _pieces(texts: Iterable[str]) -> Pieces:
    return tuple(text.encode("latin-1") for text in texts)
