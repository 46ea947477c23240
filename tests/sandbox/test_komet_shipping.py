"""Shipping and box codes as the reference pages say, and in each reading of what they leave open."""

from typing import Any

import pytest

from tests.sandbox.conftest import Json, World, roses

RESULTS = "purchaseOrderItemDetailsAWBAddAPIResultList"


def load(world: World, item: int, codes: str = "", **changes: Any) -> Json:
    """An entry with these box codes, one for each letter."""
    entry = {"poItemId": item, "awb": "729-1234-5675", "shipDate": world.day(4)} | changes
    return entry | ({"boxCodes": list(codes)} if codes else {})


def ship(world: World, *entries: Json) -> Any:
    return world.post("purchase.order.items.awb.add", poItems=list(entries))


def results(world: World, *entries: Json) -> list[Json]:
    answer = ship(world, *entries)
    assert set(answer) == {"status", RESULTS}
    assert answer["status"] == "1"
    found: list[Json] = answer[RESULTS]
    return found


def codes_of(line: Json) -> str:
    return "".join(box["boxCode"] for box in line.get("boxes", []))


def test_a_shipped_line_shows_its_boxes(world: World) -> None:
    first, second = world.cover(2, 1)
    [answer] = results(world, load(world, first, "ab", houseAWB="CM-1", lotNumber=234232))
    assert answer == {
        "poItemId": first,
        "status": "1",
        "message": "OK",
        "boxCodes": ["a", "b"],
        "lotNumber": 234232,
    }
    [order] = world.orders()
    lines = order["details"]
    shipped = {"lotNumber": "234232", "statusId": 2, "statusName": "Shipped"}
    assert lines[0]["boxes"] == [{"boxCode": code, "position": n, **shipped} for n, code in ((1, "a"), (2, "b"))]
    assert [line["lineItemStatus"] for line in lines] == ["S", "P"]
    assert "boxes" not in lines[1]
    assert order["status"] == "PA"
    assert "729-1234-5675" not in str(order)
    box = world.dump("companies")["purchase_orders"][0]["items"][0]["shipped_boxes"][1]
    assert box == {
        "code": "b",
        "awb": "729-1234-5675",
        "house_awb": "CM-1",
        "ship_date": world.day(4),
        "lot": "234232",
        "position": 2,
    }
    ship(world, load(world, second))
    assert world.orders()[0]["status"] == "S"
    assert len(world.orders(date=world.day(4), status="Shipped")) == 1
    assert world.dump("companies")["purchase_orders"][0]["status"] == "S"
    world.settings(shipped_status=False)
    assert world.orders()[0]["status"] == "PA"
    world.settings(shipped_status=True)
    world.edit(purchase_order_number="70012", status="X")
    assert world.orders()[0]["status"] == "X"


def test_without_codes_komet_makes_them(world: World) -> None:
    first, second = world.cover(3, 1)
    one, two = results(world, load(world, first), load(world, second))
    codes = [*one["boxCodes"], *two["boxCodes"]]
    assert len(set(codes)) == 4
    assert all(code.startswith("KS") and code[2:].isdecimal() for code in codes)
    assert [codes_of(line) for line in world.orders()[0]["details"]] == ["".join(codes[:3]), codes[3]]
    assert one["lotNumber"] in range(1000, 100_000)


@pytest.mark.parametrize(("new_is", "named"), [("remaining", True), ("shipped", False)])
def test_fewer_codes_split_the_item(world: World, new_is: str, named: bool) -> None:
    world.settings(split_new_item_is=new_is, split_named=named)
    [item] = world.cover(5)
    [answer] = results(world, load(world, item, "ab"))
    assert answer.get("newPOItemId") == (item + 1 if named else None)
    lines = world.orders()[0]["details"]
    shown = [(line["poItemId"], line["totalBoxes"], codes_of(line), line["lineItemStatus"]) for line in lines]
    if new_is == "remaining":
        assert shown == [(item, 2, "ab", "S"), (item + 1, 3, "", "P")]
    else:
        assert shown == [(item, 3, "", "P"), (item + 1, 2, "ab", "S")]
    assert lines[0]["prebookItemId"] == lines[1]["prebookItemId"]
    assert world.orders()[0]["status"] == "PA"


def test_each_entry_stands_alone(world: World) -> None:
    good, many, twice, known, shipped, own_lot = world.cover(2, 2, 2, 2, 1, 1)
    ship(world, load(world, shipped, "z"))
    [foreign] = world.cover(1)
    world.edit(purchase_order_number="70013", vendor_id=999)
    [cancelled] = world.cover(1)
    world.edit(purchase_order_number="70014", status="X")
    answers = results(
        world,
        load(world, many, "123"),
        load(world, twice, "44"),
        load(world, known, "5z"),
        load(world, shipped),
        load(world, foreign),
        load(world, cancelled),
        load(world, 5),
        load(world, own_lot, lotNumber="5000"),
        load(world, good, "67"),
        load(world, known, "76"),
    )
    assert [answer["status"] for answer in answers] == ["0"] * 8 + ["1", "0"]
    words = ["has 2 boxes", "4 already", "z already", "was already shipped", "vendor's", "cancelled", "not exist"]
    words += ["own range", "OK", "7 already"]
    for word, answer in zip(words, answers, strict=True):
        assert word in answer["message"], answer
    items = world.dump("companies")["purchase_orders"][0]["items"]
    assert [item["id"] for item in items if item["shipped_boxes"]] == [good, shipped]


def test_a_deleted_line_that_stands_at_0_is_cancelled(world: World) -> None:
    world.settings(deleted_order_items="zero")
    first, second = world.cover(1, 1)
    world.post("purchase.order.item.delete", poItemId=first)
    refused, shipped = results(world, load(world, first), load(world, second))
    assert (refused["status"], shipped["status"]) == ("0", "1")
    assert "is cancelled" in refused["message"]
    assert world.orders()[0]["status"] == "S", "all that is left of it is shipped"


def test_several_entries_for_one_item_share_its_boxes(world: World) -> None:
    world.settings(max_box_codes=5)
    whole, rest = world.cover(7, 7)
    answers = results(
        world,
        load(world, whole, "abcdef"),
        load(world, whole, "abcde"),
        load(world, rest, "klmno"),
        load(world, whole, "fgh"),
        load(world, whole, "fg", awb="020-8114-0743"),
        load(world, whole),
        load(world, rest, "p"),
    )
    assert [answer["status"] for answer in answers] == ["0", "1", "1", "0", "1", "0", "1"]
    assert "At most 5" in answers[0]["message"]
    assert [answer.get("newPOItemId") for answer in answers] == [None, None, rest + 1, None, None, None, rest + 1]
    lines = world.orders()[0]["details"]
    assert [(line["poItemId"], codes_of(line)) for line in lines] == [
        (whole, "abcdefg"),
        (rest, "klmnop"),
        (rest + 1, ""),
    ]
    assert [box["position"] for box in lines[0]["boxes"]] == [1, 2, 3, 4, 5, 6, 7]
    boxes = world.dump("companies")["purchase_orders"][0]["items"][0]["shipped_boxes"]
    assert [box["awb"][:3] for box in boxes] == ["729"] * 5 + ["020"] * 2


def test_unknown_products_are_skipped(world: World) -> None:
    [odd] = world.cover(1, productCode="ODD", productDescription="Odd rose")
    [good] = world.cover(1)
    assert [each["poItemId"] for each in results(world, load(world, odd), load(world, good, "a"))] == [good]
    world.settings(awb_skips="entry")
    [answer] = results(world, load(world, odd))
    assert (answer["status"], "UNKNOWN" in answer["message"]) == ("0", True)


def test_a_pending_order_may_have_to_wait(world: World) -> None:
    [item] = world.cover(1)
    world.settings(awb_while_pending="refused")
    assert "pending" in results(world, load(world, item))[0]["message"]
    world.control("approve", company_token=world.token, all=True)
    assert results(world, load(world, item))[0]["status"] == "1"


@pytest.mark.parametrize(
    "change",
    [
        {"awb": "x" * 26},
        {"awb": None},
        {"houseAWB": "x" * 26},
        {"shipDate": None},
        {"shipDate": "24-11-2026"},
        {"boxCodes": ["x" * 21]},
        {"boxCodes": [""]},
        {"poItemId": None},
    ],
)
def test_a_malformed_load_is_refused_whole(world: World, change: Json) -> None:
    first, second = world.cover(1, 1)
    assert ship(world, load(world, first), load(world, second, **change))["status"] == "0"
    assert ship(world)["status"] == "0"
    assert "boxes" not in world.orders()[0]["details"][0]


def test_box_codes_change(world: World) -> None:
    item, taken = world.cover(3, 1)
    ship(world, load(world, item, "abc"), load(world, taken, "t"))

    def change(*pairs: str) -> Any:
        boxes = [{"currentBoxCode": pair[0], "newBoxCode": pair[1]} for pair in pairs]
        return world.post("box.code.change", boxes=boxes)

    assert change("ax", "by", "?z") == {
        "status": "1",
        "message": "2 boxes were successfully updated. 1 boxes could not be updated",
        "boxes": [
            {"newBoxCode": "x", "status": "1", "message": "success"},
            {"newBoxCode": "y", "status": "1", "message": "success"},
            {"newBoxCode": "z", "status": "0", "message": "Box code does not exist"},
        ],
    }
    assert codes_of(world.orders()[0]["details"][0]) == "xyc"
    assert [box["message"] for box in change("ax", "ct", "xx")["boxes"]] == [
        "Box code does not exist",
        "Box code already exists",
        "success",
    ]
    assert change("xa")["message"] == "1 boxes were successfully updated"
    assert codes_of(world.orders()[0]["details"][0]) == "ayc"
    assert world.post("box.code.change", boxes=[{"currentBoxCode": "a", "newBoxCode": "x" * 21}])["status"] == "0"
    assert change()["status"] == "0"
    world.edit(purchase_order_number="70012", vendor_id=999)
    assert change("az")["boxes"][0]["message"] == "Box code does not exist"


def test_a_freed_code_can_be_used_and_a_used_one_cannot(world: World) -> None:
    first, second, third = world.cover(1, 1, 1)
    ship(world, load(world, first, "a"))
    world.post("box.code.change", boxes=[{"currentBoxCode": "a", "newBoxCode": "b"}])
    answers = results(world, load(world, second, "b"), load(world, third, "a"))
    assert [answer["status"] for answer in answers] == ["0", "1"]


def test_a_standalone_line_ships_too(world: World) -> None:
    world.order(roses(boxes=1))
    [line] = world.orders()[0]["details"]
    assert results(world, load(world, line["poItemId"], "a"))[0]["boxCodes"] == ["a"]
