"""Every box carries its label's code in Komet: whichever names it in the shipment, and whenever it was printed anew."""

import pytest

from tests.sync.conftest import Ledger
from tests.sync.docks import (
    AWB,
    approved,
    assert_shipped,
    codes,
    held,
    labels,
    polls,
    ship,
    shipped,
    states,
)
from tests.world import World

CHANGE = "box.code.change"
ADD = "purchase.order.items.awb.add"


def box_codes(world: World, key: str, *lines: str) -> list[str]:
    """Codes that Komet shows."""
    return [box["code"] for box in shipped(world, key, *lines)]


def reprint(world: World, key: str, *, line: str = "1", box: int = 1) -> tuple[str, str]:
    """A label is printed again with another code; gives the old and the new one."""
    label = labels(world, key, line)[box - 1]
    return label["boxCode"], world.in_axerrio("reprint", label_id=label["labelId"])["box_code"]


# -- which label a box has -------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_reprint_before_it_left_is_what_komet_gets(ledger: Ledger, world: World) -> None:
    by_code, by_label, unknown = approved(ledger, world, {}, {}, {})
    ship(world, by_code, awb=None)
    ship(world, by_label, awb=None, with_label_ids=True)
    shipment = ship(world, unknown, awb=None)
    (line, other) = next(each for each in world.tenant["shipments"] if each["key"] == shipment)["lines"]
    never_seen = line | {"boxCodes": ["AX-LOST", *line["boxCodes"][1:]]}
    world.in_axerrio("shipments", shipments=[{"key": shipment, "lines": [never_seen, other]}])
    polls(ledger, 1)
    for key in (by_code, by_label):
        reprint(world, key, box=2)
    for each in world.tenant["shipments"]:
        world.in_axerrio("shipments", shipments=[{"key": each["key"], "awb": AWB}])
    polls(ledger)
    for key in (by_code, by_label, unknown):
        assert_shipped(ledger, world, key)
    assert world.requests(CHANGE) == 0


@pytest.mark.thorough
def test_codes_that_no_label_has_wait_until_they_can_be_told(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    line = {"salesOrderKey": key, "lineKey": "1", "boxes": 2, "boxCodes": ["AX-LOST-1", "AX-LOST-2"]}
    shipment = {"key": "SH-1", "shipDate": world.day(3), "awb": AWB, "lines": [line]}
    world.in_axerrio("shipments", shipments=[shipment])
    polls(ledger)
    assert "invalid: Line 1, shipment SH-1: its 2 boxes cannot be told from Axerrio's 4 labels" in held(ledger, key)
    assert world.requests(ADD) == 0
    of_line = labels(world, key)
    whole = line | {"boxes": 4, "boxCodes": ["AX-LOST-1", of_line[1]["boxCode"], "AX-LOST-2", of_line[3]["boxCode"]]}
    rest = {
        "salesOrderKey": key,
        "lineKey": "2",
        "boxes": 2,
        "labelIds": [each["labelId"] for each in labels(world, key, "2")],
    }
    world.in_axerrio("shipments", shipments=[{"key": "SH-1", "lines": [whole, rest]}])
    polls(ledger)
    assert_shipped(ledger, world, key)


@pytest.mark.thorough
def test_a_voided_label_holds_its_box_until_it_has_a_successor(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1")]})
    label = labels(world, key)[2]
    ship(world, key, awb=None)
    world.in_axerrio("void", label_ids=[label["labelId"]])
    polls(ledger, 1)
    world.in_axerrio("shipments", shipments=[{"key": world.tenant["shipments"][0]["key"], "awb": AWB}])
    polls(ledger)
    assert "cannot be told from Axerrio's 4 labels" in held(ledger, key)
    successor = label | {"labelId": "L-next", "boxCode": "AX-NEXT", "state": "printed"}
    world.in_axerrio("labels", labels=[{k: v for k, v in successor.items() if k not in ("version", "sequence")}])
    polls(ledger)
    assert_shipped(ledger, world, key, "1")
    assert "AX-NEXT" in box_codes(world, key, "1")


def test_a_box_waits_for_a_newer_version_of_its_label_that_cannot_be_read(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1", boxes=1)]})
    polls(ledger, 1)
    (label,) = labels(world, key)
    place = {"version": label["version"] + 1, "boxCode": "AX-NEW"}
    newer = {name: value for name, value in label.items() if name != "sequence"} | place
    world.in_axerrio("labels", labels=[{"raw": newer | {"state": "eaten"}}])
    line = {"salesOrderKey": key, "lineKey": "1", "boxes": 1, "boxCodes": ["AX-NEW"]}
    shipment = {"key": "SH-1", "shipDate": world.day(3), "awb": AWB, "lines": [line]}
    world.in_axerrio("shipments", shipments=[shipment])
    polls(ledger)
    assert f"Axerrio's newest label of box {label['boxCode']} cannot be read" in held(ledger, key)
    assert world.requests(ADD) == 0
    world.in_axerrio("labels", labels=[{"raw": newer}])
    polls(ledger)
    assert_shipped(ledger, world, key, "1")
    assert box_codes(world, key, "1") == ["AX-NEW"]


def test_boxes_wait_for_a_newer_version_of_their_shipment_that_cannot_be_read(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world, {"lines": [world.line("1", boxes=1)]})
    line = {"salesOrderKey": key, "lineKey": "1", "boxes": 1}
    shipment = {"key": "SH-1", "shipDate": world.day(3), "awb": "", "lines": [line]}
    world.in_axerrio("shipments", shipments=[shipment])
    polls(ledger)
    newer = shipment | {"version": 7, "isDeleted": False, "awb": AWB}
    world.in_axerrio("shipments", shipments=[{"raw": newer | {"shipDate": "soon"}}])
    polls(ledger)
    assert world.requests(ADD) == 0
    world.in_axerrio("shipments", shipments=[{"raw": newer}])
    polls(ledger)
    assert_shipped(ledger, world, key, "1")


# -- printed anew after it left --------------------------------------------------------------------------------


def test_reprints_of_several_orders_of_a_shipment_change_in_one_call(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    ship(world, first, second)
    polls(ledger)
    for key, line in ((first, "1"), (first, "2"), (second, "1")):
        reprint(world, key, line=line)
    polls(ledger, 2)
    for key in (first, second):
        assert_shipped(ledger, world, key)
        assert states(ledger, key)[-3:] == ["shipped", "approved", "shipped"]
        assert "held" not in states(ledger, key)
    assert world.requests(CHANGE) == 1
    assert world.requests(ADD) == 1


@pytest.mark.thorough
def test_a_box_whose_code_cannot_be_changed_holds_its_order_only(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    ship(world, first, second)
    polls(ledger)
    taken = codes(world, second)[0]
    label = labels(world, first)[0]
    world.in_axerrio("reprint", label_id=label["labelId"], box_code=taken)
    reprint(world, second, line="2")
    polls(ledger, 4)
    assert_shipped(ledger, world, second)
    assert held(ledger, first).startswith("rejected: Komet refused komet.box.code.change (line 1): box ")
    assert f"→ {taken}: Box code already exists" in held(ledger, first)
    assert world.requests(CHANGE) == 3
    world.in_axerrio("reprint", label_id=label["labelId"])
    polls(ledger, 2)
    assert_shipped(ledger, world, first)


@pytest.mark.thorough
def test_a_code_that_a_person_changed_to_the_labels_own_is_done(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    old, new = reprint(world, key)
    by_hand = {"authenticationToken": world.komet_token, "boxes": [{"currentBoxCode": old, "newBoxCode": new}]}
    assert world.http.post(f"{world.addresses['komet']}/{CHANGE}", json=by_hand).json()["status"] == "1"
    polls(ledger)
    assert_shipped(ledger, world, key)
    assert "held" not in states(ledger, key)


@pytest.mark.thorough
def test_a_box_that_left_with_a_voided_label_is_held_until_it_has_a_successor(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    label = labels(world, key)[0]
    world.in_axerrio("void", label_ids=[label["labelId"]])
    polls(ledger, 1)
    assert "invalid: Line 1: the label of box" in held(ledger, key)
    successor = label | {"labelId": "L-next", "boxCode": "AX-NEXT"}
    world.in_axerrio("labels", labels=[{k: v for k, v in successor.items() if k not in ("version", "sequence")}])
    polls(ledger)
    assert_shipped(ledger, world, key)
    assert "AX-NEXT" in box_codes(world, key)


@pytest.mark.thorough
def test_a_new_code_that_is_too_long_is_held_and_nothing_is_sent(ledger: Ledger, world: World) -> None:
    (key,) = approved(ledger, world)
    ship(world, key)
    polls(ledger)
    label = labels(world, key)[0]
    world.in_axerrio("reprint", label_id=label["labelId"], box_code="AX0000000000000000021")
    polls(ledger, 2)
    words = "invalid: Line 1: box code AX0000000000000000021 has more than 20 characters: print another one."
    assert held(ledger, key) == words
    assert world.requests(CHANGE) == 0


# -- no answer -------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_change_of_codes_whose_answer_was_lost_is_adopted_by_its_boxes(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    ship(world, first, second)
    polls(ledger)
    for key in (first, second):
        reprint(world, key)
    world.fault("lost_answer", CHANGE, times=1)
    polls(ledger)
    for key in (first, second):
        assert_shipped(ledger, world, key)
    assert world.requests(CHANGE) == 1


@pytest.mark.thorough
def test_a_change_of_codes_that_never_arrived_goes_again_once_the_old_code_was_seen_twice(
    ledger: Ledger, world: World
) -> None:
    first, second = approved(ledger, world, {}, {})
    ship(world, first, second)
    polls(ledger)
    for key in (first, second):
        reprint(world, key)
    world.fault("reset_before", CHANGE, times=1)
    polls(ledger, 2)
    assert world.requests(CHANGE) == 1
    polls(ledger, 4)
    for key in (first, second):
        assert_shipped(ledger, world, key)
    assert world.requests(CHANGE) == 2
