"""A cluster as those see it who start it: begin, run a command inside, end."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.cluster import cgroups, images, pki
from e2e.cluster.layout import PAUSE_IMAGE, Layout

DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
ROOT = Path(__file__).parents[2]


class Cluster:
    """Runs while the block runs; killed with everything in it when the block's process ends in whatever way."""

    def __init__(self, state: Path, programs: Path, *, is_control_plane_only: bool = False) -> None:
        self.layout = Layout(state.resolve(), programs)
        self._is_control_plane_only = is_control_plane_only

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _pid_file(self) -> Path:
        return self.layout.state / "first.pid"

    @property
    def pid(self) -> int:
        """The first process of the namespaces, as it is numbered outside; 0 where nothing runs."""
        try:
            pid = int(self._pid_file.read_text())
            is_ours = b"e2e.cluster.node" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if is_ours else 0

    def start(self, *, outlives_us: bool = False) -> None:
        """Return when it is ready, with the Gateway API's CRDs. Raises RuntimeError, with what the node said."""
        if self.pid:
            raise RuntimeError(f"a cluster runs in {self.layout.state}: end that first")
        cgroups.remove(self.layout.cgroup)  # of a run that was killed
        shutil.rmtree(self.layout.state, ignore_errors=True)
        self.layout.logs.mkdir(parents=True)
        pki.write(self.layout.pki)
        log = self.layout.logs / "node.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*([] if outlives_us else DIES_WITH_PARENT), *self._unshare()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        assert process.stdout
        with process.stdout:
            if process.stdout.readline() != b"ready\n":
                process.kill()
                raise RuntimeError(f"the cluster did not start: {log.read_text()[-2000:]}\nsee {self.layout.logs}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        self._pid_file.write_text(children.split()[0])
        self.kubectl("apply", "--server-side", "-f", str(self.layout.programs / "crds"))
        if not self._is_control_plane_only:
            self.load(images.write(self.layout.state / "pause.tar", self.layout.programs / "bin/pause", PAUSE_IMAGE))

    def _unshare(self) -> list[str]:
        isolated = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        node = [sys.executable, "-m", "e2e.cluster.node", str(self.layout.state), str(self.layout.programs)]
        return [*isolated, *node, *(["--control-plane"] if self._is_control_plane_only else [])]

    def stop(self) -> None:
        """Everything inside dies with its first process; mounts and network go with the last."""
        if pid := self.pid:
            ended = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([ended], [], [])
            os.close(ended)
        self._pid_file.unlink(missing_ok=True)
        cgroups.remove(self.layout.cgroup)

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command inside. Raises RuntimeError where there is no cluster."""
        if not self.pid:
            raise RuntimeError(f"no cluster runs in {self.layout.state}")
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, f"--wdns={Path.cwd()}", *command]

    @property
    def environment(self) -> dict[str, str]:
        """What a command inside needs to find programs and the API server."""
        return {
            "KUBECONFIG": str(self.layout.kubeconfig()),
            "PATH": f"{self.layout.programs / 'bin'}:{os.environ['PATH']}",
            "CONTAINERD_NAMESPACE": "k8s.io",
        }

    def run(
        self, *command: str, text: str | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end. Raises CalledProcessError; its output is in it."""
        return subprocess.run(
            self.inside(*command),
            input=text,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | self.environment | dict(environment or {}),
        )

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.run("kubectl", *arguments, text=text).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", "-o", "json", *arguments)))

    def load(self, archive: Path) -> None:
        """Make an image known to the node."""
        self.run("ctr", "images", "import", str(archive))
