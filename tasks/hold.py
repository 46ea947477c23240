"""What a person stops, and lets go on: holds by hand or for being over the limit, and cancellations by hand.

A held order is observed and planned as ever, and nothing of it is sent; what is under way is still looked for.

An order that a person cancelled goes from the other system as if its origin had cancelled it, with the same care for
what is approved or shipped. That holds for the order as it was wanted then: once its origin changes it, it is held, and
a person decides anew.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from models.canonical import Order as CanonicalOrder
from models.database import now
from models.states import REFUSED, HoldCode
from models.tables import Connection, Decision, Order, OrderLine, Upstream, Write, WriteLine
from tasks import guard
from tasks.notes import note
from tasks.plan.questions import OURS
from tasks.upstreams import PERSON
from tasks.wake import lock_orders
from tasks.wanted import canonical

#: What `release` ends, beside a cancellation by hand.
CODES = (HoldCode.OVER_LIMIT, HoldCode.BY_HAND)
#: How the fact begins that an order, as it is wanted, was cancelled by hand.
_CANCELLED = "cancelled by hand: "
#: What of a line may change without another word for the order.
_NO_MATTER: dict[str, Any] = {
    "notes": True,
    "external_line_id": True,
    "unit_price": True,
    "breakdown": {"__all__": {"unit_price": True}},
}
_decided_since = Decision.at > Write.created_at
_of_line = select(WriteLine.line_id).join(OrderLine).where(WriteLine.write_id == Write.id)
#: Whether a write that is about to be sent may not: a person decided something of an order that it covers after it was
#: frozen and before its first try, which may have arrived; or he paused the connection.
IS_STOPPED = or_(
    and_(
        Write.attempts == 1,
        or_(
            select(Decision.id).where(Decision.order_id == Write.order_id, _decided_since).exists(),
            _of_line.join(Decision, Decision.order_id == OrderLine.order_id).where(_decided_since).exists(),
        ),
    ),
    select(Upstream.system).where(Upstream.connection_id == Write.connection_id, Upstream.closed_by == PERSON).exists(),
)


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
        why_not = REFUSED["hold"].get(row.state)
        if why_not is None and row.held_by is not None:
            why_not = f"is held already, by {row.held_by}: {row.held_why}"
        if why_not is None:
            row.held_by, row.held_why = who, why
            _decide(session, row, HoldCode.BY_HAND.value, "hold", who, why)
        told.append(Told(row.id, row.name, connection, why_not))
    return told


def cancel(session: Session, order_ids: Sequence[int], who: str, why: str) -> list[Told]:
    """Take orders out of the other system, though their origin still wants them.

    Args:
        session: its transaction records it.
        order_ids: of the rows.
        who: decides.
        why: kept, and shown with the order; may be empty.
    """
    told = []
    for row, connection in _locked(session, order_ids):
        why_not = REFUSED["cancel"].get(row.state)
        if why_not is None and row.held_by is not None:
            why_not = f"is held by {row.held_by}: release it first"
        if why_not is None and _cancellation(session, row) is not None:
            why_not = "was cancelled here already"
        if why_not is None:
            _decide(session, row, fact_of(canonical(row)), "cancel", who, why)
        told.append(Told(row.id, row.name, connection, why_not))
    return told


def fact_of(order: CanonicalOrder) -> str:
    """One word for an order as it is wanted: another one for whatever would stand otherwise in the other system.

    A new sales price changes nothing of what stands there.
    """
    head = order.model_dump_json(include={"truck_date", "departure_date", "buyer_code", "carrier_code"})
    lines = sorted(line.model_dump_json(exclude=_NO_MATTER) for line in order.open_lines)
    return _CANCELLED + hashlib.sha256("\n".join([head, *lines]).encode()).hexdigest()[:12]


def cancellation(decisions: Iterable[Decision]) -> Decision | None:
    """The cancellation by hand that an order's decisions, by age, leave in force."""
    said = [each for each in decisions if each.fact.startswith(_CANCELLED)]
    return said[-1] if said and said[-1].choice != OURS else None


def _cancellation(session: Session, row: Order) -> Decision | None:
    return cancellation(session.scalars(select(Decision).where(Decision.order_id == row.id).order_by(Decision.id)))


def release(session: Session, order_ids: Sequence[int], who: str, codes: Collection[HoldCode] = CODES) -> list[Told]:
    """Let orders go on that a person holds or cancelled, or that are held as over the limit.

    Of an order that a person holds only that ends: what lies beneath was not shown, and then shows itself.

    Args:
        session: its transaction records it.
        order_ids: of the rows.
        who: decides.
        codes: which of these holds may end; the other one stays. A cancellation ends only with all of them.
    """
    told = []
    for row, connection in _locked(session, order_ids):
        ended = []
        if HoldCode.BY_HAND in codes and row.held_by is not None:
            row.held_by = row.held_why = None
            ended.append(HoldCode.BY_HAND.value)
        elif HoldCode.OVER_LIMIT in codes and guard.let_go(row):
            ended.append(HoldCode.OVER_LIMIT.value)
        for code in ended:
            _decide(session, row, code, "release", who, "")
        takes_back = set(codes) == set(CODES) and HoldCode.BY_HAND not in ended
        if takes_back and (cancelled := _cancellation(session, row)) is not None:
            _decide(session, row, cancelled.fact, OURS, who, "")
            ended.append(cancelled.choice)
        held_as = " or ".join(codes)
        why_not = None if ended else f"is {row.state.value}, and not held as {held_as}"
        told.append(Told(row.id, row.name, connection, why_not))
    return told


def _locked(session: Session, order_ids: Sequence[int]) -> list[tuple[Order, str]]:
    """The rows, locked, with the names of their connections."""
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    return [(row, names[row.connection_id]) for row in lock_orders(session, order_ids)]


def _decide(session: Session, row: Order, fact: str, choice: str, who: str, why: str) -> None:
    session.add(Decision(order_id=row.id, fact=fact, choice=choice, who=who, why=why))
    done = _DONE[choice].format(fact=fact)
    note(session, row, f"{done}, by {who}{f': {why}' if why else ''}")
    row.due_at, row.hinted_until = now(session), None


_DONE = {
    "hold": "Held",
    "release": "Released from {fact}",
    "cancel": "Cancelled here",
    OURS: "Cancelled here no more",
}
