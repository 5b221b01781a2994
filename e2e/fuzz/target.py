"""A gateway whose passes go one way, its backend, and one case on it."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from certificate_authority import pem
from clients import HTTP1, HTTP2, Request, connect, connect_tls, connected, trusting
from documents import translated
from front_rig import secret
from live_rig import LiveGateway
from places import own_address
from puppet import OWN, SETTLE_SECONDS, Puppet, serving
from varnish_gateway_common.pod import PodSocket
from wire_case import Front, WireCase

Way = Literal["Direct", "Fetch"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)
BACKEND_PORT: Final = 9009
PORTS: Final[dict[Front, int]] = {"direct": 8080, "h2c": 8081, "tls": 8443, "tls-h2": 8443}
SOCKETS: Final = (
    PodSocket(name="http-8080", port=8080),
    PodSocket(name="http-8081", port=8081, front="proxy"),
    PodSocket(name="https-8443", port=8443, protocol="HTTPS", front="proxy"),
)
FIRST_SECONDS: Final = 0.3
"""Who has heard nothing for so long hears nothing."""
SILENT_SECONDS: Final = 0.02
"""After an answer."""
VICTIM_SECONDS: Final = 30.0
ENOUGH_BYTES: Final = 1 << 20

_MANIFESTS: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: varnish}
spec: {controllerName: varnish-software.com/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: varnish
  listeners:
  - {name: direct, protocol: HTTP, port: 8080}
  - {name: h2c, protocol: HTTP, port: 8081}
  - {name: tls, protocol: HTTPS, port: 8443, tls: {certificateRefs: [{name: a}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules:
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: request}], remove: [x-remove]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-set, value: answer}], remove: [server]}
    backendRefs: [{name: web, port: 80}]
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
endpoints: [{addresses: ["BACKEND"]}]
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a case: the client's bytes, whether the gateway closed, and what the backend noted."""

    received: bytes
    is_closed: bool
    targets: list[str]
    doubts: list[str]


class Target:
    """Cases come one after the other."""

    def __init__(self, way: Way, gateway: LiveGateway, puppet: Puppet, first_seconds: float) -> None:
        self.way = way
        self._first_seconds = first_seconds
        self._gateway = gateway
        self._puppet = puppet
        self._asked = 0
        self._context = {protocol: trusting(protocol) for protocol in (HTTP1, HTTP2)}

    @property
    def processes(self) -> tuple[int, ...]:
        """Those that serve."""
        return self._gateway.serving

    def carry_out(self, case: WireCase) -> Outcome:
        self._puppet.begin(case)
        received, is_closed = b"", False
        with suppress(OSError), ExitStack() as stack:
            plain = stack.enter_context(self._opened(case.front))
            received, is_closed = _exchange(plain, case, self._first_seconds)
        return Outcome(received, is_closed, *self._puppet.taken())

    def _opened(self, front: Front) -> socket.socket:
        plain = connected(self._gateway.address, PORTS[front])
        if not front.startswith("tls"):
            return plain
        context = self._context[HTTP2 if front == "tls-h2" else HTTP1]
        return context.wrap_socket(plain, server_hostname="a.test", suppress_ragged_eofs=True)

    def serve_others(self) -> str:
        """Somebody else gets an answer of his own on every listener; what he got instead, or nothing."""
        for front, port in PORTS.items():
            self._asked += 1
            request = Request("a.test", f"{OWN}/{self._asked}", scheme="https" if port == PORTS["tls"] else "http")
            try:
                body = self._ask(front, request)
            except OSError as error:
                return f"{front}: {type(error).__name__}"
            if body != request.target.encode():
                return f"{front}: somebody else's"
        return ""

    def _ask(self, front: Front, request: Request) -> bytes:
        protocol = HTTP2 if front in ("h2c", "tls-h2") else HTTP1
        address, port = self._gateway.address, PORTS[front]
        is_tls = front.startswith("tls")
        opened = connect_tls(address, port, "a.test", protocol) if is_tls else connect(address, port, protocol)
        with opened as connection:
            return connection.ask(request).body


def _exchange(plain: socket.socket, case: WireCase, first_seconds: float) -> tuple[bytes, bool]:
    """All that comes back until the gateway closes or is silent."""
    received = bytearray()
    plain.settimeout(SILENT_SECONDS)
    try:
        for piece in case.sent:
            if piece:
                plain.settimeout(first_seconds)
                plain.sendall(piece)
                time.sleep(SETTLE_SECONDS if len(case.sent) > 1 else 0)
        while len(received) < ENOUGH_BYTES:
            plain.settimeout(SILENT_SECONDS if received else first_seconds)
            if not (some := plain.recv(65536)):
                return bytes(received), True
            received += some
    except TimeoutError:
        return bytes(received), False
    except OSError:
        return bytes(received), True
    return bytes(received), False


@contextmanager
def running(way: Way, folder: Path, first_seconds: float = FIRST_SECONDS) -> Iterator[Target]:
    """Serving; a client waits so long for the first byte of an answer."""
    backend = own_address()
    manifests = _MANIFESTS.replace("BACKEND", backend) + secret("a", pem("a.test", serial=1))
    documents = translated(manifests.encode())["default/gw"].passing(way)
    gateway = LiveGateway(folder, SOCKETS)
    with serving(backend, BACKEND_PORT) as puppet, gateway.running():
        gateway.load(documents)
        yield Target(way, gateway, puppet, first_seconds)
