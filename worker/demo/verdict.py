"""What became of the orders, judged from what stands in the two simulated systems.

The ledger is not asked: it could only say what it believes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from models.canonical import Json
from worker.demo.books import Books, Goods

#: A purchase order is approved, or confirmed, or all of it has shipped.
_APPROVED = ("A", "CF", "S")


@dataclass(frozen=True)
class Expected:
    """An order as its people want it, and where it belongs."""

    origin: Literal["axerrio", "komet"]
    company_code: str
    tenant: str
    #: Of the Axerrio order, or the id of the Komet prebook.
    key: str
    number: str
    #: By Axerrio's line key, or by the id of the prebook item.
    lines: Mapping[str, Goods]
    is_cancelled: bool = False

    @property
    def name(self) -> str:
        """As people name it."""
        return self.number if self.origin == "axerrio" else f"prebook {self.number}"


@dataclass(frozen=True)
class Verdict:
    """What became of the orders, as both simulated systems have it."""

    #: By origin.
    orders: Mapping[Literal["axerrio", "komet"], int]
    #: Whole in both systems, and each names the other's record, line by line.
    linked: int
    #: Procurement approved, and Axerrio holds that.
    approved: int
    #: Every box of them is on its air waybill in Komet, with its label's code.
    shipped: int
    boxes: int
    air_waybills: int
    #: Nothing of them stands any more.
    cancelled: int
    #: What stands more than once, or that nobody wants: order or record, and why.
    doubled: Mapping[str, str]
    #: What did not get there whole.
    lost: Mapping[str, str]
    #: Names of those that are only lost because one side does not name the other's record.
    one_sided: frozenset[str] = frozenset()

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing doubled."""
        return not self.doubled and not self.lost


def judge(dump: Json, expected_orders: Iterable[Expected]) -> Verdict:
    """Judge what stands in both systems; the ledger is not asked.

    Args:
        dump: what the sandbox's control interface says of both.
        expected_orders: all that were sold, as their people want them now.
    """
    books = Books(dump)
    accounts = [_Account(books, each) for each in expected_orders]
    doubled: dict[str, str] = {}
    lost: dict[str, str] = {}
    one_sided: set[str] = set()
    counts: Counter[str] = Counter()
    for account in accounts:
        name = account.order.name
        for surplus in account.surplus():
            doubled.setdefault(name, surplus)
        if account.order.is_cancelled:
            counts["cancelled"] += name not in doubled
            continue
        steps = {"linked": account.unlinked, "approved": account.unapproved, "shipped": account.unshipped}
        for step, find in steps.items():
            trouble = next(find(), None)
            counts[step] += trouble is None
            if trouble is not None:
                lost.setdefault(name, trouble)
        if name in lost and next(account.missing(), None) is None and next(account.unlinked(), None) is not None:
            one_sided.add(name)
    doubled |= _of_nobody(books, accounts)
    boxes = [box for account in accounts for box in account.boxes_in_komet]
    origins = Counter(account.order.origin for account in accounts)
    return Verdict(
        orders=dict(origins),
        linked=counts["linked"],
        approved=counts["approved"],
        shipped=counts["shipped"],
        boxes=len(boxes),
        air_waybills=len({box["awb"] for box in boxes}),
        cancelled=counts["cancelled"],
        doubled=doubled,
        lost=lost,
        one_sided=frozenset(one_sided),
    )


def _of_nobody(books: Books, accounts: Sequence["_Account"]) -> dict[str, str]:
    """Records that belong to no order, and box codes that stand twice."""
    found: dict[str, str] = {}
    claimed = {key for account in accounts for key in account.claimed}
    for code, prebook in books.prebooks():
        if (code, prebook["id"]) not in claimed:
            found[f"prebook {prebook['number']} {code}"] = "it names no order"
    items = {(code, item["id"]) for code, prebook in books.prebooks() for item in prebook["items"] if item["boxes"]}
    for code, order in books.purchase_orders():
        if any(item["boxes"] and (code, item["prebook_item_id"]) not in items for item in order["items"]):
            found[f"purchase order {order['number']} {code}"] = "an item of it covers no prebook item"
    known = {(account.order.tenant, order["key"]) for account in accounts for order in account.in_axerrio}
    for tenant, order in books.orders():
        if (tenant, order["key"]) not in known:
            found[f"order {order['number']} {tenant}"] = "nobody sold it"
    shipped = [
        box["code"] for _, order in books.purchase_orders() for item in order["items"] for box in item["shipped_boxes"]
    ]
    found |= {f"box {code}": f"it stands {count} times" for code, count in Counter(shipped).items() if count > 1}
    return found


class _Account:
    """One order: what is wanted, what stands in Komet, and what Axerrio knows."""

    def __init__(self, books: Books, order: Expected) -> None:
        self.books = books
        self.order = order
        self._prebooks = [(code, prebook) for code, prebook in books.prebooks() if self._is_its_own(code, prebook)]
        self._items = {
            str(item["id"]): (prebook, item)
            for code, prebook in self._prebooks
            if code == order.company_code
            for item in prebook["items"]
            if item["boxes"]
        }
        self.claimed = {(code, prebook["id"]) for code, prebook in self._prebooks}

    def _is_its_own(self, code: str, prebook: Json) -> bool:
        order = self.order
        if order.origin == "axerrio":
            return f"Axerrio {order.number} [AX:" in prebook["comments"]
        return (code, str(prebook["id"])) == (order.company_code, order.key)

    @cached_property
    def in_axerrio(self) -> list[Json]:
        """The orders of Axerrio that stand for it; one, if all is well."""
        order = self.order
        if order.origin == "komet":
            return self.books.born_in_komet(order.tenant, order.company_code, int(order.key))
        found = self.books.order(order.tenant, order.key)
        return [] if found is None else [found]

    @property
    def _record(self) -> Json:
        return self.in_axerrio[0] if self.in_axerrio else {}

    @cached_property
    def boxes_in_komet(self) -> list[Json]:
        """The boxes of it that Komet shows as shipped."""
        return [box for key in self._items for _, item in self._bought(key) for box in item["shipped_boxes"]]

    def _bought(self, item_key: str) -> list[tuple[Json, Json]]:
        return self.books.bought(self.order.company_code, int(item_key))

    # -- doubled ---------------------------------------------------------------------------------------------

    def surplus(self) -> Iterator[str]:
        """What stands of it and nobody wants."""
        if self.order.is_cancelled:
            yield from self._left_over()
            return
        stands = [self.books.goods(item) for _, prebook in self._prebooks for item in prebook["items"] if item["boxes"]]
        if len(stands) > len(self.order.lines):
            yield self._instead(stands)
        for key, (_, item) in self._items.items():
            boxes = sum(each["boxes"] for _, each in self._bought(key))
            if boxes > item["boxes"]:
                yield f"purchase orders hold {boxes} boxes of {item['product_code']}, ordered were {item['boxes']}"
        if len(self.in_axerrio) > 1:
            numbers = ", ".join(order["number"] for order in self.in_axerrio)
            yield f"it stands {len(self.in_axerrio)} times in Axerrio: {numbers}"
        expected = {code for boxes in self._leaving.values() for code in boxes}
        for box in self.boxes_in_komet:
            if box["code"] not in expected:
                yield f"box {box['code']} is on air waybill {box['awb']}, and no label that left has this code"

    def _left_over(self) -> Iterator[str]:
        for _, prebook in self._prebooks:
            yield f"it was cancelled, and prebook {prebook['number']} holds boxes"
        if any(order["status"] != "cancelled" for order in self.in_axerrio):
            yield "it was cancelled, and stands in Axerrio"
        references = self._record.get("external_references") or {}
        if self.order.origin == "axerrio" and references.get("lines"):
            yield "it was cancelled, and Axerrio names its place in Komet"

    # -- lost ------------------------------------------------------------------------------------------------

    def missing(self) -> Iterator[str]:
        """Why it is not whole in both systems."""
        yield from self._not_in_komet()
        if self.order.origin == "komet":
            yield from self._not_in_axerrio()

    def unlinked(self) -> Iterator[str]:
        """Why it is not whole in both systems, linked both ways."""
        yield from self.missing()
        references = self._record.get("external_references")
        if not references:
            yield "Axerrio does not know where it stands in Komet"
            return
        named = {line["lineKey"]: line for line in references["lines"]}
        if named.keys() != self._line_keys.keys() or {each["prebookItemId"] for each in named.values()} != {
            *self._items
        }:
            yield "Axerrio names other lines or prebook items"
            return
        if references["prebookId"] not in {str(prebook["id"]) for _, prebook in self._prebooks}:
            yield f"Axerrio names prebook {references['prebookNumber']}"
        for line_key, line in named.items():
            yield from self._wrong_link(line_key, line)
        bought = {purchase_order["number"] for key in self._items for purchase_order, _ in self._bought(key)}
        if {each["number"] for each in references["purchaseOrders"]} != bought:
            yield "Axerrio names other purchase orders"

    def _not_in_komet(self) -> Iterator[str]:
        if not self._items:
            yield "no prebook names it" + (" in its company" if self._prebooks else "")
            return
        all_items = [self.books.goods(item) for _, item in self._items.values()]
        if Counter(self.order.lines.values()) - Counter(all_items):
            yield self._instead(all_items)
        for key, (prebook, item) in self._items.items():
            if not item["mapped"]:
                yield f"prebook {prebook['number']}: {item['product_code']} is UNKNOWN"
            bought = self._bought(key)
            boxes = sum(each["boxes"] for _, each in bought)
            if boxes < item["boxes"]:
                yield f"purchase orders hold {boxes} of {item['boxes']} boxes of {item['product_code']}"
            wanted = self.books.goods(item)
            for purchase_order, each in bought:
                stands = self.books.goods(each)
                if stands._replace(boxes=wanted.boxes) != wanted:
                    yield f"purchase order {purchase_order['number']} holds {stands} for {wanted}"

    def _not_in_axerrio(self) -> Iterator[str]:
        if not self.in_axerrio:
            yield "Axerrio has no order of it"
            return
        lines = [line for line in self._record["lines"] if line["status"] != "cancelled"]
        stands = {line["externalLineId"]: (line["article"]["code"], line["boxes"]) for line in lines}
        wanted = {key: (goods.product, goods.boxes) for key, goods in self.order.lines.items()}
        if self._record["status"] == "cancelled" or stands != wanted or len(lines) != len(wanted):
            goods = ", ".join(f"{boxes} {code}" for code, boxes in sorted(stands.values())) or "nothing"
            yield f"Axerrio's order {self._record['number']} holds {goods}"

    @property
    def _line_keys(self) -> dict[str, str]:
        """Axerrio's line keys, and ours."""
        if self.order.origin == "axerrio":
            return {key: key for key in self.order.lines}
        lines = self._record.get("lines", ())
        return {line["lineKey"]: line["externalLineId"] for line in lines if line["status"] != "cancelled"}

    def _wrong_link(self, line_key: str, line: Json) -> Iterator[str]:
        prebook, item = self._items[line["prebookItemId"]]
        if line["prebookId"] != str(prebook["id"]):
            yield f"line {line_key} is linked to another prebook than its item's"
        if self.books.goods(item) != self.order.lines[self._line_keys[line_key]]:
            yield f"line {line_key} is linked to {self.books.goods(item)}"
        link = line["purchaseOrderItemId"], line["purchaseOrderNumber"]
        bought = self._bought(line["prebookItemId"])
        if link not in {(str(each["id"]), purchase_order["number"]) for purchase_order, each in bought}:
            yield f"line {line_key} is not linked to its purchase order"

    def unapproved(self) -> Iterator[str]:
        """Why it is not approved, or Axerrio does not know."""
        orders = [purchase_order for key in self._items for purchase_order, _ in self._bought(key)]
        if not orders or any(each["status"] not in _APPROVED for each in orders):
            yield "procurement has not approved it"
        if (self._record.get("procurement_status") or {}).get("status") != "approved":
            yield "Axerrio does not know that it is approved"

    def unshipped(self) -> Iterator[str]:
        """Why not every box of it is on its air waybill in Komet, with its label's code."""
        references = self._record.get("external_references") or {"lines": ()}
        items = {line["lineKey"]: line["prebookItemId"] for line in references["lines"]}
        for line_key, ours in self._line_keys.items():
            boxes = self._leaving.get(line_key, {})
            wanted = self.order.lines[ours].boxes if ours in self.order.lines else 0
            if len(boxes) != wanted:
                yield f"line {line_key}: {len(boxes)} of {wanted} boxes have left"
            bought = self._bought(items[line_key]) if items.get(line_key) in self._items else []
            shown = {box["code"]: _waybill(box) for _, item in bought for box in item["shipped_boxes"]}
            for code, waybill in boxes.items():
                if code not in shown:
                    yield f"line {line_key}: box {code} is not on air waybill {waybill[0]} in Komet"
                elif shown[code] != waybill:
                    stands, says = (" ".join(filter(None, each)) for each in (shown[code], waybill))
                    yield f"line {line_key}: box {code} is on {stands} instead of {says}"

    @cached_property
    def _leaving(self) -> dict[str, dict[str, tuple[str, str, str]]]:
        """By line and by the code that each box has now: with what it has left, as Axerrio says."""
        found: dict[str, dict[str, tuple[str, str, str]]] = {}
        tenant, key = self.order.tenant, self._record.get("key", "")
        for line in self._record.get("lines", ()):
            codes = {label["labelId"]: label["boxCode"] for label in self.books.labels(tenant, key, line["lineKey"])}
            for shipment, entry in self.books.left(tenant, key, line["lineKey"]):
                waybill = (_digits(shipment["awb"] or ""), shipment["houseAwb"] or "", shipment["shipDate"])
                of_line = found.setdefault(line["lineKey"], {})
                of_line |= {codes.get(label, f"of no label {label}"): waybill for label in entry["labelIds"]}
        return found

    def _instead(self, stands: Iterable[Goods]) -> str:
        numbers = ", ".join(str(prebook["number"]) for _, prebook in self._prebooks)
        return f"prebook {numbers} holds {_words(stands)} instead of {_words(self.order.lines.values())}"


def _waybill(box: Json) -> tuple[str, str, str]:
    return _digits(box["awb"]), box["house_awb"], box["ship_date"]


def _digits(awb: str) -> str:
    """An air waybill is its digits, however they are grouped."""
    return "".join(filter(str.isalnum, awb))


def _words(goods: Iterable[Goods]) -> str:
    return ", ".join(str(each) for each in sorted(goods, key=lambda each: (each.product, each.boxes))) or "nothing"
