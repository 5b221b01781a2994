"""Begin and end a cluster, and run commands in it: python -m e2e.cluster [OPTIONS] NAME up|down|in|for ..."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from e2e.cluster import install
from e2e.cluster.namespaces import ROOT, Cluster

STATES = ROOT / ".nox" / "clusters"


def main() -> int:
    options = parse()
    cluster = Cluster(STATES / options.name, options.programs, is_control_plane_only=options.control_plane)
    match options.verb:
        case "up":
            cluster.start(outlives_us=True)
            fill(cluster, options)
        case "down":
            cluster.stop()
        case "in":
            command = cluster.inside(*options.command)
            os.execvpe(command[0], command, os.environ | cluster.environment)
        case "for":
            with cluster:
                fill(cluster, options)
                command = cluster.inside(*options.command)
                return subprocess.run(command, env=os.environ | cluster.environment, check=False).returncode
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("e2e.cluster", description=sys.modules[__name__].__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="what toolchain/build-kubernetes.sh made")
    parser.add_argument("--control-plane", action="store_true", help="no node: nothing runs pods")
    parser.add_argument("--images", type=Path, help="what toolchain/build-images.sh made: install the gateway")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="values of the chart")
    parser.add_argument("--suite", type=Path, help="what toolchain/build-conformance.sh made: load its backend")
    parser.add_argument("name", help="the cluster's: its logs are in .nox/clusters/NAME/logs")
    parser.add_argument("verb", choices=("up", "down", "in", "for"))
    parser.add_argument("command", nargs=argparse.REMAINDER, help="in: run it in the cluster; for: in a new one")
    return parser.parse_args()


def fill(cluster: Cluster, options: argparse.Namespace) -> None:
    if options.suite:
        install.echo(cluster, options.suite)
    if options.images:
        install.gateway(cluster, options.images, *options.set)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"e2e.cluster: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"e2e.cluster: {' '.join(error.cmd)}: {error.stderr}")
