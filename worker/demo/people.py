"""What people do in both systems. They see what stands in front of them, and nothing of our ledger.

Each of them follows a script, a generator: it waits by `yield` until what it waits for stands in the books.
"""

from collections.abc import Callable, Iterator, Sequence

from models.canonical import Json
from worker.demo.books import Books
from worker.demo.pairs import Pair
from worker.demo.trade import Prebook, Sale
from worker.demo.verdict import Expected
from worker.demo.world import World

Script = Iterator[None]
Order = Sale | Prebook
#: Whether it is time to do something to an order.
When = Callable[[Order], bool]

#: Serial number of seven digits.
_FIRST_AIR_WAYBILL = 4_821_001


class People:
    """All of them."""

    def __init__(self, world: World, tell: Callable[[str], None]) -> None:
        """Nobody does anything yet.

        Args:
            world: both systems.
            tell: takes what somebody does, in words.
        """
        self._world = world
        self._tell = tell
        self._books = Books({"companies": [], "tenants": []})
        self._seconds = 0.0
        self.sales: list[Sale] = []
        self.prebooks: list[Prebook] = []
        self._scripts: list[Script] = []
        self._air_waybills = dict.fromkeys((pair.name for pair in world.pairs), _FIRST_AIR_WAYBILL)

    @property
    def expected(self) -> list[Expected]:
        """All that is sold, as its people want it now."""
        return [sale.expected for sale in self.sales] + [prebook.expected for prebook in self.prebooks]

    @property
    def is_over(self) -> bool:
        """Everybody has done what he had to do."""
        return not self._scripts

    def act(self, seconds: float, books: Books) -> None:
        """Let everybody do what there is to do now.

        Args:
            seconds: since the day began.
            books: what stands in both systems.
        """
        self._seconds, self._books = seconds, books
        self._scripts = [script for script in self._scripts if _goes_on(script)]

    # -- they sell -------------------------------------------------------------------------------------------

    def _sell(self, pair: Pair, at: float, sales: Sequence[Sale]) -> Script:
        while self._seconds < at:
            yield
        self._world.in_axerrio(pair, "orders", orders=[sale.record for sale in sales])
        self._tell(f"{pair.name}: {len(sales)} orders confirmed in Axerrio")

    def _sell_in_komet(self, pair: Pair, at: float, prebooks: Sequence[Prebook]) -> Script:
        while self._seconds < at:
            yield
        made = self._world.in_komet(pair, "prebooks", prebooks=[prebook.body for prebook in prebooks])
        for prebook, named in zip(prebooks, made["prebooks"], strict=True):
            prebook.id, prebook.number, prebook.item_ids = named["id"], named["number"], named["item_ids"]
        self._tell(f"{pair.name}: {len(prebooks)} prebooks sold in Komet")

    # -- they change their minds -----------------------------------------------------------------------------

    def _wait(self, order: Order, when: When | None) -> Script:
        """Until it is time; usually until all of it is bought."""
        while not (when or self._is_bought)(order):
            yield

    def _change_boxes(self, sale: Sale, when: When | None = None) -> Script:
        yield from self._wait(sale, when)
        line = sale.record["lines"][0]
        before, line["boxes"] = line["boxes"], line["boxes"] + 3
        self._save(sale)
        self._tell(f"{sale.pair.name}: {sale.number} changed in Axerrio, line 1 from {before} to {line['boxes']} boxes")

    def _remove_line(self, sale: Sale, when: When | None = None) -> Script:
        yield from self._wait(sale, when)
        gone = sale.record["lines"].pop()
        self._save(sale)
        words = f"line {gone['lineKey']} ({gone['boxes']} {gone['article']['code']}) removed"
        self._tell(f"{sale.pair.name}: {sale.number} changed in Axerrio, {words}")

    def _cancel(self, sale: Sale, when: When | None = None) -> Script:
        yield from self._wait(sale, when)
        sale.record["status"] = "cancelled"
        self._save(sale)
        self._tell(f"{sale.pair.name}: {sale.number} cancelled in Axerrio")

    def _save(self, sale: Sale) -> None:
        self._world.in_axerrio(sale.pair, "orders", orders=[sale.record])
        sale.is_unsettled = False

    def _edit_in_komet(self, prebook: Prebook, when: When | None = None) -> Script:
        yield from self._wait(prebook, when)
        item = prebook.body["items"][0]
        before, item["boxes"] = item["boxes"], item["boxes"] + 2
        self._world.in_komet(prebook.pair, "edit", prebook_item_id=prebook.item_ids[0], boxes=item["boxes"])
        prebook.is_unsettled = False
        words = f"{item['product_code']} from {before} to {item['boxes']} boxes"
        self._tell(f"{prebook.pair.name}: prebook {prebook.number} changed in Komet, {words}")

    def _cancel_in_komet(self, prebook: Prebook, when: When | None = None) -> Script:
        yield from self._wait(prebook, when)
        self._world.in_komet(prebook.pair, "edit", prebook_id=prebook.id, cancel=True)
        prebook.is_cancelled, prebook.is_unsettled = True, False
        self._tell(f"{prebook.pair.name}: prebook {prebook.number} cancelled in Komet")

    # -- they ship -------------------------------------------------------------------------------------------

    def _leave(
        self, orders: Sequence[Order], *, boxes_of_each_line: int | None = None, after: Sale | None = None
    ) -> Script:
        """The orders leave together, once all labels of all of them are printed.

        Args:
            orders: those that leave.
            boxes_of_each_line: only so many boxes of each line leave.
            after: an order of which a part must have left before.
        """
        while not all(self._is_printed(order) for order in orders) or not (after is None or self._has_left(after)):
            yield
        boxes = None
        if boxes_of_each_line is not None:
            record = self._record(orders[0]) or {"lines": []}
            boxes = {line["lineKey"]: boxes_of_each_line for line in record["lines"]}
        self._ship(orders, boxes)

    def _ship(self, orders: Sequence[Order], boxes: Json | None = None) -> None:
        """All that is printed of these orders leaves; `boxes` says by line how many, where it is not all."""
        pair = orders[0].pair
        keys = [str(order["key"]) for each in orders if not each.is_cancelled and (order := self._record(each))]
        serial = self._air_waybills[pair.name]
        self._air_waybills[pair.name] += 1
        awb = f"{pair.airline}-{serial}{serial % 7}"  # its last digit is a check
        shipment = self._world.in_axerrio(pair, "ship", order_keys=keys, awb=awb, boxes=boxes, with_label_ids=True)
        count = sum(line["boxes"] for line in shipment["lines"])
        what = f"{len(keys)} orders" if len(keys) > 1 else f"a part of {self._number(orders[0])}"
        self._tell(f"{pair.name}: {what} left, {count} boxes on air waybill {awb}")

    def _reprint(self, sale: Sale) -> Script:
        """A label is printed anew after its box has left and Komet knows it."""
        while True:
            labels = self._books.labels(sale.pair.tenant, sale.key, "1")
            label = labels[0] if labels else {"boxCode": ""}
            if label["boxCode"] in self._codes_in_komet(sale):
                break
            yield
        new = self._world.in_axerrio(sale.pair, "reprint", label_id=label["labelId"])["box_code"]
        self._tell(f"{sale.pair.name}: label {label['boxCode']} of {sale.number} printed anew as {new}")

    # -- what they see ---------------------------------------------------------------------------------------

    def _record(self, order: Order) -> Json | None:
        """The order as Axerrio has it."""
        if isinstance(order, Sale):
            return self._books.order(order.pair.tenant, order.key)
        found = self._books.born_in_komet(order.pair.tenant, order.pair.company_code, order.id)
        return found[0] if found else None

    def _number(self, order: Order) -> str:
        return str((self._record(order) or {}).get("number"))

    def _is_bought(self, order: Order) -> bool:
        """Axerrio names a purchase order item for each of its lines."""
        record = self._record(order)
        references = (record or {}).get("external_references")
        if record is None or references is None:
            return False
        named = {line["lineKey"] for line in references["lines"] if line["purchaseOrderItemId"]}
        return named == {line["lineKey"] for line in record["lines"]}

    def _is_printed(self, order: Order) -> bool:
        """Nothing of it is to change, and each of its boxes has a label. What is cancelled is waited for no more."""
        if order.is_unsettled:
            return False
        if order.is_cancelled:
            return True
        record = self._record(order)
        if record is None:
            return False
        lines = [line for line in record["lines"] if line["status"] == "open"]
        counts = [len(self._books.labels(order.pair.tenant, record["key"], line["lineKey"])) for line in lines]
        return counts == [line["boxes"] for line in lines] and sum(counts) == order.boxes

    def _has_left(self, sale: Sale) -> bool:
        return bool(self._books.left(sale.pair.tenant, sale.key, "1"))

    def _codes_in_komet(self, sale: Sale) -> set[str]:
        references = (self._record(sale) or {}).get("external_references") or {"lines": ()}
        items = [int(line["prebookItemId"]) for line in references["lines"]]
        bought = [each for item in items for _, each in self._books.bought(sale.pair.company_code, item)]
        return {box["code"] for each in bought for box in each["shipped_boxes"]}


def _goes_on(script: Script) -> bool:
    """Let a script go on to its next wait; False once it has ended."""
    try:
        next(script)
    except StopIteration:
        return False
    return True
