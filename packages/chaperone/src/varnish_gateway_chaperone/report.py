"""report.json: written when something changed, and only then."""

import os
import socket
from pathlib import Path
from typing import Protocol

from varnish_gateway_common import names
from varnish_gateway_common.files import write_atomically
from varnish_gateway_common.report import Report


class ReportSink(Protocol):
    """Where reports go."""

    def write(self, report: Report) -> bool:
        """True when it was not the same as the last one. Raises OSError."""
        ...


class ReportFile:
    """The file that tells the operator what runs."""

    def __init__(self, state: Path) -> None:
        self._path = state / names.REPORT
        self._written: bytes | None = None

    def write(self, report: Report) -> bool:
        """True when it was written. Raises OSError: a full disk, or a gateway whose folder is gone."""
        content = report.to_json()
        if content == self._written:
            return False
        write_atomically(self._path, content)
        self._written = content
        return True


def pod_name() -> str:
    """The pod's name as Kubernetes gives it, else the host's."""
    return os.environ.get(names.POD_NAME_VARIABLE) or socket.gethostname()
