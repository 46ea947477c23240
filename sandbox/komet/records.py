"""What is written in a company's books; a change is a new record in place of the old."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Generic, TypeVar

from sandbox.komet.seed import BoxType, Carrier, Named, Product

T = TypeVar("T")


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

    @property
    def is_mapped(self) -> bool:
        """The company knows each product of it."""
        return self.goods.product is not None and all(part.goods.product for part in self.parts)

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
class Box:
    """A box that the vendor has shipped."""

    code: str
    lot: str
    position: int
    awb: str
    house_awb: str
    ship_date: date


@dataclass(frozen=True)
class OrderItem:
    """A line of a purchase order; linked to a prebook item, or standalone. It is shipped once it has boxes."""

    id: int
    line: Line
    prebook_item_id: int | None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class PurchaseOrder:
    """An order to the vendor."""

    id: int
    number: int
    vendor_id: int
    location: str
    carrier: Carrier | None
    ship_date: date
    status: str
    items: tuple[OrderItem, ...]
    created_at: float
    updated_at: float

    @property
    def live_items(self) -> list[OrderItem]:
        """Its items but for those deleted."""
        return [item for item in self.items if item.line.boxes]


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
