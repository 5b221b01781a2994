"""Reports into a ConfigMap: the newest, again and again until it is there, and never waited for."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from chaperone_rig import Lines, Until
from kube_rig import MAPS
from varnish_gateway_chaperone.sources.kube import reporting
from varnish_gateway_chaperone.sources.kube.fake import FakeKube
from varnish_gateway_chaperone.sources.kube.reporting import KubeReport
from varnish_gateway_common.kube import watch
from varnish_gateway_common.kube.api import UnreachableError
from varnish_gateway_common.report import Report

REPORT = Report(version=1, pod="gw-1")
SERVING = REPORT.model_copy(update={"is_serving": True})


@pytest.fixture
def kube() -> FakeKube:
    found = FakeKube()
    found.put(MAPS, "gw-report", data={"gw-0": "{}"})
    return found


@pytest.fixture
async def report(kube: FakeKube, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeReport]:
    monkeypatch.setattr(watch, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(reporting, "SETTLE_SECONDS", 0.01)
    found = KubeReport(kube, "a", "gw-report", lines.log)
    delivering = asyncio.create_task(found.deliver())
    yield found
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)


def delivered(kube: FakeKube) -> list[Report]:
    return [Report.from_json(patch["data"]["gw-1"]) for _, patch in kube.patches]


async def test_each_pod_has_a_key_of_its_own(kube: FakeKube, report: KubeReport, until: Until) -> None:
    assert report.write(REPORT)
    await until(lambda: kube.patches)
    assert kube.patches == [(f"{MAPS}/gw-report", {"data": {"gw-1": REPORT.to_json().decode()}})]
    assert json.loads(kube.patches[0][1]["data"]["gw-1"])["pod"] == "gw-1"
    assert not report.write(REPORT), "the same is not written again"


async def test_the_newest_wins(kube: FakeKube, report: KubeReport, until: Until, lines: Lines) -> None:
    kube.is_unreachable = UnreachableError("gone")
    report.write(REPORT)
    await until(lambda: lines.said("the report is not delivered"))
    report.write(SERVING)
    await asyncio.sleep(0.05)
    kube.is_unreachable = None
    await until(lambda: kube.patches)
    await asyncio.sleep(0.05)
    assert delivered(kube) == [SERVING]
    assert len(lines.said("the report is not delivered")) == 1


async def test_a_map_that_is_not_there_yet_is_waited_for(report: KubeReport, kube: FakeKube, until: Until) -> None:
    kube.delete(MAPS, "gw-report")
    report.write(REPORT)
    await asyncio.sleep(0.05)
    assert not kube.patches
    kube.put(MAPS, "gw-report")
    await until(lambda: kube.patches)


async def test_a_report_that_somebody_removed_comes_back(
    report: KubeReport, kube: FakeKube, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "AGAIN_SECONDS", 0.05)
    report.write(REPORT)
    await until(lambda: kube.patches)
    await until(lambda: len(kube.patches) == 2)
    assert delivered(kube) == [REPORT, REPORT]
