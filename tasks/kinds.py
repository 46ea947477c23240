"""The kinds of writes: how each is frozen, sent and settled.

One table, from which the Celery tasks take their names too. A new kind of write is a new row here, a member of
`models.states.Kind`, and the rule in `tasks.plan` that asks for it.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.convert import inbound_body, procurement_body, references_body
from clients.errors import RefusalKind, Refused
from clients.komet.client import AwbResult
from clients.komet.convert import (
    AwbItem,
    BoxCodeChange,
    MixedPurchaseOrderLine,
    PurchaseOrderLine,
    awb_body,
    awb_text,
    body_size,
    box_codes_body,
    mixed_purchase_order_body,
    prebook_body,
    prebook_item_delete_body,
    purchase_order_body,
    purchase_order_item_delete_body,
)
from models import canonical as forms
from models.canonical import ApprovalReport, InboundOrder, Line, References
from models.database import now
from models.states import Feed, Kind
from models.tables import (
    Box,
    Json,
    OrderLine,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Scope,
    Shipment,
    Write,
    WriteLine,
)
from models.tables import Order as OrderRow
from tasks.connection import Connection
from tasks.plan.facts import AwbPart, PlannedWrite
from tasks.situation import (
    articles_of,
    as_sent,
    canonical,
    carrier_code_of,
    catalogue,
    customer_of,
    material_of,
    products_of,
)

#: Komet takes 64 kB at most (Getting Started); we stay below.
MOST_BYTES = 60_000
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class FrozenWrite:
    """A write as it will go over the wire, whatever happens later."""

    body: Json
    #: The lines that it covers, by the id of their row, and what it says of each: of those planned, as many as fit.
    lines: Mapping[int, Json | None]
    mark: str | None = None
    #: Where it would show.
    scope: tuple[Feed, str] | None = None
    says: Json | None = None
    #: Sentences about text that had to be cut or looks wrong.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Address:
    """Under what an order is known in Axerrio."""

    #: None until Axerrio took an order that was born in Komet.
    key: str | None
    external_id: str | None


Send = Callable[[Connection, Address, Write, Callable[[], None]], Json]


@dataclass(frozen=True)
class WriteKind:
    """How one kind of write is done."""

    kind: Kind
    #: Name of the Celery task that does it, as people see it.
    task: str
    freeze: Callable[[Session, Connection, OrderRow, PlannedWrite], FrozenWrite]
    #: Makes the call; `before_send` is called last before the first byte leaves. Gives what the answer says, as JSON.
    send: Send
    #: Records what the answer means, in the transaction that settles the write. Gives words for products: whoever
    #: waits for one of them may go on.
    settle: Callable[[Session, Connection, OrderRow, Write], Collection[str] | None]
    #: Safe to send again with the same body and key.
    repeatable: bool = False
    #: It covers lines of other orders too, where these ask for the same.
    shared: bool = False


def new_mark() -> str:
    """Ten characters of Crockford base32, random, new for each create."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(10))


def _rows(row: OrderRow, planned: PlannedWrite) -> list[OrderLine]:
    """The rows of the planned lines, in their order."""
    return [line for line in row.lines if line.line_key in planned.line_keys]


# -- komet.prebook.create --------------------------------------------------------------------------------------


def _freeze_prebook(session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    order = canonical(row)
    known = catalogue(session, row.connection_id)
    customer = customer_of(connection, order)
    carrier = known.carriers.get(carrier_code_of(connection, order) or "")
    if customer is None or carrier is None:
        raise LookupError(f"order {row.id}: its customer or carrier went away while it was planned")
    mark = new_mark()
    lines = [line for line in order.lines if line.line_key in planned.line_keys]
    products = products_of(session, row.connection_id, articles_of(lines))
    while True:
        body, warnings = prebook_body(
            order,
            lines,
            mark=mark,
            customer_code=customer.code,
            customer_description=customer.description or order.buyer_name or customer.code,
            carrier=carrier,
            box_types=known.box_types,
            packings=connection.settings.packings,
            settings=connection.settings.komet,
            products=products,
        )
        if body_size(body) <= MOST_BYTES or len(lines) == 1:
            break
        lines = lines[: (len(lines) + 1) // 2]  # the rest becomes another prebook
    ids = {line.line_key: line.id for line in row.lines}
    return FrozenWrite(
        body,
        {ids[line.line_key]: as_sent(order, line, connection, products) for line in lines},
        mark=mark,
        scope=(Feed.KOMET_PREBOOKS, order.truck_date.isoformat()),
        warnings=warnings,
    )


def _send_prebook(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_prebook(write.body, before_send)
    return {"id": made.prebook_id, "number": made.number}


def _settle_prebook(session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    result = write.result or {}
    if result.get("id"):
        session.execute(
            insert(Prebook)
            .values(
                connection_id=row.connection_id,
                order_id=row.id,
                write_id=write.id,
                prebook_id=result["id"],
                number=result.get("number"),
                truck_date=date.fromisoformat(session.get_one(Scope, write.scope_id).key),
                as_of=write.sent_at,
            )
            .on_conflict_do_nothing()
        )


# -- komet.prebook.item.delete, komet.purchase.order.item.delete -----------------------------------------------


def _freeze_item_delete(session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    item = session.scalars(
        select(PrebookItem).where(
            PrebookItem.connection_id == row.connection_id, PrebookItem.item_id == planned.item_id
        )
    ).one()
    prebook = session.get_one(Prebook, item.prebook_row)
    return FrozenWrite(
        prebook_item_delete_body(prebook.prebook_id, item.item_id),
        {line.id: {"item_id": item.item_id, "boxes": item.boxes} for line in _rows(row, planned)},
        scope=(Feed.KOMET_PREBOOKS, prebook.truck_date.isoformat()),
    )


def _send_item_delete(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    connection.komet.delete_prebook_item(write.body, before_send)
    return {}


def _settle_item_delete(
    session: Session, _connection: Connection, row: OrderRow, write: Write
) -> Collection[str] | None:
    """An item that is gone can be mapped in Komet no more: who waits for that makes an item of its own."""
    words: set[str] = set()
    for says in _says(write):
        item = session.scalar(
            select(PrebookItem).where(
                PrebookItem.connection_id == row.connection_id, PrebookItem.item_id == says["item_id"]
            )
        )
        if item is not None:
            item.boxes, item.deleted_at = 0, write.acknowledged_at
            words |= forget_unknown(item)
    return words


def forget_unknown(item: PrebookItem) -> set[str]:
    """The item says no more which products Komet does not know; gives the articles that it spoke of."""
    words = {each["article"] for each in item.unknown_products}
    item.unknown_products = []
    return words


def _freeze_order_item_delete(
    session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite
) -> FrozenWrite:
    item = session.scalars(
        select(PurchaseOrderItem).where(
            PurchaseOrderItem.connection_id == row.connection_id, PurchaseOrderItem.item_id == planned.item_id
        )
    ).one()
    order = session.get_one(PurchaseOrder, item.purchase_order_row)
    day = order.ship_date or planned.ship_date or row.departure_date
    return FrozenWrite(
        purchase_order_item_delete_body(item.item_id),
        {line.id: {"item_id": item.item_id, "boxes": item.boxes} for line in _rows(row, planned)},
        scope=(Feed.KOMET_PURCHASE_ORDERS, day.isoformat()),
    )


def _send_order_item_delete(
    connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]
) -> Json:
    connection.komet.delete_purchase_order_item(write.body, before_send)
    return {}


def _settle_order_item_delete(session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    for says in _says(write):
        item = session.scalar(
            select(PurchaseOrderItem).where(
                PurchaseOrderItem.connection_id == row.connection_id, PurchaseOrderItem.item_id == says["item_id"]
            )
        )
        if item is not None:
            item.boxes, item.deleted_at = 0, write.acknowledged_at


def _says(write: Write) -> list[Json]:
    """What a write says of its lines."""
    return [each.sent for each in write.lines if each.sent is not None]


# -- komet.purchase.order.create, komet.purchase.order.mixed.create --------------------------------------------


def _covered(session: Session, row: OrderRow, planned: PlannedWrite) -> list[tuple[OrderLine, Line, PrebookItem]]:
    """The planned lines and the prebook item of each."""
    of_ids = select(PrebookItem).where(
        PrebookItem.connection_id == row.connection_id, PrebookItem.item_id.in_(planned.covers.values())
    )
    items = {item.item_id: item for item in session.scalars(of_ids)}
    return [
        (line, Line.model_validate(line.wanted), items[planned.covers[line.line_key]])
        for line in _rows(row, planned)
        if line.wanted is not None
    ]


def _frozen_purchase_order(
    planned: PlannedWrite, covered: Sequence[tuple[OrderLine, Line, PrebookItem]], body: Json, warnings: Iterable[str]
) -> FrozenWrite:
    day = _day(planned)
    return FrozenWrite(
        body,
        {
            line.id: {
                "prebook_item_id": item.item_id,
                "boxes": item.boxes,
                "ship_date": day.isoformat(),
                "material": material_of(item.content),
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
            return _frozen_purchase_order(planned, covered, body, ())
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
            packings=connection.settings.packings,
            settings=connection.settings.komet,
            products=products,
        )
        if body_size(body) <= MOST_BYTES or len(covered) == 1:
            return _frozen_purchase_order(planned, covered, body, warnings)
        covered = covered[: (len(covered) + 1) // 2]


def _send_mixed(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_mixed_purchase_order(write.body, before_send)
    return {"id": made.purchase_order_id, "number": made.number}


def _settle_nothing(_session: Session, _connection: Connection, _row: OrderRow, _write: Write) -> None:
    """The items are learned from the next look: an answer names none that we may rely on (Create a Purchase Order)."""


# -- komet.purchase.order.items.awb.add ------------------------------------------------------------------------


def _freeze_awb(session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    """As many boxes as fit into one call; those of one ship date, so that one look shows them all."""
    day = next((part.ship_date_of_order for part in planned.awb if part.ship_date_of_order), row.departure_date)
    parts = [part for part in planned.awb if part.ship_date_of_order in (None, day)]
    shipments = _shipments(session, row, parts)
    while True:
        sent = [_awb_item(part, shipments[part.shipment_key]) for part in parts]
        body, warnings = awb_body([item for item, _ in sent], settings=connection.settings.komet)
        if body_size(body) <= MOST_BYTES or len(parts) == 1:
            break
        parts = parts[: (len(parts) + 1) // 2]
    spoken = dict.fromkeys((*warnings, *(word for _, word in sent if word is not None)))
    lines: dict[int, Json | None] = {}
    for part, (item, _) in zip(parts, sent, strict=True):
        says = lines.get(part.line_id) or {
            "shipment": part.shipment_key,
            "awb": item.awb,
            "house_awb": item.house_awb,
            "ship_date": item.ship_date.isoformat(),
            "items": [],
        }
        boxes = {"item_id": part.item_id, "box_codes": [*part.box_codes], "label_keys": [*part.label_keys]}
        lines[part.line_id] = {**says, "items": [*says["items"], boxes]}
    return FrozenWrite(body, lines, scope=(Feed.KOMET_PURCHASE_ORDERS, day.isoformat()), warnings=tuple(spoken))


def _shipments(session: Session, row: OrderRow, parts: Sequence[AwbPart]) -> dict[str, forms.Shipment]:
    keys = {part.shipment_key for part in parts}
    rows = select(Shipment).where(Shipment.connection_id == row.connection_id, Shipment.key.in_(keys))
    return {each.key: forms.Shipment.model_validate(each.content) for each in session.scalars(rows)}


def _awb_item(part: AwbPart, shipment: forms.Shipment) -> tuple[AwbItem, str | None]:
    """The part as Komet shall get it, and what looks wrong about its air waybill."""
    awb, warning = awb_text(shipment.awb)
    item = AwbItem(
        item_id=part.item_id,
        awb=awb,
        house_awb=shipment.house_awb.strip(),
        ship_date=shipment.ship_date,
        box_codes=part.box_codes,
        lot_number=part.lot_number,
    )
    return item, warning


def _send_awb(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    results = connection.komet.add_awb(write.body, before_send)
    return {"items": [_result(each) for each in results]}


def _result(result: AwbResult) -> Json:
    return {
        "item_id": result.item_id,
        "done": result.done,
        "message": result.message,
        "new_item_id": result.new_item_id,
    }


def _settle_awb(session: Session, connection: Connection, _row: OrderRow, write: Write) -> None:
    """Item by item: what Komet left out of its answer was skipped (Add Purchase Order Items to an AWB)."""
    results: dict[str, list[Json]] = {}
    for each in (write.result or {}).get("items", []):
        results.setdefault(each["item_id"], []).append(each)
    for line in write.lines:
        if line.sent is None:
            continue
        for item in line.sent["items"]:
            said = results.get(item["item_id"], [])
            if said and all(each["done"] for each in said):
                new_item_id = next((each["new_item_id"] for each in said if each["new_item_id"]), None)
                _take_boxes(session, connection, write, line, item, new_item_id)
            else:
                words = next((each["message"] for each in said if not each["done"]), "")
                line.error = words or "Komet skipped it without a word: it may not know its product."


def _take_boxes(
    session: Session, connection: Connection, write: Write, line: WriteLine, item: Json, new_item_id: str | None
) -> None:
    """The boxes are on the air waybill. Fewer than the item had have split it: the rest ships later."""
    stands = session.scalar(
        select(PurchaseOrderItem).where(
            PurchaseOrderItem.connection_id == write.connection_id, PurchaseOrderItem.item_id == item["item_id"]
        )
    )
    carrier_id, shipped = item["item_id"], len(item["box_codes"])
    if new_item_id is not None and stands is not None and shipped < stands.boxes:
        is_rest = connection.settings.komet.profile.split_new_item_is == "remaining"
        rest = stands.boxes - shipped
        known = select(PurchaseOrderItem.id).where(
            PurchaseOrderItem.connection_id == write.connection_id, PurchaseOrderItem.item_id == new_item_id
        )
        if session.scalar(known) is None:
            session.add(
                PurchaseOrderItem(
                    connection_id=write.connection_id,
                    purchase_order_row=stands.purchase_order_row,
                    item_id=new_item_id,
                    prebook_item_id=stands.prebook_item_id,
                    boxes=rest if is_rest else shipped,
                    as_of=write.acknowledged_at,
                )
            )
        stands.boxes = shipped if is_rest else rest
        carrier_id = item["item_id"] if is_rest else new_item_id
    record_boxes(session, write, line, item, carrier_id)


def record_boxes(session: Session, write: Write, line: WriteLine, item: Json, carrier_id: str) -> None:
    """Keep boxes that Komet holds, by its answer or by their codes; those kept already stay as they are."""
    says = line.sent or {}
    for code, label_key in zip(item["box_codes"], item["label_keys"], strict=True):
        session.execute(
            insert(Box)
            .values(
                connection_id=write.connection_id,
                line_id=line.line_id,
                shipment_key=says["shipment"],
                purchase_order_item_id=carrier_id,
                box_code=code,
                label_key=label_key,
                awb=says["awb"],
                house_awb=says["house_awb"],
                ship_date=date.fromisoformat(says["ship_date"]),
            )
            .on_conflict_do_nothing()
        )


# -- komet.box.code.change -------------------------------------------------------------------------------------


def _freeze_box_codes(_session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    day = next((each.ship_date_of_order for each in planned.boxes if each.ship_date_of_order), row.departure_date)
    changes = [each for each in planned.boxes if each.ship_date_of_order in (None, day)]
    while True:
        body = box_codes_body([BoxCodeChange(each.current, each.new) for each in changes])
        if body_size(body) <= MOST_BYTES or len(changes) == 1:
            break
        changes = changes[: (len(changes) + 1) // 2]
    lines: dict[int, Json | None] = {}
    for each in changes:
        says = lines.get(each.line_id) or {"changes": []}
        lines[each.line_id] = {"changes": [*says["changes"], [each.current, each.new]]}
    return FrozenWrite(body, lines, scope=(Feed.KOMET_PURCHASE_ORDERS, day.isoformat()))


def _send_box_codes(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    results = connection.komet.change_box_codes(write.body, before_send)
    return {"boxes": [{"code": each.new_code, "done": each.done, "message": each.message} for each in results]}


def _settle_box_codes(session: Session, _connection: Connection, _row: OrderRow, write: Write) -> None:
    """Box by box: results carry the new code only (Change Box Codes)."""
    said = {each["code"]: each for each in (write.result or {}).get("boxes", [])}
    for line in write.lines:
        for current, new in (line.sent or {}).get("changes", []):
            result = said.get(new, {"done": False, "message": "Komet said nothing of it."})
            if result["done"]:
                rename_box(session, write.connection_id, current, new)
            else:
                line.error = f"box {current} → {new}: {result['message']}"


def rename_box(session: Session, connection_id: int, current: str, new: str) -> None:
    """The box carries its new code in Komet."""
    rows = select(Box).where(Box.connection_id == connection_id, Box.box_code.in_((current, new)))
    boxes = {box.box_code: box for box in session.scalars(rows)}
    if current in boxes and new not in boxes:
        boxes[current].box_code = new
        session.flush()


# -- axerrio.inbound-orders ------------------------------------------------------------------------------------


def _freeze_inbound(_session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    """An empty body is a cancellation."""
    lines: dict[int, Json | None] = {line.id: None for line in row.lines}
    if planned.inbound is None:
        return FrozenWrite({}, lines)
    return FrozenWrite(inbound_body(planned.inbound), lines, says=planned.inbound.model_dump(mode="json"))


def _send_inbound(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    if order.external_id is None:
        raise ValueError("an order that was born in Komet has its external id")
    if not write.body:
        connection.axerrio.delete_inbound_order(
            order.external_id, idempotency_key=write.idempotency_key, before_send=before_send
        )
        return {}
    answer = connection.axerrio.put_inbound_order(
        order.external_id, write.body, idempotency_key=write.idempotency_key, before_send=before_send
    )
    return answer.model_dump(mode="json")


def _settle_inbound(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.inbound_applied = write.says
    row.inbound_answer = None
    if write.says is not None:
        learn_inbound_answer(row, InboundOrder.model_validate(write.result))


def learn_inbound_answer(row: OrderRow, answer: InboundOrder) -> None:
    """Keep what Axerrio says to an order that was born in Komet, with its key and those of its lines."""
    row.inbound_answer = answer.model_dump(mode="json")
    row.axerrio_key = answer.order_key or row.axerrio_key
    row.axerrio_number = answer.order_number or row.axerrio_number
    keys = {each.external_line_id: each.line_key for each in answer.lines if each.is_accepted and each.line_key}
    for line in row.lines:
        line.axerrio_line_key = keys.get(line.line_key)


# -- axerrio.external-references -------------------------------------------------------------------------------


def _freeze_references(_session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    if planned.references is None:
        raise ValueError("a write-back is planned with its references")
    return FrozenWrite(
        references_body(planned.references),
        {line.id: None for line in _rows(row, planned)},
        says=planned.references.model_dump(mode="json"),
    )


def _key(order: Address) -> str:
    if order.key is None:
        raise ValueError("Axerrio has not taken the order yet")
    return order.key


def _send_references(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    connection.axerrio.put_references(
        _key(order), write.body, idempotency_key=write.idempotency_key, before_send=before_send
    )
    return {}


def _settle_references(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.references_applied = References.model_validate(write.says).model_dump(mode="json")


# -- axerrio.procurement-status --------------------------------------------------------------------------------


def _freeze_report(session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    report = planned.report
    if report is None:
        raise ValueError("an approval report is planned with its content")
    body = procurement_body(report.status, report.purchase_orders, now(session))
    return FrozenWrite(body, {line.id: None for line in _rows(row, planned)}, says=report.model_dump(mode="json"))


def _send_report(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    stored = connection.axerrio.put_procurement_status(
        _key(order), write.body, idempotency_key=write.idempotency_key, before_send=before_send
    )
    says = ApprovalReport.model_validate(write.says)
    if stored.status is not says.status:
        raise Refused(
            "axerrio",
            "procurement-status",
            f"it keeps {stored.status.value}, which it took later than our {says.status.value}",
            RefusalKind.OTHER,
        )
    return {}


def _settle_report(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.report_applied = ApprovalReport.model_validate(write.says).model_dump(mode="json")


KINDS: dict[Kind, WriteKind] = {
    each.kind: each
    for each in (
        WriteKind(Kind.PREBOOK_CREATE, "create_prebook", _freeze_prebook, _send_prebook, _settle_prebook),
        WriteKind(
            Kind.PREBOOK_ITEM_DELETE, "delete_items", _freeze_item_delete, _send_item_delete, _settle_item_delete
        ),
        WriteKind(
            Kind.PURCHASE_ORDER_ITEM_DELETE,
            "delete_items",
            _freeze_order_item_delete,
            _send_order_item_delete,
            _settle_order_item_delete,
        ),
        WriteKind(
            Kind.PURCHASE_ORDER_CREATE,
            "create_purchase_orders",
            _freeze_purchase_order,
            _send_purchase_order,
            _settle_nothing,
        ),
        WriteKind(
            Kind.PURCHASE_ORDER_MIXED_CREATE, "create_purchase_orders", _freeze_mixed, _send_mixed, _settle_nothing
        ),
        WriteKind(Kind.AWB_ADD, "add_awb", _freeze_awb, _send_awb, _settle_awb, shared=True),
        WriteKind(
            Kind.BOX_CODE_CHANGE,
            "change_box_codes",
            _freeze_box_codes,
            _send_box_codes,
            _settle_box_codes,
            shared=True,
        ),
        WriteKind(
            Kind.INBOUND_ORDER, "send_inbound_order", _freeze_inbound, _send_inbound, _settle_inbound, repeatable=True
        ),
        WriteKind(
            Kind.EXTERNAL_REFERENCES,
            "link_order",
            _freeze_references,
            _send_references,
            _settle_references,
            repeatable=True,
        ),
        WriteKind(
            Kind.PROCUREMENT_STATUS, "report_approval", _freeze_report, _send_report, _settle_report, repeatable=True
        ),
    )
}
