"""A folder as a source: what is good counts, what is broken keeps its last good version, what is gone is gone."""

from pathlib import Path

import pytest

from operator_rig import CLASS, GATEWAY, route
from varnish_gateway_operator.files import NAMESPACE_NAME, FolderSource

WEB = route("[{backendRefs: [{name: web, port: 80}]}]")


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    write(tmp_path / "gateway.yaml", GATEWAY)
    write(tmp_path / "web.yaml", WEB)
    found = FolderSource(tmp_path)
    found.read()
    return found


def test_reads_what_is_there(source: FolderSource) -> None:
    found = source.read()
    assert list(found.gateways) == [("default", "gw")]
    assert list(found.http_routes) == [("default", "web")]
    assert source.mistakes == ()


def test_nothing_changed_is_the_same_snapshot(source: FolderSource) -> None:
    assert source.read() is source.read()


def test_an_unchanged_object_of_a_changed_file_is_the_same_object(source: FolderSource) -> None:
    before = source.read().http_routes["default", "web"]
    write(source.root / "web.yaml", "# new\n" + WEB + route("[{}]", name="other"))
    found = source.read()
    assert found.http_routes["default", "web"] is before
    assert ("default", "other") in found.http_routes


def test_a_deleted_file_deletes_its_objects(source: FolderSource) -> None:
    (source.root / "web.yaml").unlink()
    assert not source.read().http_routes


def test_an_object_taken_out_of_a_file_is_gone(source: FolderSource) -> None:
    write(source.root / "web.yaml", route("[{}]", name="other"))
    assert list(source.read().http_routes) == [("default", "other")]


def test_broken_yaml_keeps_everything_of_the_file(source: FolderSource) -> None:
    before = source.read().http_routes["default", "web"]
    write(source.root / "web.yaml", "kind: [unclosed")
    assert source.read().http_routes["default", "web"] is before
    (mistake,) = source.mistakes
    assert (mistake.file.name, mistake.object) == ("web.yaml", "")
    assert mistake.message.startswith("not valid YAML")


def test_broken_yaml_after_a_good_object_takes_the_good_one(source: FolderSource) -> None:
    write(source.root / "web.yaml", route("[{}]", name="first") + "kind: [unclosed")
    assert list(source.read().http_routes) == [("default", "first"), ("default", "web")]


def test_a_broken_object_keeps_its_last_good_version(source: FolderSource) -> None:
    before = source.read().http_routes["default", "web"]
    write(source.root / "web.yaml", WEB.replace("port: 80", "port: http") + route("[{}]", name="other"))
    found = source.read()
    assert found.http_routes["default", "web"] is before
    assert ("default", "other") in found.http_routes
    (mistake,) = source.mistakes
    assert str(mistake) == (
        "web.yaml:5:90 HTTPRoute default/web: spec.rules[0].backendRefs[0].port is 'http', a text; "
        "it must be a whole number"
    )


def test_a_mended_object_is_taken(source: FolderSource) -> None:
    write(source.root / "web.yaml", WEB.replace("port: 80", "port: http"))
    source.read()
    write(source.root / "web.yaml", WEB.replace("port: 80", "port: 8080"))
    assert source.read().http_routes["default", "web"].spec.rules[0].backend_refs[0].port == 8080
    assert source.mistakes == ()


def test_of_two_files_with_one_object_the_first_counts(source: FolderSource) -> None:
    write(source.root / "zzz.yaml", WEB.replace("port: 80", "port: 8080"))
    assert source.read().http_routes["default", "web"].spec.rules[0].backend_refs[0].port == 80
    (mistake,) = source.mistakes
    assert mistake.file.name == "zzz.yaml"
    assert mistake.message == "is defined in web.yaml:2 already; that one counts"


def test_a_namespace_that_is_used_exists_and_has_its_label(source: FolderSource) -> None:
    write(source.root / "red.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: red, labels: {team: red}}\n")
    found = source.read().namespaces
    assert found["", "default"].metadata.labels == {NAMESPACE_NAME: "default"}
    assert found["", "red"].metadata.labels == {NAMESPACE_NAME: "red", "team": "red"}


def test_kinds_of_others_are_passed_over(source: FolderSource) -> None:
    write(source.root / "app.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: 1\n")
    source.read()
    assert source.mistakes == ()


def test_a_kind_of_the_gateway_api_that_is_not_built_is_told(source: FolderSource) -> None:
    write(source.root / "later.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: a}\n")
    source.read()
    (mistake,) = source.mistakes
    assert mistake.message == "kind: TLSRoute of gateway.networking.k8s.io is not served by this version"


def test_a_folder_that_is_gone_is_no_empty_folder(source: FolderSource, tmp_path: Path) -> None:
    before = source.read()
    source.root.rename(tmp_path.with_name("moved"))
    with pytest.raises(NotADirectoryError):
        source.read()
    tmp_path.with_name("moved").rename(source.root)
    assert source.read() is before


def test_an_endless_alias_is_a_mistake(source: FolderSource) -> None:
    write(source.root / "web.yaml", WEB.replace("metadata: {", "metadata: &m {annotations: *m, "))
    source.read()
    assert [mistake.message for mistake in source.mistakes] == ["nested deeper than 100 levels"]


def test_a_bomb_of_aliases_is_a_mistake(source: FolderSource) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 9):
        bomb += f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    text = f"{CLASS}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\nbinaryData:\n  {bomb}"
    write(source.root / "bomb.yaml", text)
    source.read()
    assert any("stand for more than 100000 values" in mistake.message for mistake in source.mistakes)
