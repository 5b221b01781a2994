"""The command `varnish-gateway-operator`."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import structlog

from varnish_gateway_operator import app
from varnish_gateway_operator.log import configure

MISTAKES = 1
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when there were mistakes, 2 when the command itself was wrong."""
    parsed = _parser().parse_args(arguments)
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
    parser = argparse.ArgumentParser(prog="varnish-gateway-operator", description=__doc__)
    parser.add_argument("--version", action="version", version=metadata.version("varnish-gateway-operator"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("translate", help="translate a folder of manifests into what gateways run")
    command.add_argument("folder", metavar="FOLDER", help="the folder of Gateway API manifests (*.yaml)")
    command.add_argument("--out", required=True, metavar="STATE", help="the folder to write to")
    command.add_argument("--watch", action="store_true", help="stay, and translate again at every change")
    command.add_argument("--verbose", action="store_true", help="say more")
    return parser


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
