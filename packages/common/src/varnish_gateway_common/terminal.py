"""Lines for people at a terminal, the same of every program: `12:00:00 info    default/web: serving on ...`.

The processors are structlog's; they are plain functions here, so that nobody has to depend on it.
"""

import json
from collections.abc import MutableMapping
from typing import Any, Final

MAX_VALUE_CHARACTERS: Final = 4000
CLOCK: Final = "%H:%M:%S"
"""On a terminal, of the place that it is in; elsewhere logs have whole times in UTC."""

Event = MutableMapping[str, Any]


def capped(_: Any, __: str, event: Event) -> Event:
    """No value is longer than MAX_VALUE_CHARACTERS, however long a user's string is."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
            event[key] = f"{value[:MAX_VALUE_CHARACTERS]}... ({len(value)} characters)"
    return event


def readable(_: Any, __: str, event: Event) -> str:
    """`12:00:00 info  what happened  key="value"`; a message of several lines is indented below."""
    time, level, said = event.pop("timestamp"), event.pop("level"), event.pop("event")
    traceback = event.pop("exception", None)
    below = [value for value in (event.pop("message", None), traceback) if value]
    gateway = event.pop("gateway", None)
    keys = "".join(f"  {key}={json.dumps(value, default=str)}" for key, value in event.items())
    line = f"{time} {level:7} {printable(gateway) + ': ' if gateway else ''}{printable(str(said))}{keys}"
    return "\n".join([line, *(f"    {printable(row)}" for text in below for row in str(text).splitlines())])


def printable(text: str) -> str:
    """Nothing in it moves a cursor or starts a line."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)


def counted(number: int, noun: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
