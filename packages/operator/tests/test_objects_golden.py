"""Golden manifests: each folder of `cluster/` makes its objects and statuses. BLESS=1 accepts what comes out."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from operator_rig import OPTIONS, resources_of
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.state import dumped
from varnish_gateway_operator.translate import Memory, translate
from varnish_gateway_operator.translate.objects.shape import ClusterOptions

CLUSTER: Final = replace(OPTIONS, shares_host=False, cluster=ClusterOptions(gateway_image="gateway:1"))
CASES: Final = Path(__file__).parent / "cluster"


def documents(case: Path) -> dict[str, str]:
    """File -> content."""
    plan = translate(snapshot_of(resources_of((case / "in.yaml").read_text())), {}, CLUSTER, Memory())
    objects: dict[str, Any] = {
        "/".join(key): [{"manager": each.manager, **each.manifest} for each in gateway.owned]
        for key, gateway in plan.gateways.items()
    }
    statuses = {" ".join(key): status.status for key, status in sorted(plan.statuses.items())}
    return {"objects.yaml": dumped(objects).decode(), "status.yaml": dumped(statuses).decode()}


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_golden(case: Path) -> None:
    found = documents(case)
    if os.environ.get("BLESS"):
        for name, content in found.items():
            (case / name).write_text(content)
    assert found == {name: (case / name).read_text() for name in found}
