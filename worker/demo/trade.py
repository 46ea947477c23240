"""What is sold in the demo: orders of Axerrio, and prebooks that a Komet user makes, as their people want them."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from models.canonical import Json
from worker.demo.books import Goods
from worker.demo.pairs import ARTICLES, KOMETS_NAMES, MIXED, MIXTURE, NEW_ARTICLES, Pair
from worker.demo.verdict import Expected

#: From the departure to the arrival of the truck.
_TRANSIT = timedelta(days=2)


@dataclass
class Sale:
    """An order of Axerrio."""

    pair: Pair
    record: Json
    #: Something of it is still to change before it may leave.
    is_unsettled: bool = False

    @property
    def key(self) -> str:
        """Its key in Axerrio."""
        return str(self.record["key"])

    @property
    def number(self) -> str:
        """As people name it."""
        return str(self.record["number"])

    @property
    def is_cancelled(self) -> bool:
        """Nobody wants it any more."""
        return bool(self.record["status"] == "cancelled")

    @property
    def boxes(self) -> int:
        """All its boxes."""
        return sum(line["boxes"] for line in self.record["lines"])

    @property
    def expected(self) -> Expected:
        """What must stand of it in the end."""
        return Expected(
            origin="axerrio",
            company_code=self.pair.company_code,
            tenant=self.pair.tenant,
            key=self.key,
            number=self.number,
            lines={line["lineKey"]: _of_sale(line) for line in self.record["lines"]},
            is_cancelled=self.is_cancelled,
        )


@dataclass
class Prebook:
    """A prebook that a Komet user makes for our vendor."""

    pair: Pair
    body: Json
    #: Its ids once it was made.
    id: int = 0
    number: int = 0
    item_ids: list[int] = field(default_factory=list)
    is_cancelled: bool = False
    is_unsettled: bool = False

    @property
    def boxes(self) -> int:
        """All its boxes."""
        return sum(item["boxes"] for item in self.body["items"])

    @property
    def expected(self) -> Expected:
        """What must stand of it in the end."""
        items = zip(self.item_ids, self.body["items"], strict=False)
        return Expected(
            origin="komet",
            company_code=self.pair.company_code,
            tenant=self.pair.tenant,
            key=str(self.id),
            number=str(self.number),
            lines={str(item_id): _of_item(item) for item_id, item in items},
            is_cancelled=self.is_cancelled,
        )


class Trade:
    """Makes what is sold on one connection, by dice that fall the same each day."""

    def __init__(self, pair: Pair, dice: random.Random | None = None) -> None:
        self._pair = pair
        self._dice = dice or random.Random(pair.first_number)  # noqa: S311 - dice, not a secret
        self._made = 0

    def sale(self, departure: date, *special: str) -> Sale:
        """An order of Axerrio.

        Args:
            departure: the day on which it leaves.
            special: articles of its first lines; `MIXROSE` is a line of mixed boxes.
        """
        pair, dice = self._pair, self._dice
        number = pair.first_number + self._made
        self._made += 1
        buyer = dice.choice(sorted(pair.buyers))
        codes = [*special, *dice.sample(sorted(ARTICLES), 2 if special else dice.choice((2, 2, 3)))]
        now = datetime.now(UTC)
        record = {
            "key": f"SO-{number}",
            "number": f"{now.year}-{number}",
            "status": "confirmed",
            "buyer": {"code": buyer, "name": pair.buyers[buyer][1]},
            "carrierCode": pair.carrier[0],
            "locationCode": pair.company_code,
            "customerReference": f"PO {dice.randint(70_000, 79_999)}",
            "currency": pair.currency,
            "orderDate": now.date().isoformat(),
            "departureDate": departure.isoformat(),
            "truckDate": (departure + _TRANSIT).isoformat(),
            "createdAt": now.isoformat(timespec="seconds"),
            "lines": [self._line(key, code) for key, code in enumerate(codes, start=1)],
        }
        return Sale(pair, record)

    def prebook(self, departure: date, *special: str) -> Prebook:
        """A prebook of Komet; `special` as for a sale."""
        pair, dice = self._pair, self._dice
        customer = pair.buyers[dice.choice(sorted(pair.buyers))][0]
        codes = [*special, *dice.sample(sorted(ARTICLES), 1 if special else 2)]
        body = {
            "customer_code": customer,
            "carrier_code": pair.carrier[0],
            "truck_date": (departure + _TRANSIT).isoformat(),
            "customer_po": f"PO {dice.randint(80_000, 89_999)}",
            "comments": "By telephone",
            "location": pair.company_code,
            "items": [self._item(code) for code in codes],
        }
        return Prebook(pair, body)

    def _line(self, key: int, code: str) -> Json:
        line = {
            "lineKey": str(key),
            "status": "open",
            "packing": {"code": self._dice.choice(("HB", "QB"))},
            "boxes": self._dice.randint(2, 8),
            "markCode": self._dice.choice(("", "DOCK2", "PROMO")),
        }
        if code == MIXED[0]:
            stems, cost, price = 25, "7.00", "8.75"
            parts: list[Json] = [
                {"article": _article(part), "bunches": bunches, "stemsPerBunch": stems}
                | {"unitPrice": price, "unitCost": cost}
                for part, bunches in MIXTURE
            ]
            bunches = sum(bunches for _, bunches in MIXTURE)
            return line | {
                "article": {"key": f"A-{code}", "code": code, "description": MIXED[1]},
                "bunchesPerBox": bunches,
                "stemsPerBunch": stems,
                "unitType": "bunch",
                "unitPrice": price,
                "unitCost": cost,
                "breakdown": parts,
            }
        _, stems, cost = (ARTICLES | NEW_ARTICLES)[code]
        return line | {
            "article": _article(code),
            "bunchesPerBox": self._dice.choice((8, 10, 12)),
            "stemsPerBunch": stems,
            "unitType": "stem",
            "unitPrice": f"{float(cost) * 1.3:.2f}",
            "unitCost": cost,
            "breakdown": [],
        }

    def _item(self, code: str) -> Json:
        item: Json = {
            "product_code": code,
            "box_type_code": self._dice.choice(("HB", "QB")),
            "boxes": self._dice.randint(2, 8),
            "mark_code": self._dice.choice(("", "DOCK2")),
        }
        if code == MIXED[0]:
            parts = [
                {"product_code": part, "product_description": ARTICLES[part][0], "bunches": bunches}
                | {"stems_bunch": ARTICLES[part][1], "cost": "7.00"}
                for part, bunches in MIXTURE
            ]
            bunches = sum(bunches for _, bunches in MIXTURE)
            rest = {"unit_type": "Bunch", "bunches": bunches, "stems_bunch": 25, "cost": "7.00", "breakdowns": parts}
            return item | {"product_description": MIXED[1]} | rest
        words, stems, cost = ARTICLES[code]
        return item | {
            "product_description": words,
            "unit_type": "Stem",
            "bunches": self._dice.choice((8, 10)),
            "stems_bunch": stems,
            "cost": cost,
        }


def _article(code: str) -> Json:
    return {"key": f"A-{code}", "code": code, "description": (ARTICLES | NEW_ARTICLES)[code][0]}


def _of_sale(line: Json) -> Goods:
    parts = tuple(sorted((part["article"]["code"], part["bunches"]) for part in line["breakdown"]))
    code = line["article"]["code"]
    return Goods(KOMETS_NAMES.get(code, (code, ""))[0], line["boxes"], parts)


def _of_item(item: Json) -> Goods:
    parts = tuple(sorted((part["product_code"], part["bunches"]) for part in item.get("breakdowns", ())))
    return Goods(item["product_code"], item["boxes"], parts)
