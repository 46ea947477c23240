"""Prebooks: `prebook.create` and `prebook.details.list`."""

import random
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

from pydantic import Field

from sandbox.komet.company import Company, utc
from sandbox.komet.fields import (
    Body,
    Count,
    Day,
    Flag,
    LineFields,
    Refused,
    Text20,
    Text200,
    carrier_of,
    customer_of,
    line_answer,
    location_of,
    without_empty,
)
from sandbox.komet.records import Line, Prebook, PrebookItem
from sandbox.komet.seed import Named
from sandbox.wire import Json


class ItemFields(LineFields):
    """An entry of `prebookItems` ("Create a Prebook"); the vendor's fields are ignored with a vendor token."""

    boxes: Count
    vendor_ship_date: Day | None = None


class PrebookFields(Body):
    """The header ("Create a Prebook"); `shipDate` is the truck date."""

    customer_id: int | None = None
    customer_code: Text20 = ""
    customer_description: Text200 = ""
    carrier_id: int | None = None
    carrier_code: Text20 = ""
    carrier_description: Text200 = ""
    ship_date: Day
    created_by: int | None = None
    ship_via_id: Flag | None = None
    ship_to_id: int | None = None
    customer_po: Text20 = Field(default="", alias="customerPO")
    is_ecommerce: Flag = 0
    use_existing: Flag = 0
    comments: Text200 = ""
    auto_generate: Flag = Field(default=0, alias="autoGeneratePOsfromPrebooks")
    company_location_code: Text20 = ""
    prebook_items: list[ItemFields] = Field(default_factory=list)


def create(company: Company, fields: Json) -> Json:
    """Make a prebook, or add items to an existing one ("Create a Prebook"). The answer holds no item ids."""
    asked = PrebookFields.model_validate(fields)
    if asked.auto_generate:
        raise Refused("autoGeneratePOsfromPrebooks is not switched on for this company")
    if asked.carrier_code and not asked.carrier_id and not asked.carrier_description:
        raise Refused("carrierDescription is required when carrierId is not given")
    prebook = Prebook(
        id=0,
        number=0,
        location=location_of(company, asked.company_location_code),
        customer=customer_of(company, asked.customer_id, asked.customer_code, asked.customer_description),
        carrier=carrier_of(company, asked.carrier_id, asked.carrier_code),
        truck_date=asked.ship_date,
        customer_po=asked.customer_po,
        comments=asked.comments,
        items=(),
        updated_at=time.time(),
    )
    items = _items(company, asked)
    existing = _same(company, prebook) if asked.use_existing else None
    prebook = save_with(company, existing or numbered(company, prebook), items)
    answer: Json = {"status": "1", "message": "Prebook was successfully created."}
    if not company.settings.create_answers_bare:
        answer |= {"prebookId": prebook.id, "prebookNumber": prebook.number, "purchaseOrderNumbers": ""}
    return answer


def _items(company: Company, asked: PrebookFields) -> list[PrebookItem]:
    """Make the items without their ids; all of them stand or fall together, unless the company is lenient."""
    items = []
    for entry in asked.prebook_items:
        try:
            line = entry.line(company, entry.boxes)
        except Refused:
            if company.settings.partial_create:
                continue
            raise
        items.append(new_item(company, line, entry.vendor_ship_date, asked.ship_date))
    return items


def new_item(company: Company, line: Line, vendor_ship_date: date | None, truck_date: date) -> PrebookItem:
    """An item without its id; one sent without vendor ship date is given one, where the company does that."""
    if vendor_ship_date is None and company.settings.sets_ship_date:
        vendor_ship_date = company.ship_date(truck_date)
    return PrebookItem(0, line, vendor_ship_date, company.seed.vendor.id)


def numbered(company: Company, prebook: Prebook) -> Prebook:
    """A new prebook with its id and number."""
    return replace(prebook, id=next(company.prebook_ids), number=next(company.prebook_numbers))


def save_with(company: Company, prebook: Prebook, items: Iterable[PrebookItem]) -> Prebook:
    """Store a prebook with more items, each of which gets an id."""
    added = (replace(item, id=next(company.prebook_item_ids)) for item in items)
    prebook = replace(prebook, items=(*prebook.items, *added))
    company.save_prebook(prebook)
    return prebook


def _same(company: Company, wanted: Prebook) -> Prebook | None:
    """The prebook of the same location, carrier, truck date, customer and customer PO number."""

    def identity(prebook: Prebook) -> tuple[object, ...]:
        return prebook.location, prebook.carrier, prebook.truck_date, prebook.customer, prebook.customer_po

    books = (shown.latest for shown in company.prebooks.values())
    return next((prebook for prebook in books if identity(prebook) == identity(wanted)), None)


class Filters(Body):
    """The filters ("Get a detailed Prebook list"); texts match in any case."""

    date: Day | None = None
    vendor_ship_date_from: Day | None = None
    vendor_ship_date_to: Day | None = None
    prebook: int | None = None
    updated_as_of: str | None = None
    customer: Text200 = ""
    customer_id: int | None = None
    carrier_name: Text200 = ""
    carrier_id: int | None = None
    customer_po_number: Text20 = Field(default="", alias="customerPONumber")

    @property
    def dated(self) -> bool:
        """A truck date is given, or both ends of a range of vendor ship dates."""
        return self.date is not None or None not in (self.vendor_ship_date_from, self.vendor_ship_date_to)

    def accept(self, prebook: Prebook, updated_since: float) -> bool:
        """Decide by the header."""
        return (
            self.date in (None, prebook.truck_date)
            and self.prebook in (None, prebook.number)
            and prebook.updated_at >= updated_since
            and self.customer_id in (None, prebook.customer.id)
            and self.carrier_id in (None, prebook.carrier.id)
            and self._names(prebook.customer)
            and self.carrier_name.casefold() in prebook.carrier.name.casefold()
            and self.customer_po_number.casefold() in ("", prebook.customer_po.casefold())
        )

    def _names(self, customer: Named) -> bool:
        part = self.customer.casefold()
        return part in customer.code.casefold() or part in customer.name.casefold()


def details_list(company: Company, fields: Json) -> Json:
    """List prebooks as a vendor token sees them ("Get a detailed Prebook list")."""
    asked = Filters.model_validate({name: value for name, value in fields.items() if value != ""})
    if not asked.dated and (company.settings.updated_needs_range or not asked.updated_as_of):
        raise Refused("date is required unless vendorShipDateFrom and vendorShipDateTo are given")
    first, last = asked.vendor_ship_date_from or date.min, asked.vendor_ship_date_to or date.max
    if asked.date is None and asked.dated and last - first > timedelta(days=company.settings.max_range_days):
        raise Refused("The range of vendor ship dates is too long: the maximum range is 6 months")
    try:
        updated_since = utc(asked.updated_as_of) if asked.updated_as_of else 0.0
    except ValueError:
        raise Refused("updatedAsOf must be written YYYY-MM-DD hh:mm:ss") from None
    now, yesterday = time.time(), company.today() - timedelta(days=1)
    prebooks = []
    for shown in company.prebooks.values():
        prebook = shown.seen(now)
        if prebook is None or not asked.accept(prebook, updated_since):
            continue
        details = [
            _detail(company, item)
            for item in prebook.items
            if item.vendor_ship_date is not None
            and max(first, yesterday) <= item.vendor_ship_date <= last
            and item.vendor_id == company.seed.vendor.id
            and item.line.cost is not None
            and (item.line.boxes or company.settings.deleted_items == "zero")
        ]
        if company.settings.shuffles:
            for listed in (details, *(detail.get("breakdowns", []) for detail in details)):
                random.shuffle(listed)
        if details:
            prebooks.append(without_empty(_header(company, prebook) | {"details": details}))
    if not prebooks:
        return {"message": "Orders not found.OK", "status": int(company.settings.empty_status)}
    return {"message": "OK", "status": 1, "prebooks": prebooks}


def _header(company: Company, prebook: Prebook) -> Json:
    return {
        "id": prebook.id,
        "number": prebook.number,
        "locationId": company.seed.locations.index(prebook.location) + 1,
        "locationName": prebook.location,
        "locationCode": prebook.location,
        "customerId": prebook.customer.id,
        "customerCode": prebook.customer.code,
        "customerName": prebook.customer.name,
        "type": "P",
        "truckDate": prebook.truck_date.isoformat(),
        "customerPONumber": prebook.customer_po if company.settings.customer_po_visible else "",
        "carrierId": prebook.carrier.id,
        "carrierName": prebook.carrier.name,
        "comments": prebook.comments if company.settings.comments_visible else "",
    }


def _detail(company: Company, item: PrebookItem) -> Json:
    """An item without sales prices, which a vendor token is not shown."""
    return without_empty(
        {
            "prebookItemId": item.id,
            "vendorId": item.vendor_id,
            "vendorName": company.seed.vendor.name,
            **line_answer(company, item.line, codes=company.settings.product_code_visible),
            "mapped": int(item.line.is_mapped) if company.settings.mapped_flag_shown else None,
            "cost": item.line.cost,
            "vendorShipDate": item.vendor_ship_date.isoformat() if item.vendor_ship_date else None,
        }
    )


METHODS = {"prebook.create": ("POST", create), "prebook.details.list": ("GET", details_list)}
