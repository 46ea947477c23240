"""Purchase orders of mixed boxes ("Create a Purchase Order with Breakdowns")."""

from typing import Any

import pytest

from tests.sandbox.conftest import Json, World, roses

FREEDOM = {"productCode": "RFREE50", "productDescription": "Rose Freedom 50 cm", "bunches": 6, "stemsBunch": 25}
MONDIAL = {"productDescription": "Rose Mondial 50 cm", "bunches": 4, "stemsBunch": 25, "cost": 0.3}
ODD = FREEDOM | {"productCode": "ODD", "productDescription": "Odd rose"}


def mixed(*parts: Json, **changes: Any) -> Json:
    named = {"productCode": "MIXROSE", "productDescription": "Mixed roses 50 cm"}
    return roses(**(named | {"breakdowns": list(parts or (FREEDOM, MONDIAL))} | changes))


def order(world: World, *items: Json, **header: Any) -> Any:
    fields = {"shipDate": world.day(4), "purchaseOrderItems": list(items)} | header
    return world.post("purchase.order.mixed.create", **fields)


def test_a_mixed_order_links_its_line_and_shows_what_is_in_it(world: World) -> None:
    world.create(mixed(notes="soft"))
    [item] = world.item_ids()
    assert order(world, mixed(prebookItemId=item, markCode=None, cost=None))["purchaseOrderNumber"] == "70012"
    [line] = world.orders()[0]["details"]
    assert (line["prebookItemId"], line["productDescription"], line["totalBoxes"]) == (item, "Mixed roses 50 cm", 4)
    assert (line["unitCost"], line["markCode"], line["notes"]) == (0.28, "DOCK2", "soft"), "of its prebook item"
    assert line["breakdowns"] == [
        {"productId": 7001, "productDescription": "Rose Freedom 50 cm", "bunches": 6, "stemsBunch": 25},
        {"productId": 7002, "productDescription": "Rose Mondial 50 cm", "bunches": 4, "stemsBunch": 25, "cost": 0.3},
    ]


def test_where_the_link_is_read_from(world: World) -> None:
    world.create(mixed(), mixed())
    first, second = world.item_ids()
    on_item = mixed(prebookItemId=first)
    on_parts = mixed(*({**part, "prebookItemId": str(first)} for part in (FREEDOM, MONDIAL)))
    on_both = mixed(FREEDOM | {"prebookItemId": first}, FREEDOM | {"prebookItemId": second})
    order(world, on_item, on_parts)
    world.settings(mixed_link="breakdown")
    order(world, on_item, on_parts)
    links = [[line.get("prebookItemId") for line in each["details"]] for each in world.orders()]
    assert links == [[first, None], [None, first]]
    assert "different" in order(world, on_both)["message"]


@pytest.mark.parametrize("unknown_product", ["accepted", "refused"])
def test_what_is_unknown_is_left_out(world: World, unknown_product: str) -> None:
    world.settings(unknown_product=unknown_product)
    outer = mixed(productCode="ODD", productDescription="Odd box")
    assert order(world, outer, mixed(FREEDOM, ODD))["status"] == "1"
    assert world.dump("companies")["purchase_orders"] == [], "nothing is left of it"
    assert order(world, outer, mixed(), mixed(FREEDOM, ODD))["status"] == "1"
    assert [line["totalBoxes"] for line in world.orders()[0]["details"]] == [4]


def test_a_mapped_name_is_known_from_then_on(world: World) -> None:
    world.create(mixed(FREEDOM, ODD))
    [item] = world.item_ids()
    [listed] = world.prebooks()[0]["details"]
    assert [part.get("productId") for part in listed["breakdowns"]] == [7001, None]
    assert listed["breakdowns"][1]["productDescription"] == "UNKNOWN"
    world.control("map", company_token=world.token, code="ODD", product={"id": 55, "code": "R5", "description": "R"})
    order(world, mixed(FREEDOM, ODD, prebookItemId=item))
    assert [part["productId"] for part in world.orders()[0]["details"][0]["breakdowns"]] == [7001, 55]


def test_adding_to_a_purchase_order(world: World) -> None:
    [plain] = world.cover(7)
    assert order(world, mixed(), purchaseOrderNumber="70012")["purchaseOrderNumber"] == "70012"
    assert "ship date" in order(world, mixed(), purchaseOrderNumber="70012", shipDate=world.day(5))["message"]
    assert [line["poItemId"] for line in world.orders()[0]["details"]] == [plain, plain + 1]
    assert order(world, mixed(ODD), purchaseOrderNumber="70012")["status"] == "1"
    assert len(world.orders()[0]["details"]) == 2


def test_mixed_refusals(world: World) -> None:
    world.create(mixed(), mixed())
    good, zero = world.item_ids()
    world.edit(prebook_item_id=zero, boxes=0)
    long = "x" * 21
    bad = [
        mixed(breakdowns=[]),
        mixed(breakdowns=None),
        mixed(prebookItemId=5),
        mixed(prebookItemId=zero),
        mixed(boxes=None),
        mixed(boxes=0),
        mixed(boxTypeId=None),
        mixed(markCode=long),
        mixed(productCode=None, productDescription=None),
        mixed(FREEDOM | {"productCode": long}),
        mixed(FREEDOM | {"bunches": 0}),
        mixed(FREEDOM | {"productId": 5}),
    ]
    for item in bad:
        assert order(world, mixed(prebookItemId=good), item)["status"] == "0", item
    assert order(world)["status"] == "0"
    assert world.order(mixed())["status"] == "0", "the plain method takes no mixed box"
    assert world.dump("companies")["purchase_orders"] == []


def test_costs_are_converted_when_the_order_is_made(world: World) -> None:
    world.settings(cost_factor="4.1")
    world.create(roses(), mixed())
    plain, box = world.item_ids()
    world.order({"prebookItemId": plain, "boxes": 4}, {"prebookItemId": plain, "boxes": 4, "cost": 0.5})
    order(world, mixed(prebookItemId=box))
    first, second = world.orders()
    assert [line["unitCost"] for line in first["details"]] == [1.15, 2.05]
    assert second["details"][0]["breakdowns"][1]["cost"] == 1.23
    assert [item["cost"] for item in world.prebooks()[0]["details"]] == [0.28, 0.28]
