"""Documents to ghost.json: bytes are kept, mistakes are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varnish_gateway_chaperone.endpoints import Table
from varnish_gateway_chaperone.merge import DocumentError, merge, merged_of, mistake_in, parse_pod, parse_routing
from varnish_gateway_common.ghost import Endpoint, Ghost
from varnish_gateway_common.routing import Routing, Service

ROUTING = Routing(
    version=1,
    gateway="default/gw",
    services={"default/web:80": Service(namespace="default", name="web", port_name="http")},
)
ENDPOINTS: Table = {"default/web:80": (Endpoint(address="10.0.0.1", port=80),)}


def test_the_routing_is_in_it_byte_for_byte() -> None:
    pretty = ROUTING.to_pretty_json().encode()
    merged = merge(parse_routing(pretty), ENDPOINTS)
    assert pretty in merged.content
    assert Ghost.from_json(merged.content).endpoints == merged.endpoints
    assert [end.address for end in merged.endpoints["default/web:80"]] == ["10.0.0.1"]


def test_canonical_parts_make_a_canonical_whole() -> None:
    merged = merge(parse_routing(ROUTING.to_json()), ENDPOINTS)
    assert Ghost.from_json(merged.content).to_json() == merged.content


def test_the_routing_comes_back_out_of_ghost_json() -> None:
    parsed = parse_routing(ROUTING.to_json())
    assert merged_of(merge(parsed, ENDPOINTS).content) == merge(parsed, ENDPOINTS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "document: "),
        (b'{"version":1,"gateway":"a/b"', "document: "),
        (b"\xff\xfe", "document: "),
        (b'{"version":2,"gateway":"a/b"}', "version: "),
        (b'{"version":1,"gateway":"a/b","services":{"a":{"name":"b"}}}', "services.a.namespace: "),
        (b"[" * 10_000, "document: "),
    ],
)
def test_what_is_no_routing_is_refused_with_the_place(content: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=f"^{reason}"):
        parse_routing(content)


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        (b'"more":1', "more: "),
        (b'"rules":[{"route":"x","action":{"type":"Explode"}}]', "rules.0.action: "),
        (b'"rules":[]', None),
    ],
)
def test_what_ghost_refused_is_explained(fields: bytes, mistake: str | None) -> None:
    found = mistake_in(parse_routing(b'{"version":1,"gateway":"a/b",' + fields + b"}"))
    assert found is None if mistake is None else str(found).startswith(mistake)


def test_many_mistakes_are_counted_not_listed() -> None:
    found = mistake_in(parse_routing(b'{"version":1,"gateway":"a/b","rules":[1,2,3,4,5,6,7,8,9,10]}'))
    assert str(found).endswith("; and 7 more")


def test_what_is_no_pod_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"^sockets\.0\.port: "):
        parse_pod(b'{"version":1,"gateway":"a/b","sockets":[{"name":"http-0","port":0}]}')


@given(st.binary())
def test_any_bytes_are_either_good_or_refused(content: bytes) -> None:
    for parse in (parse_routing, parse_pod, merged_of):
        with pytest.raises(DocumentError):
            parse(content)
