"""Mixed boxes: bought through a call of their own, onto the same purchase order as the plain lines, once."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sync.books import (
    assert_every_line_once,
    assert_in_step,
    axerrio_boxes,
    axerrio_order,
    every_trouble,
)
from tests.sync.conftest import Ledger
from tests.sync.test_mapping import NEW, komets_own, map_here, map_in_komet, waits
from tests.world import World


def breakdown(world: World, **bunches: int) -> list[dict[str, Any]]:
    """What is in a box, by article code."""
    return [
        {
            "article": {"key": code, "code": code, "description": f"{code} by name"},
            "bunches": count,
            "stemsPerBunch": 25,
            "unitCost": "7.00",
            "unitPrice": "8.75",
        }
        for code, count in bunches.items()
    ]


def parts(item: dict[str, Any]) -> dict[str, int]:
    """What Komet has in a box, by product code."""
    return {part["product_code"]: part["bunches"] for part in item["breakdowns"]}


def test_plain_and_mixed_lines_stand_on_one_purchase_order(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1"), world.mixed("2")])
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    whole = assert_every_line_once(world, key)
    assert len(world.company["purchase_orders"]) == 1
    assert parts(whole["2"][2]) == {"RFREE50": 5, "RMOND50": 3}
    assert world.requests("purchase.order.create") == world.requests("purchase.order.mixed.create") == 1
    world.approve()
    ledger.live(60)
    assert ledger.state(key) == "approved"


def test_an_order_of_mixed_boxes_alone(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.mixed("1"), world.mixed("2", boxes=3)])
    ledger.live(90)
    assert ledger.state(key) == "ordered"
    assert_every_line_once(world, key)
    assert world.requests("purchase.order.create") == 0
    assert world.requests("purchase.order.mixed.create") == len(world.company["purchase_orders"]) == 1


@pytest.mark.thorough
def test_two_ship_dates_get_two_purchase_orders(ledger: Ledger, world: World) -> None:
    later = {"departureDate": world.day(4)}
    lines = [world.line("1"), world.mixed("2"), world.mixed("3", **later), world.line("4", boxes=1, **later)]
    key = world.place(lines=lines)
    ledger.live(150)
    assert ledger.state(key) == "ordered"
    days = {line: order["ship_date"] for line, (_, order, _) in assert_every_line_once(world, key).items()}
    assert days == {"1": world.day(3), "2": world.day(3), "3": world.day(4), "4": world.day(4)}
    assert len(world.company["purchase_orders"]) == 2


def test_a_company_that_links_by_the_breakdown(make_ledger: Callable[..., Ledger], world: World) -> None:
    world.settings(mixed_link="breakdown")
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"mixed_link": "breakdown"}})
    key = world.place(lines=[world.line("1"), world.mixed("2")])
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert_every_line_once(world, key)


@pytest.mark.parametrize("where", ["there", "here"])
def test_a_component_that_komet_does_not_know_parks_its_line_only(ledger: Ledger, world: World, where: str) -> None:
    strange = world.mixed("2", breakdown=breakdown(world, RFREE50=5, NEW1=3))
    key = world.place(lines=[world.line("1"), strange])
    ledger.live(90)
    assert waits(ledger, key)
    assert "NEW1" in ledger.order(key)["reason"]["message"]
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["ordered", "mapping_required"]
    assert world.requests("purchase.order.mixed.create") == 0
    map_in_komet(world) if where == "there" else map_here(ledger)
    ledger.live(150)
    assert ledger.state(key) == "ordered"
    item, _, _ = assert_every_line_once(world, key)["2"]
    assert parts(item) == {"RFREE50": 5, "NEW1" if where == "there" else "RMOND50": 3}
    assert len(world.company["purchase_orders"]) == 1


def test_a_component_that_komet_refuses_is_the_one_that_is_asked_for(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    key = world.place(lines=[world.mixed("1", breakdown=breakdown(world, RFREE50=5, NEW1=3))])
    ledger.live(90)
    assert waits(ledger, key)
    assert ledger.order(key)["reason"]["next_command"].startswith("axkomet mapping set miami NEW1 ")
    map_here(ledger)
    ledger.live(90)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_a_component_that_is_known_to_be_unknown_waits_for_the_same_mapping(ledger: Ledger, world: World) -> None:
    plain = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    named = breakdown(world, RFREE50=5, NEW1=3)
    named[1]["article"] = NEW
    mixed = world.place(lines=[world.mixed("1", breakdown=named)])
    ledger.live(60)
    assert waits(ledger, mixed)
    assert len(world.company["prebooks"]) == 1
    map_here(ledger)
    ledger.live(150)
    for key in (plain, mixed):
        assert_every_line_once(world, key)


def test_two_boxes_of_one_name_are_told_apart_by_what_is_in_them(ledger: Ledger, world: World) -> None:
    lines = [
        world.mixed("1", breakdown=breakdown(world, RFREE50=5, RMOND50=3)),
        world.mixed("2", breakdown=breakdown(world, RFREE50=3, RMOND50=5)),
    ]
    key = world.place(lines=lines)
    ledger.live(90)
    whole = assert_every_line_once(world, key)
    for each in (0, 2):
        assert parts(whole["1"][each]) == {"RFREE50": 5, "RMOND50": 3}
        assert parts(whole["2"][each]) == {"RFREE50": 3, "RMOND50": 5}


def test_a_breakdown_that_does_not_add_up_is_held_and_nothing_is_sent(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.mixed("1", breakdown=breakdown(world, RFREE50=5, RMOND50=2))])
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "invalid")
    message = ledger.order(key)["reason"]["message"]
    assert "breakdown adds up to 7 bunches" in message
    assert "bunches per box is 8" in message
    assert world.requests("prebook.create") == 0
    world.place(key=key, lines=[world.mixed("1")])
    ledger.live(90)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_no_trouble_at_the_mixed_create_loses_or_doubles_a_box(ledger: Ledger, world: World) -> None:
    first = world.place(lines=[world.mixed("1")])
    ledger.live(90)
    assert ledger.state(first) == "ordered", "proof is earned"
    with every_trouble(world, "purchase.order.mixed.create") as kinds:
        keys = [world.place(lines=[world.line("1"), world.mixed("2")]) for _ in kinds]
        ledger.live(60)
        ledger.live(360, pace=60)
    for key in keys:
        assert ledger.state(key) == "ordered", ledger.order(key)["reason"]
        assert_every_line_once(world, key)


def test_a_mixed_create_without_an_answer_is_adopted_before_proof_was_earned(ledger: Ledger, world: World) -> None:
    world.fault("truncated", "purchase.order.mixed.create", times=1)
    key = world.place(lines=[world.mixed("1")])
    ledger.live(120)
    assert_every_line_once(world, key)
    assert world.requests("purchase.order.mixed.create") == 1


@pytest.mark.thorough
def test_a_mixed_box_that_is_changed_is_made_anew(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1"), world.mixed("2")])
    ledger.live(120)
    changed = world.mixed("2", breakdown=breakdown(world, RFREE50=2, RMOND50=6))
    world.place(key=key, lines=[world.line("1"), changed])
    ledger.live(180)
    whole = assert_every_line_once(world, key)
    assert parts(whole["2"][2]) == {"RFREE50": 2, "RMOND50": 6}
    assert whole["1"][1]["number"] == whole["2"][1]["number"]


# -- born in Komet ---------------------------------------------------------------------------------------------


def mixed_item(world: World, *descriptions: str) -> dict[str, Any]:
    """A box that a Komet user sells, of these products."""
    return world.item(
        product_code="MIXROSE",
        product_description="Mixed roses 50 cm",
        unit_type="Bunch",
        breakdowns=[{"product_description": each, "bunches": 5, "stems_bunch": 25} for each in descriptions],
    )


def test_mixed_boxes_of_a_prebook_born_in_komet(ledger: Ledger, world: World) -> None:
    box = mixed_item(world, "Rose Freedom 50 cm", "Rose Mondial 50 cm")
    sold = world.sell_in_komet(items=[world.item(), box])
    ledger.live(120)
    order = assert_in_step(world, sold)
    in_box = [part["article"]["code"] for part in order["lines"][1]["breakdown"]]
    assert in_box == ["RFREE50", "RMOND50"]
    assert world.requests("purchase.order.mixed.create") == 1
    assert len(world.company["purchase_orders"]) == 1


def test_the_order_in_which_komet_lists_items_is_no_change(ledger: Ledger, world: World) -> None:
    world.settings(shuffles=True)
    box = mixed_item(world, *(f"Rose {name} 50 cm" for name in ("Freedom", "Mondial")))
    sold = world.sell_in_komet(items=[world.item(), box, world.item(boxes=7), box | {"boxes": 5}])
    ledger.live(60, pace=5)
    order = assert_in_step(world, sold)
    assert len(order["lines"]) == 4
    writes = ("PUT inbound-orders", "purchase.order.mixed.create", "purchase.order.item.delete")
    asked = {name: world.requests(name) for name in writes}
    ledger.live(120, pace=5)
    assert {name: world.requests(name) for name in asked} == asked


@pytest.mark.thorough
def test_a_component_that_axerrio_does_not_know_parks_its_line_only(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", knows_all_articles=False)
    komets_own(world, "Komet rose")
    sold = world.sell_in_komet(items=[world.item(), mixed_item(world, "Rose Freedom 50 cm", "Komet rose")])
    ledger.live(120)
    key = str(sold["number"])
    assert waits(ledger, key)
    assert "--product-description 'Komet rose'" in ledger.order(key)["reason"]["next_command"]
    assert axerrio_boxes(world, sold) == {str(sold["item_ids"][0]): 4}
    map_here(ledger, product_code=None, product_description="Komet rose", article="RMOND50")
    ledger.live(120)
    assert_in_step(world, sold)
    in_box = [part["article"]["code"] for part in axerrio_order(world, sold)["lines"][1]["breakdown"]]
    assert in_box == ["RFREE50", "RMOND50"]
