"""Reading files that anybody may have put there: regular ones alone, and never more than a bound."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""Of a document that one of our programs wrote for another."""


class UnfitFileError(OSError):
    """No regular file, or a larger one than is read."""


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, also behind a symbolic link, open for reading. Raises OSError.

    What else may have the name is not waited for: a FIFO without a writer would never end, and a device is looked at
    before it is opened, since opening one can already do something.
    """
    _require_regular(os.stat(path))  # noqa: PTH116 - see manifests._files
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), "rb")  # noqa: PTH123, SIM115
    try:
        _require_regular(os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | Path, most_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
    """Its content. Raises OSError."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UnfitFileError(None, f"larger than {most_bytes} bytes")
    return content


def _require_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise UnfitFileError(None, "a directory, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFileError(None, "not a regular file")
