"""What is told of a folder: each mistake once, at its field, with what exists instead, and none of its consequences."""

import json
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from operator_rig import CLASS, GATEWAY, OPTIONS, condition, plan, report, resources_of, route
from test_objects_golden import CLUSTER as IN_CLUSTER
from varnish_gateway_common.document import digest
from varnish_gateway_common.report import Refusal
from varnish_gateway_operator import app
from varnish_gateway_operator.files import FolderSource
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.state import StateFolder
from varnish_gateway_operator.telling import lines_of
from varnish_gateway_operator.translate import Memory, translate

ROUTE: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: app
spec:
  parentRefs:
  - name: gw
  rules:
  - backendRefs:
    - name: web
      port: 80
"""


def told(folder: Path, **files: str) -> list[str]:
    """Of a folder of a Gateway, a Service and a route, with other files in the place of some."""
    for name, text in ({"gateway": GATEWAY, "route": ROUTE} | files).items():
        (folder / f"{name}.yaml").write_text(text)
    source = FolderSource(folder)
    found = translate(source.read(), {}, app.options(), Memory())
    return [line.text for line in source.lines(found.findings).values()]


def test_nothing_is_told_of_what_is_well(tmp_path: Path) -> None:
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("was", "is_now", "expected"),
    [
        (
            "  - name: gw",
            "  - name: gv",
            "route.yaml:8:11 HTTPRoute default/app: parentRefs[0] names Gateway default/gv, which does not exist; "
            "there is default/gw",
        ),
        (
            "  - name: gw",
            "  - {name: gw, namespace: infra}",
            "route.yaml:8:12 HTTPRoute default/app: parentRefs[0] names Gateway infra/gw, which does not exist; "
            "did you mean default/gw?",
        ),
        (
            "  - name: gw",
            "  - {name: gw, sectionName: https}",
            "route.yaml:8:29 HTTPRoute default/app: parentRefs[0]: no listener of Gateway default/gw has the name "
            "https; it has http (port 8080)",
        ),
        (
            "  - name: gw",
            "  - {name: gw, port: 80}",
            "route.yaml:8:22 HTTPRoute default/app: parentRefs[0]: no listener of Gateway default/gw has the port 80; "
            "it has http (port 8080)",
        ),
        (
            "  parentRefs:\n  - name: gw\n",
            "",
            "route.yaml:7:3 HTTPRoute default/app: names no Gateway: add parentRefs, as [{name: NAME}]",
        ),
        (
            "  - name: gw",
            "  - {kind: Gatway, name: gw}",
            "route.yaml:8:12 HTTPRoute default/app: parentRefs[0] is a gateway.networking.k8s.io/Gatway: "
            "only Gateways are served",
        ),
        (
            "    - name: web",
            "    - name: wep",
            "route.yaml:11:13 HTTPRoute default/app: rules[0].backendRefs[0] names Service default/wep, "
            "which does not exist; did you mean default/web?",
        ),
        (
            "port: 80",
            "port: 8080",
            "route.yaml:12:13 HTTPRoute default/app: rules[0].backendRefs[0].port is 8080, "
            "which Service default/web does not have; it has 80",
        ),
        (
            "kind: HTTPRoute",
            "kind: HttpRoute",
            "route.yaml:3:7 HttpRoute default/app: kind: HttpRoute of gateway.networking.k8s.io is not served by this "
            "version; did you mean HTTPRoute?",
        ),
        (
            "gateway.networking.k8s.io/v1",
            "networking.k8s.io/v1",
            "route.yaml:2:13 HTTPRoute default/app: apiVersion is 'networking.k8s.io/v1', which has no HTTPRoute; "
            "did you mean gateway.networking.k8s.io/v1?",
        ),
        (
            "    - name: web\n      port: 80",
            "    - name: web\n      port: 80\n      port: 80",
            "route.yaml:13:7 this key stands twice in its mapping, first in line 12",
        ),
        (
            "name: app",
            "name: {{ .Release.Name }}",
            "route.yaml:5:10 a template ({{ }}), not YAML: render it first, as `helm template` does, and use what "
            "comes out",
        ),
    ],
)
def test_a_mistake_in_a_route(tmp_path: Path, was: str, is_now: str, expected: str) -> None:
    assert was in ROUTE
    assert told(tmp_path, route=ROUTE.replace(was, is_now)) == [expected]


@pytest.mark.parametrize(
    ("was", "is_now", "expected"),
    [
        (
            "gatewayClassName: varnish",
            "gatewayClassName: varnsih",
            "gateway.yaml:12:21 Gateway default/gw: gatewayClassName names GatewayClass varnsih, which does not exist; "
            "did you mean varnish?",
        ),
        (
            "varnish-software.com/gateway",
            "varnish.software.com/gateway",
            "gateway.yaml:5:24 GatewayClass varnish: controllerName is 'varnish.software.com/gateway', not "
            "varnish-software.com/gateway: this gateway does not serve it",
        ),
        (
            "protocol: HTTP,",
            "protocol: http,",
            "gateway.yaml:14:28 Gateway default/gw: listeners[0].protocol: 'http' is not a supported protocol: "
            "write HTTP",
        ),
        (
            "port: 8080",
            "port: 9180",
            "gateway.yaml:14:40 Gateway default/gw: listeners[0]: port 9180 serves the gateway's own health and "
            "metrics: take another",
        ),
        (
            "protocol: HTTP,",
            "protocol: HTTPS,",
            "gateway.yaml:14:5 Gateway default/gw: listeners[0]: tls.certificateRefs names no certificate",
        ),
        (
            "listeners:",
            "listener:",
            "gateway.yaml:13:3 Gateway default/gw: spec.listener: unknown field; did you mean listeners?",
        ),
    ],
)
def test_a_mistake_in_a_gateway_is_not_told_of_its_routes(tmp_path: Path, was: str, is_now: str, expected: str) -> None:
    assert was in GATEWAY
    found = told(tmp_path, gateway=GATEWAY.replace(was, is_now))
    assert found[-1] == expected
    assert len(found) == (2 if was == "listeners:" else 1)  # a field that is missing, and one that is unknown


def test_a_file_that_cannot_be_read_has_no_consequences(tmp_path: Path) -> None:
    assert told(tmp_path, gateway="kind: [") == ["gateway.yaml:2:1 not valid YAML: " + MISSING]


MISSING: Final = "a value that is missing, or a '[' or '{' that is not closed"


def test_a_route_is_told_why_it_is_not_on_a_listener(tmp_path: Path) -> None:
    """Not that allowedRoutes forbid, where it is the protocol."""
    for protocol, reason in (
        ("http", "the listeners that would take the route are not accepted: http"),
        ("HTTP", None),
    ):
        text = GATEWAY.replace("protocol: HTTP", f"protocol: {protocol}")
        accepted = condition(plan(text + route("[{}]")), "HTTPRoute", "web", "Accepted") or {}
        assert accepted["message"] == (reason or "")


def test_a_listener_for_other_kinds_or_namespaces_is_told_as_such() -> None:
    kinds = GATEWAY.replace("port: 8080", "port: 8080, allowedRoutes: {kinds: [{kind: GRPCRoute}]}")
    told = condition(plan(kinds + route("[{}]")), "HTTPRoute", "web", "Accepted") or {}
    assert told["message"] == "allowedRoutes.kinds of listener http of Gateway default/gw do not have HTTPRoute"
    none = GATEWAY.replace("port: 8080", "port: 8080, allowedRoutes: {namespaces: {from: None}}")
    told = condition(plan(none + route("[{}]")), "HTTPRoute", "web", "Accepted") or {}
    assert told["message"].endswith("do not permit routes of namespace default: from is None")


@pytest.mark.parametrize(("is_serving", "kept"), [(True, "what was good before serves"), (False, "nothing serves")])
def test_only_what_serves_is_said_to_serve(is_serving: bool, kept: str) -> None:
    pod = plan(GATEWAY).gateways["default", "gw"].pod
    assert pod
    refusal = Refusal(input="pod", digest=digest(pod.to_json()), message="Permission denied")
    found = plan(GATEWAY, reports={("default", "gw"): [report(refusals=(refusal,), is_serving=is_serving)]})
    message = (condition(found, "Gateway", "gw", "Programmed") or {})["message"]
    assert message == (
        f"varnishd does not start with these listeners, arguments and storage, {kept}: Permission denied"
    )


def test_a_rule_that_matches_nothing_is_not_said_to_answer() -> None:
    """One rule that is answered, one that matches nothing, one of both, one that is well."""
    rules = """[{matches: [{path: {value: /a}}], timeouts: {request: 1s}}, {matches: [{path: {value: b}}]},
      {matches: [{path: {value: c}}, {path: {value: /c}}]}, {matches: [{path: {value: /d}}]}]"""
    partially = condition(plan(GATEWAY + route(rules)), "HTTPRoute", "web", "PartiallyInvalid") or {}
    assert partially["message"].startswith(
        "Dropped Rule 0, which is answered with 500; Rule 1, which matches nothing; "
        "Rule 2, whose other matches are answered with 500: "
    )


def test_once_and_mended_when_gone(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "gateway.yaml").write_text(GATEWAY)
    (folder / "route.yaml").write_text(ROUTE.replace("name: gw", "name: gv"))
    rounds = app.Rounds(FolderSource(folder), StateFolder(tmp_path / "out"), app.options())
    line = "route.yaml:8:11 HTTPRoute default/app: parentRefs[0] names Gateway default/gv, which does not exist; "
    line += "there is default/gw"

    def said() -> list[str]:
        with capture_logs() as logs:
            rounds.run()
        return [each["event"] for each in logs if "translated" not in each["event"]]

    assert said() == [line]
    (folder / "other.yaml").write_text(ROUTE.replace("name: app", "name: other"))
    assert said() == []
    (folder / "route.yaml").write_text("\n\n" + ROUTE.replace("name: gw", "name: gv"))
    assert said() == [], "wherever it stands"
    (folder / "route.yaml").write_text(ROUTE)
    assert said() == [f"mended: {line}"]


def test_what_nobody_reads_is_counted_and_nothing_is_told_as_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()

    def said() -> list[str]:
        rounds = app.Rounds(FolderSource(folder), StateFolder(tmp_path / "out"), app.options())
        with capture_logs() as logs:
            rounds.run()
        assert rounds.has_errors
        return [each["event"] for each in logs if "translated" not in each["event"]]

    assert said() == [f"no manifest (*.yaml, *.yml, *.json) is in {folder}: nothing is served"]
    for name, kind in (("a", "Deployment"), ("b", "Ingress"), ("c", "Deployment")):
        content = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
        (folder / f"{name}.json").write_text(json.dumps(content))
    assert said() == [
        f"no Gateway is among the manifests of {folder}: nothing is served",
        "3 objects of other kinds passed over: Deployment 2, Ingress 1",
    ]


def test_others_gateways_are_theirs_in_a_cluster() -> None:
    """A class of another controller, and routes on its Gateways, are nobody's mistake there."""
    theirs = CLASS.replace("varnish", "other").replace("other-software.com/gateway", "example.com/other")
    text = theirs + GATEWAY.replace(CLASS, "").replace("gatewayClassName: varnish", "gatewayClassName: other")
    assert translate(snapshot_of(resources_of(text + route("[{}]"))), {}, IN_CLUSTER, Memory()).findings == ()
    assert translate(snapshot_of(resources_of(text + route("[{}]"))), {}, OPTIONS, Memory()).findings


def test_in_a_cluster_the_object_is_the_place() -> None:
    found = translate(snapshot_of(resources_of(GATEWAY + route("[{}]").replace("gw", "gv"))), {}, IN_CLUSTER, Memory())
    waiting = "Gateway default/gw: the Service has no address yet"
    wrong = "HTTPRoute default/web: parentRefs[0] names Gateway default/gv, which does not exist; there is default/gw"
    lines = lines_of(found.findings, frozenset())
    assert [(line.text, line.is_error) for line in lines.values()] == [(waiting, False), (wrong, True)]
    lines = lines_of(found.findings, frozenset({("Gateway", "default", "gv")}))
    assert [line.text for line in lines.values()] == [waiting]


def test_a_vcl_that_does_not_compile_is_told_at_its_line(tmp_path: Path) -> None:
    vcl = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: own}
spec: {userVCLConfigMapRef: {name: vcl, namespace: default}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: vcl}
data:
  user.vcl: |
    sub vcl_recv {
      std.log("x");
    }
"""
    own = "parametersRef: {group: gateway.varnish-software.com, kind: GatewayClassParameters, name: own}"
    (tmp_path / "gateway.yaml").write_text(GATEWAY.replace("/gateway}", f"/gateway, {own}}}"))
    (tmp_path / "vcl.yaml").write_text(vcl)
    source = FolderSource(tmp_path)
    text = translate(source.read(), {}, OPTIONS, Memory()).gateways["default", "gw"].vcl or ""
    line = text.splitlines().index('  std.log("x");') + 1
    message = f"Symbol not found: 'std.log'\nAt: (main.vcl Line {line} Pos 3) -- (Pos 9)\n  std.log\n--####\n"
    refusal = Refusal(input="vcl", digest=digest(text.encode()), message=message)
    found = translate(source.read(), {("default", "gw"): [report(refusals=(refusal,))]}, OPTIONS, Memory())
    assert [each.text for each in source.lines(found.findings).values()] == [
        "vcl.yaml:13:7 ConfigMap default/vcl: user.vcl:2:3: Symbol not found: 'std.log'; add: import std;"
    ]
    status = (condition(found, "Gateway", "gw", "Programmed") or {})["message"]
    assert status == (
        "ConfigMap default/vcl does not compile, nothing serves: "
        "user.vcl:2:3: Symbol not found: 'std.log'; add: import std;"
    )
