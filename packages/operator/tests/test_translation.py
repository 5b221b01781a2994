"""What a round makes of a snapshot and of reports, and what it keeps for the next."""

from dataclasses import replace

import pytest

from operator_rig import (
    GATEWAY,
    OPTIONS,
    OWN_PARAMETERS,
    condition,
    contents_of,
    plan,
    report,
    resources_of,
    route,
    routing,
)
from varnish_gateway_common.document import digest
from varnish_gateway_common.report import BrokenRule, Refusal, UnservedService
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import GatewayPlan, Memory, Plan, translate

WEB = route("[{backendRefs: [{name: web, port: 80}]}]")
KEY = ("default", "gw")


def running(found: GatewayPlan, **fields: object) -> dict[str, object]:
    """The fields of a report that says: exactly this runs."""
    assert found.vcl is not None
    assert found.pod is not None
    return {
        "is_serving": True,
        "routing_digest": digest(found.routing),
        "vcl_digest": digest(found.vcl.encode()),
        "pod_digest": digest(found.pod.to_json()),
        **fields,
    }


def programmed(**fields: object) -> dict[str, object]:
    """The Gateway's Programmed condition after a report."""
    found = plan(GATEWAY + WEB, reports={KEY: [report(**running(plan(GATEWAY + WEB).gateways[KEY], **fields))]})
    return condition(found, "Gateway", "gw", "Programmed") or {}


def test_programmed_when_what_was_written_runs() -> None:
    assert programmed()["status"] == "True"


def test_listeners_are_programmed_with_their_gateway() -> None:
    reports = {KEY: [report(**running(plan(GATEWAY + WEB).gateways[KEY]))]}
    found = condition(plan(GATEWAY + WEB, reports=reports), "Gateway", "gw", "Programmed", part="http")
    assert found
    assert found["status"] == "True"


def test_not_programmed_while_something_else_runs() -> None:
    assert programmed(routing_digest="0")["message"] == "the newest routing is not in effect yet"
    assert programmed(vcl_digest="0")["message"] == "the newest VCL is not in effect yet"
    assert programmed(pod_digest="0")["message"] == "the sockets are being changed"
    assert programmed(is_serving=False)["message"] == "not serving yet"
    assert programmed(is_serving=False, is_draining=True)["message"] == "draining"


def test_unknown_without_a_report() -> None:
    found = condition(plan(GATEWAY), "Gateway", "gw", "Programmed")
    assert found
    assert (found["status"], found["reason"]) == ("Unknown", "Pending")


def test_the_compilers_message_is_told() -> None:
    vcl = plan(GATEWAY + WEB).gateways[KEY].vcl
    assert vcl is not None
    refusal = Refusal(input="vcl", digest=digest(vcl.encode()), message="Expected ';' at line 4")
    found = programmed(vcl_digest="0", refusals=(refusal,))
    assert found["reason"] == "Invalid"
    assert found["message"] == ("main.vcl does not compile, what was good before serves: Expected ';' at line 4")


def test_a_refusal_of_something_older_does_not_matter() -> None:
    refusal = Refusal(input="vcl", digest="0" * 64, message="old")
    assert programmed(refusals=(refusal,))["status"] == "True"


def test_a_rule_that_does_not_compile_is_told_to_its_route() -> None:
    two = route("[{matches: [{path: {value: /a}}]}, {matches: [{path: {value: /b}}]}]")
    broken = BrokenRule(route="default/web", index=1, reason="unclosed group")
    found = plan(GATEWAY + two, reports={KEY: [report(broken_rules=(broken,))]})
    partially = condition(found, "HTTPRoute", "web", "PartiallyInvalid")
    assert partially
    assert partially["message"].startswith("Dropped Rule 1")
    said = "spec.rules[1] does not compile, says a pod of Gateway default/gw: unclosed group"
    assert said in partially["message"]


def test_a_service_without_a_ready_endpoint_is_a_warning_of_its_routes() -> None:
    two = GATEWAY + GATEWAY.split("---")[1].replace("name: gw", "name: other").replace("8080", "8081") + "---\n"
    both = WEB.replace("parentRefs: [{name: gw}]", "parentRefs: [{name: gw}, {name: other}]")
    empty = UnservedService(service="default/web:80", reason="EndpointSlice default/web-1 has no ready endpoint")
    memory, text = Memory(), two + both + route("[{}]", name="mine")
    found = plan(text, reports={("default", "other"): [report(unserved=(empty,))]}, memory=memory)
    parents = found.statuses["HTTPRoute", "default", "web"].status["parents"]
    said = "Service default/web:80 has no ready endpoint: EndpointSlice default/web-1 has no ready endpoint"
    refs = [entry["conditions"][1] for entry in parents]
    assert [(each["type"], each["status"], each["message"]) for each in refs] == [
        ("ResolvedRefs", "True", ""),
        ("ResolvedRefs", "True", said),
    ]
    assert (condition(found, "HTTPRoute", "mine", "ResolvedRefs") or {})["message"] == ""
    mended = plan(text, reports={("default", "other"): [report()]}, memory=memory)
    assert "no ready endpoint" not in str(mended.statuses["HTTPRoute", "default", "web"].status)


def test_a_report_speaks_of_its_own_gateways_parents_only() -> None:
    two = GATEWAY + GATEWAY.split("---")[1].replace("name: gw", "name: other").replace("8080", "8081") + "---\n"
    both = WEB.replace("parentRefs: [{name: gw}]", "parentRefs: [{name: gw}, {name: other}]")
    broken = BrokenRule(route="default/web", index=0, reason="\x1b[31m" + "a " * 10_000)
    found = plan(
        two + both + route("[{}]", name="mine"), reports={("default", "other"): [report(broken_rules=(broken,))]}
    )
    parents = found.statuses["HTTPRoute", "default", "web"].status["parents"]
    accepted = [entry["conditions"][0] for entry in parents]
    assert [each["status"] for each in accepted] == ["True", "False"]
    assert accepted[1]["message"] == (
        "spec.rules[0] does not compile, says a pod of Gateway default/other: ?[31m" + "a " * 97 + "a ..."
    )
    stranger = BrokenRule(route="default/mine", index=0, reason="not mine to say")
    found = plan(
        two + both + route("[{}]", name="mine"), reports={("default", "other"): [report(broken_rules=(stranger,))]}
    )
    assert found.statuses["HTTPRoute", "default", "mine"].status["parents"][0]["conditions"][0]["status"] == "True"


def test_a_route_of_only_broken_rules_is_not_accepted() -> None:
    broken = BrokenRule(route="default/web", index=0, reason="unclosed group")
    found = plan(GATEWAY + WEB, reports={KEY: [report(broken_rules=(broken,))]})
    accepted = condition(found, "HTTPRoute", "web", "Accepted")
    assert accepted
    assert accepted["reason"] == "UnsupportedValue"
    assert condition(found, "HTTPRoute", "web", "PartiallyInvalid") is None
    assert found.statuses["Gateway", "default", "gw"].status["listeners"][0]["attachedRoutes"] == 0


def test_a_missing_user_vcl_keeps_the_last_good_one() -> None:
    parameters = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: own}
spec: {userVCLConfigMapRef: {name: vcl, namespace: default}}
---
"""
    with_ref = GATEWAY.replace("/gateway}", "/gateway, " + OWN_PARAMETERS + "}")
    found = plan(with_ref + parameters)
    assert found.gateways[KEY].vcl is None
    assert found.gateways[KEY].pod is not None
    message = (condition(found, "Gateway", "gw", "Programmed") or {})["message"]
    assert (
        message == "userVCLConfigMapRef names ConfigMap default/vcl, which does not exist; no VCL is written without it"
    )

    config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vcl}\ndata: {user.vcl: 'sub vcl_recv {}'}\n"
    found = plan(with_ref + parameters + config_map.replace("user.vcl", "other.vcl"))
    message = (condition(found, "Gateway", "gw", "Programmed") or {})["message"]
    assert message == (
        "userVCLConfigMapRef: ConfigMap default/vcl has no key 'user.vcl'; it has 'other.vcl'; "
        "no VCL is written without it"
    )

    assert plan(with_ref + parameters + config_map).gateways[KEY].vcl == (
        "vcl 4.1;\n# before\n# direct\nsub vcl_recv {}\n# after\n"
    )


def test_an_unchanged_route_is_not_translated_again() -> None:
    resources = resources_of(GATEWAY + WEB + route("[{}]", name="other"))
    memory = Memory()
    first = translate(snapshot_of(resources), {}, OPTIONS, memory)
    web = memory.placed["default", "web"]
    changed = [*resources[:-1], *resources_of(route("[{matches: [{path: {value: /new}}]}]", name="other"))]
    second = translate(snapshot_of(changed), {}, OPTIONS, memory)
    assert memory.placed["default", "web"] is web
    assert second.statuses["HTTPRoute", "default", "web"] is first.statuses["HTTPRoute", "default", "web"]
    assert second.gateways[KEY].routing != first.gateways[KEY].routing


def test_what_is_remembered_never_changes_what_comes_out() -> None:
    """A Service, a grant, a Gateway or a label changes: the result is that of a first round."""
    texts = [
        GATEWAY + WEB,
        GATEWAY.replace("port: 80}", "port: 81}") + WEB,
        GATEWAY.replace("name: web}", "name: elsewhere}") + WEB,
        GATEWAY.replace("port: 8080", "port: 8081") + WEB,
        GATEWAY.replace("port: 8080", "port: 8080, hostname: a.test") + WEB,
        GATEWAY.replace("{name: gw}", "{name: other}") + WEB,
        WEB,
        GATEWAY + WEB,
    ]
    memory = Memory()
    known = {text: resources_of(text) for text in texts}
    for text in texts:
        snapshot = snapshot_of(known[text])
        remembered = translate(snapshot, {}, OPTIONS, memory)
        fresh = translate(snapshot, {}, OPTIONS, Memory())
        assert remembered.gateways == fresh.gateways
        assert [each.status for each in remembered.statuses.values()] == [
            each.status for each in fresh.statuses.values()
        ]


def test_a_revoked_grant_takes_the_backend_away() -> None:
    grant = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: all, namespace: other}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service}]
"""
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: other}\nspec: {ports: [{port: 80}]}\n---\n"
    )
    cross = route("[{backendRefs: [{name: api, namespace: other, port: 80}]}]")
    resources = resources_of(GATEWAY + cross + service + grant)
    memory = Memory()
    granted = translate(snapshot_of(resources), {}, OPTIONS, memory)
    revoked = translate(snapshot_of(resources[:-1]), {}, OPTIONS, memory)
    assert list(routing(granted).services) == ["other/api:80"]
    assert not routing(revoked).services
    assert (condition(revoked, "HTTPRoute", "web", "ResolvedRefs") or {})["reason"] == "RefNotPermitted"


def test_a_route_of_nobody_of_ours_gets_no_status() -> None:
    alien = WEB.replace("{name: gw}", "{name: theirs}")
    assert ("HTTPRoute", "default", "web") not in plan(GATEWAY + alien).statuses


def test_a_route_that_left_us_loses_our_entry() -> None:
    entry = "{parentRef: {name: gw}, controllerName: varnish-software.com/gateway, conditions: []}"
    alien = WEB.replace("{name: gw}", "{name: theirs}").rstrip("-\n") + f"\nstatus: {{parents: [{entry}]}}\n"
    assert len(contents_of(alien)) == 1
    assert plan(GATEWAY + alien).statuses["HTTPRoute", "default", "web"].status == {"parents": []}


def test_external_names_can_be_turned_off() -> None:
    external = """
apiVersion: v1
kind: Service
metadata: {name: external}
spec: {type: ExternalName, externalName: example.com}
---
"""
    snapshot = snapshot_of(resources_of(GATEWAY + external + route("[{backendRefs: [{name: external, port: 80}]}]")))
    closed = type(OPTIONS)(vcl=OPTIONS.vcl, shares_host=True, has_external_names=False)
    memory = Memory()
    assert list(routing(translate(snapshot, {}, OPTIONS, memory)).services) == ["default/external:80"]
    assert not routing(translate(snapshot, {}, closed, memory)).services


def test_gateways_of_a_cluster_may_have_one_port_each() -> None:
    twin = GATEWAY.replace("{name: gw}", "{name: twin}").split("---", 1)[1]
    cluster = type(OPTIONS)(vcl=OPTIONS.vcl, shares_host=False, has_external_names=False)
    snapshot = snapshot_of(resources_of(GATEWAY + twin))
    assert list(translate(snapshot, {}, cluster, Memory()).gateways) == [("default", "gw"), ("default", "twin")]
    assert list(translate(snapshot, {}, OPTIONS, Memory()).gateways) == [("default", "gw")]


def test_what_is_written_of_a_gateway_moves_no_route() -> None:
    """Only what its users write does; what others wrote into its status stays all the same."""

    snapshot, memory = snapshot_of(resources_of(GATEWAY + WEB)), Memory()

    def after(**fields: object) -> Plan:
        changed = snapshot.gateways[KEY].model_copy(update=fields)
        return translate(replace(snapshot, gateways={KEY: changed}), {}, OPTIONS, memory)

    after()
    before, theirs = memory.placed["default", "web"], {"type": "example.com/Theirs", "status": "True"}
    found = after(status={"conditions": [theirs]})
    assert theirs in found.statuses["Gateway", *KEY].status["conditions"]
    assert memory.placed["default", "web"] is before
    moved = after(spec=snapshot_of(resources_of(GATEWAY.replace("name: http,", "name: other,"))).gateways[KEY].spec)
    assert [each.name for each in routing(moved).sockets[0].listeners] == ["other"]
    assert memory.placed["default", "web"].standings[0][1].hosts == (("other", ""),)


@pytest.mark.parametrize("empty", ["timeouts: {}", "retry: {}", "retry: {codes: []}", "timeouts: {request: null}"])
def test_what_is_empty_asks_for_nothing(empty: str) -> None:
    plain, found = plan(GATEWAY + route("[{}]")), plan(GATEWAY + route(f"[{{{empty}}}]"))
    assert found.gateways[KEY].routing == plain.gateways[KEY].routing
    accepted = condition(found, "HTTPRoute", "web", "Accepted")
    assert accepted
    assert accepted["status"] == "True"


def test_empty_tls_of_a_gateway_asks_for_nothing() -> None:
    found = plan(GATEWAY.replace("  listeners:", "  tls: {backend: {}, frontend: {default: {}}}\n  listeners:") + WEB)
    accepted = condition(found, "Gateway", "gw", "Accepted")
    assert accepted
    assert accepted["status"] == "True"
