"""Writing a file so that a reader sees the old content or the new one, never a part."""

import os
import tempfile
from pathlib import Path

from varnish_gateway_common.reading import UnfitFileError, read_regular


def write_atomically(path: Path, content: bytes, *, is_durable: bool = True) -> None:
    """Write, sync and rename; folders are made. Raises OSError (a full disk leaves the old file as it was).

    Not `is_durable`: without the sync, for what can be made again after the host lost its power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, content: bytes, *, is_durable: bool = True) -> bool:
    """Write only what differs, so that watchers are not woken for nothing; True when it was written."""
    try:
        if read_regular(path) == content:
            return False
    except (FileNotFoundError, UnfitFileError):
        pass
    write_atomically(path, content, is_durable=is_durable)
    return True
