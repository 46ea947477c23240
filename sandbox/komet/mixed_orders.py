"""Purchase orders of mixed boxes: `purchase.order.mixed.create`."""

from dataclasses import replace

from pydantic import Field

from sandbox.komet.company import Company
from sandbox.komet.fields import LineFields, PartFields, Refused, UnknownProduct
from sandbox.komet.purchase_orders import OrderFields, boxes_of, linked_item, place
from sandbox.komet.records import OrderItem
from sandbox.wire import Json


class MixedFields(LineFields):
    """An item with what is in its boxes ("Create a Purchase Order with Breakdowns")."""

    prebook_item_id: int | None = None
    breakdowns: list[PartFields] = Field(min_length=1)


def create(company: Company, fields: Json) -> Json:
    """Make or extend a purchase order ("Create a Purchase Order with Breakdowns").

    An item with an UNKNOWN product, be it the outer one or one in the box, is left out without failing.
    """
    asked = OrderFields.model_validate(fields)
    items = []
    for entry in asked.purchase_order_items:
        try:
            item = _item(company, entry)
        except UnknownProduct:
            continue
        if item.line.is_mapped:
            items.append(item)
    return place(company, asked, items)


def _item(company: Company, entry: Json) -> OrderItem:
    """Make an item without its id; linked where the company looks for the link, else standalone."""
    boxes = boxes_of(company, entry)
    mixed = MixedFields.model_validate(entry)
    line = mixed.line(company, boxes)
    links = {mixed.prebook_item_id}
    if company.settings.mixed_link == "breakdown":
        links = {part.prebook_item_id for part in mixed.breakdowns}
    named = [link for link in links if link]
    if not named:
        return OrderItem(0, line, None)
    if len(named) > 1:
        raise Refused("The breakdowns of an item name different prebook items")
    bought = linked_item(company, named[0]).line
    cost = bought.cost if line.cost is None else line.cost
    line = replace(line, cost=cost, mark_code=line.mark_code or bought.mark_code, notes=line.notes or bought.notes)
    return OrderItem(0, line, named[0])


METHODS = {"purchase.order.mixed.create": ("POST", create)}
