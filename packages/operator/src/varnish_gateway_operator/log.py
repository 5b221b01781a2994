"""Logs: JSON lines for machines, plain lines on a terminal."""

import logging
import sys
from typing import Any

import structlog

from varnish_gateway_common.terminal import CLOCK, capped, printable, readable


def _printable(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names come from files: what moves a terminal's cursor or begins a line is shown, not done."""
    event["event"] = printable(str(event["event"]))
    return event


def configure(*, is_verbose: bool) -> None:
    """To standard error, from `info` or, when verbose, from `debug` on."""
    is_terminal = sys.stderr.isatty()
    render: Any = readable if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=CLOCK if is_terminal else "iso", utc=not is_terminal),
            structlog.processors.format_exc_info,
            capped,
            _printable,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if is_verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
