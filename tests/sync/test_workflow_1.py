"""Workflow 1: a confirmed Axerrio order becomes a prebook and purchase order in Komet, linked both ways, once."""

from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once


def test_an_order_goes_all_the_way(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.work()
    ledger.live(120)
    prebook = assert_exactly_once(world, key)
    assert ledger.state(key) == "ordered"
    assert prebook["truck_date"] == world.day(5)
    (purchase_order,) = world.company["purchase_orders"]
    assert purchase_order["ship_date"] == world.day(3)
    world.approve()
    ledger.live(600)
    assert ledger.state(key) == "approved"
    report = world.axerrio_order(key)["procurement_status"]
    assert report["status"] == "approved"
    assert [each["number"] for each in report["purchaseOrders"]] == [purchase_order["number"]]
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == 1
