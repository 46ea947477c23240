import copy
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.worker.test_services import linux, nobody_left
from worker.demo.books import Goods
from worker.demo.verdict import Expected, Verdict, judge
from worker.supervisor import axkomet_command

Json = dict[str, Any]
#: Figures that the demo prints, and what they must be.
CERTAIN = {
    "orders of Axerrio": 24,
    "prebooks of Komet": 8,
    "linked both ways": 30,
    "approved, told to Axerrio": 30,
    "shipped": 30,
    "cancelled": 2,
    "mapped on the way": 2,
    "calls cut off": 10,
    "workers killed (kill -9)": 1,
    "doubled": 0,
    "lost": 0,
}
MIXED = (("RFREE50", 5), ("RMOND50", 3))
#: Each is whole in `outside()`.
PLACED = Expected("axerrio", "MIA", "andes", "SO-1", "2026-1", {"1": Goods("RFREE50", 2), "2": Goods("MIX", 1, MIXED)})
SOLD = Expected("komet", "MIA", "andes", "8", "4342", {"15": Goods("RMOND50", 1)})


def item(id_: int, code: str, boxes: int, parts: tuple[tuple[str, int], ...] = (), **more: Any) -> Json:
    breakdowns = [{"product_code": part, "bunches": bunches} for part, bunches in parts]
    return {"id": id_, "product_code": code, "boxes": boxes, "mapped": True, "breakdowns": breakdowns} | more


def bought(id_: int, covers: int, code: str, codes: str, parts: tuple[tuple[str, int], ...] = (), **more: Any) -> Json:
    """A purchase order item all of whose boxes left, each with its code."""
    boxes = [{"code": each, "awb": "729-1", "house_awb": "", "ship_date": "2026-11-24"} for each in codes.split()]
    return item(id_, code, len(boxes), parts, prebook_item_id=covers, shipped_boxes=boxes) | more


def reference(key: str, prebook: str, item_id: str, bought_id: str, number: str) -> Json:
    return {
        "lineKey": key,
        "prebookId": prebook,
        "prebookItemId": item_id,
        "purchaseOrderItemId": bought_id,
        "purchaseOrderNumber": number,
    }


def label(key: str, order: str, line: str, code: str) -> Json:
    named = {"labelId": key, "salesOrderKey": order, "lineKey": line}
    return named | {"boxCode": code, "state": "printed", "isDeleted": False}


def outside() -> Json:
    """An order of Axerrio and a prebook of Komet, whole in both systems and shipped together; Amsterdam is empty."""
    prebooks = [
        {
            "id": 9,
            "number": 4343,
            "comments": "Axerrio 2026-1 [AX:0123456789]",
            "items": [item(11, "RFREE50", 2), item(12, "MIX", 1, MIXED)],
        },
        {"id": 8, "number": 4342, "comments": "By telephone", "items": [item(15, "RMOND50", 1)]},
    ]
    purchase_orders = [
        {
            "id": 7,
            "number": "70012",
            "status": "S",
            "items": [bought(21, 11, "RFREE50", "AX1 AX2"), bought(22, 12, "MIX", "AX3", MIXED)],
        },
        {"id": 6, "number": "70013", "status": "A", "items": [bought(25, 15, "RMOND50", "AX4")]},
    ]
    placed = {
        "key": "SO-1",
        "number": "2026-1",
        "status": "confirmed",
        "external_id": None,
        "lines": [{"lineKey": "1", "status": "open"}, {"lineKey": "2", "status": "open"}],
        "external_references": {
            "prebookId": "9",
            "prebookNumber": "4343",
            "purchaseOrders": [{"id": "7", "number": "70012"}],
            "lines": [reference("1", "9", "11", "21", "70012"), reference("2", "9", "12", "22", "70012")],
        },
        "procurement_status": {"status": "approved"},
    }
    made = {
        "key": "SO-5",
        "number": "2026-5",
        "status": "confirmed",
        "external_id": "komet-MIA-8",
        "lines": [
            {"lineKey": "1", "status": "open", "externalLineId": "15", "article": {"code": "RMOND50"}, "boxes": 1},
        ],
        "external_references": {
            "prebookId": "8",
            "prebookNumber": "4342",
            "purchaseOrders": [{"id": "6", "number": "70013"}],
            "lines": [reference("1", "8", "15", "25", "70013")],
        },
        "procurement_status": {"status": "approved"},
    }
    shipment = {
        "key": "SH-1",
        "awb": "729-1",
        "houseAwb": None,
        "shipDate": "2026-11-24",
        "lines": [
            {"salesOrderKey": "SO-1", "lineKey": "1", "labelIds": ["L-1", "L-2"]},
            {"salesOrderKey": "SO-1", "lineKey": "2", "labelIds": ["L-3"]},
            {"salesOrderKey": "SO-5", "lineKey": "1", "labelIds": ["L-4"]},
        ],
    }
    labels = [
        label("L-1", "SO-1", "1", "AX1"),
        label("L-2", "SO-1", "1", "AX2"),
        label("L-3", "SO-1", "2", "AX3"),
        label("L-4", "SO-5", "1", "AX4"),
    ]
    tenant = {"tenant_id": "andes", "orders": [placed, made], "labels": labels, "shipments": [shipment], "articles": []}
    return {
        "companies": [
            {"company_code": "MIA", "prebooks": prebooks, "purchase_orders": purchase_orders},
            {"company_code": "AMS", "prebooks": [], "purchase_orders": []},
        ],
        "tenants": [tenant],
    }


def company(dump: Json) -> Json:
    found: Json = dump["companies"][0]
    return found


def order(dump: Json, place: int = 0) -> Json:
    found: Json = dump["tenants"][0]["orders"][place]
    return found


def test_what_is_whole_is_neither_lost_nor_doubled() -> None:
    verdict = judge(outside(), [PLACED, SOLD])
    assert verdict == Verdict(
        orders={"axerrio": 1, "komet": 1},
        linked=2,
        approved=2,
        shipped=2,
        boxes=4,
        air_waybills=1,
        cancelled=0,
        doubled={},
        lost={},
    )
    assert verdict.holds


def test_a_line_made_anew_may_stand_in_another_prebook() -> None:
    """What a change left behind stands at 0: it counts as deleted."""
    dump = outside()
    old = company(dump)["prebooks"][0]
    new = copy.deepcopy(old) | {"id": 10, "number": 4344, "items": [old["items"].pop()]}
    old["items"].append(item(13, "MIX", 0, MIXED))
    company(dump)["prebooks"].append(new)
    company(dump)["purchase_orders"][0]["items"].append(bought(23, 13, "MIX", "", MIXED))
    order(dump)["external_references"]["lines"][1]["prebookId"] = "10"
    assert judge(dump, [PLACED, SOLD]).holds


def test_a_split_item_covers_its_line() -> None:
    dump = outside()
    whole = company(dump)["purchase_orders"][0]["items"][0]
    rest = copy.deepcopy(whole) | {"id": 24, "boxes": 1, "shipped_boxes": [whole["shipped_boxes"].pop()]}
    whole["boxes"] = 1
    company(dump)["purchase_orders"][0]["items"].append(rest)
    assert judge(dump, [PLACED, SOLD]).holds


def test_an_air_waybill_is_its_digits() -> None:
    dump = outside()
    dump["tenants"][0]["shipments"][0]["awb"] = "72 91"
    assert judge(dump, [PLACED, SOLD]).holds


def test_a_product_may_be_named_by_its_words_alone() -> None:
    dump = outside()
    dump["tenants"][0]["articles"].append({"code": "RMOND50", "description": "Rose Mondial 50 cm"})
    by_words = {"product_code": "", "product_description": "Rose Mondial 50 cm"}
    company(dump)["purchase_orders"][1]["items"][0] |= by_words
    assert judge(dump, [PLACED, SOLD]).holds


# -- doubled -------------------------------------------------------------------------------------------------------


def second_prebook(dump: Json) -> None:
    first = company(dump)["prebooks"][0]
    items = [each | {"id": each["id"] + 100} for each in first["items"]]
    company(dump)["prebooks"].append(first | {"id": 10, "number": 4344, "items": items})


def second_prebook_elsewhere(dump: Json) -> None:
    dump["companies"][1]["prebooks"].append(company(dump)["prebooks"][0] | {"number": 4344})


def old_item_left(dump: Json) -> None:
    company(dump)["prebooks"][0]["items"].append(item(13, "RFREE50", 5))


def bought_twice(dump: Json) -> None:
    again = bought(31, 11, "RFREE50", "") | {"boxes": 2}
    company(dump)["purchase_orders"].append({"id": 8, "number": "70014", "status": "A", "items": [again]})


def prebook_of_nobody(dump: Json) -> None:
    other = {"id": 10, "number": 4344, "comments": "Axerrio 2026-12 [AX:0123456789]", "items": [item(31, "RFREE50", 1)]}
    company(dump)["prebooks"].append(other)


def echo_in_komet(dump: Json) -> None:
    """The order that Axerrio made of a prebook came back as a prebook."""
    other = {"id": 10, "number": 4344, "comments": "Axerrio 2026-5 [AX:0123456789]", "items": [item(31, "RMOND50", 1)]}
    company(dump)["prebooks"].append(other)


def echo_in_axerrio(dump: Json) -> None:
    """Our own prebook came back as an order."""
    dump["tenants"][0]["orders"].append(
        order(dump, 1) | {"key": "SO-6", "number": "2026-6", "external_id": "komet-MIA-9"}
    )


def made_twice_in_axerrio(dump: Json) -> None:
    dump["tenants"][0]["orders"].append(copy.deepcopy(order(dump, 1)) | {"key": "SO-6", "number": "2026-6"})


def bought_for_nobody(dump: Json) -> None:
    one = bought(41, 99, "RFREE50", "") | {"boxes": 1, "prebook_item_id": None}
    company(dump)["purchase_orders"].append({"id": 8, "number": "70014", "status": "A", "items": [one]})


def box_of_no_label(dump: Json) -> None:
    dump["tenants"][0]["shipments"][0]["lines"].pop()


def box_twice(dump: Json) -> None:
    company(dump)["purchase_orders"][1]["items"][0]["shipped_boxes"][0]["code"] = "AX1"


@pytest.mark.parametrize(
    ("spoil", "what", "why"),
    [
        (second_prebook, "2026-1", "prebook 4343, 4344 holds 1 MIX (RFREE50, RMOND50), 1 MIX (RFREE50, RMOND50), "),
        (second_prebook_elsewhere, "2026-1", "prebook 4343, 4344 holds 1 MIX"),
        (old_item_left, "2026-1", "prebook 4343 holds 1 MIX (RFREE50, RMOND50), 2 RFREE50, 5 RFREE50 instead of 1 MIX"),
        (bought_twice, "2026-1", "purchase orders hold 4 boxes of RFREE50, ordered were 2"),
        (prebook_of_nobody, "prebook 4344 MIA", "it names no order"),
        (echo_in_komet, "prebook 4344 MIA", "it names no order"),
        (echo_in_axerrio, "order 2026-6 andes", "nobody sold it"),
        (made_twice_in_axerrio, "prebook 4342", "it stands 2 times in Axerrio: 2026-5, 2026-6"),
        (bought_for_nobody, "purchase order 70014 MIA", "an item of it covers no prebook item"),
        (box_of_no_label, "prebook 4342", "box AX4 is on air waybill 729-1, and no label that left has this code"),
        (box_twice, "box AX1", "it stands 2 times"),
    ],
)
def test_a_double_is_noticed(spoil: Callable[[Json], None], what: str, why: str) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [PLACED, SOLD])
    assert verdict.doubled.get(what, "").startswith(why), verdict
    assert not verdict.holds


# -- lost ----------------------------------------------------------------------------------------------------------


def in_the_wrong_company(dump: Json) -> None:
    dump["companies"][1]["prebooks"].append(company(dump)["prebooks"].pop(0))
    company(dump)["purchase_orders"].pop(0)


def not_there(dump: Json) -> None:
    company(dump)["prebooks"].pop(0)
    company(dump)["purchase_orders"].pop(0)


def lost_line(dump: Json) -> None:
    company(dump)["prebooks"][0]["items"].pop()
    company(dump)["purchase_orders"][0]["items"].pop()


def other_boxes(dump: Json) -> None:
    company(dump)["prebooks"][0]["items"][0]["boxes"] = 1


def other_mixture(dump: Json) -> None:
    company(dump)["prebooks"][0]["items"][1]["breakdowns"][0]["bunches"] = 4


def unknown_product(dump: Json) -> None:
    company(dump)["prebooks"][0]["items"][0]["mapped"] = False


def bought_too_little(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["items"][0]["boxes"] = 1


def not_bought(dump: Json) -> None:
    company(dump)["purchase_orders"].pop(0)


def buying_cancelled(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["status"] = "X"


def bought_otherwise(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["items"][1]["breakdowns"].pop()


def set_order(**changes: Any) -> Callable[[Json], None]:
    return lambda dump: order(dump).update(changes)


def set_references(**changes: Any) -> Callable[[Json], None]:
    return lambda dump: order(dump)["external_references"].update(changes)


def set_line(**changes: Any) -> Callable[[Json], None]:
    return lambda dump: order(dump)["external_references"]["lines"][0].update(changes)


def lines_crossed(dump: Json) -> None:
    first, second = order(dump)["external_references"]["lines"]
    first["lineKey"], second["lineKey"] = "2", "1"


def one_line_named(dump: Json) -> None:
    order(dump)["external_references"]["lines"].pop()


def pending(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["status"] = "PA"


def box_without_awb(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["items"][0]["shipped_boxes"].pop()


def wrong_code(dump: Json) -> None:
    """A label was printed anew, and Komet has the old code."""
    dump["tenants"][0]["labels"][1]["boxCode"] = "AX9"


def other_awb(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["items"][0]["shipped_boxes"][1]["awb"] = "729-2"


def other_day(dump: Json) -> None:
    company(dump)["purchase_orders"][0]["items"][0]["shipped_boxes"][1]["ship_date"] = "2026-11-25"


def codes_of_another_line(dump: Json) -> None:
    first, second = company(dump)["purchase_orders"][0]["items"]
    first["shipped_boxes"][0], second["shipped_boxes"][0] = second["shipped_boxes"][0], first["shipped_boxes"][0]


def left_behind(dump: Json) -> None:
    dump["tenants"][0]["shipments"][0]["lines"][0]["labelIds"].pop()
    company(dump)["purchase_orders"][0]["items"][0]["shipped_boxes"].pop()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (not_there, "no prebook names it"),
        (in_the_wrong_company, "no prebook names it in its company"),
        (lost_line, "prebook 4343 holds 2 RFREE50 instead of 1 MIX (RFREE50, RMOND50), 2 RFREE50"),
        (other_boxes, "prebook 4343 holds 1 MIX (RFREE50, RMOND50), 1 RFREE50 instead of"),
        (other_mixture, "prebook 4343 holds 1 MIX (RFREE50, RMOND50), 2 RFREE50 instead of"),
        (unknown_product, "prebook 4343: RFREE50 is UNKNOWN"),
        (bought_too_little, "purchase orders hold 1 of 2 boxes of RFREE50"),
        (not_bought, "purchase orders hold 0 of 2 boxes of RFREE50"),
        (buying_cancelled, "purchase orders hold 0 of 2 boxes of RFREE50"),
        (bought_otherwise, "purchase order 70012 holds 1 MIX (RFREE50) for 1 MIX (RFREE50, RMOND50)"),
        (set_order(external_references=None), "Axerrio does not know where it stands in Komet"),
        (set_references(prebookId="8", prebookNumber="4342"), "Axerrio names prebook 4342"),
        (set_references(purchaseOrders=[]), "Axerrio names other purchase orders"),
        (set_line(prebookItemId="99"), "Axerrio names other lines or prebook items"),
        (set_line(prebookItemId="12"), "Axerrio names other lines or prebook items"),
        (set_line(prebookId="8"), "line 1 is linked to another prebook than its item's"),
        (one_line_named, "Axerrio names other lines or prebook items"),
        (lines_crossed, "line 2 is linked to 2 RFREE50"),
        (set_line(purchaseOrderItemId=None, purchaseOrderNumber=None), "line 1 is not linked to its purchase order"),
        (set_line(purchaseOrderItemId="22"), "line 1 is not linked to its purchase order"),
        (set_line(purchaseOrderNumber="70013"), "line 1 is not linked to its purchase order"),
        (pending, "procurement has not approved it"),
        (set_order(procurement_status=None), "Axerrio does not know that it is approved"),
        (set_order(procurement_status={"status": "pending"}), "Axerrio does not know that it is approved"),
        (box_without_awb, "line 1: box AX2 is not on air waybill 7291 in Komet"),
        (wrong_code, "line 1: box AX9 is not on air waybill 7291 in Komet"),
        (other_awb, "line 1: box AX2 is on 7292 2026-11-24 instead of 7291 2026-11-24"),
        (other_day, "line 1: box AX2 is on 7291 2026-11-25 instead of 7291 2026-11-24"),
        (codes_of_another_line, "line 1: box AX1 is not on air waybill 7291 in Komet"),
        (left_behind, "line 1: 1 of 2 boxes have left"),
    ],
)
def test_a_loss_is_noticed(spoil: Callable[[Json], None], why: str) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [PLACED, SOLD])
    assert list(verdict.lost) == ["2026-1"]
    assert verdict.lost["2026-1"].startswith(why), verdict
    assert not verdict.holds


def not_in_axerrio(dump: Json) -> None:
    dump["tenants"][0]["orders"].pop()


def other_boxes_in_axerrio(dump: Json) -> None:
    order(dump, 1)["lines"][0]["boxes"] = 3


def another_line_in_axerrio(dump: Json) -> None:
    order(dump, 1)["lines"].append(copy.deepcopy(order(dump, 1)["lines"][0]) | {"lineKey": "2"})


def cancelled_in_axerrio(dump: Json) -> None:
    order(dump, 1)["status"] = "cancelled"


def gone_from_komet(dump: Json) -> None:
    company(dump)["prebooks"].pop()
    company(dump)["purchase_orders"].pop()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (not_in_axerrio, "Axerrio has no order of it"),
        (other_boxes_in_axerrio, "Axerrio's order 2026-5 holds 3 RMOND50"),
        (another_line_in_axerrio, "Axerrio's order 2026-5 holds 1 RMOND50"),
        (cancelled_in_axerrio, "Axerrio's order 2026-5 holds 1 RMOND50"),
        (gone_from_komet, "no prebook names it"),
    ],
)
def test_a_loss_of_a_prebook_of_komet_is_noticed(spoil: Callable[[Json], None], why: str) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [PLACED, SOLD])
    assert list(verdict.lost) == ["prebook 4342"]
    assert verdict.lost["prebook 4342"].startswith(why), verdict


# -- cancelled -----------------------------------------------------------------------------------------------------


def empty(dump: Json, place: int) -> None:
    """All that stands of the order in Komet is deleted."""
    for record in (company(dump)["prebooks"][place], company(dump)["purchase_orders"][place]):
        for each in record["items"]:
            each |= {"boxes": 0, "shipped_boxes": []}
    key = order(dump, place)["key"]
    lines = dump["tenants"][0]["shipments"][0]["lines"]
    lines[:] = [line for line in lines if line["salesOrderKey"] != key]
    order(dump, place)["status"] = "cancelled"
    order(dump, place)["external_references"]["lines"].clear()


@pytest.mark.parametrize("place", [0, 1])
def test_what_was_cancelled_holds_nothing(place: int) -> None:
    dump = outside()
    empty(dump, place)
    wanted = [PLACED, SOLD]
    wanted[place] = replace(wanted[place], is_cancelled=True)
    verdict = judge(dump, wanted)
    assert verdict.holds, verdict
    assert (verdict.cancelled, verdict.shipped) == (1, 1)


def test_what_stands_of_a_cancelled_order_is_noticed() -> None:
    wanted = [replace(PLACED, is_cancelled=True), SOLD]
    assert dict(judge(outside(), wanted).doubled) == {"2026-1": "it was cancelled, and prebook 4343 holds boxes"}
    dump = outside()
    empty(dump, 0)
    order(dump)["status"] = "confirmed"
    assert dict(judge(dump, wanted).doubled) == {"2026-1": "it was cancelled, and stands in Axerrio"}
    dump = outside()
    empty(dump, 0)
    order(dump)["external_references"]["lines"] = [reference("1", "9", "11", "21", "70012")]
    assert dict(judge(dump, wanted).doubled) == {"2026-1": "it was cancelled, and Axerrio names its place in Komet"}
    dump = outside()
    empty(dump, 0)
    company(dump)["purchase_orders"][0]["items"][0]["boxes"] = 2
    verdict = judge(dump, wanted)
    assert dict(verdict.doubled) == {"purchase order 70012 MIA": "an item of it covers no prebook item"}


def test_one_loss_hides_no_other() -> None:
    others = [replace(PLACED, key=f"SO-{n}", number=f"2026-{n}") for n in (2, 3)]
    verdict = judge(outside(), [PLACED, SOLD, *others])
    assert sorted(verdict.lost) == ["2026-2", "2026-3"]
    assert (verdict.linked, verdict.approved, verdict.shipped) == (2, 2, 2)


@pytest.mark.parametrize(
    ("spoil", "one_sided"),
    [
        (set_order(external_references=None), {"2026-1"}),
        (lines_crossed, {"2026-1"}),
        (not_there, set()),
        (pending, set()),
        (not_in_axerrio, set()),
    ],
)
def test_what_stands_on_both_sides_and_is_not_named_is_one_sided(
    spoil: Callable[[Json], None], one_sided: set[str]
) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [PLACED, SOLD])
    assert verdict.one_sided == one_sided
    assert len(verdict.lost) == 1


# -- the day -------------------------------------------------------------------------------------------------------


@linux
@pytest.mark.timeout(240)
@pytest.mark.thorough
def test_the_demo_holds_its_promise(tmp_path: Path) -> None:
    """The user's own services, connections and times are of no account to it."""
    home = tmp_path / "home"
    (home / "demo" / "postgres").mkdir(parents=True)
    (home / "demo" / "postgres" / "of-yesterday").touch()
    env = os.environ | {
        "AXKOMET_HOME": str(home),
        "AXKOMET_DATABASE_URL": "postgresql+psycopg://nobody:x@127.0.0.1:1/nothing",
        "AXKOMET_REDIS_URL": "redis://127.0.0.1:1/0",
        "AXKOMET_CONNECTIONS": "nowhere.toml",
        "AXKOMET_POLL_SECONDS": "3600",
    }
    run = subprocess.run(axkomet_command("demo"), env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    figures = {name: int(n) for name, n in re.findall(r"^  ([a-zA-Z][^\n]*?) {2,}(\d+)\b", run.stdout, re.MULTILINE)}
    assert {name: figures.get(name) for name in CERTAIN} == CERTAIN, run.stdout
    assert figures["answers lost"] >= 15
    assert figures["Komet requests"] >= 6 * (CERTAIN["orders of Axerrio"] + CERTAIN["prebooks of Komet"])
    for told in (
        r"worker started again, process \d+",
        r"Komet → Axerrio: .*\d",
        r"waits, Komet does not know article RSTAR50",
        r"RSTAR50 mapped on Komet's screen",
        r"axkomet mapping set amsterdam RCAND60 --product-code CANDYAV60$",
        r"changed in Axerrio, line 1 from \d+ to \d+ boxes",
        r"changed in Axerrio, line \d+ \(.*\) removed",
        r"changed in Komet, \w+ from \d+ to \d+ boxes",
        r"\d{4}-48215 cancelled in Axerrio",
        r"cancelled in Komet",
        r"a part of \d{4}-48213 left",
        r"[3-9] orders left, \d+ boxes on air waybill 706-\d+",
        r"label AX\d+ of \d{4}-71055 printed anew as AX\d+",
    ):
        assert re.search(told, run.stdout, re.MULTILINE), told
    assert nobody_left(home / "demo", 2.0)
