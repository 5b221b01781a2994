"""The STATE folder: what is written, left alone and removed."""

import json
import os
from pathlib import Path

import pytest
import yaml

from certificate_rig import gateway, listener, pair, secret
from operator_rig import GATEWAY, plan, report, route
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_operator.files import Mistake
from varnish_gateway_operator.state import StateFolder

WEB = route("[{backendRefs: [{name: web, port: 80}]}]")
KEY = ("default", "gw")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


def files(state: StateFolder) -> set[str]:
    return {str(path.relative_to(state.root)) for path in state.root.rglob("*") if path.is_file()}


def write(state: StateFolder, text: str, *, is_complete: bool = True, now: str = "now") -> list[str]:
    found = plan(text)
    done = state.write_gateways(found, is_complete=is_complete)
    state.write_statuses(found, is_complete=is_complete, now=now)
    return done


def test_writes_documents_and_statuses(state: StateFolder) -> None:
    assert write(state, GATEWAY + WEB) == ["wrote routing.json, main.vcl, pod.json of default/gw"]
    assert files(state) == {
        "default/gw/routing.json",
        "default/gw/main.vcl",
        "default/gw/pod.json",
        "status/gatewayclass/varnish.yaml",
        "status/gateway/default/gw.yaml",
        "status/httproute/default/web.yaml",
    }
    pod = json.loads((state.root / "default/gw/pod.json").read_text())
    assert pod["sockets"] == [{"name": "http-8080", "port": 8080}]


def test_writes_nothing_twice(state: StateFolder) -> None:
    write(state, GATEWAY + WEB)
    stamps = {path: path.stat().st_mtime_ns for path in state.root.rglob("*")}
    assert write(StateFolder(state.root), GATEWAY + WEB, now="later") == []
    assert stamps == {path: path.stat().st_mtime_ns for path in state.root.rglob("*")}


def test_a_time_moves_with_its_status_only(state: StateFolder) -> None:
    write(state, GATEWAY + WEB, now="first")
    write(state, GATEWAY + WEB.replace("name: web, port", "name: nothing, port"), now="second")
    status = yaml.safe_load((state.root / "status/httproute/default/web.yaml").read_text())["status"]
    times = {each["type"]: each["lastTransitionTime"] for each in status["parents"][0]["conditions"]}
    assert times == {"Accepted": "first", "ResolvedRefs": "second"}


def test_removes_what_is_gone_and_nothing_else(state: StateFolder) -> None:
    write(state, GATEWAY + WEB)
    (state.root / "default/gw/note.txt").write_text("mine")
    (state.root / "other/thing").mkdir(parents=True)
    (state.root / "other/thing/routing.json").write_text('{"not": "ours"}')
    assert write(state, WEB) == ["removed default/gw"]
    assert files(state) == {"default/gw/note.txt", "other/thing/routing.json"}


def test_removes_the_folder_when_nothing_else_is_there(state: StateFolder) -> None:
    write(state, GATEWAY)
    write(StateFolder(state.root), "")
    assert files(state) == set()
    assert not (state.root / "default").exists()


def test_what_may_only_be_unreadable_is_not_removed(state: StateFolder) -> None:
    write(state, GATEWAY)
    assert write(StateFolder(state.root), "", is_complete=False) == []
    assert "default/gw/pod.json" in files(state)
    assert "status/gateway/default/gw.yaml" in files(state)


def test_what_was_seen_to_go_is_removed_beside_mistakes(state: StateFolder) -> None:
    write(state, GATEWAY)
    assert write(state, "", is_complete=False) == ["removed default/gw"]
    assert files(state) == set()


def test_mistakes_are_a_file(state: StateFolder) -> None:
    state.write_mistakes([Mistake(Path("a.yaml"), 3, 7, "HTTPRoute default/web", "spec: wrong")])
    assert yaml.safe_load((state.root / "status/mistakes.yaml").read_text()) == [
        {"file": "a.yaml", "line": 3, "column": 7, "object": "HTTPRoute default/web", "message": "spec: wrong"}
    ]
    write(state, GATEWAY)
    assert "status/mistakes.yaml" in files(state)


def test_reads_reports_and_passes_over_broken_ones(state: StateFolder) -> None:
    for name, content in (
        ("gw", '{"version":1,"pod":"host","is_serving":true}'),
        ("bad", "{"),
        ("new", '{"version":2}'),
    ):
        (state.root / "default" / name).mkdir(parents=True)
        (state.root / "default" / name / "report.json").write_text(content)
    assert list(state.reports()) == [KEY]
    assert state.reports()[KEY][0].is_serving


def test_a_status_file_that_somebody_broke_is_written_anew(state: StateFolder) -> None:
    write(state, GATEWAY)
    path = state.root / "status/gateway/default/gw.yaml"
    path.write_text("status:\n  conditions: [")
    write(StateFolder(state.root), GATEWAY)
    assert yaml.safe_load(path.read_text())["status"]["conditions"][0]["type"] == "Accepted"


def test_statuses_are_written_some_at_a_time(state: StateFolder) -> None:
    found = plan(GATEWAY + WEB)
    late = iter((False, True))
    assert not state.write_statuses(found, is_complete=True, now="now", is_late=lambda: next(late))
    assert len(files(state)) == 2
    assert state.write_statuses(found, is_complete=True, now="now")
    assert len(files(state)) == 3


HTTPS = gateway(listener("one", "one.test", "one"), listener("two", "two.test", "two"))
ONE, TWO = secret("one", pair("one.test")), secret("two", pair("two.test"))


def write_https(state: StateFolder, *contents: object) -> list[str]:
    return state.write_gateways(plan(yaml.dump_all([*contents])), is_complete=True)


def certificates(state: StateFolder) -> set[str]:
    return {path.name for path in (state.root / "default/gw/certificates").glob("**/*") if path.is_file()}


def test_certificates_are_for_nobody_else_to_read(state: StateFolder) -> None:
    folder = state.root / "default/gw/certificates"
    folder.mkdir(parents=True)
    (folder / "default.one.pem").write_text("old")
    (folder / "default.one.pem").chmod(0o644)
    assert write_https(state, *HTTPS, ONE, TWO) == [
        "wrote certificates.json, routing.json, main.vcl, pod.json of default/gw"
    ]
    assert certificates(state) == {"default.one.pem", "default.two.pem"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert state.certificates().keys() == {"default.one", "default.two"}


def test_a_rotation_writes_one_file_and_the_index(state: StateFolder) -> None:
    write_https(state, *HTTPS, ONE, TWO)
    stamps = {path.name: path.stat().st_mtime_ns for path in (state.root / "default/gw/certificates").iterdir()}
    assert write_https(state, *HTTPS, ONE, secret("two", pair("two.test"))) == ["wrote certificates.json of default/gw"]
    changed = {
        path.name
        for path in (state.root / "default/gw/certificates").iterdir()
        if path.stat().st_mtime_ns != stamps[path.name]
    }
    assert changed == {"default.two.pem"}
    assert write_https(StateFolder(state.root), *HTTPS, ONE) == ["wrote certificates.json of default/gw"]
    assert certificates(state) == {"default.one.pem"}


def test_files_are_there_before_their_index_and_after_it(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_https(state, *HTTPS, ONE)
    seen: list[set[str]] = []

    def watched(path: Path, content: bytes, *, is_durable: bool = True) -> bool:
        if path.name == "certificates.json":
            seen.append(certificates(state))
        return write_if_changed(path, content, is_durable=is_durable)

    monkeypatch.setattr("varnish_gateway_operator.state.write_if_changed", watched)
    write_https(state, *HTTPS, TWO)
    assert seen == [{"default.one.pem", "default.two.pem"}]
    assert certificates(state) == {"default.two.pem"}


def test_keys_do_not_outlive_their_use(state: StateFolder) -> None:
    write_https(state, *HTTPS, ONE)
    (state.root / "default/gw/certificates/.default.one.pem.x1y2").write_text("half of a key")
    write(state, GATEWAY)
    assert json.loads((state.root / "default/gw/certificates.json").read_text()) == {"version": 1}
    assert not certificates(state)
    write_https(state, *HTTPS, ONE)
    assert write(state, "") == ["removed default/gw"]
    assert not list((state.root).glob("default/**/*"))


def test_a_namespace_called_status_has_a_folder_of_its_own(state: StateFolder) -> None:
    """Even for a Gateway whose name is that of a kind, and one called as what the folder of such a kind would hold."""
    text = GATEWAY.replace("metadata: {name: gw}", "metadata: {name: gateway, namespace: status}")
    found = plan(text)
    assert state.write_gateways(found, is_complete=True) == ["wrote routing.json, main.vcl, pod.json of status/gateway"]
    state.write_statuses(found, is_complete=True, now="now")
    assert {"status_/gateway/pod.json", "status/gateway/status/gateway.yaml"} <= files(state)
    (state.root / "status_/gateway/report.json").write_bytes(report().to_json())
    (state.root / "status/gateway/report.json").write_bytes(report().to_json())
    assert list(state.reports()) == [("status", "gateway")]
    assert StateFolder(state.root).write_gateways(plan(""), is_complete=True) == ["removed status/gateway"]


def test_what_stands_in_the_place_of_a_document_is_not_waited_for(state: StateFolder) -> None:
    write(state, GATEWAY)
    for name in ("report.json", "pod.json"):
        (state.root / "default/gw" / name).unlink(missing_ok=True)
        os.mkfifo(state.root / "default/gw" / name)
    assert state.reports() == {}
    assert write(state, GATEWAY) == ["wrote pod.json of default/gw"]
    assert (state.root / "default/gw/pod.json").is_file()
