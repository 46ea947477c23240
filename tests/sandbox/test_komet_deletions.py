"""Deletions as the reference pages say, and in each reading of what they leave open."""

import time
from typing import Any

from tests.sandbox.conftest import World, roses


def delete(world: World, item: int, prebook: int = 991201) -> Any:
    return world.post("prebook.item.delete", prebookId=prebook, prebookItemId=item)


def delete_bought(world: World, item: int) -> Any:
    return world.post("purchase.order.item.delete", poItemId=str(item))


def boxes(world: World) -> list[int]:
    return [item["totalBoxes"] for prebook in world.prebooks() for item in prebook["details"]]


def test_a_deleted_prebook_item_stands_at_0(world: World) -> None:
    world.create(roses(), roses(boxes=7))
    first, _ = world.item_ids()
    assert delete(world, first) == {"status": "1", "message": "success"}
    assert boxes(world) == [0, 7]
    assert delete(world, first) == {"status": "1", "message": "success"}
    world.settings(deleted_items="gone", repeated_delete="refused")
    assert boxes(world) == [7]
    assert "already deleted" in delete(world, first)["message"]


def test_only_an_item_of_ours_in_its_own_prebook_is_deleted(world: World) -> None:
    world.create(roses())
    world.create(roses())
    item, other = world.item_ids()
    world.edit(prebook_item_id=other, vendor_id=999)
    for prebook, name in ((991202, item), (4343, item), (991202, other), (991201, 5)):
        assert delete(world, name, prebook)["status"] == "0"
    for fields in ({"prebookId": 991201}, {"prebookItemId": item}):
        assert world.post("prebook.item.delete", **fields)["status"] == "0"
    assert [item["boxes"] for prebook in world.dump("companies")["prebooks"] for item in prebook["items"]] == [4, 4]


def test_a_covered_item_goes_with_its_line_only_while_the_order_is_pending(world: World) -> None:
    world.cover(4, 7)
    first, second = world.item_ids()
    assert delete(world, first)["status"] == "1"
    [order] = world.orders()
    assert [line["prebookItemId"] for line in order["details"]] == [second]
    world.control("approve", company_token=world.token, all=True)
    assert "70012" in delete(world, second)["message"]
    assert boxes(world) == [0, 7]
    assert delete_bought(world, order["details"][0]["poItemId"]) == {"status": "1", "message": "OK"}
    assert delete(world, second)["status"] == "1", "nothing covers it any more"


def test_a_cancelled_order_covers_nothing_and_a_shipped_line_holds_its_item(world: World) -> None:
    shipped, _ = world.cover(4, 7)
    first, second = world.item_ids()
    load = {"poItemId": shipped, "awb": "1", "shipDate": world.day(4)}
    assert world.post("purchase.order.items.awb.add", poItems=[load])["status"] == "1"
    assert delete(world, first)["status"] == "0"
    world.control("approve", company_token=world.token, purchase_order_number="70012", status="X")
    assert delete(world, second)["status"] == "1"
    world.settings(repeated_delete="refused")
    for bought in world.dump("companies")["purchase_orders"][0]["items"]:
        assert "is cancelled" in delete_bought(world, bought["id"])["message"]
    assert len(world.dump("companies")["purchase_orders"][0]["items"]) == 2


def test_a_deleted_order_item_is_gone_or_stands_at_0(world: World) -> None:
    first, second = world.cover(4, 7)
    assert delete_bought(world, first)["status"] == "1"
    assert [line["poItemId"] for line in world.orders()[0]["details"]] == [second]
    world.settings(deleted_order_items="zero", repeated_delete="refused")
    assert "already deleted" in delete_bought(world, first)["message"]
    assert delete_bought(world, second)["status"] == "1"
    [order] = world.orders()
    assert ([line["totalBoxes"] for line in order["details"]], order["status"]) == ([0], "PA"), "kept though empty"
    assert delete_bought(world, second)["status"] == "0"
    world.settings(repeated_delete="success")
    assert delete_bought(world, first) == delete_bought(world, second) == {"status": "1", "message": "OK"}


def test_an_emptied_order_may_be_cancelled(world: World) -> None:
    world.settings(empty_order="cancelled")
    first, second = world.cover(4, 7)
    delete_bought(world, first)
    assert world.orders()[0]["status"] == "PA"
    delete_bought(world, second)
    assert world.orders()[0]["status"] == "X"
    assert "details" not in world.orders()[0]


def test_which_order_items_can_be_deleted(world: World) -> None:
    first, second, third = world.cover(4, 7, 2)
    load = {"poItemId": first, "awb": "1", "shipDate": world.day(4)}
    world.post("purchase.order.items.awb.add", poItems=[load])
    assert "shipped" in delete_bought(world, first)["message"]
    assert delete_bought(world, 5)["status"] == "0"
    world.settings(delete_approved="refused")
    for status in ("A", "CF"):
        world.edit(purchase_order_number="70012", status=status)
        assert "approved" in delete_bought(world, second)["message"]
    world.settings(delete_approved="allowed")
    assert delete_bought(world, second)["status"] == "1"
    world.edit(purchase_order_number="70012", vendor_id=999)
    assert "not the vendor's" in delete_bought(world, third)["message"]
    assert world.orders() == []
    assert "does not exist" in world.order(roses(), purchaseOrderNumber="70012")["message"]
    assert [item["id"] for item in world.dump("companies")["purchase_orders"][0]["items"]] == [first, third]


def test_deletes_in_the_url(world: World) -> None:
    [bought] = world.cover(4)
    [item] = world.item_ids()

    def in_url(method: str, **ids: Any) -> Any:
        parameters = {"authenticationToken": world.token} | ids
        return world.http.post(f"{world.addresses['komet']}/{method}", params=parameters).json()

    assert in_url("purchase.order.item.delete", poItemId=bought)["status"] == "0"
    world.settings(delete_style="query")
    assert delete_bought(world, bought)["status"] == "0"
    assert delete(world, item)["status"] == "0"
    assert in_url("purchase.order.item.delete", poItemId=bought) == {"status": "1", "message": "OK"}
    assert in_url("prebook.item.delete", prebookId=991201, prebookItemId=item)["message"] == "success"
    assert boxes(world) == [0]
    assert "JSON" in in_url("prebook.create")["message"], "no other method is read from the URL"
    assert world.dump("companies")["requests"]["purchase.order.item.delete"] == 3


def test_deletes_obey_rights_and_faults(world: World) -> None:
    world.create(roses())
    [item] = world.item_ids()
    world.settings(rights=["prebook.details.list"])
    assert "permission" in delete(world, item)["message"]
    world.settings(rights=None)
    world.fault("refuse", method="prebook.item.delete", message="Not today")
    assert delete(world, item)["message"] == "Not today"
    assert boxes(world) == [4]


def test_lists_lag_behind_deletes_and_shipping(world: World) -> None:
    deleted, shipped = world.cover(4, 7)
    first, _ = world.item_ids()
    world.settings(list_lag_seconds=0.4)
    delete(world, first)
    load = {"poItemId": shipped, "awb": "1", "shipDate": world.day(4), "boxCodes": [f"{world.token[-4:]}-1"]}
    world.post("purchase.order.items.awb.add", poItems=[load])
    assert boxes(world) == [4, 7]
    assert [line["poItemId"] for line in world.orders()[0]["details"]] == [deleted, shipped]
    time.sleep(0.45)
    assert boxes(world) == [0, 7]
    lines = world.orders()[0]["details"]
    assert [(line["poItemId"], line["totalBoxes"]) for line in lines] == [(shipped, 1), (shipped + 1, 6)]
