"""What is said of objects that cannot be read, and what stays in effect of what they were before."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from operator_rig import CLASS, GATEWAY, OPTIONS, OWN_PARAMETERS, condition, contents_of, resources_of, route, routing
from varnish_gateway_operator.resources.broken import Broken, broken_of
from varnish_gateway_operator.resources.httproute import HTTPRoute
from varnish_gateway_operator.resources.parse import InvalidObjectError, kind_of, parse
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import Memory, Plan, translate

WEB: Final = route("[{backendRefs: [{name: web, port: 80}]}]")
KEY: Final = ("default", "gw")
THEIRS: Final = {"type": "example.com/Theirs", "status": "True"}

SET: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: default, generation: 1}
spec:
  parentRef: {name: gw}
  listeners: [{name: http, protocol: HTTP, port: 8081}]
---
"""

PARAMETERS: Final = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: own}
spec: {clientAddress: {trustedNetworks: [10.0.0.0/8]}}
---
"""

WITH_SETS: Final = GATEWAY.replace(
    "gatewayClassName: varnish", "gatewayClassName: varnish\n  allowedListeners: {namespaces: {from: Same}}"
)
WITH_PARAMETERS: Final = GATEWAY.replace("/gateway}", "/gateway, " + OWN_PARAMETERS + "}")


def broken(manifest: str, *was_and_is: tuple[str, str], **fields: Any) -> Broken:
    """The object once it was edited so."""
    for was, is_now in was_and_is:
        assert was in manifest
        manifest = manifest.replace(was, is_now)
    (content,) = contents_of(manifest)
    kind = kind_of(content)
    assert kind
    with pytest.raises(InvalidObjectError) as caught:
        parse(kind, content, unknown_fields="ignore")
    found = broken_of({**content, **fields}, str(caught.value))
    assert found
    return found


def made(good: str, *bad: Broken, memory: Memory | None = None) -> Plan:
    return translate(snapshot_of(resources_of(good), bad), {}, OPTIONS, memory or Memory())


def conditions(found: Plan) -> Mapping[str, Mapping[str, Any]]:
    """Of the ListenerSet."""
    status = found.statuses["ListenerSet", "default", "more"].status
    return {each["type"]: each for each in status["conditions"]}


def test_what_a_route_is_told_of_a_gateway_that_cannot_be_read_stays() -> None:
    """As long as it names it: after a restart of the operator nobody knows what such a Gateway was."""
    theirs = {"controllerName": "example.com/theirs", "parentRef": {"name": "odd"}}
    ours = {"controllerName": "varnish-software.com/gateway", "parentRef": {"name": "odd"}, "conditions": []}
    gateway = GATEWAY.split("---")[1].replace("name: gw", "name: odd, namespace: default")
    odd = broken(gateway, ("port: 8080", "port: odd"))

    def parents(*names: str, memory: Memory, is_broken: bool = True) -> list[str]:
        refs = ", ".join(f"{{name: {name}}}" for name in names)
        (content,) = contents_of(WEB.replace("{name: gw}", refs))
        content["metadata"]["namespace"] = "default"
        content["status"] = {"parents": [theirs, ours]}
        found = [*resources_of(GATEWAY), HTTPRoute.model_validate(content)]
        made = translate(snapshot_of(found, [odd] if is_broken else []), {}, OPTIONS, memory)
        status = made.statuses["HTTPRoute", "default", "web"].status
        return [f"{each['controllerName'].partition('.')[0]} {each['parentRef']['name']}" for each in status["parents"]]

    memory = Memory()
    assert parents("odd", memory=memory) == ["example odd", "varnish-software odd"]
    assert parents("odd", "gw", memory=memory) == ["example odd", "varnish-software odd", "varnish-software gw"]
    assert parents("gw", memory=memory) == ["example odd", "varnish-software gw"]
    assert parents("odd", memory=memory, is_broken=False) == ["example odd"]


def test_a_set_is_told_and_its_last_good_listeners_serve() -> None:
    bad = broken(SET, ("port: 8081", "port: odd"), ("generation: 1", "generation: 2"), status={"conditions": [THEIRS]})
    found = made(WITH_SETS + SET, bad)
    told = conditions(found)
    assert [(each, told[each]["status"], told[each]["reason"]) for each in ("Accepted", "Programmed")] == [
        ("Accepted", "False", "Invalid"),
        ("Programmed", "False", "Invalid"),
    ]
    assert "spec.listeners[0].port" in told["Accepted"]["message"]
    assert told["Accepted"]["observedGeneration"] == 2
    assert told["example.com/Theirs"] == THEIRS
    assert "listeners" not in found.statuses["ListenerSet", "default", "more"].status, "they stay as they are"
    assert [socket.port for socket in routing(found).sockets] == [8080, 8081]


def test_a_set_is_not_accepted_with_a_gateway_whose_parameters_cannot_be_had() -> None:
    with_sets = WITH_SETS.replace("/gateway}", "/gateway, " + OWN_PARAMETERS + "}")
    found = conditions(made(with_sets + SET, broken(PARAMETERS, ("10.0.0.0/8", "10.0.0.1/8"))))
    assert [found[each]["reason"] for each in ("Accepted", "Programmed")] == ["ParentNotAccepted"] * 2


def test_of_others_and_of_what_has_no_name_nothing_can_be_said() -> None:
    content = contents_of(WEB)[0]
    assert broken_of({**content, "kind": "Service"}, "spec: ...") is None
    assert broken_of({**content, "metadata": {"name": ["odd"]}}, "metadata.name: ...") is None


def test_a_set_that_was_never_good_costs_itself() -> None:
    found = made(WITH_SETS + WEB, broken(SET, ("port: 8081", "port: odd")))
    assert conditions(found)["Accepted"]["reason"] == "Invalid"
    assert [socket.port for socket in routing(found).sockets] == [8080]


def test_a_set_whose_parent_cannot_be_read_is_that_of_its_last_good_one() -> None:
    bad = broken(SET, ("{name: gw}", "{name: [gw]}"))
    assert "spec.parentRef.name" in conditions(made(WITH_SETS + SET, bad))["Accepted"]["message"]
    assert ("ListenerSet", "default", "more") not in made(WITH_SETS, bad).statuses


def test_what_a_route_is_told_of_a_set_stays_while_neither_it_nor_its_gateway_can_be_read() -> None:
    ours = {"controllerName": "varnish-software.com/gateway", "parentRef": {"kind": "ListenerSet", "name": "more"}}
    (content,) = contents_of(WEB.replace("{name: gw}", "{kind: ListenerSet, name: more}"))
    content["metadata"]["namespace"], content["status"] = "default", {"parents": [ours]}
    gateway = GATEWAY.split("---")[1].replace("name: gw", "name: gw, namespace: default")
    bad = broken(gateway, ("port: 8080", "port: odd")), broken(SET, ("port: 8081", "port: odd"))
    resources = [*resources_of(CLASS), HTTPRoute.model_validate(content)]
    for is_bad, kept in ((True, [ours]), (False, [])):
        found = translate(snapshot_of(resources, bad if is_bad else ()), {}, OPTIONS, Memory())
        assert found.statuses["HTTPRoute", "default", "web"].status["parents"] == kept


def test_a_set_of_somebody_else_is_left_alone() -> None:
    bad = broken(SET, ("port: 8081", "port: odd"), ("{name: gw}", "{name: theirs}"))
    assert ("ListenerSet", "default", "more") not in made(WITH_SETS, bad).statuses


def test_parameters_are_told_where_they_are_used_and_nothing_of_them_changes() -> None:
    memory = Memory()
    before = made(WITH_PARAMETERS + PARAMETERS + WEB, memory=memory)
    bad = broken(PARAMETERS, ("10.0.0.0/8", "10.0.0.1/8"))
    found = made(WITH_PARAMETERS + PARAMETERS + WEB, bad, memory=memory)
    for kind, name in (("GatewayClass", "varnish"), ("Gateway", "gw")):
        accepted = condition(found, kind, name, "Accepted")
        assert accepted
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidParameters")
        assert "GatewayClassParameters own: spec.clientAddress.trustedNetworks[0]" in accepted["message"]
    documents = found.gateways[KEY]
    assert documents.routing == before.gateways[KEY].routing, "with the networks that are trusted"
    assert (documents.vcl, documents.pod) == (None, None), "what is there stays"
    mended = made(WITH_PARAMETERS + PARAMETERS + WEB, memory=memory)
    assert mended.gateways == before.gateways


def test_parameters_that_were_never_good_leave_the_routes_in_effect() -> None:
    found = made(WITH_PARAMETERS + WEB, broken(PARAMETERS, ("10.0.0.0/8", "10.0.0.1/8")))
    accepted = condition(found, "Gateway", "gw", "Accepted")
    assert accepted
    assert accepted["reason"] == "InvalidParameters"
    assert [rule.route for rule in routing(found).rules] == ["default/web"]


def test_parameters_that_nobody_uses_concern_nobody() -> None:
    bad = broken(PARAMETERS, ("name: own", "name: other"), ("10.0.0.0/8", "10.0.0.1/8"))
    accepted = condition(made(WITH_PARAMETERS + PARAMETERS, bad), "GatewayClass", "varnish", "Accepted")
    assert accepted
    assert accepted["status"] == "True"
