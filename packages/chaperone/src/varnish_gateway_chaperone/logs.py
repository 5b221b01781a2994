"""Logs: one JSON object a line, or on a terminal one readable line. Strings of users go through an encoder only."""

import logging
import sys
from typing import Any, TextIO

import structlog

from varnish_gateway_common.terminal import CLOCK, capped, readable

Log = structlog.typing.FilteringBoundLogger


def configure(*, is_verbose: bool, stream: TextIO | None = None) -> Log:
    """The program's log, on standard error."""
    out = stream or sys.stderr
    is_terminal = out.isatty()
    level = logging.DEBUG if is_verbose else logging.INFO
    render: Any = readable if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=CLOCK if is_terminal else "iso", utc=not is_terminal),
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
