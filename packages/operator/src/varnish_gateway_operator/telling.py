"""Every mistake is told once, and once more when it is mended."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from varnish_gateway_operator.translate.findings import without_consequences
from varnish_gateway_operator.translate.problems import Finding, Identity

log = structlog.get_logger()


class Line(NamedTuple):
    """What is told of one mistake."""

    text: str
    is_error: bool = True


Lines = Mapping[Hashable, Line]
"""By what makes a mistake the same one as before, wherever it stands now."""


@dataclass
class Teller:
    """Remembers what it told."""

    _told: Lines = field(default_factory=dict)

    def tell(self, lines: Lines) -> None:
        """All that is wrong now."""
        for key, line in lines.items():
            if key not in self._told:
                say = log.error if line.is_error else log.warning
                say(line.text)
        for key, line in self._told.items():
            if key not in lines:
                log.info(f"mended: {line.text}")
        self._told = {key: self._told.get(key, line) for key, line in lines.items()}


def lines_of(findings: Iterable[Finding], unread: frozenset[Identity]) -> Lines:
    """In a cluster, where an object has no place but its name."""
    kept = without_consequences(findings, unread, may_be_unread=False)
    return {key_of(each): Line(str(each), each.is_error) for each in kept}


def key_of(finding: Finding) -> Hashable:
    return finding.identity, finding.message
