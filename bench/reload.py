"""How long a change at 10,000 routes takes to be in effect, through chaperone, under load, and what is lost."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.document import PROBE, routing
from bench.load import Load, Wrk
from bench.plain import ADDRESS, BACKEND_PORT, BACKEND_VCL
from bench.table import table
from bench.varnish import Varnish
from varnish_gateway_common import names
from varnish_gateway_common.files import write_atomically
from varnish_gateway_common.pod import Pod, PodSocket
from varnish_gateway_common.routing import Backend, Forward, Redirect, Rule
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.translate.vcl import concatenated

ROUTES = 10_000
PORT, OTHER_PORT, WEB_PORT = 18090, 18001, 18091
CHANGES = 10
PROBE_REDIRECT, PROBE_BACKEND = "redirect.probe.test", "backend.probe.test"

SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [{address}]}}]
"""


@dataclass(frozen=True)
class Reload:
    """Milliseconds from the moment before a file is replaced to the first answer that shows it."""

    what: str
    milliseconds: tuple[float, ...]
    load: Load

    @property
    def failed(self) -> int:
        return self.load.broken + self.load.status


class Gateway:
    """A chaperone with its files."""

    def __init__(self, folder: Path) -> None:
        self.state, self.endpoints = folder / "state", folder / "endpoints"
        pod = Pod(
            version=1, gateway="default/gw", sockets=(PodSocket(name=names.socket_name("http", PORT), port=PORT),)
        )
        write_atomically(self.state / names.POD, pod.to_json())
        write_atomically(self.state / names.VCL, concatenated(vcl_parts(), "").encode())
        self.write_endpoints("web", BACKEND_PORT)
        self.write_endpoints("probe", BACKEND_PORT)
        self.write_routing("note-0")
        command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "run", "--state", str(self.state)]
        command += ["--endpoints", str(self.endpoints), "--run", str(folder / "run"), "--address", ADDRESS]
        command += ["--web", f"{ADDRESS}:{WEB_PORT}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def routing_json(self, note: str) -> bytes:
        redirect = Redirect(type="Redirect", status=301, hostname=f"{note}.example.com")
        forward = Forward(type="Forward", backends=(Backend(service=PROBE),))
        extra = (
            (PROBE_REDIRECT, Rule(route="default/redirect", action=redirect)),
            (PROBE_BACKEND, Rule(route="default/backend", action=forward)),
        )
        return routing(ROUTES, port=PORT, extra=extra).to_json()

    def write_routing(self, note: str) -> None:
        write_atomically(self.state / names.ROUTING, self.routing_json(note))

    def write_endpoints(self, name: str, port: int) -> None:
        text = SLICE.format(name=name, port=port, address=ADDRESS)
        write_atomically(self.endpoints / f"{name}.yaml", text.encode())


def ask(hostname: str) -> tuple[int, str]:
    """Status, and what tells one configuration from another: where a redirect points, or who answered."""
    connection = HTTPConnection(ADDRESS, PORT, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": hostname})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location") or answer.getheader("X-Backend") or ""
    except OSError:
        return 0, ""
    finally:
        connection.close()


def wait_for(claim: Callable[[], bool], seconds: float = 60) -> float:
    """Milliseconds until the claim holds."""
    start = time.monotonic()
    while not claim():
        if time.monotonic() - start > seconds:
            raise TimeoutError("a change was never in effect")
        time.sleep(0.002)
    return (time.monotonic() - start) * 1000


@contextmanager
def running() -> Iterator[Gateway]:
    with ExitStack() as stack:
        for port in (BACKEND_PORT, OTHER_PORT):
            vcl = BACKEND_VCL.replace("set resp.body", f'set resp.http.X-Backend = "{port}"; set resp.body')
            stack.enter_context(Varnish(f"backend {port}", vcl, ADDRESS, port))
        gateway = Gateway(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vgw-bench-"))))
        try:
            wait_for(lambda: ask(PROBE_BACKEND)[0] == 200)
            yield gateway
        finally:
            gateway.process.terminate()
            gateway.process.wait()


def run() -> Iterator[Reload]:
    with running() as gateway:
        yield measure("a route", gateway, change_route)
        yield measure("an endpoint", gateway, change_endpoint)


def measure(what: str, gateway: Gateway, change: Callable[[Gateway, int], float]) -> Reload:
    wrk = Wrk(f"http://{ADDRESS}:{PORT}", hosts=ROUTES, path="/page", seconds=2 * CHANGES, connections=16)
    times = []
    for number in range(1, CHANGES + 1):
        times.append(change(gateway, number))
        time.sleep(1)
    return Reload(what, tuple(times), wrk.result())


def change_route(gateway: Gateway, number: int) -> float:
    note = f"note-{number}"
    content = gateway.routing_json(note)  # made before the clock starts: this is the operator's work
    start = time.monotonic()
    write_atomically(gateway.state / names.ROUTING, content)
    wait_for(lambda: note in ask(PROBE_REDIRECT)[1])
    return (time.monotonic() - start) * 1000


def change_endpoint(gateway: Gateway, number: int) -> float:
    port = (BACKEND_PORT, OTHER_PORT)[number % 2]
    start = time.monotonic()
    gateway.write_endpoints("probe", port)
    wait_for(lambda: ask(PROBE_BACKEND)[1] == str(port))
    return (time.monotonic() - start) * 1000


def section() -> str:
    head = ("changed", "median ms", "slowest ms", "requests meanwhile", "failed")
    rows = (
        (
            row.what,
            f"{statistics.median(row.milliseconds):.0f}",
            f"{max(row.milliseconds):.0f}",
            f"{row.load.requests:,}",
            row.failed,
        )
        for row in run()
    )
    text = "From the moment before the file is replaced to the first answer that shows it."
    return f"# Changes at {ROUTES:,} routes, under load\n\n{text}\n\n{table(head, rows)}"
