"""The Celery tasks: names under which `advance`, `observe`, `sweep` and `housekeeping` run, and nothing else.

A message only says "look now". A task that is delivered twice, late or never changes nothing: the row it names knows
whether it is due, and the sweep sends another message for a row that stays due.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

import structlog
from celery import Celery, signals
from kombu.exceptions import OperationalError
from structlog.contextvars import bind_contextvars, clear_contextvars

from models.tables import Order, Scope
from tasks.advance import advance
from tasks.housekeeping import housekeeping
from tasks.kinds import KINDS
from tasks.observe import observe
from tasks.queues import OBSERVE, ORDERS
from tasks.runtime import Hint, Runtime
from tasks.sweep import sweep
from tasks.turns import serve

log = structlog.get_logger()

ORDER_TASKS = tuple(dict.fromkeys(kind.task for kind in KINDS.values()))
_TASKS = {*ORDER_TASKS, "observe"}


def declare(app: Celery, runtime: Callable[[], Runtime]) -> None:
    """Give the app its tasks.

    Args:
        app: the Celery app.
        runtime: gives the process's runtime; called when the first task runs, not before.
    """

    def order_task(name: str) -> Callable[[int], str]:
        def task(order_id: int, until: str | None = None) -> str:
            return serve(runtime(), Order, order_id, _moment(until), partial(advance, runtime(), order_id, name))

        return task

    def observe_task(scope_id: int, until: str | None = None) -> str:
        return serve(runtime(), Scope, scope_id, _moment(until), partial(observe, runtime(), scope_id))

    def sweep_task() -> str:
        return f"{sweep(runtime())} due"

    def housekeeping_task() -> str:
        return housekeeping(runtime())

    promise = {"acks_late": True, "ignore_result": True}
    for name in ORDER_TASKS:
        app.task(order_task(name), name=name, **promise)
    app.task(observe_task, name="observe", **promise)
    app.task(sweep_task, name="sweep", **promise)
    app.task(housekeeping_task, name="housekeeping", **promise)


def _begins(task_id: str, **_: object) -> None:
    """What this thread logs from now on is of this task."""
    clear_contextvars()
    bind_contextvars(task_id=task_id)


def _ended(**_: object) -> None:
    """After Celery has told of an error. The thread's next lines are of no task, or of another."""
    clear_contextvars()


signals.task_prerun.connect(_begins)
signals.task_postrun.connect(_ended)


def _moment(until: str | None) -> datetime | None:
    return datetime.fromisoformat(until) if until is not None else None


def hint_sender(app: Celery) -> Callable[[Iterable[Hint]], None]:
    """Sends hints as messages. Where the broker is away it gives up at once: the sweep will find what is due."""

    def send(hints: Iterable[Hint]) -> None:
        try:
            for hint in hints:
                app.send_task(
                    # A row may name the task of another version: the work is the same under any name of ours.
                    hint.task if hint.task in _TASKS else ORDER_TASKS[0],
                    args=(hint.row_id, hint.until.isoformat() if hint.until else None),
                    queue=OBSERVE if hint.task == "observe" else ORDERS,
                    countdown=hint.delay or None,
                    argsrepr=hint.words,
                    kwargsrepr="",
                    ignore_result=True,
                    retry=False,
                )
        except (OperationalError, OSError) as error:
            log.warning("hints not sent", error=type(error).__name__)

    return send
