"""Changes that need not know what they change; the same random numbers make the same ones."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Final

from wire_case import Pieces

MAX_BYTES: Final = 96 * 1024
"""Of one side of a case."""
TELLING_BYTES: Final = (
    b"\0", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"\x0b", b"\x7f", b"\x80", b"\xff",
    b"%", b"0",
)  # fmt: skip
TELLING_NUMBERS: Final = (
    0, 1, 2, 63, 64, 65, 125, 126, 127, 128, 129, 253, 254, 255, 256, 257, 1023, 4096, 8192, 16384, 32768, 65535,
)  # fmt: skip
"""Where a length changes its form in one of the programs, or in one of their languages."""


def chance(random: Random, one_in: int) -> bool:
    return random.randrange(one_in) == 0


def length(random: Random, below: int = 1 << 16) -> int:
    """Most are short; borders, and their neighbours, are likely."""
    if chance(random, 2):
        return random.randrange(16)
    return min(max(random.choice(TELLING_NUMBERS) + random.randrange(-1, 2), 0), below)


def mutated(random: Random, pieces: Pieces, other: Pieces = ()) -> Pieces:
    """With one to four changes; some take a part of the other."""
    text = b"".join(pieces)
    for _ in range(1 + random.randrange(4)):
        text = random.choice(_CHANGES)(random, text, b"".join(other))[:MAX_BYTES]
    return cut(random, text)


def cut(random: Random, text: bytes) -> Pieces:
    """Most often whole; else at up to three places."""
    if not text or chance(random, 2):
        return (text,)
    places = sorted({0, len(text), *(random.randrange(len(text)) for _ in range(1 + random.randrange(3)))})
    return tuple(text[start:end] for start, end in pairwise(places))


def _span(random: Random, text: bytes) -> tuple[int, int]:
    start = random.randrange(len(text) + 1)
    return start, min(start + length(random, 4096), len(text))


def _flipped(random: Random, text: bytes, _: bytes) -> bytes:
    if not text:
        return text
    place = random.randrange(len(text))
    return text[:place] + bytes([text[place] ^ 1 << random.randrange(8)]) + text[place + 1 :]


def _removed(random: Random, text: bytes, _: bytes) -> bytes:
    start, end = _span(random, text)
    return text[:start] + text[end:]


def _repeated(random: Random, text: bytes, _: bytes) -> bytes:
    start, end = _span(random, text)
    return text[:end] + text[start:end] * random.choice((1, 1, 2, 70)) + text[end:]


def _told(random: Random, text: bytes, _: bytes) -> bytes:
    start, end = _span(random, text)
    return text[:start] + random.choice(TELLING_BYTES) + text[random.choice((start, end)) :]


def _spliced(random: Random, text: bytes, other: bytes) -> bytes:
    start, end = _span(random, other)
    place = random.randrange(len(text) + 1)
    return text[:place] + other[start:end] + text[place:]


def _line_repeated(random: Random, text: bytes, _: bytes) -> bytes:
    lines = text.split(b"\r\n")
    line = random.choice(lines)
    lines.insert(random.randrange(len(lines) + 1), line)
    return b"\r\n".join(lines)


_CHANGES: Final[Sequence] = (_flipped, _removed, _repeated, _told, _spliced, _line_repeated)  # type: ignore[type-arg]
