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
