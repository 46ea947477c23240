"""Workflow 1: a confirmed Axerrio order becomes a prebook and purchase order in Komet, linked both ways, once."""

import pytest

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


@pytest.mark.thorough
def test_an_order_too_large_for_one_call_becomes_several_prebooks(ledger: Ledger, world: World) -> None:
    lines = [world.line(str(n), boxes=n, notes="n" * 180) for n in range(1, 301)]
    key = world.place(lines=lines)
    ledger.live(240)
    assert ledger.state(key) == "ordered"
    company = world.company
    assert len(company["prebooks"]) == world.requests("prebook.create") == 2
    boxes = [item["boxes"] for prebook in company["prebooks"] for item in prebook["items"]]
    assert sorted(boxes) == list(range(1, 301))
    (purchase_order,) = company["purchase_orders"]
    assert sorted(item["boxes"] for item in purchase_order["items"]) == list(range(1, 301))
    references = world.axerrio_order(key)["external_references"]
    references = references[0] if isinstance(references, list) else references
    assert len({line["prebookItemId"] for line in references["lines"]}) == 300


def test_one_call_tells_axerrio_of_prebook_and_purchase_order(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    key = world.place()
    ledger.live(240)
    assert ledger.state(key) == "ordered"
    assert ledger.writes(key, "axerrio.external-references") == ["done"]


def test_lines_that_leave_on_two_days_get_two_purchase_orders(ledger: Ledger, world: World) -> None:
    key = world.place(lines=[world.line("1"), world.line("2", departureDate=world.day(4))])
    ledger.live(240)
    assert_exactly_once(world, key)
    assert sorted(each["ship_date"] for each in world.company["purchase_orders"]) == [world.day(3), world.day(4)]
    world.approve()
    ledger.live(600)
    assert ledger.state(key) == "approved"
    assert len(world.axerrio_order(key)["procurement_status"]["purchaseOrders"]) == 2
