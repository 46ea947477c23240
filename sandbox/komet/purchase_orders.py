"""Purchase orders: `purchase.order.create` and `purchase.order.list`."""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from pydantic import Field, TypeAdapter, model_validator

from sandbox.komet.company import Company
from sandbox.komet.fields import (
    Body,
    Count,
    Day,
    LineFields,
    Money,
    Refused,
    Text10,
    Text20,
    Text200,
    carrier_of,
    line_answer,
    location_of,
    rounded,
    without_empty,
)
from sandbox.komet.records import Box, Line, OrderItem, PrebookItem, PurchaseOrder
from sandbox.komet.seed import Carrier
from sandbox.wire import Json

STATUS_WORDS = {
    "PA": "Pending Approval",
    "A": "Approved",
    "CF": "Confirmed by Farm",
    "S": "Shipped",
    "X": "Cancelled",
}
LINE_STATUS = {"PA": "P", "A": "P", "CF": "C", "X": "X"}
BOX_STATUS = {"statusId": 2, "statusName": "Shipped"}


class LinkedFields(Body):
    """An item that names its prebook item ("Create a Purchase Order")."""

    prebook_item_id: int
    cost: Money | None = None
    mark_code: Text20 = ""
    notes: Text200 = ""


class OrderFields(Body):
    """The header ("Create a Purchase Order"); one vendor ship date for each purchase order."""

    ship_date: Day
    company_location_code: Text10 = ""
    carrier_id: int | None = None
    carrier_code: Text20 = ""
    purchase_order_number: Text10 = ""
    purchase_order_items: list[Json] = Field(min_length=1)


_boxes = TypeAdapter(Count)


def create(company: Company, fields: Json) -> Json:
    """Make a purchase order, or add items to an existing one ("Create a Purchase Order")."""
    asked = OrderFields.model_validate(fields)
    return place(company, asked, [_item(company, entry) for entry in asked.purchase_order_items])


def place(company: Company, asked: OrderFields, items: list[OrderItem]) -> Json:
    """Put items without ids on the purchase order that the header asks for; without any item none is made."""
    location = location_of(company, asked.company_location_code)
    carrier = None
    if asked.carrier_id or asked.carrier_code:
        carrier = carrier_of(company, asked.carrier_id, asked.carrier_code)
    order = _existing(company, asked) if asked.purchase_order_number else None
    answer: Json = {"status": "1", "message": "Purchase Order was successfully created."}
    if not items and order is None:
        return answer
    order = save_with(company, order or new_order(company, location, carrier, asked.ship_date), items)
    if not company.settings.create_answers_bare:
        answer |= {"purchaseOrderId": order.id, "purchaseOrderNumber": str(order.number)}
    return answer


def new_order(company: Company, location: str, carrier: Carrier | None, ship_date: date) -> PurchaseOrder:
    """A purchase order with its id and number, in the company's first status."""
    now = time.time()
    return PurchaseOrder(
        id=next(company.order_ids),
        number=next(company.order_numbers),
        vendor_id=company.seed.vendor.id,
        location=location,
        carrier=carrier,
        ship_date=ship_date,
        status=company.settings.po_initial_status,
        items=(),
        created_at=now,
        updated_at=now,
    )


def save_with(company: Company, order: PurchaseOrder, items: Iterable[OrderItem]) -> PurchaseOrder:
    """Store a purchase order with more items; each gets an id, and its costs in the company's currency."""
    added = (replace(item, id=next(company.order_item_ids), line=_converted(company, item.line)) for item in items)
    order = replace(order, items=(*order.items, *added))
    company.save_order(order)
    return order


def _converted(company: Company, line: Line) -> Line:
    """The costs at the rate of the moment in which the purchase order is made ("Create a Purchase Order")."""
    factor = company.settings.cost_factor
    parts = tuple(
        replace(part, cost=None if part.cost is None else rounded(company, part.cost * factor)) for part in line.parts
    )
    return replace(line, cost=None if line.cost is None else rounded(company, line.cost * factor), parts=parts)


def _existing(company: Company, asked: OrderFields) -> PurchaseOrder:
    order = company.find_order(asked.purchase_order_number)
    if order is None or order.vendor_id != company.seed.vendor.id:
        raise Refused(f"Purchase order {asked.purchase_order_number} does not exist")
    if order.status == "X":
        raise Refused(f"Purchase order {order.number} is cancelled")
    if order.ship_date != asked.ship_date:
        raise Refused(f"Purchase order {order.number} has another ship date: {order.ship_date}")
    return order


def _item(company: Company, entry: Json) -> OrderItem:
    """Make an item without its id. More boxes than the prebook item has are taken."""
    boxes = boxes_of(company, entry)
    if not entry.get("prebookItemId"):
        line = LineFields.model_validate(entry).line(company, boxes)
        if line.parts:
            raise Refused("A mixed box needs the method for purchase orders with breakdowns")
        return OrderItem(0, line, None)
    linked = LinkedFields.model_validate(entry)
    line = linked_item(company, linked.prebook_item_id).line
    if line.parts:
        raise Refused(f"Prebook item {linked.prebook_item_id} is a mixed box and needs its breakdowns")
    line = replace(
        line,
        boxes=boxes,
        cost=line.cost if linked.cost is None else rounded(company, linked.cost),
        mark_code=linked.mark_code or line.mark_code,
        notes=linked.notes or line.notes,
    )
    return OrderItem(0, line, linked.prebook_item_id)


def boxes_of(company: Company, entry: Json) -> int:
    """The quantity of an item, by the name that the company's setting gives it."""
    name = company.settings.po_boxes_field
    if entry.get(name) is None:
        raise Refused(f"{name} is required on each item")
    return _boxes.validate_python(entry[name])


def linked_item(company: Company, prebook_item_id: int) -> PrebookItem:
    """The prebook item that a purchase order item names."""
    found = company.find_item(prebook_item_id)
    if found is None or found[1].vendor_id != company.seed.vendor.id:
        raise Refused(f"Prebook item {prebook_item_id} does not exist or is not the vendor's")
    if found[1].line.boxes == 0:
        raise Refused(f"Prebook item {prebook_item_id} was deleted")
    return found[1]


def status_of(company: Company, order: PurchaseOrder) -> str:
    """The status that a purchase order shows: S once all of it is shipped."""
    live = order.live_items
    shipped = company.settings.shipped_status and live and all(item.boxes for item in live)
    return "S" if shipped and order.status != "X" else order.status


def line_status_of(order: PurchaseOrder, item: OrderItem) -> str:
    """The status that an item shows."""
    return "S" if item.boxes else LINE_STATUS[order.status]


class Filters(Body):
    """The filters ("Get a list of Purchase Orders"); numbers may be several with commas."""

    date: Day | None = None
    number: str = ""
    prebook: Text10 = ""
    status: Text20 = ""
    purchase_order_item_ids: Text200 = ""
    customer_id: int | None = None

    @model_validator(mode="after")
    def _dated(self) -> "Filters":
        if self.date is None and not self.number:
            raise ValueError("date is required unless number is given")
        return self

    def accept(self, order: PurchaseOrder, shown_status: str) -> bool:
        """Decide by the header."""
        status = self.status.casefold()
        return (
            self.date in (None, order.ship_date)
            and (not self.number or str(order.number) in _split(self.number))
            and (not status or status == STATUS_WORDS[shown_status].casefold())
        )


def _split(texts: str) -> list[str]:
    return [text.strip() for text in texts.split(",")]


def order_list(company: Company, fields: Json) -> Json:
    """List purchase orders ("Get a list of Purchase Orders"). A prebook or item filter keeps whole orders."""
    asked = Filters.model_validate({name: value for name, value in fields.items() if value != ""})
    item_ids = set(_split(asked.purchase_order_item_ids)) if asked.purchase_order_item_ids else None
    now = time.time()
    orders = []
    for shown in company.purchase_orders.values():
        order = shown.seen(now)
        if order is None or order.vendor_id != company.seed.vendor.id:
            continue
        if not asked.accept(order, status_of(company, order)):
            continue
        details = [_detail(company, order, item) for item in order.items]
        if asked.prebook and not any(str(detail["prebook"]) == asked.prebook for detail in details):
            continue
        if asked.customer_id and not any(detail["customerId"] == asked.customer_id for detail in details):
            continue
        if item_ids is not None and not any(str(detail["poItemId"]) in item_ids for detail in details):
            continue
        orders.append(without_empty(_header(company, order) | {"details": details}))
    if not orders:
        return {"status": company.settings.empty_status, "message": "Orders not found.OK"}
    return {"status": "1", "message": "OK", "purchaseOrders": orders}


def _header(company: Company, order: PurchaseOrder) -> Json:
    return {
        "id": order.id,
        "number": order.number,
        "vendorId": company.seed.vendor.id,
        "vendorName": company.seed.vendor.name,
        "shipDate": order.ship_date.isoformat(),
        "status": status_of(company, order),
        "totalBoxes": sum(item.line.boxes for item in order.items),
        "totalCost": _total(item.line for item in order.items),
        "locationId": company.seed.locations.index(order.location) + 1,
        "locationName": order.location,
        "createdOn": company.local_time(order.created_at),
        "updatedOn": company.local_time(order.updated_at),
    }


def _total(lines: Iterable[Line]) -> object:
    return sum(line.cost * line.units * line.boxes for line in lines if line.cost is not None)


def _detail(company: Company, order: PurchaseOrder, item: OrderItem) -> Json:
    prebook = company.prebook_of(item.prebook_item_id) if item.prebook_item_id else None
    return {
        "poItemId": item.id,
        "prebookItemId": item.prebook_item_id,
        "prebook": prebook.number if prebook else None,
        "prebookTruckDate": prebook.truck_date.isoformat() if prebook else None,
        "orderType": "P" if prebook else None,
        **line_answer(company, item.line),
        "unitCost": item.line.cost,
        "totalCost": _total([item.line]),
        "quantityConfirmed": item.line.boxes if order.status == "CF" else 0,
        "lineItemStatus": line_status_of(order, item),
        "notes": item.line.notes,
        "customerId": prebook.customer.id if prebook else None,
        "customerName": prebook.customer.name if prebook else None,
        "carrierId": order.carrier.id if order.carrier else None,
        "carrierName": order.carrier.name if order.carrier else None,
        "boxes": [_box(box) for box in item.boxes],
    }


def _box(box: Box) -> Json:
    """A shipped box; neither its air waybill nor its ship date is shown."""
    return {"boxCode": box.code, "lotNumber": box.lot, "position": box.position, **BOX_STATUS}


METHODS = {"purchase.order.create": ("POST", create), "purchase.order.list": ("GET", order_list)}
