"""Begin and end a cluster, and run commands in it: python -m e2e.cluster --programs PREFIX NAME up|down|in|for ..."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from e2e.cluster.namespaces import Cluster

STATES = Path(__file__).parents[2] / ".nox" / "clusters"


def main() -> int:
    parser = argparse.ArgumentParser("e2e.cluster", description=sys.modules[__name__].__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="what toolchain/build-kubernetes.sh made")
    parser.add_argument("--control-plane", action="store_true", help="no node: nothing runs pods")
    parser.add_argument("name", help="the cluster's: its logs are in .nox/clusters/NAME/logs")
    parser.add_argument("verb", choices=("up", "down", "in", "for"))
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="in: run it in the cluster; for: in one that ends with it"
    )
    options = parser.parse_args()
    cluster = Cluster(STATES / options.name, options.programs, is_control_plane_only=options.control_plane)
    match options.verb:
        case "up":
            cluster.start(outlives_us=True)
        case "down":
            cluster.stop()
        case "in":
            if not cluster.pid:
                parser.error(f"no cluster {options.name} is up")
            command = cluster.inside(*options.command)
            os.execvpe(command[0], command, os.environ | cluster.environment)
        case "for":
            with cluster:
                return subprocess.run(
                    cluster.inside(*options.command), env=os.environ | cluster.environment, check=False
                ).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
