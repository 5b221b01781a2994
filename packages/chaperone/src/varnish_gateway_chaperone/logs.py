"""Logs: one JSON object a line, or on a terminal one readable line. Strings of users go through an encoder only."""

import json
import logging
import sys
from typing import Any, Final, TextIO

import structlog

Log = structlog.typing.FilteringBoundLogger

MAX_VALUE_CHARACTERS: Final = 4000


def configure(*, is_verbose: bool, stream: TextIO | None = None) -> Log:
    """The program's log, on standard error."""
    out = stream or sys.stderr
    is_terminal = out.isatty()
    level = logging.DEBUG if is_verbose else logging.INFO
    render: Any = readable if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_terminal else "iso", utc=not is_terminal),
            structlog.processors.format_exc_info,
            capped,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    log: Log = structlog.get_logger()
    return log


def capped(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No value is longer than MAX_VALUE_CHARACTERS, however long a user's string is."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
            event[key] = f"{value[:MAX_VALUE_CHARACTERS]}... ({len(value)} characters)"
    return event


def readable(_: Any, __: str, event: structlog.typing.EventDict) -> str:
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
