"""The drift of one order, from facts alone: what is told, what is about to be done, and what a person settled."""

from dataclasses import replace
from typing import Any

import pytest

from models.canonical import (
    LineReference,
    LineStatus,
    OrderStatus,
    PurchaseOrder,
    PurchaseOrderItem,
    PurchaseOrderReference,
    PurchaseOrderStatus,
    References,
)
from models.states import Kind, WriteState
from tasks.plan import Situation, make_plan
from tasks.plan.drift import Drift, Goods, Sight, drift, goods, owner
from tasks.plan.facts import Change, LineFacts
from tasks.plan.questions import THEIRS
from tests.tasks.examples import (
    SHIP_DATE,
    TODAY,
    a_box,
    a_label,
    a_line,
    a_shipment,
    a_situation,
    a_write,
    an_order,
    approved,
    bought,
    code_of,
    facts,
    item,
    left,
)

LINKS = References(
    prebook_id="991201",
    prebook_number="4343",
    purchase_orders=(PurchaseOrderReference(id="70012", number="70012"),),
    lines=(
        LineReference(
            line_key="1",
            prebook_id="991201",
            prebook_item_id="881",
            purchase_order_item_id="781",
            purchase_order_number="70012",
        ),
    ),
)
EDIT = (Change("mark_code", "DOCK2", "DOCK9"),)


def told(situation: Situation, sight: Sight | None = None, *, in_progress: bool = False) -> list[Drift]:
    return list(drift(situation, make_plan(situation), sight or Sight(), in_progress=in_progress))


def kinds(found: list[Drift]) -> list[tuple[str, str | None]]:
    return [(each.kind.value, each.line_key) for each in found]


def ordered(line: LineFacts, **changes: Any) -> Situation:
    fields: dict[str, Any] = {"begun_version": 1, "references_applied": LINKS}
    return a_situation((line,), **fields | changes)


def test_what_is_about_to_be_written_is_told_only_where_nobody_writes_it() -> None:
    nothing = a_situation((facts("1"),))
    assert told(nothing, in_progress=True) == []
    assert kinds(told(nothing)) == [("missing", "1")]
    lacks_order = ordered(facts("1", prebook_items=(item("1"),)), references_applied=None)
    assert told(lacks_order, in_progress=True) == []
    assert kinds(told(lacks_order)) == [("missing", "1"), ("missing", "1")], "its purchase order, and its links"
    cancelled = ordered(facts("1", prebook_items=(item("1", bought("1")),)), is_deleted=True)
    assert told(cancelled, in_progress=True) == []
    (each,) = told(cancelled)
    assert (each.kind.value, each.ours) == ("different", "Axerrio: cancelled")
    changed = ordered(facts("1", wanted=a_line("1", boxes=6), prebook_items=(item("1", bought("1")),)))
    assert told(changed, in_progress=True) == []
    (each,) = told(changed)
    assert (each.kind.value, each.ours) == ("different", "Axerrio: boxes 6")
    unreported = ordered(facts("1", prebook_items=(item("1", approved("1")),)))
    assert told(unreported, in_progress=True) == []
    (each,) = told(unreported)
    assert (each.ours, each.theirs) == ("Komet: procurement approved", "Axerrio was told nothing yet")
    named = {"product_code": "ROSFRE50"}
    unmapped = facts("1", prebook_items=(item("1", mapped=False),))
    mapped = replace(unmapped, wanted_as_sent={**(unmapped.wanted_as_sent or {}), **named})
    assert told(ordered(mapped, references_applied=None), in_progress=True) == []
    unbought = LineReference(line_key="1", prebook_id="991201", prebook_item_id="881")
    links = LINKS.model_copy(update={"purchase_orders": (), "lines": (unbought,)})
    (each,) = told(ordered(mapped, references_applied=links))
    assert (each.ours, each.theirs) == ("to be sent: komet.prebook.item.delete", "Komet does not have it")


def test_what_a_person_did_is_told_at_once_and_until_it_is_decided() -> None:
    for line in (
        facts("1", prebook_items=(item("1", bought("1"), changes=EDIT),)),
        facts("1", prebook_items=(item("1", bought("1", boxes=0)),)),
        facts("1", prebook_items=(item("1", bought("1"), bought("1", item_id="790")),)),
        facts("1", prebook_items=(item("1", bought("1"), boxes=0),)),
    ):
        situation = ordered(line)
        found = told(situation, in_progress=True)
        assert len(found) == 1, found
        assert found[0].next_command.startswith("axkomet resolve 2026-1 --line 1 "), found
        (hold,) = make_plan(situation).holds
        settled = replace(situation, decisions={(hold.line_key, hold.fact or ""): THEIRS})
        assert told(settled, in_progress=True) == [], line


def test_a_write_under_way_is_no_drift_and_one_in_doubt_is() -> None:
    sent = a_write(1, Kind.PREBOOK_CREATE, WriteState.SENT, "1")
    situation = a_situation((facts("1"),), begun_version=1, writes=(sent,))
    assert told(situation) == []
    doubtful = replace(situation, writes=(replace(sent, looks=2, reads=2),))
    (each,) = told(doubtful)
    assert (each.kind.value, each.next_command) == ("missing", "axkomet resolve 2026-1 --line 1 --resend")


def test_a_failed_order_tells_what_is_missing() -> None:
    situation = a_situation((facts("1"),), writes=(a_write(1, Kind.PREBOOK_CREATE, WriteState.ABSENT, "1"),))
    (each,) = told(replace(situation, max_attempts=1), in_progress=True)
    assert (each.kind.value, each.next_command) == ("missing", "axkomet requeue 2026-1")


def test_what_is_typed_next_is_one_word_whatever_the_number() -> None:
    situation = ordered(facts("1", prebook_items=(item("1", bought("1")),)), key="2026 / 7")
    (each,) = told(situation, Sight(links=References()), in_progress=True)
    assert each.next_command == "axkomet requeue '2026 / 7'"
    (each,) = told(replace(situation, references_applied=None))
    assert each.next_command == "axkomet orders show '2026 / 7'"


def test_what_a_whole_read_did_not_show_is_missing() -> None:
    situation = ordered(facts("1", prebook_items=(item("1", bought("1")),)))
    shown = Sight(prebook_items={"881"}, days=(TODAY, SHIP_DATE), order_items={"781"}, ship_dates={SHIP_DATE})
    assert told(situation, shown, in_progress=True) == []
    (each,) = told(situation, replace(shown, prebook_items=set()), in_progress=True)
    assert (each.kind.value, each.next_command) == ("missing", "axkomet poll miami komet-prebooks")
    (each,) = told(situation, replace(shown, order_items=set()), in_progress=True)
    assert (each.kind.value, each.next_command) == ("missing", "axkomet poll miami komet-purchase-orders")
    assert told(situation, replace(shown, prebook_items=None, order_items=set(), ship_dates=())) == []
    assert told(situation, replace(shown, prebook_items=set(), days=(TODAY, TODAY))) == []
    deleting = a_write(1, Kind.PREBOOK_ITEM_DELETE, WriteState.SENT, "1")
    assert told(replace(situation, writes=(deleting,)), replace(shown, prebook_items=set())) == []


def test_the_cost_that_komet_keeps_differs_from_the_one_that_was_sent() -> None:
    kept = item("1", bought("1"), material={"cost": "0.3"})
    (each,) = told(ordered(facts("1", prebook_items=(kept,))), in_progress=True)
    assert (each.kind.value, each.ours, each.theirs.partition(",")[0]) == (
        "different",
        "sent: cost 0.28",
        "Komet: cost 0.3",
    )
    same = item("1", bought("1"), material={"cost": "0.280"})
    assert told(ordered(facts("1", prebook_items=(same,))), in_progress=True) == []


def test_a_newer_version_that_waits_for_a_person_names_both_sides() -> None:
    wanted = a_line("1", boxes=6)
    stands = item("1", approved("1"))
    (each,) = told(ordered(facts("1", wanted=wanted, prebook_items=(stands,))), in_progress=True)
    assert each.ours == "Axerrio: boxes 6"
    assert each.theirs == "Komet: boxes 4, prebook item 881 of prebook 4343"
    assert each.next_command == "axkomet resolve 2026-1 --line 1 --ours"


def test_links_that_axerrio_holds_otherwise() -> None:
    situation = ordered(facts("1", prebook_items=(item("1", bought("1")),)))
    assert told(situation, Sight(links=LINKS)) == []
    for links, kind in (
        (References(), "missing"),
        (References(lines=(LINKS.lines[0].model_copy(update={"purchase_order_item_id": "1"}),)), "different"),
    ):
        (each,) = told(situation, Sight(links=links), in_progress=True)
        assert (each.kind.value, each.line_key, each.next_command) == (kind, "1", "axkomet requeue 2026-1")


def test_boxes_that_left_in_one_system_only() -> None:
    labels = tuple(a_label("1", index) for index in range(1, 5))
    line = facts("1", prebook_items=(item("1", approved("1")),))
    shipment = a_shipment("S1", left("1", range(1, 5)))
    situation = ordered(line, labels=labels, shipments=(shipment,))
    found = told(situation)
    assert ("missing", "1") in kinds(found)
    assert any("4 boxes on air waybill 729-1234-5675" in each.ours for each in found)
    assert not any("air waybill" in each.ours for each in told(situation, in_progress=True))
    boxes = tuple(a_box("1", index) for index in range(1, 5))
    codes = tuple(code_of("1", index) for index in range(1, 5))
    added = a_write(1, Kind.AWB_ADD, WriteState.DONE, "1", shown=True)
    gone = ordered(replace(line, boxes=boxes), labels=labels, shipments=(shipment,), writes=(added,))
    assert any(code_of("1", 1) in each.ours for each in told(gone, in_progress=True))
    there = replace(line, boxes=boxes, prebook_items=(item("1", approved("1", box_codes=codes)),))
    assert told(replace(gone, lines=(there,)), in_progress=True) == []
    by_hand = replace(line, prebook_items=(item("1", approved("1", box_codes=("X1",))),))
    assert any("X1" in each.theirs for each in told(ordered(by_hand), in_progress=True))


def test_what_is_not_confirmed_or_has_ended_is_no_drift() -> None:
    draft = an_order([a_line("1")], OrderStatus.DRAFT)
    assert told(a_situation((facts("1"),), wanted=draft)) == []
    closed = a_line("1", status=LineStatus.SHIPPED)
    assert told(a_situation((facts("1", wanted=closed),), wanted=an_order([closed], OrderStatus.CLOSED))) == []
    edited = facts("1", wanted=closed, prebook_items=(item("1", bought("1"), changes=EDIT),))
    assert told(ordered(edited, wanted=an_order([closed], OrderStatus.CLOSED))) == []
    back = ordered(facts("1", prebook_items=(item("1", bought("1")),)), wanted=draft)
    (each,) = told(back, in_progress=True)
    assert (each.kind.value, each.ours, each.line_key) == ("different", "Axerrio: a draft", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "2"),
        ({"boxes": 0}, None),
        ({"prebook_item_id": "881"}, None),
        ({"product_id": "7", "product_description": "Rosa"}, "1"),
        ({"product_description": "Tulip"}, None),
    ],
)
def test_whose_a_purchase_order_item_without_a_prebook_line_is(changes: dict[str, Any], expected: str | None) -> None:
    lines = (
        facts("1", prebook_items=(item("1", bought("1"), material={"product_id": "7"}),)),
        facts("2", prebook_items=(item("2"),)),
    )
    wanted: list[Goods] = goods(a_situation(lines))
    assert [each.is_bought for each in wanted] == [True, False]
    fields: dict[str, Any] = {"item_id": "9", "prebook_item_id": None, "product_description": "ROSE Freedom 50 cm"}
    stray = PurchaseOrderItem(**fields | {"boxes": 4} | changes)
    order = PurchaseOrder(
        purchase_order_id="5",
        number="5",
        ship_date=SHIP_DATE,
        status=PurchaseOrderStatus.PENDING,
        status_text="PA",
        items=(stray,),
    )
    found = owner(order, stray, wanted)
    assert (found.line_key if found else None) == expected
    for other in ({"ship_date": TODAY}, {"status": PurchaseOrderStatus.CANCELLED}):
        assert owner(order.model_copy(update=other), stray, wanted) is None
    assert goods(a_situation(lines, is_deleted=True)) == []
