"""What users write: a Gateway with a Service, and a route."""


def gateway_of(namespace: str, *, class_name: str = "varnish") -> str:
    """`gw`, and the Service `web` beside it."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw, namespace: {namespace}}}
spec:
  gatewayClassName: {class_name}
  listeners: [{{name: http, protocol: HTTP, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {namespace}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
"""


def class_of(name: str, parameters: str = "") -> str:
    """A class with parameters of its own name; `parameters`: their spec, where they are to be there."""
    reference = f"{{group: gateway.varnish-software.com, kind: GatewayClassParameters, name: {name}}}"
    found = f"""
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {{name: {name}}}
spec: {parameters}
---
"""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: {name}}}
spec: {{controllerName: varnish-software.com/gateway, parametersRef: {reference}}}
---
{found if parameters else ""}"""


def route_of(namespace: str, *, gateway: str = "gw", backend: str | None = None) -> str:
    """`web`, to the Service `web` of its own namespace or another."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: {namespace}}}
spec:
  parentRefs: [{{name: {gateway}}}]
  rules: [{{backendRefs: [{{name: web, namespace: {backend or namespace}, port: 80}}]}}]
---
"""
