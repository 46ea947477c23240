import copy
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worker.test_services import linux, nobody_left
from worker.demo.verdict import Placed, Verdict, judge
from worker.supervisor import axkomet_command

Json = dict[str, Any]
#: Figures that the demo prints, and what they must be.
CERTAIN = {
    "orders": 36,
    "prebooks in Komet": 36,
    "purchase orders in Komet": 36,
    "linked both ways": 36,
    "approved in Axerrio": 36,
    "Komet creates cut off": 2,
    "workers killed (kill -9)": 1,
    "doubled": 0,
    "lost": 0,
}


def placed(number: str) -> Placed:
    lines = [
        {"lineKey": "1", "article": {"code": "RFREE50"}, "boxes": 4},
        {"lineKey": "2", "article": {"code": "RMOND50"}, "boxes": 2},
    ]
    return Placed("MIA", "andes", {"number": number, "lines": lines})


def outside() -> Json:
    """Order 2026-1, whole in both systems; Amsterdam is empty."""
    items = [
        {"id": 11, "product_code": "RFREE50", "boxes": 4},
        {"id": 12, "product_code": "RMOND50", "boxes": 2},
    ]
    bought = [{"id": 21, "prebook_item_id": 11, "boxes": 4}, {"id": 22, "prebook_item_id": 12, "boxes": 2}]
    prebook = {"id": 9, "number": 4343, "comments": "Axerrio 2026-1 [AX:0123456789]", "items": items}
    purchase_order = {"id": 7, "number": "70012", "status": "A", "items": bought}
    references = {
        "prebookId": "9",
        "prebookNumber": "4343",
        "lines": [
            {
                "lineKey": key,
                "prebookItemId": item,
                "purchaseOrderItemId": bought_item,
                "purchaseOrderNumber": "70012",
            }
            for key, item, bought_item in (("1", "11", "21"), ("2", "12", "22"))
        ],
    }
    order = {
        "number": "2026-1",
        "external_references": references,
        "procurement_status": {"status": "approved"},
    }
    return {
        "companies": [
            {"company_code": "MIA", "prebooks": [prebook], "purchase_orders": [purchase_order]},
            {"company_code": "AMS", "prebooks": [], "purchase_orders": []},
        ],
        "tenants": [{"tenant_id": "andes", "orders": [order]}],
    }


def test_a_whole_order_is_neither_lost_nor_doubled() -> None:
    verdict = judge(outside(), [placed("2026-1")])
    assert verdict == Verdict(1, 1, 1, linked=1, approved=1, doubled={}, lost={})
    assert verdict.holds


def test_what_stands_at_zero_counts_as_deleted() -> None:
    dump = outside()
    company = dump["companies"][0]
    gone = copy.deepcopy(company["prebooks"][0]) | {"id": 10, "number": 4344}
    gone["items"] = [item | {"id": item["id"] + 100, "boxes": 0} for item in gone["items"]]
    company["prebooks"].append(gone)
    company["purchase_orders"][0]["items"].append({"id": 23, "prebook_item_id": 11, "boxes": 0})
    assert judge(dump, [placed("2026-1")]).holds


def second_prebook(dump: Json) -> None:
    first = dump["companies"][0]["prebooks"][0]
    items = [item | {"id": item["id"] + 100} for item in first["items"]]
    dump["companies"][0]["prebooks"].append(first | {"id": 10, "number": 4344, "items": items})


def second_prebook_elsewhere(dump: Json) -> None:
    dump["companies"][1]["prebooks"].append(dump["companies"][0]["prebooks"][0])


def bought_twice(dump: Json) -> None:
    order = dump["companies"][0]["purchase_orders"][0]
    dump["companies"][0]["purchase_orders"].append(order | {"id": 8, "number": "70013"})


def prebook_of_nobody(dump: Json) -> None:
    item = {"id": 31, "product_code": "RFREE50", "boxes": 1}
    other = {"id": 10, "number": 4344, "comments": "Axerrio 2026-12 [AX:0123456789]", "items": [item]}
    dump["companies"][0]["prebooks"].append(other)


def bought_for_nobody(dump: Json) -> None:
    items = [{"id": 41, "prebook_item_id": None, "boxes": 1}]
    order = {"id": 8, "number": "70013", "status": "A", "items": items}
    dump["companies"][0]["purchase_orders"].append(order)


@pytest.mark.parametrize(
    ("spoil", "what", "why"),
    [
        (second_prebook, "2026-1", "2 prebooks: 4343, 4344"),
        (second_prebook_elsewhere, "2026-1", "2 prebooks: 4343, 4343"),
        (bought_twice, "2026-1", "purchase orders hold 8 boxes of RFREE50, ordered were 4"),
        (prebook_of_nobody, "prebook 4344 MIA", "it names no order"),
        (bought_for_nobody, "purchase order 70013 MIA", "an item of it covers no prebook item"),
    ],
)
def test_a_double_is_noticed(spoil: Callable[[Json], None], what: str, why: str) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [placed("2026-1")])
    assert dict(verdict.doubled) == {what: why}
    assert not verdict.lost
    assert not verdict.holds


def in_the_wrong_company(dump: Json) -> None:
    dump["companies"][1]["prebooks"].append(dump["companies"][0]["prebooks"].pop())
    dump["companies"][0]["purchase_orders"].clear()


def not_there(dump: Json) -> None:
    dump["companies"][0]["prebooks"].clear()
    dump["companies"][0]["purchase_orders"].clear()


def other_boxes(dump: Json) -> None:
    dump["companies"][0]["prebooks"][0]["items"][0]["boxes"] = 3
    dump["companies"][0]["purchase_orders"][0]["items"][0]["boxes"] = 3


def bought_too_little(dump: Json) -> None:
    dump["companies"][0]["purchase_orders"][0]["items"][1]["boxes"] = 1


def not_bought(dump: Json) -> None:
    dump["companies"][0]["purchase_orders"].clear()


def set_order(**changes: Any) -> Callable[[Json], None]:
    def spoil(dump: Json) -> None:
        dump["tenants"][0]["orders"][0] |= changes

    return spoil


def set_references(**changes: Any) -> Callable[[Json], None]:
    def spoil(dump: Json) -> None:
        dump["tenants"][0]["orders"][0]["external_references"] |= changes

    return spoil


def set_line(**changes: Any) -> Callable[[Json], None]:
    def spoil(dump: Json) -> None:
        dump["tenants"][0]["orders"][0]["external_references"]["lines"][0] |= changes

    return spoil


def lines_crossed(dump: Json) -> None:
    first, second = dump["tenants"][0]["orders"][0]["external_references"]["lines"]
    first["lineKey"], second["lineKey"] = "2", "1"


def one_line_named(dump: Json) -> None:
    dump["tenants"][0]["orders"][0]["external_references"]["lines"].pop()


def pending(dump: Json) -> None:
    dump["companies"][0]["purchase_orders"][0]["status"] = "PA"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (not_there, "no prebook names it"),
        (in_the_wrong_company, "no prebook names it in its company"),
        (other_boxes, "prebook 4343 holds 3 RFREE50, 2 RMOND50 instead of 4 RFREE50, 2 RMOND50"),
        (bought_too_little, "purchase orders hold 1 of 2 boxes of RMOND50"),
        (not_bought, "purchase orders hold 0 of 4 boxes of RFREE50"),
        (lambda dump: dump["tenants"].clear(), "Axerrio does not know where it stands in Komet"),
        (set_order(external_references=None), "Axerrio does not know where it stands in Komet"),
        (set_references(prebookId="8", prebookNumber="4342"), "Axerrio names prebook 4342, it stands in 4343"),
        (set_line(prebookItemId="99"), "Axerrio names other lines or prebook items"),
        (set_line(prebookItemId="12"), "Axerrio names other lines or prebook items"),
        (one_line_named, "Axerrio names other lines or prebook items"),
        (lines_crossed, "line 1 is linked to 2 boxes of RMOND50"),
        (set_line(purchaseOrderItemId=None, purchaseOrderNumber=None), "line 1 is not linked to its purchase order"),
        (set_line(purchaseOrderItemId="22"), "line 1 is not linked to its purchase order"),
        (set_line(purchaseOrderNumber="70013"), "line 1 is not linked to its purchase order"),
        (pending, "procurement has not approved it"),
        (set_order(procurement_status=None), "Axerrio does not know that it is approved"),
        (set_order(procurement_status={"status": "pending"}), "Axerrio does not know that it is approved"),
    ],
)
def test_a_loss_is_noticed(spoil: Callable[[Json], None], why: str) -> None:
    dump = outside()
    spoil(dump)
    verdict = judge(dump, [placed("2026-1")])
    assert dict(verdict.lost) == {"2026-1": why}
    assert not verdict.holds


def test_one_loss_hides_no_other() -> None:
    verdict = judge(outside(), [placed("2026-1"), placed("2026-2"), placed("2026-3")])
    assert sorted(verdict.lost) == ["2026-2", "2026-3"]
    assert (verdict.orders, verdict.linked, verdict.approved) == (3, 1, 1)


@linux
@pytest.mark.timeout(200)
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
    assert figures["Komet answers lost"] >= 8
    assert figures["Komet requests"] >= 2 * CERTAIN["orders"]
    assert re.search(r"worker started again, process \d+", run.stdout)
    assert nobody_left(home / "demo", 2.0)
