"""What people decide: a conflict for one side, and what became of a write that nobody answered.

A decision is a row and an input of the next plan; whoever works on the order meanwhile is no obstacle. Each leaves a
line of history that says who decided what, and why.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from models.database import now
from models.states import REFUSED, HoldCode, WriteState
from models.tables import Decision, Order, OrderLine, Prebook, Scope, Write, WriteLine
from tasks import rests
from tasks.connection import Connection
from tasks.notes import note
from tasks.plan import make_plan
from tasks.plan.facts import CREATES, KOMET_WRITES, Hold
from tasks.polling import make_due
from tasks.runtime import Timing
from tasks.situation import SituationReader
from tasks.situation_rows import ids_of_writes
from tasks.wake import lock_orders

_NEVER_ARRIVED = "a person decided that it never arrived"
_IS_GONE = "a person decided that it stands there no more"


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


def resend(
    session: Session,
    connection: Connection,
    order_id: int,
    by: By,
    timing: Timing,
    *,
    line: OrderLine | None = None,
) -> Resolution:
    """Give up the write to Komet that the order is held for: a person says that it is not there; it is made anew.

    Args:
        session: its transaction records it.
        connection: of the order; it is asked for nothing.
        order_id: of its row.
        by: who decides.
        timing: of the process.
        line: the one that is held for the write.
    """
    rows, writes = _offered(session, connection, order_id, Choice.RESEND, timing, line)
    if len(writes) != 1:
        return _not_one(writes)
    row = next(each for each in rows if each.id == order_id)
    ((write, line_keys),) = writes
    fact = _fact(write)
    _decide(session, row, None, fact, Choice.RESEND, by, write.id)
    for other in _covered(rows, write):
        if other is not row:
            note(session, other, _told(Choice.RESEND, fact, by), write.id)
        rests.over(other, now(session))
    row.fresh_after_write = max(row.fresh_after_write, write.id)  # what went before counts as no attempt
    _forget_adopted(session, write)
    _give_up(session, write, line_keys)
    _wake(session, _covered(rows, write))
    return Resolution(decided=(f"{fact}, {write.kind}",))


def adopt(
    session: Session,
    connection: Connection,
    order_id: int,
    prebook_id: str,
    by: By,
    timing: Timing,
    *,
    line: OrderLine | None = None,
) -> Resolution:
    """Take a prebook for what the create made that the order is held for; the next look binds its items.

    An adopted prebook that no list shows is held for, and may be adopted anew under another id.

    Args:
        session: its transaction records it.
        connection: of the order; it is asked for nothing.
        order_id: of its row.
        prebook_id: Komet's id of the prebook.
        by: who decides.
        timing: of the process.
        line: the one that is held for the create.
    """
    rows, writes = _offered(session, connection, order_id, Choice.ADOPT, timing, line)
    if len(writes) != 1:
        return _not_one(writes)
    row = next(each for each in rows if each.id == order_id)
    ((write, _),) = writes
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


def _offered(
    session: Session,
    connection: Connection,
    order_id: int,
    choice: Choice,
    timing: Timing,
    line: OrderLine | None,
) -> tuple[Sequence[Order], list[tuple[Write, set[str | None]]]]:
    """The order and all that its writes in doubt cover, locked; and the writes for which its plan offers the choice.

    Each with the keys of the lines that are held for it.
    """
    of_order = Write.id.in_(ids_of_writes(order_id)), Write.kind.in_(KOMET_WRITES)
    in_doubt = select(Write.id).where(*of_order, Write.state == WriteState.SENT)
    covered = select(OrderLine.order_id).join(WriteLine, WriteLine.line_id == OrderLine.id)
    rows = lock_orders(session, {order_id, *session.scalars(covered.where(WriteLine.write_id.in_(in_doubt)))})
    row = next(each for each in rows if each.id == order_id)
    if row.state in REFUSED["resolve"]:
        return rows, []
    plan = make_plan(SituationReader(session, connection, timing).read(row))
    held: dict[str, set[str | None]] = {}
    for hold in plan.holds:
        if hold.fact is not None and choice in hold.choices and (line is None or hold.line_key == line.line_key):
            held.setdefault(hold.fact, set()).add(hold.line_key)
    may_be_offered = or_(Write.state == WriteState.SENT, (Write.state == WriteState.DONE) & Write.kind.in_(CREATES))
    writes = (
        select(Write)
        .where(*of_order, may_be_offered)
        .order_by(Write.id)
        .with_for_update()
        .options(selectinload(Write.lines).joinedload(WriteLine.line))
        .execution_options(populate_existing=True)
    )
    return rows, [(each, held[_fact(each)]) for each in session.scalars(writes) if _fact(each) in held]


def _not_one(writes: Sequence[tuple[Write, set[str | None]]]) -> Resolution:
    """A person looked for one of them, and says nothing of the others."""
    several = " and ".join(f"{_fact(write)} ({write.kind})" for write, _ in writes)
    why_not = f"It waits for {several}: name a line of the one that is meant with --line."
    return Resolution(refused=(why_not,) if writes else ())


def _covered(rows: Sequence[Order], write: Write) -> list[Order]:
    """The orders of the write's lines."""
    ids = {write.order_id, *(each.line.order_id for each in write.lines)}
    return [row for row in rows if row.id in ids]


def _give_up(session: Session, write: Write, line_keys: Collection[str | None]) -> None:
    """It is not there; where a part of it was seen, it did arrive, and the rest of it was left out."""
    is_sent = write.state is WriteState.SENT
    why = _NEVER_ARRIVED if is_sent else _IS_GONE
    missing = [each for each in write.lines if (each.is_open if is_sent else each.line.line_key in line_keys)]
    was_seen = len(missing) < len(write.lines) if is_sent else write.shown_at is not None
    if was_seen:
        for each in missing:
            each.error = why
    if is_sent or not was_seen:
        _settle(session, write, WriteState.DONE if was_seen else WriteState.ABSENT, None if was_seen else why)


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
