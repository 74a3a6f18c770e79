"""Logs: one JSON line an event, on standard error; never a body, a token or a password."""

import logging
import sys
from typing import TextIO

import structlog


def configure(level: str, *, to: TextIO | None = None) -> None:
    """Set up structlog for this process. `level` is a name such as `info`.

    `to` is another stream than standard error, and the loggers do not remember it.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(to or sys.stderr),
        cache_logger_on_first_use=to is None,
    )
