"""Holds that a person ends: their own, and that of orders which came over the limit.

A held order is observed and planned as ever, and nothing of it is sent; what is under way is still looked for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.database import now
from models.states import HoldCode
from models.tables import Connection, Decision, Order
from tasks import guard
from tasks.notes import note
from tasks.wake import lock_orders

#: What `release` ends.
CODES = (HoldCode.OVER_LIMIT, HoldCode.BY_HAND)


@dataclass(frozen=True)
class Told:
    """What became of an order."""

    order_id: int
    name: str
    connection: str
    #: None: it was done.
    why_not: str | None = None


def held_orders(session: Session, code: HoldCode, connection: str | None = None) -> list[int]:
    """Ids of the orders that are held for one of `CODES`, the first to leave first."""
    if code is HoldCode.OVER_LIMIT:
        return guard.held_orders(session, connection)
    query = select(Order.id).join(Connection, Order.connection_id == Connection.id)
    if connection is not None:
        query = query.where(Connection.name == connection)
    return list(session.scalars(query.where(Order.held_by.is_not(None)).order_by(Order.departure_date, Order.id)))


def hold(session: Session, order_ids: Sequence[int], who: str, why: str) -> list[Told]:
    """Let nothing more of these orders be sent, until a person releases them.

    Args:
        session: its transaction records it.
        order_ids: of the rows.
        who: decides.
        why: kept, and shown with the order.
    """
    told = []
    for row, connection in _locked(session, order_ids):
        why_not = None
        if row.state.is_final:
            why_not = f"is {row.state.value}: nothing more would be sent for it"
        elif row.held_by is not None:
            why_not = f"is held already, by {row.held_by}: {row.held_why}"
        else:
            row.held_by, row.held_why = who, why
            _decide(session, row, HoldCode.BY_HAND, "hold", who, why)
        told.append(Told(row.id, row.name, connection, why_not))
    return told


def release(session: Session, order_ids: Sequence[int], who: str, codes: Collection[HoldCode] = CODES) -> list[Told]:
    """Let orders go on that a person holds, or that are held as over the limit.

    Args:
        session: its transaction records it.
        order_ids: of the rows.
        who: decides.
        codes: which of these holds end; the other one stays.
    """
    told = []
    for row, connection in _locked(session, order_ids):
        ended = [HoldCode.OVER_LIMIT] if HoldCode.OVER_LIMIT in codes and guard.let_go(row) else []
        if HoldCode.BY_HAND in codes and row.held_by is not None:
            row.held_by = row.held_why = None
            ended.append(HoldCode.BY_HAND)
        for code in ended:
            _decide(session, row, code, "release", who, "")
        held_as = " or ".join(codes)
        why_not = None if ended else f"is {row.state.value}, and not held as {held_as}"
        told.append(Told(row.id, row.name, connection, why_not))
    return told


def _locked(session: Session, order_ids: Sequence[int]) -> list[tuple[Order, str]]:
    """The rows, locked, with the names of their connections."""
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    return [(row, names[row.connection_id]) for row in lock_orders(session, order_ids)]


def _decide(session: Session, row: Order, code: HoldCode, choice: str, who: str, why: str) -> None:
    session.add(Decision(order_id=row.id, fact=code.value, choice=choice, who=who, why=why))
    done = "Held" if choice == "hold" else f"Released from {code.value}"
    note(session, row, f"{done}, by {who}{f': {why}' if why else ''}")
    row.due_at, row.hinted_until = now(session), None
