"""Where the two sides of a line do not agree: each thing alone, and nothing else beside it."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from worker.sides import disagreements

Json = dict[str, Any]
LINE: Json = {
    "axerrio": {
        "status": "open",
        "article_code": "RFREE50",
        "boxes": 4,
        "packing": "HALF",
        "departure_date": "2026-11-24",
        "truck_date": "2026-11-26",
        "prebook_item_id": "881",
        "purchase_order_item_id": "5551",
        "shipments": [{"awb": "72912345675", "ship_date": "2026-11-24", "boxes": 1, "box_codes": ["AX1"]}],
    },
    "prebook_items": [
        {
            "id": "881",
            "article_code": "RFREE50",
            "mapped": True,
            "boxes": 4,
            "packing": "HB",
            "departure_date": "2026-11-24",
            "truck_date": "2026-11-26",
            "changes": [],
        }
    ],
    "purchase_order_items": [
        {"id": "5551", "boxes": 3, "status": "pending", "ship_date": "2026-11-24", "box_codes": [], "changes": []},
        {"id": "5552", "boxes": 1, "status": "shipped", "ship_date": "2026-11-24", "box_codes": ["AX1"], "changes": []},
    ],
    "boxes_shipped": [{"box_code": "AX1", "awb": "729-1234-5675", "ship_date": "2026-11-24"}],
}
PACKINGS = {"HALF": "HB"}


def ours(**changes: object) -> Callable[[Json], None]:
    return lambda line: line["axerrio"].update(changes)


def item(**changes: object) -> Callable[[Json], None]:
    return lambda line: line["prebook_items"][0].update(changes)


def bought(**changes: object) -> Callable[[Json], None]:
    return lambda line: line["purchase_order_items"][1].update(changes)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (ours(), set()),
        (ours(boxes=5), {"boxes", "purchase_order"}),
        (ours(status="cancelled"), {"boxes", "purchase_order"}),
        (lambda line: line.update(axerrio=None), {"boxes", "purchase_order"}),
        (item(boxes=3), {"boxes"}),
        (bought(boxes=2), {"purchase_order"}),
        (bought(status="cancelled"), {"purchase_order"}),
        (lambda line: line.update(purchase_order_items=[]), {"purchase_order"}),
        (lambda line: line.update(prebook_items=[]), {"boxes", "prebook"}),
        (ours(packing="FB"), {"packing"}),
        (item(packing="QB"), {"packing"}),
        (item(packing=None), set()),
        (ours(departure_date="2026-11-25"), {"departure_date"}),
        (bought(ship_date="2026-11-25"), {"departure_date"}),
        (bought(ship_date=None), set()),
        (item(departure_date=None), set()),
        (item(truck_date="2026-11-27"), {"truck_date"}),
        (item(mapped=False), {"product"}),
        (item(mapped=None), set()),
        (item(article_code="RMOND50"), {"product"}),
        (item(article_code=None), set()),
        (item(changes=[{"field": "product_id", "before": "1", "after": "2"}]), {"product"}),
        (item(changes=[{"field": "cost", "before": "1", "after": "2"}]), set()),
        (ours(prebook_item_id="880"), {"prebook"}),
        (ours(purchase_order_item_id="5550"), {"purchase_order"}),
        (ours(prebook_item_id=None, purchase_order_item_id=None), set()),
        (bought(box_codes=["AX1", "AX2"]), {"box_codes"}),
        (lambda line: line["boxes_shipped"].append(line["boxes_shipped"][0] | {"box_code": "AX3"}), {"awb"}),
        (lambda line: line["boxes_shipped"][0].update(awb="729-1234-5686"), {"awb"}),
        (ours(shipments=[]), {"awb"}),
        (lambda line: line.update(boxes_shipped=[]), {"box_codes"}),
    ],
)
def test_one_difference(change: Callable[[Json], None], found: set[str]) -> None:
    line = deepcopy(LINE)
    change(line)
    assert disagreements(line, PACKINGS) == found
