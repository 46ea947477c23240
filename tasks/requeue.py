"""Requeue: let orders begin afresh, with their attempts and refusals forgotten and their history kept."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from models.database import now
from models.states import REFUSED, OrderState
from models.tables import History, Order, Write
from tasks import rests
from tasks.wake import lock_orders

#: Orders of one transaction: whoever works on one of them waits no longer than for so many.
BATCH = 200


def begin_afresh(session: Session, *rows: Order) -> None:
    """Refusals and attempts so far count no more, whichever order led the call."""
    if rows:
        newest = session.scalars(select(func.coalesce(func.max(Write.id), 0))).one()
    for row in rows:
        row.fresh_after_write = newest
        rests.over(row, now(session))


class Requeued(StrEnum):
    """What a requeue did to an order."""

    DUE = "due now"
    FINAL = REFUSED["requeue"][OrderState.CLOSED]
    RUNNING = "is being worked on"


def requeue(session: Session, order_ids: Sequence[int], reason: str) -> dict[int, Requeued]:
    """Make orders due now, as if they were tried for the first time. What stands in Komet stays known.

    Args:
        session: its transaction records it.
        order_ids: of the rows.
        reason: kept in the history.

    Returns:
        What became of each order: one that is at its end or being worked on is left alone.
    """
    moment = now(session)
    became = {}
    due = []
    for row in lock_orders(session, order_ids):
        if row.state in REFUSED["requeue"]:
            became[row.id] = Requeued.FINAL
        elif row.lease_until is not None and row.lease_until > moment:
            became[row.id] = Requeued.RUNNING
        else:
            due.append(row)
            became[row.id] = Requeued.DUE
    begin_afresh(session, *due)
    for row in due:
        row.attempts, row.hinted_until = 0, None
        row.due_at = moment
        state = row.state.value
        session.add(History(order_id=row.id, from_state=state, to_state=state, why=f"Requeued: {reason}"))
    return became


def requeue_all(
    sessions: sessionmaker[Session], order_ids: Sequence[int], reason: str
) -> Iterator[dict[int, Requeued]]:
    """The same for however many, `BATCH` orders in a transaction: what came of each batch, once it is committed.

    They are all due at once, and are worked on bit by bit: a connection has a bounded number of messages on their way,
    for the nearest departures, and while Komet's requests are short these get them first.
    """
    for start in range(0, len(order_ids), BATCH):
        with sessions.begin() as session:
            became = requeue(session, order_ids[start : start + BATCH], reason)
        yield became
