"""Whose turn an order is, and what leaves today or tomorrow and is not safe in both systems yet."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import CTE, ColumnElement, Date, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from models.canonical import Json, LineStatus, Origin
from models.states import FINAL, HoldCode, OrderState
from models.tables import Connection, Order, OrderLine
from tasks.upstreams import OBSERVES
from worker.desk import OrderFilter, find_orders

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
_IN_AXERRIO = {
    "confirm": Turn("Axerrio user", "confirm it in Axerrio"),
    "accept": Turn("Axerrio user", "accept or reject it in Axerrio"),
}
#: Who mends what its own system says.
_OF_ORIGIN = {
    Origin.AXERRIO.value: Turn("Axerrio user", "mend the order in Axerrio"),
    Origin.KOMET.value: Turn("Komet user", "mend the prebook in Komet"),
}
_OF_CODE = {
    HoldCode.MAPPING_REQUIRED: Turn("admin", "map the article with the next command, or have it mapped in Komet"),
    HoldCode.REJECTED: Turn("admin", "have mended what was refused, then type the next command"),
    HoldCode.CONFLICT: Turn("admin", "decide which side is right with the next command"),
    HoldCode.IN_DOUBT: Turn("admin", "look in Komet whether it is there, then type the next command"),
    HoldCode.OVER_LIMIT: Turn("admin", "find out whether it is meant; if so, type the next command"),
    HoldCode.NOT_VISIBLE: Turn("Komet user", "put right in Komet what keeps it from being shown"),
    HoldCode.UNMAPPED_REFERENCE: Turn("admin", "add it to the connections file and start the workers again"),
    # Of an order born in Komet these speak of Axerrio's own record, its labels and shipments.
    HoldCode.INVALID: _OF_ORIGIN[Origin.AXERRIO.value],
    HoldCode.UNREADABLE: _OF_ORIGIN[Origin.AXERRIO.value],
}
#: Where there is nothing to type: no mapping of ours can help where Komet itself does not know a product.
_WITHOUT_COMMAND = {
    HoldCode.MAPPING_REQUIRED: Turn("Komet user", "map the product on Komet's screen"),
    HoldCode.CONFLICT: Turn("Komet user", "put right in Komet what the reason names"),
    OrderState.FAILED: Turn("admin", "have this program mended: its log says where it failed"),
}
#: Everybody whose turn it can be.
EVERYBODY = tuple(dict.fromkeys(each.who for each in (_NOBODY, _ADMIN, *_OF_STATE.values(), *_OF_ORIGIN.values())))
#: A command that only tells: nothing is to be typed, and the order goes on by itself once that is mended.
_TELLS = "axkomet orders show"


def command_of(order: Json) -> str | None:
    """What is to be typed, so that an order which the desk shows goes on; None: nothing."""
    command: str | None = order["reason"]["next_command"] if order["reason"] else None
    return None if command is None or command.startswith(_TELLS) else command


def turn_of(order: Json) -> Turn:
    """Whose turn an order is, as the desk shows the order."""
    state, code = OrderState(order["state"]), order["reason"]["code"] if order["reason"] else None
    if code in _WITHOUT_COMMAND and command_of(order) is None:
        return _WITHOUT_COMMAND[code]
    if code == HoldCode.DEPARTED:
        return _IN_AXERRIO["accept"] if order["axerrio_must"] == "accept" else _OF_ORIGIN[order["origin"]]
    if code in list(HoldCode):
        return _OF_CODE.get(HoldCode(code), _ADMIN)
    if order["held_up_by"]:
        return _OBSERVED if order["held_up_by"] == OBSERVES else _NOBODY
    if order["axerrio_must"] and state is not OrderState.CANCELLING and not state.is_final:
        return _IN_AXERRIO[order["axerrio_must"]]
    return _OF_STATE.get(state, _NOBODY)


def _today() -> CTE:
    """Each connection with the day that the vendor's calendar shows: found once for each, and not for each order."""
    day = cast(func.timezone(func.coalesce(Connection.axerrio_time_zone, "UTC"), func.axkomet_now()), Date)
    days = select(Connection.id, Connection.name, day.label("day"))
    return days.cte("today").prefix_with("MATERIALIZED")


def _leaves_on(today: CTE) -> ColumnElement[date]:
    """The next day on which a part of an order leaves of which not all left before today.

    A line that is approved is safe, whatever its order waits for; of an order that is held nobody can tell.
    """
    day = cast(OrderLine.wanted["departure_date"].astext, Date)
    next_line = (
        select(func.min(day))
        .where(
            OrderLine.order_id == Order.id,
            OrderLine.wanted["status"].astext == LineStatus.OPEN.value,
            day >= today.c.day,
            or_(OrderLine.state.not_in(SAFE), Order.state == OrderState.HELD),
        )
        .correlate(Order, today)
        .scalar_subquery()
    )
    return func.least(next_line, Order.departure_date)


def _is_leaving(today: CTE) -> ColumnElement[bool]:
    """It leaves today or tomorrow, or a part of it does, and is not safe."""
    return and_(Order.state.not_in(SAFE), Order.departure_date >= today.c.day, _leaves_on(today) <= today.c.day + 1)


def turns(session: Session) -> dict[tuple[str, str], tuple[int, int]]:
    """How many open orders wait for whom, in all and of them those that leave today or tomorrow and are not safe.

    By connection and who; of one question, which goes over open orders alone.
    """
    tells = or_(Order.next_command.is_(None), Order.next_command.startswith(_TELLS))
    today = _today()
    alike = (today.c.name, Order.state, Order.origin, Order.reason_code, tells, Order.held_up_by, Order.axerrio_must)
    counted = (
        select(*alike, func.min(Order.next_command), func.count(), func.count().filter(_is_leaving(today)))
        .join(today, Order.connection_id == today.c.id)
        .where(Order.state.not_in(FINAL))
        .group_by(*alike)
    )
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, state, origin, code, _, held_up_by, axerrio_must, command, count, leaving in session.execute(counted):
        reason = {"code": code, "next_command": command} if code is not None else None
        order = {"state": state, "origin": origin, "reason": reason}
        who = turn_of(order | {"held_up_by": held_up_by, "axerrio_must": axerrio_must}).who
        before, before_leaving = found.get((name, who), (0, 0))
        found[name, who] = (before + count, before_leaving + leaving)
    return found


def unsafe_today(session: Session, connection: str | None = None) -> list[Json]:
    """Orders that leave today or tomorrow, by the vendor's calendar, and are not safe; the first to leave first.

    Each as the interface shows orders, with `whose_turn` and the day `by` which its next part leaves.
    """
    today = _today()
    leaving = (
        select(Order.id, _leaves_on(today))
        .join(today, Order.connection_id == today.c.id)
        .where(Order.state.not_in(FINAL), _is_leaving(today))
    )
    if connection is not None:
        leaving = leaving.where(today.c.name == connection)
    days = dict(session.execute(leaving).all())
    waiting = [
        order | {"whose_turn": turn_of(order).who, "by": days[order["id"]].isoformat()}
        for order in find_orders(session, OrderFilter(ids=list(days)))
        if OrderState(order["state"]) not in SAFE
    ]
    return sorted(waiting, key=lambda each: (each["by"], each["truck_date"], each["id"]))
