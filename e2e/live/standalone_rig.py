"""The command `standalone` on a copy of an example, and what it answers."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from clients import Reply, Request, connect
from live_rig import DRAIN_SECONDS, wait_for
from places import own_address

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICKSTART = EXAMPLES / "quickstart"
BACKENDS = own_address()
NOBODY = Reply(0, {}, b"")
"""The answer where nobody listens."""


class Standalone:
    """The command, its folder, and what it answers."""

    def __init__(
        self,
        folder: Path,
        example: Path = QUICKSTART,
        *,
        address: str | None = None,
        edit: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self.folder, self.state, self.ready = folder / "yaml", folder / "state", folder / "ready"
        self.log = folder / "log"
        self.address = address or own_address()
        self._example = example
        self.restore()
        edit(self.folder)
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("varnish-gateway-chaperone")), "standalone", str(self.folder)]
        command += ["--state", str(self.state), "--address", self.address, "--ready-file", str(self.ready)]
        command += ["--drain-deadline", str(DRAIN_SECONDS)]
        with self.log.open("a") as log:
            return subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=log)

    def start_again(self) -> None:
        """After `stop`."""
        self.process = self._started()

    def await_ready(self) -> None:
        """Until every listener serves."""
        wait_for("the gateway to be ready", self.ready.exists)

    def restore(self) -> None:
        """The example's files and no others, with the backends of these tests."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = {file.name: file.read_text() for file in self._example.iterdir() if file.suffix in {".yaml", ".sh"}}
        files["services.yaml"] = files["services.yaml"].replace("127.0.0.1", BACKENDS)
        for file in self.folder.glob("*.yaml"):
            if file.name not in files:
                file.unlink()
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def ask(self, host: str, target: str = "/", *, port: int = 8080) -> Reply:
        """NOBODY without an answer."""
        with suppress(OSError), connect(self.address, port) as connection:
            return connection.ask(Request(host, target))
        return NOBODY

    def says(self, host: str, target: str = "/") -> str:
        """The body."""
        return self.ask(host, target).body.decode()

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def status(self, kind: str, name: str) -> dict[str, Any]:
        path = self.state / "status" / kind / "default" / f"{name}.yaml"
        loaded = yaml.safe_load(path.read_text()) if path.exists() else {}
        return dict(loaded.get("status", {}))

    def programmed(self) -> dict[str, Any]:
        return condition(self.status("gateway", "quickstart").get("conditions", []), "Programmed")

    def is_programmed(self) -> bool:
        return self.programmed().get("status") == "True"

    def log_text(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def end(self) -> None:
        """Whatever became of it."""
        if self.process.poll() is None:
            self.stop()
        print(self.log_text())


def condition(conditions: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((item for item in conditions if item["type"] == name), {})


@contextmanager
def backends() -> Iterator[None]:
    """The examples' own, at the address of these tests."""
    command = [sys.executable, str(EXAMPLES / "backends.py"), str(QUICKSTART), "", "/nonexistent", BACKENDS]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()
