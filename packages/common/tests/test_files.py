"""Atomic writes: the old content or the new one, never a part, and nothing left behind."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from varnish_gateway_common.files import write_atomically, write_if_changed


@pytest.fixture
def files_of_at_most_1000_bytes() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_folders_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"


@pytest.mark.usefixtures("files_of_at_most_1000_bytes")
def test_a_failed_write_leaves_the_old_content_and_no_rest(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"old")
    with pytest.raises(OSError, match="File too large"):
        write_atomically(file, b"x" * 100_000)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert write_if_changed(file, b"one")
    inode = file.stat().st_ino
    assert not write_if_changed(file, b"one")
    assert file.stat().st_ino == inode
    assert write_if_changed(file, b"two")
