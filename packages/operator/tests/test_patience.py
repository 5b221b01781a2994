"""Programmed does not flicker: not for what is under way, for long enough, and never for what is refused."""

from datetime import timedelta
from typing import Any

from certificate_rig import NOW
from operator_rig import GATEWAY, OPTIONS, condition, report, resources_of
from varnish_gateway_common.document import digest
from varnish_gateway_common.report import Refusal, Report
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import Memory, Plan, translate
from varnish_gateway_operator.translate.patience import PATIENCE

KEY = ("default", "gw")
TRUE = '{type: Programmed, status: "True", observedGeneration: 2}'
PROGRAMMED = GATEWAY.replace("{name: gw}", "{name: gw, generation: 2}").replace(
    "port: 8080}\n---", f"port: 8080}}\nstatus: {{conditions: [{TRUE}]}}\n---"
)


def plan(text: str, seen: Report, memory: Memory, seconds: float = 0) -> Plan:
    now = NOW + timedelta(seconds=seconds)
    return translate(snapshot_of(resources_of(text)), {KEY: [seen]}, OPTIONS, memory, now)


def status(found: Plan) -> str:
    told: dict[str, Any] = condition(found, "Gateway", "gw", "Programmed") or {}
    return f"{told['status']} {told['reason']}"


def running(text: str, **fields: Any) -> Report:
    gateway = plan(text, report(), Memory()).gateways[KEY]
    assert gateway.vcl is not None
    assert gateway.pod is not None
    own = {
        "is_serving": True,
        "routing_digest": digest(gateway.routing),
        "vcl_digest": digest(gateway.vcl.encode()),
        "pod_digest": digest(gateway.pod.to_json()),
    }
    return report(**{**own, **fields})


def test_what_is_under_way_does_not_take_it_back() -> None:
    memory, behind = Memory(), running(PROGRAMMED, routing_digest="0")
    found = plan(PROGRAMMED, behind, memory)
    assert status(found) == "True Programmed"
    assert found.changes_at == NOW + PATIENCE


def test_what_does_not_come_does() -> None:
    memory, behind = Memory(), running(PROGRAMMED, routing_digest="0")
    plan(PROGRAMMED, behind, memory)
    assert status(plan(PROGRAMMED, behind, memory, 9.9)) == "True Programmed"
    late = plan(PROGRAMMED, behind, memory, 10)
    assert status(late) == "False Pending"
    assert late.changes_at is None


def test_every_wait_has_its_own_time() -> None:
    memory, behind = Memory(), running(PROGRAMMED, routing_digest="0")
    plan(PROGRAMMED, behind, memory)
    plan(PROGRAMMED, running(PROGRAMMED), memory, 5)
    assert status(plan(PROGRAMMED, behind, memory, 12)) == "True Programmed"


def test_a_refusal_is_told_at_once() -> None:
    good = running(PROGRAMMED)
    refusal = Refusal(input="routing", digest=good.routing_digest, message="no")
    behind = running(PROGRAMMED, routing_digest="0", refusals=(refusal,))
    assert status(plan(PROGRAMMED, behind, Memory())) == "False Invalid"


def test_another_generation_is_waited_for() -> None:
    changed = PROGRAMMED.replace("generation: 2}", "generation: 3}", 1)
    behind = running(changed, routing_digest="0")
    assert status(plan(changed, behind, Memory())) == "False Pending"
    assert status(plan(changed, running(changed), Memory())) == "True Programmed"
