"""The canonical order: our own form of an order, between the two wire forms.

Axerrio's and Komet's field names stop at `clients/`; everything else speaks these nouns. All models are frozen,
so that a plan can never change what it was given. Dates are plain calendar dates and are never converted.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer

#: A JSON object as it goes over the wire or into a JSON column.
Json = dict[str, Any]
#: Money: exact, and written into JSON as text, since a JSON number would pass through a binary float.
Money = Annotated[Decimal, PlainSerializer(str, return_type=str, when_used="json")]


class Canonical(BaseModel):
    """Base of all canonical models: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(StrEnum):
    """Where an order was born."""

    AXERRIO = "axerrio"
    KOMET = "komet"
    OTHER = "other"


class OrderStatus(StrEnum):
    """Status of an order at its origin."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"
    CLOSED = "closed"


class LineStatus(StrEnum):
    """Status of a line at its origin."""

    OPEN = "open"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"


class UnitType(StrEnum):
    """What a price is for. Komet knows these two."""

    STEM = "stem"
    BUNCH = "bunch"


class PurchaseOrderStatus(StrEnum):
    """Status of a Komet purchase order, as we understood it."""

    PENDING = "pending"
    APPROVED = "approved"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"

    @property
    def is_approved(self) -> bool:
        """Procurement said yes: approved, or later than that."""
        return self in (self.APPROVED, self.CONFIRMED, self.SHIPPED)


class Article(Canonical):
    """A product as Axerrio names it."""

    #: Empty where Komet, the order's origin, shows none and no mapping gives one.
    code: str
    description: str


class Component(Canonical):
    """One product of a mixed box."""

    article: Article
    #: Bunches of this product in one box.
    bunches: int
    stems_per_bunch: int
    unit_price: Money | None = None
    unit_cost: Money | None = None


class Line(Canonical):
    """One line of an order: boxes of one product, or of one mixed box."""

    line_key: str
    status: LineStatus
    article: Article
    #: Axerrio packing code; Komet calls it a box type.
    packing_code: str
    boxes: int
    bunches_per_box: int
    stems_per_bunch: int
    unit_type: UnitType
    #: Sales price and vendor's cost of one unit, in the order's currency.
    unit_price: Money | None = None
    unit_cost: Money | None = None
    mark_code: str = ""
    notes: str = ""
    #: The day on which the line leaves the vendor: the line's own, else the order's. None where Komet, its origin,
    #: does not show it.
    departure_date: date | None
    #: Not empty: a mixed box.
    breakdown: tuple[Component, ...] = ()
    #: The Komet prebook item that it came from, for an order born in Komet.
    external_line_id: str | None = None

    @property
    def is_mixed(self) -> bool:
        """A box of several products."""
        return bool(self.breakdown)


class LineReference(Canonical):
    """What Axerrio holds, or shall hold, of one line's place in Komet. Ids and numbers are text."""

    line_key: str
    prebook_id: str | None = None
    prebook_item_id: str | None = None
    purchase_order_item_id: str | None = None
    purchase_order_number: str | None = None

    @property
    def place(self) -> tuple[str | None, str | None, str | None]:
        """What tells two places apart."""
        bought = self.purchase_order_item_id or None
        return self.prebook_item_id, bought, self.purchase_order_number if bought else None


class PurchaseOrderReference(Canonical):
    """A purchase order as Axerrio holds it."""

    id: str
    number: str


class References(Canonical):
    """What Axerrio holds, or shall hold, of an order's place in Komet: its external references."""

    prebook_id: str | None = None
    prebook_number: str | None = None
    purchase_orders: tuple[PurchaseOrderReference, ...] = ()
    lines: tuple[LineReference, ...] = ()

    def lacks(self, told: "References") -> tuple[str, ...]:
        """Keys of the lines of which Axerrio was told, and of which another place or none stands here."""
        held = {each.line_key: each.place for each in self.lines}
        return tuple(each.line_key for each in told.lines if held.get(each.line_key) != each.place)


class Order(Canonical):
    """One version of an order as its origin states it."""

    key: str
    number: str
    version: int
    status: OrderStatus
    origin: Origin
    buyer_code: str
    buyer_name: str
    carrier_code: str | None = None
    location_code: str | None = None
    customer_reference: str = ""
    currency: str | None = None
    comments: str = ""
    #: The day on which the order leaves the vendor. None where Komet, its origin, does not show it.
    departure_date: date | None
    #: The day on which it leaves the customer's dock: the prebook's ship date in Komet.
    truck_date: date
    lines: tuple[Line, ...]
    #: Our id of the order in Axerrio, for one born in Komet.
    external_id: str | None = None
    #: What Axerrio already holds of this order's place in Komet.
    references: References | None = None
    #: UTC; when the order was made at its origin. None where the origin does not say.
    created_at: datetime | None = None

    @property
    def open_lines(self) -> tuple[Line, ...]:
        """Lines that are wanted in the other system."""
        return tuple(line for line in self.lines if line.status is LineStatus.OPEN)


class Tombstone(Canonical):
    """A record of a feed that was deleted at its origin. It may lack a version, so it goes by sequence."""

    key: str


class ApprovalReport(Canonical):
    """What Axerrio is told about procurement. `changed_at` is UTC; an older one than the stored changes nothing."""

    status: PurchaseOrderStatus
    purchase_orders: tuple["PurchaseOrderState", ...]
    #: Prebook items that the references named with a purchase order item when it was told. Axerrio is not sent them.
    linked: tuple[str, ...] = ()


class PurchaseOrderState(Canonical):
    """A purchase order's number and status."""

    number: str
    status: PurchaseOrderStatus


class PrebookComponent(Canonical):
    """One product of a mixed box as Komet shows it. None: Komet did not show that field."""

    product_description: str | None
    product_id: str | None
    #: False when Komet does not know the product.
    mapped: bool
    bunches: int | None
    stems_per_bunch: int | None


class PrebookItem(Canonical):
    """One item of a Komet prebook as last seen. None: Komet did not show that field."""

    item_id: str
    #: Komet's word for the product, None when the answer names none.
    product_description: str | None
    product_id: str | None
    #: False when Komet does not know the product, or one of a mixed box (UNKNOWN, red on its screen).
    mapped: bool
    boxes: int
    box_type: str | None
    bunches_per_box: int | None
    stems_per_bunch: int | None
    unit_type: UnitType | None
    mark_code: str | None
    cost: Money | None = None
    ship_date: date | None = None
    #: Not empty: a mixed box.
    components: tuple[PrebookComponent, ...] = ()

    @property
    def is_mixed(self) -> bool:
        """A box of several products."""
        return bool(self.components)


class Prebook(Canonical):
    """A Komet prebook as last seen. None: Komet did not show that field."""

    prebook_id: str
    number: str
    customer_code: str | None
    customer_name: str | None = None
    #: The customer's own number of the purchase.
    customer_reference: str = ""
    carrier_id: str | None = None
    truck_date: date | None
    comments: str
    #: The mark of ours that its comments end with, if any: ten characters of Crockford base32.
    mark: str | None
    items: tuple[PrebookItem, ...]


class PurchaseOrderItem(Canonical):
    """One item of a Komet purchase order as last seen. None: Komet did not show that field."""

    item_id: str
    #: The prebook item it covers; None for one that stands alone.
    prebook_item_id: str | None
    product_description: str | None
    product_id: str | None = None
    boxes: int
    box_type: str | None = None
    bunches_per_box: int | None = None
    stems_per_bunch: int | None = None
    cost: Money | None = None
    mark_code: str | None = None
    #: Codes of its boxes, once the vendor shipped.
    box_codes: tuple[str, ...] = ()


class PurchaseOrder(Canonical):
    """A Komet purchase order as last seen."""

    purchase_order_id: str
    number: str
    ship_date: date | None
    #: None for a status that we do not know: not approved.
    status: PurchaseOrderStatus | None
    #: Komet's own word for the status.
    status_text: str
    items: tuple[PurchaseOrderItem, ...]


class LabelState(StrEnum):
    """State of a box label in Axerrio."""

    PLANNED = "planned"
    PRINTED = "printed"
    VOID = "void"


class Label(Canonical):
    """The label of one box. A reprint with another code is a new version of the same label."""

    key: str
    version: int
    order_key: str
    line_key: str
    #: From 1 to `box_count` within the line.
    box_index: int
    #: Exactly what the barcode holds; empty while it is not printed.
    box_code: str
    lot_number: str = ""
    state: LabelState
    #: False: a newer version of it cannot be read, so that nobody can tell what it carries now.
    is_readable: bool = True


class ShipmentLine(Canonical):
    """Boxes of one order line in a shipment. Without label ids the codes name the labels."""

    order_key: str
    line_key: str
    boxes: int
    box_codes: tuple[str, ...] = ()
    label_keys: tuple[str, ...] = ()


class Shipment(Canonical):
    """What left the vendor under one air waybill. It can carry lines of many orders."""

    key: str
    version: int
    #: The day on which it leaves the vendor.
    ship_date: date
    #: As written in Axerrio; compare by `awb_digits`. Empty: not known yet.
    awb: str
    house_awb: str = ""
    is_temporary: bool = False
    lines: tuple[ShipmentLine, ...]
    #: False: a newer version of it cannot be read, so that nobody can tell under which air waybill what leaves.
    is_readable: bool = True


class CatalogueArticle(Canonical):
    """An article of Axerrio's catalogue."""

    key: str
    code: str
    description: str


class InboundStatus(StrEnum):
    """What Axerrio said to an order born in Komet."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


class InboundLine(Canonical):
    """What Axerrio said to one line of it."""

    external_line_id: str
    #: Axerrio's; None where it gave none yet.
    line_key: str | None = None
    #: None: not decided yet.
    is_accepted: bool | None
    code: str = ""
    message: str = ""


class InboundOrder(Canonical):
    """Axerrio's answer to an order born in Komet."""

    external_id: str
    #: None while it is pending.
    order_key: str | None = None
    order_number: str | None = None
    status: InboundStatus
    #: What it said, where it is asked again: a person may have taken since what it refused.
    said: InboundStatus | None = None
    lines: tuple[InboundLine, ...] = ()

    @property
    def decision(self) -> InboundStatus:
        """What it says, or said until it says something else."""
        return self.said or self.status


class Carrier(Canonical):
    """A carrier of Komet's list."""

    carrier_id: str
    code: str
    name: str
    active: bool


class BoxType(Canonical):
    """A box type of Komet's list; `fbe` is its full-box equivalent."""

    box_type_id: str
    code: str
    fbe: Money


class Identity(Canonical):
    """Who the Axerrio tenant is. `clock` is its own time, UTC."""

    tenant_id: str
    name: str
    #: IANA name; departure dates are judged in it.
    time_zone: str
    clock: datetime | None


class Unreadable(Canonical):
    """A record that could not be read: put aside with its raw text, while the others of its page go on."""

    sequence: int | None
    key: str | None
    reason: str
    raw: str


def awb_digits(awb: str) -> str:
    """An air waybill number for comparison: without spaces, dashes and dots, in capitals."""
    return "".join(each for each in awb if each.isalnum()).upper()


def codes(mapping: Mapping[str, str], code: str) -> str:
    """The other system's code for `code`; the same code where the mapping names none."""
    return mapping.get(code, code)
