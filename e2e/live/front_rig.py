"""One gateway with every kind of front, for tests that share it: direct, h2c, TLS, and behind a load balancer."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from certificate_authority import pem
from documents import Documents, translated
from live_rig import LiveGateway
from places import NETWORK, moved
from recorder import Recorder, recording
from varnish_gateway_common.pod import PodSocket

DIRECT, H2C, BALANCED, TLS, BALANCED_TLS = 8080, 8081, 8090, 8443, 8444
SOCKETS: Final = (
    PodSocket(name="http-8080", port=DIRECT),
    PodSocket(name="http-8081", port=H2C, front="proxy"),
    PodSocket(name="http-8090", port=BALANCED, accepts_proxy_protocol=True),
    PodSocket(name="https-8443", port=TLS, protocol="HTTPS", front="proxy"),
    PodSocket(name="https-8444", port=BALANCED_TLS, protocol="HTTPS", front="proxy", accepts_proxy_protocol=True),
)
BACKEND: Final = f"{NETWORK}9", 9009
SERIALS: Final = {"a": 0xA, "b": 0xB}

_MANIFESTS: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: varnish}
spec:
  controllerName: varnish-software.com/gateway
  parametersRef: {group: gateway.varnish-software.com, kind: GatewayClassParameters, name: parameters}
---
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: parameters}
spec:
  clientAddress: {trustedNetworks: [198.51.100.0/24, "2001:db8::/32"]}
  userVCLConfigMapRef: {name: user-vcl, namespace: default}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: user-vcl}
data:
  user.vcl: |
    sub vcl_recv { set req.http.User-Saw = client.ip; }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: varnish
  listeners:
  - {name: direct, protocol: HTTP, port: 8080}
  - {name: h2c, protocol: HTTP, port: 8081}
  - {name: balanced, protocol: HTTP, port: 8090}
  - {name: a, protocol: HTTPS, port: 8443, hostname: a.test, tls: {certificateRefs: [{name: a}]}}
  - {name: b, protocol: HTTPS, port: 8443, hostname: b.test, tls: {certificateRefs: [{name: b}]}}
  - name: modern
    protocol: HTTPS
    port: 8443
    hostname: modern.test
    tls: {certificateRefs: [{name: b}], options: {gateway.varnish-software.com/min-version: "1.3"}}
  - name: old
    protocol: HTTPS
    port: 8443
    hostname: old.test
    tls: {certificateRefs: [{name: b}], options: {gateway.varnish-software.com/alpn: http/1.1}}
  - {name: balanced-tls, protocol: HTTPS, port: 8444, hostname: a.test, tls: {certificateRefs: [{name: a}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules:
  - backendRefs: [{name: web, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: answered}
spec:
  parentRefs: [{name: gw}]
  hostnames: [x.test]
  rules:
  - filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{name: http, port: 80, targetPort: 9009}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 9009}]
endpoints: [{addresses: ["127.10.0.9"]}]
"""


class Front:
    """The gateway, its backend, and what it was given."""

    def __init__(self, gateway: LiveGateway, backend: Recorder, documents: Documents) -> None:
        self.gateway = gateway
        self.address = gateway.address
        self.backend = backend
        self.documents = documents


def secret(name: str, content: bytes) -> str:
    """A Secret of a certificate with its key."""
    chain, mark, key = content.partition(b"-----BEGIN PRIVATE KEY-----")
    fields = f"tls.crt: {base64.b64encode(chain).decode()}, tls.key: {base64.b64encode(mark + key).decode()}"
    return (
        f"\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\ndata: {{{fields}}}"
    )


def documents(edit: tuple[str, str] = ("", ""), **serials: int) -> Documents:
    """Of these manifests, with one edit, and with certificates of these serial numbers."""
    text = _MANIFESTS.replace(*edit) if edit[0] else _MANIFESTS
    for name, serial in (SERIALS | serials).items():
        text += secret(name, pem(f"{name}.test", "modern.test", "old.test", serial=serial))
    return translated(moved(text.encode()))["default/gw"]


@contextmanager
def running_front(folder: Path, *options: str, files: int = 0) -> Iterator[Front]:
    """Serving, with so many open files at most."""
    given = documents()
    gateway = LiveGateway(folder, SOCKETS)
    with recording(*BACKEND) as backend, gateway.running(*options, files=files):
        gateway.load(given)
        yield Front(gateway, backend, given)
