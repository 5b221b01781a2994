"""varnishd's counters, by a program that may be missing, silent or wrong."""

from pathlib import Path

import pytest

from varnish_gateway_chaperone.varnish import statistics
from varnish_gateway_chaperone.varnish.statistics import StatisticsError, Varnishstat


def varnishstat(folder: Path, script: str, *, mode: int = 0o755) -> Varnishstat:
    (folder / "bin").mkdir()
    program = folder / "bin" / "varnishstat"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(mode)
    return Varnishstat(folder / "sbin" / "varnishd", folder)


async def test_counters(tmp_path: Path) -> None:
    """Only those that are asked for, of the instance in its folder."""
    answer = '{"counters": {"MAIN.client_req": {"value": 7}}}'
    wanted = f"-1 -j -t 1 -n {tmp_path} -f MAIN.client_req"
    found = varnishstat(tmp_path, f"[ \"$*\" = '{wanted}' ] && echo '{answer}'")
    assert await found.read("MAIN.client_req") == {"MAIN.client_req": 7}


@pytest.mark.parametrize(
    "said", ["", "no JSON", "[]", "{}", '{"counters": {"a": {}}}', '{"counters": {"a": {"value": null}}}']
)
async def test_what_is_not_understood(tmp_path: Path, said: str) -> None:
    with pytest.raises(StatisticsError, match="says nothing"):
        await varnishstat(tmp_path, f"echo '{said}'").read()


async def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(StatisticsError, match="Permission denied"):
        await varnishstat(tmp_path, "", mode=0o644).read()


async def test_a_program_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "TIMEOUT_SECONDS", 0.05)
    with pytest.raises(StatisticsError, match="does not answer"):
        await varnishstat(tmp_path, "exec sleep 600").read()
