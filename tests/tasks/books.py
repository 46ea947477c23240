"""Komet's books in memory: prebooks and purchase orders, lists that lag, and work that is done late.

It keeps the truth that the ledger must never betray: for which line an item was made and by which write. What must
never happen is asserted where it would happen.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from models.canonical import PurchaseOrderStatus
from tasks.plan.facts import AwbPart, BoxChange

Json = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - it says what happened
    """Komet says no, and nothing was done."""


@dataclass
class Item:
    """An item of a prebook."""

    item_id: str
    #: The line it was made for; None: a person made it.
    made_for: str | None
    #: The write that made it.
    write_id: int | None
    #: What was sent of the line.
    sent: Json
    boxes: int
    product: str
    cost: str
    ship_date: date
    mapped: bool = True


@dataclass
class Prebook:
    """A prebook; its mark names the create that made it."""

    prebook_id: str
    mark: int | None
    carrier: str
    items: dict[str, Item] = field(default_factory=dict)


@dataclass
class OrderItem:
    """An item of a purchase order."""

    item_id: str
    prebook_item_id: str
    boxes: int
    #: None: a buyer made it.
    write_id: int | None
    codes: list[str] = field(default_factory=list)


@dataclass
class PurchaseOrder:
    """A purchase order."""

    number: str
    ship_date: date
    status: PurchaseOrderStatus = PurchaseOrderStatus.PENDING
    items: dict[str, OrderItem] = field(default_factory=dict)


@dataclass
class Books:
    """What a list shows at one moment."""

    prebooks: dict[str, Prebook] = field(default_factory=dict)
    orders: dict[str, PurchaseOrder] = field(default_factory=dict)

    def items(self) -> list[Item]:
        return [item for prebook in self.prebooks.values() for item in prebook.items.values()]

    def order_items(self) -> list[tuple[PurchaseOrder, OrderItem]]:
        return [(order, item) for order in self.orders.values() for item in order.items.values()]

    def covering(self, item_id: str) -> list[OrderItem]:
        """Purchase order items that hold boxes of a prebook item and were not cancelled."""
        return [
            item
            for order, item in self.order_items()
            if item.prebook_item_id == item_id and item.boxes and order.status is not PurchaseOrderStatus.CANCELLED
        ]

    def live(self, line_key: str) -> list[Item]:
        """Items that were made for a line and hold boxes."""
        return [item for item in self.items() if item.made_for == line_key and item.boxes]


class Komet:
    """Komet, with the rules of its calls."""

    def __init__(self, *, vanishes: bool, awb_while_pending: bool) -> None:
        self.now = Books()
        self.vanishes = vanishes
        self.awb_while_pending = awb_while_pending
        self.known_products = {"RFREE50", "RFREE60"}
        #: Writes whose work came after they were given up: what they made may stand beside what replaced it.
        self.late: set[int] = set()
        self._late_codes: set[str] = set()
        self._past: list[tuple[int, Books]] = [(0, Books())]
        self._served = {"prebooks": 0, "orders": 0}
        self._ids = 100

    def remember(self, clock: int) -> None:
        """Keep what stands, so that a list can lag."""
        self._past.append((clock, copy.deepcopy(self.now)))

    def list(self, what: str, clock: int, lag: int) -> Books:
        """What a list shows: as it was some time ago, never earlier than it showed before."""
        self._served[what] = moment = max(self._served[what], clock - lag)
        return next(books for at, books in reversed(self._past) if at <= moment)

    def _id(self) -> str:
        self._ids += 1
        return str(self._ids)

    # -- calls -----------------------------------------------------------------------------------------------

    def create_prebook(self, write_id: int, lines: dict[str, Json]) -> str:
        for key in lines:
            doubled = [item for item in self.now.live(key) if item.write_id not in self.late]
            assert not doubled or write_id in self.late, f"line {key} was made twice"
        prebook = Prebook(self._id(), write_id, next(iter(lines.values()))["carrier"])
        for key, sent in lines.items():
            self._put(prebook, key, write_id, sent)
        self.now.prebooks[prebook.prebook_id] = prebook
        return prebook.prebook_id

    def _put(self, prebook: Prebook, line_key: str | None, write_id: int | None, sent: Json) -> Item:
        item = Item(
            self._id(),
            line_key,
            write_id,
            sent,
            sent["boxes"],
            sent["product_code"],
            sent["unit_cost"],
            date.fromisoformat(sent["departure_date"]),
            sent["product_code"] in self.known_products,
        )
        prebook.items[item.item_id] = item
        return item

    def add_by_hand(self, prebook_id: str | None, carrier: str, sent: Json) -> Item:
        """A person makes an item, in a new prebook where none is named."""
        prebook = self.now.prebooks.get(prebook_id or "")
        if prebook is None:
            prebook = Prebook(self._id(), None, carrier)
            self.now.prebooks[prebook.prebook_id] = prebook
        return self._put(prebook, None, None, sent)

    def item(self, item_id: str) -> Item:
        found = next((item for item in self.now.items() if item.item_id == item_id), None)
        if found is None or not found.boxes:
            raise Refusal(f"item {item_id} does not exist")
        return found

    def drop(self, item_id: str) -> None:
        """An item goes, or stays at 0: a company of either kind is met."""
        for prebook in self.now.prebooks.values():
            if item_id in prebook.items:
                prebook.items[item_id].boxes = 0
                if self.vanishes:
                    del prebook.items[item_id]
        for order in self.now.orders.values():
            if item_id in order.items:
                order.items[item_id].boxes = 0
                if self.vanishes:
                    del order.items[item_id]

    def delete_item(self, item_id: str) -> None:
        item = self.item(item_id)
        assert item.made_for is not None, "a person's item was deleted"
        if self.now.covering(item_id):
            raise Refusal(f"item {item_id} has a purchase order")
        self.drop(item_id)

    def create_order(self, write_id: int | None, covers: Iterable[str], day: date, number: str | None) -> str:
        items = [self.item(item_id) for item_id in covers]
        for item in items:
            assert item.mapped or write_id is None, "a purchase order for a product that Komet does not know"
            ours = [each for each in self.now.covering(item.item_id) if each.write_id not in self.late]
            ours = [each for each in ours if each.write_id is not None]
            assert not ours or write_id in self.late or write_id is None, f"item {item.item_id} was ordered twice"
        order = self.now.orders.get(number or "")
        if order is None or order.status is not PurchaseOrderStatus.PENDING:
            order = PurchaseOrder(self._id(), day)
            self.now.orders[order.number] = order
        for item in items:
            id_ = self._id()
            order.items[id_] = OrderItem(id_, item.item_id, item.boxes, write_id)
        return order.number

    def order_item(self, item_id: str) -> tuple[PurchaseOrder, OrderItem]:
        found = next(((o, each) for o, each in self.now.order_items() if each.item_id == item_id and each.boxes), None)
        if found is None:
            raise Refusal(f"purchase order item {item_id} does not exist")
        return found

    def delete_order_item(self, item_id: str) -> None:
        _, item = self.order_item(item_id)
        if item.codes:
            raise Refusal("its boxes have shipped")
        self.drop(item_id)

    def add_awb(self, write_id: int, parts: Sequence[AwbPart]) -> dict[str, str | None]:
        """Item by item: of those that it took, the id of the new item with the rest, or empty; None: it was skipped."""
        said: dict[str, str | None] = {}
        for part in parts:
            there = {code for _, each in self.now.order_items() for code in each.codes}
            doubled = there & set(part.box_codes)
            assert doubled <= self._late_codes or write_id in self.late, f"{doubled} on an air waybill twice"
            said[part.item_id] = None
            try:
                order, item = self.order_item(part.item_id)
            except Refusal:
                continue
            early = order.status is PurchaseOrderStatus.PENDING and self.awb_while_pending
            if doubled or item.codes or len(part.box_codes) > item.boxes or not (order.status.is_approved or early):
                continue
            rest = item.boxes - len(part.box_codes)
            item.boxes, item.codes = len(part.box_codes), [*part.box_codes]
            self._late_codes |= set(part.box_codes) if write_id in self.late else set()
            said[part.item_id] = ""
            if rest:
                id_ = said[part.item_id] = self._id()
                order.items[id_] = OrderItem(id_, item.prebook_item_id, rest, item.write_id)
        return said

    def change_codes(self, changes: Sequence[BoxChange]) -> dict[str, bool]:
        said = {}
        for change in changes:
            found = [each for _, each in self.now.order_items() if change.current in each.codes]
            for each in found:
                each.codes = [change.new if code == change.current else code for code in each.codes]
            said[change.new] = bool(found)
        return said
