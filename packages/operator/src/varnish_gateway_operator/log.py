"""Logs: JSON lines for machines, plain lines on a terminal."""

import logging
import sys

import structlog


def _printable(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names come from files: what moves a terminal's cursor or begins a line is shown, not done."""
    text = str(event["event"])
    event["event"] = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return event


def configure(*, is_verbose: bool) -> None:
    """To standard error, from `info` or, when verbose, from `debug` on."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    structlog.configure(
        processors=[
            _printable,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if is_verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
