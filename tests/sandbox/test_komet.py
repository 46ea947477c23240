"""The simulated Komet answers as the reference pages say."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sandbox.conftest import World, roses


def test_from_prebook_to_purchase_order_and_back(world: World) -> None:
    made = world.create(roses(notes="soft"), comments="Dock 2 [AX:0123456789]", customerPO="PO 77123")
    assert made == {
        "status": "1",
        "message": "Prebook was successfully created.",
        "prebookId": 991201,
        "prebookNumber": 4343,
        "purchaseOrderNumbers": "",
    }
    [prebook] = world.prebooks()
    [item] = prebook.pop("details")
    assert prebook["id"] == 991201
    assert prebook["number"] == 4343
    assert prebook["comments"] == "Dock 2 [AX:0123456789]"
    assert prebook["customerPONumber"] == "PO 77123"
    assert prebook["truckDate"] == world.day(6)
    assert (item["productId"], item["totalBoxes"], item["boxType"], item["markCode"]) == (7001, 4, "HB", "DOCK2")
    assert (item["cost"], item["vendorShipDate"], item["totalUnits"]) == (0.28, world.day(4), 1000)
    assert "unitPrice" not in item
    assert "breakdowns" not in item, "what is empty is left out"

    ordered = world.order({"prebookItemId": item["prebookItemId"], "boxes": 4, "cost": 0.28})
    assert ordered["purchaseOrderNumber"] == "70012"
    [order] = world.orders(date=world.day(4), prebook="4343")
    [line] = order["details"]
    assert (order["id"], order["number"], order["status"]) == (ordered["purchaseOrderId"], 70012, "PA")
    assert (line["prebookItemId"], line["prebook"], line["totalBoxes"]) == (item["prebookItemId"], 4343, 4)
    assert (line["unitCost"], line["totalCost"], line["lineItemStatus"]) == (0.28, 280, "P")
    assert world.orders(number="70011, 70012") == [order]
    assert world.dump("companies")["requests"] == {
        "prebook.create": 1,
        "prebook.details.list": 1,
        "purchase.order.create": 1,
        "purchase.order.list": 2,
    }


def test_a_create_sent_twice_makes_two(world: World) -> None:
    for _ in range(2):
        world.create(roses())
    assert [prebook["number"] for prebook in world.prebooks()] == [4343, 4344]
    first, second = world.item_ids()
    for item in (first, first, second):
        world.order({"prebookItemId": item, "boxes": 4})
    lines = [item for order in world.dump("companies")["purchase_orders"] for item in order["items"]]
    assert [line["prebook_item_id"] for line in lines] == [first, first, second]


def test_use_existing_merges_only_where_all_agrees(world: World) -> None:
    world.create(roses(), customerPO="A")
    world.create(roses(), customerPO="A", useExisting=1)
    world.create(roses(), customerPO="B", useExisting="1")
    assert [len(prebook["details"]) for prebook in world.prebooks()] == [2, 1]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"customerPO": "x" * 21}, "customerPO"),
        ({"comments": "x" * 201}, "comments"),
        ({"customerDescription": ""}, "customerDescription"),
        ({"customerCode": "NOBODY"}, "Customer NOBODY"),
        ({"customerCode": None}, "customerCode"),
        ({"carrierId": 5}, "Carrier 5"),
        ({"carrierId": 0}, "Carrier is required"),
        ({"shipDate": "24-11-2026"}, "shipDate"),
        ({"companyLocationCode": "MARS"}, "MARS"),
        ({"autoGeneratePOsfromPrebooks": 1}, "autoGeneratePOsfromPrebooks"),
        ({"prebookItems": [roses(), roses(boxTypeId=5)]}, "Box type 5"),
        ({"prebookItems": [roses(productCode="x" * 21)]}, "productCode"),
        ({"prebookItems": [roses(productCode=None, productDescription=None)]}, "product"),
        ({"prebookItems": [roses(markCode="x" * 21)]}, "markCode"),
        ({"prebookItems": [roses(notes="x" * 201)]}, "notes"),
        ({"prebookItems": [roses(unitType="stem")]}, "unitType"),
        ({"prebookItems": [roses(boxes=0)]}, "boxes"),
        ({"prebookItems": [roses(notes="x" * 190)] * 200}, "64kb"),
    ],
)
def test_a_bad_prebook_is_refused_and_nothing_is_made(world: World, change: Any, word: str) -> None:
    answer = world.create(roses(), **change)
    assert answer["status"] == "0"
    assert word in answer["message"]
    assert world.dump("companies")["prebooks"] == []


def test_a_lenient_company_leaves_the_bad_item_out(world: World) -> None:
    world.settings(partial_create=True)
    assert world.create(roses(), roses(boxTypeId=5))["status"] == "1"
    assert len(world.item_ids()) == 1


def test_only_what_a_vendor_may_see_is_listed(world: World) -> None:
    for ship_date in (-2, -1, 0):
        world.create(roses(vendorShipDate=world.day(ship_date)))
    world.create(roses(cost=None))
    world.create()
    shown = [item["vendorShipDate"] for prebook in world.prebooks() for item in prebook["details"]]
    assert shown == [world.day(-1), world.day(0)]
    assert len(world.dump("companies")["prebooks"]) == 5
    world.control("edit", company_token=world.token, prebook_item_id=world.item_ids()[0], vendor_id=999)
    assert [item["vendorShipDate"] for prebook in world.prebooks() for item in prebook["details"]] == [world.day(0)]


def test_a_company_that_sets_no_ship_date_shows_nothing(world: World) -> None:
    world.settings(sets_ship_date=False)
    world.create(roses())
    assert world.get("prebook.details.list", date=world.day(6)) == {"message": "Orders not found.OK", "status": 1}
    world.settings(empty_status="0")
    assert world.get("prebook.details.list", date=world.day(6)) == {"message": "Orders not found.OK", "status": 0}
    world.create(roses(vendorShipDate=world.day(3)))
    assert len(world.item_ids()) == 1


def test_filters(world: World) -> None:
    world.create(roses(), customerPO="A")
    world.create(roses(vendorShipDate=world.day(1)), roses(vendorShipDate=world.day(3)), shipDate=world.day(9))
    ranged = {"date": "", "vendorShipDateFrom": world.day(2), "vendorShipDateTo": world.day(3)}
    assert [len(prebook["details"]) for prebook in world.prebooks(**ranged)] == [1]
    assert len(world.prebooks(customerPONumber="a")) == 1
    assert world.prebooks(customerPONumber="B") == []
    assert len(world.prebooks(customer="FLOWERS", prebook="4343", customerId=1001, carrierName="arm")) == 1
    assert world.prebooks(customer="Boston") == []
    assert world.prebooks(prebook="4344") == []
    for offset, found in ((-60, 1), (60, 0)):
        moment = datetime.fromtimestamp(time.time() + offset, UTC).strftime("%Y-%m-%d %H:%M:%S")
        assert len(world.prebooks(updatedAsOf=moment)) == found
    assert "date is required" in world.get("prebook.details.list")["message"]
    alone = {"updatedAsOf": "2026-01-01 00:00:00"}
    assert "date is required" in world.get("prebook.details.list", **alone)["message"]
    world.settings(updated_needs_range=False)
    assert len(world.get("prebook.details.list", **alone)["prebooks"]) == 2
    assert "date is required" in world.get("prebook.details.list")["message"]
    too_long = {"vendorShipDateFrom": world.day(0), "vendorShipDateTo": world.day(200)}
    assert world.get("prebook.details.list", **too_long)["status"] == "0"


def test_an_unknown_product_waits_for_its_mapping(world: World) -> None:
    odd = roses(productCode="ODD", productDescription="Odd rose")
    world.create(odd, roses(productCode="other", productDescription="rose FREEDOM 50 cm"))
    unknown, known = world.prebooks()[0]["details"]
    assert unknown["productDescription"] == "UNKNOWN"
    assert "productId" not in unknown
    assert known["productId"] == 7001, "known by its description, in any case"
    world.order({"prebookItemId": unknown["prebookItemId"], "boxes": 4})
    assert world.orders()[0]["details"][0]["productDescription"] == "UNKNOWN"

    product = {"id": 55, "code": "R55", "description": "Rose 55"}
    assert world.control("map", company_token=world.token, code="ODD", product=product) == {"mapped": 1}
    assert world.prebooks()[0]["details"][0]["productId"] == 55
    assert world.orders()[0]["details"][0]["productDescription"] == "Rose 55"
    world.create(roses(productCode="R55", productDescription="whatever"))
    assert world.prebooks()[1]["details"][0]["productId"] == 55


def test_other_readings_of_an_unknown_product(world: World) -> None:
    odd = roses(productCode="ODD", productDescription="Odd rose")
    world.settings(unknown_product="refused")
    answer = world.create(odd)
    assert (answer["status"], "ODD" in answer["message"]) == ("0", True)
    world.settings(unknown_product="accepted", unknown_shown_as="sent")
    world.create(odd)
    [item] = world.prebooks()[0]["details"]
    assert item["productDescription"] == "Odd rose"
    assert "productId" not in item


def test_product_codes_and_a_mapped_flag_may_be_shown(world: World) -> None:
    part = {"productDescription": "Odd rose", "bunches": 10, "stemsBunch": 25}
    world.create(roses(productCode=None), roses(breakdowns=[part | {"productCode": "ODD"}]))
    hidden = world.prebooks()[0]["details"]
    assert not any({"productCode", "mapped"} & set(item) for item in hidden)
    world.settings(product_code_visible=True, mapped_flag_shown=True)
    known, unknown = world.prebooks()[0]["details"]
    assert (known["productCode"], known["mapped"], unknown["mapped"]) == ("RFREE50", 1, 0)
    [shown] = unknown["breakdowns"]
    assert (shown["productCode"], shown["productDescription"]) == ("ODD", "UNKNOWN")
    assert "productId" not in shown
    world.order({"prebookItemId": known["prebookItemId"], "boxes": 4})
    assert "productCode" not in world.orders()[0]["details"][0]


def test_comments_and_customer_po_may_be_hidden(world: World) -> None:
    world.settings(comments_visible=False, customer_po_visible=False)
    world.create(roses(), comments="[AX:1]", customerPO="A")
    [prebook] = world.prebooks()
    assert not {"comments", "customerPONumber"} & set(prebook)


def test_a_bare_company_answers_creates_without_ids(world: World) -> None:
    world.settings(create_answers_bare=True)
    assert set(world.create(roses())) == {"status", "message"}
    assert set(world.order({"prebookItemId": world.item_ids()[0], "boxes": 4})) == {"status", "message"}


def test_lists_lag_but_never_show_half_a_change(world: World) -> None:
    world.settings(list_lag_seconds=0.6)
    world.create(roses())
    item = world.dump("companies")["prebooks"][0]["items"][0]["id"]
    world.order({"prebookItemId": item, "boxes": 4})
    assert (world.prebooks(), world.orders()) == ([], [])
    time.sleep(0.7)
    assert world.item_ids() == [item]
    world.control("approve", company_token=world.token, all=True)
    assert world.orders()[0]["status"] == "PA"
    time.sleep(0.7)
    assert world.orders()[0]["status"] == "A"


def test_purchase_order_refusals(world: World) -> None:
    mixed = {"productCode": "RFREE50", "bunches": 10, "stemsBunch": 25}
    world.create(roses(), roses(), roses(), roses(breakdowns=[mixed]))
    good, zero, foreign, box = world.item_ids()
    world.control("edit", company_token=world.token, prebook_item_id=zero, boxes=0)
    world.control("edit", company_token=world.token, prebook_item_id=foreign, vendor_id=999)
    for item in (5, zero, foreign, box):
        assert world.order({"prebookItemId": item, "boxes": 4})["status"] == "0", item
    linked = {"prebookItemId": good, "boxes": 4}
    headers: list[dict[str, Any]] = [
        {"companyLocationCode": "x" * 11},
        {"purchaseOrderNumber": "99"},
        {"shipDate": None},
        {"purchaseOrderItems": []},
        {"carrierCode": "NOBODY"},
    ]
    for header in headers:
        assert world.order(linked, **header)["status"] == "0", header
    assert world.order({"prebookItemId": good})["message"] == "boxes is required on each item"
    assert world.dump("companies")["purchase_orders"] == []
    [listed] = [item for item in world.prebooks()[0]["details"] if item["prebookItemId"] == zero]
    assert listed["totalBoxes"] == 0


def test_what_a_linked_line_takes_from_its_prebook_item(world: World) -> None:
    world.create(roses(notes="soft"))
    [item] = world.item_ids()
    world.order(
        {"prebookItemId": item, "boxes": 9},
        {"prebookItemId": item, "boxes": 1, "cost": "0.305", "markCode": "M", "notes": "N"},
    )
    lines = world.orders()[0]["details"]
    shown = [(line["totalBoxes"], line["unitCost"], line["markCode"], line["notes"]) for line in lines]
    assert shown == [(9, 0.28, "DOCK2", "soft"), (1, 0.31, "M", "N")]


def test_the_name_of_the_quantity_is_a_setting(world: World) -> None:
    world.create(roses())
    [item] = world.item_ids()
    world.settings(po_boxes_field="totalBoxes")
    assert world.order({"prebookItemId": item, "boxes": 4})["message"] == "totalBoxes is required on each item"
    assert world.order({"prebookItemId": item, "totalBoxes": "4"})["status"] == "1"


def test_a_company_of_its_own_kind(world: World) -> None:
    carriers = [{"id": 1878, "code": "OLD", "name": "Old", "active": False}, {"id": 2, "code": "NEW", "name": "New"}]
    company = {"token": world.token, "locations": ["MIA", "BOG"], "carriers": carriers}
    world.control("seed", companies=[company | {"settings": {"transit_days": 9}}])
    assert "companyLocationCode" in world.create(roses(), carrierId=2)["message"]
    assert "not active" in world.create(roses(), companyLocationCode="BOG")["message"]
    assert world.create(roses(), carrierId=2, companyLocationCode="BOG")["status"] == "1"
    [prebook] = world.prebooks()
    assert (prebook["locationCode"], prebook["carrierName"]) == ("BOG", "New")
    assert prebook["details"][0]["vendorShipDate"] == world.day(0), "never before today"


def test_items_can_be_added_to_a_purchase_order(world: World) -> None:
    world.create(roses(), roses())
    first, second = world.item_ids()
    number = world.order({"prebookItemId": first, "boxes": 4})["purchaseOrderNumber"]
    assert world.order({"prebookItemId": second, "boxes": 4}, purchaseOrderNumber=number)["status"] == "1"
    alone = roses(boxTypeId=None, boxTypeCode="QB", boxes=9)
    assert world.order(alone, purchaseOrderNumber=number)["status"] == "1"
    assert "ship date" in world.order(alone, purchaseOrderNumber=number, shipDate=world.day(5))["message"]
    world.control("approve", company_token=world.token, purchase_order_number=number, status="X")
    assert "cancelled" in world.order(alone, purchaseOrderNumber=number)["message"]
    [order] = world.orders()
    assert [item.get("prebookItemId") for item in order["details"]] == [first, second, None]
    assert order["totalBoxes"] == 17
    assert order["details"][2]["boxType"] == "QB"


def test_approval_by_hand_and_by_itself(world: World) -> None:
    world.create(roses())
    linked = {"prebookItemId": world.item_ids()[0], "boxes": 4}
    number = world.order(linked)["purchaseOrderNumber"]
    world.control("approve", company_token=world.token, purchase_order_number=number, status="CF")
    assert [order["status"] for order in world.orders(date=world.day(4), status="Confirmed by Farm")] == ["CF"]
    assert world.orders()[0]["details"][0]["quantityConfirmed"] == 4
    world.control("auto-approve", company_token=world.token, after_seconds=0.5)
    world.order(linked)
    assert world.orders()[1]["status"] == "PA"
    assert [order["status"] for order in world.dump("companies")["purchase_orders"]] == ["CF", "PA"]
    time.sleep(0.6)
    assert world.orders()[1]["status"] == "A"
    world.settings(po_initial_status="A", auto_approve_seconds=None)
    world.order(linked)
    assert world.orders()[2]["status"] == "A"


def test_reference_lists(world: World) -> None:
    answer = world.get("boxtype.list")
    assert [(box["code"], box["fbe"]) for box in answer["boxtypes"]] == [
        ("EB", 0.125),
        ("FB", 1),
        ("HB", 0.5),
        ("QB", 0.25),
    ]
    assert [box["id"] for box in world.get("boxtype.list", code="hb")["boxtypes"]] == [1057]
    answer = world.get("carrier.list", active=1)
    assert list(answer) == ["carriers", "status", "message"]
    assert [carrier["code"] for carrier in answer["carriers"]] == ["ARM", "PRIME"]


def test_who_may_call_what(world: World) -> None:
    wrong = world.get("boxtype.list", authenticationToken="nobody's")
    assert wrong == {"status": "0", "message": "Invalid authentication token"}
    world.settings(rights=["carrier.list"])
    assert "permission" in world.get("boxtype.list")["message"]
    assert world.get("carrier.list")["status"] == "1"
    world.settings(token_valid=False)
    assert world.get("carrier.list") == wrong
    url, parameters = f"{world.addresses['komet']}/carrier.list", {"authenticationToken": world.token}
    world.settings(auth_failure="http401")
    assert world.http.get(url, params=parameters).status_code == 401
    world.settings(token_valid=True, rights=[], right_failure="http403")
    assert world.http.get(url, params=parameters).status_code == 403
    world.settings(rights=None, daily_limit=0)
    assert "limit" in world.get("carrier.list")["message"]
    world.settings(limit_failure="http429", auth_failure="body")
    assert world.http.get(url, params=parameters).status_code == 429
    world.settings(daily_limit=None)
    assert world.http.post(url, json=parameters).status_code == 405
    assert world.http.get(f"{world.addresses['komet']}/prebook.sing", params=parameters).status_code == 404
    assert "JSON" in world.http.post(f"{world.addresses['komet']}/prebook.create", content="{").json()["message"]
