"""What stands in one Komet company, as far as one vendor token is concerned."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

T = TypeVar("T")
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
    zero_items_shown: bool = True  # an item at quantity 0 is listed
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


@dataclass(frozen=True)
class Goods:
    """A product as a call named it, and the one the company knows by that name (None: UNKNOWN)."""

    code: str
    description: str
    product: Product | None


@dataclass(frozen=True)
class Part:
    """One product of a mixed box."""

    goods: Goods
    bunches: int
    stems_bunch: int
    cost: Decimal | None


@dataclass(frozen=True)
class Line:
    """What is in the boxes; common to prebook items and purchase order items. Bunches are per box."""

    goods: Goods
    box_type: BoxType
    unit_type: str
    boxes: int
    bunches: int
    stems_bunch: int
    cost: Decimal | None
    mark_code: str
    notes: str
    parts: tuple[Part, ...] = ()

    @property
    def units(self) -> int:
        """Stems or bunches in one box."""
        return self.bunches * self.stems_bunch if self.unit_type == "Stem" else self.bunches

    def mapped(self, known: Callable[[Goods], Goods]) -> "Line":
        """The same line with its products looked up anew."""
        parts = tuple(replace(part, goods=known(part.goods)) for part in self.parts)
        return replace(self, goods=known(self.goods), parts=parts)


@dataclass(frozen=True)
class PrebookItem:
    """A line of a prebook."""

    id: int
    line: Line
    vendor_ship_date: date | None
    vendor_id: int


@dataclass(frozen=True)
class Prebook:
    """An order of a customer."""

    id: int
    number: int
    location: str
    customer: Named
    carrier: Carrier
    truck_date: date
    customer_po: str
    comments: str
    items: tuple[PrebookItem, ...]
    updated_at: float


@dataclass(frozen=True)
class OrderItem:
    """A line of a purchase order; linked to a prebook item, or standalone."""

    id: int
    line: Line
    prebook_item_id: int | None


@dataclass(frozen=True)
class PurchaseOrder:
    """An order to the vendor."""

    id: int
    number: int
    location: str
    carrier: Carrier | None
    ship_date: date
    status: str
    items: tuple[OrderItem, ...]
    created_at: float
    updated_at: float


class Shown(Generic[T]):
    """A record, and the older version that the lists still show while they lag behind."""

    def __init__(self, value: T, visible_at: float) -> None:
        self._versions = [(visible_at, value)]

    @property
    def latest(self) -> T:
        """The record as it stands."""
        return self._versions[-1][1]

    def put(self, value: T, now: float, visible_at: float) -> None:
        """Replace the record; lists show the new version from `visible_at` on."""
        still_shown = max((n for n, (at, _) in enumerate(self._versions) if at <= now), default=0)
        self._versions = [*self._versions[still_shown:], (visible_at, value)]

    def seen(self, now: float) -> T | None:
        """The record as the lists show it."""
        return next((value for at, value in reversed(self._versions) if at <= now), None)


@dataclass
class Company:
    """One company and its books."""

    seed: CompanySeed
    settings: Settings = field(init=False)
    products: list[Product] = field(init=False)
    prebooks: dict[int, Shown[Prebook]] = field(default_factory=dict)
    purchase_orders: dict[int, Shown[PurchaseOrder]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.settings = self.seed.settings
        self.products = list(self.seed.products)
        self.zone = ZoneInfo(self.seed.time_zone)
        self.prebook_ids = itertools.count(991_201)
        self.prebook_numbers = itertools.count(4_343)
        self.prebook_item_ids = itertools.count(881_001)
        self.order_ids = itertools.count(512_001)
        self.order_numbers = itertools.count(70_012)
        self.order_item_ids = itertools.count(7_828)
        self._prebook_of_item: dict[int, int] = {}
        self._pending: set[int] = set()

    def today(self) -> date:
        """The calendar day at the company."""
        return datetime.now(self.zone).date()

    def local_time(self, at: float) -> str:
        """A moment on the company's clock."""
        return datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def ship_date(self, truck_date: date) -> date:
        """The vendor ship date that Komet gives an item."""
        return max(truck_date - timedelta(days=self.settings.transit_days), self.today())

    def known(self, goods: Goods) -> Goods:
        """Look a product up by its code or its description, in any case."""
        code, description = goods.code.casefold(), goods.description.casefold()
        for product in self.products:
            names = product.code.casefold(), product.description.casefold()
            if (code and code == names[0]) or (description and description == names[1]):
                return replace(goods, product=product)
        return goods

    def save_prebook(self, prebook: Prebook) -> None:
        """Store a new or changed prebook."""
        self._save(self.prebooks, prebook.id, replace(prebook, updated_at=time.time()))
        self._prebook_of_item |= {item.id: prebook.id for item in prebook.items}

    def save_order(self, order: PurchaseOrder, at: float | None = None) -> None:
        """Store a new or changed purchase order, as of now or of a moment that has passed."""
        at = time.time() if at is None else at
        self._save(self.purchase_orders, order.id, replace(order, updated_at=at), at)
        if order.status == "PA":
            self._pending.add(order.id)
        else:
            self._pending.discard(order.id)

    def _save(self, books: dict[int, Shown[T]], key: int, value: T, at: float | None = None) -> None:
        now = time.time()
        visible_at = (now if at is None else at) + self.settings.list_lag_seconds
        if shown := books.get(key):
            shown.put(value, now, visible_at)
        else:
            books[key] = Shown(value, visible_at)

    def find_item(self, item_id: int) -> tuple[Prebook, PrebookItem] | None:
        """A prebook item by its id, with its prebook."""
        prebook_id = self._prebook_of_item.get(item_id)
        if prebook_id is None:
            return None
        prebook = self.prebooks[prebook_id].latest
        return next((prebook, item) for item in prebook.items if item.id == item_id)

    def find_order(self, number: str) -> PurchaseOrder | None:
        """A purchase order by its number."""
        return next((po.latest for po in self.purchase_orders.values() if str(po.latest.number) == number), None)

    def set_status(self, orders: Sequence[PurchaseOrder], status: str) -> None:
        """Give purchase orders a status by a person's hand."""
        for order in orders:
            self.save_order(replace(order, status=status))

    def approve_due(self) -> None:
        """Approve the purchase orders whose time has come, where the company approves by itself."""
        after = self.settings.auto_approve_seconds
        if after is None:
            return
        now = time.time()
        for order in [self.purchase_orders[key].latest for key in sorted(self._pending)]:
            if order.created_at + after <= now:
                self.save_order(replace(order, status="A"), order.created_at + after)

    def add_product(self, product: Product, code: str | None, description: str | None) -> int:
        """Add a product and map to it what was sent under this code or description; returns how many lines."""
        self.products.append(product)
        mapped = 0

        def known(goods: Goods) -> Goods:
            named = goods.code == code if code is not None else goods.description == description
            return replace(goods, product=product) if named and not goods.product else goods

        for prebook in [shown.latest for shown in self.prebooks.values()]:
            items = tuple(replace(item, line=item.line.mapped(known)) for item in prebook.items)
            if items != prebook.items:
                mapped += sum(new != old for new, old in zip(items, prebook.items, strict=True))
                self.save_prebook(replace(prebook, items=items))
        for order in [shown.latest for shown in self.purchase_orders.values()]:
            lines = tuple(replace(item, line=item.line.mapped(known)) for item in order.items)
            if lines != order.items:
                self.save_order(replace(order, items=lines))
        return mapped


def utc(moment: str) -> float:
    """Read `YYYY-MM-DD hh:mm:ss` in GMT.

    Raises:
        ValueError: it is written otherwise.
    """
    return datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
