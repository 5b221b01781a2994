"""What stands before varnishd and speaks TLS: our HAProxy, the same in TCP mode, hitch. And nginx, alone."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.program import Program
from bench.varnish import Varnish
from varnish_gateway_chaperone.haproxy.configuration import (
    CIPHERS,
    CIPHERSUITES,
    CURVES,
    FrontPaths,
    Limits,
    certificate_list,
    configuration,
)
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.pod import Pod, PodSocket

HAPROXY = os.environ.get("VARNISH_GATEWAY_HAPROXY", "haproxy")
SOCKET = "https-8443"
NAME = "host-0.example.com"
BODY = "x" * 1024

# A cached answer without a backend, which a user's VCL may well have.
HIT_VCL = f"""
vcl 4.1;
backend default none;
sub vcl_recv {{ return (hash); }}
sub vcl_backend_error {{
    set beresp.status = 200;
    set beresp.ttl = 1h;
    set beresp.http.Content-Type = "text/plain";
    set beresp.body = "{BODY}";
    return (deliver);
}}
"""

HITCH = """
frontend = {{
    host = "{address}"
    port = "{port}"
}}
backend = "{backend}"
pem-file = "{pem}"
workers = 1
write-proxy-v2 = on
alpn-protos = "http/1.1"
tls-protos = TLSv1.2 TLSv1.3
ciphers = "{ciphers}"
ciphersuites = "{suites}"
ecdh-curve = "{curves}"
prefer-server-ciphers = off
daemon = off
quiet = on
"""

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {ciphers};
    ssl_conf_command Ciphersuites {suites};
    ssl_ecdh_curve {curves};
    ssl_session_cache off;
    server {{
        listen {address}:{port} ssl http2;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        location / {{ default_type text/plain; return 200 "{body}"; }}
    }}
}}
"""


@dataclass
class Front(Program):
    """On the processor of what is measured."""

    name: str
    started_by: list[str]
    address: str
    port: int
    varnish: Varnish | None = None
    """The one behind it."""

    def command(self) -> list[str]:
        return self.started_by

    def own_cpu_seconds(self) -> float:
        return super().cpu_seconds()

    def cpu_seconds(self) -> float:
        """With that of the varnishd behind it."""
        return self.own_cpu_seconds() + (self.varnish.cpu_seconds() if self.varnish else 0)


@dataclass(frozen=True)
class Fronts:
    """Makes them: one certificate, the same ciphers, one worker each."""

    folder: Path
    address: str

    @property
    def paths(self) -> FrontPaths:
        return FrontPaths(self.folder)

    @property
    def socket(self) -> Path:
        """Where varnishd listens."""
        return self.paths.varnishd(SOCKET)

    def haproxy(self, port: int, varnish: Varnish | None = None, *, connections: int = 4000) -> Front:
        """With the configuration that chaperone makes."""
        return self._haproxy("HAProxy", self.configuration(port, connections), port, varnish)

    def haproxy_tcp(self, port: int, varnish: Varnish, socket: Path) -> Front:
        """The same, but bytes only: HTTP/2 is varnishd's business."""
        text = (
            self.configuration(port, 4000).replace("mode http\n", "mode tcp\n").replace(str(self.socket), str(socket))
        )
        http = ("http-re", "option idle-close", "option http-", "max-session-srv", "timeout http-")
        lines = [line for line in text.splitlines() if not line.strip().startswith(http)]
        return self._haproxy("HAProxy, TCP mode", "\n".join([*lines, ""]), port, varnish)

    def _haproxy(self, name: str, text: str, port: int, varnish: Varnish | None) -> Front:
        file = self.folder / f"{port}.cfg"
        file.write_text(text)
        return Front(name, [HAPROXY, "-db", "-f", str(file)], self.address, port, varnish)

    def configuration(self, port: int, connections: int) -> str:
        socket = PodSocket(name=SOCKET, port=port, protocol="HTTPS", front="proxy")
        limits = Limits(threads=1, connections=connections, sockets=2 * connections)
        pod = Pod(version=1, gateway="default/gw", sockets=(socket,))
        text = configuration(pod, self.paths, self.address, limits, with_default=(SOCKET,))
        return text.replace(str(self.paths.runtime_socket), str(self.folder / f"{port}.sock"))

    def write_certificates(self, pems: dict[str, bytes]) -> None:
        """The first answers any server name, the others their own."""
        self.paths.certificates.mkdir(exist_ok=True)
        self.paths.lists.mkdir(exist_ok=True)
        for name, pem in pems.items():
            self.paths.certificate(name).write_bytes(pem)
        first, *others = pems
        entries = (Entry(certificate=first), *(Entry(certificate=name, server_names=(name,)) for name in others))
        self.paths.list(SOCKET).write_text(certificate_list(entries, self.paths))

    def hitch(self, port: int, varnish: Varnish) -> Front:
        text = HITCH.format(backend=self.socket, **self._tls(port))
        # hitch does not run as root; who is not root cannot change.
        text += 'user = "nobody"\n' if os.getuid() == 0 else ""
        file = self.folder / "hitch.conf"
        file.write_text(text)
        return Front("hitch", ["hitch", "--config", str(file)], self.address, port, varnish)

    def nginx(self, port: int) -> Front:
        file = self.folder / "nginx.conf"
        file.write_text(NGINX.format(body=BODY, folder=self.folder, **self._tls(port)))
        return Front("nginx", ["nginx", "-e", "/dev/null", "-c", str(file)], self.address, port)

    def _tls(self, port: int) -> dict[str, str]:
        pem = next(iter(sorted(self.paths.certificates.glob("*.pem"))))
        found = {"address": self.address, "port": str(port), "pem": str(pem)}
        return found | {"ciphers": CIPHERS, "suites": CIPHERSUITES, "curves": CURVES}
