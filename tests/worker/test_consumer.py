"""The worker's own loop goes on after what Celery and kombu stumble over."""

from typing import Any

import pytest

from worker.app import make_app
from worker.consumer import HardyConsumer
from worker.settings import Settings


class Gone:
    """A connection that broke while messages were not acknowledged, as kombu closes it."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def collect(self, **_: Any) -> None:
        """Nothing to collect."""

    def close(self) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")


@pytest.mark.filterwarnings("ignore::celery.platforms.SecurityWarning", "ignore::PendingDeprecationWarning")
def test_a_connection_that_cannot_be_closed_is_left_behind() -> None:
    app = make_app("redis://127.0.0.1:1/0", Settings())
    consumer = app.Worker(pool="solo").consumer
    assert type(consumer) is HardyConsumer
    consumer.connection = Gone()
    consumer.on_connection_error_after_connected(ConnectionResetError())
    assert consumer.connection is None
