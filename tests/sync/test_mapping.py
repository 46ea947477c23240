"""Products that the other system does not know: their lines wait, and go on once they are mapped, either way."""

from typing import Any

import pytest

from tasks.mapping import Wanted, set_mappings
from tests.sync.books import (
    Json,
    assert_every_line_once,
    assert_in_step,
    axerrio_boxes,
    axerrio_order,
    bought,
    stands,
)
from tests.sync.conftest import Ledger
from tests.world import World

NEW = {"key": "A-7", "code": "NEW1", "description": "New rose"}
OTHER = {"key": "A-8", "code": "NEW2", "description": "Another rose"}


def map_in_komet(world: World, code: str = "NEW1") -> None:
    """A Komet user maps the red line on the screen."""
    product = {"code": f"K{code}", "description": f"Komet's {code}"}
    world.control("map", company_token=world.komet_token, code=code, product=product)


def map_here(ledger: Ledger, article: str = "NEW1", **product: str | None) -> None:
    """An admin gives the mapping."""
    names: dict[str, str | None] = {"product_code": "RMOND50", "product_description": "Rose Mondial 50 cm"}
    (connection_id,) = ledger.runtime.connections
    set_mappings(ledger.runtime.sessions, [Wanted(connection_id, article, **(names | product))], "admin")


def waits(ledger: Ledger, key: str) -> bool:
    return (ledger.state(key), ledger.reason(key)) == ("mapping_required", "mapping_required")


# -- Komet takes it and marks it UNKNOWN -----------------------------------------------------------------------


def test_only_the_unknown_line_waits(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1"), world.line("2", article=NEW)])
    ledger.live(90)
    world.approve()
    ledger.live(60)
    assert waits(ledger, key)
    assert "NEW1" in ledger.order(key)["reason"]["message"]
    assert ledger.order(key)["reason"]["next_command"].startswith("axkomet mapping set miami NEW1 ")
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["approved", "mapping_required"]
    assert world.axerrio_order(key)["procurement_status"]["status"] == "approved"
    (purchase_order,) = world.company["purchase_orders"]
    assert [item["product_code"] for item in purchase_order["items"]] == ["RFREE50"]


def test_mapped_on_komets_screen_it_goes_on_as_it_stands(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1"), world.line("2", article=NEW)])
    ledger.live(90)
    assert waits(ledger, key)
    map_in_komet(world)
    ledger.live(90)
    assert ledger.state(key) == "ordered"
    assert_every_line_once(world, key)
    assert world.requests("prebook.create") == 1
    assert world.requests("prebook.item.delete") == 0
    assert len(world.company["purchase_orders"]) == 1, "it joins the pending one"


@pytest.mark.thorough
@pytest.mark.parametrize("shown", ["unknown", "sent"])
def test_mapped_here_its_item_is_made_anew_under_the_mapped_code(ledger: Ledger, world: World, shown: str) -> None:
    world.settings(unknown_shown_as=shown)
    key = world.place(lines=[world.line("1"), world.line("2", article=NEW)])
    ledger.live(90)
    map_here(ledger)
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    item, _, _ = assert_every_line_once(world, key)["2"]
    assert (item["product_code"], item["mapped"]) == ("RMOND50", True)
    assert world.requests("prebook.item.delete") == 1
    assert world.requests("prebook.create") == 2


def test_a_later_order_uses_the_mapping_at_once(ledger: Ledger, world: World) -> None:
    map_here(ledger)
    key = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(90)
    item, _, _ = assert_every_line_once(world, key)["1"]
    assert item["product_code"] == "RMOND50"


@pytest.mark.thorough
def test_a_mapping_for_a_product_that_komet_does_not_know_either_is_tried_once(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    map_here(ledger, product_code="WRONG", product_description=None)
    ledger.live(360, pace=120)
    assert waits(ledger, key)
    assert world.requests("prebook.create") == 2
    map_here(ledger)
    ledger.live(120)
    assert_every_line_once(world, key)


def test_a_mapping_that_comes_for_a_line_that_stands_changes_nothing(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(90)
    map_here(ledger, "RFREE50")
    world.place(key=key, comments="a newer version")
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert world.requests("prebook.item.delete") == 0


# -- one item an article is enough -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["there", "here"])
def test_one_mapping_releases_every_order_that_waits_for_it_and_no_other(
    ledger: Ledger, world: World, where: str
) -> None:
    first = world.place(lines=[world.line("1", article=NEW)])
    other = world.place(lines=[world.line("1", article=OTHER)])
    ledger.live(60)
    later = [world.place(lines=[world.line("1"), world.line("2", article=NEW)]) for _ in range(2)]
    ledger.live(60)
    assert all(waits(ledger, key) for key in (first, other, *later))
    unmapped = [i for each in world.company["prebooks"] for i in each["items"] if not i["mapped"]]
    assert len(unmapped) == 2, "a line whose article is known to be unmapped waits without an item of its own"
    map_in_komet(world) if where == "there" else map_here(ledger)
    ledger.live(120)
    for key in (first, *later):
        assert ledger.state(key) == "ordered", ledger.order(key)["reason"]
        assert_every_line_once(world, key)
    assert waits(ledger, other)


@pytest.mark.thorough
def test_when_the_order_that_holds_the_item_is_cancelled_another_makes_its_own(ledger: Ledger, world: World) -> None:
    first = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    second = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    world.place(key=first, status="cancelled")
    ledger.live(120)
    assert ledger.state(first) == "cancelled"
    assert waits(ledger, second)
    item, _, _ = stands(world, second)["1"]
    assert (item["product_code"], item["mapped"], item["boxes"]) == ("NEW1", False, 4)
    map_in_komet(world)
    ledger.live(90)
    assert_every_line_once(world, second)


def test_an_item_that_left_days_ago_says_nothing_of_its_article(ledger: Ledger, world: World) -> None:
    world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    ledger.pass_time(6 * 86_400)  # it left, and Komet lists it no more
    key = world.place(departureDate=world.day(12), truckDate=world.day(14), lines=[world.line("1", article=NEW)])
    ledger.live(120)
    item, _, _ = stands(world, key)["1"]
    assert not item["mapped"]
    map_in_komet(world)
    ledger.live(120)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_nothing_is_learned_from_lines_that_look_alike(ledger: Ledger, world: World) -> None:
    """Two red items of one pack: whose is whose cannot be told, so neither says what Komet does not know."""
    both = world.place(lines=[world.line("1", article=NEW), world.line("2", article=OTHER)])
    ledger.live(60)
    third = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    assert waits(ledger, both)
    assert waits(ledger, third)
    assert stands(world, third)["1"][0]["product_code"] == "NEW1", "it has an item of its own"
    map_in_komet(world)
    map_in_komet(world, "NEW2")
    ledger.live(120)
    for key in (both, third):
        assert_every_line_once(world, key)


def test_no_air_waybill_for_what_komet_does_not_know(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(60)
    item, _, _ = stands(world, key)["1"]
    world.control(
        "purchase-orders",
        company_token=world.komet_token,
        ship_date=world.day(3),
        items=[{"prebook_item_id": item["id"]}],
        status="A",
    )
    label: dict[str, Any] = {"salesOrderKey": key, "lineKey": "1", "boxCount": 4, "state": "printed"}
    labels = [label | {"labelId": f"{key}-{n}", "boxIndex": n, "boxCode": f"{key}-{n}"} for n in (1, 2, 3, 4)]
    world.in_axerrio("labels", labels=labels)
    world.in_axerrio("ship", order_keys=[key], awb="729-1234 5675")
    ledger.live(120)
    assert waits(ledger, key)
    assert world.requests("purchase.order.items.awb.add") == 0
    map_in_komet(world)
    ledger.live(120)
    assert ledger.state(key) == "shipped"
    assert len(world.company["purchase_orders"]) == 1


# -- Komet refuses it ------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_refused_by_name_the_others_go_on(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    key = world.place(lines=[world.line("1"), world.line("2", article=NEW), world.line("3", boxes=2)])
    ledger.live(90)
    assert waits(ledger, key)
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["ordered", "mapping_required", "ordered"]
    assert world.requests("prebook.create") == 2
    map_here(ledger)
    ledger.live(90)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_refused_without_a_name_the_culprit_is_found(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    world.fault("refuse", "prebook.create", times=1, message="A product does not exist")
    key = world.place(lines=[world.line("1"), world.line("2", article=NEW), world.line("3", boxes=2)])
    ledger.live(120)
    assert waits(ledger, key)
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["ordered", "mapping_required", "ordered"]
    map_here(ledger)
    ledger.live(90)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_two_unknown_ones_in_one_create_are_both_found(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    lines = [world.line("1", article=NEW), world.line("2"), world.line("3", article=OTHER)]
    key = world.place(lines=lines)
    ledger.live(120)
    states = [line["state"] for line in ledger.order(key)["lines"]]
    assert states == ["mapping_required", "ordered", "mapping_required"]
    map_here(ledger)
    map_here(ledger, "NEW2")
    ledger.live(90)
    assert_every_line_once(world, key)


@pytest.mark.thorough
def test_refused_and_mapped_in_komet_it_goes_on_by_itself(ledger: Ledger, world: World) -> None:
    world.settings(unknown_product="refused")
    key = world.place(lines=[world.line("1", article=NEW)])
    ledger.live(600, pace=120)
    assert waits(ledger, key)
    assert world.requests("prebook.create") == 1
    map_in_komet(world)
    ledger.live(2 * 3600, pace=1200)
    ledger.live(60)
    assert_every_line_once(world, key)


# -- Axerrio does not know it ----------------------------------------------------------------------------------


def komets_own(world: World, name: str, **changes: Any) -> Json:
    """An item of a product that only Komet has."""
    product = {"code": name.upper()[:20], "description": name}
    world.control("map", company_token=world.komet_token, description=f"{name}?", product=product)
    return world.item(product_code=product["code"], product_description=name, **changes)


@pytest.mark.thorough
def test_an_article_that_axerrio_does_not_know_waits_for_the_mapping_read_the_other_way(
    ledger: Ledger, world: World
) -> None:
    world.in_axerrio("tenant-settings", knows_all_articles=False)
    strange = komets_own(world, "Komet rose", boxes=2)
    sold = world.sell_in_komet(items=[world.item(), strange])
    also = world.sell_in_komet(items=[strange])
    known, unknown = sold["item_ids"]
    ledger.live(90)
    key, other = str(sold["number"]), str(also["number"])
    assert waits(ledger, key)
    assert waits(ledger, other)
    assert "Axerrio does not know the article of Komet's Komet rose" in ledger.order(key)["reason"]["message"]
    assert axerrio_boxes(world, sold) == {str(known): 4}
    assert [boxes for _, boxes in bought(world, known)] == [4], "the accepted line goes on"
    assert bought(world, unknown) == []
    map_here(ledger, "RFREE50", product_code=None, product_description="Komet Rose")
    ledger.live(90)
    for each in (sold, also):
        assert_in_step(world, each)
        assert ledger.state(str(each["number"])) == "ordered"
    articles = {line["externalLineId"]: line["article"]["code"] for line in axerrio_order(world, sold)["lines"]}
    assert articles[str(unknown)] == "RFREE50"


def test_letters_beyond_ascii_are_the_same_in_either_case(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", knows_all_articles=False)
    names = ("Rosa Ámbar 50 cm", "Rosa ÉCARLATE", "Rosa Åben")
    mapped, taken_up, other = (world.sell_in_komet(items=[komets_own(world, name)]) for name in names)
    ledger.live(60)
    assert all(waits(ledger, str(each["number"])) for each in (mapped, taken_up, other))
    map_here(ledger, "RFREE50", product_code=None, product_description="rosa ÁMBAR 50 CM")
    world.in_axerrio("articles", articles=[{"key": "A-55", "code": "KROSE", "description": "Rosa Écarlate"}])
    ledger.live(900, pace=150)
    assert_in_step(world, mapped)
    (line,) = axerrio_order(world, mapped)["lines"]
    assert line["article"]["code"] == "RFREE50"
    assert len(ledger.writes(str(taken_up["number"]), "axerrio.inbound-orders")) == 2, "it is asked once more"
    assert waits(ledger, str(other["number"]))
    assert ledger.writes(str(other["number"]), "axerrio.inbound-orders") == ["done"]


@pytest.mark.thorough
def test_an_article_that_axerrio_takes_up_releases_it_too(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", knows_all_articles=False)
    sold, other = (world.sell_in_komet(items=[komets_own(world, name)]) for name in ("Komet rose", "Odd rose"))
    ledger.live(60)
    assert waits(ledger, str(sold["number"]))
    world.in_axerrio("articles", articles=[{"key": "A-55", "code": "KROSE", "description": "Komet rose"}])
    ledger.live(900, pace=150)
    assert_in_step(world, sold)
    assert waits(ledger, str(other["number"]))
    assert ledger.writes(str(other["number"]), "axerrio.inbound-orders") == ["done"]
