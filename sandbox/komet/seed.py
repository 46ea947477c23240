"""A company to play: its reference data and how it behaves."""

import itertools
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

_ids = itertools.count(50_001)


def _next_id() -> int:
    return next(_ids)


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(_Seed):
    """A customer or a vendor."""

    id: int = Field(default_factory=_next_id)
    code: str
    name: str


class Carrier(Named):
    """A carrier, outbound and inbound alike."""

    active: bool = True


class BoxType(Named):
    """A box type; `fbe` is its size in full boxes."""

    fbe: Decimal = Decimal(1)


class Product(_Seed):
    """A product that the company knows."""

    id: int = Field(default_factory=_next_id)
    code: str
    description: str


class Settings(_Seed):
    """How this company behaves: documented company settings, and both readings of what Komet leaves open."""

    transit_days: int = Field(default=2, ge=0)  # vendor ship date = truck date minus these days
    sets_ship_date: bool = True  # False: an item has a ship date only when one was sent
    po_initial_status: Literal["PA", "A"] = "PA"
    auto_approve_seconds: float | None = Field(default=None, ge=0)
    create_answers_bare: bool = False  # both creates answer without ids and numbers
    unknown_product: Literal["accepted", "refused"] = "accepted"
    unknown_shown_as: Literal["unknown", "sent"] = "unknown"  # "sent": the sent text, without a product id
    partial_create: bool = False  # True: a bad item is left out instead of refusing the whole prebook
    comments_visible: bool = True
    customer_po_visible: bool = True
    deleted_items: Literal["zero", "gone"] = "zero"  # a prebook item at quantity 0: listed so, or not listed
    repeated_delete: Literal["success", "refused"] = "success"  # of what is deleted already
    shuffles: bool = False  # items of a prebook, and products of a mixed box, come in another order in each list
    deleted_order_items: Literal["gone", "zero"] = "gone"  # a deleted purchase order item, in the list
    empty_order: Literal["kept", "cancelled"] = "kept"  # a purchase order whose last item was deleted
    delete_approved: Literal["allowed", "refused"] = "allowed"  # items of approved and confirmed purchase orders
    delete_style: Literal["json", "query"] = "json"  # "query": both deletes read the URL of a POST without a body
    mixed_link: Literal["item", "breakdown"] = "item"  # where prebookItemId is read from in mixed purchase orders
    awb_while_pending: Literal["allowed", "refused"] = "allowed"
    awb_skips: Literal["silently", "entry"] = "silently"  # UNKNOWN products: no result entry, or one with status 0
    split_new_item_is: Literal["remaining", "shipped"] = "remaining"  # which boxes the item made by a split holds
    split_named: bool = True  # the answer names newPOItemId
    max_box_codes: int | None = Field(default=None, ge=1)  # in one entry
    shipped_status: bool = True  # a purchase order all of whose items are shipped shows S
    updated_needs_range: bool = True  # False: updatedAsOf alone is enough for a prebook list
    product_code_visible: bool = False  # productCode in the prebook list
    mapped_flag_shown: bool = False  # mapped 0 or 1 on each item of the prebook list
    cost_factor: Decimal = Field(default=Decimal(1), gt=0)  # vendor's currency into the company's, when a PO is made
    empty_status: Literal["0", "1"] = "1"  # status beside "Orders not found.OK"
    po_boxes_field: str = "boxes"  # name of the quantity on purchase order items
    cost_decimals: int = Field(default=2, ge=0)
    max_range_days: int = Field(default=184, ge=1)
    list_lag_seconds: float = Field(default=0, ge=0)
    rights: frozenset[str] | None = None  # None: all methods
    right_failure: Literal["body", "http403"] = "body"
    token_valid: bool = True
    auth_failure: Literal["body", "http401"] = "body"
    daily_limit: int | None = Field(default=None, ge=0)  # requests since seeding
    limit_failure: Literal["body", "http429"] = "body"


def _carriers() -> list[Carrier]:
    return [Carrier(id=1878, code="ARM", name="Armellini"), Carrier(id=1879, code="PRIME", name="Prime Floral")]


def _box_types() -> list[BoxType]:
    sizes = {"FB": "1", "HB": "0.5", "QB": "0.25", "EB": "0.125"}
    return [BoxType(id=1056 + n, code=code, name=code, fbe=Decimal(sizes[code])) for n, code in enumerate(sizes)]


def _products() -> list[Product]:
    names = {"RFREE50": "Rose Freedom 50 cm", "RMOND50": "Rose Mondial 50 cm", "MIXROSE": "Mixed roses 50 cm"}
    return [Product(id=7001 + n, code=code, description=name) for n, (code, name) in enumerate(names.items())]


class CompanySeed(_Seed):
    """A company to play; all but the token has a default."""

    token: str = Field(min_length=1, max_length=50)
    company_code: str = "MIA"
    time_zone: str = "America/New_York"
    vendor: Named = Named(id=201, code="FARM", name="Farm One")
    customers: list[Named] = [Named(id=1001, code="C100", name="Miami Flowers Inc")]
    carriers: list[Carrier] = Field(default_factory=_carriers)
    box_types: list[BoxType] = Field(default_factory=_box_types)
    products: list[Product] = Field(default_factory=_products)
    locations: list[str] = ["MIA"]
    settings: Settings = Settings()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value
