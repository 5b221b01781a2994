"""A varnishd for a benchmark: one socket, a VCL, and its child's CPU time and memory."""

import os
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.program import Program, cpu_seconds, processes
from varnish_gateway_chaperone.varnish.arguments import PARAMETERS

VARNISHD = os.environ.get("VARNISH_GATEWAY_VARNISHD", "varnishd")
VMOD_PATH = os.environ.get("VARNISH_GATEWAY_VMOD_PATH", "")


@dataclass
class Varnish(Program):
    """With the parameters that chaperone gives it."""

    name: str
    vcl: str
    address: str
    port: int
    ghost: bytes = b""
    """ghost.json, for a VCL that imports ghost."""
    cpu: int = 1
    arguments: tuple[str, ...] = ()
    """Further ones."""
    runner: tuple[str, ...] = ()
    """What it runs under."""

    def command(self) -> list[str]:
        folder = self.folder
        (folder / "main.vcl").write_text(self.vcl)
        (folder / "ghost.json").write_bytes(self.ghost)
        command = [*self.runner, VARNISHD, "-F", "-n", str(folder / "work"), "-f", str(folder / "main.vcl")]
        command += ["-a", f"http-{self.port}={self.address}:{self.port}", "-s", "malloc,64m"]
        command += ["-a", f"ghost={folder / 'ghost.sock'},mode=600"]
        parameters = PARAMETERS | {"vmod_path": VMOD_PATH}
        command += [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
        return [*command, *self.arguments]

    def environment(self) -> dict[str, str]:
        return {"VARNISH_GATEWAY_GHOST_FOLDER": str(self.folder)}

    def accepts(self) -> bool:
        """Sockets are open before anybody accepts: only an answer tells that the child runs."""
        connection = HTTPConnection(self.address, self.port, timeout=1)
        try:
            connection.request("GET", "/", headers={"Host": "host-0.example.com"})
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def child(self) -> int:
        return processes(self.process.pid)[1]

    def cpu_seconds(self) -> float:
        """User and system time of the child so far."""
        return cpu_seconds(self.child)

    def resident_mib(self) -> float:
        """Resident memory of the child without its shared memory logs."""
        return resident_mib(self.child)


def resident_mib(pid: int) -> float:
    """Anonymous memory only: varnishd's logs are shared files that fill with use, whatever the routes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no RssAnon of {pid}")
