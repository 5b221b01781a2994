"""Which folders need HAProxy, as `nox -s gateway` asks before it builds one."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


def is_needed(folder: Path) -> bool:
    done = subprocess.run([str(ROOT / "toolchain/needs-haproxy.sh"), str(folder)], capture_output=True, timeout=60)
    assert done.returncode in {0, 1, 2}
    assert done.stdout == b""
    return done.returncode == 0


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gateway.yaml", "listeners: [{name: a, protocol: HTTPS, port: 443}]", True),
        ("gateway.yml", 'listeners: [{name: a, "protocol": "HTTPS"}]', True),
        ("gateway.json", '{"protocol":"HTTPS"}', True),
        ("deep/er/gateway.yaml", "protocol: HTTPS", True),
        ("class.yaml", "spec:\n  http2:\n    cleartext: true\n", True),
        ("binary.yaml", "\0\0\nprotocol: HTTPS\n", True),
        ("gateway.yaml", "listeners: [{name: https, protocol: HTTP, port: 80}]", False),
        ("gateway.yaml", "protocol: HTTPSX", False),
        ("readme.md", "protocol: HTTPS", False),
        ("gateway.yaml", "", False),
    ],
)
def test_by_a_word_of_a_manifest(tmp_path: Path, name: str, text: str, *, expected: bool) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    assert is_needed(tmp_path) is expected


def test_of_our_examples_only_the_one_with_https() -> None:
    assert {one.name: is_needed(one) for one in sorted((ROOT / "examples").iterdir()) if one.is_dir()} == {
        "https": True,
        "kubernetes": False,
        "quickstart": False,
    }


def test_what_is_no_folder_and_what_is_no_file(tmp_path: Path) -> None:
    assert not is_needed(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert not is_needed(tmp_path)
    (tmp_path / "real").write_text("protocol: HTTPS")
    (tmp_path / "linked.yaml").symlink_to(tmp_path / "real")
    assert is_needed(tmp_path)
