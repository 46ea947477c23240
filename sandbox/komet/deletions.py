"""Deletions, one item for each call: `prebook.item.delete` and `purchase.order.item.delete`."""

from dataclasses import replace

from sandbox.komet.company import Company
from sandbox.komet.fields import Body, Refused
from sandbox.komet.records import OrderItem, Prebook, PrebookItem, PurchaseOrder
from sandbox.wire import Json


class PrebookItemName(Body):
    """The item to delete ("Delete an Item from a Prebook"): its prebook's id, not the number, and its own."""

    prebook_id: int
    prebook_item_id: int


class OrderItemName(Body):
    """The item to delete ("Delete an Item from a Purchase Order")."""

    po_item_id: int


def delete_prebook_item(company: Company, fields: Json) -> Json:
    """Set an item to quantity 0, as a vendor token does ("Delete an Item from a Prebook").

    While a purchase order covers the item, only one that is pending lets go of it, and its line goes too.
    """
    asked = PrebookItemName.model_validate(fields)
    found = company.find_item(asked.prebook_item_id)
    if found is None or found[0].id != asked.prebook_id or found[1].vendor_id != company.seed.vendor.id:
        raise Refused(
            f"Prebook item {asked.prebook_item_id} does not exist in prebook {asked.prebook_id} or is not the vendor's"
        )
    prebook, item = found
    if item.line.boxes == 0:
        return _again(company, "success", f"Prebook item {item.id} was already deleted")
    covering = company.covering(item.id)
    for order, bought in covering:
        if order.status != "PA" or bought.boxes:
            raise Refused(f"Prebook item {item.id} is in purchase order {order.number}, which is not pending")
    for _, bought in covering:
        remove_order_item(company, bought.id)
    change_prebook_item(company, prebook, replace(item, line=replace(item.line, boxes=0)))
    return {"status": "1", "message": "success"}


def delete_order_item(company: Company, fields: Json) -> Json:
    """Take an item off its purchase order ("Delete an Item from a Purchase Order")."""
    asked = OrderItemName.model_validate(fields)
    found = company.find_order_item(asked.po_item_id)
    if asked.po_item_id in company.deleted_order_items:
        return _again(company, "OK", f"Purchase order item {asked.po_item_id} was already deleted")
    if found is None or found[0].vendor_id != company.seed.vendor.id:
        raise Refused(f"Purchase order item {asked.po_item_id} does not exist or is not the vendor's")
    order, item = found
    if order.status == "X":
        return _again(company, "OK", f"Purchase order {order.number} is cancelled")
    if item.boxes:
        raise Refused(f"Purchase order item {item.id} was shipped")
    if order.status != "PA" and company.settings.delete_approved == "refused":
        raise Refused(f"Purchase order {order.number} is approved: its items cannot be deleted")
    remove_order_item(company, item.id)
    return {"status": "1", "message": "OK"}


def _again(company: Company, message: str, refusal: str) -> Json:
    if company.settings.repeated_delete == "refused":
        raise Refused(refusal)
    return {"status": "1", "message": message}


def remove_order_item(company: Company, item_id: int) -> None:
    """Take an item off, or leave it at 0; what the emptied purchase order does then is a setting, too."""
    found = company.find_order_item(item_id)
    if found is None:
        raise LookupError(item_id)
    order, item = found
    left = [replace(item, line=replace(item.line, boxes=0))] if company.settings.deleted_order_items == "zero" else []
    order = with_order_item(order, item.id, *left)
    if not order.live_items and company.settings.empty_order == "cancelled":
        order = replace(order, status="X")
    company.deleted_order_items.add(item.id)
    company.save_order(order)


def change_prebook_item(company: Company, prebook: Prebook, *changed: PrebookItem) -> None:
    """Store a prebook with some of its items changed."""
    by_id = {item.id: item for item in changed}
    items = tuple(by_id.get(item.id, item) for item in prebook.items)
    company.save_prebook(replace(prebook, items=items))


def with_order_item(order: PurchaseOrder, item_id: int, *instead: OrderItem) -> PurchaseOrder:
    """The purchase order with other items in the place of one."""
    items = [new for item in order.items for new in (instead if item.id == item_id else (item,))]
    return replace(order, items=tuple(items))


METHODS = {
    "prebook.item.delete": ("POST", delete_prebook_item),
    "purchase.order.item.delete": ("POST", delete_order_item),
}
