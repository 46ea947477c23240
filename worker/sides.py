"""The two sides of an order's line: what Axerrio has of it, what Komet has of it, and where they do not agree.

The shapes are those of the public interface: every key is always there, and what is missing is null.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from models.canonical import (
    InboundOrder,
    InboundStatus,
    Json,
    Line,
    LineReference,
    LineStatus,
    OrderStatus,
    Origin,
    PurchaseOrderStatus,
    References,
    awb_digits,
    codes,
)
from models.canonical import Label as CanonicalLabel
from models.canonical import Order as CanonicalOrder
from models.canonical import Shipment as CanonicalShipment
from models.tables import Label, Order, OrderLine, Prebook, PrebookItem, PurchaseOrderItem, Shipment
from tasks.material import changes_of
from tasks.plan.facts import MISSES_FOR_GONE, Change
from tasks.plan.labels import Labels, entry_of


def is_live(item: PrebookItem | PurchaseOrderItem) -> bool:
    """It holds boxes, and the lists show it."""
    return item.boxes > 0 and item.missing < MISSES_FOR_GONE


class AxerrioSide:
    """What Axerrio has of an order.

    Args:
        row: of the order.
        labels: rows of its labels, the oldest first.
        shipments: rows of the shipments that carry it.
    """

    def __init__(self, row: Order, labels: Sequence[Label], shipments: Sequence[Shipment]) -> None:
        self._row = row
        self._labels = [CanonicalLabel.model_validate(each.content) for each in labels]
        self._former = {code: each.key for each in labels for code in each.former_codes}
        self._shipments = [_part(CanonicalShipment.model_validate(each.content), row) for each in shipments]
        told = References.model_validate(row.references_applied) if row.references_applied is not None else References()
        self._told = {each.line_key: each for each in told.lines}
        self._record: CanonicalOrder | None = None
        self._answer: InboundOrder | None = None
        if row.origin != Origin.AXERRIO:
            is_deleted = row.axerrio_as_of is not None and row.axerrio_holds is None
            # Its own record, else the order that it answered to.
            content = None if is_deleted else row.axerrio_holds or row.inbound_applied
            self._record = CanonicalOrder.model_validate(content) if content is not None else None
            self._answer = InboundOrder.model_validate(row.inbound_answer) if row.inbound_answer is not None else None

    def line(self, line: OrderLine, wanted: Line | None) -> Json | None:
        """What it has of a line, with the ids of Komet that it was told; None: nothing.

        Args:
            line: of the order.
            wanted: the line as its origin wants it.
        """
        row = self._row
        if row.origin == Origin.AXERRIO:
            key: str | None = line.line_key
            there, truck_date = wanted, row.truck_date
            of_order = OrderStatus.CANCELLED.value if row.is_deleted else row.wanted["status"]
        else:
            key = line.axerrio_line_key
            there, truck_date, of_order = self._of_record(line)
        if there is None:
            return None
        told = self._told.get(key or "", LineReference(line_key=""))
        return {
            "line_key": key,
            "status": of_order if of_order in _SAID_BY_THE_ORDER else there.status.value,
            "article_code": there.article.code or None,
            "description": there.article.description or None,
            "boxes": there.boxes,
            "packing": there.packing_code or None,
            "departure_date": there.departure_date.isoformat() if there.departure_date else None,
            "truck_date": truck_date.isoformat(),
            "prebook_item_id": told.prebook_item_id,
            "purchase_order_item_id": told.purchase_order_item_id,
            "purchase_order_number": told.purchase_order_number,
            **self._boxes(key or ""),
        }

    def _boxes(self, key: str) -> Json:
        """The labels that are printed for a line, and the shipments that carry its boxes."""
        labels = Labels(key, self._labels, self._former)
        parts = [(each, part) for each in self._shipments if (part := entry_of(each, key)) is not None]
        shipments = []
        for shipment, part in parts:
            boxes = labels.boxes(part, [other for each, other in parts if each.key != shipment.key])
            box_codes = part.box_codes if boxes is None else [box.box_code for box in boxes]
            shipments.append(
                {
                    "awb": shipment.awb or None,
                    "ship_date": shipment.ship_date.isoformat(),
                    "boxes": part.boxes,
                    "box_codes": list(box_codes),
                }
            )
        return {"labels": list(labels.codes), "shipments": shipments}

    def _of_record(self, line: OrderLine) -> tuple[Line | None, date, str]:
        """Of an order born in Komet, whose lines go by their prebook items."""
        row, record, answer = self._row, self._record, self._answer
        said = next((each for each in answer.lines if each.external_line_id == line.line_key), None) if answer else None
        if record is None or (said is not None and said.is_accepted is False):
            return None, row.truck_date, ""
        found = next((each for each in record.lines if each.external_line_id == line.line_key), None)
        is_pending = row.axerrio_holds is None and answer is not None and answer.decision is InboundStatus.PENDING
        return found, record.truck_date, _PENDING if is_pending else record.status.value


def _part(shipment: CanonicalShipment, row: Order) -> CanonicalShipment:
    """What it carries of the order."""
    lines = tuple(each for each in shipment.lines if each.order_key == row.axerrio_key)
    return shipment.model_copy(update={"lines": lines})


#: Axerrio has not decided yet whether it takes the order.
_PENDING = "pending"
#: Where the order is one of these, so is each of its lines.
_SAID_BY_THE_ORDER = (OrderStatus.DRAFT, OrderStatus.CANCELLED, OrderStatus.SHIPPED, _PENDING)


def prebook_item(item: PrebookItem, prebook: Prebook) -> Json:
    """A prebook item, as Komet shows it; as it was sent, as long as no list has shown it."""
    seen, sent = item.content or {}, item.sent or {}
    truck_date = (prebook.content or {}).get("truck_date") or prebook.truck_date.isoformat()
    return {
        "id": item.item_id,
        "prebook_id": prebook.prebook_id,
        "prebook_number": prebook.number,
        "article_code": sent.get("article"),
        "product": seen.get("product_description") or sent.get("product_description"),
        "mapped": item.mapped if item.content is not None else None,
        "boxes": item.boxes,
        "packing": seen.get("box_type") or sent.get("box_type"),
        "departure_date": seen.get("ship_date") or sent.get("departure_date"),
        "truck_date": truck_date,
        "changes": changes(changes_of(item)),
    }


def changes(found: Iterable[Change]) -> list[Json]:
    """What a person changed of an item in Komet since it was first seen, as JSON."""
    return [{"field": each.field, "before": each.before, "after": each.after} for each in found]


def disagreements(line: Json, packings: Mapping[str, str]) -> set[str]:
    """In what the two sides of a line differ, of what both of them show.

    Args:
        line: as the desk shows it.
        packings: Komet's box type for Axerrio's packing, where it is not the same code.

    Returns:
        Of `product`, `boxes`, `packing`, `departure_date`, `truck_date`, `prebook` (the link that Axerrio holds),
        `purchase_order` (its link, or its boxes), `awb` (another air waybill, day or number of boxes) and `box_codes`
        (some stand on no air waybill of ours).
    """
    ours, items, bought = line["axerrio"], line["prebook_items"], line["purchase_order_items"]
    wants = ours["boxes"] if ours is not None and ours["status"] != LineStatus.CANCELLED else 0
    found = set()
    if wants != sum(each["boxes"] for each in items):
        found.add("boxes")
    if bought and wants != sum(each["boxes"] for each in bought if each["status"] != PurchaseOrderStatus.CANCELLED):
        found.add("purchase_order")
    if {code for each in bought for code in each["box_codes"]} - {each["box_code"] for each in line["boxes_shipped"]}:
        found.add("box_codes")
    other = [change for each in items for change in each["changes"] if change["field"] == "product_id"]
    if other or any(each["mapped"] is False for each in items):
        found.add("product")
    if ours is None:
        return found
    if any(each["article_code"] not in (None, ours["article_code"]) for each in items):
        found.add("product")
    packing = codes(packings, ours["packing"]) if ours["packing"] else None
    days = [each["departure_date"] for each in items] + [each["ship_date"] for each in bought]
    shown = {
        "packing": _differ(packing, [each["packing"] for each in items]),
        "departure_date": _differ(ours["departure_date"], days),
        "truck_date": _differ(ours["truck_date"], [each["truck_date"] for each in items]),
        "prebook": _is_missing(ours["prebook_item_id"], items),
        "purchase_order": _is_missing(ours["purchase_order_item_id"], bought),
        "awb": bool(line["boxes_shipped"]) and _told(line["boxes_shipped"]) != _leaving(ours["shipments"]),
    }
    return found | {name for name, differs in shown.items() if differs}


def _differ(ours: str | None, theirs: Sequence[str | None]) -> bool:
    return ours is not None and any(each not in (None, ours) for each in theirs)


def _is_missing(told: str | None, there: Sequence[Json]) -> bool:
    return told is not None and told not in {each["id"] for each in there}


def _leaving(shipments: Sequence[Json]) -> Counter[tuple[str, str]]:
    """Boxes by air waybill and day, as Axerrio ships them."""
    boxes: Counter[tuple[str, str]] = Counter()
    for each in shipments:
        boxes[awb_digits(each["awb"] or ""), each["ship_date"]] += each["boxes"]
    return boxes


def _told(boxes: Sequence[Json]) -> Counter[tuple[str, str]]:
    """The same, as Komet was told."""
    return Counter((awb_digits(each["awb"]), each["ship_date"]) for each in boxes)
