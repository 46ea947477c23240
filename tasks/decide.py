"""Decide what an order's run does next: one short transaction.

It locks the order, judges its open writes, plans, records where it stands, and either freezes the next write
(intended) or says what the order waits for and lets it go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import BigInteger, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.canonical import Origin
from models.database import now
from models.prepared import Found, Prepared, parameter
from models.states import Feed, Kind, OrderState, WriteState
from models.tables import History, Order, OrderLine, Shipment, ShipmentLine, Write, WriteLine
from tasks import guard, proofs, rests, scopes, upstreams
from tasks.budget import AHEAD, BUDGET, budget_found, seconds_until_free
from tasks.connection import Connection
from tasks.failpoints import reach
from tasks.kinds import KINDS, Address
from tasks.notes import note, note_once
from tasks.plan import LOOKS_FOR_ABSENCE, Plan, PlannedWrite, Situation, judge, make_plan
from tasks.plan.facts import CREATES, KOMET_WRITES, PURCHASE_ORDER_CREATES
from tasks.runtime import Hint, Runtime, Timing, new_owner
from tasks.situation import SituationReader
from tasks.situation_rows import SCOPES
from tasks.upstreams import Call, Obstacle, Obstacles
from tasks.wake import hint_of

log = structlog.get_logger()

#: Whatever the reason, an order that is not at its end is looked at again after so long.
RESYNC = timedelta(hours=1)
#: A run makes at most so many calls; the rest is due at once.
_CALLS_IN_A_RUN = 10
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
_DELETES = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)
#: Orders that join another's call at most.
_MOST_TOGETHER = 200
_CLOSED = Prepared(
    update(WriteLine)
    .where(WriteLine.write_id == parameter("write_id", BigInteger()), WriteLine.is_open)
    .values(is_open=False)
)


@dataclass(frozen=True)
class Run:
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
class Chosen:
    """The next write to send, frozen."""

    write: Write
    #: Of its order.
    address: Address
    #: Its request comes before those of all other orders.
    first: bool = False
    #: It was held up for want of a request.
    waited: bool = False


@dataclass(frozen=True)
class Decision:
    """What comes next."""

    #: None: nothing now, and the order was let go.
    chosen: Chosen | None
    #: To be sent after the commit.
    hints: list[Hint]


def decide(session: Session, run: Run, row: Order) -> Decision:
    """The next write to send, frozen, of an order that is locked and ours; None: it was let go."""
    reader = SituationReader(session, run.connection, run.runtime.timing)
    situation = reader.read(row)
    if _apply_verdicts(session, row, situation, run.runtime.timing):
        situation = reader.read(row)
    with session.no_autoflush:  # nothing that follows asks for what it changes: all of it is written at the commit
        return _decided(session, run, row, reader.found, situation)


def _decided(session: Session, run: Run, row: Order, found: Found, situation: Situation) -> Decision:
    plan = make_plan(situation)
    guard.record(row, situation, plan)
    _record_state(session, row, plan)
    moment = now(session)
    # What is held up keeps nothing else of the order from going on.
    work: list[Write | PlannedWrite] = [session.get_one(Write, each) for each in plan.repeats]
    work += [each for each in plan.writes if not each.patience]
    first, obstacle = _next_free(session, run, row, found, situation, work)
    rests_until = _rests_until(row, first, moment) if first is not None else None
    if first is not None and rests_until is None:
        row.next_task = KINDS[first.kind].task
        if run.done and (row.next_task != run.task or len(run.done) >= _CALLS_IN_A_RUN or run.runtime.ending.is_set()):
            return Decision(None, [_let_go_until(row, moment, moment, run.runtime.timing, run.connection)])
        # One that waited for a request does until it has one: who leaves later must not take it.
        row.held_up_by = row.held_up_by if row.held_up_by == BUDGET else None
        if not isinstance(first, Write) and KINDS[first.kind].shared:
            first = _joined(session, run, row, first)
        write = first if isinstance(first, Write) else _freeze(session, run, row, found, first)
        comes_first = not isinstance(first, Write) and _comes_first(situation, first)
        reach(write.kind, "planned", row.external_id or row.axerrio_key)
        address = Address(row.axerrio_key, row.external_id, is_told=row.inbound_applied is not None)
        return Decision(Chosen(write, address, comes_first, row.held_up_by == BUDGET), [])
    hints = scopes.wait_for(
        session,
        row,
        plan.looks,
        run.runtime.timing,
        run.connection.settings,
        found,
        _scopes_of(found),
        anew=bool(run.answered),
    )
    row.next_task = KINDS[work[0].kind].task if work else _task_of(row, situation)
    if obstacle is not None or not work or row.held_up_by != BUDGET:
        row.held_up_by = obstacle.name if obstacle is not None else None
    due_at = _next_look(situation, plan, moment, obstacle, rests_until)
    _let_go_until(row, due_at, moment, run.runtime.timing, run.connection)
    return Decision(None, hints)


def _next_free(
    session: Session,
    run: Run,
    row: Order,
    found: Found,
    situation: Situation,
    work: Sequence[Write | PlannedWrite],
) -> tuple[Write | PlannedWrite | None, Obstacle | None]:
    """The first piece of work that nothing keeps from being sent, or that only rests; else what keeps the first of all.

    Where all of it is held up, one piece may be the probe of a paused method.
    """
    if not work:
        return None, None
    moment = now(session)
    if not run.connection.writes_allowed:
        return None, Obstacle(upstreams.OBSERVES, moment + RESYNC)
    obstacles = Obstacles(session, row.connection_id, run.runtime.timing, found)
    resting: list[Write | PlannedWrite] = []
    held_up: list[tuple[Write | PlannedWrite, Obstacle]] = []
    for each in work:
        obstacle = obstacles.of(each.kind.value) or _budget(session, run, found, situation, each)
        if obstacle is not None:
            held_up.append((each, obstacle))
        elif _rests_until(row, each, moment) is not None:
            resting.append(each)
        else:
            return each, None
    for each, _ in held_up:
        goes_now = not run.done or KINDS[each.kind].task == run.task
        rests_now = _rests_until(row, each, moment) is not None
        if goes_now and not rests_now and obstacles.may_probe(each.kind.value, row):
            return each, None
    return (resting[0] if resting else None, held_up[0][1] if held_up else None)


def _rests_until(row: Order, work: Write | PlannedWrite, moment: datetime) -> datetime | None:
    """The order is to send nothing to the system until then."""
    return rests.rests_until(row, upstreams.system_of(work.kind), moment)


def _budget(
    session: Session, run: Run, found: Found, situation: Situation, each: Write | PlannedWrite
) -> Obstacle | None:
    """The company's requests of the day are used up, or those left are too few or for orders that leave earlier."""
    if isinstance(each, Write) or each.kind not in KOMET_WRITES:
        return None
    settings = run.connection.settings
    left = budget_found(settings, found).left
    if left >= each.requests + (0 if _comes_first(situation, each) else found.number(AHEAD)):
        return None
    seconds = seconds_until_free(session, settings.company)
    return Obstacle(BUDGET, now(session) + timedelta(seconds=seconds))


def _comes_first(situation: Situation, planned: PlannedWrite) -> bool:
    """It waits for nobody's turn: what was begun anew is not left half done, and what is unwanted is not kept."""
    if planned.kind in _DELETES and planned.requests == 1:
        return True
    lines = [line for line in situation.lines if line.line_key in planned.line_keys]
    return planned.kind in CREATES and any(line.is_half_remade for line in lines)


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
    moment: datetime,
    obstacle: Obstacle | None,
    rests_until: datetime | None,
) -> datetime | None:
    """When the order must be looked at again, whatever the observations bring."""
    # While a final order looks for late truth it is asked again whether it still does: else its scope is read for ever.
    if plan.state.is_final and not plan.looks and not any(write.state.is_open for write in situation.writes):
        return None
    times = [moment + RESYNC, *(moment + each.patience for each in plan.writes if each.patience)]
    if rests_until is not None:
        times.append(rests_until)
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
            close(session, write, WriteState.DONE, None)
            continue
        close(session, write, verdict.state, verdict.why)
        if verdict.state is WriteState.ABSENT:
            rests.back_off(row, timing, now(session), upstreams.system_of(write.kind))
            note(session, row, f"{write.kind}: {verdict.why}", write.id)
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


def _joined(session: Session, run: Run, row: Order, planned: PlannedWrite) -> PlannedWrite:
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
            rests.may_send(upstreams.system_of(planned.kind), moment),
        )
        .order_by(Order.id)
        .limit(_MOST_TOGETHER)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    reader = SituationReader(session, run.connection, run.runtime.timing)
    for other in others:
        for write in _planned_of(reader, other):
            if write.kind is planned.kind and not write.alone:
                planned = planned.with_parts_of(write)
    return planned


def _scopes_of(found: Found) -> dict[tuple[Feed, str], int]:
    return {(each.feed, each.key): each.id for each in found[SCOPES]}


def _planned_of(reader: SituationReader, other: Order) -> tuple[PlannedWrite, ...]:
    """What another order would write; nothing where it must be judged by itself first.

    Of one that this program fails at its own run tells: it takes down no other.
    """
    try:
        situation = reader.read(other)
        return () if judge(situation) else make_plan(situation).writes
    except DBAPIError:  # the database's trouble is everybody's
        raise
    except Exception as error:
        log.warning("left out of a call", order=other.name, error=f"{type(error).__name__}: {error}")
        return ()


def _freeze(session: Session, run: Run, row: Order, found: Found, planned: PlannedWrite) -> Write:
    """Intent: the write's row with its frozen body and the lines it covers."""
    frozen = KINDS[planned.kind].freeze(session, run.connection, row, planned)
    scope_id = None
    if frozen.scope is not None:
        scope_id = _scopes_of(found).get(frozen.scope) or scopes.find_or_make(session, row.connection_id, *frozen.scope)
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
        scope_id=scope_id,
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


def _record_state(session: Session, row: Order, plan: Plan) -> None:
    """Store where the order and its lines stand, and write history where that changed."""
    row.attempts = plan.attempts
    for line in row.lines:
        wanted = line.wanted is not None and line.wanted["status"] != "cancelled"
        rest = plan.state if plan.state.is_final else OrderState.RECEIVED if wanted else OrderState.CANCELLED
        line.state = plan.line_states.get(line.line_key, rest)
        line.waits_for = plan.waits_for.get(line.line_key)
    for notice in dict.fromkeys(plan.notices):
        note_once(session, row, notice)
    move(session, row, plan)


def move(session: Session, row: Order, plan: Plan) -> None:
    """Store where the order stands by a plan, why, and what to type; where state or reason changed, as history too."""
    row.reason_code, row.next_command = plan.reason_code, plan.next_command
    if (row.state, row.reason) == (plan.state, plan.reason):
        return
    why = plan.reason or _WHY.get(plan.state, plan.state.value)
    session.add(History(order_id=row.id, from_state=row.state.value, to_state=plan.state.value, why=why))
    row.state, row.reason = plan.state, plan.reason
    row.updated_at = now(session)


def close(session: Session, write: Write, state: WriteState, why: str | None) -> None:
    """Its call is over, as far as can be told: the write and what it covers of each line are open no more."""
    write.settled_at = now(session)
    write.state, write.error = state, why
    with session.no_autoflush:  # written with what else is said of the write
        _CLOSED.run(session, write_id=write.id)
