"""The people in Komet: they approve, map, sell, buy and edit. What no one can do there is not checked here."""

from collections.abc import Callable
from dataclasses import replace

from sandbox.komet.api import Komet
from sandbox.komet.company import Company
from sandbox.komet.deletions import change_prebook_item, remove_order_item, with_order_item
from sandbox.komet.fields import location_of, one_of
from sandbox.komet.prebooks import numbered, save_with
from sandbox.komet.purchase_orders import new_order
from sandbox.komet.purchase_orders import save_with as save_order_with
from sandbox.komet.records import OrderItem, Prebook
from sandbox.komet.seed import Settings
from sandbox.people.komet_orders import (
    Alone,
    Approval,
    AutoApproval,
    Covered,
    ItemEdit,
    Mapping,
    NewOrder,
    NewPrebook,
    NewPrebooks,
    OrderEdit,
    OrderItemEdit,
    PrebookEdit,
)
from sandbox.wire import Json


class KometPeople:
    """Does what people do in Komet."""

    def __init__(self, komet: Komet) -> None:
        self.komet = komet
        self.routes: dict[str, Callable[[Json], Json]] = {
            "approve": self._approve,
            "auto-approve": self._auto_approve,
            "map": self._map,
            "settings": self._settings,
            "prebooks": self._prebooks,
            "purchase-orders": self._purchase_orders,
            "edit": self._edit,
        }

    def _approve(self, asked: Json) -> Json:
        approval = Approval.model_validate(asked)
        company = self.komet.companies[approval.company_token]
        if approval.purchase_order_number is not None:
            order = company.find_order(approval.purchase_order_number)
            if order is None:
                raise KeyError(approval.purchase_order_number)
            orders = [order]
        elif approval.all:
            orders = [po.latest for po in company.purchase_orders.values() if po.latest.status == "PA"]
        else:
            raise ValueError("purchase_order_number or all is needed")
        company.set_status(orders, approval.status)
        return {"purchase_orders": [str(order.number) for order in orders]}

    def _auto_approve(self, asked: Json) -> Json:
        approval = AutoApproval.model_validate(asked)
        after = approval.after_seconds
        return self._settings({"company_token": approval.company_token, "auto_approve_seconds": after})

    def _map(self, asked: Json) -> Json:
        mapping = Mapping.model_validate(asked)
        if (mapping.code is None) == (mapping.description is None):
            raise ValueError("either code or description is needed")
        company = self.komet.companies[mapping.company_token]
        return {"mapped": company.add_product(mapping.product, mapping.code, mapping.description)}

    def _settings(self, asked: Json) -> Json:
        changes = {name: value for name, value in asked.items() if name != "company_token"}
        company = self.komet.companies[str(asked.get("company_token"))]
        company.approve_due()
        company.settings = Settings.model_validate(company.settings.model_dump() | changes)
        return company.settings.model_dump(mode="json")

    def _prebooks(self, asked: Json) -> Json:
        orders = NewPrebooks.model_validate(asked)
        company = self.komet.companies[orders.company_token]
        whole = [(_header(company, new), new) for new in orders.prebooks]
        made = [(header, [item.item(company, new.truck_date) for item in new.items]) for header, new in whole]
        saved = [save_with(company, numbered(company, header), items) for header, items in made]
        return {"prebooks": [_named(prebook) for prebook in saved]}

    def _purchase_orders(self, asked: Json) -> Json:
        new = NewOrder.model_validate(asked)
        company = self.komet.companies[new.company_token]
        carrier = one_of(company.seed.carriers, "Carrier", None, new.carrier_code) if new.carrier_code else None
        items = [_order_item(company, entry) for entry in new.items]
        order = new_order(company, location_of(company, new.location), carrier, new.ship_date)
        order = save_order_with(company, replace(order, status=new.status or order.status), items)
        return {"id": order.id, "number": str(order.number), "item_ids": [item.id for item in order.items]}

    def _edit(self, asked: Json) -> Json:
        edits: dict[str, Callable[[Json], Json]] = {
            "prebook_item_id": self._edit_item,
            "prebook_id": self._edit_prebook,
            "purchase_order_number": self._edit_order,
            "purchase_order_item_id": self._edit_order_item,
        }
        named = [edit for name, edit in edits.items() if asked.get(name) is not None]
        if len(named) != 1:
            raise ValueError(f"one of {', '.join(edits)} is needed")
        return named[0](asked)

    def _edit_item(self, asked: Json) -> Json:
        edit = ItemEdit.model_validate(asked)
        company = self.komet.companies[edit.company_token]
        found = company.find_item(edit.prebook_item_id)
        if found is None:
            raise KeyError(edit.prebook_item_id)
        prebook, item = found
        if edit.delete:
            for order, bought in company.covering(item.id):
                if order.status == "PA" and not bought.boxes:
                    remove_order_item(company, bought.id)
            left = tuple(each for each in prebook.items if each.id != item.id)
            company.save_prebook(replace(prebook, items=left))
        else:
            changed = replace(
                item,
                line=edit.applied(company, item.line),
                vendor_id=item.vendor_id if edit.vendor_id is None else edit.vendor_id,
                vendor_ship_date=edit.vendor_ship_date or item.vendor_ship_date,
            )
            change_prebook_item(company, prebook, changed)
        return {"prebook_id": prebook.id}

    def _edit_prebook(self, asked: Json) -> Json:
        edit = PrebookEdit.model_validate(asked)
        company = self.komet.companies[edit.company_token]
        prebook = company.prebooks[edit.prebook_id].latest
        if edit.merge_into is not None:
            into = company.prebooks[edit.merge_into].latest
            company.save_prebook(replace(prebook, items=()))
            company.save_prebook(replace(into, items=(*into.items, *prebook.items)))
            return {"prebook_id": into.id}
        customers, carriers = company.seed.customers, company.seed.carriers
        prebook = replace(
            prebook,
            comments=prebook.comments if edit.comments is None else edit.comments,
            truck_date=edit.truck_date or prebook.truck_date,
            customer=one_of(customers, "Customer", None, edit.customer_code)
            if edit.customer_code
            else prebook.customer,
            carrier=one_of(carriers, "Carrier", None, edit.carrier_code) if edit.carrier_code else prebook.carrier,
        )
        if edit.cancel:
            items = tuple(replace(item, line=replace(item.line, boxes=0)) for item in prebook.items)
            prebook = replace(prebook, items=items)
        added = [edit.add_item.item(company, prebook.truck_date)] if edit.add_item else []
        before = len(prebook.items)
        prebook = save_with(company, prebook, added)
        if edit.copied:
            live = [item for item in prebook.items if item.line.boxes]
            return _of(save_with(company, numbered(company, replace(prebook, items=())), live))
        return {"prebook_id": prebook.id, "item_ids": [item.id for item in prebook.items[before:]]}

    def _edit_order(self, asked: Json) -> Json:
        edit = OrderEdit.model_validate(asked)
        company = self.komet.companies[edit.company_token]
        order = company.find_order(edit.purchase_order_number)
        if order is None:
            raise KeyError(edit.purchase_order_number)
        order = replace(
            order,
            ship_date=edit.ship_date or order.ship_date,
            status=edit.status or order.status,
            vendor_id=order.vendor_id if edit.vendor_id is None else edit.vendor_id,
        )
        company.save_order(order)
        return {"purchase_order_number": str(order.number)}

    def _edit_order_item(self, asked: Json) -> Json:
        edit = OrderItemEdit.model_validate(asked)
        company = self.komet.companies[edit.company_token]
        found = company.find_order_item(edit.purchase_order_item_id)
        if found is None:
            raise KeyError(edit.purchase_order_item_id)
        order, item = found
        if edit.delete:
            remove_order_item(company, item.id)
        else:
            changed = replace(item, line=edit.applied(company, item.line))
            company.save_order(with_order_item(order, item.id, changed))
        return {"purchase_order_number": str(order.number)}


def _header(company: Company, new: NewPrebook) -> Prebook:
    return Prebook(
        id=0,
        number=0,
        location=location_of(company, new.location),
        customer=one_of(company.seed.customers, "Customer", None, new.customer_code),
        carrier=one_of(company.seed.carriers, "Carrier", None, new.carrier_code),
        truck_date=new.truck_date,
        customer_po=new.customer_po,
        comments=new.comments,
        items=(),
        updated_at=0,
    )


def _named(prebook: Prebook) -> Json:
    return {"id": prebook.id, "number": prebook.number, "item_ids": [item.id for item in prebook.items]}


def _of(prebook: Prebook) -> Json:
    named = _named(prebook)
    return {"prebook_id": named.pop("id")} | named


def _order_item(company: Company, entry: Covered | Alone) -> OrderItem:
    if isinstance(entry, Alone):
        return OrderItem(0, entry.line(company), None)
    found = company.find_item(entry.prebook_item_id)
    if found is None:
        raise KeyError(entry.prebook_item_id)
    line = found[1].line
    return OrderItem(0, replace(line, boxes=entry.boxes or line.boxes), entry.prebook_item_id)
