"""A worker outlives what it cannot read in the broker, and the broker itself.

Celery throws away a message whose body cannot be decoded. At other wrong shapes its worker would end, and where the
message was not thrown away, end again at each start that meets it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from celery.worker import loops
from celery.worker.consumer import Consumer
from redis.exceptions import ConnectionError as BrokerConnectionError

log = structlog.get_logger()

#: Seconds that events of tasks wait for others.
_TOLD_AFTER = 0.25
#: Seconds between two tries to reach a broker that is away.
_LONGEST_PAUSE = 5

#: What a message of a wrong shape raises while it is read; a broken connection that is used raises none of them.
_WRONG_SHAPES = (TypeError, ValueError, LookupError, AttributeError, RecursionError)


class HardyConsumer(Consumer):  # type: ignore[misc]
    """Celery's reader of messages, which goes on after any of them."""

    #: Events are to be told in a moment.
    _tells = False

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """What is done with each message that came: where that fails by its shape, it is thrown away."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except _WRONG_SHAPES as error:
                log.error("message thrown away", why=type(error).__name__)
                message.ack()

        return on_task_received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Celery closes the broken connection. At what was not acknowledged kombu may miss it: it is gone all the same.

        https://github.com/celery/kombu/issues/582
        """
        try:
            super().on_connection_error_after_connected(exc)
        except _WRONG_SHAPES as error:
            log.warning("broken connection not closed", why=type(error).__name__)

    def ensure_connected(self, conn: Any) -> Any:
        """Celery waits two seconds longer after each try to reach the broker, up to half a minute; here, up to five."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=_LONGEST_PAUSE)
        return super().ensure_connected(conn)

    def on_send_event_buffered(self) -> None:
        """Celery tells of each event in the next turn of its loop; here, those of a moment are told in one message.

        A message costs the interpreter as much for one event as for twenty.
        """
        if self.hub and not self._tells:
            self._tells = True
            self.hub.call_soon(self.hub.call_later, _TOLD_AFTER, self._tell)  # its timer is no thread's but its own

    def _tell(self) -> None:
        self._tells = False
        self._flush_events()

    def loop(self, *arguments: Any) -> None:
        """Read messages; what is no message at all is gone once it was read, and the connection is made anew."""
        read = loops.asynloop if self.hub else loops.synloop
        try:
            read(*arguments)
        except _WRONG_SHAPES as error:
            log.error("something in a queue is no message", why=type(error).__name__, exc_info=True)
            raise BrokerConnectionError("what was read is no message: connecting anew") from None
