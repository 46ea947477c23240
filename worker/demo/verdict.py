"""What became of the orders, judged from what stands in the two simulated systems.

The ledger is not asked: it could only say what it believes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Placed:
    """An order that a tenant confirmed, and the company in which it belongs."""

    company_code: str
    tenant: str
    record: Json

    @property
    def number(self) -> str:
        """As people name it."""
        return str(self.record["number"])


@dataclass(frozen=True)
class Verdict:
    """What became of the orders, as both simulated systems have it."""

    orders: int
    prebooks: int
    purchase_orders: int
    #: Whole in Komet, and each system names the other's record, line by line.
    linked: int
    #: Procurement approved, and Axerrio holds that.
    approved: int
    #: What stands more than once, or that nobody ordered: order or record, and why.
    doubled: Mapping[str, str]
    #: What did not get there whole.
    lost: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing doubled."""
        return not self.doubled and not self.lost


def judge(dump: Json, expected_orders: Iterable[Placed]) -> Verdict:
    """Judge what stands in both systems; the ledger is not asked.

    Args:
        dump: what the sandbox's control interface says of both.
        expected_orders: all that were confirmed in Axerrio.
    """
    expected = list(expected_orders)
    doubled: dict[str, str] = {}
    lost: dict[str, str] = {}
    linked = approved = 0
    prebooks = [(company, each) for company in dump["companies"] for each in company["prebooks"] if _is_live(each)]
    claimed: set[tuple[str, int]] = set()
    for order in expected:
        named = [(where, each) for where, each in prebooks if f"Axerrio {order.number} [AX:" in each["comments"]]
        claimed |= {(where["company_code"], each["id"]) for where, each in named}
        if len(named) > 1:
            doubled[order.number] = f"{len(named)} prebooks: " + ", ".join(str(each["number"]) for _, each in named)
        here = [(where, each) for where, each in named if where["company_code"] == order.company_code]
        if not here:
            lost[order.number] = "no prebook names it" + (" in its company" if named else "")
            continue
        account = _Account(order, *here[0], _in_axerrio(dump, order))
        if surplus := account.surplus():
            doubled.setdefault(order.number, surplus)
        not_linked, not_approved = account.missing() or account.unlinked(), account.unapproved()
        linked += not not_linked
        approved += not not_approved
        if trouble := not_linked or not_approved:
            lost[order.number] = trouble
    for where, each in prebooks:
        if (where["company_code"], each["id"]) not in claimed:
            doubled[f"prebook {each['number']} {where['company_code']}"] = "it names no order"
    purchase_orders = [
        (company, each) for company in dump["companies"] for each in company["purchase_orders"] if _is_live(each)
    ]
    for where, each in purchase_orders:
        ids = {item["id"] for prebook in where["prebooks"] for item in prebook["items"]}
        if any(item["prebook_item_id"] not in ids for item in each["items"]):
            doubled[f"purchase order {each['number']} {where['company_code']}"] = "an item of it covers no prebook item"
    return Verdict(len(expected), len(prebooks), len(purchase_orders), linked, approved, doubled, lost)


class _Account:
    """One order: what was ordered, its prebook, and what Axerrio knows. Each method gives a sentence or None."""

    def __init__(self, order: Placed, company: Json, prebook: Json, in_axerrio: Json | None) -> None:
        self._lines = {line["lineKey"]: line for line in order.record["lines"]}
        self._prebook = prebook
        self._items = {str(item["id"]): item for item in prebook["items"] if item["boxes"]}
        self._in_axerrio = in_axerrio or {}
        self._bought = [
            (purchase_order, item)
            for purchase_order in company["purchase_orders"]
            for item in purchase_order["items"]
            if str(item["prebook_item_id"]) in self._items and item["boxes"]
        ]

    def surplus(self) -> str | None:
        for key, item in self._items.items():
            if (boxes := self._boxes_bought(key)) > item["boxes"]:
                return f"purchase orders hold {boxes} boxes of {item['product_code']}, ordered were {item['boxes']}"
        return None

    def missing(self) -> str | None:
        wanted = Counter((line["article"]["code"], line["boxes"]) for line in self._lines.values())
        stands = Counter((item["product_code"], item["boxes"]) for item in self._items.values())
        if wanted != stands:
            return f"prebook {self._prebook['number']} holds {_goods(stands)} instead of {_goods(wanted)}"
        for key, item in self._items.items():
            if (boxes := self._boxes_bought(key)) < item["boxes"]:
                return f"purchase orders hold {boxes} of {item['boxes']} boxes of {item['product_code']}"
        return None

    def unlinked(self) -> str | None:
        references = self._in_axerrio.get("external_references")
        if not references:
            return "Axerrio does not know where it stands in Komet"
        if references["prebookId"] != str(self._prebook["id"]):
            return f"Axerrio names prebook {references['prebookNumber']}, it stands in {self._prebook['number']}"
        named = {line["lineKey"]: line for line in references["lines"]}
        items = {line["prebookItemId"] for line in named.values()}
        if named.keys() != self._lines.keys() or items != self._items.keys():
            return "Axerrio names other lines or prebook items"
        for key, line in self._lines.items():
            item = self._items[named[key]["prebookItemId"]]
            if (item["product_code"], item["boxes"]) != (line["article"]["code"], line["boxes"]):
                return f"line {key} is linked to {item['boxes']} boxes of {item['product_code']}"
            link = (named[key]["purchaseOrderItemId"], named[key]["purchaseOrderNumber"])
            if link not in {
                (str(bought["id"]), purchase_order["number"])
                for purchase_order, bought in self._bought
                if bought["prebook_item_id"] == item["id"]
            }:
                return f"line {key} is not linked to its purchase order"
        return None

    def unapproved(self) -> str | None:
        if any(purchase_order["status"] != "A" for purchase_order, _ in self._bought) or not self._bought:
            return "procurement has not approved it"
        if (self._in_axerrio.get("procurement_status") or {}).get("status") != "approved":
            return "Axerrio does not know that it is approved"
        return None

    def _boxes_bought(self, item_key: str) -> int:
        return sum(item["boxes"] for _, item in self._bought if str(item["prebook_item_id"]) == item_key)


def _is_live(record: Json) -> bool:
    """A prebook or purchase order that holds boxes: an item at 0 counts as deleted."""
    return any(item["boxes"] for item in record["items"])


def _in_axerrio(dump: Json, order: Placed) -> Json | None:
    return next(
        (
            each
            for tenant in dump["tenants"]
            if tenant["tenant_id"] == order.tenant
            for each in tenant["orders"]
            if each["number"] == order.number
        ),
        None,
    )


def _goods(counts: Counter[tuple[str, int]]) -> str:
    return ", ".join(f"{boxes} {code}" for code, boxes in sorted(counts.elements())) or "nothing"
