"""What several tests need: manifests as text, and what becomes of them."""

from pathlib import Path
from typing import Any, Final

from varnish_gateway_common.manifests import parse as parse_yaml
from varnish_gateway_common.report import Report
from varnish_gateway_common.routing import Routing
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.parse import kind_of, parse
from varnish_gateway_operator.snapshot import Snapshot, snapshot_of
from varnish_gateway_operator.translate import Memory, Options, Plan, Reports, translate
from varnish_gateway_operator.translate.vcl import VclParts

OPTIONS: Final = Options(
    vcl=VclParts(preamble="vcl 4.1;\n# before\n", direct="# direct\n", postamble="# after\n"),
    shares_host=True,
    has_external_names=True,
)

CLASS: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: varnish}
spec: {controllerName: varnish-software.com/gateway}
---
"""

OWN_PARAMETERS: Final = "parametersRef: {group: gateway.varnish-software.com, kind: GatewayClassParameters, name: own}"

GATEWAY: Final = (
    CLASS
    + """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: varnish
  listeners:
  - {name: http, protocol: HTTP, port: 8080}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
"""
)


def route(rules: str, *, name: str = "web", hostnames: str = "[]") -> str:
    """An HTTPRoute on the Gateway; `rules` in YAML's flow style."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec: {{parentRefs: [{{name: gw}}], hostnames: {hostnames}, rules: {rules}}}
---
"""


def contents_of(text: str) -> list[dict[str, Any]]:
    found = parse_yaml(Path("in.yaml"), text.encode())
    assert not found.mistakes
    return [dict(manifest.content) for manifest in found.manifests]


def resources_of(text: str) -> list[Resource]:
    found = []
    for content in contents_of(text):
        kind = kind_of(content)
        assert kind is not None
        found.append(parse(kind, content, unknown_fields="forbid"))
    return found


def snapshot(text: str) -> Snapshot:
    return snapshot_of(resources_of(text))


def plan(text: str, *, reports: Reports | None = None, memory: Memory | None = None) -> Plan:
    return translate(snapshot(text), reports or {}, OPTIONS, memory or Memory())


def routing(found: Plan, gateway: tuple[str, str] = ("default", "gw")) -> Routing:
    return Routing.from_json(found.gateways[gateway].routing)


def condition(found: Plan, kind: str, name: str, type_: str, *, part: str | None = None) -> dict[str, Any] | None:
    """A condition of an object in `default`: of a route's first parent, of the Gateway or of its listener `part`."""
    namespace = "" if kind == "GatewayClass" else "default"
    status = found.statuses[kind, namespace, name].status
    if kind == "HTTPRoute":
        status = status["parents"][0]
    elif part:
        status = next(listener for listener in status["listeners"] if listener["name"] == part)
    return next((each for each in status["conditions"] if each["type"] == type_), None)


def report(**fields: Any) -> Report:
    return Report(version=1, pod="host", **fields)
