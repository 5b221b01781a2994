"""Only regular files are read, and never more than a bound."""

import os
from pathlib import Path

import pytest

from varnish_gateway_common.reading import UnfitFileError, read_regular


def test_a_file_and_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"content"


def test_no_more_than_the_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(UnfitFileError, match="larger than 4 bytes"):
        read_regular(tmp_path / "file", 4)


def test_what_waits_or_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("fifo", "link", "zeros"):
        with pytest.raises(UnfitFileError, match="not a regular file"):
            read_regular(tmp_path / name)
    with pytest.raises(UnfitFileError, match="a directory"):
        read_regular(tmp_path)


def test_what_becomes_a_fifo_after_the_first_look_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and opening, as an attacker would have it."""
    (tmp_path / "file").write_bytes(b"")
    regular = os.stat(tmp_path / "file")  # noqa: PTH116
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(os, "stat", lambda _: regular)
    with pytest.raises(UnfitFileError, match="not a regular file"):
        read_regular(tmp_path / "fifo")


def test_a_directory_after_the_first_look_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    regular = os.stat(tmp_path / "file")  # noqa: PTH116
    monkeypatch.setattr(os, "stat", lambda _: regular)
    with pytest.raises(OSError, match="irectory"):
        read_regular(tmp_path)
