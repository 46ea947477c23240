"""Purchase orders in Komet: made of plain and of mixed lines, and their items deleted."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from sqlalchemy import BigInteger, Text, any_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from clients.komet.bodies import (
    MixedPurchaseOrderLine,
    PurchaseOrderLine,
    body_size,
    mixed_purchase_order_body,
    purchase_order_body,
    purchase_order_item_delete_body,
)
from models.canonical import Json, Line, Origin
from models.prepared import Prepared, parameter
from models.states import Feed, Kind
from models.tables import Order as OrderRow
from models.tables import (
    OrderLine,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Write,
)
from tasks.connection import Connection
from tasks.kinds.form import MOST_BYTES, Address, FrozenWrite, WriteKind, item_of, rows_of, settle_deletion
from tasks.material import material_of
from tasks.plan.facts import PlannedWrite
from tasks.wanted import articles_of, catalogue, products_of


def _freeze_order_item_delete(
    session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite
) -> FrozenWrite:
    item = item_of(session, PurchaseOrderItem, row, planned.item_id)
    if item is None:
        raise LookupError(f"order {row.id}: item {planned.item_id} went away while it was planned")
    order = session.get_one(PurchaseOrder, item.purchase_order_row)
    day = order.ship_date or planned.ship_date or row.departure_date
    return FrozenWrite(
        purchase_order_item_delete_body(item.item_id),
        {line.id: {"item_id": item.item_id, "boxes": item.boxes} for line in rows_of(row, planned)},
        scope=(Feed.KOMET_PURCHASE_ORDERS, day.isoformat()),
    )


def _send_order_item_delete(
    connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]
) -> Json:
    connection.komet.delete_purchase_order_item(write.body, before_send)
    return {}


def _settle_order_item_delete(session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    settle_deletion(session, PurchaseOrderItem, row, write)


_connection, _item_ids = parameter("connection_id", BigInteger()), any_(parameter("item_ids", ARRAY(Text())))
_ITEMS = select(PrebookItem).where(PrebookItem.connection_id == _connection, PrebookItem.item_id == _item_ids)
_NAMING = Prepared(
    select(PurchaseOrderItem.prebook_item_id, PurchaseOrderItem.item_id)
    .where(PurchaseOrderItem.connection_id == _connection, PurchaseOrderItem.prebook_item_id == _item_ids)
    .order_by(PurchaseOrderItem.id)
)


def _covered(session: Session, row: OrderRow, planned: PlannedWrite) -> list[tuple[OrderLine, Line, PrebookItem]]:
    """The planned lines and the prebook item of each."""
    of_ids = {"connection_id": row.connection_id, "item_ids": list(planned.covers.values())}
    items = {item.item_id: item for item in session.scalars(_ITEMS, of_ids)}
    return [
        (line, Line.model_validate(line.wanted), items[planned.covers[line.line_key]])
        for line in rows_of(row, planned)
        if line.wanted is not None
    ]


def _frozen_purchase_order(
    session: Session,
    row: OrderRow,
    planned: PlannedWrite,
    covered: Sequence[tuple[OrderLine, Line, PrebookItem]],
    body: Json,
    warnings: Iterable[str],
) -> FrozenWrite:
    day = _day(planned)
    # What names the same prebook item already, deleted or cancelled as it may be, will not show this create.
    known: dict[str, list[str]] = {}
    item_ids = [item.item_id for _, _, item in covered]
    for each in _NAMING.run(session, connection_id=row.connection_id, item_ids=item_ids):
        known.setdefault(each.prebook_item_id, []).append(each.item_id)
    return FrozenWrite(
        body,
        {
            line.id: {
                "prebook_item_id": item.item_id,
                "boxes": item.boxes,
                "ship_date": day.isoformat(),
                "material": material_of(item.content),
                "known": known.get(item.item_id, []),
            }
            for line, _, item in covered
        },
        scope=(Feed.KOMET_PURCHASE_ORDERS, day.isoformat()),
        warnings=tuple(warnings),
    )


def _day(planned: PlannedWrite) -> date:
    if planned.ship_date is None:
        raise ValueError("a purchase order is planned for a ship date")
    return planned.ship_date


def _freeze_purchase_order(
    session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite
) -> FrozenWrite:
    covered = _covered(session, row, planned)
    while True:
        body = purchase_order_body(
            _day(planned),
            [PurchaseOrderLine(item.item_id, item.boxes, wanted.unit_cost) for _, wanted, item in covered],
            purchase_order_number=planned.purchase_order_number,
            settings=connection.settings.komet,
        )
        if body_size(body) <= MOST_BYTES or len(covered) == 1:
            return _frozen_purchase_order(session, row, planned, covered, body, ())
        covered = covered[: (len(covered) + 1) // 2]  # the rest joins the purchase order once it was read


def _send_purchase_order(
    connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]
) -> Json:
    made = connection.komet.create_purchase_order(write.body, before_send)
    return {"id": made.purchase_order_id, "number": made.number}


def _freeze_mixed(session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    covered = _covered(session, row, planned)
    known = catalogue(session, row.connection_id)
    products = products_of(session, row.connection_id, articles_of(wanted for _, wanted, _ in covered))
    while True:
        body, warnings = mixed_purchase_order_body(
            _day(planned),
            [MixedPurchaseOrderLine(item.item_id, item.boxes, wanted) for _, wanted, item in covered],
            purchase_order_number=planned.purchase_order_number,
            box_types=known.box_types,
            packings=connection.settings.packings if row.origin == Origin.AXERRIO else {},  # Komet's own codes
            settings=connection.settings.komet,
            products=products,
        )
        if body_size(body) <= MOST_BYTES or len(covered) == 1:
            return _frozen_purchase_order(session, row, planned, covered, body, warnings)
        covered = covered[: (len(covered) + 1) // 2]


def _send_mixed(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_mixed_purchase_order(write.body, before_send)
    return {"id": made.purchase_order_id, "number": made.number}


def _settle_nothing(_session: Session, _connection: Connection, _row: OrderRow, _write: Write) -> None:
    """The items are learned from the next look: an answer names none that we may rely on (Create a Purchase Order)."""


#: The kinds of this file.
KINDS = (
    WriteKind(
        Kind.PURCHASE_ORDER_CREATE,
        "create_purchase_orders",
        _freeze_purchase_order,
        _send_purchase_order,
        _settle_nothing,
    ),
    WriteKind(Kind.PURCHASE_ORDER_MIXED_CREATE, "create_purchase_orders", _freeze_mixed, _send_mixed, _settle_nothing),
    WriteKind(
        Kind.PURCHASE_ORDER_ITEM_DELETE,
        "delete_items",
        _freeze_order_item_delete,
        _send_order_item_delete,
        _settle_order_item_delete,
    ),
)
