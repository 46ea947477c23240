"""Waking orders: whoever learns something about an order makes it due; the order itself decides what to do."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, any_, func, or_, select, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from models.database import CLOCK, now, tell_time
from models.prepared import parameter
from models.states import WriteState
from models.tables import Connection as ConnectionRow
from models.tables import Order, OrderLine, Scope, Wait, Write, WriteLine
from tasks.connection import Connection
from tasks.runtime import Hint, Runtime, Timing

#: Messages on their way at a time for the orders of one connection, and as many for its scopes.
MOST_HINTS = 8
#: Each table under another name. Made once, as an alias is dear, and here with its columns: SQLAlchemy makes what
#: belongs to an alias when it is first asked for, and where two threads ask at once, one may keep a column of the table
#: itself for good.
_OTHERS: dict[Any, ReadOnlyColumnCollection[str, Any]] = {row: row.__table__.alias().c for row in (Order, Scope)}


def active_waiters(session: Session, scope_id: int, *, passive_too: bool = False) -> list[int]:
    """Ids of the orders that wait for a scope: every look at it makes those that wait actively look again."""
    waiting = select(Wait.order_id).where(Wait.scope_id == scope_id)
    return list(session.scalars(waiting if passive_too else waiting.where(Wait.active)))


def orders_in_doubt(session: Session, scope_id: int) -> list[int]:
    """Ids of the orders with a write in doubt that would show in a scope: every look at it judges them anew."""
    return list(
        session.scalars(select(Write.order_id).where(Write.scope_id == scope_id, Write.state == WriteState.SENT))
    )


def _locked(is_wanted: ColumnElement[bool]) -> Select[Order, datetime]:
    rows = select(Order, CLOCK).where(is_wanted).order_by(Order.id)
    return rows.with_for_update(key_share=True, of=Order).execution_options(populate_existing=True)


_write_id = parameter("write_id", BigInteger())
_covered = (
    select(OrderLine.order_id).join(WriteLine, WriteLine.line_id == OrderLine.id).where(WriteLine.write_id == _write_id)
)
_leads = select(Write.order_id).where(Write.id == _write_id)
_LOCKED = _locked(Order.id == any_(parameter("order_ids", ARRAY(BigInteger()))))
_LOCKED_OF_WRITE = _locked(Order.id.in_(union(_leads, _covered)))


def lock_orders(session: Session, order_ids: Collection[int]) -> Sequence[Order]:
    """The orders' rows as they are now, locked by ascending id, as the tables ask for.

    Not `FOR UPDATE`: rows that refer to an order must not wait for it.
    """
    return _lock(session, _LOCKED, {"order_ids": list(order_ids)}) if order_ids else []


def lock_orders_of(session: Session, write_id: int) -> Sequence[Order]:
    """The same for the orders that a write covers, the one that leads it among them."""
    return _lock(session, _LOCKED_OF_WRITE, {"write_id": write_id})


def _lock(session: Session, rows: Select[Order, datetime], values: dict[str, object]) -> Sequence[Order]:
    found = session.execute(rows, values).all()
    if found:
        tell_time(session, found[-1][1])
    return [row for row, _ in found]


def lock_order(session: Session, order_id: int) -> Order | None:
    """One order's row as it is now, locked."""
    return next(iter(lock_orders(session, [order_id])), None)


def hint_of(row: Order, connection: str) -> Hint:
    """The message that wakes an order, in the words by which people know it."""
    return Hint(row.next_task, row.id, f"{row.name} {connection}", until=row.hinted_until)


def room_for_hints(row: type[Order] | type[Scope], connection_id: Any, moment: Any) -> Select[int]:
    """Asks how many more messages may be on their way for a connection's orders, or for its scopes."""
    other = _OTHERS[row]
    return select(MOST_HINTS - func.count()).where(other.connection_id == connection_id, other.hinted_until > moment)


def needs_message(row: type[Order] | type[Scope]) -> ColumnElement[bool]:
    """The row is due, has no message on its way, and nobody works on it."""
    return and_(
        row.due_at <= CLOCK,
        or_(row.hinted_until.is_(None), row.hinted_until <= CLOCK),
        or_(row.lease_until.is_(None), row.lease_until < CLOCK),
    )


#: Asks for the connections with something due that has no message on its way.
WITH_WORK: dict[Any, Select[int]] = {
    row: select(ConnectionRow.id).where(
        select(row.id).where(row.connection_id == ConnectionRow.id, needs_message(row)).exists()
    )
    for row in (Order, Scope)
}


def wake(session: Session, rows: Iterable[Order], connection: Connection, timing: Timing) -> list[Hint]:
    """Make locked orders due now.

    Returns:
        Hints to send after the commit, for the nearest departures first and as far as the connection's bound allows:
        the others get theirs in turn, and one that has a message on its way, or is being worked on, needs none: whoever
        works on it looks again after each call, and if he dies the sweep finds it due.
    """
    rows = sorted(rows, key=lambda row: (row.departure_date, row.id))
    if not rows:
        return []
    moment = now(session)
    room = session.scalars(room_for_hints(Order, connection.id, moment)).one()
    hints = []
    for row in rows:
        row.due_at = moment
        is_at_work = row.lease_until is not None and row.lease_until > moment
        if room > 0 and not is_at_work and (row.hinted_until is None or row.hinted_until <= moment):
            room -= 1
            row.hinted_until = moment + timedelta(seconds=timing.hint)
            hints.append(hint_of(row, connection.settings.name))
    return hints


def wake_those_that_wait_for(runtime: Runtime, connection: Connection, words: Collection[str]) -> list[Hint]:
    """Wake the orders with a line that waits for one of these products to be known, and no others.

    In a transaction of its own, since orders are locked by ascending id.
    """
    if not words:
        return []
    with runtime.sessions.begin() as session:
        waiting = (
            select(Order.id)
            .join(OrderLine, OrderLine.order_id == Order.id)
            .where(Order.connection_id == connection.id, OrderLine.waits_for.in_(words))
        )
        rows = lock_orders(session, set(session.scalars(waiting)))
        return wake(session, rows, connection, runtime.timing)
