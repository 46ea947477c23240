"""Whose turn an order is, and what leaves today or tomorrow and is not safe in both systems yet."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Date, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from models.canonical import Origin
from models.database import now
from models.states import FINAL, HoldCode, OrderState
from models.tables import Connection, Order
from tasks.dates import today_in
from tasks.upstreams import OBSERVES
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
#: Its connection writes nothing.
_OBSERVED = Turn("admin", 'where it shall be sent, set mode = "live" for its connection and start the workers again')
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
_OF_CODE = {
    HoldCode.MAPPING_REQUIRED: Turn("admin", "map the article with the next command, or have it mapped in Komet"),
    HoldCode.REJECTED: Turn("admin", "have mended what was refused, then type the next command"),
    HoldCode.CONFLICT: Turn("admin", "decide which side is right with the next command"),
    HoldCode.IN_DOUBT: Turn("admin", "look in Komet whether it is there, then type the next command"),
    HoldCode.OVER_LIMIT: Turn("admin", "find out whether it is meant; if so, type the next command"),
    HoldCode.NOT_VISIBLE: Turn("Komet user", "put right in Komet what keeps it from being shown"),
    HoldCode.UNMAPPED_REFERENCE: Turn("admin", "add it to the connections file and start the workers again"),
}
#: Everybody whose turn it can be.
EVERYBODY = tuple(dict.fromkeys(each.who for each in (_NOBODY, _ADMIN, *_OF_STATE.values(), *_OF_ORIGIN.values())))
#: A product that Komet itself does not know, where no mapping of ours can help.
_MAPPED_IN_KOMET = Turn("Komet user", "map the product on Komet's screen")
#: A command that only tells: nothing is to be typed, and the order goes on by itself once that is mended.
_TELLS = "axkomet orders show"


def command_of(order: Json) -> str | None:
    """What is to be typed, so that an order which the desk shows goes on; None: nothing."""
    command: str | None = order["reason"]["next_command"] if order["reason"] else None
    return None if command is None or command.startswith(_TELLS) else command


def turn_of(order: Json) -> Turn:
    """Whose turn an order is, as the desk shows the order."""
    if not order["reason"] or order["reason"]["code"] not in list(HoldCode):
        if order["held_up_by"] == OBSERVES:
            return _OBSERVED
        return _OF_STATE.get(OrderState(order["state"]), _NOBODY)
    code = HoldCode(order["reason"]["code"])
    if code in _MENDED_AT_THE_ORIGIN:
        return _OF_ORIGIN[order["origin"]]
    if code is HoldCode.MAPPING_REQUIRED and command_of(order) is None:
        return _MAPPED_IN_KOMET
    return _OF_CODE.get(code, _ADMIN)


def turns(session: Session) -> dict[tuple[str, str], tuple[int, int]]:
    """How many open orders wait for whom, in all and of them those that leave today or tomorrow and are not safe.

    By connection and who; of one question, which goes over open orders alone.
    """
    tells = or_(Order.next_command.is_(None), Order.next_command.startswith(_TELLS))
    # By itself, so that the day is found once for each connection, and not for each order.
    day = cast(func.timezone(func.coalesce(Connection.axerrio_time_zone, "UTC"), func.axkomet_now()), Date)
    today = select(Connection.id, Connection.name, day.label("day")).cte("today").prefix_with("MATERIALIZED")
    leaves = and_(Order.departure_date.between(today.c.day, today.c.day + 1), Order.state.not_in(SAFE))
    alike = (today.c.name, Order.state, Order.origin, Order.reason_code, Order.held_up_by, tells)
    counted = (
        select(*alike, func.min(Order.next_command), func.count(), func.count().filter(leaves))
        .join(today, Order.connection_id == today.c.id)
        .where(Order.state.not_in(FINAL))
        .group_by(*alike)
    )
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, state, origin, code, held_up_by, _, command, count, leaving in session.execute(counted):
        reason = {"code": code, "next_command": command} if code is not None else None
        who = turn_of({"state": state, "origin": origin, "reason": reason, "held_up_by": held_up_by}).who
        before, before_leaving = found.get((name, who), (0, 0))
        found[name, who] = (before + count, before_leaving + leaving)
    return found


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
