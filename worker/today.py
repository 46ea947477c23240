"""Whose turn an order is, and what leaves today or tomorrow and is not safe in both systems yet."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.canonical import Origin
from models.database import now
from models.states import HoldCode, OrderState
from models.tables import Connection
from tasks.dates import today_in
from worker.desk import OrderFilter, find_orders

Json = dict[str, Any]

#: Approved, so that its labels are printed, or at its end.
SAFE = (OrderState.APPROVED, OrderState.SHIPPED, OrderState.CLOSED, OrderState.CANCELLED)


@dataclass(frozen=True)
class Turn:
    """Who must act, and how."""

    who: str
    does: str


_NOBODY = Turn("nobody", "it goes on by itself")
_ADMIN = Turn("admin", "type the next command")
_OF_STATE = {
    OrderState.ORDERED: Turn("Komet user", "approve the purchase order"),
    OrderState.APPROVED: Turn("Axerrio user", "ship it"),
    OrderState.FAILED: _ADMIN,
}
#: Who mends what its own system says.
_OF_ORIGIN = {
    Origin.AXERRIO.value: Turn("Axerrio user", "mend the order in Axerrio"),
    Origin.KOMET.value: Turn("Komet user", "mend the prebook in Komet"),
}
_MENDED_AT_THE_ORIGIN = (HoldCode.INVALID, HoldCode.UNREADABLE, HoldCode.DEPARTED)


def turn_of(order: Json) -> Turn:
    """Whose turn an order is, as the desk shows the order."""
    if order["reason"] and order["reason"]["code"] in list(HoldCode):
        at_its_origin = HoldCode(order["reason"]["code"]) in _MENDED_AT_THE_ORIGIN
        return _OF_ORIGIN[order["origin"]] if at_its_origin else _ADMIN
    return _OF_STATE.get(OrderState(order["state"]), _NOBODY)


def unsafe_today(session: Session, connection: str | None = None) -> list[Json]:
    """Orders that leave today or tomorrow, by the vendor's calendar, and are not safe; the first to leave first.

    Each as the interface shows orders, with `whose_turn` and the day `by` which.
    """
    moment = now(session)
    found = []
    rows = session.execute(select(Connection.name, Connection.axerrio_time_zone).order_by(Connection.name)).all()
    for name, zone in rows:
        if connection in (None, name):
            today = today_in(moment, zone or "UTC")
            for day in (today, today + timedelta(days=1)):
                found += find_orders(session, OrderFilter(connection=name, departing=day))
    waiting = [
        order | {"whose_turn": turn_of(order).who, "by": order["departure_date"]}
        for order in found
        if OrderState(order["state"]) not in SAFE
    ]
    return sorted(waiting, key=lambda each: (each["by"], each["truck_date"], each["id"]))
