"""What the vendor ships: `purchase.order.items.awb.add` and `box.code.change`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field, StringConstraints

from sandbox.komet.company import Company
from sandbox.komet.deletions import with_order_item
from sandbox.komet.fields import Body, Day, Refused, Text20, Text25, UnknownProduct
from sandbox.komet.records import Box, OrderItem, PurchaseOrder
from sandbox.wire import Json

KOMETS_OWN_LOTS = range(1000, 100_000)  # "Add Purchase Order Items to an AWB"

BoxCode = Annotated[str, StringConstraints(min_length=1, max_length=20)]
Awb = Annotated[str, StringConstraints(min_length=1, max_length=25)]


class LoadFields(Body):
    """One entry of `poItems` ("Add Purchase Order Items to an AWB"); without box codes Komet makes them."""

    po_item_id: int
    awb: Awb
    house_awb: Text25 = Field(default="", alias="houseAWB")
    ship_date: Day
    box_codes: list[BoxCode] = Field(default_factory=list)
    lot_number: Text20 = ""


class AwbFields(Body):
    """The request ("Add Purchase Order Items to an AWB")."""

    po_items: list[LoadFields] = Field(min_length=1)


@dataclass
class _Load:
    """What one call ships of an item: all of it stays on one item, whichever entries named it."""

    order: PurchaseOrder
    item: OrderItem
    boxes: list[Box] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.item.line.boxes - len(self.boxes)


def add_to_awb(company: Company, fields: Json) -> Json:
    """Ship items ("Add Purchase Order Items to an AWB"). Each entry stands alone, and there is no overall message.

    Fewer codes than boxes split the item.
    """
    asked = AwbFields.model_validate(fields)
    loads: dict[int, _Load] = {}
    answers = []
    for entry in asked.po_items:
        answer: Json = {"poItemId": entry.po_item_id}
        try:
            load = loads.get(entry.po_item_id) or _load(company, entry.po_item_id)
            boxes = _boxes(company, entry, load, {box.code for other in loads.values() for box in other.boxes})
        except UnknownProduct as unknown:
            if company.settings.awb_skips == "entry":
                answers.append(answer | {"status": "0", "message": str(unknown)})
            continue
        except Refused as refused:
            answers.append(answer | {"status": "0", "message": str(refused)})
            continue
        codes, lot = [box.code for box in boxes], boxes[0].lot
        answer |= {"status": "1", "message": "OK", "boxCodes": codes}
        answer["lotNumber"] = int(lot) if lot.isdecimal() else lot
        load.boxes += boxes
        load.answers.append(answer)
        loads[entry.po_item_id] = load
        answers.append(answer)
    for load in loads.values():
        new_id = _ship(company, load)
        if new_id is not None and company.settings.split_named:
            for answer in load.answers:
                answer["newPOItemId"] = new_id
    return {"status": "1", "purchaseOrderItemDetailsAWBAddAPIResultList": answers}


def _load(company: Company, item_id: int) -> _Load:
    """Find an item that can be shipped."""
    found = company.find_order_item(item_id)
    if found is None or found[0].vendor_id != company.seed.vendor.id:
        raise Refused(f"Purchase order item {item_id} does not exist or is not the vendor's")
    order, item = found
    if order.status == "X" or not item.line.boxes:
        raise Refused(f"Purchase order item {item_id} is cancelled")
    if item.boxes:
        raise Refused(f"Purchase order item {item_id} was already shipped")
    if not item.line.is_mapped:
        raise UnknownProduct(f"The product of purchase order item {item_id} is UNKNOWN")
    if order.status == "PA" and company.settings.awb_while_pending == "refused":
        raise Refused(f"Purchase order {order.number} is pending approval")
    return _Load(order, item)


def _boxes(company: Company, entry: LoadFields, load: _Load, in_call: set[str]) -> list[Box]:
    """The boxes of one entry, out of what is left of its item."""
    most = company.settings.max_box_codes
    if most is not None and len(entry.box_codes) > most:
        raise Refused(f"At most {most} box codes can be given")
    if len(entry.box_codes) > load.left or not load.left:
        raise Refused(f"Purchase order item {entry.po_item_id} has {load.left} boxes to ship, fewer than box codes")
    if entry.lot_number.isdecimal() and int(entry.lot_number) in KOMETS_OWN_LOTS:
        raise Refused(f"Lot number {entry.lot_number} is in Komet's own range")
    for code in entry.box_codes:
        if code in in_call or entry.box_codes.count(code) > 1 or company.box_order(code):
            raise Refused(f"Box code {code} already exists")
    codes = entry.box_codes or [company.new_box_code() for _ in range(load.left)]
    lot = entry.lot_number or str(next(company.lots))
    return [
        Box(
            code=code,
            lot=lot,
            position=position,
            awb=entry.awb,
            house_awb=entry.house_awb,
            ship_date=entry.ship_date,
        )
        for position, code in enumerate(codes, start=len(load.boxes) + 1)
    ]


def _ship(company: Company, load: _Load) -> int | None:
    """Write a load into the books; returns the id of the item that a split made."""
    item = load.item
    shipped = replace(item, line=replace(item.line, boxes=len(load.boxes)), boxes=tuple(load.boxes))
    order = company.purchase_orders[load.order.id].latest
    if not load.left:
        company.save_order(with_order_item(order, item.id, shipped))
        return None
    rest = replace(item, line=replace(item.line, boxes=load.left))
    old, new = (shipped, rest) if company.settings.split_new_item_is == "remaining" else (rest, shipped)
    new = replace(new, id=next(company.order_item_ids))
    order = with_order_item(order, item.id, old)
    company.save_order(replace(order, items=(*order.items, new)))
    return new.id


class ChangeFields(Body):
    """One entry of `boxes` ("Change Box Codes")."""

    current_box_code: BoxCode
    new_box_code: BoxCode


class ChangesFields(Body):
    """The request ("Change Box Codes")."""

    boxes: list[ChangeFields] = Field(min_length=1)


def change_codes(company: Company, fields: Json) -> Json:
    """Give boxes other codes ("Change Box Codes"). The results name the new codes only, and failures stay inside."""
    asked = ChangesFields.model_validate(fields)
    results = []
    for change in asked.boxes:
        failure = _change(company, change)
        status = "0" if failure else "1"
        results.append({"newBoxCode": change.new_box_code, "status": status, "message": failure or "success"})
    failed = sum(result["status"] == "0" for result in results)
    message = f"{len(results) - failed} boxes were successfully updated"
    if failed:
        message += f". {failed} boxes could not be updated"
    return {"status": "1", "message": message, "boxes": results}


def _change(company: Company, change: ChangeFields) -> str:
    """Change one code; returns why not, else nothing."""
    order = company.box_order(change.current_box_code)
    if order is None or order.vendor_id != company.seed.vendor.id:
        return "Box code does not exist"
    if change.new_box_code == change.current_box_code:
        return ""
    if company.box_order(change.new_box_code):
        return "Box code already exists"
    items = tuple(
        replace(
            item,
            boxes=tuple(
                replace(box, code=change.new_box_code) if box.code == change.current_box_code else box
                for box in item.boxes
            ),
        )
        for item in order.items
    )
    company.forget_box(change.current_box_code)
    company.save_order(replace(order, items=items))
    return ""


METHODS = {
    "purchase.order.items.awb.add": ("POST", add_to_awb),
    "box.code.change": ("POST", change_codes),
}
