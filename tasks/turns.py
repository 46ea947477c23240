"""Turns: how the connections share what the workers have, so that none of them delays another.

Messages   a connection has a bounded number on their way for its orders, and as many for its reads. What is due beyond
           that waits in the ledger, and whenever one was served, the next of its connection takes its place. A row
           says in `hinted_until` which message is on its way for it. Of several for one row the first does its work
           and the others find nothing due, and send none in their turn: so late messages do not breed.
Threads    see `Shares`: work that finds its connection's share used up waits a moment and goes away, and its row stays
           due until another piece of its connection's work was done. Nobody waits for another connection's system.
Work       see `Lanes`: transactions, in which a process works, take turns by connection.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Interval, Text, cast, func, literal, or_, select, update
from sqlalchemy.orm import Session

from models.database import CLOCK
from models.prepared import Prepared, parameter
from models.tables import Order, Scope
from tasks.connection import Connection
from tasks.runtime import NOTHING_DUE, Hint, Runtime, Timing
from tasks.wake import MOST_HINTS, needs_message, room_for_hints

_DENIED = "stays due: its connection holds its share of the threads"
_NOT_OURS = "stays due: its connection is not in this worker's connections file"
#: Rows of which a process keeps in mind whose they are.
_MOST_KNOWN = 10_000
_until = parameter("until", DateTime(timezone=True))
#: A message goes away again: its row needs another, and may have it at once.
_GOES = {
    row: Prepared(
        update(row)
        .where(row.id == parameter("row_id", BigInteger()), or_(_until.is_(None), row.hinted_until == _until))
        .values(hinted_until=None)
    )
    for row in (Order, Scope)
}


def serve(
    runtime: Runtime, row: type[Order] | type[Scope], row_id: int, until: datetime | None, work: Callable[[], str]
) -> str:
    """Do what a message asks for, where its connection has a thread left; what was done makes room for the next.

    Args:
        runtime: of this process.
        row: what the message names: an order or a scope.
        row_id: its id.
        until: of its hint.
        work: what it asks for.

    Returns:
        What came of it, in a few words for people.
    """
    connection = _connection_of(runtime, row, row_id)
    if connection is None:  # a worker with a newer file may have it: another message comes once this one is overdue
        return _NOT_OURS
    is_served = False
    try:
        with runtime.shares.thread(connection.id, is_read=row is Scope) as granted:
            came = work() if granted else _DENIED
        is_served = came not in (_DENIED, NOTHING_DUE)
    finally:
        if not is_served:
            with runtime.sessions.begin() as session:
                _GOES[row].run(session, row_id=row_id, until=until)
    if not granted:
        runtime.shares.deny(connection.id)
        return came
    kinds: tuple[type[Order | Scope], ...] = (row,) if is_served else ()
    if runtime.shares.was_denied(connection.id):
        kinds = (Order, Scope)
    if kinds:
        with runtime.sessions.begin() as session:
            hints = [hint for kind in kinds for hint in next_hints(session, kind, connection, runtime.timing, most=1)]
        runtime.send_hints(hints)
    return came


def _connection_of(runtime: Runtime, row: type[Order] | type[Scope], row_id: int) -> Connection | None:
    """Whose a row is, which never changes."""
    known = runtime.connection_of
    connection_id = known.get((row, row_id))
    if connection_id is None:
        with runtime.sessions.begin() as session:
            connection_id = session.scalar(select(row.connection_id).where(row.id == row_id))
        if connection_id is None:
            return None
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[row, row_id] = connection_id
    return runtime.connections.get(connection_id)


def _next(row: type[Order] | type[Scope], *found: ColumnElement[Any]) -> Prepared:
    """Messages go for the first of a connection's rows that are due and have none on their way."""
    connection_id = parameter("connection_id", BigInteger())
    room = room_for_hints(row, connection_id, CLOCK).scalar_subquery()
    due = select(row.id).where(row.connection_id == connection_id, needs_message(row))
    if row is Scope:
        due = due.where(Scope.stopped_reason.is_(None)).order_by(Scope.due_at, Scope.id)
    else:
        due = due.order_by(Order.departure_date, Order.id)
    most = func.greatest(0, func.least(parameter("most", BigInteger()), room))
    chosen = due.limit(most).with_for_update(skip_locked=True, key_share=True).cte()
    sent = update(row).where(row.id.in_(select(chosen.c.id)))
    until = CLOCK + parameter("lifetime", Interval())
    return Prepared(sent.values(hinted_until=until).returning(row.id, row.hinted_until, *found))


_NEXT: dict[type[Order] | type[Scope], Prepared] = {
    Order: _next(
        Order,
        Order.departure_date.label("place"),
        Order.next_task.label("task"),
        Order.name.label("words"),
    ),
    Scope: _next(
        Scope,
        Scope.due_at.label("place"),
        literal("observe").label("task"),
        func.rtrim(cast(Scope.feed, Text) + " " + Scope.key).label("words"),
    ),
}


def next_hints(
    session: Session,
    row: type[Order] | type[Scope],
    connection: Connection,
    timing: Timing,
    *,
    most: int = MOST_HINTS,
) -> list[Hint]:
    """Messages for what is due and has none on its way, as far as the connection's bound allows.

    Args:
        session: its transaction records that they are on their way.
        row: orders, the nearest departure first, or scopes, the longest due first.
        connection: whose they are.
        timing: of the process.
        most: not more than so many.
    """
    lifetime = timedelta(seconds=timing.hint)
    sent = _NEXT[row].run(session, connection_id=connection.id, most=most, lifetime=lifetime).all()
    return [
        Hint(each.task, each.id, f"{each.words} {connection.settings.name}", until=each.hinted_until)
        for each in sorted(sent, key=lambda each: (each.place, each.id))
    ]
