"""A folder of YAML: what is read, what is a mistake and where it stands."""

import os
from pathlib import Path

import pytest

from varnish_gateway_common import manifests
from varnish_gateway_common.manifests import Contents, Finder, Folder, parse

TWO = b"""\
apiVersion: v1
kind: Namespace
metadata: {name: a}
---
# nothing here
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: b}}
- {apiVersion: v1, kind: Secret, metadata: {name: c}}
"""


def kinds(contents: Contents) -> list[str]:
    return [manifest.content["kind"] for manifest in contents.manifests]


def test_documents_and_lists() -> None:
    contents = parse(Path("a.yaml"), TWO)
    assert kinds(contents) == ["Namespace", "Service", "Secret"]
    assert [manifest.line for manifest in contents.manifests] == [1, 7, 7]
    assert contents.mistakes == ()


def test_a_syntax_error_names_its_line_and_spares_what_stands_before_it() -> None:
    contents = parse(Path("a.yaml"), b"apiVersion: v1\nkind: Namespace\n---\nkind: [\n")
    assert kinds(contents) == ["Namespace"]
    assert str(contents.mistakes[0]).startswith("a.yaml:5:1 not valid YAML: a value that is missing")


def test_what_is_no_object_is_a_mistake() -> None:
    for text, line in ((b"just text", 1), (b"---\n\n- a\n- b\n", 3), (b"a: b\n", 1), (b"kind: 7\napiVersion: v1\n", 1)):
        (mistake,) = parse(Path("a.yaml"), text).mistakes
        assert mistake.line == line


def test_what_stands_after_a_mistake_is_read() -> None:
    contents = parse(Path("a.yaml"), b"- 1\n---\napiVersion: v1\nkind: Secret\n---\n7\n")
    assert kinds(contents) == ["Secret"]
    assert [mistake.line for mistake in contents.mistakes] == [1, 6]


def test_wrong_bytes_are_named_by_their_line() -> None:
    for wrong in (b"\xe9", b"\x00"):
        (mistake,) = parse(Path("a.yaml"), b"apiVersion: v1\nkind: Secret\nname: " + wrong + b"\n").mistakes
        assert mistake.line == 3


def test_no_tag_makes_an_object_of_code() -> None:
    (mistake,) = parse(Path("a.yaml"), b"!!python/object/apply:os.system [exit 1]").mistakes
    assert mistake.message.startswith("a tag (!)")


def test_deep_nesting_and_wrong_bytes_are_mistakes() -> None:
    for deep in (b"[" * 100_000, b"- " * 100_000, b"{a: " * 100_000, b"? " * 100_000, b"a:\n" + b" " * 3000 + b"- b"):
        assert parse(Path("a.yaml"), deep).mistakes
    assert parse(Path("a.yaml"), b"\xff\xfe\x00").mistakes
    assert parse(Path("a.yaml"), b"a: 2026-99-99").mistakes


def test_lists_of_lists_are_mistakes() -> None:
    bomb = b"apiVersion: v1\nkind: List\nitems:\n- &a {apiVersion: v1, kind: List, items: []}\n- *a\n"
    assert "List in a List" in parse(Path("a.yaml"), bomb).mistakes[0].message


def test_files_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "sub/c.yaml", ".hidden.yaml", ".git/d.yaml", "e.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(TWO)
    found = [str(path.relative_to(tmp_path)) for path in Folder(tmp_path).read()]
    assert found == ["a.yml", "b.yaml", "e.json", "sub/c.yaml"]


def test_a_file_that_did_not_change_is_not_parsed_again(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(TWO)
    folder = Folder(tmp_path)
    first = folder.read()[tmp_path / "a.yaml"]
    assert folder.read()[tmp_path / "a.yaml"] is first
    (tmp_path / "a.yaml").write_bytes(TWO.replace(b"name: a", b"name: z"))
    os.utime(tmp_path / "a.yaml", ns=(1, 1))
    assert folder.read()[tmp_path / "a.yaml"] != first


def test_files_without_what_is_looked_for_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"[ this is broken, but nobody asked")
    (tmp_path / "b.yaml").write_bytes(TWO)
    contents = Folder(tmp_path, containing=b"Secret").read()
    assert contents[tmp_path / "a.yaml"] == Contents()
    assert len(contents[tmp_path / "b.yaml"].manifests) == 3


def test_what_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    (mistake,) = Folder(tmp_path).read()[tmp_path / "a.yaml"].mistakes
    assert "directory" in mistake.message


def test_only_the_named_files_are_read_again(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml", "d.yaml"):
        (tmp_path / name).write_bytes(TWO)
    folder = Folder(tmp_path)
    before = folder.read()
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.yaml").unlink()
    after = folder.read_again([tmp_path / name for name in ("c.yaml", "a.yaml", "d.yaml")])
    assert after == {tmp_path / "a.yaml": Contents(), tmp_path / "c.yaml": Contents()}
    assert list(before) == [tmp_path / name for name in ("a.yaml", "b.yaml", "d.yaml")]
    assert list(folder.read()) == [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]


def test_what_is_no_regular_file_is_a_mistake_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    (tmp_path / "good.yaml").write_bytes(TWO)
    found = Folder(tmp_path).read()
    assert [each.mistakes[0].message for each in found.values() if each.mistakes] == ["not a regular file"] * 2
    assert len(found[tmp_path / "good.yaml"].manifests) == 3


@pytest.mark.parametrize(("bound", "most"), [("MAX_FILES", 2), ("MAX_TOTAL_BYTES", 300), ("MAX_ENTRIES", 3)])
def test_a_folder_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int) -> None:
    """Nothing is forgotten of a folder that has too much: it is not read at all."""
    monkeypatch.setattr(manifests, bound, most)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_bytes(TWO[:100])
    assert len(Folder(tmp_path).read()) == 2
    for name in ("c.yaml", "d.yaml"):
        (tmp_path / name).write_bytes(TWO[:100])
    with pytest.raises(OSError, match="more than"):
        Folder(tmp_path).read()


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_FILE_BYTES", 20)
    (tmp_path / "a.yaml").write_bytes(TWO)
    assert Folder(tmp_path).read()[tmp_path / "a.yaml"].mistakes[0].message == "larger than 20 bytes"


def test_folders_in_folders_have_a_bound(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(manifests.MAX_FOLDERS_DEEP + 2):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "deep.yaml").write_bytes(TWO)
    (deep.parents[1] / "last.yaml").write_bytes(TWO)
    assert [path.name for path in Folder(tmp_path).read()] == ["last.yaml"]


def test_a_field_is_found_in_its_file(tmp_path: Path) -> None:
    text = b"\n" + TWO + b"---\n{apiVersion: v1, kind: ConfigMap, data: {a: 1}}\n"
    (tmp_path / "a.yaml").write_bytes(text)
    found, finder = Folder(tmp_path).read()[tmp_path / "a.yaml"].manifests, Finder()
    assert finder.find(found[0], ("metadata", "name")) == (4, 18)
    assert finder.find(found[2], ("metadata", "name")) == (12, 51)
    assert finder.find(found[3], ("data", "a"), is_key=True) == (14, 42)
    (tmp_path / "a.yaml").unlink()
    assert Finder().find(found[2], ("metadata", "name")) == (found[2].line, 1)


def test_json_is_read_as_kubectl_does(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(
        b'{\n\t"apiVersion": "v1",\n\t"kind": "Secret",\n\t"metadata": {"name": "a"}\n}\n'
    )
    (manifest,) = Folder(tmp_path).read()[tmp_path / "a.json"].manifests
    assert manifest.content["kind"] == "Secret"
    assert Finder().find(manifest, ("metadata", "name")) == (4, 23)
