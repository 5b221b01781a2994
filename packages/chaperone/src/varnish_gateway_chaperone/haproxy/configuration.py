"""haproxy.cfg and the lists of certificates, for sockets whose front is `proxy` (pure).

Nothing in them is a user's string: names of sockets and of certificates are checked, hostnames are too.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.varnish.arguments import MAX_SOCKET_PATH, Paths, listen_address
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket

BIND_SUFFIX: Final = len(".4194304.tmp")
"""HAProxy binds a unix socket under another name first."""

_BAD_REQUEST: Final = r'content-type "text/plain; charset=utf-8" string "400 Bad Request\n" hdr connection close'
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PATH: Final = re.compile(r"[A-Za-z0-9/_.+-]+")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*")

# Mozilla's "intermediate" without DHE: forward secrecy and authenticated encryption only.
CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
CIPHERSUITES: Final = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CURVES: Final = "X25519:P-256:P-384"
HYBRID: Final = "X25519MLKEM768"
"""First where OpenSSL has it: what is recorded today must not be read when there are quantum computers."""


KEPT_CONNECTIONS: Final = 8
"""What one client may keep open to varnishd between its requests: HTTP/2 asks for several things at once."""

STREAMS: Final = 100
"""What one connection over HTTP/2 may ask for at once."""

REFUSED: Final = (
    "METH_CONNECT",
    "{ fc_http_major 1 } !{ req.ver 1.0 1.1 }",
    "HTTP_1.0 { req.fhdr(transfer-encoding) -m found }",
    "HTTP_1.0 { method POST PUT } !{ req.fhdr(content-length) -m found }",
    "{ method HEAD } { req.hdr_val(content-length) gt 0 }",
    "{ method HEAD } { req.fhdr(transfer-encoding) -m found }",
)
"""What varnishd refuses on its own sockets, and what HAProxy would hand on as something else: the body of CONNECT as
the next request, another version as HTTP/1.1."""

CLOSE: Final = "x-gateway-close"
"""ghost's word that a client's connection is to be closed; HAProxy takes a server's Connection for itself."""


TOO_LARGE: Final = "431 Request Header Fields Too Large"
BARE_431: Final = "{ status 431 } !{ res.hdr(content-type) -m found }"


class ConfigurationError(Exception):
    """What HAProxy cannot be given, for want of a name or path that is safe."""


@dataclass(frozen=True)
class Limits:
    """What depends on the machine, or on the command line."""

    threads: int = 2
    connections: int = 20_000
    drain_seconds: float = 30.0
    has_ipv6: bool = True
    sockets: int = 180_000
    """Of clients, and what they keep open to varnishd."""
    requests: int = 4_000
    """At once, over all sockets: each is a thread of varnishd or, where it fetches, two (it has 10,000), and there a
    connection or two."""
    has_hybrid_groups: bool = False


@dataclass(frozen=True)
class FrontPaths:
    """HAProxy's files: in the run directory of one chaperone."""

    run: Path

    @property
    def configuration(self) -> Path:
        return self.run / "haproxy.cfg"

    @property
    def candidate(self) -> Path:
        """What is checked before it is used."""
        return self.run / "haproxy.candidate.cfg"

    @property
    def runtime_socket(self) -> Path:
        return self.run / "haproxy.sock"

    @property
    def master_socket(self) -> Path:
        return self.run / "master.sock"

    @property
    def certificates(self) -> Path:
        return self.run / "certificates"

    @property
    def lists(self) -> Path:
        return self.run / "lists"

    @property
    def last_good(self) -> Path:
        """The certificates.json of what serves."""
        return self.run / "last-good.certificates.json"

    def certificate(self, name: str) -> Path:
        return self.certificates / f"{name}.pem"

    def list(self, socket: str) -> Path:
        return self.lists / f"{socket}.list"

    def varnishd(self, socket: str) -> Path:
        """Where varnishd listens for what HAProxy passes on."""
        return Paths(self.run).front_socket(socket)


def proxied(pod: Pod) -> tuple[PodSocket, ...]:
    """The sockets that HAProxy opens."""
    return tuple(socket for socket in pod.sockets if socket.front == "proxy")


def configuration(
    pod: Pod, paths: FrontPaths, address: str, limits: Limits, *, with_default: Collection[str] = ()
) -> str:
    """haproxy.cfg, where some sockets answer unknown server names too. Raises ConfigurationError."""
    _check_path(paths)
    sockets = proxied(pod)
    for socket in sockets:
        check_name(socket.name)
    addresses = ("0.0.0.0", *(["::"] if limits.has_ipv6 else [])) if not address else (address,)  # noqa: S104
    requests = limits.requests // max(len(sockets), 1)
    pairs = (_pair(socket, paths, addresses, requests, is_strict=socket.name not in with_default) for socket in sockets)
    return "\n".join([_global(paths, limits, pod.head_limits), _defaults(limits), *pairs])


def certificate_list(entries: tuple[Entry, ...], paths: FrontPaths) -> str:
    """A crt-list: a line for each entry. Raises ConfigurationError.

    Without strict-sni the first line answers unknown names: an entry for any name comes first.
    """
    return "".join(f"{list_line(entry, paths)}\n" for entry in sorted(entries, key=lambda one: bool(one.server_names)))


def list_line(entry: Entry, paths: FrontPaths) -> str:
    """`<file> [<options>] <server names>`; without names `*`, since HAProxy would take the certificate's own."""
    check_name(entry.certificate)
    for name in entry.server_names:
        check_server_name(name)
    options = [f"alpn {','.join(entry.alpn)}"] if entry.alpn else ["no-alpn"]
    options += [f"ssl-min-ver {entry.min_version}"] if entry.min_version != "TLSv1.2" else []
    return f"{paths.certificate(entry.certificate)} [{' '.join(options)}] {' '.join(entry.server_names or ('*',))}"


def check_name(name: str) -> None:
    """Raises ConfigurationError for what is not the name of a file or of a socket."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a name of letters, digits, `-`, `_` and `.`")


def check_server_name(name: str) -> None:
    """Raises ConfigurationError for what is neither a hostname nor a wildcard."""
    if not _HOST.fullmatch(name) or len(name) > 255:
        raise ConfigurationError(f"{name!r} is not a server name")


def _check_path(paths: FrontPaths) -> None:
    if not _PATH.fullmatch(str(paths.run)):
        raise ConfigurationError(f"HAProxy needs a run directory without special characters, not {str(paths.run)!r}")
    if len(str(paths.runtime_socket)) + BIND_SUFFIX > MAX_SOCKET_PATH:
        raise ConfigurationError(f"the run directory {paths.run} is too long for unix sockets in it")


def _global(paths: FrontPaths, limits: Limits, heads: HeadLimits) -> str:
    return f"""\
global
    stats socket {paths.runtime_socket} mode 600 level admin expose-fd listeners
    nbthread {limits.threads}
    # HAProxy opens twice as many sockets: the frontends take fewer clients, so that what these keep has room.
    maxconn {limits.sockets // 2}
    hard-stop-after {max(round(limits.drain_seconds * 1000), 1)}ms
    # ghost judges heads. Here is room for more than it allows, and for an HTTP/2 client's cookies in their pieces.
    tune.bufsize {heads.buffer_bytes}
    tune.http.maxhdr {heads.fields_read}
    # What a thread keeps of freed memory: the default is 14 such buffers, and malloc's work for every further one.
    tune.memory.hot-size 2097152
    # Floods over HTTP/2.
    tune.h2.fe.max-concurrent-streams {STREAMS}
    tune.h2.fe.glitches-threshold 1000
    # A session of one port must not be resumed on another; tickets do for clients that come back.
    tune.ssl.cachesize 0
    tune.ssl.lifetime 1h
    ssl-default-bind-options ssl-min-ver TLSv1.2 prefer-client-ciphers
    ssl-default-bind-ciphers {CIPHERS}
    ssl-default-bind-ciphersuites {CIPHERSUITES}
    ssl-default-bind-curves {f"{HYBRID}:{CURVES}" if limits.has_hybrid_groups else CURVES}
"""


def _defaults(limits: Limits) -> str:
    return f"""\
defaults
    mode http
    maxconn {limits.connections}
    option idle-close-on-response
    option http-ignore-probes
    max-session-srv-conns {KEPT_CONNECTIONS}
    timeout client-hs 10s
    timeout http-request 10s
    # A little before varnishd's own 60 s: it must not close a connection that gets a request just then.
    timeout http-keep-alive 58s
    timeout client 60s
    timeout connect 3500ms
    # Above all that varnishd waits for by itself: its own answer is the better one.
    timeout server 300s
    # A connection tried again carries no request yet: none is sent twice.
    retries 3
    retry-on conn-failure
"""


def _pair(socket: PodSocket, paths: FrontPaths, addresses: Collection[str], requests: int, *, is_strict: bool) -> str:
    """A frontend, and the socket of the same name at varnishd, which takes so many requests at once.

    Half of them, but no less than a connection may ask for, are the most for one client over HTTP/2. A client is an
    address, or an IPv6 network of 64 bits, which is one customer's.

    http-reuse never: a connection to varnishd begins with its client's PROXY header, so it stays that client's own and
    ends with it. HAProxy's pool for all would tell clients apart by a hash of the header alone, and forgets most
    connections before their client's next request.

    abortonclose: varnishd is told of a client that has gone. So is it of one that only sends nothing more, which
    hardly any does over TLS; without TLS there are such clients.
    """
    is_tls = socket.protocol == "HTTPS"
    strict = " strict-sni" if is_strict else ""
    tls = f" ssl crt-list {paths.list(socket.name)}{strict}" if is_tls else ""
    proxy = " accept-proxy" if socket.accepts_proxy_protocol else ""
    told = " proxy-v2-options ssl,cert-cn,ssl-cipher,authority" if is_tls else ""
    options = f"name {socket.name}{tls}{proxy}"
    leaves = "\n    option abortonclose" if is_tls else ""
    places = [f"{listen_address(one, socket.port)}{' v6only' if one == '::' else ''}" for one in addresses]
    binds = "\n    ".join(f"bind {place} {options}" for place in places)
    refused = "\n    ".join(f"http-request return status 400 {_BAD_REQUEST} if {condition}" for condition in REFUSED)
    return f"""\
frontend {socket.name}
    {binds}
    {refused}
    http-response set-header connection close if {{ res.fhdr({CLOSE}) -m found }}
    http-response del-header {CLOSE}
    stick-table type ipv6 size 100k expire 10s store conn_cur
    http-request track-sc0 src,ipmask(32,64) if HTTP_2.0
    http-request deny deny_status 429 if {{ sc0_conn_cur gt {max(requests // 2, STREAMS)} }}
    default_backend {socket.name}

backend {socket.name}
    http-reuse never{leaves}
    # varnishd itself has no text for what is larger than it reads.
    http-response return status 431 content-type text/plain string "{TOO_LARGE}\\n" if {BARE_431}
    server varnishd unix@{paths.varnishd(socket.name)} maxconn {requests} send-proxy-v2{told}
"""
