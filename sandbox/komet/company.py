"""One Komet company and its books, as far as one vendor token is concerned."""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from sandbox.komet.records import Goods, OrderItem, Prebook, PrebookItem, PurchaseOrder, Shown
from sandbox.komet.seed import CompanySeed, Product, Settings

T = TypeVar("T")


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
        self.lots = itertools.count(23_423)
        self.deleted_order_items: set[int] = set()
        self._aliases: list[tuple[str | None, str | None, Product]] = []
        self._box_numbers = itertools.count(244_894_880)
        self._order_of_box: dict[str, int] = {}
        self._prebook_of_item: dict[int, int] = {}
        self._order_of_item: dict[int, int] = {}
        self._orders_of_prebook_item: defaultdict[int, set[int]] = defaultdict(set)
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
        """Look a product up by its code or its description, in any case, or by what a person mapped to it."""
        code, description = goods.code.casefold(), goods.description.casefold()
        for product in self.products:
            names = product.code.casefold(), product.description.casefold()
            if (code and code == names[0]) or (description and description == names[1]):
                return replace(goods, product=product)
        for alias_code, alias_description, product in self._aliases:
            if _is_alias(goods, alias_code, alias_description):
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
        for item in order.items:
            self._order_of_item[item.id] = order.id
            self._order_of_box |= {box.code: order.id for box in item.boxes}
            if item.prebook_item_id is not None:
                self._orders_of_prebook_item[item.prebook_item_id].add(order.id)
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
        prebook = self.prebook_of(item_id)
        if prebook is None:
            return None
        return next(((prebook, item) for item in prebook.items if item.id == item_id), None)

    def prebook_of(self, item_id: int) -> Prebook | None:
        """The prebook of an item, also of one that is gone."""
        prebook_id = self._prebook_of_item.get(item_id)
        return None if prebook_id is None else self.prebooks[prebook_id].latest

    def find_order_item(self, item_id: int) -> tuple[PurchaseOrder, OrderItem] | None:
        """A purchase order item by its id, with its purchase order."""
        order_id = self._order_of_item.get(item_id)
        if order_id is None:
            return None
        order = self.purchase_orders[order_id].latest
        return next(((order, item) for item in order.items if item.id == item_id), None)

    def covering(self, prebook_item_id: int) -> list[tuple[PurchaseOrder, OrderItem]]:
        """The live purchase order items that cover a prebook item, with their purchase orders."""
        order_ids = sorted(self._orders_of_prebook_item.get(prebook_item_id, ()))
        orders = [self.purchase_orders[order_id].latest for order_id in order_ids]
        return [
            (order, item)
            for order in orders
            if order.status != "X"
            for item in order.live_items
            if item.prebook_item_id == prebook_item_id
        ]

    def box_order(self, code: str) -> PurchaseOrder | None:
        """The purchase order with the box of this code."""
        order_id = self._order_of_box.get(code)
        return None if order_id is None else self.purchase_orders[order_id].latest

    def forget_box(self, code: str) -> None:
        """Free a box code."""
        self._order_of_box.pop(code, None)

    def new_box_code(self) -> str:
        """A box code of Komet's own making."""
        codes = (f"KS{number}" for number in self._box_numbers)
        return next(code for code in codes if code not in self._order_of_box)

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
        """Add a product and map to it what was or will be sent under this code or description.

        Returns:
            How many prebook lines were mapped.
        """
        self.products.append(product)
        self._aliases.append((code, description, product))
        mapped = 0

        def known(goods: Goods) -> Goods:
            named = not goods.product and _is_alias(goods, code, description)
            return replace(goods, product=product) if named else goods

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


def _is_alias(goods: Goods, code: str | None, description: str | None) -> bool:
    return goods.code == code if code is not None else goods.description == description


def utc(moment: str) -> float:
    """Read `YYYY-MM-DD hh:mm:ss` in GMT.

    Raises:
        ValueError: it is written otherwise.
    """
    return datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
