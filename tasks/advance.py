"""Advance one order: claim it, plan, and act one recorded write at a time.

    decide   one short transaction: lock the order, judge its open writes, plan, record where it stands, and either
             freeze the next write (intended) or say what the order waits for and let it go
    act      the call: pace and budget, then `sent` is committed, then the first byte leaves; no transaction is open
    settle   one short transaction: result, foreign ids, applied and known together; what comes next is decided in it

Whoever finds the order claimed goes away quietly. A run that dies leaves a lease that ends by itself, a due time
behind it, and at most one open write, which the next run judges by what both systems show.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import (
    BigInteger,
    Boolean,
    Interval,
    Text,
    and_,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from clients.errors import ClientError, NoBudget, NotSent, NoTurn, RefusalKind, Refused
from models.canonical import Origin
from models.database import CLOCK, now
from models.prepared import Found, Prepared, parameter
from models.states import Feed, Kind, OrderState, WriteState
from models.tables import History, Order, OrderLine, Scope, Shipment, ShipmentLine, Write, WriteLine
from tasks import guard, proofs, scopes, upstreams
from tasks.budget import AHEAD, BUDGET, for_order, seconds_until_free
from tasks.connection import Connection
from tasks.context import bound
from tasks.failpoints import reach
from tasks.kinds import KINDS, Address
from tasks.notes import note, note_once
from tasks.plan import LOOKS_FOR_ABSENCE, Plan, PlannedWrite, Situation, judge, make_plan
from tasks.plan.facts import CREATES, KOMET_WRITES, PURCHASE_ORDER_CREATES
from tasks.requeue import begin_afresh
from tasks.runtime import NOTHING_DUE, Hint, Runtime, Timing, new_owner
from tasks.situation import SituationReader
from tasks.upstreams import Call, Obstacle, Obstacles, Pause, Verdict
from tasks.wake import hint_of, lock_order, lock_orders_of, wake_those_that_wait_for

log = structlog.get_logger()

#: Whatever the reason, an order that is not at its end is looked at again after so long.
RESYNC = timedelta(hours=1)
#: A run makes at most so many calls; the rest is due at once.
_CALLS_IN_A_RUN = 10
#: Between tries to settle while the database is away, and how long a process tries that is told to end, in seconds.
_SETTLE_PAUSE, _LAST_TRIES = 0.5, 5.0
#: The database is away, or too busy.
_AWAY = (OperationalError, InterfaceError, NoConnectionError)

_WHY = {
    OrderState.RECEIVED: "Not every open line stands in the other system yet.",
    OrderState.PREBOOKED: "Komet shows a prebook item for every open line.",
    OrderState.ORDERED: "Every open line has its purchase order, and both systems hold each other's ids.",
    OrderState.APPROVED: "Procurement approved, and Axerrio knows.",
    OrderState.SHIPPED: "Every box that leaves is on an air waybill in Komet, with its label's code.",
    OrderState.CANCELLING: "Its origin wants it no more: what stands of it in the other system is taken away.",
}
_TASK_OF_STATE = {
    OrderState.ORDERED: KINDS[Kind.PROCUREMENT_STATUS].task,
    OrderState.APPROVED: KINDS[Kind.AWB_ADD].task,
    OrderState.SHIPPED: KINDS[Kind.BOX_CODE_CHANGE].task,
    OrderState.CANCELLING: KINDS[Kind.PREBOOK_ITEM_DELETE].task,
}
#: Kinds of writes of which a replacement consists.
_REPLACES = (*CREATES, Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)
#: Orders that join another's call at most.
_MOST_TOGETHER = 200


T = TypeVar("T")


class LeaseLostError(Exception):
    """Somebody else works on the order now: this run sends nothing more."""


class _ChangedError(Exception):
    """The order changed after its write was frozen: nothing is sent, and it is planned anew."""


@dataclass(frozen=True)
class _Run:
    """One run over one order."""

    runtime: Runtime
    connection: Connection
    order_id: int
    owner: str
    task: str
    #: What it did so far, in words for people.
    done: list[str] = field(default_factory=list)
    #: Ids of its writes to which the other system said yes.
    answered: list[int] = field(default_factory=list)

    def call(self, kind: Kind, began_at: datetime | None) -> Call:
        """A call of this run, as its system knows it."""
        return Call(self.connection, kind.value, upstreams.name_of(self.order_id), began_at)


@dataclass(frozen=True)
class _Chosen:
    """The next write to send, frozen."""

    write: Write
    #: Of its order.
    address: Address
    #: Its request comes before those of all other orders.
    first: bool = False
    #: It was held up for want of a request.
    waited: bool = False


@dataclass(frozen=True)
class _Decision:
    """What comes next."""

    #: None: nothing now, and the order was let go.
    chosen: _Chosen | None
    #: To be sent after the commit.
    hints: list[Hint]


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
                connection = runtime.connections.get(row.connection_id)
                if connection is None:
                    _let_go(session, order_id, owner, RESYNC)
                    return "its connection is not in the connections file"
                context.enter_context(bound(connection=connection.settings.name, order=row.name))
                run = _Run(runtime, connection, order_id, owner, task)
                decision = _decide(session, run, row)
            return _advance(run, decision)
        except Exception as error:
            with runtime.sessions.begin() as session:
                _stumbled(session, order_id, owner, error, runtime.timing)
            raise


def _advance(run: _Run, decision: _Decision) -> str:
    done = run.done
    run.runtime.send_hints(decision.hints)
    while decision.chosen is not None:
        decided = None
        with bound(write_id=decision.chosen.write.id):
            try:
                decided = _act(run, decision.chosen)
            except _ChangedError:
                done.append("a newer version came: planned anew")
            except LeaseLostError:
                return ", ".join([*done, "another run took over"])
        if decided is None:
            with run.runtime.sessions.begin() as session:
                row = lock_order(session, run.order_id)
                if row is None or row.lease_owner != run.owner:
                    return ", ".join([*done, "another run took over"])
                decided = _decide(session, run, row)
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


def _let_go(session: Session, order_id: int, owner: str, pause: timedelta) -> None:
    session.execute(
        update(Order)
        .where(Order.id == order_id, Order.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, due_at=func.axkomet_now() + pause)
    )


def _stumbled(session: Session, order_id: int, owner: str, error: Exception, timing: Timing) -> None:
    """An error of our own: the order says so, and is tried again later and later.

    Where it came before the claim was committed, nobody holds the order.
    """
    row = lock_order(session, order_id)
    if row is None or row.lease_owner not in (owner, None):
        return
    _back_off(row, now(session), timing)
    row.last_error = f"{type(error).__name__}: see the log"
    row.due_at, row.lease_owner, row.lease_until = row.not_before, None, None


# -- decide ----------------------------------------------------------------------------------------------------


def _decide(session: Session, run: _Run, row: Order) -> _Decision:
    """The next write to send, frozen, of an order that is locked and ours; None: it was let go."""
    reader = SituationReader(session, run.connection, run.runtime.timing)
    situation = reader.read(row)
    if _apply_verdicts(session, row, situation, run.runtime.timing):
        situation = reader.read(row)
    with session.no_autoflush:  # nothing that follows asks for what it changes: all of it is written at the commit
        return _decided(session, run, row, reader.found, situation)


def _decided(session: Session, run: _Run, row: Order, found: Found, situation: Situation) -> _Decision:
    plan = make_plan(situation)
    guard.record(row, situation, plan)
    record_state(session, row, plan)
    moment = now(session)
    may_write = run.connection.writes_allowed and (row.not_before is None or row.not_before <= moment)
    # What is held up keeps nothing else of the order from going on.
    work: list[Write | PlannedWrite] = [session.get_one(Write, each) for each in plan.repeats]
    work += [each for each in plan.writes if not each.patience]
    first, obstacle = _next_free(session, run, row, found, situation, work, may_write=may_write)
    if first is not None and may_write:
        row.next_task = KINDS[first.kind].task
        if run.done and (row.next_task != run.task or len(run.done) >= _CALLS_IN_A_RUN or run.runtime.ending.is_set()):
            return _Decision(None, [_let_go_until(row, moment, moment, run.runtime.timing, run.connection)])
        # One that waited for a request does until it has one: who leaves later must not take it.
        row.held_up_by = row.held_up_by if row.held_up_by == BUDGET else None
        if not isinstance(first, Write) and KINDS[first.kind].shared:
            first = _joined(session, run, row, first)
        write = first if isinstance(first, Write) else _freeze(session, run, row, first)
        comes_first = not isinstance(first, Write) and _was_begun_anew(situation, first)
        reach(write.kind, "planned", row.external_id or row.axerrio_key)
        address = Address(row.axerrio_key, row.external_id)
        return _Decision(_Chosen(write, address, comes_first, row.held_up_by == BUDGET), [])
    hints = scopes.wait_for(
        session, row, plan.looks, run.runtime.timing, run.connection.settings, anew=bool(run.answered)
    )
    row.next_task = KINDS[work[0].kind].task if work else _task_of(row, situation)
    if obstacle is not None or not work or row.held_up_by != BUDGET:
        row.held_up_by = obstacle.name if obstacle is not None else None
    due_at = _next_look(situation, plan, row, moment, obstacle, waits_to_write=first is not None)
    _let_go_until(row, due_at, moment, run.runtime.timing, run.connection)
    return _Decision(None, hints)


def _next_free(
    session: Session,
    run: _Run,
    row: Order,
    found: Found,
    situation: Situation,
    work: Sequence[Write | PlannedWrite],
    *,
    may_write: bool,
) -> tuple[Write | PlannedWrite | None, Obstacle | None]:
    """The first piece of work that nothing keeps from being sent; else what keeps the first of all.

    Where all of it is held up, one piece may be the probe of a paused method.
    """
    if not work or not run.connection.writes_allowed:
        return None, None
    obstacles = Obstacles(session, row.connection_id, run.runtime.timing, found)
    held_up: list[tuple[Write | PlannedWrite, Obstacle]] = []
    for each in work:
        obstacle = obstacles.of(each.kind.value) or _budget(session, run, found, situation, each)
        if obstacle is None:
            return each, None
        held_up.append((each, obstacle))
    for each, _ in held_up:
        goes_now = not run.done or KINDS[each.kind].task == run.task
        if may_write and goes_now and obstacles.may_probe(each.kind.value, row):
            return each, None
    return None, held_up[0][1]


def _budget(
    session: Session, run: _Run, found: Found, situation: Situation, each: Write | PlannedWrite
) -> Obstacle | None:
    """The company's requests of the day are used up, or those left are for orders that leave earlier."""
    if isinstance(each, Write) or each.kind not in KOMET_WRITES:
        return None
    if situation.requests_left > (0 if _was_begun_anew(situation, each) else found.number(AHEAD)):
        return None
    seconds = seconds_until_free(session, run.connection.settings.company)
    return Obstacle(BUDGET, now(session) + timedelta(seconds=seconds))


def _was_begun_anew(situation: Situation, planned: PlannedWrite) -> bool:
    """The write belongs to a replacement of which a part is deleted already: that is not left half done."""
    lines = [line for line in situation.lines if line.line_key in planned.line_keys]
    return planned.kind in _REPLACES and any(item.goes_from_here for line in lines for item in line.prebook_items)


def _let_go_until(
    row: Order, due_at: datetime | None, moment: datetime, timing: Timing, connection: Connection
) -> Hint:
    row.due_at = due_at
    row.lease_owner = row.lease_until = None
    row.hinted_until = moment + timedelta(seconds=timing.hint) if due_at == moment else None
    return hint_of(row, connection.settings.name)


def _task_of(row: Order, situation: Situation) -> str:
    """What an order will do next that only waits now, as far as can be told."""
    if row.state in _TASK_OF_STATE:
        return _TASK_OF_STATE[row.state]
    is_born_here = row.origin == Origin.AXERRIO
    if row.begun_version is None:
        return KINDS[Kind.PREBOOK_CREATE if is_born_here else Kind.INBOUND_ORDER].task
    is_bought = any(
        write.kind in PURCHASE_ORDER_CREATES and write.state is WriteState.DONE for write in situation.writes
    )
    links_first = is_bought or (not is_born_here and row.references_applied is None)
    return KINDS[Kind.EXTERNAL_REFERENCES if links_first else Kind.PURCHASE_ORDER_CREATE].task


def _next_look(
    situation: Situation,
    plan: Plan,
    row: Order,
    moment: datetime,
    obstacle: Obstacle | None,
    *,
    waits_to_write: bool,
) -> datetime | None:
    """When the order must be looked at again, whatever the observations bring."""
    if plan.state.is_final and not any(write.state.is_open for write in situation.writes):
        return None
    times = [moment + RESYNC, *(moment + each.patience for each in plan.writes if each.patience)]
    if waits_to_write and row.not_before is not None and row.not_before > moment:
        times.append(row.not_before)
    if obstacle is not None and obstacle.name == BUDGET:  # any other is told to all who wait for it when it is gone
        times.append(obstacle.until)
    times += [
        moment + write.deadline_in
        for write in situation.writes
        if write.state is WriteState.SENT
        and write.deadline_in is not None
        and write.deadline_in > timedelta(0)
        and KINDS[write.kind].repeatable
    ]
    return min(times)


def _apply_verdicts(session: Session, row: Order, situation: Situation, timing: Timing) -> bool:
    """Settle what time and observations decided; True if anything changed."""
    verdicts = judge(situation)
    for verdict in verdicts:
        write = session.get_one(Write, verdict.write_id)
        if verdict.state is WriteState.ABSENT and any(not line.is_open for line in write.lines):
            for line in write.lines:  # a part of it shows: it arrived, and the rest was left out
                line.error = verdict.why if line.is_open else line.error
            _close(session, write, WriteState.DONE, None)
            continue
        _close(session, write, verdict.state, verdict.why)
        if verdict.state is WriteState.ABSENT:
            _back_off(row, now(session), timing)
            note(session, row, f"{write.kind} is absent: {verdict.why}", write.id)
    for facts in situation.writes:
        if (
            facts.state is WriteState.DONE
            and facts.acknowledged
            and not facts.shown
            and facts.kind in KOMET_WRITES
            and facts.looks >= LOOKS_FOR_ABSENCE
        ):
            proofs.missed(session, session.get_one(Write, facts.id))
    session.flush()
    return bool(verdicts)


def _joined(session: Session, run: _Run, row: Order, planned: PlannedWrite) -> PlannedWrite:
    """The same call with the boxes of all orders of its shipments that ask for it and that nobody works on.

    Orders that somebody has locked are left out instead of waited for: so locks need no order here.
    """
    if planned.alone:
        return planned
    session.flush()  # whether another is held for being over the limit may depend on this order's own mark
    moment = now(session)
    mine = select(ShipmentLine.shipment_id).where(ShipmentLine.order_key == row.axerrio_key)
    keys = (
        select(ShipmentLine.order_key)
        .join(Shipment, ShipmentLine.shipment_id == Shipment.id)
        .where(Shipment.connection_id == row.connection_id, Shipment.id.in_(mine))
    )
    others = session.scalars(
        select(Order)
        .where(
            Order.connection_id == row.connection_id,
            Order.axerrio_key.in_(keys),
            Order.id != row.id,
            or_(Order.lease_until.is_(None), Order.lease_until < moment),
            or_(Order.not_before.is_(None), Order.not_before <= moment),
        )
        .order_by(Order.id)
        .limit(_MOST_TOGETHER)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    reader = SituationReader(session, run.connection, run.runtime.timing)
    for other in others:
        situation = reader.read(other)
        if judge(situation):
            continue  # it must be judged by itself first
        for write in make_plan(situation).writes:
            if write.kind is planned.kind and not write.alone:
                planned = planned.with_parts_of(write)
    return planned


def _freeze(session: Session, run: _Run, row: Order, planned: PlannedWrite) -> Write:
    """Intent: the write's row with its frozen body and the lines it covers."""
    frozen = KINDS[planned.kind].freeze(session, run.connection, row, planned)
    write = Write(
        connection_id=row.connection_id,
        order_id=row.id,
        kind=planned.kind,
        state=WriteState.INTENDED,
        order_sequence=row.sequence,
        body=frozen.body,
        says=frozen.says,
        mark=frozen.mark,
        idempotency_key=f"axkomet-{new_owner()}",
        scope_id=scopes.find_or_make(session, row.connection_id, *frozen.scope) if frozen.scope else None,
        attempts=0,
        lines=[
            WriteLine(line_id=line_id, kind=planned.kind, is_open=True, sent=sent)
            for line_id, sent in frozen.lines.items()
        ],
    )
    session.add(write)
    if frozen.warnings:
        session.flush()
        covered = select(Order).join(OrderLine, OrderLine.order_id == Order.id).where(OrderLine.id.in_(frozen.lines))
        for each in session.scalars(covered.distinct().order_by(Order.id)):
            for warning in frozen.warnings:
                note(session, each, f"As sent: {warning}.", write.id)
    return write


def record_state(session: Session, row: Order, plan: Plan) -> None:
    """Store where the order and its lines stand, and write history where that changed."""
    row.attempts = plan.attempts
    for line in row.lines:
        wanted = line.wanted is not None and line.wanted["status"] != "cancelled"
        rest = plan.state if plan.state.is_final else OrderState.RECEIVED if wanted else OrderState.CANCELLED
        line.state = plan.line_states.get(line.line_key, rest)
        line.waits_for = plan.waits_for.get(line.line_key)
    for notice in dict.fromkeys(plan.notices):
        note_once(session, row, notice)
    if (row.state, row.reason) == (plan.state, plan.reason):
        return
    why = plan.reason or _WHY.get(plan.state, plan.state.value)
    session.add(History(order_id=row.id, from_state=row.state.value, to_state=plan.state.value, why=why))
    row.state, row.reason_code, row.reason = plan.state, plan.reason_code, plan.reason
    row.next_command = plan.next_command
    row.updated_at = now(session)


# -- act -------------------------------------------------------------------------------------------------------


def _act(run: _Run, chosen: _Chosen) -> _Decision | None:
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
        with for_order(run.order_id, first=chosen.first, waited=chosen.waited):
            result = kind.send(run.connection, address, write, before_send)
    except ClientError as error:
        reached("answered")
        log.info("write", kind=words, outcome=type(error).__name__, error=str(error))
        call = run.call(write.kind, sent_at[-1] if sent_at else None)
        verdict = _until_the_database_is_back(run, partial(upstreams.judge, run.runtime, call, error))
        pause = _until_the_database_is_back(run, partial(_settle_error, run, write.id, call, verdict))
        if pause is not None:
            upstreams.paused(run.runtime, call, pause)
        run.done.append(f"{words}: {error.detail}")
        return None
    reached("answered")
    run.done.append(f"{words} done")
    run.answered.append(write.id)
    settle, failed = partial(_settle_done, run, write.id, result, sent_at[-1]), None
    try:
        opened, decision = settle(decides=True)
    except Exception as error:  # of the decision, mostly: what the answer said must not be lost by it
        opened, decision = _until_the_database_is_back(run, partial(settle, decides=False))
        failed = error if not isinstance(error, _AWAY) else None
    upstreams.go_on(run.runtime, run.connection, opened)
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
    .returning(Write.sent_at)
)
#: A write to which the other system said yes, locked.
_ANSWERED = (
    select(Write, upstreams.ANSWER_IS_NEWS)
    .where(Write.id == parameter("write_id", BigInteger()))
    .with_for_update(of=Write)
    .execution_options(populate_existing=True)
)
_CLOSED = Prepared(
    update(WriteLine)
    .where(WriteLine.write_id == parameter("write_id", BigInteger()), WriteLine.is_open)
    .values(is_open=False)
)


def _commit_sent(run: _Run, write: Write) -> datetime:
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
        if (not is_repeatable and has_changed) or (order.upset_at is not None and _is_held(session, run)):
            raise _ChangedError
        sent_at: datetime = sent.sent_at
    return sent_at


def _is_held(session: Session, run: _Run) -> bool:
    """It was held for being over the limit after its write was frozen."""
    return guard.is_held(session, run.connection.settings, session.get_one(Order, run.order_id))


# -- settle ----------------------------------------------------------------------------------------------------


def _until_the_database_is_back(run: _Run, settle: Callable[[], T]) -> T:
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
    run: _Run, write_id: int, result: dict[str, object], sent_at: datetime, *, decides: bool
) -> tuple[tuple[str, ...], _Decision | None]:
    """The other system said yes. It counts also where the lease was lost, or the write was adopted or given up.

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
            _close(session, write, WriteState.DONE, None)
        words = KINDS[write.kind].settle(session, run.connection, row, write) or ()
        row.setbacks, row.not_before, row.last_error = 0, None, None
        for each in rows:
            if each.lease_owner != run.owner:
                each.due_at = now(session)
        session.flush()
        answered = upstreams.Answered((), was_well=True)
        if is_news:
            answered = upstreams.answered(session, run.connection.id, [write.kind.value], sent_at)
        if decides and answered.was_well and row.lease_owner == run.owner:
            decision = _decide(session, run, row)
    run.runtime.send_hints(wake_those_that_wait_for(run.runtime, run.connection, words))
    return answered.opened, decision


def _settle_error(run: _Run, write_id: int, call: Call, verdict: Verdict) -> Pause | None:
    """It did not end as asked; gives the pause, where the method is paused now."""
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
        _back_off(row, moment, run.runtime.timing, _least_wait(error, run.runtime.timing))
        if isinstance(error, NoBudget | NoTurn):
            row.setbacks -= 1  # waiting for budget or pace is no setback
        if isinstance(error, NoBudget):
            row.held_up_by = BUDGET
        if isinstance(error, Refused):
            write.refusal = error.kind.value
            _close(session, write, WriteState.REFUSED, error.detail)
            if error.kind is RefusalKind.UNKNOWN_REFERENCE:
                hints = _read_reference_again(session, row, run.runtime.timing)
        elif isinstance(error, NotSent):
            if write.attempts <= 1:
                _close(session, write, WriteState.VOID, error.detail)
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


def _close(session: Session, write: Write, state: WriteState, why: str | None) -> None:
    write.settled_at = now(session)
    write.state, write.error = state, why
    with session.no_autoflush:  # written with what else is said of the write
        _CLOSED.run(session, write_id=write.id)


def _back_off(row: Order, moment: datetime, timing: Timing, at_least: float = 0.0) -> None:
    """Exponential, with full jitter; never sooner than the other side asked for."""
    ceiling = min(timing.retry_max, timing.retry_base * 2 ** min(row.setbacks, 20))
    row.setbacks += 1
    row.not_before = moment + timedelta(seconds=max(random.uniform(0, ceiling), at_least))  # noqa: S311


def _axerrio_answers(session: Session, row: Order) -> bool:
    """Its last poll succeeded: so the trouble is this order's, and an outage uses up nobody's attempts."""
    failures = select(Scope.failures).where(
        Scope.connection_id == row.connection_id, Scope.feed == Feed.SALES_ORDERS, Scope.key == ""
    )
    return session.scalar(failures) == 0


def _read_reference_again(session: Session, row: Order, timing: Timing) -> list[Hint]:
    of_connection = select(Scope.id).where(Scope.connection_id == row.connection_id, Scope.feed == Feed.KOMET_REFERENCE)
    return scopes.request(session, list(session.scalars(of_connection)), timing)
