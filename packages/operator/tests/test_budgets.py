"""Tenants of one Gateway: where not all fit, the greediest goes without its newest, and nobody else notices."""

import base64
import random

import pytest

from operator_rig import CLASS, OPTIONS, resources_of
from varnish_gateway_common.routing import Routing
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import Memory, Plan, budgets, translate
from varnish_gateway_operator.translate.budgets import Charge, beyond, room_for
from varnish_gateway_operator.translate.memory import place_routes
from varnish_gateway_operator.translate.routing import Standing

GATEWAY = (
    CLASS
    + """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: varnish
  listeners: [{name: http, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
"""
)
GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: quiet}], to: [{group: "", kind: Service}]}
---
"""
NOISE = random.Random(1)


def route(namespace: str, name: str, year: int, *, headers: int = 0, value: str = "") -> str:
    noise = [f"{{name: x-{place}, value: {value or _noise()}}}" for place in range(headers)]
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{year}-01-01T00:00:00Z"}}
spec:
  parentRefs: [{{name: gw, namespace: default}}]
  hostnames: [{name}.{namespace}.test]
  rules:
  - filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{", ".join(noise)}]}}}}]
    backendRefs: [{{name: web, namespace: shop, port: 80}}]
---
"""


def _noise() -> str:
    return base64.b64encode(NOISE.randbytes(2700)).decode()


GREEDY = "".join(route("greedy", f"g{number}", 2000 + number, headers=16) for number in range(8))
QUIET = route("quiet", "web", 2020)


def plan(text: str, memory: Memory | None = None) -> Plan:
    return translate(snapshot_of(resources_of(text)), {}, OPTIONS, memory or Memory())


def served(plan: Plan) -> set[str]:
    return {rule.route for rule in Routing.from_json(plan.gateways["default", "gw"].routing).rules}


def accepted(plan: Plan, namespace: str, name: str) -> dict[str, str]:
    conditions = plan.statuses["HTTPRoute", namespace, name].status["parents"][0]["conditions"]
    return {name: conditions[0][name] for name in ("status", "reason", "message")}


def test_the_newest_of_the_greediest_goes() -> None:
    a, b = Charge("a", 4), Charge("b", 1)
    assert beyond([a, b, a, b, a], 14) == frozenset()
    assert beyond([a, b, a, b, a], 10) == {4}
    assert beyond([a, b, a, b, a], 6) == {4, 2}
    assert beyond([a, b], 0) == {0, 1}


def test_what_does_not_fit_is_left_out_and_said_and_nobody_else_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = plan(GATEWAY + QUIET + GRANT)
    monkeypatch.setattr(budgets, "MOST_BYTES", 300_000)
    memory = Memory()
    found = plan(GATEWAY + GREEDY + QUIET + GRANT, memory)
    assert served(found) == {"quiet/web", *(f"greedy/g{number}" for number in range(5))}
    assert found.statuses["HTTPRoute", "quiet", "web"].status == alone.statuses["HTTPRoute", "quiet", "web"].status
    assert accepted(found, "greedy", "g4")["status"] == "True"
    assert accepted(found, "greedy", "g7") == {
        "status": "False",
        "reason": "NoRoom",
        "message": "the routes of this Gateway take more than there is room for: its newest one goes without in the "
        "namespace that takes most, greedy",
    }
    attached = found.statuses["Gateway", "default", "gw"].status["listeners"][0]["attachedRoutes"]
    assert attached == 6

    # What is withdrawn takes effect all the same.
    revoked = plan(GATEWAY + GREEDY + QUIET, memory)
    documents = Routing.from_json(revoked.gateways["default", "gw"].routing)
    rule = next(rule for rule in documents.rules if rule.route == "quiet/web")
    assert rule.action.type == "Forward"
    assert rule.action.backends[0].service is None
    gone = plan(GATEWAY + GREEDY + GRANT, memory)
    assert served(gone) == {f"greedy/g{number}" for number in range(5)}


def test_what_can_be_compressed_takes_little() -> None:
    def standings(text: str) -> list[Standing]:
        _, placed = place_routes(snapshot_of(resources_of(text)), OPTIONS, Memory())
        return [standing for each in placed.values() for _, standing in each.standings]

    repeated = "".join(route("greedy", f"g{number}", 2000, headers=16, value="a" * 3600) for number in range(8))
    assert room_for(standings(GATEWAY + repeated + QUIET), 100_000).left_out == frozenset()
    noisy = room_for(standings(GATEWAY + GREEDY + QUIET), 200_000)
    assert noisy.left_out
    assert all(name.startswith("greedy/") for name in noisy.left_out)
    assert "greedy/g0" not in noisy.left_out


def test_routes_with_expressions_are_told_by_age() -> None:
    def expression(name: str, year: int) -> str:
        return route("quiet", name, year).replace(
            "  - filters", "  - matches: [{path: {type: RegularExpression, value: /a.*}}]\n    filters"
        )

    text = GATEWAY + expression("b", 2001) + expression("a", 2002) + expression("c", 2000) + QUIET
    found = plan(text)
    document = Routing.from_json(found.gateways["default", "gw"].routing)
    assert document.expression_routes == ("quiet/c", "quiet/b", "quiet/a")
    assert document.to_json() == found.gateways["default", "gw"].routing
