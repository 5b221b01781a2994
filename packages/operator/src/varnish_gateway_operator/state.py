"""The STATE folder: what a cluster would be given, as files.

STATE/<namespace>/<gateway>/routing.json, main.vcl, pod.json     written here
STATE/<namespace>/<gateway>/certificates.json, certificates/     written here
STATE/<namespace>/<gateway>/report.json                          read here, written by the gateway's process
STATE/status_/<gateway>/...                                      the same for the namespace `status`
STATE/status/<kind>/<namespace>/<name>.yaml                      statuses
STATE/status/mistakes.yaml                                       what could not be read
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from varnish_gateway_common import names
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.reading import open_regular, read_regular
from varnish_gateway_common.report import Report
from varnish_gateway_operator.files import Mistake
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.times import stamped
from varnish_gateway_operator.translate.plan import GatewayPlan, Plan, StatusKey
from varnish_gateway_operator.translate.programmed import Reports
from varnish_gateway_operator.translate.status import ObjectStatus

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # a PyYAML built without libyaml: the same, slower
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]

MISTAKES: Final = "mistakes.yaml"


class _Dumper(SafeDumper):
    """Without anchors: they are no help to readers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class names it
        return True


@dataclass
class StateFolder:
    """Writes plans; keeps in mind what it wrote, so that an unchanged status costs nothing."""

    root: Path
    _statuses: dict[StatusKey, ObjectStatus] = field(default_factory=dict)
    _gateways: set[Key] = field(default_factory=set)
    _certificates: dict[Key, bytes] = field(default_factory=dict)
    """The indexes whose files are known to be there."""

    def write_gateways(self, plan: Plan, *, is_complete: bool) -> list[str]:
        """Write what changed, remove what is gone; a name for each thing done. Raises OSError.

        Not `is_complete`: some files could not be read, so only what was seen here before can be known to be gone.
        """
        done = []
        for key, gateway in plan.gateways.items():
            if written := list(self._write(key, gateway)):
                done.append(f"wrote {', '.join(written)} of {'/'.join(key)}")
        for key in sorted(set(self._known_gateways()) - plan.gateways.keys()):
            if is_complete or key in self._gateways:
                self._remove(key)
                done.append(f"removed {'/'.join(key)}")
        self._gateways |= plan.gateways.keys()
        return done

    def write_statuses(
        self, plan: Plan, *, is_complete: bool, now: str, is_late: Callable[[], bool] = lambda: False
    ) -> bool:
        """Write the statuses that changed, until it `is_late`, and remove those of objects that are gone.

        True when all is done. Raises OSError.
        """
        for key, status in plan.statuses.items():
            if self._statuses.get(key) is status:
                continue
            self._write_status(key, status, now)
            self._statuses[key] = status
            if is_late():
                return False
        for path, gone in list(self._gone(plan, is_complete)):
            path.unlink(missing_ok=True)
            self._statuses.pop(gone, None)
        return True

    def write_mistakes(self, mistakes: Iterable[Mistake]) -> None:
        """mistakes.yaml; an empty list where there are none. Raises OSError."""
        content = [
            {
                "file": str(each.file),
                "line": each.line,
                "column": each.column,
                "object": each.object,
                "message": each.message,
            }
            for each in mistakes
        ]
        write_if_changed(self.root / names.STATUS / MISTAKES, dumped(content))

    def reports(self) -> Reports:
        """Every gateway's report; one that cannot be read is as good as none."""
        found: dict[Key, tuple[Report, ...]] = {}
        for key, path in self._of_gateways(names.REPORT):
            try:
                found[key] = (Report.from_json(read_regular(path)),)
            except (OSError, ValidationError):
                continue
        return found

    def certificates(self) -> dict[str, bytes]:
        """The certificates that were written before, by name; one that cannot be read is as good as none."""
        found = {}
        for path in self.root.glob(f"*/*/{names.CERTIFICATE_FOLDER}/*{names.PEM}"):
            with suppress(OSError):
                found[path.name.removesuffix(names.PEM)] = read_regular(path)
        return found

    def _folder(self, key: Key) -> Path:
        return self.root / names.folder_of(key[0]) / key[1]

    def _of_gateways(self, document: str) -> Iterator[tuple[Key, Path]]:
        """Every gateway's file of that name."""
        for path in sorted(self.root.glob(f"*/*/{document}")):
            if namespace := names.namespace_of(path.parent.parent.name):
                yield (namespace, path.parent.name), path

    def _write(self, key: Key, gateway: GatewayPlan) -> Iterator[str]:
        yield from self._write_certificates(key, gateway)
        documents = {
            names.ROUTING: gateway.routing,
            names.VCL: None if gateway.vcl is None else gateway.vcl.encode(),
            names.POD: None if gateway.pod is None else gateway.pod.to_json(),
        }
        for name, content in documents.items():
            if content is not None and write_if_changed(self._folder(key) / name, content):
                yield name

    def _write_certificates(self, key: Key, gateway: GatewayPlan) -> Iterator[str]:
        """Files, then their index, then away with the files that it does not name."""
        index, folder = self._folder(key) / names.CERTIFICATES, self._folder(key) / names.CERTIFICATE_FOLDER
        content = gateway.certificates.to_json()
        is_there = index.exists()
        if not is_there and not gateway.certificates.sockets:
            return  # a Gateway without HTTPS has no use for it
        if is_there and self._certificates.get(key) == content == read_regular(index):
            return
        for name, pem in gateway.certificate_files.items():
            write_private(folder / f"{name}{names.PEM}", pem)
        if write_if_changed(index, content):
            yield names.CERTIFICATES
        _remove_others(folder, gateway.certificate_files)
        self._certificates[key] = content

    def _known_gateways(self) -> Iterator[Key]:
        """Folders whose routing.json is ours, by what it says."""
        for key, path in self._of_gateways(names.ROUTING):
            with open_regular(path) as file:
                if file.read(1024).startswith(f'{{"version":1,"gateway":"{"/".join(key)}"'.encode()):
                    yield key

    def _remove(self, key: Key) -> None:
        """Our files, and the report about them; anything else in the folder stays, and then so does the folder."""
        folder = self._folder(key)
        _remove_others(folder / names.CERTIFICATE_FOLDER, ())
        self._certificates.pop(key, None)
        for name in (names.CERTIFICATES, names.POD, names.VCL, names.REPORT, names.ROUTING):
            (folder / name).unlink(missing_ok=True)
        for each in (folder, folder.parent):
            if not any(each.iterdir()):
                each.rmdir()
        self._gateways.discard(key)

    def _status_path(self, key: StatusKey) -> Path:
        kind, namespace, name = key
        return self.root.joinpath(names.STATUS, kind.lower(), namespace, f"{name}.yaml")

    def _write_status(self, key: StatusKey, status: ObjectStatus, now: str) -> None:
        path = self._status_path(key)
        wanted = stamped(status.status, _status_in(path), now)
        write_if_changed(path, document(status.resource, wanted), is_durable=False)

    def _gone(self, plan: Plan, is_complete: bool) -> Iterator[tuple[Path, StatusKey]]:
        """Status files without an object."""
        wanted = {self._status_path(key) for key in plan.statuses}
        seen = {self._status_path(key): key for key in self._statuses}
        for path in (self.root / names.STATUS).glob("*/**/*.yaml") if is_complete else tuple(seen):
            if path not in wanted:
                yield path, seen.get(path, ("", "", ""))


def write_private(path: Path, content: bytes) -> None:
    """For nobody else to read. Not synced: it can be made again, and a thousand of them would take seconds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_if_changed(path, content, is_durable=False)  # a new file is nobody else's to begin with
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _remove_others(folder: Path, wanted: Collection[str]) -> None:
    """All certificates but these, what a crash left half written among them; and the folder if it is empty then."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.removesuffix(names.PEM) not in wanted and path.is_file():
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def document(resource: Resource, status: dict[str, Any]) -> bytes:
    """The object's YAML with its status and nothing else."""
    metadata = {"namespace": resource.namespace, "name": resource.name}
    head = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {name: value for name, value in metadata.items() if value},
    }
    return dumped(head) + _dumped_status(json.dumps(status))


def dumped(content: Any) -> bytes:
    """YAML for people."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


@lru_cache(maxsize=256)
def _dumped_status(status: str) -> bytes:
    """Most routes have the same as many others."""
    return dumped({"status": json.loads(status)})


def _status_in(path: Path) -> dict[str, Any]:
    """The status that a file holds; empty where there is none to be had."""
    try:
        _, mark, status = read_regular(path).partition(b"\nstatus:\n")
        return _parsed_status(mark + status)
    except (OSError, yaml.YAMLError):
        return {}


@lru_cache(maxsize=256)
def _parsed_status(text: bytes) -> dict[str, Any]:
    content = yaml.load(text, Loader=SafeLoader)
    found = content.get("status") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}
