"""A Gateway that is programmed stays so while pods take up what has just been written.

A route that changes makes a routing that no pod runs for some tenths of a second. To say so and to take it back would
be two writes for every change, and nobody could wait for the condition. So it is said after a while, or at once when a
pod refuses.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from varnish_gateway_operator.resources.gateway import Gateway
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.conditions import Condition, programmed

PATIENCE: Final = timedelta(seconds=10)


@dataclass
class Patience:
    """Since when pods have been behind, by Gateway."""

    since: dict[Key, datetime] = field(default_factory=dict)

    def judge(self, gateway: Gateway, found: Condition, now: datetime | None) -> tuple[Condition, datetime | None]:
        """What to say instead, and until when. Another generation of the Gateway is waited for in any case."""
        if now is None or (found.status, found.reason) != ("False", "Pending"):
            self.since.pop(gateway.key, None)
            return found, None
        until = self.since.setdefault(gateway.key, now) + PATIENCE
        return (programmed(), until) if now < until and _is_programmed(gateway) else (found, None)


def _is_programmed(gateway: Gateway) -> bool:
    """Whether its status says so of its generation."""
    conditions = gateway.status.get("conditions") if isinstance(gateway.status, dict) else None
    return any(
        isinstance(each, dict)
        and (each.get("type"), each.get("status")) == ("Programmed", "True")
        and each.get("observedGeneration") == gateway.metadata.generation
        for each in (conditions if isinstance(conditions, list) else ())
    )
