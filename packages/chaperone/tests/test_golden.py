"""Golden cases: each case's routing.json and EndpointSlices make its ghost.json. BLESS=1 accepts what comes out."""

import os
from pathlib import Path

import pytest

from varnish_gateway_chaperone.endpoints import EndpointTables, merged_by_name, read_slice
from varnish_gateway_chaperone.inputs import Slice
from varnish_gateway_chaperone.merge import merge, parse_routing
from varnish_gateway_common import names
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.ghost import Ghost
from varnish_gateway_common.manifests import parse

CASES = Path(__file__).parents[3] / "e2e" / "cases"
RESOLVED = {"localhost": ("127.0.0.1",)}
"""What names are in the cases, wherever they run."""


def slices(case: Path) -> tuple[Slice, ...]:
    file = case / "in.yaml"
    manifests = parse(file, file.read_bytes()).manifests
    found = (read_slice(manifest.content)[0] for manifest in manifests if manifest.content["kind"] == "EndpointSlice")
    return merged_by_name(one for one in found if one)


@pytest.mark.parametrize("routing", sorted(CASES.glob(f"*/out/*/{names.ROUTING}")), ids=lambda file: str(file.parent))
def test_golden(routing: Path) -> None:
    parsed = parse_routing(routing.read_bytes())
    endpoints = EndpointTables().table(parsed.services, slices(routing.parents[2]), RESOLVED)
    merged = merge(parsed, endpoints)
    found = Ghost.from_json(merged.content).to_pretty_json()
    golden = routing.with_name(names.GHOST)
    if os.environ.get("BLESS"):
        write_if_changed(golden, found.encode())
    assert found == golden.read_text()
