"""What every log line of a piece of work says: connection, order or scope, write, and the Celery task."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars


@contextmanager
def bound(**known: object) -> Iterator[None]:
    """Every line that this thread logs meanwhile says this too, and what is bound further on the way.

    An error leaves it bound, so that whoever tells of the error says it; the end of the task unbinds all.
    """
    before = get_contextvars()
    bind_contextvars(**known)
    yield
    clear_contextvars()
    bind_contextvars(**before)
