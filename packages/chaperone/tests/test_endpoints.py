"""EndpointSlices: conditions, ports, names, what is refused, and an order that only the content decides."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varnish_gateway_chaperone.endpoints import EndpointTables, merged_by_name, read_slice
from varnish_gateway_chaperone.inputs import Slice, SliceEndpoint, SlicePort
from varnish_gateway_common.ghost import Endpoint
from varnish_gateway_common.routing import Routing

SERVICES = Routing.model_validate(
    {
        "version": 1,
        "gateway": "default/gw",
        "services": {
            "default/web:80": {"namespace": "default", "name": "web", "port_name": "http"},
            "default/out:80": {
                "namespace": "default",
                "name": "out",
                "external_name": {"hostname": "out.test", "port": 8080},
            },
        },
    }
).services


def manifest(**values: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 9001}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    } | values


def read(**values: Any) -> Slice:
    found, refused = read_slice(manifest(**values))
    assert found
    assert not refused
    return found


def endpoints(*slices: Slice) -> tuple[Endpoint, ...]:
    return EndpointTables().table(SERVICES, merged_by_name(slices), {})["default/web:80"]


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        (None, "ready"),
        ({}, "ready"),
        ({"ready": None}, "ready"),
        ({"ready": True, "terminating": True}, "ready"),
        ({"ready": False}, None),
        ({"ready": False, "serving": True}, None),
        ({"ready": False, "terminating": True}, None),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": False, "serving": True, "terminating": True}, "draining"),
    ],
)
def test_conditions(conditions: dict[str, bool] | None, state: str | None) -> None:
    found = read(endpoints=[{"addresses": ["10.0.0.1"], "conditions": conditions}]).endpoints
    assert [end.state for end in found] == ([state] if state else [])


def test_slices_of_a_name_replace_each_other_and_others_add_up() -> None:
    old, new = read(), read(endpoints=[{"addresses": ["10.0.0.2"]}])
    other = read(metadata=manifest()["metadata"] | {"name": "web-2"}, endpoints=[{"addresses": ["10.0.0.3"]}])
    assert [end.address for end in endpoints(old, other, new)] == ["10.0.0.2", "10.0.0.3"]


def test_ports_are_matched_by_name() -> None:
    found = read(ports=[{"name": "admin", "port": 1}, {"name": "http", "port": 2}, {"port": 3}, {"name": "http"}])
    assert [end.port for end in endpoints(found)] == [2]


def test_a_port_without_a_name_is_the_port_named_nothing() -> None:
    assert read(ports=[{"port": 9001}, {"name": None, "port": 9002}]).ports == (
        SlicePort("", 9001),
        SlicePort("", 9002),
    )


def test_udp_is_none_of_ours() -> None:
    assert read(ports=[{"name": "http", "port": 1, "protocol": "UDP"}]).ports == ()


def test_another_namespaces_slices_are_not_taken() -> None:
    other = read(metadata=manifest()["metadata"] | {"namespace": "other"})
    assert endpoints(other) == ()


def test_the_same_endpoint_counts_once_and_ready_wins() -> None:
    twice = [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        {"addresses": ["10.0.0.1", "10.0.0.1"], "zone": "north"},
    ]
    assert endpoints(read(endpoints=twice)) == (Endpoint(address="10.0.0.1", port=9001, zone="north"),)


@pytest.mark.parametrize(
    ("family", "address"),
    [
        ("IPv4", "backend.example.com"),
        ("IPv4", "10.0.0"),
        ("IPv4", "010.0.0.1"),
        ("IPv4", "fe80::1"),
        ("IPv4", "0.0.0.0"),
        ("IPv4", "224.0.0.1"),
        ("IPv6", "10.0.0.1"),
        ("IPv6", "fe80::1%eth0"),
        ("IPv6", "::"),
    ],
)
def test_a_bad_address_is_named_and_the_good_one_stays(family: str, address: str) -> None:
    good = "10.0.0.9" if family == "IPv4" else "2001:db8::9"
    found, refused = read_slice(
        manifest(addressType=family, endpoints=[{"addresses": [address]}, {"addresses": [good]}])
    )
    assert found
    assert [end.address for end in found.endpoints] == [good]
    assert refused == (f"EndpointSlice default/web-1: {address!r} is not an {family} address",)


def test_names_in_place_of_addresses_are_refused() -> None:
    found, refused = read_slice(manifest(addressType="FQDN"))
    assert found
    assert found.endpoints == ()
    assert refused == ("EndpointSlice default/web-1: addressType 'FQDN' is not supported, only IPv4 and IPv6",)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ports": 3}, "ports"),
        ({"ports": [{"port": 0}]}, "ports[0].port"),
        ({"ports": [{"port": "many"}]}, "ports[0].port"),
        ({"endpoints": [{}]}, "endpoints[0].addresses"),
        ({"endpoints": [{"addresses": [1]}]}, "endpoints[0].addresses[0]"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_garbage_is_refused_as_a_whole(values: dict[str, Any], reason: str) -> None:
    found, refused = read_slice(manifest(**values))
    assert found is None
    assert reason in refused[0]


def test_one_without_a_label_belongs_to_no_service() -> None:
    found, refused = read_slice(manifest(metadata={"name": "x"}))
    assert found == Slice("default", "x", "", (), ())
    assert refused == ("EndpointSlice default/x: no label kubernetes.io/service-name",)
    assert endpoints(found) == ()


def test_a_name_elsewhere_has_the_addresses_that_were_resolved() -> None:
    found = EndpointTables().table(SERVICES, (), {"out.test": ("2001:db8::1", "10.0.0.2", "10.0.0.10")})[
        "default/out:80"
    ]
    assert [(end.address, end.port) for end in found] == [
        ("10.0.0.2", 8080),
        ("10.0.0.10", 8080),
        ("2001:db8::1", 8080),
    ]


def test_every_service_has_its_place_in_the_table() -> None:
    assert EndpointTables().table(SERVICES, (), {}) == {"default/web:80": (), "default/out:80": ()}


def test_a_service_that_did_not_change_keeps_its_endpoints() -> None:
    tables, found = EndpointTables(), read()
    first = tables.table(SERVICES, (found,), {"out.test": ("10.0.0.2",)})
    second = tables.table(SERVICES, (read(),), {"out.test": ("10.0.0.3",)})
    assert first["default/web:80"] is second["default/web:80"]
    assert first["default/out:80"] != second["default/out:80"]
    changed = read(endpoints=[{"addresses": ["10.0.0.9"]}])
    assert [end.address for end in tables.table(SERVICES, (changed,), {})["default/web:80"]] == ["10.0.0.9"]


SLICE_ENDPOINT = st.builds(
    SliceEndpoint,
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.10", "2001:db8::1"]),
    st.sampled_from(["ready", "draining"]),
    st.sampled_from([None, "north", "south"]),
)


@given(st.lists(SLICE_ENDPOINT), st.randoms())
def test_the_order_of_what_was_read_does_not_matter(ends: list[SliceEndpoint], random: Any) -> None:
    shuffled = list(ends)
    random.shuffle(shuffled)
    ports = (SlicePort("http", 80),)
    one, two = (Slice("default", "web-1", "web", ports, tuple(found)) for found in (ends, shuffled))
    assert endpoints(one) == endpoints(two)
    assert len(endpoints(one)) == len({end.address for end in ends})
