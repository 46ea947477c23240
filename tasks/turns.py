"""Turns: how the connections share what the workers have, so that none of them delays another.

Messages   a connection has a bounded number on their way for its orders, and as many for its reads. What is due beyond
           that waits in the ledger, and whenever one was served, the next of its connection takes its place. A row
           says in `hinted_until` which message is on its way for it. One that was so late that another was sent
           finds nothing to do, so that late messages do not breed.
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
from tasks.runtime import Hint, Runtime, Timing
from tasks.wake import MOST_HINTS, OTHERS_WAIT, room_for_hints


def _comes(row: type[Order] | type[Scope]) -> Prepared:
    """The message that a row waits for comes: no other is on its way any more."""
    until = parameter("until", DateTime(timezone=True))
    awaited = or_(until.is_(None), row.hinted_until == until)
    comes = update(row).where(row.id == parameter("row_id", BigInteger()), awaited)
    return Prepared(comes.values(hinted_until=None).returning(row.connection_id, OTHERS_WAIT[row]))


_COMES = {row: _comes(row) for row in (Order, Scope)}


def serve(
    runtime: Runtime, row: type[Order] | type[Scope], row_id: int, until: datetime | None, work: Callable[[], str]
) -> str:
    """Do what a message asks for, where its connection has a thread left, and send the next message of its kind.

    Args:
        runtime: of this process.
        row: what the message names: an order or a scope.
        row_id: its id.
        until: of its hint.
        work: what it asks for.

    Returns:
        What came of it, in a few words for people.
    """
    with runtime.sessions.begin() as session:
        found = _COMES[row].run(session, row_id=row_id, until=until).first()
    if found is None:
        return "another message was sent for it, or came before this one"
    connection_id, others = found
    connection = runtime.connections.get(connection_id)
    if connection is None:
        return work()
    with runtime.shares.thread(connection.id, is_read=row is Scope) as granted:
        if not granted:
            return "stays due: its connection holds its share of the threads"
        came = work()
    kinds: tuple[type[Order | Scope], ...] = (row,) if others else ()
    if runtime.shares.was_denied(connection.id):
        kinds = (Order, Scope)
    if not kinds:
        return came
    with runtime.sessions.begin() as session:
        hints = [hint for kind in kinds for hint in next_hints(session, kind, connection, runtime.timing, most=1)]
    runtime.send_hints(hints)
    return came


def _next(row: type[Order] | type[Scope], *found: ColumnElement[Any]) -> Prepared:
    """Messages go for the first of a connection's rows that are due and have none on their way."""
    connection_id = parameter("connection_id", BigInteger())
    room = room_for_hints(row, connection_id, CLOCK).scalar_subquery()
    due = select(row.id).where(
        row.connection_id == connection_id,
        row.due_at <= CLOCK,
        or_(row.hinted_until.is_(None), row.hinted_until <= CLOCK),
        or_(row.lease_until.is_(None), row.lease_until < CLOCK),
    )
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
