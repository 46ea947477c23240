"""The people in Komet, played through the control interface."""

from typing import Any

import pytest

from tests.sandbox.conftest import Json, World, roses


def item(**changes: Any) -> Json:
    """An item as a person in Komet orders it."""
    return {
        "product_code": "RFREE50",
        "product_description": "Rose Freedom 50 cm",
        "box_type_code": "QB",
        "unit_type": "Bunch",
        "boxes": 4,
        "bunches": 10,
        "stems_bunch": 25,
        "cost": "0.285",
    } | changes


def sell(world: World, *items: Json, **header: Any) -> Json:
    """A person makes a prebook; gives what the control interface answers."""
    prebook = {"customer_code": "C100", "carrier_code": "ARM", "truck_date": world.day(6), "items": list(items)}
    made: Json = world.control("prebooks", company_token=world.token, prebooks=[prebook | header])["prebooks"][0]
    return made


def buy(world: World, *items: Json, **header: Any) -> Any:
    return world.control(
        "purchase-orders", company_token=world.token, **({"ship_date": world.day(4), "items": list(items)} | header)
    )


def test_a_person_makes_a_prebook(world: World) -> None:
    world.settings(unknown_product="refused")
    part = {"product_code": "ODD", "bunches": 10, "stems_bunch": 25, "cost": 7}
    odd = {"product_code": "ODD", "product_description": "Odd rose"}
    made = sell(
        world,
        item(mark_code="DOCK2", notes="soft", vendor_ship_date=world.day(3)),
        item(**odd, breakdowns=[part]),
        comments="by hand",
        customer_po="PO 1",
    )
    [prebook] = world.prebooks()
    first, second = prebook["details"]
    assert made == {
        "id": prebook["id"],
        "number": prebook["number"],
        "item_ids": [first["prebookItemId"], second["prebookItemId"]],
    }
    assert (prebook["comments"], prebook["customerPONumber"]) == ("by hand", "PO 1")
    assert (first["productId"], first["boxType"], first["unitType"], first["cost"]) == (7001, "QB", "Bunch", 0.29)
    assert (first["vendorShipDate"], second["vendorShipDate"]) == (world.day(3), world.day(4))
    assert second["productDescription"] == second["breakdowns"][0]["productDescription"] == "UNKNOWN"


def test_a_buyer_covers_items_himself(world: World) -> None:
    first, second = sell(world, item(), item(boxes=7))["item_ids"]
    world.settings(cost_factor=2)
    alone = item(prebook_item_id=None, boxes=9)
    covered = [{"prebook_item_id": first, "boxes": 3}, {"prebook_item_id": second}]
    made = buy(world, *covered, alone, carrier_code="PRIME", status="A")
    [order] = world.orders()
    assert (made["id"], made["number"], order["status"]) == (order["id"], str(order["number"]), "A")
    lines = order["details"]
    assert made["item_ids"] == [line["poItemId"] for line in lines]
    shown = [(line.get("prebookItemId"), line["totalBoxes"], line["unitCost"]) for line in lines]
    assert shown == [(first, 3, 0.58), (second, 7, 0.58), (None, 9, 0.58)]
    assert lines[0]["carrierName"] == "Prime Floral"
    buy(world, alone)
    assert world.orders()[1]["status"] == "PA"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"boxes": 9}, {"totalBoxes": 9}),
        ({"cost": "0.5"}, {"cost": 0.5}),
        ({"product_code": "RMOND50", "product_description": ""}, {"productId": 7002}),
        ({"product_code": "X", "product_description": "X"}, {"productDescription": "UNKNOWN"}),
        ({"mark_code": "M"}, {"markCode": "M"}),
        ({"vendor_ship_date": "2999-01-01"}, {"vendorShipDate": "2999-01-01"}),
    ],
)
def test_a_hand_on_a_prebook_item(world: World, change: Json, shown: Json) -> None:
    first, second = sell(world, item(), item())["item_ids"]
    assert world.edit(prebook_item_id=first, **change) == {"prebook_id": 991201}
    listed = {each["prebookItemId"]: each for each in world.prebooks()[0]["details"]}
    edited, untouched = listed[first], listed[second]
    assert {name: edited[name] for name in shown} == shown
    touched = {name for name in edited | untouched if edited.get(name) != untouched.get(name)}
    assert touched <= {"prebookItemId", "totalUnits", "productId", "productDescription", *shown}


def test_what_a_person_deletes_is_really_gone(world: World) -> None:
    first, second, third = sell(world, item(), item(), item())["item_ids"]
    buy(world, {"prebook_item_id": first}, {"prebook_item_id": third})
    approved = buy(world, {"prebook_item_id": second}, status="A")
    for each in (first, second):
        world.edit(prebook_item_id=each, delete=True)
    assert world.item_ids() == [third]
    assert [each["id"] for each in world.dump("companies")["prebooks"][0]["items"]] == [third]
    pending, bought = world.orders()
    assert [line["prebookItemId"] for line in pending["details"]] == [third]
    assert [line["prebookItemId"] for line in bought["details"]] == [second], "an approved order keeps its line"
    assert bought["details"][0]["prebook"] == 4343
    answer = world.post("prebook.item.delete", prebookId=991201, prebookItemId=first)
    assert answer["status"] == "0"
    assert world.order({"prebookItemId": first, "boxes": 1})["status"] == "0"
    assert approved["number"] == "70013"


def test_a_hand_on_a_prebook(world: World) -> None:
    customers = [{"code": "C100", "name": "Miami Flowers Inc"}, {"code": "C200", "name": "Other"}]
    world.control("seed", companies=[{"token": world.token, "customers": customers}])
    prebook = sell(world, item(), item(boxes=7))["id"]
    world.edit(prebook_id=prebook, truck_date=world.day(9), customer_code="c200", carrier_code="PRIME", comments="x")
    assert world.prebooks() == []
    [shown] = world.prebooks(date=world.day(9))
    assert (shown["customerCode"], shown["carrierName"], shown["comments"]) == ("C200", "Prime Floral", "x")
    answer = world.edit(prebook_id=prebook, add_item=item(boxes=5))
    [added] = answer["item_ids"]
    [shown] = world.prebooks(date=world.day(9))
    assert [each["totalBoxes"] for each in shown["details"]] == [4, 7, 5]
    assert shown["details"][2]["prebookItemId"] == added
    assert shown["details"][2]["vendorShipDate"] == world.day(7)
    world.edit(prebook_id=prebook, cancel=True)
    assert [each["totalBoxes"] for each in world.prebooks(date=world.day(9))[0]["details"]] == [0, 0, 0]


def test_a_copied_prebook(world: World) -> None:
    world.create(roses(markCode="M"), roses(boxes=7), comments="Dock 2 [AX:0123456789]", customerPO="A")
    first, second = world.item_ids()
    world.edit(prebook_item_id=first, boxes=0)
    copy = world.edit(prebook_id=991201, copy=True)
    assert (copy["prebook_id"], copy["number"]) == (991202, 4344)
    original, copied = world.dump("companies")["prebooks"]
    assert [each["boxes"] for each in original["items"]] == [0, 7]
    assert ([each["boxes"] for each in copied["items"]], copied["items"][0]["id"]) == ([7], copy["item_ids"][0])
    assert copy["item_ids"][0] not in (first, second)
    for name in ("comments", "customer_po", "customer_code", "truck_date"):
        assert original[name] == copied[name]


def test_a_hand_on_a_purchase_order(world: World) -> None:
    first, second = world.cover(4, 7)
    world.edit(purchase_order_number="70012", ship_date=world.day(5), status="CF")
    assert world.orders() == []
    assert world.orders(date=world.day(5))[0]["status"] == "CF"
    change = {"boxes": 6, "cost": "0.4", "product_code": "RMOND50", "product_description": ""}
    assert world.edit(purchase_order_item_id=first, **change) == {"purchase_order_number": "70012"}
    line, other = world.orders(number="70012")[0]["details"]
    assert (line["totalBoxes"], line["unitCost"], line["productId"]) == (6, 0.4, 7002)
    assert (other["totalBoxes"], other["unitCost"], other["productId"]) == (7, 0.28, 7001)
    world.edit(purchase_order_item_id=first, delete=True)
    assert [each["poItemId"] for each in world.orders(number="70012")[0]["details"]] == [second]
    assert [each["totalBoxes"] for each in world.prebooks()[0]["details"]] == [4, 7], "the prebook stays as it is"
