"""What people in Komet can be told to do, and the lines that they order."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field

from sandbox.komet.company import Company
from sandbox.komet.fields import one_of, rounded
from sandbox.komet.prebooks import new_item
from sandbox.komet.records import Goods, Line, Part, PrebookItem
from sandbox.komet.seed import Product
from sandbox.people.orders import Order

Status = Literal["PA", "A", "CF", "X"]


class Approval(Order):
    """Purchase orders to which procurement gives a status: one by its number, or all that are pending."""

    company_token: str
    purchase_order_number: str | None = None
    status: Status = "A"
    all: bool = False


class AutoApproval(Order):
    """Approve purchase orders by themselves so long after their creation; null switches it off."""

    company_token: str
    after_seconds: float | None = Field(ge=0)


class Mapping(Order):
    """A person maps what was sent under this code or description to a product."""

    company_token: str
    code: str | None = None
    description: str | None = None
    product: Product


class NewPart(Order):
    """A product in a mixed box."""

    product_code: str = ""
    product_description: str = ""
    bunches: int = Field(ge=1)
    stems_bunch: int = Field(ge=1)
    cost: Decimal | None = None


class NewLine(Order):
    """What a person orders; the product may be one that the company does not know."""

    product_code: str = ""
    product_description: str = ""
    box_type_code: str = "HB"
    unit_type: Literal["Stem", "Bunch"] = "Stem"
    boxes: int = Field(ge=0)
    bunches: int = Field(ge=1)
    stems_bunch: int = Field(ge=1)
    cost: Decimal | None
    mark_code: str = ""
    notes: str = ""
    breakdowns: list[NewPart] = Field(default_factory=list)

    def line(self, company: Company) -> Line:
        """Make the line."""
        return Line(
            goods=goods(company, self.product_code, self.product_description),
            box_type=one_of(company.seed.box_types, "Box type", None, self.box_type_code),
            unit_type=self.unit_type,
            boxes=self.boxes,
            bunches=self.bunches,
            stems_bunch=self.stems_bunch,
            cost=rounded(company, self.cost),
            mark_code=self.mark_code,
            notes=self.notes,
            parts=tuple(
                Part(
                    goods(company, part.product_code, part.product_description),
                    part.bunches,
                    part.stems_bunch,
                    rounded(company, part.cost),
                )
                for part in self.breakdowns
            ),
        )


class NewItem(NewLine):
    """An item of a prebook."""

    vendor_ship_date: date | None = None

    def item(self, company: Company, truck_date: date) -> PrebookItem:
        """Make the item without its id."""
        return new_item(company, self.line(company), self.vendor_ship_date, truck_date)


class NewPrebook(Order):
    """A prebook that a person makes for our vendor."""

    customer_code: str
    carrier_code: str
    truck_date: date
    comments: str = ""
    customer_po: str = ""
    location: str = ""
    items: list[NewItem]


class NewPrebooks(Order):
    """Prebooks to make."""

    company_token: str
    prebooks: list[NewPrebook]


class Covered(Order):
    """A prebook item that a buyer covers; without a number of boxes, all of them."""

    prebook_item_id: int
    boxes: int | None = Field(default=None, ge=1)


class Alone(NewLine):
    """An item of a purchase order that covers no prebook item."""

    prebook_item_id: None = None


class NewOrder(Order):
    """A purchase order that a buyer makes himself."""

    company_token: str
    ship_date: date
    items: list[Covered | Alone]
    status: Status | None = None
    carrier_code: str = ""
    location: str = ""


class _Edit(Order):
    company_token: str


class LineEdit(_Edit):
    """A person's hand on a line, be it of a prebook or of a purchase order."""

    boxes: int | None = Field(default=None, ge=0)
    cost: Decimal | None = None
    product_code: str | None = None
    product_description: str | None = None
    mark_code: str | None = None
    delete: bool = False

    def applied(self, company: Company, line: Line) -> Line:
        """The line after the edit."""
        if self.boxes is not None:
            line = replace(line, boxes=self.boxes)
        if self.cost is not None:
            line = replace(line, cost=rounded(company, self.cost))
        if self.product_code is not None or self.product_description is not None:
            line = replace(line, goods=goods(company, self.product_code or "", self.product_description or ""))
        if self.mark_code is not None:
            line = replace(line, mark_code=self.mark_code)
        return line


class ItemEdit(LineEdit):
    """A person's hand on a prebook item; deleted by a person it is gone, and from pending purchase orders, too."""

    prebook_item_id: int
    vendor_id: int | None = None
    vendor_ship_date: date | None = None


class OrderItemEdit(LineEdit):
    """A person's hand on a purchase order item."""

    purchase_order_item_id: int


class PrebookEdit(_Edit):
    """A person's hand on a prebook; a copy has its comments and its live items; one merged gives its items away."""

    prebook_id: int
    comments: str | None = None
    truck_date: date | None = None
    customer_code: str | None = None
    carrier_code: str | None = None
    cancel: bool = False
    add_item: NewItem | None = None
    copied: bool = Field(default=False, alias="copy")
    #: Id of the prebook that takes its items.
    merge_into: int | None = None


class OrderEdit(_Edit):
    """A person's hand on a purchase order."""

    purchase_order_number: str
    ship_date: date | None = None
    status: Status | None = None
    vendor_id: int | None = None


def goods(company: Company, code: str, description: str) -> Goods:
    """A product by its texts, known or not."""
    if not code and not description:
        raise ValueError("product_code or product_description is needed")
    return company.known(Goods(code, description, None))
