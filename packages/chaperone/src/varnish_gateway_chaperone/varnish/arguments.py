"""The arguments of varnishd (pure)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_common.heads import FIRST_LINE, HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket

PARAMETERS: Final[dict[str, str]] = {
    # From a connection's beginning to the end of its first request's head. Ghost then gives it 60 s.
    "timeout_idle": "10",
    "connect_timeout": "3.5",
    "first_byte_timeout": "60",
    "between_bytes_timeout": "60",
    # A body may take as long as it flows: idle_send_timeout (60 s) ends what does not.
    "send_timeout": "never",
    # In pieces of this size a body lies in memory, each freed when it is sent. Ghost reads few ahead of a slow
    # client; transit_buffer is not for here, since what nobody reads yet would wait for ever.
    "fetch_maxchunksize": "1M",
    # A user's VCL may declare what it does not use.
    "vcc_feature": "-err_unref",
    # A fifth of the default still holds some seconds of a busy gateway's log.
    "vsl_space": "16M",
    # A child that hangs is killed after this many seconds and started anew by varnishd itself.
    "cli_timeout": "30",
}

MAX_SOCKET_PATH: Final = 107
"""Bytes of a unix socket's path."""

LAST_PARAMETERS: Final[dict[str, str]] = {
    # After a user's own: varnishd's HTTP/2 stays off, since it cannot drain and most advisories need it.
    "feature": "-http2",
    # User VCL may include files of vcl_path alone: any other would be shown line by line where it does not compile.
    "vcc_feature": "-unsafe_path",
    # Nor does Varnish judge what backends say of ranges, which fails passes; ghost asks for the ranges of what is kept.
    "http_range_support": "off",
}


@dataclass(frozen=True)
class Paths:
    """Where varnishd finds and leaves its files: all in the run directory of one chaperone."""

    run: Path

    @property
    def workdir(self) -> Path:
        return self.run / "varnish"

    @property
    def secret(self) -> Path:
        return self.run / "secret"

    @property
    def ghost_socket(self) -> Path:
        return self.run / "ghost.sock"

    def front_socket(self, name: str) -> Path:
        """Where HAProxy finds varnishd's socket of this name."""
        return self.run / f"{name}.sock"

    @property
    def ghost(self) -> Path:
        return self.run / names.GHOST

    @property
    def ghost_candidate(self) -> Path:
        return self.run / names.GHOST_CANDIDATE

    @property
    def vcl(self) -> Path:
        """The text that is being loaded; the compiler's messages name it. Nothing else is in its folder, since user
        VCL can include what is there."""
        return self.run / "vcl" / names.VCL

    @property
    def last_good_vcl(self) -> Path:
        return self.run / "last-good.vcl"

    @property
    def last_good_pod(self) -> Path:
        return self.run / "last-good.pod.json"


def varnishd_arguments(pod: Pod, paths: Paths, address: str, *, vmod_path: str | None = None) -> list[str]:
    """varnishd's arguments without the program: no VCL yet, all sockets open, CLI on a loopback port of its choice."""
    parameters = PARAMETERS | head_parameters(pod.head_limits) | ({"vmod_path": vmod_path} if vmod_path else {})
    return [
        *("-F", "-f", "", "-n", str(paths.workdir)),
        *("-j", "none"),  # its own jail would need root, which nothing here has
        *("-T", "127.0.0.1:0", "-S", str(paths.secret)),
        *(word for socket in pod.sockets for word in ("-a", _socket(socket, paths, address))),
        *("-a", f"{names.INTERNAL_SOCKET}={paths.ghost_socket},mode=600"),
        *("-s", pod.storage),
        *_parameters(parameters),
        *pod.varnishd_arguments,
        *_parameters(LAST_PARAMETERS | {"vcl_path": _vcl_path(pod, paths)}),
    ]


def head_parameters(limits: HeadLimits) -> dict[str, str]:
    """Above what is allowed, so that ghost sees what is too large and answers it.

    Answers' heads are ghost's to read, and large ones have memory of their own: workspace_backend stays as it is.
    Varnish itself reads those of a user's own backends alone.
    """
    request = limits.request_bytes_read
    return {
        "http_req_size": str(request),
        "http_req_hdr_len": str(request),
        "http_resp_size": str(limits.response_header_bytes),
        "http_resp_hdr_len": str(limits.response_header_bytes),
        # What is larger still is not read; the client learns why.
        "http_req_overflow_status": "431",
        "http_max_hdr": str(FIRST_LINE + limits.fields_read),
        "workspace_client": str(limits.workspace_bytes),
    }


def open_sockets(pod: Pod) -> tuple[PodSocket, ...]:
    """The sockets whose ports varnishd opens itself; the others have HAProxy before them, as TLS must."""
    return tuple(socket for socket in pod.sockets if socket.front == "direct")


def too_long(pod: Pod, paths: Paths) -> Path | None:
    """A unix socket whose path the kernel would not take; None: all are short enough."""
    fronts = [paths.front_socket(socket.name) for socket in pod.sockets if socket.front == "proxy"]
    found = (path for path in (paths.ghost_socket, *fronts) if len(str(path).encode()) > MAX_SOCKET_PATH)
    return next(found, None)


def varnishd_environment(pod: Pod, paths: Paths, inherited: dict[str, str]) -> dict[str, str]:
    """What varnishd and, in it, ghost find in their environment."""
    limits = pod.head_limits.to_environment()
    return inherited | {names.GHOST_FOLDER: str(paths.run), names.GHOST_HEAD_LIMITS: limits}


def listen_address(address: str, port: int) -> str:
    """`127.0.0.1:80` or `[::1]:80`; `:80` for an empty address, which is every address of the machine."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _socket(socket: PodSocket, paths: Paths, address: str) -> str:
    if socket.front == "proxy":
        return f"{socket.name}={paths.front_socket(socket.name)},PROXY,mode=600"
    proxy = ",PROXY" if socket.accepts_proxy_protocol else ""
    return f"{socket.name}={listen_address(address, socket.port)}{proxy}"


def _vcl_path(pod: Pod, paths: Paths) -> str:
    """Ours, then what the parameters of the class ask for. Not varnishd's own: a host keeps more than VCL there."""
    begin = "vcl_path="
    asked = [word.removeprefix(begin) for word in pod.varnishd_arguments if word.startswith(begin)]
    return ":".join((str(paths.vcl.parent), *asked[-1:]))


def _parameters(values: dict[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
