"""Beat ticks, and begins with it."""

from celery.beat import Scheduler, Service

from tasks.queues import MAINTENANCE
from worker.app import make_app, tick_at_once
from worker.settings import Settings


def test_the_first_tick_comes_with_the_start() -> None:
    app = make_app("memory://", Settings())
    tick_at_once(Service(app, scheduler_cls=Scheduler))
    with app.connection() as connection, connection.SimpleQueue(MAINTENANCE) as queue:
        message = queue.get(block=False)
        assert message.headers["task"] == "sweep"
        message.ack()
        assert queue.qsize() == 0
