"""The program in one process: rounds, what they tell, and what they survive."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from certificate_rig import NOW, gateway, grant, listener, pair, secret
from operator_rig import GATEWAY, route
from varnish_gateway_common.document import digest
from varnish_gateway_operator import app
from varnish_gateway_operator.files import FolderSource
from varnish_gateway_operator.state import StateFolder

WEB = route("[{backendRefs: [{name: web, port: 80}]}]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    (found / "gateway.yaml").write_text(GATEWAY)
    (found / "web.yaml").write_text(WEB)
    return found


@pytest.fixture
def rounds(folder: Path, tmp_path: Path) -> app.Rounds:
    return app.Rounds(FolderSource(folder), StateFolder(tmp_path / "out"), app.options())


def told(rounds: app.Rounds) -> list[str]:
    with capture_logs() as logs:
        rounds.run()
    return [str(entry["event"]) for entry in logs if entry["log_level"] != "debug"]


def test_a_round_says_in_one_sentence_what_it_did(rounds: app.Rounds, folder: Path) -> None:
    assert told(rounds) == ["translated 1 route onto 1 gateway: wrote routing.json, main.vcl, pod.json of default/gw"]
    assert told(rounds) == []
    (folder / "web.yaml").unlink()
    assert told(rounds) == ["translated 0 routes onto 1 gateway: wrote routing.json of default/gw"]


def test_thousands_of_statuses_do_not_look_at_the_folder_for_every_few(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking through 10,000 files takes as long as writing a thousand statuses."""
    (folder / "web.yaml").write_text("".join(route("[{}]", name=f"r{number}") for number in range(1000)))
    monkeypatch.setattr(app, "STATUSES_SECONDS", (60.0, 60.0))
    rounds = app.Rounds(FolderSource(folder), StateFolder(tmp_path / "out"), app.options())
    rounds.run()
    assert rounds.is_finished
    monkeypatch.setattr(app, "STATUSES_SECONDS", (0.0, 0.0))
    (folder / "web.yaml").unlink()
    (folder / "other.yaml").write_text("".join(route("[{}]", name=f"s{number}") for number in range(2)))
    rounds.run()
    assert not rounds.is_finished, "what is more urgent is looked for in between"


def test_mistakes_are_told_once_and_so_is_their_end(rounds: app.Rounds, folder: Path) -> None:
    rounds.run()
    (folder / "web.yaml").write_text("{")
    (mistake,) = told(rounds)
    assert "web.yaml:" in mistake
    (folder / "more.yaml").write_text(route("[{}]", name="more"))
    assert len(told(rounds)) == 1
    (folder / "web.yaml").write_text(WEB)
    assert f"mended: {mistake}" in told(rounds)


def test_a_full_disk_costs_the_round_and_nothing_more(rounds: app.Rounds, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(OSError, match="out"):
        rounds.run()
    (tmp_path / "out").unlink()
    assert told(rounds) == ["translated 1 route onto 1 gateway: wrote routing.json, main.vcl, pod.json of default/gw"]


def test_once_is_false_when_there_were_mistakes(folder: Path, tmp_path: Path) -> None:
    assert app.once(folder, tmp_path / "out")
    (folder / "bad.yaml").write_text("a text")
    assert not app.once(folder, tmp_path / "out")
    assert (tmp_path / "out/default/gw/routing.json").exists()


@pytest.fixture
def watched(folder: Path, tmp_path: Path) -> Iterator[Path]:
    stop = threading.Event()
    thread = threading.Thread(target=app.watch, args=(folder, tmp_path / "out", stop))
    thread.start()
    yield tmp_path / "out"
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def until(claim: Callable[[], bool]) -> None:
    """A second is promised; a busy machine may take its time."""
    for _ in range(6000):
        if claim():
            return
        time.sleep(0.01)
    raise AssertionError("not in a minute")


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_every_edit_is_noticed(folder: Path, watched: Path) -> None:
    routing = watched / "default/gw/routing.json"
    until(lambda: "default/web:80" in text(routing))
    (folder / "deep").mkdir()
    (folder / "deep/other.yaml").write_text(route("[{matches: [{path: {value: /other}}]}]", name="other"))
    until(lambda: "/other" in text(routing))
    (folder / "web.yaml").unlink()
    until(lambda: "default/web:80" not in text(routing))
    (folder / "deep/other.yaml").rename(folder / "deep/renamed.txt")
    until(lambda: "/other" not in text(routing))
    (folder / "gateway.yaml").unlink()
    until(lambda: not routing.exists())


def test_rotation_and_revocation_are_noticed(folder: Path, watched: Path) -> None:
    file = watched / "default/gw/certificates/far.a.pem"
    (folder / "gateway.yaml").write_text(yaml.dump_all(gateway(listener("a", "", "far/a"))))
    (folder / "grant.yaml").write_text(yaml.dump(grant("far")))
    for _ in range(3):
        before = text(file)
        (folder / "secret.yaml").write_text(yaml.dump(secret("a", pair("a.test"), namespace="far")))
        until(partial(lambda known: text(file) not in ("", known), before))
    (folder / "grant.yaml").unlink()
    until(lambda: not file.exists())


def test_a_bug_costs_one_round(folder: Path, watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routing = watched / "default/gw/routing.json"
    until(routing.exists)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(app, "translate", broken)
        (folder / "other.yaml").write_text(route("[{matches: [{path: {value: /other}}]}]", name="other"))
        until(lambda: any("because of a bug" in str(entry["event"]) for entry in logs))
    until(lambda: "/other" in text(routing))


def test_a_report_is_noticed(watched: Path) -> None:
    gateway = watched / "default/gw"
    until((gateway / "pod.json").exists)
    digests = {name: digest((gateway / name).read_bytes()) for name in ("routing.json", "main.vcl", "pod.json")}
    (gateway / "report.json").write_text(
        f'{{"version":1,"pod":"host","is_serving":true,"routing_digest":"{digests["routing.json"]}",'
        f'"vcl_digest":"{digests["main.vcl"]}","pod_digest":"{digests["pod.json"]}"}}'
    )

    def is_programmed() -> bool:
        status = yaml.safe_load(text(watched / "status/gateway/default/gw.yaml")) or {"status": {"conditions": []}}
        return ("Programmed", "True") in {(each["type"], each["status"]) for each in status["status"]["conditions"]}

    until(is_programmed)


def test_a_certificate_that_expires_is_told_without_any_change(folder: Path, tmp_path: Path) -> None:
    objects = [*gateway(listener("a", "", "a")), secret("a", pair("a.test", end=2027))]
    (folder / "gateway.yaml").write_text(yaml.dump_all(objects))
    now = [NOW]
    state = StateFolder(tmp_path / "out")
    rounds = app.Rounds(FolderSource(folder), state, app.options(), clock=lambda: now[0])
    rounds.run()
    path = state.root / "status/gateway/default/gw.yaml"
    assert "expired" not in path.read_text()
    now[0] = NOW.replace(year=2027)
    (line,) = told(rounds)
    assert line.startswith(
        "gateway.yaml:20:7 Gateway default/gw: listeners[0].tls.certificateRefs: Secret default/a: expired"
    )
    assert "expired on 2027-01-01" in path.read_text()
    assert told(rounds) == []


def test_a_restart_keeps_the_last_good_certificate(folder: Path, tmp_path: Path) -> None:
    objects = gateway(listener("a", "", "a"))
    (folder / "web.yaml").unlink()
    (folder / "gateway.yaml").write_text(yaml.dump_all([*objects, secret("a", pair("a.test"))]))
    assert app.once(folder, tmp_path / "out")
    file = tmp_path / "out/default/gw/certificates/default.a.pem"
    good = file.read_bytes()
    (folder / "gateway.yaml").write_text(yaml.dump_all([*objects, secret("a", (b"garbage", b"garbage"))]))
    assert not app.once(folder, tmp_path / "out")
    assert file.read_bytes() == good


def test_a_folder_without_secrets_loads_no_cryptography(folder: Path, tmp_path: Path) -> None:
    program = "import sys; from varnish_gateway_operator.cli import main; main(); print('cryptography' in sys.modules)"
    command = [sys.executable, "-c", program, "translate", str(folder), "--out", str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
