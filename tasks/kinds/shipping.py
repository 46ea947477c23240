"""Boxes in Komet: put on an air waybill, and given another code. One call for all orders of a shipment."""

from collections.abc import Callable, Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.komet.bodies import AwbItem, BoxCodeChange, awb_body, awb_text, body_size, box_codes_body
from clients.komet.client import AwbResult
from models import canonical as forms
from models.canonical import Json
from models.states import Feed, Kind
from models.tables import (
    Box,
    PurchaseOrderItem,
    Shipment,
    Write,
    WriteLine,
)
from models.tables import Order as OrderRow
from tasks.connection import Connection
from tasks.kinds.form import MOST_BYTES, Address, FrozenWrite, WriteKind
from tasks.plan.facts import AwbPart, PlannedWrite


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
        if session.scalar(known) is None:  # else a list has shown the split already
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
            stands.purchase_order.as_of = write.acknowledged_at or stands.purchase_order.as_of
        carrier_id = item["item_id"] if is_rest else new_item_id
    record_boxes(session, write, line, item, carrier_id)


def record_boxes(session: Session, write: Write, line: WriteLine, item: Json, carrier_id: str) -> None:
    """Keep boxes that Komet holds, by its answer or by their codes; those kept already stay as they are.

    But one that was taken back in Komet, and has left again by the line's last call, is in that call's shipment.
    """
    says = line.sent or {}
    later = select(WriteLine.write_id).where(
        WriteLine.line_id == line.line_id, WriteLine.kind == line.kind, WriteLine.write_id > write.id
    )
    for code, label_key in zip(item["box_codes"], item["label_keys"], strict=True):
        told = {
            "shipment_key": says["shipment"],
            "purchase_order_item_id": carrier_id,
            "label_key": label_key,
            "awb": says["awb"],
            "house_awb": says["house_awb"],
            "ship_date": date.fromisoformat(says["ship_date"]),
        }
        session.execute(
            insert(Box)
            .values(connection_id=write.connection_id, line_id=line.line_id, box_code=code, **told)
            .on_conflict_do_update(
                index_elements=[Box.connection_id, Box.box_code],
                set_=told,
                where=(Box.line_id == line.line_id) & (Box.shipment_key != says["shipment"]) & ~later.exists(),
            )
        )


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


#: The kinds of this file.
KINDS = (
    WriteKind(Kind.AWB_ADD, "add_awb", _freeze_awb, _send_awb, _settle_awb, shared=True),
    WriteKind(
        Kind.BOX_CODE_CHANGE,
        "change_box_codes",
        _freeze_box_codes,
        _send_box_codes,
        _settle_box_codes,
        shared=True,
    ),
)
