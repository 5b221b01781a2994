"""Golden cases: each case's manifests make its documents and statuses. BLESS=1 accepts what comes out."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from varnish_gateway_common import names
from varnish_gateway_common.routing import Routing
from varnish_gateway_operator.app import options
from varnish_gateway_operator.files import FolderSource
from varnish_gateway_operator.state import dumped
from varnish_gateway_operator.translate import Memory, Plan, translate
from varnish_gateway_operator.translate.vcl import concatenated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""For certificates; any time before 2090 makes the same of the cases."""
CASES = Path(__file__).parents[3] / "e2e" / "cases"


def documents(source: FolderSource, plan: Plan) -> dict[str, str]:
    """Path below out/ -> content."""
    settings = options()
    default = concatenated(settings.vcl, "")
    found = {"status.yaml": dumped(statuses(source, plan)).decode()}
    for (namespace, name), gateway in plan.gateways.items():
        folder = f"{namespace}.{name}"
        found[f"{folder}/{names.ROUTING}"] = Routing.from_json(gateway.routing).to_pretty_json()
        if gateway.pod:
            found[f"{folder}/{names.POD}"] = gateway.pod.to_pretty_json()
        if gateway.certificates.sockets:
            found[f"{folder}/{names.CERTIFICATES}"] = gateway.certificates.to_pretty_json()
        if gateway.vcl not in (None, default):
            found[f"{folder}/{names.VCL}"] = gateway.vcl
    return found


def statuses(source: FolderSource, plan: Plan) -> dict[str, Any]:
    """What the user is told, without times."""
    told = [line.text for line in source.lines(plan.findings).values()]
    found = {
        " ".join((kind, "/".join(filter(None, (namespace, name))))): status.status
        for (kind, namespace, name), status in sorted(plan.statuses.items())
    }
    return {"told": told, **found} if told else found


def translated(case: Path, folder: Path) -> dict[str, str]:
    shutil.copy(case / "in.yaml", folder)
    source = FolderSource(folder)
    plan = translate(source.read(), {}, options(), Memory(), NOW)
    for gateway in plan.gateways.values():
        assert Routing.from_json(gateway.routing).to_json() == gateway.routing, "routing.json is not canonical"
    return documents(source, plan)


@pytest.mark.parametrize("case", sorted(path.parent for path in CASES.glob("*/in.yaml")), ids=lambda path: path.name)
def test_golden(case: Path, tmp_path: Path) -> None:
    found = translated(case, tmp_path)
    out = case / "out"
    if os.environ.get("BLESS"):
        for name, content in found.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(content)
        for stale in set(golden(out)) - set(found):
            (out / stale).unlink()
    assert found == golden(out)


def golden(out: Path) -> dict[str, str]:
    """What this test owns of out/: all but what the next stage makes."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != names.GHOST)
    return {str(path.relative_to(out)): path.read_text() for path in files}
