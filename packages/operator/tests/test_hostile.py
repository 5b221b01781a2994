"""Whatever objects say: translation never raises, its documents are documents, and VCL stays as it is."""

import copy
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operator_rig import OPTIONS, contents_of
from test_objects_golden import CLUSTER as IN_CLUSTER
from varnish_gateway_common.certificates import Certificates
from varnish_gateway_common.routing import Routing
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.parse import InvalidObjectError, kind_of, parse
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.state import document
from varnish_gateway_operator.times import stamped
from varnish_gateway_operator.translate import Memory, Plan, translate

CLUSTER = Path(__file__).parent / "cluster"
CASES = Path(__file__).parents[3] / "e2e" / "cases"
NAMES = (
    "parameters",
    "certificate-broken",
    "listener-https",
    "parameters-client-address",
    "filter-rewrite",
    "input-bad-filters",
    "listener-conflicts",
    "listenerset-precedence",
    "reference-services",
    "vcl-user-subs",
)
HOSTILE = (
    '"; import std; //',
    '"} sub vcl_recv { return(synth(200)); }',
    "\r\nHost: evil\r\n\r\n",
    '","action":{"type":"Redirect"}}',
    "\x00\x1b[31m",
    "*." * 120,
    "../../../etc/passwd",
    "${jndi:ldap://x}",
    "\u202e\u0000é💥",
    "(" * 10_000,
    "'",
    "",
)
ODD: tuple[Any, ...] = (None, True, 0, -1, 65536, 10**30, 1.5, float("nan"), [], {}, [[]], {"a": None}, [None], "x")

SAFE = re.compile(r"[A-Za-z0-9._-]{1,200}")
"""Names of certificates."""

MODES: tuple[Literal["forbid", "ignore"], ...] = ("forbid", "ignore")

Trail = tuple[str | int, ...]


def originals(name: str) -> list[dict[str, Any]]:
    folder = CLUSTER if (CLUSTER / name).exists() else CASES
    return contents_of((folder / name / "in.yaml").read_text())


def trails(node: Any, trail: Trail = ()) -> Iterator[Trail]:
    """Every place in a tree."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*trail, key)
        yield from trails(child, (*trail, key))


def changed(content: dict[str, Any], trail: Trail, value: Any, *, is_gone: bool) -> dict[str, Any]:
    found = copy.deepcopy(content)
    node: Any = found
    for key in trail[:-1]:
        node = node[key]
    if is_gone:
        del node[trail[-1]]
    else:
        node[trail[-1]] = value
    return found


def readable(contents: list[dict[str, Any]]) -> list[Resource]:
    """What a reader makes of them; what is no object is refused and nothing worse."""
    found = []
    for content in contents:
        for unknown_fields in MODES:
            try:
                kind = kind_of(content)
                if kind:
                    found.append(parse(kind, content, unknown_fields=unknown_fields))
            except InvalidObjectError:
                continue
    return found


def checked(resources: list[Resource]) -> Plan:
    """In a folder; and in a cluster, whose objects are the API server's to judge, must be such as it can read."""
    for gateway in translate(snapshot_of(resources), {}, IN_CLUSTER, Memory()).gateways.values():
        assert json.dumps([each.manifest for each in gateway.owned])
    plan = translate(snapshot_of(resources), {}, OPTIONS, Memory())
    for gateway in plan.gateways.values():
        assert Routing.from_json(gateway.routing).to_json() == gateway.routing
        assert Certificates.from_json(gateway.certificates.to_json()) == gateway.certificates
        assert all(SAFE.fullmatch(name) for name in gateway.certificate_files)
    for status in plan.statuses.values():
        assert document(status.resource, stamped(status.status, {}, "now"))
    return plan


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_object_makes_translation_fail(name: str, data: st.DataObject) -> None:
    contents = originals(name)
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(contents) - 1))
        places = list(trails(contents[index]))
        if places:
            trail = data.draw(st.sampled_from(places))
            value = data.draw(st.sampled_from((*HOSTILE, *ODD)) | st.text(max_size=20))
            contents[index] = changed(contents[index], trail, value, is_gone=data.draw(st.booleans()))
    checked(readable(contents))


@pytest.mark.parametrize("text", HOSTILE[:4])
def test_no_string_but_the_users_vcl_reaches_vcl(text: str) -> None:
    """Every place in turn, the user's VCL itself apart."""
    benign = originals("vcl-user-subs")
    known = [readable([content])[:1] for content in benign]
    (expected,) = {gateway.vcl for gateway in checked(list(chain(*known))).gateways.values()}
    allowed = {expected, OPTIONS.vcl.preamble + OPTIONS.vcl.direct + OPTIONS.vcl.postamble, None}
    for index, content in enumerate(benign):
        for trail in (trail for trail in trails(content) if trail[0] != "data"):
            twin = [*known[:index], readable([changed(content, trail, text, is_gone=False)])[:1], *known[index + 1 :]]
            plan = translate(snapshot_of(chain(*twin)), {}, OPTIONS, Memory())
            assert {gateway.vcl for gateway in plan.gateways.values()} <= allowed
