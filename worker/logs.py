"""Logging: structlog for everything, one line an event; Celery's and the libraries' lines go the same way."""

import logging
import os
import sys
from typing import Literal

import structlog

#: Libraries whose INFO lines would show URLs (Komet's token stands in them), or one line a message.
_QUIET = ("httpx", "httpcore", "kombu", "amqp", "celery.worker.strategy", "celery.app.trace", "celery.beat", "alembic")


def configure_logs(level: str = "INFO", form: Literal["console", "json"] | None = None) -> None:
    """Set up logging to stderr.

    Args:
        level: name of the least level that is shown.
        form: `console` for people, `json` for machines; None: `console` on a terminal.
    """
    as_json = form == "json" or (form is None and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # By default it would show the local variables of every frame, and the token among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.format_exc_info] if as_json else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
