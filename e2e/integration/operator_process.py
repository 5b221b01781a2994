"""The operator as a process, with the chart's rights and arguments, and what the API server saw of it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

CHART: Final = Path(__file__).parents[2] / "helm" / "varnish-gateway"
NAMESPACE: Final = "varnish-gateway-system"
READS: Final = ("get", "list", "watch")

T = TypeVar("T")
Json = dict[str, Any]


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    return run("kubectl", *arguments, text=text)


def apply(text: str) -> None:
    kubectl("apply", "--server-side", "--filename=-", text=text)


def get(*arguments: str) -> Json | None:
    """The object; None where there is none."""
    text = kubectl("get", "--ignore-not-found", "--output=json", *arguments)
    return dict(json.loads(text)) if text else None


def until(what: str, claim: Callable[[], T], seconds: float = 10.0, *, pause: float = 0.05) -> T:
    """What the claim comes to once it is true of something. Fails after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := claim():
            return found
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass(frozen=True)
class Account:
    """Who the operator is."""

    kubeconfig: Path
    arguments: tuple[str, ...]
    """As the chart gives them."""
    user: str

    @classmethod
    def install(cls, folder: Path) -> "Account":
        """The chart's definitions, rights and arguments, without what would run in a pod."""
        for file in sorted((CHART / "crds").glob("*.yaml")):
            kubectl("apply", "--server-side", f"--filename={file}")
        kubectl("wait", "--for=condition=Established", "crd", "--all")
        apply(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}")
        made = run("helm", "template", "gateway", str(CHART), f"--namespace={NAMESPACE}")
        objects = {each["kind"]: each for each in yaml.safe_load_all(made) if each}
        wanted = [each for each in yaml.safe_load_all(made) if each and is_about_rights(each)]
        kubectl("apply", f"--namespace={NAMESPACE}", "--filename=-", text=yaml.safe_dump_all(wanted))
        name = objects["ServiceAccount"]["metadata"]["name"]
        token = kubectl("create", "token", name, f"--namespace={NAMESPACE}", "--duration=24h").strip()
        (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
        arguments = tuple(each for each in container["args"] if not each.startswith("--web="))
        kubeconfig = folder / "operator.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(token)))
        return cls(kubeconfig, arguments, f"system:serviceaccount:{NAMESPACE}:{name}")

    def by_way_of(self, port: int) -> "Account":
        """The same through something that listens there."""
        content = yaml.safe_load(self.kubeconfig.read_text())
        content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        other = self.kubeconfig.with_name(f"by-way-of-{port}.kubeconfig")
        other.write_text(yaml.safe_dump(content))
        return Account(other, self.arguments, self.user)

    def requests(self, since: int = 0) -> list[Json]:
        """What the API server answered to this account, from the `since`th line of its audit log on."""
        lines = audit_log().read_text().splitlines()[since:]
        return [json.loads(line) for line in lines if f'"username":"{self.user}"' in line]

    def writes(self, since: int = 0) -> list[str]:
        """`patch httproutes/status default/web`, for every one but those of the Lease and of Events."""
        return [
            describe(each)
            for each in self.requests(since)
            if each["verb"] not in READS and each["objectRef"]["resource"] not in ("leases", "events")
        ]


@dataclass
class Operator:
    """A process of its own; its log is kept."""

    account: Account
    log: Path
    web: int
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "varnish_gateway_operator", *self.account.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--web=127.0.0.1:{self.web}"],
                env=os.environ | {"KUBECONFIG": str(self.account.kubeconfig)},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def events(self) -> list[str]:
        return [str(json.loads(line)["event"]) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def has_said(self, text: str) -> bool:
        return any(text in event for event in self.events())

    def metric(self, name: str) -> float:
        """Its own account; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        whole = f"varnish_gateway_operator_{name} "
        return next((float(line.removeprefix(whole)) for line in lines if line.startswith(whole)), 0.0)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024


def audit_log() -> Path:
    return Path(os.environ["KUBECONFIG"]).parents[1] / "logs" / "audit.log"


def audit_position() -> int:
    """Its number of lines."""
    return audit_log().read_bytes().count(b"\n")


def describe(request: Json) -> str:
    ref = request["objectRef"]
    kind = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
    name = "/".join(filter(None, (ref.get("namespace"), ref.get("name"))))
    return f"{request['verb']} {kind} {name}"


def is_about_rights(content: Json) -> bool:
    return content["kind"] in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def kubeconfig_of(token: str) -> Json:
    """The administrator's with another user."""
    content: Json = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    content["users"] = [{"name": "operator", "user": {"token": token}}]
    for each in content["contexts"]:
        each["context"]["user"] = "operator"
    return content


def conditions(content: Json | None) -> dict[str, tuple[str, str]]:
    """Type -> status and reason."""
    status = (content or {}).get("status") or {}
    return {each["type"]: (each["status"], each["reason"]) for each in status.get("conditions", ())}


def condition(content: Json | None, type_: str) -> Json:
    status = (content or {}).get("status") or {}
    return next((each for each in status.get("conditions", ()) if each["type"] == type_), {})


def attached(namespace: str, gateway: str) -> int | None:
    found = get("gateway", gateway, f"--namespace={namespace}") or {}
    listeners: Sequence[Json] = (found.get("status") or {}).get("listeners") or ()
    return next((int(each["attachedRoutes"]) for each in listeners), None)


def owners_of(content: Json) -> Iterator[tuple[str, Json]]:
    """Field manager and the fields that it owns."""
    for each in content["metadata"]["managedFields"]:
        yield each["manager"], each["fieldsV1"]
