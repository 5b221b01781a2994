"""Load from wrk: random hosts over keep-alive connections."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

# wrk runs one Lua state a thread; the summary goes out as JSON on standard error.
SCRIPT = """
local hosts = %d
local path = "%s"
local body = string.rep("x", %d)
local method = #body > 0 and "POST" or "GET"
math.randomseed(os.time())
request = function()
  local fields = {
    ["Host"] = "host-" .. math.random(0, hosts - 1) .. ".example.com", ["User-Agent"] = "bench", ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip", ["Accept-Language"] = "en"
  }
  return wrk.format(method, path, fields, #body > 0 and body or nil)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests": %%d, "seconds": %%f, "broken": %%d, "status": %%d, "p99_ms": %%f}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    broken: int
    """Connections that failed, and answers that did not come."""
    status: int
    """Answers with a status of 400 or more."""
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Wrk:
    """A run in the background: `result` waits for it."""

    def __init__(
        self, url: str, *, hosts: int, path: str, seconds: int, connections: int = 32, post_bytes: int = 0
    ) -> None:
        self._script = tempfile.NamedTemporaryFile("w", suffix=".lua")  # noqa: SIM115 - lives as long as the run
        self._script.write(SCRIPT % (hosts, path, post_bytes))
        self._script.flush()
        command = [
            "taskset",
            "-c",
            "1",
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "5s",
            "-s",
            self._script.name,
            url,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def result(self) -> Load:
        _, text = self._process.communicate()
        self._script.close()
        found = re.search(r"\{.*\}", text)
        if not found:
            raise RuntimeError(f"wrk said: {text}")
        return Load(**json.loads(found[0]))


def is_installed() -> bool:
    return any((Path(folder) / "wrk").exists() for folder in ("/usr/bin", "/usr/local/bin"))
