"""Settle what came of a call: one short transaction.

Result, foreign ids, applied and known together. Of an answer that says yes, what comes next is decided in it.
"""

import math
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import BigInteger, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from clients.errors import ClientError, NoBudget, NotSent, NoTurn, RefusalKind, Refused
from models.database import now
from models.prepared import parameter
from models.states import Feed, WriteState
from models.tables import Order, Scope, Write
from tasks import rests, scopes, upstreams
from tasks.budget import BUDGET
from tasks.decide import RESYNC, Decision, Run, close, decide
from tasks.kinds import KINDS
from tasks.requeue import begin_afresh
from tasks.runtime import Hint, Timing
from tasks.upstreams import Call, Pause, Verdict
from tasks.wake import lock_orders_of, wake_those_that_wait_for

log = structlog.get_logger()

#: Between tries to settle while the database is away, and how long a process tries that is told to end, in seconds.
_SETTLE_PAUSE, _LAST_TRIES = 0.5, 5.0
#: What is read anew after a refusal, since it may say why: carriers and box types, or that an order is there no more.
_TELLS_MORE = {RefusalKind.UNKNOWN_REFERENCE: Feed.KOMET_REFERENCE, RefusalKind.GONE: Feed.SALES_ORDERS}
#: The database is away, or too busy.
_AWAY = (OperationalError, InterfaceError, NoConnectionError)
#: A write to which the other system said yes, locked.
_ANSWERED = (
    select(Write, upstreams.ANSWER_IS_NEWS)
    .where(Write.id == parameter("write_id", BigInteger()))
    .with_for_update(of=Write)
    .execution_options(populate_existing=True)
)
T = TypeVar("T")


def settle_done(
    run: Run, write_id: int, result: dict[str, object], sent_at: datetime
) -> tuple[Decision | None, Exception | None]:
    """The other system said yes.

    Args:
        run: that made the call.
        write_id: of the write.
        result: ids and numbers of the answer.
        sent_at: when the call's first byte left.

    Returns:
        What comes next, where that was decided as it was settled, and an error of ours that kept it from being decided.
    """
    settle, failed = partial(_settle_done, run, write_id, result, sent_at), None
    try:
        opened, decision = settle(decides=True)
    except Exception as error:  # of the decision, mostly: what the answer said must not be lost by it
        opened, decision = _until_the_database_is_back(run, partial(settle, decides=False))
        failed = error if not isinstance(error, _AWAY) else None
    upstreams.go_on(run.runtime, run.connection, opened)
    return decision, failed


def settle_error(run: Run, write_id: int, call: Call, error: ClientError) -> None:
    """It did not end as asked: what the error says of the write, of its order and of the system."""
    verdict = _until_the_database_is_back(run, partial(upstreams.judge, run.runtime, call, error))
    pause = _until_the_database_is_back(run, partial(_settle_error, run, write_id, call, verdict))
    if pause is not None:
        upstreams.paused(run.runtime, call, pause)


def _until_the_database_is_back(run: Run, settle: Callable[[], T]) -> T:
    """Settling is tried until it succeeds: what an answer said must not be lost.

    Only a process that is told to end gives up, after five seconds. Its write stays `sent`, and is settled by a look,
    as after the death of a process.
    """
    give_up_at = math.inf
    while True:
        try:
            return settle()
        except _AWAY as error:
            why = str(getattr(error, "orig", error))
            if run.runtime.ending.is_set():
                give_up_at = min(give_up_at, time.monotonic() + _LAST_TRIES)
            if time.monotonic() >= give_up_at:
                log.warning("not settled: the database is away, and this process ends", error=why)
                raise
            log.warning("settling waits for the database", error=why)
            time.sleep(_SETTLE_PAUSE)


def _settle_done(
    run: Run, write_id: int, result: dict[str, object], sent_at: datetime, *, decides: bool
) -> tuple[tuple[str, ...], Decision | None]:
    """It counts also where the lease was lost, or the write was adopted or given up.

    Args:
        run: that made the call.
        write_id: of the write.
        result: ids and numbers of the answer.
        sent_at: when the call's first byte left.
        decides: what comes next in the same transaction too, as long as the order is ours and the system was well:
            where it was not, rows are locked after which nothing may be.

    Returns:
        What was closed and is open by this, and what comes next.
    """
    decision = None
    with run.runtime.sessions.begin() as session:
        rows = lock_orders_of(session, write_id)
        row = next((each for each in rows if each.id == run.order_id), None)
        write, is_news = session.execute(_ANSWERED, {"write_id": write_id}).one()
        if row is None:
            return (), None
        write.acknowledged_at = now(session)
        write.result = {name: value for name, value in result.items() if value is not None}
        write.error = None
        if write.state is not WriteState.DONE:
            close(session, write, WriteState.DONE, None)
        words = KINDS[write.kind].settle(session, run.connection, row, write) or ()
        rests.over(row, now(session), upstreams.system_of(write.kind))  # what the other system asked for stays
        row.last_error = None if row.setbacks == 0 else row.last_error
        for each in rows:
            if each.lease_owner != run.owner:
                each.due_at = now(session)
        session.flush()
        answered = upstreams.Answered((), was_well=True)
        if is_news:
            answered = upstreams.answered(session, run.connection.id, [write.kind.value], sent_at)
        if decides and answered.was_well and row.lease_owner == run.owner:
            decision = decide(session, run, row)
    run.runtime.send_hints(wake_those_that_wait_for(run.runtime, run.connection, words))
    return answered.opened, decision


def _settle_error(run: Run, write_id: int, call: Call, verdict: Verdict) -> Pause | None:
    """Gives the pause, where the method is paused now."""
    error, pause = verdict.error, None
    hints: list[Hint] = []
    with run.runtime.sessions.begin() as session:
        rows = lock_orders_of(session, write_id)
        row = next((each for each in rows if each.id == run.order_id), None)
        write = session.get_one(Write, write_id, with_for_update=True)
        if row is None or not write.state.is_open:
            return None
        moment = now(session)
        for each in rows:
            if each is not row:
                each.due_at = moment  # it waits for its boxes to show, or is told of the refusal
        write.error = row.last_error = error.detail
        rests.back_off(row, run.runtime.timing, moment, call.system, at_least=_least_wait(error, run.runtime.timing))
        if isinstance(error, NoBudget | NoTurn):
            row.setbacks -= 1  # waiting for budget or pace is no setback
        if isinstance(error, NoBudget):
            row.held_up_by = BUDGET
        if isinstance(error, Refused):
            write.refusal = error.kind.value
            close(session, write, WriteState.REFUSED, error.detail)
            feed = _TELLS_MORE.get(error.kind)
            hints = _read_again(session, row, feed, run.runtime.timing) if feed is not None else []
        elif isinstance(error, NotSent):
            if write.attempts <= 1:
                close(session, write, WriteState.VOID, error.detail)
            else:  # an earlier try of it may have arrived
                write.deadline_at = moment
        elif KINDS[write.kind].repeatable:
            write.deadline_at = moment  # the call is over, and sending it again is safe
            write.strikes += verdict.closed is None and _axerrio_answers(session, row)
        else:
            write.excused = verdict.closed is not None
        session.flush()
        if isinstance(error, Refused) and error.kind is RefusalKind.RIGHT:
            pause = upstreams.refuse(session, call, error, run.runtime.timing)
            if pause is not None:
                for each in rows:
                    begin_afresh(session, each)
    run.runtime.send_hints(hints)
    return pause


def _least_wait(error: ClientError, timing: Timing) -> float:
    """Seconds that the error asks for: a token that was refused is not mended within seconds."""
    if isinstance(error, Refused) and error.kind is RefusalKind.TOKEN:
        return timing.retry_max
    asked = getattr(error, "retry_after", None) or 0.0
    return min(asked, RESYNC.total_seconds()) if isinstance(error, NoBudget) else asked


def _axerrio_answers(session: Session, row: Order) -> bool:
    """Its last poll succeeded: so the trouble is this order's, and an outage uses up nobody's attempts."""
    failures = select(Scope.failures).where(
        Scope.connection_id == row.connection_id, Scope.feed == Feed.SALES_ORDERS, Scope.key == ""
    )
    return session.scalar(failures) == 0


def _read_again(session: Session, row: Order, feed: Feed, timing: Timing) -> list[Hint]:
    of_connection = select(Scope.id).where(Scope.connection_id == row.connection_id, Scope.feed == feed)
    return scopes.request(session, list(session.scalars(of_connection)), timing)
