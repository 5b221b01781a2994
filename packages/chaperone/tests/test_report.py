"""report.json is written when something changed."""

from pathlib import Path

import pytest

from varnish_gateway_chaperone.report import ReportFile, pod_name
from varnish_gateway_common.report import Report

REPORT = Report(version=1, pod="here")


def test_only_changes_are_written(tmp_path: Path) -> None:
    file = ReportFile(tmp_path)
    assert file.write(REPORT)
    before = (tmp_path / "report.json").stat().st_mtime_ns
    assert not file.write(REPORT)
    assert (tmp_path / "report.json").stat().st_mtime_ns == before
    assert file.write(REPORT.model_copy(update={"is_serving": True}))
    assert Report.from_json((tmp_path / "report.json").read_bytes()).is_serving


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("not a folder")
    file = ReportFile(folder)
    with pytest.raises(OSError, match="File exists"):
        file.write(REPORT)
    folder.unlink()
    assert file.write(REPORT)


def test_the_pods_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARNISH_GATEWAY_POD_NAME", "gw-1")
    assert pod_name() == "gw-1"
