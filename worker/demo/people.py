"""What people do in both systems during the day. They see what stands in front of them, and nothing of our ledger.

Each of them follows a script, a generator: it waits by `yield` until what it waits for stands in the books.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from worker.demo.books import Books
from worker.demo.pairs import KOMETS_NAMES, NEW_ARTICLES, Pair
from worker.demo.trade import Prebook, Sale, Trade
from worker.demo.verdict import Expected
from worker.demo.world import World
from worker.services import Child

Json = dict[str, Any]
Script = Iterator[None]
Order = Sale | Prebook

#: When orders come, in seconds: in Axerrio and in Komet, for each truck.
_SALES_AT = (0.0, 5.0, 10.0)
_PREBOOKS_AT = (2.5, 7.5)
#: Days from now to the departure of each truck.
_DEPARTS_IN = (2, 3, 3)
#: Serial number of seven digits.
_FIRST_AIR_WAYBILL = 4_821_001
#: An article waits so long for its mapping, so that people can see it.
_PARKED_SECONDS = 6.0


class People:
    """All of them."""

    def __init__(self, world: World, tell: Callable[[str], None], command: Callable[..., Child]) -> None:
        """Nobody does anything yet.

        Args:
            world: both systems.
            tell: takes what somebody does, in words.
            command: starts `axkomet` with these arguments.
        """
        self._world = world
        self._tell = tell
        self._command = command
        self._books = Books({"companies": [], "tenants": []})
        self._waiting: frozenset[str] = frozenset()
        self._seconds = 0.0
        self.sales: list[Sale] = []
        self.prebooks: list[Prebook] = []
        #: Articles that were mapped on the way.
        self.mapped: list[str] = []
        self._scripts: list[Script] = []
        self._air_waybills = dict.fromkeys((pair.name for pair in world.pairs), _FIRST_AIR_WAYBILL)
        miami, amsterdam = world.pairs
        self._plan(miami, {2: ("MIXROSE",), 3: ("RSTAR50",), 7: ("MIXROSE",)}, self._day_in_miami)
        self._plan(amsterdam, {2: ("MIXROSE",), 3: ("RCAND60",), 10: ("MIXROSE",)}, self._day_in_amsterdam)

    @property
    def expected(self) -> list[Expected]:
        """All that is sold today, as its people want it now."""
        return [sale.expected for sale in self.sales] + [prebook.expected for prebook in self.prebooks]

    @property
    def is_over(self) -> bool:
        """Everybody has done what he had to do today."""
        return not self._scripts

    def act(self, seconds: float, books: Books, waiting: frozenset[str]) -> None:
        """Let everybody do what there is to do now.

        Args:
            seconds: since the day began.
            books: what stands in both systems.
            waiting: numbers of the orders that wait for a mapping.
        """
        self._seconds, self._books, self._waiting = seconds, books, waiting
        self._scripts = [script for script in self._scripts if _goes_on(script)]

    # -- the plan of the day ---------------------------------------------------------------------------------

    def _plan(
        self,
        pair: Pair,
        special: Mapping[int, Sequence[str]],
        rest: Callable[[Sequence[Sale], Sequence[Prebook]], list[Script]],
    ) -> None:
        """Twelve orders of Axerrio and four prebooks of Komet, for three trucks."""
        trade = Trade(pair)
        days = [datetime.now(UTC).date() + timedelta(days=days) for days in _DEPARTS_IN]
        sales = [
            trade.sale(_departure(days, n // 4, special.get(n + 1, ())), *special.get(n + 1, ())) for n in range(12)
        ]
        prebooks = [trade.prebook(days[n // 2], *(("MIXROSE",) if n == 1 else ())) for n in range(4)]
        self.sales += sales
        self.prebooks += prebooks
        for wave, at in enumerate(_SALES_AT):
            self._scripts.append(self._sell(pair, at, sales[4 * wave : 4 * wave + 4]))
        for wave, at in enumerate(_PREBOOKS_AT):
            self._scripts.append(self._sell_in_komet(pair, at, prebooks[2 * wave : 2 * wave + 2]))
        self._scripts += rest(sales, prebooks)

    def _day_in_miami(self, sales: Sequence[Sale], prebooks: Sequence[Prebook]) -> list[Script]:
        changed, split, parked, cancelled = sales[0], sales[3], sales[2], sales[5]
        edited = prebooks[2]
        for each in (changed, cancelled, edited):
            each.is_unsettled = True
        return [
            self._map_on_the_screen(parked, "RSTAR50"),
            self._change_boxes(changed),
            self._cancel(cancelled),
            self._edit_in_komet(edited),
            self._leave([*sales[0:2], *prebooks[0:2]]),
            self._leave([split], boxes_of_each_line=1),
            self._leave([*sales[4:8], split, *prebooks[2:4]], after=split),
            self._leave([parked, *sales[8:12]]),
        ]

    def _day_in_amsterdam(self, sales: Sequence[Sale], prebooks: Sequence[Prebook]) -> list[Script]:
        reprinted, parked, shortened = sales[0], sales[2], sales[4]
        cancelled = prebooks[3]
        for each in (shortened, cancelled):
            each.is_unsettled = True
        return [
            self._map_by_command(parked, "RCAND60"),
            self._remove_line(shortened),
            self._cancel_in_komet(cancelled),
            self._leave([*sales[0:2], sales[3], *prebooks[0:2]]),
            self._reprint(reprinted),
            self._leave([*sales[4:8], *prebooks[2:4]]),
            self._leave([parked, *sales[8:12]]),
        ]

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

    def _change_boxes(self, sale: Sale) -> Script:
        while not self._is_bought(sale):
            yield
        line = sale.record["lines"][0]
        before, line["boxes"] = line["boxes"], line["boxes"] + 3
        self._save(sale)
        self._tell(f"{sale.pair.name}: {sale.number} changed in Axerrio, line 1 from {before} to {line['boxes']} boxes")

    def _remove_line(self, sale: Sale) -> Script:
        while not self._is_bought(sale):
            yield
        gone = sale.record["lines"].pop()
        self._save(sale)
        words = f"line {gone['lineKey']} ({gone['boxes']} {gone['article']['code']}) removed"
        self._tell(f"{sale.pair.name}: {sale.number} changed in Axerrio, {words}")

    def _cancel(self, sale: Sale) -> Script:
        while not self._is_bought(sale):
            yield
        sale.record["status"] = "cancelled"
        self._save(sale)
        self._tell(f"{sale.pair.name}: {sale.number} cancelled in Axerrio")

    def _save(self, sale: Sale) -> None:
        self._world.in_axerrio(sale.pair, "orders", orders=[sale.record])
        sale.is_unsettled = False

    def _edit_in_komet(self, prebook: Prebook) -> Script:
        while not self._is_bought(prebook):
            yield
        item = prebook.body["items"][0]
        before, item["boxes"] = item["boxes"], item["boxes"] + 2
        self._world.in_komet(prebook.pair, "edit", prebook_item_id=prebook.item_ids[0], boxes=item["boxes"])
        prebook.is_unsettled = False
        words = f"{item['product_code']} from {before} to {item['boxes']} boxes"
        self._tell(f"{prebook.pair.name}: prebook {prebook.number} changed in Komet, {words}")

    def _cancel_in_komet(self, prebook: Prebook) -> Script:
        while not self._is_bought(prebook):
            yield
        self._world.in_komet(prebook.pair, "edit", prebook_id=prebook.id, cancel=True)
        prebook.is_cancelled, prebook.is_unsettled = True, False
        self._tell(f"{prebook.pair.name}: prebook {prebook.number} cancelled in Komet")

    def _map_on_the_screen(self, sale: Sale, article: str) -> Script:
        yield from self._parked(sale, article)
        product = {"code": f"K-{article}", "description": NEW_ARTICLES[article][0]}
        self._world.in_komet(sale.pair, "map", code=article, product=product)
        self.mapped.append(article)
        self._tell(f"{sale.pair.name}: {article} mapped on Komet's screen")

    def _map_by_command(self, sale: Sale, article: str) -> Script:
        yield from self._parked(sale, article)
        arguments = ["mapping", "set", sale.pair.name, article, "--product-code", KOMETS_NAMES[article][0]]
        command = self._command(*arguments)
        while command.alive:
            yield
        worked = command.process.poll() == 0
        self.mapped += [article] if worked else []
        words = "" if worked else f", which failed: see {command.log}"
        self._tell(f"{sale.pair.name}: axkomet {' '.join(arguments)}{words}")

    def _parked(self, sale: Sale, article: str) -> Script:
        """The order waits for the mapping of an article, long enough to be seen."""
        while sale.number not in self._waiting:
            yield
        self._tell(f"{sale.pair.name}: {sale.number} waits, Komet does not know article {article}")
        parked_at = self._seconds
        while self._seconds < parked_at + _PARKED_SECONDS:
            yield

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
        pair = orders[0].pair
        while not all(self._is_printed(order) for order in orders) or not (after is None or self._has_left(after)):
            yield
        keys = [str(order["key"]) for each in orders if not each.is_cancelled and (order := self._record(each))]
        serial = self._air_waybills[pair.name]
        self._air_waybills[pair.name] += 1
        awb = f"{pair.airline}-{serial}{serial % 7}"  # its last digit is a check
        boxes = None
        if boxes_of_each_line is not None:
            record = self._record(orders[0]) or {"lines": []}
            boxes = {line["lineKey"]: boxes_of_each_line for line in record["lines"]}
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


def _departure(days: Sequence[date], truck: int, special: Sequence[str]) -> date:
    """What has to be mapped first leaves with the last truck."""
    return days[-1] if set(special) & NEW_ARTICLES.keys() else days[truck]
