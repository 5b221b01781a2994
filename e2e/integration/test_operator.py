"""The operator before a real API server: objects, statuses, repair, removal, and what is not its own."""

import json
import time

import pytest
from gateway_objects import class_of, gateway_of, route_of
from operator_process import (
    Account,
    Operator,
    apply,
    attached,
    audit_position,
    condition,
    conditions,
    get,
    kubectl,
    owners_of,
    until,
)

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module", autouse=True)
def began() -> int:
    """Where the audit log was."""
    return audit_position()


@pytest.fixture
def gateway(namespace: str) -> str:
    """`gw` with one route, and all that belongs to it."""
    apply(gateway_of(namespace) + route_of(namespace))
    until("the Deployment", lambda: get("deployment", "gw-varnish", f"--namespace={namespace}"))
    until("the number of routes", lambda: attached(namespace, "gw") == 1)
    return namespace


def test_two_managers_share_one_config_map(gateway: str) -> None:
    content = get("configmap", "gw-varnish", f"--namespace={gateway}", "--show-managed-fields")
    assert content
    owned = {manager: set(fields["f:data"]) - {"."} for manager, fields in owners_of(content) if "f:data" in fields}
    assert owned["varnish-gateway-httproute"] == {"f:routing.json"}
    assert "f:main.vcl" in owned["varnish-gateway-gateway"]
    assert not owned["varnish-gateway-httproute"] & owned["varnish-gateway-gateway"]
    (owner,) = content["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Gateway", "gw", True)


def test_a_route_is_told_and_so_is_its_gateway(gateway: str) -> None:
    route = get("httproute", "web", f"--namespace={gateway}")
    assert route
    (parent,) = route["status"]["parents"]
    assert parent["controllerName"] == "varnish-software.com/gateway"
    assert {each["type"]: each["status"] for each in parent["conditions"]} == {
        "Accepted": "True",
        "ResolvedRefs": "True",
    }
    assert conditions(get("gatewayclass", "varnish"))["Accepted"] == ("True", "Accepted")
    found = get("gateway", "gw", f"--namespace={gateway}")
    assert conditions(found)["Accepted"] == ("True", "Accepted")
    assert conditions(found)["Programmed"][0] != "True", "no pod runs here"


def test_programmed_is_what_a_ready_pod_reports(gateway: str) -> None:
    where = f"--namespace={gateway}"
    pods = until("pods", lambda: json.loads(kubectl("get", "pods", where, "--output=json"))["items"])
    pod = pods[0]["metadata"]["name"]
    config = get("configmap", "gw-varnish", where)
    assert config
    report = report_of(pods[0], config["data"])
    kubectl("patch", "configmap", "gw-varnish-report", where, "--type=merge", f"--patch={data(pod, report)}")
    until("the report's effect", lambda: "not" in condition(get("gateway", "gw", where), "Programmed")["message"])

    def programmed() -> tuple[str, str]:
        return conditions(get("gateway", "gw", where))["Programmed"]

    assert programmed()[0] != "True", "the pod is not ready"
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    kubectl("patch", "pod", pod, where, "--subresource=status", f"--patch={json.dumps(ready)}")
    until("Programmed", lambda: programmed()[0] == "True")
    apply(route_of(gateway, backend="elsewhere"))
    until("what is said of a change that nobody takes up", lambda: programmed()[0] != "True", 15)


def report_of(pod: dict, documents: dict[str, str]) -> dict[str, object]:  # type: ignore[type-arg]
    """What its chaperone would say."""
    from varnish_gateway_common.document import digest

    (container,) = pod["spec"]["containers"]
    sockets = next(each["value"] for each in container["env"] if each["name"] == "VARNISH_GATEWAY_POD")
    return {
        "version": 1,
        "pod": pod["metadata"]["name"],
        "is_serving": True,
        "pod_digest": digest(sockets.encode()),
        "routing_digest": digest(documents["routing.json"].encode()),
        "vcl_digest": digest(documents["main.vcl"].encode()),
    }


def data(key: str, content: dict[str, object]) -> str:
    return json.dumps({"data": {key: json.dumps(content)}})


def test_a_foreign_parents_status_stays(gateway: str) -> None:
    where = f"--namespace={gateway}"
    route = get("httproute", "web", where)
    assert route
    ours = route["status"]["parents"][0]
    theirs = {
        "controllerName": "example.com/theirs",
        "parentRef": {**ours["parentRef"], "name": "other"},
        "conditions": [{**ours["conditions"][0], "message": "theirs"}],
    }
    patch = {"status": {"parents": [theirs, ours]}}
    kubectl("patch", "httproute", "web", where, "--subresource=status", "--type=merge", f"--patch={json.dumps(patch)}")
    apply(route_of(gateway, gateway="gone"))

    def parents() -> list[dict[str, object]]:
        return list((get("httproute", "web", where) or {})["status"]["parents"])

    until("our entry to go", lambda: len(parents()) == 1)
    assert parents() == [theirs]


@pytest.mark.parametrize("kind", ["deployment", "service", "role", "serviceaccount", "networkpolicy"])
def test_what_is_deleted_comes_back(gateway: str, kind: str) -> None:
    before = get(kind, "gw-varnish", f"--namespace={gateway}")
    kubectl("delete", kind, "gw-varnish", f"--namespace={gateway}")
    after = until("another one", lambda: get(kind, "gw-varnish", f"--namespace={gateway}"))
    assert before
    assert after
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def test_what_is_edited_is_repaired_and_what_is_added_stays(gateway: str) -> None:
    where = f"--namespace={gateway}"

    def config() -> dict[str, str]:
        return dict((get("configmap", "gw-varnish", where) or {"data": {}})["data"])

    before = config()
    patch = {"data": {"main.vcl": "broken", "routing.json": "broken", "note": "mine"}}
    kubectl("patch", "configmap", "gw-varnish", where, "--type=merge", f"--patch={json.dumps(patch)}")
    until("the repair", lambda: config() == {**before, "note": "mine"})
    image = {"spec": {"template": {"spec": {"containers": [{"name": "gateway", "image": "other"}]}}}}
    kubectl("patch", "deployment", "gw-varnish", where, f"--patch={json.dumps(image)}")

    def images() -> set[str]:
        spec = (get("deployment", "gw-varnish", where) or {})["spec"]["template"]["spec"]
        return {each["image"] for each in spec["containers"]}

    until("the repair", lambda: images() != {"other"})


def test_a_binding_in_another_namespace_goes_with_its_reason(gateway: str) -> None:
    elsewhere = f"{gateway}-elsewhere"
    grant = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {{name: all, namespace: {elsewhere}}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {gateway}}}]
  to: [{{group: "", kind: Service}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {elsewhere}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
"""
    kubectl("create", "namespace", elsewhere)

    def bindings() -> list[str]:
        found = json.loads(kubectl("get", "rolebindings", f"--namespace={elsewhere}", "--output=json"))
        return [each["metadata"]["name"] for each in found["items"]]

    apply(grant + route_of(gateway, backend=elsewhere))
    (name,) = until("the binding", bindings)
    apply(route_of(gateway))
    until("its end", lambda: not bindings())
    apply(route_of(gateway, backend=elsewhere))
    assert until("the binding again", bindings) == [name]
    kubectl("delete", "gateway", "gw", f"--namespace={gateway}")
    until("its end with the Gateway", lambda: not bindings())
    until("the end of all else", lambda: not get("deployment", "gw-varnish", f"--namespace={gateway}"))
    kubectl("delete", "namespace", elsewhere, "--wait=false")


def test_a_gateway_of_another_class_keeps_nothing_of_ours(gateway: str) -> None:
    where = f"--namespace={gateway}"
    kubectl("patch", "gateway", "gw", where, "--type=merge", '--patch={"spec":{"gatewayClassName":"of-others"}}')
    until("the end", lambda: not get("deployment", "gw-varnish", where) and not get("configmap", "gw-varnish", where))


def test_an_object_of_somebody_else_is_not_taken_over(namespace: str) -> None:
    where = f"--namespace={namespace}"
    kubectl("create", "configmap", "gw-varnish", where, "--from-literal=theirs=1")
    apply(gateway_of(namespace))

    def programmed() -> dict[str, str]:
        return condition(get("gateway", "gw", where), "Programmed")

    until("the condition", lambda: "ConfigMap gw-varnish" in programmed().get("message", ""))
    assert (programmed()["status"], programmed()["reason"]) == ("False", "Invalid")
    theirs = get("configmap", "gw-varnish", where)
    assert theirs
    assert theirs["data"] == {"theirs": "1"}
    assert "ownerReferences" not in theirs["metadata"]
    kubectl("delete", "configmap", "gw-varnish", where)
    until("ours, once theirs is gone", lambda: get("configmap", "gw-varnish", where), 15)
    until("the condition's end", lambda: "ConfigMap" not in programmed()["message"])


def test_class_parameters_that_are_not_there_are_told(namespace: str) -> None:
    where = f"--namespace={namespace}"
    apply(class_of(namespace) + gateway_of(namespace, class_name=namespace))
    until(
        "the condition",
        lambda: conditions(get("gatewayclass", namespace)).get("Accepted") == ("False", "InvalidParameters"),
    )
    assert not get("deployment", f"gw-{namespace}", where)
    apply(class_of(namespace, "{replicas: 3}"))
    made = until("the Deployment", lambda: get("deployment", f"gw-{namespace}", where))
    assert made
    assert made["spec"]["replicas"] == 3
    kubectl("delete", "gateway", "gw", where)
    kubectl("delete", "gatewayclass,gatewayclassparameters", namespace)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("podPatch: {spec: {dnsPolicy: Odd}}", "dnsPolicy"),
        ("podPatch: {spec: {notAField: 1}}", "notAField"),
        ("podPatch: {spec: {dnsConfig: [odd]}}", "dnsConfig"),
        ("containerPatch: {resources: odd}", "resources"),
    ],
)
def test_a_patch_that_the_api_server_refuses_is_told(namespace: str, patch: str, message: str) -> None:
    where = f"--namespace={namespace}"
    apply(class_of(namespace, f"{{{patch}}}") + gateway_of(namespace, class_name=namespace))

    def programmed() -> dict[str, str]:
        return condition(get("gateway", "gw", where), "Programmed")

    until("the condition", lambda: message in programmed().get("message", ""), 30)
    assert (programmed()["status"], programmed()["reason"]) == ("False", "Invalid")
    apply(route_of(namespace))
    until("others are served", lambda: attached(namespace, "gw") == 1)
    apply(class_of(namespace, "{replicas: 1}"))
    until("the Deployment", lambda: get("deployment", f"gw-{namespace}", where), 30)
    kubectl("delete", "gateway", "gw", where)
    kubectl("delete", "gatewayclass,gatewayclassparameters", namespace)


def test_a_change_for_the_worse_is_an_event_and_again_the_same_one(gateway: str) -> None:
    where = f"--namespace={gateway}"
    good = route_of(gateway)
    bad = good.replace("backendRefs: [{name: web", "backendRefs: [{name: missing")

    def events(reason: str) -> list[dict[str, object]]:
        found = json.loads(kubectl("get", "events.v1.events.k8s.io", where, "--output=json"))["items"]
        return [each for each in found if each["reason"] == reason and each["regarding"]["kind"] == "HTTPRoute"]

    apply(bad)
    (event,) = until("the event", lambda: events("BackendNotFound"))
    assert event["type"] == "Warning"
    assert "missing" in str(event["note"])
    apply(good)
    until("that it is mended", lambda: events("ResolvedRefs"))
    apply(bad)
    until("the same again", lambda: "series" in events("BackendNotFound")[0])
    assert len(events("BackendNotFound")) == 1
    assert "BackendNotFound" in kubectl("describe", "httproute", "web", where)


def test_the_first_question_about_parameters_is_answered(namespace: str) -> None:
    apply(class_of(namespace, "{replicas: 3, service: {type: NodePort}}"))
    head, row = kubectl("get", "gatewayclassparameters", namespace).splitlines()
    assert head.split() == ["NAME", "SERVICE", "REPLICAS", "STORAGE", "USER", "VCL", "IMAGE", "AGE"]
    assert row.split()[:3] == [namespace, "NodePort", "3"]
    kubectl("delete", "gatewayclass,gatewayclassparameters", namespace)


def test_a_secret_of_the_wrong_type_is_told(namespace: str) -> None:
    where = f"--namespace={namespace}"
    kubectl("create", "secret", "generic", "key", where, "--from-literal=tls.key=1", "--from-literal=tls.crt=1")
    https = "{name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: key}]}}"
    apply(gateway_of(namespace).replace("port: 80}]", f"port: 80}}, {https}]", 1))

    def resolved() -> str:
        listeners = ((get("gateway", "gw", where) or {}).get("status") or {}).get("listeners") or ()
        found = next((condition({"status": each}, "ResolvedRefs") for each in listeners if each["name"] == "https"), {})
        return str(found.get("message", ""))

    until("the condition", lambda: f"no Secret {namespace}/key of type kubernetes.io/tls" in resolved())


def test_a_quantity_is_the_same_in_any_spelling(account: Account, namespace: str) -> None:
    where, name = f"--namespace={namespace}", f"gw-{namespace}"
    spec = {
        "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": "2000m", "memory": 2147483648}},
        "extraVolumes": [{"name": "more", "emptyDir": {"sizeLimit": "2048Mi"}}],
        "autoscaling": {"maxReplicas": 3, "metrics": [cpu_metric("1500m")]},
    }
    apply(class_of(namespace, json.dumps(spec)) + gateway_of(namespace, class_name=namespace))
    made = until("the Deployment", lambda: get("deployment", name, where))
    assert made
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "2147483648"}, "as the API server spells it"
    until("the HorizontalPodAutoscaler", lambda: get("horizontalpodautoscaler", name, where))
    until("the rounds to end", lambda: is_quiet(account), 30)
    since = audit_position()
    kubectl("annotate", "deployment,horizontalpodautoscaler", name, where, "note=1")
    until("the rounds to end", lambda: is_quiet(account), 30)
    assert [each for each in account.writes(since) if "deployments" in each or "autoscalers" in each] == []
    kubectl("delete", "gateway", "gw", where)
    kubectl("delete", "gatewayclass,gatewayclassparameters", namespace)


def cpu_metric(value: str) -> dict[str, object]:
    return {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": value}}}


def test_nothing_is_written_without_a_reason(operator: Operator, account: Account, gateway: str) -> None:
    """A settled cluster, an edit that means nothing to us, and a restart."""
    others = f"--field-selector=metadata.name!={gateway}"
    until("the namespaces of other tests to be gone", lambda: "test-" not in kubectl("get", "namespaces", others), 60)
    kubectl("annotate", "gateway", "gw", f"--namespace={gateway}", "note=1")
    until("the rounds to end", lambda: is_quiet(account), 30)
    since = audit_position()
    kubectl("annotate", "httproute", "web", f"--namespace={gateway}", "note=1")
    kubectl("annotate", "service", "web", f"--namespace={gateway}", "note=1")
    operator.stop()
    operator.__post_init__()
    until("its first round", lambda: operator.metric("rounds_total") > 0)
    until("the rounds to end", lambda: is_quiet(account), 30)
    assert account.writes(since) == []


def is_quiet(account: Account) -> bool:
    """Whether a second passes without a write."""
    since = audit_position()
    time.sleep(1)
    return not account.writes(since)


def test_every_right_suffices(account: Account, began: int) -> None:
    """Comes last: of all that was asked here, nothing was forbidden."""
    refused = [each for each in account.requests(began) if each["responseStatus"]["code"] in (401, 403)]
    # A namespace may end before we hear of it.
    assert [each["requestURI"] for each in refused if "terminat" not in each["responseStatus"].get("message", "")] == []
