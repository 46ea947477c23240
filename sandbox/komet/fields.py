"""Requests and answers in Komet's words."""

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from sandbox.komet.company import Company
from sandbox.komet.records import Goods, Line, Part
from sandbox.komet.seed import Carrier, Named
from sandbox.wire import Json

N = TypeVar("N", bound=Named)

Text3 = Annotated[str, StringConstraints(max_length=3)]
Text10 = Annotated[str, StringConstraints(max_length=10)]
Text20 = Annotated[str, StringConstraints(max_length=20)]
Text25 = Annotated[str, StringConstraints(max_length=25)]
Text200 = Annotated[str, StringConstraints(max_length=200)]
Flag = Annotated[int, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Money = Annotated[Decimal, Field(ge=0, max_digits=10)]


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Komet says no, with this message."""


class UnknownProduct(Refused):
    """The product is UNKNOWN, and this company does not take it."""


def _only_a_date(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError("must be written YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(_only_a_date)]


class Body(BaseModel):
    """A request object: camelCase names, numbers also in quotes, unknown fields ignored ("Getting Started")."""

    model_config = ConfigDict(alias_generator=to_camel, coerce_numbers_to_str=True)


class PartFields(Body):
    """One entry of `breakdowns` ("Create a Prebook"); only a mixed purchase order may be linked here."""

    prebook_item_id: int | None = None
    product_id: int | None = None
    product_code: Text20 = ""
    product_description: Text200 = ""
    bunches: Count
    stems_bunch: Count
    cost: Money | None = None

    def part(self, company: Company) -> Part:
        """Make the part of a mixed box."""
        goods = goods_of(company, self.product_id, self.product_code, self.product_description)
        return Part(goods, self.bunches, self.stems_bunch, rounded(company, self.cost))


class LineFields(Body):
    """An item with its own product ("Create a Prebook"; standalone items of "Create a Purchase Order")."""

    product_id: int | None = None
    product_code: Text20 = ""
    product_description: Text200 = ""
    box_type_id: int | None = None
    box_type_code: Text3 = ""
    unit_type: Literal["Stem", "Bunch"]
    bunches: Count
    stems_bunch: Count
    cost: Money | None = None
    mark_code: Text20 = ""
    notes: Text200 = ""
    breakdowns: list[PartFields] = []

    def line(self, company: Company, boxes: int) -> Line:
        """Make the line, with everything it names looked up."""
        return Line(
            goods=goods_of(company, self.product_id, self.product_code, self.product_description),
            box_type=one_of(company.seed.box_types, "Box type", self.box_type_id, self.box_type_code),
            unit_type=self.unit_type,
            boxes=boxes,
            bunches=self.bunches,
            stems_bunch=self.stems_bunch,
            cost=rounded(company, self.cost),
            mark_code=self.mark_code,
            notes=self.notes,
            parts=tuple(part.part(company) for part in self.breakdowns),
        )


def rounded(company: Company, cost: Decimal | None) -> Decimal | None:
    """A cost at the scale in which the company keeps it (decimal:10,2 in "Create a Prebook")."""
    if cost is None:
        return None
    return cost.quantize(Decimal(1).scaleb(-company.settings.cost_decimals), ROUND_HALF_UP)


def goods_of(company: Company, product_id: int | None, code: str, description: str) -> Goods:
    """Look a product up; one that only its texts name may be UNKNOWN."""
    if product_id:
        for product in company.products:
            if product.id == product_id:
                return Goods(code or product.code, description or product.description, product)
        raise Refused(f"Product {product_id} does not exist")
    if not code and not description:
        raise Refused("A product is required: productId, or productCode and productDescription")
    goods = company.known(Goods(code, description, None))
    if goods.product is None and company.settings.unknown_product == "refused":
        raise UnknownProduct(f"Product {code or description} ({description or code}) does not exist")
    return goods


def customer_of(company: Company, identifier: int | None, code: str, description: str) -> Named:
    """Look a customer up by id, or by code beside which the description is required ("Create a Prebook")."""
    if not identifier and code and not description:
        raise Refused("customerDescription is required when customerId is not given")
    return one_of(company.seed.customers, "Customer", identifier, code)


def carrier_of(company: Company, identifier: int | None, code: str) -> Carrier:
    """Look an active carrier up."""
    carrier = one_of(company.seed.carriers, "Carrier", identifier, code)
    if not carrier.active:
        raise Refused(f"Carrier {carrier.code} is not active")
    return carrier


def location_of(company: Company, code: str) -> str:
    """Check a location; a company with several needs one named."""
    locations = company.seed.locations
    if not code and len(locations) == 1:
        return locations[0]
    if code not in locations:
        raise Refused(f"Location {code} does not exist" if code else "companyLocationCode is required")
    return code


def one_of(candidates: list[N], what: str, identifier: int | None, code: str) -> N:
    """Look one up by its id, else by its code in any case."""
    if not identifier and not code:
        raise Refused(f"{what} is required: its id, or its code and description")
    for candidate in candidates:
        if candidate.id == identifier or (not identifier and candidate.code.casefold() == code.casefold()):
            return candidate
    raise Refused(f"{what} {identifier or code} does not exist")


def line_answer(company: Company, line: Line, *, codes: bool = False) -> Json:
    """The fields of a line that prebook and purchase order lists share ("Get a detailed Prebook list")."""
    return {
        **goods_answer(company, line.goods, codes=codes),
        "boxType": line.box_type.code,
        "totalBoxes": line.boxes,
        "bunches": line.bunches,
        "stemsBunch": line.stems_bunch,
        "unitType": line.unit_type,
        "units": line.units,
        "totalUnits": line.units * line.boxes,
        "markCode": line.mark_code,
        "breakdowns": [
            {
                **goods_answer(company, part.goods, codes=codes),
                "bunches": part.bunches,
                "stemsBunch": part.stems_bunch,
                "cost": part.cost,
            }
            for part in line.parts
        ],
    }


def goods_answer(company: Company, goods: Goods, *, codes: bool = False) -> Json:
    """A product, with its code if asked; an unknown one has no id."""
    product = goods.product
    code = {"productCode": product.code if product else goods.code} if codes else {}
    if product:
        return {"productId": product.id, "productDescription": product.description} | code
    sent = company.settings.unknown_shown_as == "sent"
    return {"productDescription": (goods.description or goods.code) if sent else "UNKNOWN"} | code


def without_empty(fields: Json) -> Json:
    """Leave empty values out of an object, as Komet's lists do; 0 is a value."""
    return {
        name: [without_empty(entry) if isinstance(entry, dict) else entry for entry in value]
        if isinstance(value, list)
        else value
        for name, value in fields.items()
        if value is not None and value not in ("", [])
    }
