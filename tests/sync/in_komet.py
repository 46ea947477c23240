"""What stands in Komet of orders born in Axerrio, and what Axerrio holds of it: judged from the sandbox alone."""

from decimal import Decimal
from typing import Any

from tests.world import World

Json = dict[str, Any]


def prebooks_of(world: World, key: str) -> list[Json]:
    """Our prebooks of the order, whatever they hold."""
    number = key.replace("SO-", "2026-")  # a tombstone names none
    return [each for each in world.company["prebooks"] if f"Axerrio {number} [AX:" in each["comments"]]


def items_of(world: World, key: str) -> list[tuple[Json, Json]]:
    """Prebook and item, of all items of the order that hold boxes."""
    return [(prebook, item) for prebook in prebooks_of(world, key) for item in prebook["items"] if item["boxes"]]


def covering(world: World, item_id: int) -> list[tuple[Json, Json]]:
    """Purchase order and item, of all that cover a prebook item and are not cancelled."""
    return [
        (order, item)
        for order in world.company["purchase_orders"]
        for item in order["items"]
        if item["prebook_item_id"] == item_id and item["boxes"] and order["status"] != "X"
    ]


def references(world: World, key: str) -> Json:
    """What Axerrio holds of the order's place in Komet."""
    held = world.axerrio_order(key)["external_references"] or {}
    found: Json = held[0] if isinstance(held, list) else held
    return {"lines": [], "purchaseOrders": []} | found


def record(world: World, key: str) -> Json:
    """The order as Axerrio's API gives it."""
    address = f"{world.addresses['axerrio']}/api/v1/sales-orders/{key}"
    headers = {"Authorization": f"Bearer {world.axerrio_token}", "X-Tenant-Id": "farm1"}
    found: Json = world.http.get(address, headers=headers).raise_for_status().json()
    return found


def assert_in_step(world: World, key: str, *, bought: bool = True) -> None:
    """Komet holds each open line of the order once, exactly as it is wanted, and Axerrio names all of it."""
    order = record(world, key)
    carriers = {"ARM", "PRIME"}
    wanted = (
        {} if order["status"] == "cancelled" else {x["lineKey"]: x for x in order["lines"] if x["status"] == "open"}
    )
    live = {str(item["id"]): (prebook, item) for prebook, item in items_of(world, key)}
    held = references(world, key)
    named = {line["lineKey"]: line for line in held["lines"]}
    assert set(named) == set(wanted), f"{key}: Axerrio names {held}"
    assert sorted(line["prebookItemId"] for line in named.values()) == sorted(live), f"{key}: {held}, {live}"
    for line_key, line in wanted.items():
        prebook, item = live[named[line_key]["prebookItemId"]]
        where = f"{key} line {line_key}: {item}"
        assert named[line_key]["prebookId"] == str(prebook["id"]), where
        assert prebook["truck_date"] == order["truckDate"], where
        assert prebook["carrier_code"] == order["carrierCode"] in carriers, where
        pack = ("boxes", "bunches_per_box", "stems_per_bunch", "mark_code", "product", "cost")
        stands = (item["boxes"], item["bunches"], item["stems_bunch"], item["mark_code"], item["product_code"])
        asked = (line["boxes"], line["bunchesPerBox"], line["stemsPerBunch"], line["markCode"], line["article"]["code"])
        assert (*stands, Decimal(item["cost"])) == (*asked, Decimal(line["unitCost"])), f"{where}, {pack}: {asked}"
        orders = covering(world, item["id"])
        if not bought:
            assert not orders, where
            continue
        assert sum(each["boxes"] for _, each in orders) == line["boxes"], f"{where}: {orders}"
        departure = line.get("departureDate") or order["departureDate"]
        assert {each["ship_date"] for each, _ in orders} == {departure}, f"{where}: {orders}"
        assert named[line_key]["purchaseOrderItemId"] in {str(each["id"]) for _, each in orders}, where
        assert named[line_key]["purchaseOrderNumber"] in {each["number"] for each, _ in orders}, where
    assert_nothing_dangles(world, key)


def assert_nothing_dangles(world: World, key: str) -> None:
    """No purchase order covers an item of the order that holds nothing."""
    dead = [item for prebook in prebooks_of(world, key) for item in prebook["items"] if not item["boxes"]]
    assert not [covering(world, item["id"]) for item in dead if covering(world, item["id"])], key


def assert_gone(world: World, key: str) -> None:
    """Nothing of the order stands in Komet, and Axerrio names nothing (a deleted order can hold no references)."""
    assert not items_of(world, key)
    assert_nothing_dangles(world, key)
    if not world.axerrio_order(key)["deleted"]:
        held = references(world, key)
        assert (held["lines"], held["purchaseOrders"]) == ([], []), held
