"""A chaperone with a real varnishd and ghost, for one case after the other."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from case import Case
from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.ghost import Ghost
from varnish_gateway_common.pod import Pod, PodSocket
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.translate.vcl import concatenated

PORTS = (8080, 8081, 8090)
ADDRESS = "127.20.0.1"
DEFAULT_VCL = concatenated(vcl_parts(), "").encode()


def wait_for(what: str, claim: Callable[[], bool], seconds: float = 15) -> None:
    """Poll until the claim holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


class LiveGateway:
    """A chaperone that is given one case after the other."""

    def __init__(self, folder: Path) -> None:
        self.address = ADDRESS
        self.state = folder / "state" / "default" / "gw"
        self.endpoints = folder / "endpoints"
        self.run = folder / "run"

    def start(self) -> subprocess.Popen[bytes]:
        sockets = tuple(PodSocket(name=names.socket_name("http", port), port=port) for port in PORTS)
        write_if_changed(self.state / names.POD, Pod(version=1, gateway="default/gw", sockets=sockets).to_json())
        self.endpoints.mkdir(parents=True)
        command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "run", "--state", str(self.state)]
        command += ["--endpoints", str(self.endpoints), "--run", str(self.run)]
        command += ["--address", ADDRESS, "--web", f"{ADDRESS}:{names.WEB_PORT}"]
        return subprocess.Popen(command)

    def load(self, case: Case, gateway: str) -> None:
        """Give it the case's documents, and wait until ghost runs them."""
        user_vcl = case.gateways[gateway] / names.VCL
        write_if_changed(self.endpoints / "in.yaml", (case.folder / "in.yaml").read_bytes())
        write_if_changed(self.state / names.VCL, user_vcl.read_bytes() if user_vcl.exists() else DEFAULT_VCL)
        write_if_changed(self.state / names.ROUTING, case.routing(gateway))
        wanted = case.ghost(gateway)
        wait_for(f"{case.folder.name} to be in effect", lambda: self._runs(wanted))

    def _runs(self, wanted: Ghost) -> bool:
        try:
            running = Ghost.from_json((self.run / names.GHOST).read_bytes())
            report = json.loads((self.state / names.REPORT).read_bytes())
        except FileNotFoundError:
            return False
        vcl = digest((self.state / names.VCL).read_bytes())
        return running == wanted and report.get("vcl_digest") == vcl and report.get("is_serving", False)
