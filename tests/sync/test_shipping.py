"""What leaves goes on an air waybill in Komet, with the codes of Axerrio's labels, once."""

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

import tasks.settle
from models.database import now
from models.states import Feed, Kind, WriteState
from models.tables import Box, Scope, Write, WriteLine
from tasks.kinds.shipping import record_boxes
from tasks.observe import observe
from tasks.plan import Plan, Situation, make_plan
from tests.sync.conftest import Ledger
from tests.sync.docks import (
    AWB,
    AWB_ADD,
    approved,
    assert_shipped,
    codes,
    decide,
    held,
    history,
    labels,
    order_items,
    polls,
    ship,
    shipped,
    states,
)
from tests.world import World

Json = dict[str, Any]
ADD = "purchase.order.items.awb.add"


def test_all_orders_of_a_shipment_go_in_one_call(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", lot_number="234232")
    first, second = approved(ledger, world, {}, {"lines": [world.line("1"), world.mixed("2")]})
    ship(world, first, second, house_awb="CM-93242111")
    polls(ledger)
    for key in (first, second):
        assert_shipped(ledger, world, key)
        assert states(ledger, key)[-2:] == ["approved", "shipped"]
        assert ledger.writes(key, AWB_ADD) == ["done"], "each order shows the call, whoever led it"
        for box in shipped(world, key):
            said = {name: box[name] for name in ("awb", "house_awb", "ship_date", "lot")}
            assert said == {
                "awb": "729-1234-5675",
                "house_awb": "CM-93242111",
                "ship_date": world.day(3),
                "lot": "234232",
            }
    assert world.requests(ADD) == 1
    box = ledger.order(first)["lines"][0]["boxes_shipped"][0]
    assert box == {"box_code": codes(world, first)[0], "awb": "729-1234-5675", "ship_date": world.day(3)}


@pytest.mark.thorough
def test_an_order_that_is_approved_later_goes_in_a_later_call(ledger: Ledger, world: World) -> None:
    (ready,) = approved(ledger, world)
    world.settings(auto_approve_seconds=None)
    late = world.place()
    polls(ledger)
    lines = [{"salesOrderKey": late, "lineKey": line, "boxes": boxes} for line, boxes in (("1", 4), ("2", 2))]
    for line in ("1", "2"):
        of_line = [each["boxCode"] for each in labels(world, ready, line)]
        lines.append({"salesOrderKey": ready, "lineKey": line, "boxes": len(of_line), "boxCodes": of_line})
    shipment = {"key": "SH-1", "shipDate": world.day(3), "awb": AWB, "lines": lines}
    world.in_axerrio("shipments", shipments=[shipment])
    polls(ledger)
    assert_shipped(ledger, world, ready)
    assert ledger.state(late) == "ordered"
    assert shipped(world, late) == []
    world.approve()
    polls(ledger)
    assert_shipped(ledger, world, late)
    assert world.requests(ADD) == 2


@pytest.mark.thorough
def test_the_shipment_may_be_known_before_its_labels(ledger: Ledger, world: World) -> None:
    world.settings(auto_approve_seconds=0)
    key = world.place(lines=[world.line("1", boxes=2)])
    polls(ledger)
    line = {"salesOrderKey": key, "lineKey": "1", "boxes": 2, "boxCodes": ["AX-1", "AX-2"]}
    world.in_axerrio("shipments", shipments=[{"key": "SH-1", "shipDate": world.day(3), "awb": AWB, "lines": [line]}])
    polls(ledger, 2)
    assert "invalid: Line 1, shipment SH-1: its 2 boxes cannot be told from Axerrio's 0 labels" in held(ledger, key)
    of_line = {"salesOrderKey": key, "lineKey": "1", "boxCount": 2}
    world.in_axerrio(
        "labels",
        labels=[of_line | {"labelId": f"L-{n}", "boxIndex": n, "boxCode": f"AX-{n}"} for n in (1, 2)],
    )
    polls(ledger)
    assert_shipped(ledger, world, key, "1")


@pytest.mark.thorough
def test_more_labels_than_a_page_of_the_feed_holds(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1", boxes=230)]})
    ship(world, key)
    polls(ledger)
    assert_shipped(ledger, world, key, "1")
    assert world.requests(ADD) == 1


@pytest.mark.thorough
def test_a_shipment_that_was_deleted_before_it_was_told_is_forgotten(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    shipment = ship(world, key, awb=None)
    polls(ledger, 2)
    world.in_axerrio("feed/delete", feed="shipments", keys=[shipment])
    polls(ledger, 2)
    assert ledger.state(key) == "approved"
    assert world.requests(ADD) == 0
    ship(world, key)
    polls(ledger)
    assert_shipped(ledger, world, key)


@pytest.mark.thorough
def test_records_that_cannot_be_read_stop_no_other(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    world.in_axerrio("labels", labels=[{"raw": {"labelId": "L-bad", "salesOrderKey": key, "state": "eaten"}}])
    world.in_axerrio("shipments", shipments=[{"raw": {"key": "SH-bad", "version": 1, "shipDate": "soon", "lines": []}}])
    ship(world, key)
    polls(ledger)
    assert_shipped(ledger, world, key)


def test_an_order_that_this_program_fails_at_holds_up_no_other_of_its_shipment(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = approved(ledger, world, *[{"lines": [world.line("1")]}] * 2)
    ship(world, good, bad)

    def breaks(situation: Situation) -> Plan:
        if situation.wanted.key == bad:
            raise ValueError("a bug")
        return make_plan(situation)

    monkeypatch.setattr("tasks.decide.make_plan", breaks)
    for _ in range(3):
        with suppress(ValueError):
            polls(ledger, 1)
    assert (len(shipped(world, good, "1")), shipped(world, bad, "1")) == (4, [])
    assert ledger.order(bad)["last_error"] == "ValueError: see the log"
    monkeypatch.undo()
    polls(ledger, 4)
    for key in (good, bad):
        assert_shipped(ledger, world, key, "1")


# -- what Komet leaves out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("skips", ["silently", "entry"])
def test_what_komet_skips_is_told_on_its_order_and_the_others_go_on(ledger: Ledger, world: World, skips: str) -> None:
    world.settings(awb_skips=skips)
    skipped, other = approved(ledger, world, {}, {})
    (item,) = order_items(world, skipped, "2")
    world.edit(purchase_order_item_id=item["id"], product_code="GONE")
    ship(world, skipped, other)
    polls(ledger, 6)
    entries = world.http.get(f"{world.addresses['control']}/requests", params={"since": 0}).json()
    asked = [each["method"] for each in entries if each["token_last4"] == world.komet_token[-4:]]
    adds = [n for n, method in enumerate(asked) if method == ADD]
    read_back = ["purchase.order.list" in asked[one:next_one] for one, next_one in pairwise(adds)]
    assert all(read_back), "not again before the boxes were read back"
    assert_shipped(ledger, world, other)
    words = "is UNKNOWN" if skips == "entry" else "Komet skipped it without a word: it may not know its product."
    assert held(ledger, skipped).startswith("rejected: Komet refused komet.purchase.order.items.awb.add (line 2): ")
    assert words in held(ledger, skipped)
    assert world.requests(ADD) == 3
    assert len(shipped(world, skipped, "1")) == 4
    polls(ledger)
    assert world.requests(ADD) == 3


def given_by_hand(world: World, code: str) -> str:
    """A person gives a box in Komet another code; gives that one, of which we do not know."""
    change = {"authenticationToken": world.komet_token, "boxes": [{"currentBoxCode": code, "newBoxCode": "HAND-1"}]}
    assert world.http.post(f"{world.addresses['komet']}/box.code.change", json=change).json()["status"] == "1"
    return "HAND-1"


@pytest.mark.parametrize("boxes", [1, 2])
def test_a_code_that_a_box_of_another_order_carries_is_not_sent_a_second_time(
    ledger: Ledger, world: World, boxes: int
) -> None:
    """Komet may take it, and nobody could tell the two apart."""
    earlier, doubled = approved(ledger, world, *[{"lines": [world.line("1", boxes=boxes)]}] * 2)
    ship(world, earlier)
    polls(ledger)
    taken, label = codes(world, earlier, "1")[0], labels(world, doubled)[0]
    world.in_axerrio("reprint", label_id=label["labelId"], box_code=taken)
    ship(world, doubled)
    polls(ledger)
    assert held(ledger, doubled).startswith(f"invalid: Line 1, shipment SH-2: box code {taken} is another line's")
    assert len(shipped(world, doubled, "1")) == boxes - 1, "the others go"
    world.in_axerrio("reprint", label_id=label["labelId"])
    polls(ledger)
    assert_shipped(ledger, world, doubled, "1")


@pytest.mark.thorough
def test_a_code_that_another_box_has_holds_its_order_only_and_a_reprint_releases_it(
    ledger: Ledger, world: World
) -> None:
    earlier, doubled, other = approved(ledger, world, *[{"lines": [world.line("1", boxes=2)]}] * 3)
    ship(world, earlier)
    polls(ledger)
    taken, (label, _) = given_by_hand(world, codes(world, earlier, "1")[0]), labels(world, doubled)
    world.in_axerrio("reprint", label_id=label["labelId"], box_code=taken)
    ship(world, doubled, other)
    polls(ledger, 6)
    assert_shipped(ledger, world, other, "1")
    assert f"Box code {taken} already exists" in held(ledger, doubled)
    assert world.requests(ADD) == 4
    world.in_axerrio("reprint", label_id=label["labelId"])
    polls(ledger)
    assert_shipped(ledger, world, doubled, "1")


@pytest.mark.thorough
def test_one_entry_of_a_line_that_komet_refuses(make_ledger: Callable[..., Ledger], world: World) -> None:
    """Five codes an entry: the second entry of the line is refused, and only that is sent again."""
    world.settings(max_box_codes=5)
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"max_box_codes_per_item": 5}})
    earlier, doubled = approved(ledger, world, {"lines": [world.line("1")]}, {"lines": [world.line("1", boxes=7)]})
    ship(world, earlier)
    polls(ledger)
    taken, label = given_by_hand(world, codes(world, earlier, "1")[0]), labels(world, doubled)[6]
    world.in_axerrio("reprint", label_id=label["labelId"], box_code=taken)
    ship(world, doubled)
    polls(ledger, 6)
    assert len(shipped(world, doubled, "1")) == 5
    assert held(ledger, doubled).startswith("rejected: ")
    assert f"Box code {taken} already exists" in held(ledger, doubled)
    world.in_axerrio("reprint", label_id=label["labelId"])
    polls(ledger)
    assert_shipped(ledger, world, doubled, "1")


# -- fewer boxes than ordered ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["remaining", "shipped"])
@pytest.mark.thorough
def test_the_rest_of_a_line_leaves_in_a_later_shipment(
    make_ledger: Callable[..., Ledger], world: World, reading: str
) -> None:
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"split_new_item_is": reading}})
    world.settings(split_new_item_is=reading)
    named, unnamed = approved(ledger, world, {}, {})
    ship(world, named, boxes={"1": 3})
    polls(ledger, 2)
    world.settings(split_named=False)
    ship(world, unnamed, boxes={"1": 3})
    polls(ledger)
    for key in (named, unnamed):
        assert sorted(item["boxes"] for item in order_items(world, key)) == [1, 3]
        first, second = ledger.order(key)["lines"]
        assert (first["state"], second["state"]) == ("approved", "shipped")
        assert len(first["boxes_shipped"]) == 3
        assert sorted(each["boxes"] for each in first["purchase_order_items"]) == [1, 3]
        (rest,) = [item for item in order_items(world, key) if not item["shipped_boxes"]]
        (reference, _) = world.axerrio_order(key)["external_references"]["lines"]
        assert reference["purchaseOrderItemId"] == str(rest["id"]) == first["purchase_order_item_id"]
    ship(world, named, unnamed, awb="020-81140743")
    polls(ledger)
    for key in (named, unnamed):
        assert_shipped(ledger, world, key)
        awbs = sorted(box["awb"] for box in shipped(world, key, "1"))
        assert awbs == ["020-8114-0743"] + 3 * ["729-1234-5675"]
        assert states(ledger, key) == ["prebooked", "ordered", "approved", "shipped"]


@pytest.mark.thorough
def test_a_line_is_shipped_short_once_axerrio_says_that_it_left(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key, boxes={"1": 3, "2": 0})
    polls(ledger, 4)
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["approved", "approved"]
    world.in_axerrio("mark-shipped", order_keys=[key])
    polls(ledger, 1)
    assert ledger.state(key) == "shipped"
    assert len(shipped(world, key)) == 3
    assert world.requests("prebook.item.delete") == 0


# -- the air waybill -------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_an_air_waybill_that_is_temporary_or_not_known_yet_is_awaited(ledger: Ledger, world: World) -> None:
    temporary, unknown = approved(ledger, world, {}, {})
    shipments = {
        temporary: ship(world, temporary, awb="TMP-77", is_temporary=True),
        unknown: ship(world, unknown, awb=None),
    }
    polls(ledger)
    said = {temporary: "has a temporary air waybill: the real one is awaited.", unknown: "has no air waybill yet"}
    for key, shipment in shipments.items():
        assert ledger.state(key) == "approved"
        assert f"Shipment {shipment} {said[key]}" in history(ledger, key)
        world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": AWB, "isTemporaryAwb": False}])
    assert world.requests(ADD) == 0
    polls(ledger)
    for key in shipments:
        assert_shipped(ledger, world, key)


@pytest.mark.thorough
def test_a_temporary_air_waybill_goes_where_the_connection_says_so(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(send_temporary_awb=True)
    (key,) = approved(ledger, world)
    shipment = ship(world, key, awb="TMP-77", is_temporary=True)
    polls(ledger)
    assert_shipped(ledger, world, key)
    assert {box["awb"] for box in shipped(world, key)} == {"TMP-77"}
    assert "air waybill 'TMP-77' has not 11 digits; it goes as it is" in history(ledger, key)
    world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": AWB, "isTemporaryAwb": False}])
    polls(ledger, 1)
    assert held(ledger, key).startswith("conflict: Line 1: Axerrio changed shipment")


@pytest.mark.thorough
def test_a_wrong_check_digit_is_sent_as_it_is_with_a_warning(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    shipment = ship(world, first, second, awb="729-1234 5674")
    polls(ledger)
    for key in (first, second):
        assert_shipped(ledger, world, key)
        assert {box["awb"] for box in shipped(world, key)} == {"729-1234 5674"}
        assert "air waybill '729-1234 5674': its check digit is wrong; it goes as it is" in history(ledger, key)
    world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": "72912345674"}])
    polls(ledger, 2)
    assert_shipped(ledger, world, first)  # another spelling is no change


@pytest.mark.thorough
def test_what_is_too_long_for_komet_is_held_and_goes_once_it_is_mended(ledger: Ledger, world: World) -> None:
    of_awb, of_code = approved(ledger, world, {}, {})
    label = labels(world, of_code)[0]
    world.in_axerrio("reprint", label_id=label["labelId"], box_code="AX0000000000000000021")
    shipment = ship(world, of_awb, awb="729-1234 5675 and so on and so on")
    ship(world, of_code)
    polls(ledger)
    assert held(ledger, of_awb) == (
        f"invalid: Line 1, shipment {shipment}: air waybill 729-1234 5675 and so on and so on is longer than "
        "25 characters."
    )
    assert "box code AX0000000000000000021 has more than 20 characters: print another one." in held(ledger, of_code)
    assert shipped(world, of_awb) == shipped(world, of_code, "1") == []
    world.in_axerrio("reprint", label_id=label["labelId"])
    world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": AWB}])
    polls(ledger)
    for key in (of_awb, of_code):
        assert_shipped(ledger, world, key)


@pytest.mark.thorough
def test_a_lot_number_goes_where_all_labels_of_the_line_agree(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", lot_number="234232")
    (key,) = approved(ledger, world)
    label = labels(world, key, "2")[0]
    world.in_axerrio("labels", labels=[{"labelId": label["labelId"], "lotNumber": "234233"}])
    ship(world, key)
    polls(ledger)
    assert_shipped(ledger, world, key)
    assert {box["lot"] for box in shipped(world, key, "1")} == {"234232"}
    assert not {box["lot"] for box in shipped(world, key, "2")} & {"234232", "234233"}


# -- not before its time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["allowed", "wait"])
def test_an_order_born_in_komet_may_leave_while_its_purchase_order_is_pending(
    make_ledger: Callable[..., Ledger], world: World, reading: str
) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    world.settings(awb_while_pending="allowed" if reading == "allowed" else "refused")
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"awb_while_pending": reading}})
    sold = world.sell_in_komet()
    polls(ledger, 4)
    key = ledger.order(f"prebook:{sold['number']}")["axerrio"]["key"]
    assert ledger.state(key) == "ordered"
    ship(world, key)
    polls(ledger)
    assert world.requests(ADD) == (reading == "allowed")
    assert len(shipped(world, key)) == (6 if reading == "allowed" else 0)
    world.approve()
    polls(ledger, 4)
    assert_shipped(ledger, world, key)
    assert world.requests(ADD) == 1


def test_an_order_that_axerrio_closes_goes_on_until_all_that_left_stands_in_komet(ledger: Ledger, world: World) -> None:
    """Labels may be told late, and procurement may be late; a shipment may even come after the order was closed."""
    early, late = approved(ledger, world, *[{"lines": [world.line("1")]}] * 2)
    world.settings(auto_approve_seconds=None)
    pending = world.place(lines=[world.line("1")])
    polls(ledger)
    shipment = ship(world, early, awb="TMP-77", is_temporary=True)
    codes_of = [f"{pending}-{n}" for n in (1, 2, 3, 4)]
    label = {"salesOrderKey": pending, "lineKey": "1", "boxCount": 4, "state": "printed"}
    printed = [label | {"labelId": code, "boxCode": code, "boxIndex": n} for n, code in enumerate(codes_of, 1)]
    world.in_axerrio("labels", labels=printed)
    line = {"salesOrderKey": pending, "lineKey": "1", "boxes": 4, "boxCodes": codes_of}
    world.in_axerrio("shipments", shipments=[{"key": "SH-9", "shipDate": world.day(3), "awb": AWB, "lines": [line]}])
    polls(ledger)
    for key in (early, late, pending):
        world.place(key=key, status="closed")
    polls(ledger)
    assert [ledger.state(key) for key in (early, late, pending)] == ["approved", "closed", "ordered"]
    world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": AWB, "isTemporaryAwb": False}])
    ship(world, late)
    world.approve()
    polls(ledger, 4)
    for key in (early, late, pending):
        assert len(shipped(world, key, "1")) == 4, ledger.order(key)["reason"]
        assert ledger.state(key) == "closed"


def test_a_conflict_over_what_left_outlives_that_axerrio_closes_the_order(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1")]})
    shipment = ship(world, key)
    polls(ledger)
    world.in_axerrio("shipments", shipments=[{"key": shipment, "awb": "020-81140743"}])
    polls(ledger)
    assert "020-81140743" in held(ledger, key)
    world.place(key=key, status="closed")
    polls(ledger)
    assert "020-81140743" in held(ledger, key)
    decide(ledger, key, "theirs")
    polls(ledger, 1)
    assert ledger.state(key) == "closed"


def test_boxes_that_are_scanned_onto_a_shipment_piece_by_piece_are_told_as_they_come(
    ledger: Ledger, world: World
) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1")]})
    all_of_it = codes(world, key, "1")
    for count in (1, 3, 4):
        line = {"salesOrderKey": key, "lineKey": "1", "boxes": count, "boxCodes": all_of_it[:count]}
        shipment = {"key": "SH-9", "shipDate": world.day(3), "awb": AWB, "lines": [line]}
        world.in_axerrio("shipments", shipments=[shipment])
        polls(ledger)
        assert ledger.state(key) == ("shipped" if count == 4 else "approved"), ledger.order(key)["reason"]
        assert sorted(box["code"] for box in shipped(world, key, "1")) == all_of_it[:count]
    assert world.requests(ADD) == 3


# -- what changes after it left --------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_change_after_it_was_told_is_a_conflict_until_a_person_decides(ledger: Ledger, world: World) -> None:
    changes: dict[str, Json] = {
        "air waybill 729-1234-5675 → 020-81140743": {"awb": "020-81140743"},
        "house air waybill  → CM-93242111": {"houseAwb": "CM-93242111"},
        f"ship date {world.day(3)} → {world.day(4)}": {"shipDate": world.day(4)},
        "boxes 4 → 3": {},
        "withdrew": {},
    }
    keys = dict(zip(changes, approved(ledger, world, *[{"lines": [world.line("1")]}] * len(changes)), strict=True))
    shipments = {what: ship(world, key) for what, key in keys.items()}
    polls(ledger)
    calls = world.requests(ADD)
    for what, shipment in shipments.items():
        (line,) = next(each for each in world.tenant["shipments"] if each["key"] == shipment)["lines"]
        fewer = {"lines": [line | {"boxes": 3, "boxCodes": line["boxCodes"][:3]}]}
        if what == "withdrew":
            world.in_axerrio("feed/delete", feed="shipments", keys=[shipment])
        else:
            world.in_axerrio("shipments", shipments=[{"key": shipment} | (changes[what] or fewer)])
    polls(ledger, 2)
    for what, key in keys.items():
        assert held(ledger, key).startswith("conflict: Line 1: Axerrio ")
        assert what in held(ledger, key)
        decide(ledger, key, "theirs")
    polls(ledger, 2)
    for key in keys.values():
        assert_shipped(ledger, world, key, "1")
    assert world.requests(ADD) == calls


@pytest.mark.thorough
def test_a_shipment_in_place_of_one_that_was_withdrawn_says_the_same_or_is_a_conflict(
    ledger: Ledger, world: World
) -> None:
    keys = same, other = approved(ledger, world, *[{"lines": [world.line("1")]}] * 2)
    withdrawn = [ship(world, key) for key in keys]
    polls(ledger)
    calls = world.requests(ADD)
    world.in_axerrio("feed/delete", feed="shipments", keys=withdrawn)
    for key, awb in ((same, AWB), (other, "020-81140743")):
        ship(world, key, awb=awb)
    polls(ledger, 1)
    decide(ledger, other, "theirs")
    polls(ledger, 1)
    assert "(air waybill 729-1234-5675 → 020-81140743)" in held(ledger, other)
    decide(ledger, other, "theirs")
    for key in keys:
        assert_shipped(ledger, world, key, "1")
    assert world.requests(ADD) == calls


def test_a_box_that_leaves_again_belongs_to_its_later_shipment(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1", boxes=1)]})
    ship(world, key)
    polls(ledger)
    with ledger.runtime.sessions.begin() as session:
        first = session.scalars(select(WriteLine).where(WriteLine.kind == Kind.AWB_ADD)).one()
        assert first.sent is not None
        says = first.sent | {"shipment": "SH-2", "awb": "020-8114-0743"}
        moment = now(session)
        write = Write(
            connection_id=first.write.connection_id,
            order_id=first.write.order_id,
            kind=Kind.AWB_ADD,
            state=WriteState.DONE,
            order_sequence=1,
            body={},
            idempotency_key="later",
            sent_at=moment,
            settled_at=moment,
            lines=[WriteLine(line_id=first.line_id, kind=Kind.AWB_ADD, is_open=False, sent=says)],
        )
        session.add(write)
        session.flush()
        for line in (*write.lines, first):  # a later look may take the first call for done once more
            record_boxes(session, line.write, line, says["items"][0], says["items"][0]["item_id"])
        box = session.scalars(select(Box)).one()
        assert (box.shipment_key, box.awb) == ("SH-2", "020-8114-0743")


def test_boxes_that_somebody_shipped_by_hand_are_a_conflict_until_a_person_decides(
    ledger: Ledger, world: World
) -> None:
    (key,) = approved(ledger, world)
    (item,) = order_items(world, key, "2")
    by_hand = [{"poItemId": item["id"], "awb": "020-8114-0743", "shipDate": world.day(3), "boxCodes": ["H-1", "H-2"]}]
    in_komet(world, ADD, poItems=by_hand)
    polls(ledger, 2)
    assert "conflict: Line 2: Komet shows boxes that were not sent from here (H-1, H-2)" in held(ledger, key)
    ship(world, key)
    polls(ledger)
    assert len(shipped(world, key, "1")) == 4, "the other line leaves"
    decide(ledger, key, "theirs")
    assert ledger.state(key) == "shipped"
    assert [box["code"] for box in shipped(world, key, "2")] == ["H-1", "H-2"]


def in_komet(world: World, method: str, **fields: Any) -> None:
    """The vendor himself, on his own screen: the same call, with nothing of it in our books."""
    body = {"authenticationToken": world.komet_token} | fields
    answer = world.http.post(f"{world.addresses['komet']}/{method}", json=body)
    assert answer.json()["status"] == "1", answer.text


# -- no answer -------------------------------------------------------------------------------------------------


def test_an_air_waybill_whose_answer_was_lost_is_adopted_by_its_boxes(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    world.fault("lost_answer", ADD, times=1)
    ship(world, first, second)
    polls(ledger)
    for key in (first, second):
        assert_shipped(ledger, world, key)
    assert world.requests(ADD) == 1


@pytest.mark.thorough
def test_an_air_waybill_that_never_arrived_is_held_until_proof_is_earned_and_then_goes_again(
    ledger: Ledger, world: World
) -> None:
    lost, other, earning = approved(ledger, world, {}, {}, {})
    world.fault("reset_before", ADD, times=1)
    ship(world, lost, other)
    polls(ledger, 6)
    for key in (lost, other):
        assert held(ledger, key).startswith("in_doubt: Komet did not answer to the air waybill, and does not show it;")
    assert world.requests(ADD) == 1
    ship(world, earning, awb="020-81140743")
    polls(ledger, 5)
    for key in (lost, other, earning):
        assert_shipped(ledger, world, key)
    assert ledger.writes(lost, AWB_ADD) in (["absent", "done"], ["absent"])
    assert world.requests(ADD) == 3


@pytest.mark.thorough
def test_with_proof_it_goes_again_only_after_two_looks(ledger: Ledger, world: World) -> None:
    earning, lost = approved(ledger, world, {}, {})
    ship(world, earning)
    polls(ledger)
    world.fault("error_before", ADD, times=1)
    ship(world, lost)
    polls(ledger, 3)
    assert world.requests(ADD) == 2, "not within the grace"
    polls(ledger, 3)
    assert_shipped(ledger, world, lost)
    assert ledger.writes(lost, AWB_ADD) == ["absent", "done"]
    assert world.requests(ADD) == 3


def test_what_komet_refused_may_show_late_and_goes_again_after_the_grace(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(timing={"grace": 300})
    (key,) = approved(ledger, world)
    world.fault("refuse", ADD, times=1)
    ship(world, key)
    polls(ledger, 4)
    assert world.requests(ADD) == 1, "not within the grace"
    polls(ledger, 5)
    assert_shipped(ledger, world, key)
    assert world.requests(ADD) == 2


@pytest.mark.thorough
def test_an_order_for_which_komet_refuses_a_whole_call_holds_up_no_other(ledger: Ledger, world: World) -> None:
    bad, good = approved(ledger, world, {}, {})
    lot = [{"labelId": each["labelId"], "lotNumber": "9" * 25} for each in labels(world, bad)]
    world.in_axerrio("labels", labels=lot)
    ship(world, bad, good)
    polls(ledger, 6)
    assert_shipped(ledger, world, good)
    assert held(ledger, bad).startswith("rejected: Komet refused komet.purchase.order.items.awb.add (line 1): ")
    assert world.requests(ADD) == 3, "once together, then each alone"


@pytest.mark.parametrize("reading", ["shipped", "remaining"])
def test_a_list_that_shows_a_split_before_its_call_is_settled_counts_no_box_twice(
    make_ledger: Callable[..., Ledger], world: World, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"split_new_item_is": reading}})
    world.settings(split_new_item_is=reading)
    (key,) = approved(ledger, world)
    settle = tasks.settle._settle_done

    def late(*call: Any, decides: bool) -> Any:
        with ledger.runtime.sessions.begin() as session:
            of_day = (Scope.feed == Feed.KOMET_PURCHASE_ORDERS, Scope.key == world.day(3))
            scope = session.scalars(select(Scope).where(*of_day)).one()
            scope.due_at = now(session)
        observe(ledger.runtime, scope.id)
        return settle(*call, decides=decides)

    monkeypatch.setattr("tasks.settle._settle_done", late)
    ship(world, key, boxes={"1": 1})
    polls(ledger)
    (line, _) = ledger.order(key)["lines"]
    assert sorted(each["boxes"] for each in line["purchase_order_items"]) == [1, 3]
    assert ledger.reason(key) is None, ledger.order(key)["reason"]
