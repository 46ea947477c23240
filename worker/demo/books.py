"""What stands in the two simulated systems: the sandbox's dump, with its records found by their keys."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from models.canonical import Json


class Goods(NamedTuple):
    """What a line holds: the product's code in Komet, boxes, and what is in a mixed one."""

    product: str
    boxes: int
    #: Product and bunches of each, sorted.
    parts: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.boxes} {self.product}" + (f" ({', '.join(code for code, _ in self.parts)})" * bool(self.parts))


class Books:
    """One dump of the sandbox."""

    def __init__(self, dump: Json) -> None:
        self.dump = dump
        #: Product codes by their descriptions: an item may name its product by the words alone.
        self._codes = {
            article["description"]: article["code"]
            for tenant in dump["tenants"]
            for article in tenant["articles"]
            if not article.get("isDeleted")
        }
        self._bought: defaultdict[tuple[str, int], list[tuple[Json, Json]]] = defaultdict(list)
        for company in dump["companies"]:
            for purchase_order in company["purchase_orders"]:
                if purchase_order["status"] != "X":
                    for item in purchase_order["items"]:
                        if item["boxes"] and item["prebook_item_id"] is not None:
                            key = company["company_code"], item["prebook_item_id"]
                            self._bought[key].append((purchase_order, item))
        self._labels: defaultdict[tuple[str, str, str], list[Json]] = defaultdict(list)
        self._left: defaultdict[tuple[str, str, str], list[tuple[Json, Json]]] = defaultdict(list)
        for tenant in dump["tenants"]:
            for label in tenant["labels"]:
                if not label.get("isDeleted") and label["state"] == "printed":
                    key_of_line = tenant["tenant_id"], label["salesOrderKey"], label["lineKey"]
                    self._labels[key_of_line].append(label)
            for shipment in tenant["shipments"]:
                for line in shipment.get("lines", ()):
                    key_of_line = tenant["tenant_id"], line["salesOrderKey"], line["lineKey"]
                    self._left[key_of_line].append((shipment, line))

    def goods(self, item: Json) -> Goods:
        """What an item of a prebook or of a purchase order holds."""
        parts = tuple(sorted((self._code(part), part["bunches"]) for part in item["breakdowns"]))
        return Goods(self._code(item), item["boxes"], parts)

    def _code(self, item: Json) -> str:
        return str(item["product_code"] or self._codes.get(item["product_description"], item["product_description"]))

    def prebooks(self) -> Iterator[tuple[str, Json]]:
        """Every prebook that holds boxes, with its company's code: an item at 0 counts as deleted."""
        for company in self.dump["companies"]:
            for prebook in company["prebooks"]:
                if any(item["boxes"] for item in prebook["items"]):
                    yield company["company_code"], prebook

    def purchase_orders(self) -> Iterator[tuple[str, Json]]:
        """Every purchase order that holds boxes and was not cancelled, with its company's code."""
        for company in self.dump["companies"]:
            for order in company["purchase_orders"]:
                if order["status"] != "X" and any(item["boxes"] for item in order["items"]):
                    yield company["company_code"], order

    def bought(self, company_code: str, prebook_item_id: int) -> list[tuple[Json, Json]]:
        """What covers a prebook item: purchase order and item."""
        return self._bought[company_code, prebook_item_id]

    def orders(self) -> Iterator[tuple[str, Json]]:
        """Every order of Axerrio, with its tenant."""
        for tenant in self.dump["tenants"]:
            for order in tenant["orders"]:
                yield tenant["tenant_id"], order

    def order(self, tenant: str, key: str) -> Json | None:
        """An order of Axerrio by its key."""
        return next((order for of, order in self.orders() if of == tenant and order["key"] == key), None)

    def born_in_komet(self, tenant: str, company_code: str, prebook_id: int) -> list[Json]:
        """The orders that Axerrio made of a prebook."""
        name = f"komet-{company_code}-{prebook_id}"
        return [order for of, order in self.orders() if of == tenant and order["external_id"] == name]

    def labels(self, tenant: str, order_key: str, line_key: str) -> list[Json]:
        """The labels of a line that are not void."""
        return self._labels[tenant, order_key, line_key]

    def left(self, tenant: str, order_key: str, line_key: str) -> list[tuple[Json, Json]]:
        """What of a line has left: shipment and its part of it."""
        return self._left[tenant, order_key, line_key]
