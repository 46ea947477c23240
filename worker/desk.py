"""What the ledger says of orders and mappings, for people and machines.

The shapes are those of the public interface: every key is always there, and what is missing is null.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from clients.komet.bodies import awb_text
from models.canonical import Json, Line, PurchaseOrderStatus
from models.states import OrderState
from models.tables import (
    Box,
    Connection,
    History,
    Label,
    Order,
    OrderLine,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Shipment,
    ShipmentLine,
    Write,
)
from tasks.mapping import list_mappings
from tasks.material import MATERIAL_OF_ORDER_ITEM, differences
from tasks.situation_rows import ids_of_writes
from worker.sides import AxerrioSide, changes, is_live, prebook_item

#: So many orders are read at once: a statement takes 65,535 values at most.
_CHUNK = 500
#: An id of our own; longer ones fit no bigint.
_ID = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class OrderFilter:
    """Which orders are meant; None and empty mean all."""

    #: Any of these.
    states: Sequence[OrderState] = ()
    connection: str | None = None
    origin: str | None = None
    reason: str | None = None
    since: datetime | None = None
    departing: date | None = None
    #: Of their rows; None: all.
    ids: Sequence[int] | None = None
    limit: int | None = None


_NAMES = {
    "axerrio": "Axerrio key or number",
    "prebook": "prebook",
    "po": "purchase order",
    "box": "box code",
    "awb": "air waybill",
}


class AmbiguousKeyError(Exception):
    """A key that names several orders.

    Attributes:
        candidates: each with the prefix that makes it plain.
    """

    def __init__(self, candidates: Sequence[str]) -> None:
        super().__init__(", ".join(candidates))
        self.candidates = candidates


def find_orders(session: Session, wanted: OrderFilter) -> list[Json]:
    """Orders as the interface shows them, without history and writes; the nearest departure first."""
    rows = session.scalars(_meant(wanted).options(selectinload(Order.lines))).all()
    return [view for first in range(0, len(rows), _CHUNK) for view in _views(session, rows[first : first + _CHUNK])]


def find_names(session: Session, wanted: OrderFilter) -> dict[int, str]:
    """The same orders by the ids of their rows: as people call them."""
    return {row.id: row.name for row in session.scalars(_meant(wanted))}


def _meant(wanted: OrderFilter) -> Select[Order]:
    query = select(Order).join(Connection, Order.connection_id == Connection.id)
    if wanted.states:
        query = query.where(Order.state.in_(wanted.states))
    if wanted.connection is not None:
        query = query.where(Connection.name == wanted.connection)
    if wanted.origin is not None:
        query = query.where(Order.origin == wanted.origin)
    if wanted.reason is not None:
        query = query.where(Order.reason_code == wanted.reason)
    if wanted.since is not None:
        query = query.where(Order.updated_at >= wanted.since)
    if wanted.departing is not None:
        query = query.where(Order.departure_date == wanted.departing)
    if wanted.ids is not None:
        query = query.where(Order.id.in_(wanted.ids))
    return query.order_by(Order.departure_date, Order.id).limit(wanted.limit)


def find_row(session: Session, key: str) -> Order | None:
    """The row of the order that a key names.

    Args:
        session: of the ledger.
        key: Axerrio key or number, prebook id or number, purchase order number, code of a box or its air waybill;
            `axerrio:`, `prebook:`, `po:`, `box:` or `awb:` before it says which, and `id:` before our own id is always
            plain.

    Raises:
        AmbiguousKeyError: the key names several orders.
    """
    kind, _, rest = key.partition(":")
    if kind not in ("id", *_NAMES) or not rest:
        kind, rest = "", key
    if kind == "id":
        return session.get(Order, int(rest), options=[selectinload(Order.lines)]) if _ID.fullmatch(rest) else None
    found: dict[int, str] = {}
    for name, query in _by_key(rest).items():
        if kind in ("", name):
            for order_id in session.scalars(query):
                found.setdefault(order_id, name)
    rows = session.scalars(select(Order).where(Order.id.in_(found)).options(selectinload(Order.lines))).all()
    if len(rows) > 1:
        names = dict(session.execute(select(Connection.id, Connection.name)).all())
        raise AmbiguousKeyError(
            [
                f"id:{row.id} ({names[row.connection_id]}, {_known_as(row)}, by its {_NAMES[found[row.id]]} {rest})"
                for row in rows
            ]
        )
    return rows[0] if rows else None


def find_order(session: Session, key: str) -> Json | None:
    """One order by any of its keys (see `find_row`), with history and writes.

    Raises:
        AmbiguousKeyError: the key names several orders.
    """
    row = find_row(session, key)
    if row is None:
        return None
    view = _views(session, [row])[0]
    view["history"] = [
        {"at": iso(each.at), "from": each.from_state, "to": each.to_state, "why": each.why}
        for each in session.scalars(select(History).where(History.order_id == row.id).order_by(History.id))
    ]
    view["writes"] = [
        {
            "kind": each.kind.value,
            "state": each.state.value,
            "attempts": each.attempts,
            "sent_at": iso(each.sent_at),
            "settled_at": iso(each.settled_at),
            "error": each.error,
        }
        for each in session.scalars(select(Write).where(Write.id.in_(ids_of_writes(row.id))).order_by(Write.id))
    ]
    return view


def _known_as(row: Order) -> str:
    return f"axerrio:{row.axerrio_key}" if row.axerrio_key is not None else row.name


_of_box = select(OrderLine.order_id).join(Box, Box.line_id == OrderLine.id).distinct()
#: The other systems' ids are found by connection and id, whatever the connection.
_everywhere = select(Connection.id)


def _either(one: Select[int], other: Select[int]) -> Select[int]:
    """What either finds, each by its own index."""
    return select(one.union(other).subquery().c[0])


def _by_key(key: str) -> dict[str, Select[int]]:
    return {
        "axerrio": _either(
            select(Order.id).where(Order.connection_id.in_(_everywhere), Order.axerrio_key == key),
            select(Order.id).where(Order.axerrio_number == key),
        ),
        "prebook": _either(
            select(Prebook.order_id).where(Prebook.connection_id.in_(_everywhere), Prebook.prebook_id == key),
            select(Prebook.order_id).where(Prebook.number == key),
        ),
        "po": select(Prebook.order_id)
        .join(PrebookItem, PrebookItem.prebook_row == Prebook.id)
        .join(PurchaseOrderItem, PurchaseOrderItem.prebook_item_id == PrebookItem.item_id)
        .join(PurchaseOrder, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
        .where(PurchaseOrderItem.connection_id == PrebookItem.connection_id, PurchaseOrder.number == key)
        .distinct(),
        "box": _of_box.where(Box.connection_id.in_(_everywhere), Box.box_code == key),
        "awb": _of_box.where(Box.awb.in_({key, awb_text(key)[0]})),
    }


def _views(session: Session, rows: Sequence[Order]) -> list[Json]:
    ids = [row.id for row in rows]
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    items: dict[int, list[PrebookItem]] = {}
    for item in session.scalars(
        select(PrebookItem)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(Prebook.order_id.in_(ids))
        .order_by(PrebookItem.id)
    ):
        items.setdefault(item.line_id or 0, []).append(item)
    # After their items: each statement sees what was committed before it, and an item never comes before its prebook.
    prebooks: dict[int, list[Prebook]] = {}
    for prebook in session.scalars(select(Prebook).where(Prebook.order_id.in_(ids)).order_by(Prebook.id)):
        prebooks.setdefault(prebook.order_id, []).append(prebook)
    boxes: dict[int, list[Box]] = {}
    of_lines = [line.id for row in rows for line in row.lines]
    for box in session.scalars(select(Box).where(Box.line_id.in_(of_lines)).order_by(Box.id)):
        boxes.setdefault(box.line_id, []).append(box)
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]] = {}
    for bought in session.scalars(
        select(PurchaseOrderItem)
        .where(
            PurchaseOrderItem.connection_id.in_({row.connection_id for row in rows}),
            PurchaseOrderItem.prebook_item_id.in_([each.item_id for of in items.values() for each in of]),
        )
        .order_by(PurchaseOrderItem.id)
        .options(selectinload(PurchaseOrderItem.purchase_order))
    ):
        purchased.setdefault((bought.connection_id, bought.prebook_item_id), []).append(bought)
    sides = _axerrio_sides(session, rows)
    return [
        _view(row, names[row.connection_id], sides[row.id], prebooks.get(row.id, []), items, purchased, boxes)
        for row in rows
    ]


def _axerrio_sides(session: Session, rows: Sequence[Order]) -> dict[int, AxerrioSide]:
    """What Axerrio has of each order, by its id."""
    keys = {row.axerrio_key for row in rows}
    labels: dict[tuple[int, str], list[Label]] = {}
    found = select(Label).where(
        Label.connection_id.in_({row.connection_id for row in rows}),
        Label.order_key.in_(keys),
        Label.is_deleted.is_(False),
    )
    for label in session.scalars(found.order_by(Label.sequence, Label.key)):
        labels.setdefault((label.connection_id, label.order_key), []).append(label)
    shipments: dict[tuple[int, str], list[Shipment]] = {}
    carried = select(ShipmentLine.order_key, Shipment).join(Shipment, ShipmentLine.shipment_id == Shipment.id)
    carried = carried.where(ShipmentLine.order_key.in_(keys), Shipment.is_deleted.is_(False)).order_by(Shipment.id)
    for order_key, shipment in session.execute(carried):
        shipments.setdefault((shipment.connection_id, order_key), []).append(shipment)
    return {
        row.id: AxerrioSide(row, labels.get(known_by, []), shipments.get(known_by, []))
        for row in rows
        if (known_by := (row.connection_id, row.axerrio_key or ""))
    }


def _view(
    row: Order,
    connection: str,
    side: AxerrioSide,
    prebooks: Sequence[Prebook],
    items: dict[int, list[PrebookItem]],
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]],
    boxes: dict[int, list[Box]],
) -> Json:
    by_row = {prebook.id: prebook for prebook in prebooks}
    lines = [
        _line(row, line, side, by_row, items.get(line.id, []), purchased, boxes.get(line.id, [])) for line in row.lines
    ]
    of_lines = [item for line in row.lines for item in items.get(line.id, [])]
    dead = {item.prebook_row for item in of_lines} - {item.prebook_row for item in of_lines if is_live(item)}
    prebooks = [prebook for prebook in prebooks if prebook.id not in dead]
    orders = {
        bought.purchase_order.purchase_order_id: bought.purchase_order
        for line in row.lines
        for item in items.get(line.id, [])
        for bought in purchased.get((row.connection_id, item.item_id), [])
        if is_live(bought)
    }
    reason = None
    if row.reason_code is not None:
        reason = {"code": row.reason_code, "message": row.reason, "next_command": row.next_command}
    return {
        "id": row.id,
        "name": row.name,
        "connection": connection,
        "origin": row.origin,
        "state": row.state.value,
        "reason": reason,
        "axerrio": {"key": row.axerrio_key, "number": row.axerrio_number, "version": row.version},
        "komet": {
            "prebook_id": prebooks[0].prebook_id if prebooks else None,
            "prebook_number": prebooks[0].number if prebooks else None,
            "prebooks": [{"id": each.prebook_id, "number": each.number} for each in prebooks],
            "purchase_orders": [
                {"id": each.purchase_order_id, "number": each.number, "status": _status(each)}
                for each in orders.values()
            ],
        },
        "departure_date": row.departure_date.isoformat(),
        "truck_date": row.truck_date.isoformat(),
        "lines": lines,
        "attempts": row.attempts,
        "due_at": iso(row.due_at),
        "last_error": row.last_error,
        "held_up_by": row.held_up_by,
        "axerrio_must": row.axerrio_must,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _line(
    row: Order,
    line: OrderLine,
    axerrio: AxerrioSide,
    prebooks: dict[int, Prebook],
    items: Sequence[PrebookItem],
    purchased: dict[tuple[int, str], list[PurchaseOrderItem]],
    boxes: Sequence[Box],
) -> Json:
    wanted = Line.model_validate(line.wanted) if line.wanted is not None else None
    live = [item for item in items if is_live(item)]
    item = live[0] if live else None
    of_items = (each for item in items for each in purchased.get((row.connection_id, item.item_id), []))
    bought = [each for each in of_items if is_live(each)]
    carried = {box.purchase_order_item_id for box in boxes}
    first = next((each for each in bought if each.item_id not in carried), bought[0] if bought else None)
    return {
        "line_key": line.axerrio_line_key or line.line_key,
        "article_code": (wanted.article.code or None) if wanted else None,
        "description": wanted.article.description if wanted else None,
        "boxes": wanted.boxes if wanted else None,
        "state": line.state.value,
        "mapped": item.mapped if item and item.content is not None else None,
        "prebook_id": prebooks[item.prebook_row].prebook_id if item else None,
        "prebook_item_id": item.item_id if item else None,
        "purchase_order_item_id": first.item_id if first else None,
        "purchase_order_number": first.purchase_order.number if first else None,
        "purchase_order_items": [
            {
                "id": each.item_id,
                "number": each.purchase_order.number,
                "boxes": each.boxes,
                "status": _status(each.purchase_order),
                "ship_date": each.purchase_order.ship_date.isoformat() if each.purchase_order.ship_date else None,
                "box_codes": (each.content or {}).get("box_codes", []),
                "changes": changes(differences(each.baseline, each.content, MATERIAL_OF_ORDER_ITEM)),
            }
            for each in bought
        ],
        "axerrio": axerrio.line(line, wanted),
        "prebook_items": [prebook_item(each, prebooks[each.prebook_row]) for each in live],
        "boxes_shipped": [
            {"box_code": box.box_code, "awb": box.awb, "ship_date": box.ship_date.isoformat()} for box in boxes
        ],
    }


def _status(order: PurchaseOrder) -> str:
    """A status that we do not know counts as not approved."""
    return order.status or PurchaseOrderStatus.PENDING.value


def iso(moment: datetime | None) -> str | None:
    """A moment as JSON has it."""
    return moment.isoformat() if moment else None


# -- mappings --------------------------------------------------------------------------------------------------


def find_mappings(session: Session, connection: str | None, *, missing: bool) -> list[Json]:
    """Mappings and what is waited for, as the interface shows them (see `tasks.mapping.list_mappings`)."""
    return [
        {
            "connection": each.connection,
            "article_code": each.article_code,
            "description": each.description,
            "product_code": each.product_code,
            "product_description": each.product_description,
            "orders": each.orders,
            "nearest_departure": each.nearest_departure.isoformat() if each.nearest_departure else None,
            "candidates": [{"code": one.code, "description": one.description} for one in each.candidates],
        }
        for each in list_mappings(session, connection, missing=missing)
    ]
