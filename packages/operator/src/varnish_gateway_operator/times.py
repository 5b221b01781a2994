"""lastTransitionTime: added on the way out, and moved only when a condition's status is."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

Json = dict[str, Any]

HOLDERS = ("ancestors", "listeners", "parents")
"""Lists of what has conditions of its own."""


def text_of(moment: datetime) -> str:
    """As Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def stamped(status: Json, before: Json, now: str) -> Json:
    """`status` with a time in every condition that has none: the one it had `before`, unless its status changed."""
    known = dict(_conditions(before, ()))
    return _stamped(status, (), known, now)


def _stamped(node: Json, path: tuple[str, ...], known: dict[tuple[str, ...], Json], now: str) -> Json:
    found = dict(node)
    for key, value in node.items():
        if key == "conditions" and isinstance(value, list):
            found[key] = [_condition(each, path, known, now) for each in value]
        elif key in HOLDERS and isinstance(value, list):
            found[key] = [
                _stamped(each, (*path, key, identity_of_entry(each)), known, now) if isinstance(each, dict) else each
                for each in value
            ]
    return found


def _condition(each: Any, path: tuple[str, ...], known: dict[tuple[str, ...], Json], now: str) -> Any:
    if not isinstance(each, dict) or "lastTransitionTime" in each:
        return each  # somebody else's
    last = known.get((*path, str(each.get("type"))), {})
    is_same = last.get("status") == each.get("status") and isinstance(last.get("lastTransitionTime"), str)
    return {**each, "lastTransitionTime": last["lastTransitionTime"] if is_same else now}


def _conditions(node: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Every condition below, by where it stands."""
    for key, value in node.items():
        for each in value if isinstance(value, list) else ():
            if not isinstance(each, dict):
                continue
            if key == "conditions":
                yield (*path, str(each.get("type"))), each
            elif key in HOLDERS:
                yield from _conditions(each, (*path, key, identity_of_entry(each)))


def identity_of_entry(entry: Json) -> str:
    """What makes an entry the same one as before."""
    named = [entry.get("name"), entry.get("controllerName"), entry.get("parentRef"), entry.get("ancestorRef")]
    return json.dumps(named, sort_keys=True, default=str)
