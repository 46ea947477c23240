"""Advance one order: claim it, plan, and act one recorded write at a time.

    decide   one short transaction: lock the order, judge its open writes, plan, record where it stands, and either
             freeze the next write (intended) or say what the order waits for and let it go
    act      the call: pace and budget, then `sent` is committed, then the first byte leaves; no transaction is open
    settle   one short transaction: result, foreign ids, applied and known together; what comes next is decided in it

Whoever finds the order claimed goes away quietly. A run that dies leaves a lease that ends by itself, a due time
behind it, and at most one open write, which the next run judges by what both systems show.
"""

from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from shlex import quote

import structlog
from sqlalchemy import BigInteger, Boolean, Interval, Text, and_, case, or_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from clients.errors import ClientError
from models.database import CLOCK, now
from models.prepared import Prepared, parameter
from models.states import Kind, OrderState, WriteState
from models.tables import Order, Write
from tasks import guard, rests
from tasks.budget import for_order
from tasks.context import bound
from tasks.decide import Chosen, Decision, Run, decide, move
from tasks.failpoints import reach
from tasks.hold import IS_STOPPED
from tasks.kinds import KINDS
from tasks.plan import Plan
from tasks.plan.facts import KOMET_WRITES
from tasks.runtime import NOTHING_DUE, Runtime, Timing, new_owner
from tasks.settle import settle_done, settle_error
from tasks.tenant import be_sure
from tasks.wake import lock_order

log = structlog.get_logger()


class LeaseLostError(Exception):
    """Somebody else works on the order now: this run sends nothing more."""


class _ChangedError(Exception):
    """The order changed, or a person stopped it, after its write was frozen: nothing is sent; it is planned anew."""


def advance(runtime: Runtime, order_id: int, task: str = "") -> str:
    """Do what leads the order on, as far as it goes now.

    Args:
        runtime: of this process.
        order_id: of its row.
        task: the name under which it runs; work of another name is left to the next run, so that names tell the truth.

    Returns:
        What was done, in a few words for people.
    """
    owner = new_owner()
    with ExitStack() as context:
        try:
            with runtime.sessions.begin() as session:
                row = _claim(session, order_id, owner, runtime.timing)
                if row is None:
                    return NOTHING_DUE
                connection = runtime.connections[row.connection_id]
                context.enter_context(bound(connection=connection.settings.name, order=row.name))
                run = Run(runtime, connection, order_id, owner, task)
                decision = decide(session, run, row)
            return _advance(run, decision)
        except Exception as error:
            with runtime.sessions.begin() as session:
                _stumbled(session, order_id, owner, error, runtime.timing)
            raise


def _advance(run: Run, decision: Decision) -> str:
    done = run.done
    run.runtime.send_hints(decision.hints)
    while decision.chosen is not None:
        decided = None
        with bound(write_id=decision.chosen.write.id):
            try:
                decided = _act(run, decision.chosen)
            except _ChangedError:
                done.append("it changed or was stopped: planned anew")
            except LeaseLostError:
                return ", ".join([*done, "another run took over"])
        if decided is None:
            with run.runtime.sessions.begin() as session:
                row = lock_order(session, run.order_id)
                if row is None or row.lease_owner != run.owner:
                    return ", ".join([*done, "another run took over"])
                decided = decide(session, run, row)
        decision = decided
        run.runtime.send_hints(decision.hints)
    return ", ".join(done) or "nothing to send"


_lease_ends = CLOCK + parameter("lease", Interval())
_CLAIMED = (
    update(Order)
    .where(
        Order.id == parameter("order_id", BigInteger()),
        Order.due_at <= CLOCK,
        or_(Order.lease_until.is_(None), Order.lease_until < CLOCK),
    )
    .values(lease_owner=parameter("owner", Text()), lease_until=_lease_ends, due_at=_lease_ends, hinted_until=None)
    .returning(Order)
    .execution_options(synchronize_session=False)
)


def _claim(session: Session, order_id: int, owner: str, timing: Timing) -> Order | None:
    """The order's row, locked and ours; None: it is not due, or somebody else works on it."""
    lease = timedelta(seconds=timing.order_lease)
    return session.scalar(_CLAIMED, {"order_id": order_id, "owner": owner, "lease": lease})


def _stumbled(session: Session, order_id: int, owner: str, error: Exception, timing: Timing) -> None:
    """An error of our own: the order says so, and is tried again later and later. Of the same one again people know.

    Where it came before the claim was committed, nobody holds the order.
    """
    row = lock_order(session, order_id)
    if row is None or row.lease_owner not in (owner, None):
        return
    due_at = rests.back_off(row, timing, now(session))
    words = f"{type(error).__name__}: see the log"
    if row.last_error == words and not isinstance(error, DBAPIError):  # the database may go away twice
        why = f"This program failed at it again ({words}). It is tried again, and goes on once that is mended."
        command = f"axkomet orders show {quote(row.key)}"
        move(session, row, Plan(OrderState.FAILED, OrderState.FAILED.value, why, command))
    row.last_error = words
    row.due_at, row.lease_owner, row.lease_until = due_at, None, None


def _act(run: Run, chosen: Chosen) -> Decision | None:
    """Make the call of a frozen write, settle what came of it and note it in the run.

    Returns:
        What comes next, where that was decided as it was settled.
    """
    write = chosen.write
    kind = KINDS[write.kind]
    words = write.kind.value
    sent_at: list[datetime] = []
    address = chosen.address
    reached = partial(reach, write.kind, key=address.external_id or address.key)
    reached("intended")

    def before_send() -> None:
        sent_at.append(_commit_sent(run, write))
        reached("sent")

    try:
        if write.kind not in KOMET_WRITES:
            be_sure(run.runtime, run.connection)
        with for_order(run.order_id, first=chosen.first, waited=chosen.waited):
            result = kind.send(run.connection, address, write, before_send)
    except ClientError as error:
        reached("answered")
        log.info("write", kind=words, outcome=type(error).__name__, error=str(error))
        call = run.call(write.kind, sent_at[-1] if sent_at else None)
        settle_error(run, write.id, call, error)
        run.done.append(f"{words}: {error.detail}")
        return None
    reached("answered")
    run.done.append(f"{words} done")
    run.answered.append(write.id)
    decision, failed = settle_done(run, write.id, result, sent_at[-1])
    reached("settled")
    ids = {name: result[name] for name in ("id", "number") if result.get(name)}
    log.info("write", kind=words, outcome="done", **ids)
    if failed is not None:
        raise failed
    return decision


_LEASED = Prepared(
    update(Order)
    .where(Order.id == parameter("order_id", BigInteger()), Order.lease_owner == parameter("owner", Text()))
    .values(
        lease_until=_lease_ends,
        due_at=_lease_ends,
        held_up_by=None,
        begun_version=case((parameter("begins", Boolean()), Order.version), else_=Order.begun_version),
    )
    .returning(Order.sequence, Order.unreadable, Order.upset_at)
)
_SENT = Prepared(
    update(Write)
    .where(
        Write.id == parameter("write_id", BigInteger()),
        or_(
            Write.state == WriteState.INTENDED,
            and_(Write.state == WriteState.SENT, parameter("is_repeatable", Boolean())),
        ),
    )
    .values(
        state=WriteState.SENT,
        attempts=Write.attempts + 1,
        sent_at=CLOCK,
        deadline_at=CLOCK + parameter("timeout", Interval()),
    )
    .returning(Write.sent_at, IS_STOPPED.label("is_stopped"))
)


def _commit_sent(run: Run, write: Write) -> datetime:
    """From here on the write may have arrived; gives the time. Refused where lease or write were lost meanwhile."""
    timing = run.runtime.timing
    is_repeatable = KINDS[write.kind].repeatable
    with run.runtime.sessions.begin() as session:
        order = _LEASED.run(
            session,
            order_id=run.order_id,
            owner=run.owner,
            lease=timedelta(seconds=timing.order_lease),
            begins=write.kind in (Kind.PREBOOK_CREATE, Kind.INBOUND_ORDER),
        ).first()
        if order is None:
            raise LeaseLostError
        timeout = timedelta(seconds=timing.http_timeout)
        sent = _SENT.run(session, write_id=write.id, is_repeatable=is_repeatable, timeout=timeout).first()
        if sent is None:
            raise LeaseLostError
        has_changed = order.sequence != write.order_sequence or order.unreadable is not None
        if (
            sent.is_stopped
            or (not is_repeatable and has_changed)
            or (order.upset_at is not None and _is_held(session, run))
        ):
            raise _ChangedError
        sent_at: datetime = sent.sent_at
    return sent_at


def _is_held(session: Session, run: Run) -> bool:
    """It was held for being over the limit after its write was frozen."""
    return guard.is_held(session, run.connection.settings, session.get_one(Order, run.order_id))
