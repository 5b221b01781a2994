"""Services without a ready endpoint: which ones, and what is said of their EndpointSlices."""

from dataclasses import replace
from typing import Any

import pytest

from chaperone_rig import Rig
from varnish_gateway_chaperone.endpoints import EndpointTables, read_slice
from varnish_gateway_chaperone.inputs import Slice
from varnish_gateway_chaperone.merge import merge, parse_routing
from varnish_gateway_chaperone.unserved import MOST, unserved_of
from varnish_gateway_common.routing import ExternalName, Routing, Service

LABEL = {"kubernetes.io/service-name": "web"}


def slice_of(**values: Any) -> Slice:
    metadata = {"name": "web-1", "labels": values.pop("labels", LABEL)}
    content = {
        "metadata": metadata,
        "ports": [{"name": "http", "port": 9001}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    found, _ = read_slice(content | values)
    assert found
    return found


def told(*slices: Slice, services: dict[str, Service] | None = None) -> list[tuple[str, str]]:
    services = services or {"default/web:80": Service(namespace="default", name="web", port_name="http")}
    routing = parse_routing(Routing(version=1, gateway="default/gw", services=services).to_json())
    merged = merge(routing, EndpointTables().table(routing.services, slices, {}))
    return [(each.service, each.reason) for each in unserved_of(merged, slices)]


UNREADY = [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]
LEAVING = [{"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}}]
PORTS = [{"name": name, "port": 1} for name in ("a", "b", "c", "d", "e")]


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        ([slice_of()], None),
        ([], "no EndpointSlice has the label kubernetes.io/service-name: web"),
        (
            [slice_of(labels={})],
            "no EndpointSlice has the label kubernetes.io/service-name: web;"
            " EndpointSlice default/web-1 has no such label at all",
        ),
        ([slice_of(endpoints=UNREADY)], "EndpointSlice default/web-1 has no ready endpoint"),
        ([slice_of(endpoints=LEAVING)], "EndpointSlice default/web-1 has no ready endpoint"),
        ([slice_of(endpoints=[])], "EndpointSlice default/web-1 has no ready endpoint"),
        (
            [slice_of(ports=[{"name": "metrics", "port": 1}])],
            "EndpointSlice default/web-1 has the port 'metrics', and not the port 'http'",
        ),
        (
            [slice_of(ports=[{"port": 1}])],
            "EndpointSlice default/web-1 has a port without a name, and not the port 'http'",
        ),
        (
            [slice_of(ports=PORTS)],
            "EndpointSlice default/web-1 has the port 'a', the port 'b', the port 'c' and 2 more,"
            " and not the port 'http'",
        ),
        ([slice_of(ports=[])], "EndpointSlice default/web-1 has no port, and not the port 'http'"),
    ],
)
def test_both_are_named(slices: list[Slice], reason: str | None) -> None:
    assert told(*slices) == ([("default/web:80", reason)] if reason else [])


def test_names_outside_have_no_slices() -> None:
    external = ExternalName(hostname="a.test", port=80)
    out = Service(namespace="default", name="out", port_name="", external_name=external)
    assert told(services={"default/out:80": out}) == []


def test_a_report_has_room_for_some() -> None:
    many = {f"default/s{number}:80": Service(namespace="default", name=f"s{number}") for number in range(MOST + 9)}
    assert len(told(services=many)) == MOST


async def test_it_is_said_once_and_reported_until_it_is_mended(rig: Rig) -> None:
    services = {"default/web:80": Service(namespace="default", name="web", port_name="http")}
    routing = Routing(version=1, gateway="default/gw", services=services).to_json()
    line = "Service default/web:80 has no ready endpoint: EndpointSlice default/web-1 has no ready endpoint"
    empty = replace(rig.inputs(), routing=routing, slices=(slice_of(endpoints=[]),))
    await rig.until(empty, lambda: rig.rounds.report.unserved)
    await rig.rounds.round(replace(empty, slices=(slice_of(endpoints=UNREADY),)))
    assert [each["level"] for each in rig.lines.said(line)] == ["warning"]
    await rig.until(replace(empty, slices=(slice_of(),)), lambda: not rig.rounds.report.unserved)
    assert len(rig.lines.said("mended: Service default/web:80 has a ready endpoint")) == 1
