"""Structured log lines: JSON to stdout, one event name and its fields; no token, secret or address of a person."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from shared.settings import Common, redacted

#: What a token in a text looks like: three base64url parts behind a JOSE header.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
#: A password inside a URL.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")


def get(process: str) -> structlog.stdlib.BoundLogger:
    """The logger of a process or part of one."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(process=process)
    return logger


def redact(text: str) -> str:
    """`text` with tokens and passwords of URLs replaced."""
    return _PASSWORD.sub(r"\1***@", _TOKEN.sub("(token)", text))


def set_up(settings: Common, process: str) -> structlog.stdlib.BoundLogger:
    """Route structlog and the standard library to stdout as JSON, and log the settings with secrets redacted."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_fields,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logger = get(process)
    logger.info("start", settings=redacted(settings))
    return logger


def _redact_fields(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = redact(value)
    return fields
