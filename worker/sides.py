"""The two sides of an order's line: what Axerrio has of it, what Komet has of it, and where they do not agree.

The shapes are those of the public interface: every key is always there, and what is missing is null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.canonical import InboundOrder, InboundStatus, Line, LineStatus, Origin, References, codes
from models.canonical import Order as CanonicalOrder
from models.tables import Order, OrderLine, Prebook, PrebookItem, PurchaseOrderItem
from tasks.material import MATERIAL_OF_ITEM, differences
from tasks.situation import MISSES_FOR_GONE

Json = dict[str, Any]


def is_live(item: PrebookItem | PurchaseOrderItem) -> bool:
    """It holds boxes, and the lists show it."""
    return item.boxes > 0 and item.missing < MISSES_FOR_GONE


def in_axerrio(row: Order, line: OrderLine) -> Json | None:
    """What Axerrio has of a line, with the ids of Komet that it was told; None: nothing."""
    found = _born_there(row, line) if row.origin == Origin.AXERRIO else _sent_there(row, line)
    if found is None:
        return None
    wanted, status, truck_date = found
    references = References.model_validate(row.references_applied) if row.references_applied is not None else None
    key = line.line_key if row.origin == Origin.AXERRIO else line.axerrio_line_key
    told = next((each for each in references.lines if each.line_key == key), None) if references is not None else None
    return {
        "line_key": key,
        "status": status,
        "article_code": wanted.article.code or None,
        "description": wanted.article.description or None,
        "boxes": wanted.boxes,
        "packing": wanted.packing_code or None,
        "departure_date": wanted.departure_date.isoformat() if wanted.departure_date else None,
        "truck_date": truck_date,
        "prebook_item_id": told.prebook_item_id if told is not None else None,
        "purchase_order_item_id": told.purchase_order_item_id if told is not None else None,
        "purchase_order_number": told.purchase_order_number if told is not None else None,
    }


def _born_there(row: Order, line: OrderLine) -> tuple[Line, str, str] | None:
    if line.wanted is None:
        return None
    wanted = Line.model_validate(line.wanted)
    of_order = LineStatus.CANCELLED.value if row.is_deleted else row.wanted["status"]
    status = of_order if of_order in (LineStatus.CANCELLED, LineStatus.SHIPPED, "draft") else wanted.status.value
    return wanted, status, row.truck_date.isoformat()


def _sent_there(row: Order, line: OrderLine) -> tuple[Line, str, str] | None:
    """Of an order born in Komet: Axerrio's own record, else the order that it answered to."""
    is_deleted = row.axerrio_as_of is not None and row.axerrio_holds is None
    content = row.axerrio_holds or row.inbound_applied
    if content is None or is_deleted:
        return None
    order = CanonicalOrder.model_validate(content)
    answer = InboundOrder.model_validate(row.inbound_answer) if row.inbound_answer is not None else None
    said = next((each for each in answer.lines if each.external_line_id == line.line_key), None) if answer else None
    if said is not None and said.is_accepted is False:
        return None
    found = next((each for each in order.lines if each.external_line_id == line.line_key), None)
    if found is None:
        return None
    is_pending = row.axerrio_holds is None and answer is not None and answer.status is InboundStatus.PENDING
    of_order = order.status.value
    status = of_order if of_order in (LineStatus.CANCELLED, LineStatus.SHIPPED) else found.status.value
    return found, "pending" if is_pending else status, order.truck_date.isoformat()


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
        "changes": changes(item, MATERIAL_OF_ITEM),
    }


def changes(item: PrebookItem | PurchaseOrderItem, fields: Sequence[str]) -> list[Json]:
    """What a person changed of an item in Komet since it was first seen."""
    found = differences(item.baseline, item.content, fields)
    return [{"field": each.field, "before": each.before, "after": each.after} for each in found]


def disagreements(line: Json, packings: Mapping[str, str]) -> set[str]:
    """In what the two sides of a line differ, of what both of them show.

    Args:
        line: as the desk shows it.
        packings: Komet's box type for Axerrio's packing, where it is not the same code.

    Returns:
        Of `product`, `boxes`, `packing`, `departure_date`, `truck_date`, `prebook` (the link that Axerrio holds),
        `purchase_order` (its link, or its boxes) and `box_codes` (some stand on no air waybill of ours).
    """
    ours, items, bought = line["axerrio"], line["prebook_items"], line["purchase_order_items"]
    wants = ours["boxes"] if ours is not None and ours["status"] != LineStatus.CANCELLED else 0
    found = set()
    if wants != sum(each["boxes"] for each in items):
        found.add("boxes")
    if bought and wants != sum(each["boxes"] for each in bought):
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
    }
    return found | {name for name, differs in shown.items() if differs}


def _differ(ours: str | None, theirs: Sequence[str | None]) -> bool:
    return ours is not None and any(each not in (None, ours) for each in theirs)


def _is_missing(told: str | None, there: Sequence[Json]) -> bool:
    return told is not None and told not in {each["id"] for each in there}
