"""A Gateway's objects: what changes them and what does not, what does not fit, and what stays as it was."""

import base64
import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from operator_rig import CLASS, GATEWAY, condition, report, resources_of, route
from test_objects_golden import CLUSTER
from varnish_gateway_common import names
from varnish_gateway_common.certificates import Certificates
from varnish_gateway_common.document import digest
from varnish_gateway_common.parts import RoutingParts, Secrets
from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.core import ConfigMap
from varnish_gateway_operator.resources.gateway import Infrastructure
from varnish_gateway_operator.resources.parameters import ParametersSpec
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import GatewayPlan, Memory, Plan, Reports, translate
from varnish_gateway_operator.translate.objects.addresses import Request
from varnish_gateway_operator.translate.objects.config_maps import LARGEST_ROUTING, MOST_PARTS, before_in
from varnish_gateway_operator.translate.objects.owned import objects_of
from varnish_gateway_operator.translate.objects.pod import INFRA_HASH
from varnish_gateway_operator.translate.objects.shape import Before, ClusterOptions, Owned, Wanted

CAREFUL = replace(CLUSTER, has_external_names=False)
WEB = route("[{backendRefs: [{name: web, port: 80}]}]")
KEY = ("default", "gw")
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: gw-varnish}
spec: {type: LoadBalancer}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
---
"""
PARAMETERS = CLASS.replace(
    "varnish-software.com/gateway}",
    "varnish-software.com/gateway,"
    " parametersRef: {group: gateway.varnish-software.com, kind: GatewayClassParameters, name: p}}",
)
HEAD = "apiVersion: gateway.varnish-software.com/v1alpha1\nkind: GatewayClassParameters\nmetadata: {name: p}\n"
GATEWAY_WITH = GATEWAY.replace(CLASS, PARAMETERS).replace("{", "{{").replace("}", "}}") + HEAD.replace(
    "{name: p}", "{{name: p}}"
)
GATEWAY_WITH += "spec: {{{spec}}}\n"


def plan(text: str, *, reports: Reports | None = None, obstacles: Mapping[tuple[str, str], str] | None = None) -> Plan:
    return translate(snapshot_of(resources_of(text)), reports or {}, CLUSTER, Memory(), obstacles=obstacles or {})


def wanted(**fields: Any) -> Wanted:
    default: dict[str, Any] = {
        "namespace": "default",
        "name": "gw",
        "class_name": "varnish",
        "uid": "1",
        "infrastructure": Infrastructure(),
        "options": ClusterOptions(gateway_image="gateway:1"),
        "routing": b'{"version":1}',
        "vcl": "vcl 4.1;",
        "certificates": Certificates(version=1),
        "certificate_files": {},
        "namespaces": (),
        "pod": Pod(version=1, gateway="default/gw"),
        "parameters": ParametersSpec(),
        "request": Request(),
        "before": None,
    }
    return Wanted(**{**default, **fields})


def found(owned: tuple[Owned, ...], kind: str, name: str = "gw-varnish", *, manager: str = "gateway") -> Any:
    """The manifest."""
    fitting = [each.manifest for each in owned if (each.manager, each.manifest["kind"]) == (manager, kind)]
    return next((each for each in fitting if each["metadata"]["name"] == name), None)


def infra_hash(gateway: GatewayPlan) -> str:
    template = found(gateway.owned, "Deployment")["spec"]["template"]
    return str(template["metadata"]["annotations"][INFRA_HASH])


def programmed(plan: Plan) -> dict[str, Any]:
    return condition(plan, "Gateway", "gw", "Programmed") or {}


def test_only_what_pods_are_made_of_changes_the_hash() -> None:
    before = infra_hash(plan(GATEWAY + WEB).gateways[KEY])
    assert infra_hash(plan(GATEWAY).gateways[KEY]) == before
    assert infra_hash(plan(GATEWAY.replace("port: 8080", "port: 8080, hostname: a.test") + WEB).gateways[KEY]) == before
    assert infra_hash(plan(GATEWAY.replace("port: 8080", "port: 8081") + WEB).gateways[KEY]) != before


@pytest.mark.parametrize(
    "spec", ["image: other", "varnishdExtraArgs: [-p, a=b]", "nodeSelector: {a: b}", "terminationGracePeriod: 9s"]
)
def test_parameters_of_pods_change_the_hash(spec: str) -> None:
    head = "apiVersion: gateway.varnish-software.com/v1alpha1\nkind: GatewayClassParameters\nmetadata: {name: p}\n"
    with_class = GATEWAY.replace(CLASS, PARAMETERS)
    before = infra_hash(plan(with_class + head + "spec: {service: {type: ClusterIP}, replicas: 5}\n").gateways[KEY])
    assert before == infra_hash(plan(GATEWAY).gateways[KEY])
    assert infra_hash(plan(with_class + head + f"spec: {{{spec}}}\n").gateways[KEY]) != before


def test_a_large_routing_is_compressed_then_cut() -> None:
    text = b'{"version":1,' + b" " * 200_000 + b"}"
    base = found(objects_of(wanted(routing=text)).owned, "ConfigMap", manager="httproute")
    assert "data" not in base
    assert gzip.decompress(base64.b64decode(base["binaryData"][names.ROUTING])) == text

    noise = random.Random(1).randbytes(2 * LARGEST_ROUTING)
    owned = objects_of(wanted(routing=noise)).owned
    index = RoutingParts.from_json(found(owned, "ConfigMap", manager="httproute")["data"][names.ROUTING_PARTS])
    parts = [
        base64.b64decode(found(owned, "ConfigMap", part.name, manager="httproute")["binaryData"][names.PART])
        for part in index.parts
    ]
    assert [digest(part) for part in parts] == [part.digest for part in index.parts]
    assert gzip.decompress(b"".join(parts)) == noise
    assert index.digest == digest(noise)
    readable = found(owned, "Role")["rules"][0]["resourceNames"]
    assert {part.name for part in index.parts} < set(readable)


def test_what_does_not_fit_at_all_is_told_and_stays() -> None:
    noise = random.Random(1).randbytes((MOST_PARTS + 1) * LARGEST_ROUTING)
    objects = objects_of(wanted(routing=noise))
    assert objects.problem
    assert objects.problem.startswith("the routes take ")
    assert not [each for each in objects.owned if each.manager == "httproute"]
    assert {("ConfigMap", "default", "gw-varnish"), ("ConfigMap", "default", "gw-varnish-routing-7")} <= objects.kept
    assert "gw-varnish-routing-7" in found(objects.owned, "Role")["rules"][0]["resourceNames"]


def test_vcl_that_does_not_fit_is_told() -> None:
    text = base64.b64encode(random.Random(1).randbytes(1_500_000)).decode()
    objects = objects_of(wanted(vcl=text))
    assert objects.problem
    assert objects.problem.startswith("VCL and the index of certificates take ")
    assert found(objects.owned, "ConfigMap") is None
    assert found(objects.owned, "ConfigMap", manager="httproute")
    assert ("ConfigMap", "default", "gw-varnish") in objects.kept


def test_many_certificates_take_several_secrets() -> None:
    files = {f"default.{number}": bytes(9_000) for number in range(200)}
    owned = objects_of(wanted(certificate_files=files)).owned
    listed = ["gw-varnish-tls", "gw-varnish-tls-2"]
    keys = [set(found(owned, "Secret", name)["data"]) for name in listed]
    assert keys[0] | keys[1] == {f"{name}.pem" for name in files}
    assert not keys[0] & keys[1]
    assert Secrets.from_json(found(owned, "ConfigMap")["data"][names.SECRETS]).secrets == tuple(listed)
    assert found(owned, "Role")["rules"][-1]["resourceNames"] == listed


def vcl_keys(**fields: Any) -> dict[str, str]:
    data = found(objects_of(wanted(**fields)).owned, "ConfigMap")["data"]
    return {key: text for key, text in data.items() if key.endswith(".vcl")}


def test_the_last_good_vcl_is_what_a_pod_confirmed() -> None:
    confirmed = frozenset({digest(b"old")})
    assert vcl_keys(vcl="new") == {"main.vcl": "new"}
    assert vcl_keys(vcl="old", confirmed=confirmed) == {"main.vcl": "old", "main.last-good.vcl": "old"}
    before = Before(vcl="old")
    assert vcl_keys(vcl="new", before=before, confirmed=confirmed)["main.last-good.vcl"] == "old"
    before = Before(vcl="broken", last_good_vcl="old")
    assert vcl_keys(vcl="broken", before=before)["main.last-good.vcl"] == "old"


def test_a_large_vcl_is_compressed_and_read_again() -> None:
    large = "# " + "x" * 200_000
    base = found(objects_of(wanted(vcl=large)).owned, "ConfigMap")
    assert "main.vcl" not in base["data"]
    for content, before in ((base["binaryData"]["main.vcl"], large), ("bm90IGd6aXA=", None)):
        spoilt = {**base, "binaryData": {"main.vcl": content}}
        assert before_in(ConfigMap.model_validate(spoilt)).vcl == before


def test_a_vcl_that_cannot_be_had_leaves_the_one_that_is_there() -> None:
    assert vcl_keys(vcl=None, before=Before(vcl="old")) == {"main.vcl": "old"}


def test_pods_stay_as_they_are_while_parameters_cannot_be_had() -> None:
    assert objects_of(wanted(parameters=None, pod=None)).owned == ()
    objects = objects_of(wanted(parameters=None, pod=None, vcl=None, before=Before(vcl="old")))
    assert {each.manifest["kind"] for each in objects.owned} == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap"}
    assert {"Deployment", "Service"} < {kind for kind, _, _ in objects.kept}


def test_pods_stay_while_no_listener_can_be_served() -> None:
    """An address that is lost is not come by again."""
    live = """
apiVersion: v1
kind: ConfigMap
metadata: {name: gw-varnish, labels: {app.kubernetes.io/managed-by: varnish-gateway}}
data: {main.vcl: old}
---
"""
    broken = GATEWAY.replace("protocol: HTTP", "protocol: UDP")
    assert KEY not in plan(broken).gateways
    assert ("Service", "default", "gw-varnish") in plan(broken + live).gateways[KEY].kept
    somebody_elses = live.replace("varnish-gateway}", "somebody}")
    assert KEY not in plan(broken + somebody_elses).gateways


def test_a_gateway_that_is_being_deleted_has_nothing() -> None:
    leaving = GATEWAY.replace("{name: gw}", '{name: gw, deletionTimestamp: "2026-01-01T00:00:00Z"}')
    assert not plan(leaving + WEB).gateways


def test_the_addresses_are_those_of_the_service() -> None:
    text = GATEWAY.replace("{name: gw}", "{name: gw, uid: u}") + WEB
    first = plan(text).gateways[KEY]
    assert first.vcl is not None
    assert first.pod is not None
    running = report(
        is_serving=True,
        routing_digest=digest(first.routing),
        vcl_digest=digest(first.vcl.encode()),
        pod_digest=digest(first.pod.to_json()),
    )
    waiting = plan(text, reports={KEY: [running]})
    assert programmed(waiting)["reason"] == "AddressNotAssigned"
    assert waiting.statuses["Gateway", "default", "gw"].status["addresses"] == []
    done = plan(text + SERVICE, reports={KEY: [running]})
    assert programmed(done)["status"] == "True"
    assert done.statuses["Gateway", "default", "gw"].status["addresses"] == [
        {"type": "IPAddress", "value": "192.0.2.1"}
    ]


STATIC = GATEWAY.replace("gatewayClassName: varnish", "gatewayClassName: varnish\n  addresses: [ADDRESSES]")


def test_an_address_of_another_type_is_refused() -> None:
    asked = STATIC.replace("ADDRESSES", "{type: test/odd, value: x}, {value: 192.0.2.1}")
    assert (condition(plan(asked), "Gateway", "gw", "Accepted") or {})["reason"] == "UnsupportedAddress"


def test_a_routability_that_nobody_can_promise_is_refused() -> None:
    found = condition(plan(STATIC.replace("ADDRESSES", "{routability: Cluster}")), "Gateway", "gw", "Accepted") or {}
    assert (found["status"], found["reason"]) == ("False", "UnsupportedAddress")
    assert found["message"] == "addresses: routability 'Cluster' is not supported"


def test_an_address_that_nobody_assigns_is_not_usable() -> None:
    addresses = "{value: 192.0.2.9}, {value: 192.0.2.1}, {value: an odd one}"
    asked = plan(STATIC.replace("ADDRESSES", addresses) + SERVICE)
    assert (condition(asked, "Gateway", "gw", "Accepted") or {})["status"] == "True"
    assert programmed(asked)["reason"] == "AddressNotUsable"
    assert "an odd one, 192.0.2.9" in programmed(asked)["message"]
    assert "192.0.2.1" not in programmed(asked)["message"]
    assert found(asked.gateways[KEY].owned, "Service")["spec"]["loadBalancerIP"] == "192.0.2.9"


def test_an_address_that_is_assigned_is_the_only_one() -> None:
    two = SERVICE.replace("{ip: 192.0.2.1}", "{ip: 192.0.2.1}, {ip: 192.0.2.2}")
    asked = plan(STATIC.replace("ADDRESSES", "{value: 192.0.2.1}") + two)
    assert programmed(asked)["reason"] == "Pending"
    assert [each["value"] for each in asked.statuses["Gateway", "default", "gw"].status["addresses"]] == ["192.0.2.1"]


def test_an_address_without_a_value_asks_for_any() -> None:
    asked = plan(STATIC.replace("ADDRESSES", "{type: IPAddress}, {type: Hostname}") + SERVICE)
    assert programmed(asked)["reason"] == "Pending"
    assert "loadBalancerIP" not in found(asked.gateways[KEY].owned, "Service")["spec"]


def test_without_a_load_balancer_only_the_networks_of_the_nodes_will_do() -> None:
    parameters = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: p}
spec: {service: {type: ClusterIP, externalNetworks: [198.51.100.0/24]}}
---
"""
    text = STATIC.replace(CLASS, PARAMETERS) + parameters
    asked = plan(
        text.replace("ADDRESSES", "{value: 198.51.100.7}, {value: 10.0.0.10}, {type: Hostname, value: a.test}")
    )
    assert found(asked.gateways[KEY].owned, "Service")["spec"]["externalIPs"] == ["198.51.100.7"]
    assert programmed(asked)["reason"] == "AddressNotUsable"
    assert "10.0.0.10, a.test" in programmed(asked)["message"]


def test_a_file_for_objects_is_on_a_disk() -> None:
    parameters = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: p}
spec: {storage: {type: file, size: 9g}, terminationGracePeriod: 5m}
---
"""
    gateway = plan(GATEWAY.replace(CLASS, PARAMETERS) + parameters).gateways[KEY]
    spec = found(gateway.owned, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert gateway.pod
    assert gateway.pod.storage == "file,/var/cache/varnish-gateway/storage.bin,9g"
    assert {"name": "storage", "mountPath": "/var/cache/varnish-gateway"} in container["volumeMounts"]
    assert {"name": "storage", "emptyDir": {}} in spec["volumes"]
    assert spec["terminationGracePeriodSeconds"] == 300
    assert "--drain-deadline=285" in container["args"]


def test_external_names_are_for_the_class_to_permit() -> None:
    external = GATEWAY.replace("{ports: [{name: http, port: 80}]}", "{type: ExternalName, externalName: a.test}")
    assert external != GATEWAY
    text = external.replace(CLASS, PARAMETERS) + WEB
    parameters = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: p}
spec: {externalNames: false}
---
"""
    memory = Memory()
    refused = translate(snapshot_of(resources_of(text + parameters)), {}, CAREFUL, memory)
    assert (condition(refused, "HTTPRoute", "web", "ResolvedRefs") or {})["reason"] == "RefNotPermitted"
    permitting = parameters.replace("false", "true")
    permitted = translate(snapshot_of(resources_of(text + permitting)), {}, CAREFUL, memory)
    assert (condition(permitted, "HTTPRoute", "web", "ResolvedRefs") or {})["status"] == "True"
    bindings = [each for each in permitted.gateways[KEY].owned if each.manifest["kind"] == "RoleBinding"]
    assert len(bindings) == 1, "a name outside of the cluster has no EndpointSlices to read"


def test_what_could_not_be_written_is_told() -> None:
    told = programmed(plan(GATEWAY + SERVICE, obstacles={KEY: "Service gw-varnish is there already, and not ours"}))
    assert (told["status"], told["reason"]) == ("False", "Invalid")
    assert told["message"] == "Service gw-varnish is there already, and not ours"


def test_two_gateways_whose_objects_would_have_one_name() -> None:
    """The older one has it; were both to write, each would undo what the other wrote."""
    younger = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: more-varnish}
spec: {controllerName: varnish-software.com/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default, creationTimestamp: "2026-02-01T00:00:00Z"}
spec: {gatewayClassName: more-varnish, listeners: [{name: http, protocol: HTTP, port: 80}]}
---
"""
    older = GATEWAY.replace("{name: gw}", '{name: gw-more, creationTimestamp: "2026-01-01T00:00:00Z"}')
    both = plan(younger + older)
    assert list(both.gateways) == [("default", "gw-more")]
    assert programmed(both)["message"].endswith("is that of the older Gateway default/gw-more's")


def test_nothing_is_made_again_while_nothing_changes() -> None:
    memory = Memory()
    first = translate(snapshot_of(resources_of(GATEWAY + WEB)), {}, CLUSTER, memory).gateways[KEY].owned
    again = translate(snapshot_of(resources_of(GATEWAY + WEB + SERVICE)), {}, CLUSTER, memory).gateways[KEY].owned
    assert again is first
    changed = translate(snapshot_of(resources_of(GATEWAY)), {}, CLUSTER, memory).gateways[KEY].owned
    assert changed is not first


def test_secrets_are_in_no_representation() -> None:
    objects = objects_of(wanted(certificate_files={"default.a": b"private"}))
    assert "cHJpdmF0ZQ" not in repr(objects)
    assert "private" not in repr(wanted(certificate_files={"default.a": b"private"}))


@pytest.mark.parametrize(
    ("logging", "wanted", "message"),
    [
        ("{}", {"program": "varnishlog"}, ""),
        (
            "{mode: varnishncsa, format: '%h %s', extraArgs: [-q, A], image: i}",
            {"program": "varnishncsa", "arguments": ["-F", "%h %s", "-q", "A"]},
            "not served by this version: logging.image",
        ),
        ("{format: '%h'}", {"program": "varnishlog"}, "not served by this version: logging.format of varnishlog"),
        ("{mode: varnishlog-json}", None, "not served by this version: logging.mode varnishlog-json"),
    ],
)
def test_logging_is_carried_out_or_told(logging: str, wanted: dict[str, object] | None, message: str) -> None:
    parameters = f"""
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {{name: p}}
spec: {{logging: {logging}}}
---
"""
    found = plan(GATEWAY.replace(CLASS, PARAMETERS) + parameters)
    assert (condition(found, "Gateway", "gw", "Accepted") or {})["message"] == message
    pod = found.gateways[KEY].pod
    assert pod
    assert json.loads(pod.to_json()).get("request_log") == wanted
