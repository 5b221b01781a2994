"""A gateway's manifests, and backends for it."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chaperone_rig import QUICK_COMPILE

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: varnish}}
spec:
  controllerName: varnish-software.com/gateway
  parametersRef: {{group: gateway.varnish-software.com, kind: GatewayClassParameters, name: quick}}
---
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {{name: quick}}
spec: {{varnishdExtraArgs: QUICK}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: varnish
  listeners:
  - {{name: http, protocol: HTTP, port: {port}}}
---
""".replace("QUICK", json.dumps(QUICK_COMPILE))
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {gateway}}}]
  rules:
  - matches: [{{path: {{value: {path}}}}}]
    backendRefs: [{{name: web, port: 80}}]
---
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: ["{address}"]}}]
"""


class Backend(BaseHTTPRequestHandler):
    """An endpoint: /slow/ takes a second for its body, everything else answers at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = b"x" * 60_000

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.path.startswith("/slow/"):
            time.sleep(1)
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Backends(ThreadingHTTPServer):
    """In threads of their own, since tests ask without awaiting."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A gateway that is killed resets its connections."""
