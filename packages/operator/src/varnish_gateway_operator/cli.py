"""The command `varnish-gateway-operator`."""

import argparse
import asyncio
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import structlog

from varnish_gateway_common import names
from varnish_gateway_common.kube.api import KubeError
from varnish_gateway_operator import app
from varnish_gateway_operator.log import configure
from varnish_gateway_operator.translate.objects.shape import ClusterOptions

DESCRIPTION: Final = (
    "Turns Gateways and HTTPRoutes into what Varnish runs: of a folder of manifests (translate), or of a Kubernetes "
    "cluster (run). To serve a folder, varnish-gateway-chaperone standalone FOLDER does it all."
)
MISTAKES = 1
USAGE = 2
NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when there were mistakes, 2 when the command itself was wrong."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.run
    return command(parsed)


def _translate(parsed: argparse.Namespace) -> int:
    folder, out = Path(parsed.folder), Path(parsed.out)
    if problem := _problem(folder, out):
        print(f"varnish-gateway-operator: {problem}", file=sys.stderr)
        return USAGE
    configure(is_verbose=parsed.verbose)
    try:
        return _watch(folder, out) if parsed.watch else _once(folder, out)
    except OSError as error:
        structlog.get_logger().error(str(error))
        return MISTAKES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="varnish-gateway-operator", description=DESCRIPTION)
    version = f"%(prog)s {metadata.version('varnish-gateway-operator')} ({names.STANDS_ON})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("translate", help="translate a folder of manifests into what gateways run")
    command.add_argument("folder", metavar="FOLDER", help="manifests: *.yaml, *.yml and *.json, as for kubectl")
    command.add_argument("--out", required=True, metavar="STATE", help="the folder to write to")
    command.add_argument("--watch", action="store_true", help="stay, and translate again at every change")
    command.add_argument("--verbose", action="store_true", help="say more")
    command.set_defaults(run=_translate)
    _add_run(commands.add_parser("run", help="serve a Kubernetes cluster: the one around, or that of KUBECONFIG"))
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--gateway-image", required=True, metavar="IMAGE", help="what gateways run")
    command.add_argument(
        "--gateway-pull-secret",
        action="append",
        default=[],
        metavar="NAME",
        help="a Secret of a Gateway's namespace with which that image is pulled; may be given several times",
    )
    command.add_argument(
        "--endpoints-role",
        default="varnish-gateway-endpoints",
        metavar="NAME",
        help="the ClusterRole with which gateways read EndpointSlices",
    )
    command.add_argument("--lease-namespace", default=_own_namespace(), metavar="NAMESPACE", help="where the Lease is")
    command.add_argument("--lease-name", default="varnish-gateway-operator", metavar="NAME", help="the Lease")
    command.add_argument(
        "--web", type=_address, default=("", 8080), metavar="[ADDRESS]:PORT", help="/healthz, /readyz and /metrics"
    )
    command.add_argument("--verbose", action="store_true", help="say more")
    command.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from varnish_gateway_operator import cluster  # the client takes half a second to load, which a folder does not need

    configure(is_verbose=parsed.verbose)
    settings = cluster.Settings(
        lease_namespace=parsed.lease_namespace,
        lease_name=parsed.lease_name,
        identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
        web_address=parsed.web[0],
        web_port=parsed.web[1],
        cluster=ClusterOptions(parsed.gateway_image, parsed.endpoints_role, tuple(parsed.gateway_pull_secret)),
    )
    try:
        asyncio.run(cluster.run(settings))
    except KubeError as error:
        structlog.get_logger().error(str(error))
        return MISTAKES
    return 0


def _address(text: str) -> tuple[str, int]:
    """All addresses where none is named."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not like :8080 or 127.0.0.1:8080")
    return address.strip("[]"), int(port)


def _own_namespace() -> str:
    """Of the pod that we run in."""
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


def _problem(folder: Path, out: Path) -> str | None:
    if not folder.is_dir():
        return f"{folder} is not a folder"
    inside = (
        out.absolute().relative_to(folder.absolute()).parts if out.absolute().is_relative_to(folder.absolute()) else ()
    )
    if out.absolute() == folder.absolute() or (inside and not any(part.startswith(".") for part in inside)):
        return f"{out} lies within {folder}: what is written there would be read as manifests"
    return None


def _once(folder: Path, out: Path) -> int:
    return 0 if app.once(folder, out) else MISTAKES


def _watch(folder: Path, out: Path) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    app.watch(folder, out, stop)
    return 0
