"""What people decide: a conflict for one side, and what became of a write that nobody answered.

A decision is a row and an input of the next plan; whoever works on the order meanwhile is no obstacle. Each leaves a
line of history that says who decided what, and why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from models.database import now
from models.states import REFUSED, HoldCode, Kind, WriteState
from models.tables import Decision, Order, OrderLine, Prebook, Scope, Write, WriteLine
from tasks import rests
from tasks.connection import Connection
from tasks.notes import note
from tasks.plan import make_plan
from tasks.plan.facts import KOMET_WRITES, Hold
from tasks.polling import make_due
from tasks.runtime import Timing
from tasks.situation import SituationReader
from tasks.situation_rows import ids_of_writes
from tasks.wake import lock_orders

_NEVER_ARRIVED = "a person decided that it never arrived"


class Choice(StrEnum):
    """What can be decided."""

    OURS = "ours"
    THEIRS = "theirs"
    ADOPT = "adopt"
    RESEND = "resend"


@dataclass(frozen=True)
class By:
    """Who decides, and why; the reason may be empty."""

    who: str
    why: str


@dataclass(frozen=True)
class Resolution:
    """What was decided, in the words of the facts, and what was not, with a sentence why."""

    decided: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def line_of(order: Order, key: str) -> OrderLine | None:
    """The line that a person names: by the key that its origin gave it, or by Axerrio's."""
    by_origin = next((line for line in order.lines if line.line_key == key), None)
    return by_origin or next((line for line in order.lines if line.axerrio_line_key == key), None)


def _decide(
    session: Session,
    row: Order,
    line_key: str | None,
    fact: str,
    choice: Choice,
    by: By,
    write_id: int | None = None,
) -> None:
    session.add(Decision(order_id=row.id, line_key=line_key, fact=fact, choice=choice.value, who=by.who, why=by.why))
    note(session, row, _told(choice, fact, by), write_id)


def _told(choice: Choice, fact: str, by: By) -> str:
    reason = f" ({by.why})" if by.why else ""
    return f"Decided {choice}: {fact}{reason}, by {by.who}"


def _wake(session: Session, rows: Iterable[Order]) -> None:
    moment = now(session)
    for row in rows:
        row.due_at, row.hinted_until = moment, None


# -- conflicts -------------------------------------------------------------------------------------------------


def decide_conflicts(
    session: Session,
    connection: Connection,
    order_id: int,
    choice: Choice,
    by: By,
    timing: Timing,
    *,
    line: OrderLine | None = None,
) -> Resolution:
    """Decide what the order is held for as a conflict now, all of it or of one line, for one side.

    Args:
        session: its transaction records it.
        connection: of the order; it is asked for nothing.
        order_id: of its row.
        choice: ours or theirs.
        by: who decides.
        timing: of the process.
        line: only what is of this line.
    """
    (row,) = lock_orders(session, [order_id])
    if row.state in REFUSED["resolve"]:
        return Resolution()
    plan = make_plan(SituationReader(session, connection, timing).read(row))
    conflicts = [
        hold
        for hold in plan.holds
        if hold.code is HoldCode.CONFLICT and (line is None or hold.line_key == line.line_key)
    ]
    decided = []
    for hold in conflicts:
        if hold.fact is None or choice.value not in hold.choices:
            continue
        _decide(session, row, hold.line_key, hold.fact, choice, by)
        decided.append(f"line {hold.line_key}: {hold.fact}" if hold.line_key is not None else hold.fact)
    if decided:
        _wake(session, [row])
    refused = tuple(_why_not(hold, choice) for hold in conflicts if hold.fact is None or choice not in hold.choices)
    return Resolution(tuple(decided), refused)


def _why_not(hold: Hold, choice: Choice) -> str:
    offered = " or ".join(f"--{each}" for each in hold.choices)
    instead = f"only {offered} can" if offered else "no decision can settle it"
    return f"--{choice} cannot be chosen here, {instead}: {hold.message}"


# -- writes in doubt -------------------------------------------------------------------------------------------


def resend(session: Session, order_id: int, by: By, *, line: OrderLine | None = None) -> Resolution:
    """Give up the order's writes in doubt to Komet: a person says that they never arrived, so they are made anew.

    Args:
        session: its transaction records it.
        order_id: of its row.
        by: who decides.
        line: only writes that cover this line.
    """
    rows, writes = _in_doubt(session, order_id, line)
    row = next(each for each in rows if each.id == order_id)
    decided, refused = [], []
    for write in writes:
        if _may_be_running(session, write):
            refused.append(_still_running(write))
            continue
        fact = _fact(write)
        _decide(session, row, None, fact, Choice.RESEND, by, write.id)
        for other in _covered(rows, write):
            if other is not row:
                note(session, other, _told(Choice.RESEND, fact, by), write.id)
            rests.over(other, now(session))
        row.fresh_after_write = max(row.fresh_after_write, write.id)  # what went before counts as no attempt
        _forget_adopted(session, write)
        _give_up(session, write)
        _wake(session, _covered(rows, write))
        decided.append(f"{fact}, {write.kind}")
    return Resolution(tuple(decided), tuple(refused))


def adopt(session: Session, order_id: int, prebook_id: str, by: By, *, line: OrderLine | None = None) -> Resolution:
    """Take a prebook for what the order's create in doubt made; the next look binds its items.

    An adopted prebook that no list has shown may be adopted anew under another id.

    Args:
        session: its transaction records it.
        order_id: of its row.
        prebook_id: Komet's id of the prebook.
        by: who decides.
        line: the create that covers this line.
    """
    rows, writes = _in_doubt(session, order_id, line)
    row = next(each for each in rows if each.id == order_id)
    creates = [write for write in writes if write.kind is Kind.PREBOOK_CREATE]
    waiting = [write for write in creates if not _may_be_running(session, write)]
    if not waiting:
        return Resolution(refused=tuple(_still_running(write) for write in creates))
    if len(waiting) > 1:
        return Resolution(refused=("Several prebooks of the order are in doubt: name a line of the one with --line.",))
    (write,) = waiting
    why_not = _why_not_this(session, row, write, prebook_id)
    if why_not is not None:
        return Resolution(refused=(why_not,))
    scope = session.get_one(Scope, write.scope_id)
    _forget_adopted(session, write)
    prebook = session.scalar(_of_id(row, prebook_id))
    if prebook is None:
        prebook = Prebook(
            connection_id=row.connection_id,
            order_id=row.id,
            prebook_id=prebook_id,
            truck_date=date.fromisoformat(scope.key),
            as_of=write.sent_at,
        )
        session.add(prebook)
    prebook.write_id = write.id
    write.result = {"id": prebook_id}
    _settle(session, write, WriteState.DONE, None)
    _decide(session, row, None, _fact(write), Choice.ADOPT, by, write.id)
    _wake(session, [row])
    session.flush()
    make_due(session, [scope.id])
    return Resolution(decided=(f"{_fact(write)}, prebook {prebook_id}",))


def _fact(write: Write) -> str:
    """As the plan words it."""
    return f"write {write.id}"


def _in_doubt(session: Session, order_id: int, line: OrderLine | None) -> tuple[Sequence[Order], Sequence[Write]]:
    """The order's writes to Komet whose outcome nobody knows, locked, with all orders that they cover."""
    covering = select(WriteLine.write_id).where(WriteLine.line_id == line.id) if line is not None else None
    of_order = Write.id.in_(ids_of_writes(order_id) if covering is None else covering)
    unseen = select(Prebook.write_id).where(Prebook.content_hash.is_(None), ~Prebook.items.any())
    was_adopted = (
        (Write.kind == Kind.PREBOOK_CREATE)
        & (Write.state == WriteState.DONE)
        & Write.acknowledged_at.is_(None)
        & Write.shown_at.is_(None)
        & Write.id.in_(unseen)
    )
    writes = (
        select(Write)
        .where(of_order, Write.kind.in_(KOMET_WRITES), or_(Write.state == WriteState.SENT, was_adopted))
        .order_by(Write.id)
    )
    orders = (
        select(OrderLine.order_id)
        .join(WriteLine, WriteLine.line_id == OrderLine.id)
        .where(WriteLine.write_id.in_(writes.with_only_columns(Write.id).order_by(None)))
    )
    rows = lock_orders(session, {order_id, *session.scalars(orders)})
    if any(row.id == order_id and row.state in REFUSED["resolve"] for row in rows):
        return rows, []
    locked = writes.with_for_update().options(selectinload(Write.lines).joinedload(WriteLine.line))
    return rows, session.scalars(locked.execution_options(populate_existing=True)).all()


def _covered(rows: Sequence[Order], write: Write) -> list[Order]:
    """The orders of the write's lines."""
    ids = {write.order_id, *(each.line.order_id for each in write.lines)}
    return [row for row in rows if row.id in ids]


def _may_be_running(session: Session, write: Write) -> bool:
    return write.state is WriteState.SENT and write.deadline_at is not None and write.deadline_at >= now(session)


def _still_running(write: Write) -> str:
    until = f"{write.deadline_at:%H:%M:%S %Z}" if write.deadline_at else "its deadline"
    return f"The call of write {write.id} ({write.kind}) may still be running until {until}: wait for it."


def _give_up(session: Session, write: Write) -> None:
    """It never arrived; where a part of it was seen, it did arrive, and the rest of it was left out."""
    if write.state is WriteState.SENT and any(not each.is_open for each in write.lines):
        for each in write.lines:
            each.error = _NEVER_ARRIVED if each.is_open else each.error
        _settle(session, write, WriteState.DONE, None)
    else:
        _settle(session, write, WriteState.ABSENT, _NEVER_ARRIVED)


def _settle(session: Session, write: Write, state: WriteState, error: str | None) -> None:
    write.state, write.error, write.settled_at = state, error, now(session)
    for each in write.lines:
        each.is_open = False


# -- whose prebook ---------------------------------------------------------------------------------------------


def _of_id(row: Order, prebook_id: str) -> Select[Prebook]:
    return select(Prebook).where(Prebook.connection_id == row.connection_id, Prebook.prebook_id == prebook_id)


def _why_not_this(session: Session, row: Order, write: Write, prebook_id: str) -> str | None:
    """Why the prebook cannot be what the write made; None: it can."""
    if not (prebook_id.isascii() and prebook_id.isdecimal()):
        return f"{prebook_id} is no prebook id of Komet, which is a number: give the id, not the prebook's name."
    known = session.scalar(_of_id(row, prebook_id))
    if known is not None and known.order_id != row.id:
        other = session.get_one(Order, known.order_id)
        return f"Prebook {prebook_id} belongs to another order, {other.name}."
    if known is not None and known.write_id not in (None, write.id):
        return f"Prebook {prebook_id} was made by another write of the order, {known.write_id}."
    if known is None and prebook_id == write.may_be:
        return f"{prebook_id} is the prebook's number: give its id."
    return None


def _forget_adopted(session: Session, write: Write) -> None:
    """What a person took for the write's prebook before, and no list has shown, is none."""
    unseen = select(Prebook).where(Prebook.write_id == write.id, Prebook.content_hash.is_(None), ~Prebook.items.any())
    for prebook in session.scalars(unseen):
        session.delete(prebook)
    session.flush()
