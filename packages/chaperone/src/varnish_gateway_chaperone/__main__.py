"""The command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from varnish_gateway_chaperone import __version__, app, logs, standalone
from varnish_gateway_chaperone.serving import DrainTimes
from varnish_gateway_chaperone.sources.kube.client import Server
from varnish_gateway_chaperone.supervisor import pid1
from varnish_gateway_chaperone.varnish.daemon import find
from varnish_gateway_common import names
from varnish_gateway_common.kube.api import KubeError

VARNISHD = "VARNISH_GATEWAY_VARNISHD"
HAPROXY = "VARNISH_GATEWAY_HAPROXY"
VMOD_PATH = "VARNISH_GATEWAY_VMOD_PATH"
POD_DRAIN_DELAY = 5.0
"""Until the endpoints of the gateway's Service have moved."""
DEFAULT_HAPROXY = "haproxy"
"""Looked for in PATH; a gateway without HTTPS and HTTP/2 does without."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code. argparse, because each of a gateway's processes would pay for more."""
    parser = _parser()
    options = parser.parse_args(arguments)
    varnishd = find(options.varnishd)
    if varnishd is None:
        parser.error(f"varnishd: {options.varnishd} is not there: name it with --varnishd or {VARNISHD}")
    options.varnishd = varnishd
    haproxy = find(options.haproxy)
    if haproxy is None and options.haproxy not in {DEFAULT_HAPROXY, ""}:
        parser.error(f"HAProxy: {options.haproxy} is not there: name it with --haproxy or {HAPROXY}")
    options.haproxy = haproxy
    log = logs.configure(is_verbose=options.verbose)
    return pid1.run(lambda: int(options.start(parser, options, log)))


def _run(_: argparse.ArgumentParser, options: argparse.Namespace, log: logs.Log) -> int:
    state = options.state.resolve()
    log = log.bind(gateway=f"{names.namespace_of(state.parent.name)}/{state.name}")
    return app.run(_processes(options), state, options.endpoints.resolve(), log)


def _pod(parser: argparse.ArgumentParser, options: argparse.Namespace, log: logs.Log) -> int:
    namespace, pod = (os.environ.get(name, "") for name in (names.NAMESPACE_VARIABLE, names.POD_VARIABLE))
    if not namespace or not pod:
        parser.error(f"{names.NAMESPACE_VARIABLE} and {names.POD_VARIABLE} must be set")
    try:
        server = Server(options.api) if options.api else Server.of_pod()
    except KubeError as error:
        parser.error(str(error))
    place = app.Place(namespace, options.config_map, options.report, pod.encode(), is_pod=not options.api)
    processes = replace(_processes(options), is_in_cluster=True)
    return app.run_pod(processes, place, server, log.bind(gateway=f"{namespace}/{options.config_map}"))


def _processes(options: argparse.Namespace) -> app.Options:
    host, port = options.web
    return app.Options(
        run=options.run.resolve(),
        address=options.address,
        web_address=host or options.address,
        web_port=port,
        varnishd=options.varnishd,
        vmod_path=options.vmod_path,
        haproxy=options.haproxy,
        drain=DrainTimes(options.drain_delay, options.drain_deadline),
        is_told_elsewhere=options.told_elsewhere,
    )


def _standalone(parser: argparse.ArgumentParser, options: argparse.Namespace, log: logs.Log) -> int:
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")
    if options.state and (problem := standalone.problem_of(options.folder.resolve(), options.state.resolve())):
        parser.error(f"--state: {problem}")
    passed_on = ["--varnishd", options.varnishd]
    passed_on += ["--vmod-path", options.vmod_path] if options.vmod_path else []
    passed_on += ["--haproxy", options.haproxy] if options.haproxy else []
    passed_on += ["--verbose"] if options.verbose else []
    return standalone.run(
        standalone.Options(
            folder=options.folder.resolve(),
            state=options.state.resolve() if options.state else None,
            address=options.address,
            ready_file=options.ready_file.resolve() if options.ready_file else None,
            drain_deadline_seconds=options.drain_deadline,
            passed_on=tuple(passed_on),
        ),
        log,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("varnish-gateway-chaperone", description=sys.modules[__package__ or ""].__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__} ({names.STANDS_ON})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="one chaperone for one Gateway"))
    _add_pod(commands.add_parser("pod", help="the first process of a gateway's pod in Kubernetes"))
    _add_standalone(commands.add_parser("standalone", help="a gateway from a folder of manifests"))
    return parser


def _add_standalone(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="manifests: Gateways, routes, Services, EndpointSlices, ...")
    add("--state", type=Path, metavar="DIR", help="statuses and translations, kept (default: a temporary folder)")
    add("--ready-file", type=Path, metavar="FILE", help="written when every listener serves, removed at the end")
    _add_common(parser)
    parser.set_defaults(start=_standalone)


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--state", type=Path, required=True, metavar="DIR", help="STATE/<namespace>/<gateway>, as translated")
    add("--endpoints", type=Path, required=True, metavar="FOLDER", help="manifests with EndpointSlices")
    add("--run", type=Path, required=True, metavar="DIR", help="sockets and varnishd's files; a short path")
    add("--told-elsewhere", action="store_true", help="whoever reads the report says what is refused")
    _add_place(parser)
    _add_common(parser)
    parser.set_defaults(start=_run)


def _add_pod(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config-map", required=True, metavar="NAME", help="the gateway's documents")
    add("--report", required=True, metavar="NAME", help="the ConfigMap for reports")
    add("--api", metavar="URL", help="outside of a cluster: the API server of `kubectl proxy`")
    add("--run", type=Path, default=Path("/run/varnish-gateway"), metavar="DIR", help="default: %(default)s")
    _add_place(parser)
    _add_common(parser, address="")
    parser.set_defaults(start=_pod, drain_delay=POD_DRAIN_DELAY, told_elsewhere=False)


def _add_place(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--web", type=place, default=("", names.WEB_PORT), metavar="ADDR:PORT", help="health, readiness, metrics")
    add("--drain-delay", type=float, default=0.0, metavar="SECONDS", help="serve on for so long when leaving")


def _add_common(parser: argparse.ArgumentParser, address: str = "127.0.0.1") -> None:
    add = parser.add_argument
    add("--address", default=address, metavar="ADDR", help="listeners open there; empty: everywhere (%(default)r)")
    add("--drain-deadline", type=float, default=30.0, metavar="SECONDS", help="connections older than this are cut")
    add("--varnishd", default=os.environ.get(VARNISHD, "varnishd"), metavar="PATH", help=f"default: ${VARNISHD}, PATH")
    add("--vmod-path", default=os.environ.get(VMOD_PATH) or None, metavar="DIR:DIR", help=f"default: ${VMOD_PATH}")
    haproxy = os.environ.get(HAPROXY, DEFAULT_HAPROXY)
    add(
        "--haproxy",
        default=haproxy,
        metavar="PATH",
        help=f"for HTTPS and HTTP/2, empty: none; default: ${HAPROXY}, PATH",
    )
    add("--verbose", action="store_true", help="say more")


def place(text: str) -> tuple[str, int]:
    """`ADDR:PORT`, `[ADDR]:PORT` or `:PORT`. Raises ArgumentTypeError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR:PORT")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
