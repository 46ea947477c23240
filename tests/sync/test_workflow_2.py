"""Workflow 2: a prebook that a Komet user made for our vendor becomes an Axerrio order, once, linked both ways."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, update

from models.canonical import InboundOrder
from models.tables import Order, OrderLine, Scope
from tasks.kinds.axerrio import learn_inbound_answer
from tasks.requeue import requeue
from tests.sync.books import (
    Json,
    assert_in_step,
    axerrio_boxes,
    axerrio_order,
    bought,
    every_trouble,
    external_id,
    in_axerrio,
    prebook,
)
from tests.sync.conftest import Ledger
from tests.sync.test_never_twice import forget_everything
from tests.world import World


def again(ledger: Ledger, key: str) -> None:
    """An admin requeues the order."""
    with ledger.runtime.sessions.begin() as session:
        requeue(session, [ledger.order(key)["id"]], "mended")


def buy(world: World, *items: Json, **changes: Any) -> Json:
    """A buyer makes a purchase order himself."""
    order = {"company_token": world.komet_token, "ship_date": world.day(3), "items": items} | changes
    made: Json = world.control("purchase-orders", **order)
    return made


def change_it(world: World, sold: Json) -> None:
    """A Komet user changes all that can be changed: another quantity, one line more, one line at 0."""
    first, second = sold["item_ids"]
    world.edit(prebook_item_id=first, boxes=6)
    world.edit(prebook_item_id=second, boxes=0)
    world.edit(prebook_id=sold["id"], add_item=world.item(boxes=3))


def test_a_prebook_goes_all_the_way(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    sold = world.sell_in_komet(customer_po="PO 9")
    ledger.live(90)
    order = assert_in_step(world, sold)
    key = str(sold["number"])
    assert ledger.state(key) == "ordered"
    (purchase_order,) = world.company["purchase_orders"]
    assert purchase_order["ship_date"] == world.day(3)
    assert world.requests("purchase.order.create") == 1
    world.approve()
    ledger.live(60)
    assert ledger.state(key) == "approved"
    assert world.axerrio_order(order["key"])["procurement_status"]["status"] == "approved"
    world.in_axerrio("ship", order_keys=[order["key"]], awb="729-1234 5675")
    ledger.live(90)
    assert ledger.state(key) == "shipped"
    codes = {label["boxCode"] for label in world.tenant["labels"]}
    (purchase_order,) = world.company["purchase_orders"]
    assert codes == {box["code"] for item in purchase_order["items"] for box in item["shipped_boxes"]}
    assert len(codes) == 6


# -- in Axerrio's words ----------------------------------------------------------------------------------------


def test_codes_are_read_the_other_way(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(carriers={"ARMX": "ARM"}, packings={"HALF": "HB"})
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    body = world.tenant["inbound_orders"][0]["body"]
    assert body["buyer"]["code"] == "MIAFLOWERS"
    assert body["carrierCode"] == "ARMX"
    assert {line["packing"]["code"] for line in body["lines"]} == {"HALF"}


def test_a_customer_that_is_not_mapped_is_sold_to_the_default_buyer(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(buyers={}, default_buyer="WALKIN")
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    assert world.tenant["inbound_orders"][0]["body"]["buyer"]["code"] == "WALKIN"


def test_a_customer_without_a_buyer_is_held_until_the_setting_comes(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(buyers={})
    sold = world.sell_in_komet()
    ledger.live(60)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "unmapped_reference")
    assert "Miami Flowers Inc" in ledger.order(key)["reason"]["message"]
    assert in_axerrio(world, sold) == []
    again = make_ledger(buyers={"MIAFLOWERS": "C100"})
    again.pass_time(ledger.offset)
    again.live(90)
    assert_in_step(world, sold)
    assert again.state(key) == "ordered"


# -- what Axerrio answers --------------------------------------------------------------------------------------


def test_a_pending_answer_is_asked_for_again_and_goes_on_once_accepted(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(60)
    key = str(sold["number"])
    assert ledger.state(key) == "received"
    assert world.requests("purchase.order.create") == 0
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted")
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.writes(key, "axerrio.inbound-orders") == ["done"]


@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_what_is_said_of_lines_counts_once_the_order_is_taken(status: str) -> None:
    """Else they would be bought in Komet for an order that Axerrio may not take."""
    row = Order(lines=[OrderLine(line_key="881")])
    line = {"external_line_id": "881", "line_key": "1", "is_accepted": True}
    answer = {"external_id": "komet-MIA-1", "order_key": None, "order_number": None, "lines": [line]}
    learn_inbound_answer(row, InboundOrder.model_validate(answer | {"status": status}))
    assert [each.axerrio_line_key for each in row.lines] == [None]
    learn_inbound_answer(row, InboundOrder.model_validate(answer | {"status": "accepted", "order_key": "SO-1"}))
    assert [each.axerrio_line_key for each in row.lines] == ["1"]
    assert row.axerrio_key == "SO-1"


@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_an_order_keeps_its_keys_while_axerrio_does_not_take_its_change(status: str) -> None:
    row = Order(axerrio_key="SO-1", lines=[OrderLine(line_key=key, axerrio_line_key=key) for key in ("881", "882")])
    answer = {"external_id": "komet-MIA-1", "order_key": "SO-1", "status": status, "lines": []}
    learn_inbound_answer(row, InboundOrder.model_validate(answer))
    assert [each.axerrio_line_key for each in row.lines] == ["881", "882"]
    learn_inbound_answer(row, InboundOrder.model_validate(answer | {"status": "accepted"}))
    assert [each.axerrio_line_key for each in row.lines] == [None, None], "it took the change, without these lines"


def test_an_order_that_axerrio_makes_in_the_place_of_another_is_told_everything() -> None:
    line = OrderLine(line_key="881", axerrio_line_key="1")
    row = Order(axerrio_key="SO-1", references_applied={}, report_applied={}, axerrio_holds={}, lines=[line])
    answer = {"external_id": "komet-MIA-1", "order_key": "SO-1", "status": "accepted", "lines": []}
    learn_inbound_answer(row, InboundOrder.model_validate(answer))
    assert (row.references_applied, row.report_applied, row.axerrio_holds) == ({}, {}, {})
    learn_inbound_answer(row, InboundOrder.model_validate(answer | {"order_key": "SO-2"}))
    assert (row.axerrio_key, line.axerrio_line_key) == ("SO-2", None)
    assert (row.references_applied, row.report_applied, row.axerrio_holds) == (None, None, None)


def test_boxes_of_an_order_leave_although_axerrio_rejects_its_change(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    sold = world.sell_in_komet()
    ledger.live(90)
    world.in_axerrio("tenant-settings", inbound="rejected")
    world.edit(prebook_id=sold["id"], comments="call first")
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    world.in_axerrio("ship", order_keys=[axerrio_order(world, sold)["key"]], awb="729-1234 5675")
    ledger.live(120)
    (order,) = world.company["purchase_orders"]
    assert [len(item["shipped_boxes"]) for item in order["items"]] == [4, 2]
    assert ledger.reason(key) == "rejected", "its change waits all the same"


@pytest.mark.thorough
def test_a_pending_answer_that_becomes_a_rejection_holds_it_until_it_is_mended(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(60)
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="rejected", message="Credit limit")
    ledger.live(60)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert "Credit limit" in ledger.order(key)["reason"]["message"]
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted")
    again(ledger, key)
    ledger.live(90)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_what_a_person_takes_after_all_goes_on_by_itself(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="rejected")
    sold = world.sell_in_komet()
    ledger.live(30)
    assert ledger.reason(str(sold["number"])) == "rejected"
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted")
    ledger.live(90)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_a_change_that_axerrio_rejects_buys_nothing_until_it_is_mended(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    first, _ = sold["item_ids"]
    ledger.live(90)
    world.in_axerrio("tenant-settings", reject_lines={str(first): {"code": "no-stock", "message": "Sold out"}})
    world.edit(prebook_item_id=first, boxes=6)
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert [boxes for _, boxes in bought(world, first)] == [4]
    world.in_axerrio("tenant-settings", reject_lines={})
    again(ledger, key)
    ledger.live(90)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_a_rejected_order_goes_on_when_it_is_requeued_after_it_was_mended(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="rejected")
    sold = world.sell_in_komet()
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert ledger.order(key)["reason"]["next_command"] == f"axkomet requeue prebook:{key}"
    assert ledger.writes(key, "axerrio.inbound-orders") == ["done"], "asked again by itself"
    assert world.requests("purchase.order.create") == 0
    world.in_axerrio("tenant-settings", inbound="accepted")
    again(ledger, key)
    ledger.live(90)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_accepted_lines_go_on_while_a_rejected_one_waits(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(30)
    good, bad = sold["item_ids"]
    why = {str(bad): {"code": "no-stock", "message": "Sold out"}}
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted", reject_lines=why)
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    assert "Sold out" in ledger.order(key)["reason"]["message"]
    assert [line["state"] for line in ledger.order(key)["lines"]] == ["ordered", "held"]
    assert sum(boxes for _, boxes in bought(world, good)) == 4
    assert bought(world, bad) == []
    world.in_axerrio("tenant-settings", inbound="accepted")
    again(ledger, key)
    ledger.live(90)
    assert_in_step(world, sold)


# -- a buyer may cover it first --------------------------------------------------------------------------------


def test_what_a_buyer_covered_first_is_not_bought_again(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    covered, open_ = sold["item_ids"]
    made = buy(world, {"prebook_item_id": covered})
    ledger.live(90)
    assert_in_step(world, sold)
    assert bought(world, covered) == [(made["number"], 4)]
    assert [boxes for _, boxes in bought(world, open_)] == [2]


def test_a_buyer_who_covers_it_while_axerrio_decides_is_seen(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(90)
    buy(world, *({"prebook_item_id": each} for each in sold["item_ids"]))
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted")
    ledger.live(90)
    assert_in_step(world, sold)
    assert world.requests("purchase.order.create") == 0


def test_what_a_buyer_covered_in_part_is_his_to_decide(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    first, second = sold["item_ids"]
    made = buy(world, {"prebook_item_id": first, "boxes": 3})
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert "holds 3 boxes, the prebook 4" in ledger.order(key)["reason"]["message"]
    assert bought(world, first) == [(made["number"], 3)]
    assert world.requests("purchase.order.item.delete") == 0
    assert [boxes for _, boxes in bought(world, second)] == [2]


# -- what comes back in Axerrio's feed -------------------------------------------------------------------------


def test_what_comes_back_in_the_feed_is_never_sent_to_komet(ledger: Ledger, world: World) -> None:
    world.place(origin="komet", externalId="komet-elsewhere-1")
    sold = world.sell_in_komet()
    ledger.live(90)
    order = assert_in_step(world, sold)
    with ledger.runtime.sessions.begin() as session:  # an admin's reset
        session.execute(update(Scope).where(Scope.feed == "sales-orders").values(cursor=0, due_at=func.axkomet_now()))
    ledger.live(60)
    assert_in_step(world, sold)
    assert ledger.order(str(sold["number"]))["axerrio"]["key"] == order["key"]
    assert world.company["prebooks"] == [prebook(world, sold)]


@pytest.mark.thorough
def test_a_new_ledger_takes_up_what_stands_on_both_sides(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    order = assert_in_step(world, sold)
    forget_everything(ledger)
    ledger.live(90)
    assert assert_in_step(world, sold)["key"] == order["key"]
    assert world.requests("purchase.order.create") == 1
    assert len(world.company["prebooks"]) == 1


def test_the_feed_may_bring_it_while_its_put_goes_unanswered(ledger: Ledger, world: World) -> None:
    world.fault("lost_answer", "PUT inbound-orders", system="axerrio", times=3)
    sold = world.sell_in_komet()
    ledger.step()
    ledger.live(90)
    assert_in_step(world, sold)
    assert len(world.tenant["orders"]) == 1
    assert ledger.writes(str(sold["number"]), "axerrio.inbound-orders") == ["done"]


# -- changes before the purchase order -------------------------------------------------------------------------


def test_changes_before_axerrio_had_it_are_what_axerrio_gets(make_ledger: Callable[..., Ledger], world: World) -> None:
    sold = world.sell_in_komet()
    observer = make_ledger(mode="observe")
    observer.live(30)
    change_it(world, sold)
    ledger = make_ledger()
    ledger.pass_time(observer.offset)
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.writes(str(sold["number"]), "axerrio.inbound-orders") == ["done"]


@pytest.mark.thorough
def test_changes_while_axerrio_decides_reach_it(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", inbound="pending")
    sold = world.sell_in_komet()
    ledger.live(60)
    change_it(world, sold)
    ledger.live(60)
    world.in_axerrio("inbound", external_id=external_id(sold, world), decision="accepted")
    ledger.live(90)
    assert_in_step(world, sold)


def test_a_prebook_cancelled_before_axerrio_had_it_creates_nothing(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    sold = world.sell_in_komet()
    observer = make_ledger(mode="observe")
    observer.live(30)
    world.edit(prebook_id=sold["id"], cancel=True)
    ledger = make_ledger()
    ledger.pass_time(observer.offset)
    ledger.live(60)
    assert ledger.state(str(sold["number"])) == "cancelled"
    assert world.tenant["inbound_orders"] == []


def test_a_prebook_cancelled_before_the_purchase_order_is_cancelled_in_axerrio(ledger: Ledger, world: World) -> None:
    world.fault("error_before", "purchase.order.list")
    sold = world.sell_in_komet()
    ledger.live(60)
    assert axerrio_order(world, sold)["status"] == "confirmed"
    world.edit(prebook_id=sold["id"], cancel=True)
    ledger.live(60)
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(600, pace=120)
    assert ledger.state(str(sold["number"])) == "cancelled"
    assert axerrio_order(world, sold)["status"] == "cancelled"
    assert world.requests("purchase.order.create") == 0


# -- changes after the purchase order --------------------------------------------------------------------------


@pytest.mark.thorough
def test_after_a_pending_purchase_order_a_change_makes_it_anew(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    assert_in_step(world, sold)
    change_it(world, sold)
    ledger.live(120)
    assert_in_step(world, sold)
    assert ledger.state(str(sold["number"])) == "ordered"


def test_after_the_approval_a_change_is_held_on_both_sides(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    first, second = sold["item_ids"]
    ledger.live(90)
    world.approve()
    ledger.live(60)
    key = str(sold["number"])
    assert ledger.state(key) == "approved"
    world.edit(prebook_item_id=first, boxes=6)
    ledger.live(90)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert "6" in ledger.order(key)["reason"]["message"]
    assert axerrio_boxes(world, sold) == {str(first): 4, str(second): 2}
    assert [boxes for _, boxes in bought(world, first)] == [4]
    world.edit(prebook_item_id=first, boxes=4)
    ledger.live(60)
    assert ledger.state(key) == "approved", "changed back"


@pytest.mark.thorough
def test_after_the_approval_a_change_is_applied_where_the_connection_says_so(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(change_after_approval="apply")
    sold = world.sell_in_komet()
    ledger.live(90)
    world.approve()
    ledger.live(60)
    change_it(world, sold)
    ledger.live(120)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_a_prebook_cancelled_after_the_pending_purchase_order_takes_everything_away(
    ledger: Ledger, world: World
) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    world.edit(prebook_id=sold["id"], cancel=True)
    ledger.live(90)
    assert axerrio_order(world, sold)["status"] == "cancelled"
    assert [bought(world, each) for each in sold["item_ids"]] == [[], []]
    assert ledger.state(str(sold["number"])) == "cancelled"


@pytest.mark.thorough
def test_the_goods_of_a_changed_item_are_bought_anew(ledger: Ledger, world: World) -> None:
    """Not only its boxes: product, cost and mark code are what the prebook says now."""
    changes: list[Json] = [
        {"product_code": "RMOND50", "product_description": "Rose Mondial 50 cm"},
        {"cost": "0.31"},
        {"mark_code": "DOCK9"},
    ]
    solds = [world.sell_in_komet(items=[world.item()]) for _ in changes]
    ledger.live(90)
    for sold, change in zip(solds, changes, strict=True):
        world.edit(prebook_item_id=sold["item_ids"][0], **change)
    ledger.live(90)
    for sold in solds:
        assert_in_step(world, sold)
        (item,) = prebook(world, sold)["items"]
        orders = world.company["purchase_orders"]
        items = [each for order in orders for each in order["items"] if each["prebook_item_id"] == item["id"]]
        for name in ("product_code", "cost", "mark_code"):
            assert items[-1][name] == item[name]


@pytest.mark.thorough
def test_another_ship_date_moves_it_to_another_purchase_order(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet(items=[world.item(), world.item(vendor_ship_date=world.day(4))])
    first, second = sold["item_ids"]
    ledger.live(90)
    days = {order["number"]: order["ship_date"] for order in world.company["purchase_orders"]}
    assert [days[number] for each in (first, second) for number, _ in bought(world, each)] == [
        world.day(3),
        world.day(4),
    ]
    world.edit(prebook_item_id=first, vendor_ship_date=world.day(4))
    ledger.live(90)
    assert_in_step(world, sold)
    ((moved, _),) = bought(world, first)
    assert days[moved] == world.day(4)


@pytest.mark.thorough
def test_an_approval_that_was_not_seen_yet_stands_before_a_change(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    first, _ = sold["item_ids"]
    ledger.live(90)
    world.approve()
    world.edit(prebook_item_id=first, boxes=6)
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert [boxes for _, boxes in bought(world, first)] == [4]


@pytest.mark.thorough
def test_a_line_added_after_the_approval_makes_it_pending_again(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(90)
    world.approve()
    ledger.live(30)
    key = str(sold["number"])
    assert ledger.state(key) == "approved"
    world.edit(prebook_id=sold["id"], add_item=world.item(boxes=3))
    ledger.live(90)
    order = assert_in_step(world, sold)
    assert order["procurement_status"]["status"] == "pending"
    world.approve()
    ledger.live(30)
    assert axerrio_order(world, sold)["procurement_status"]["status"] == "approved"
    assert ledger.state(key) == "approved"


def test_an_item_that_a_person_took_away_lets_the_others_begin_afresh(ledger: Ledger, world: World) -> None:
    """What was refused for its sake counts no more."""
    world.settings(deleted_items="gone")
    world.fault("refuse", "purchase.order.create", times=3, message="The item does not exist")
    sold = world.sell_in_komet()
    key = str(sold["number"])
    ledger.live(120, pace=30)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    world.edit(prebook_item_id=sold["item_ids"][1], delete=True)
    ledger.live(1800, pace=225)
    assert ledger.state(key) == "ordered", ledger.order(key)
    assert_in_step(world, sold)


@pytest.mark.thorough
def test_a_line_that_a_person_deleted_is_seen_where_komet_shows_no_zeros(ledger: Ledger, world: World) -> None:
    world.settings(deleted_items="gone")
    sold, other = world.sell_in_komet(), world.sell_in_komet()
    first, second = sold["item_ids"]
    ledger.live(90)
    world.edit(prebook_item_id=second, delete=True)
    world.edit(prebook_id=other["id"], cancel=True)
    ledger.live(1800, pace=225)
    assert axerrio_boxes(world, sold) == {str(first): 4}
    assert axerrio_order(world, other)["status"] == "cancelled"
    assert ledger.state(str(other["number"])) == "cancelled"


@pytest.mark.thorough
def test_a_prebook_that_comes_back_to_life_is_sold_again(ledger: Ledger, world: World) -> None:
    sold = world.sell_in_komet()
    ledger.live(30)
    world.edit(prebook_id=sold["id"], cancel=True)
    ledger.live(90)
    assert ledger.state(str(sold["number"])) == "cancelled"
    world.edit(prebook_item_id=sold["item_ids"][0], boxes=4)
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.state(str(sold["number"])) == "ordered"


@pytest.mark.thorough
@pytest.mark.parametrize("change", ["boxes", "cancel"])
def test_a_change_after_axerrio_shipped_it_is_a_conflict_that_says_so(
    ledger: Ledger, world: World, change: str
) -> None:
    sold = world.sell_in_komet()
    first, _ = sold["item_ids"]
    ledger.live(90)
    world.in_axerrio("mark-shipped", order_keys=[axerrio_order(world, sold)["key"]])
    if change == "boxes":
        world.edit(prebook_item_id=first, boxes=6)
    else:
        world.edit(prebook_id=sold["id"], cancel=True)
    ledger.live(90)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert "shipped" in ledger.order(key)["reason"]["message"]
    assert [boxes for _, boxes in bought(world, first)] == [4]


# -- what creates nothing --------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_prebook_first_seen_after_it_left_creates_nothing_until_it_is_moved(ledger: Ledger, world: World) -> None:
    past = world.item(vendor_ship_date=world.day(-1))
    sold = world.sell_in_komet(truck_date=world.day(1), items=[past])
    ledger.live(60)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("closed", "departed")
    assert world.tenant["inbound_orders"] == []
    world.edit(prebook_id=sold["id"], truck_date=world.day(5))
    world.edit(prebook_item_id=sold["item_ids"][0], vendor_ship_date=world.day(3))
    ledger.live(90)
    assert_in_step(world, sold)


def test_a_prebook_seen_before_the_start_date_creates_nothing(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(start_date=world.day(1))
    sold = world.sell_in_komet()
    ledger.live(60)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("closed", "before_start")
    assert world.tenant["inbound_orders"] == []


def test_one_that_left_before_axerrio_had_it_is_held(make_ledger: Callable[..., Ledger], world: World) -> None:
    observer = make_ledger(mode="observe")
    sold = world.sell_in_komet()
    observer.live(30)
    ledger = make_ledger()
    ledger.pass_time(observer.offset + 4 * 86400)
    ledger.live(30)
    key = str(sold["number"])
    assert (ledger.state(key), ledger.reason(key)) == ("held", "departed")
    assert world.tenant["inbound_orders"] == []


@pytest.mark.thorough
def test_a_prebook_that_may_be_ours_is_never_sold_to_axerrio(ledger: Ledger, world: World) -> None:
    """Its answer was lost and its comments are hidden; one of another truck date is certainly not it."""
    ledger.earn_proof()
    world.settings(comments_visible=False)
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.live(30)
    other = world.sell_in_komet(truck_date=world.day(6))
    ledger.live(240, pace=60)
    assert ledger.reason(key) == "in_doubt"
    assert [each["external_id"] for each in world.tenant["inbound_orders"]] == [external_id(other, world)]
    assert len(world.company["prebooks"]) == 3


def test_neither_an_id_in_the_answer_nor_a_comment_is_needed_to_know_it_as_ours(ledger: Ledger, world: World) -> None:
    world.settings(comments_visible=False, create_answers_bare=True)
    world.place()
    ledger.live(240, pace=60)
    assert world.tenant["inbound_orders"] == []
    assert len(world.company["prebooks"]) == 1


@pytest.mark.thorough
def test_a_mark_of_our_form_is_enough_to_be_left_alone(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    (ours,) = world.company["prebooks"]
    world.edit(prebook_id=ours["id"], copy=True)
    world.sell_in_komet(comments="Axerrio 2026-1 [AX:0123456789]")
    ledger.live(90)
    assert world.tenant["inbound_orders"] == []
    assert world.requests("purchase.order.create") == 1


# -- what Komet leaves open ------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_axerrios_departure_date_counts_where_komet_shows_no_ship_date(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"prebook_item_ship_date_fields": ["nowhere"]}})
    sold = world.sell_in_komet(truck_date=world.day(7))
    ledger.live(120)
    order = assert_in_step(world, sold)
    assert order["lines"][0].get("departureDate") is None
    assert {each["ship_date"] for each in world.company["purchase_orders"]} == {world.day(5)}


@pytest.mark.thorough
def test_a_product_that_komet_itself_does_not_know_waits_there(ledger: Ledger, world: World) -> None:
    odd = world.item(product_code="ODD", product_description="Odd rose", boxes=2)
    sold = world.sell_in_komet(items=[world.item(), odd])
    ledger.live(90)
    key = str(sold["number"])
    assert ledger.state(key) == "mapping_required"
    assert f"map it in prebook {key} on its screen" in ledger.order(key)["reason"]["message"]
    assert axerrio_boxes(world, sold) == {str(sold["item_ids"][0]): 4}, "nobody sells UNKNOWN"
    product = {"code": "KODD", "description": "Komet's odd rose"}
    world.control("map", company_token=world.komet_token, code="ODD", product=product)
    ledger.live(90)
    assert_in_step(world, sold)
    assert ledger.state(key) == "ordered"


def test_boxes_leave_while_the_purchase_order_is_pending(ledger: Ledger, world: World) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    sold = world.sell_in_komet()
    ledger.live(90)
    world.in_axerrio("ship", order_keys=[axerrio_order(world, sold)["key"]], awb="729-1234 5675")
    ledger.live(90)
    assert ledger.state(str(sold["number"])) == "shipped"
    (order,) = world.company["purchase_orders"]
    assert [len(item["shipped_boxes"]) for item in order["items"]] == [4, 2]


@pytest.mark.parametrize("boxes", [6, 3])
def test_a_prebook_that_changes_after_boxes_have_left_is_a_conflict(ledger: Ledger, world: World, boxes: int) -> None:
    """What was bought cannot be made anew: a person puts prebook and purchase order right."""
    world.in_axerrio("tenant-settings", print_labels=True)
    sold = world.sell_in_komet(items=[world.item()])
    ledger.live(90)
    (line,) = axerrio_order(world, sold)["lines"]
    left = {line["lineKey"]: 2}
    world.in_axerrio("ship", order_keys=[axerrio_order(world, sold)["key"]], awb="729-1234 5675", boxes=left)
    ledger.live(90)
    world.edit(prebook_item_id=sold["item_ids"][0], boxes=boxes)
    ledger.live(160)
    order = ledger.order(str(sold["number"]))
    assert (order["state"], order["reason"]["code"]) == ("held", "conflict"), order
    assert f"boxes 4 → {boxes}" in order["reason"]["message"]
    assert world.requests("purchase.order.item.delete") == 0
    *_, rest = world.company["purchase_orders"][0]["items"]
    world.edit(purchase_order_item_id=rest["id"], boxes=boxes - 2)
    ledger.live(160)
    assert ledger.state(str(sold["number"])) == "ordered", "put right by hand"


# -- trouble on the way ----------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_no_trouble_on_the_way_to_axerrio_loses_or_doubles_an_order(ledger: Ledger, world: World) -> None:
    with every_trouble(world, "PUT inbound-orders", system="axerrio") as kinds:
        solds = [world.sell_in_komet() for _ in kinds]
        ledger.live(240)  # so many answers are lost that Axerrio counts as away for a while
    for sold in solds:
        assert_in_step(world, sold)
    assert len(world.tenant["orders"]) == len(solds)
    with every_trouble(world, "DELETE inbound-orders", system="axerrio"):
        for sold in solds:
            world.edit(prebook_id=sold["id"], cancel=True)
        ledger.live(240)
    for sold in solds:
        assert axerrio_order(world, sold)["status"] == "cancelled"
        assert [bought(world, each) for each in sold["item_ids"]] == [[], []]
        assert ledger.state(str(sold["number"])) == "cancelled"


@pytest.mark.thorough
def test_no_trouble_at_the_purchase_order_loses_or_doubles_a_box(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    made = world.requests("prebook.create")
    with every_trouble(world, "purchase.order.create") as kinds:
        solds = [world.sell_in_komet() for _ in kinds]
        ledger.live(300, pace=60)
    for sold in solds:
        assert ledger.state(str(sold["number"])) == "ordered", ledger.order(str(sold["number"]))["reason"]
        assert_in_step(world, sold, made=made)


@pytest.mark.thorough
def test_a_purchase_order_in_doubt_waits_until_proof_is_earned(ledger: Ledger, world: World) -> None:
    world.fault("error_before", "purchase.order.create", times=1)
    sold = world.sell_in_komet()
    ledger.live(360, pace=60)
    assert ledger.reason(str(sold["number"])) == "in_doubt"
    assert world.requests("purchase.order.create") == 1
    ledger.earn_proof()
    ledger.live(60)
    assert_in_step(world, sold, made=1)


@pytest.mark.thorough
@pytest.mark.parametrize("change", ["change", "cancel"])
def test_what_changes_while_a_put_goes_unanswered_comes_after_it(ledger: Ledger, world: World, change: str) -> None:
    world.fault("error_after", "PUT inbound-orders", system="axerrio", times=2)
    sold = world.sell_in_komet()
    ledger.live(1)
    if change == "change":
        change_it(world, sold)
    else:
        world.edit(prebook_id=sold["id"], cancel=True)
    ledger.live(150)
    if change == "change":
        assert_in_step(world, sold)
    else:
        assert axerrio_order(world, sold)["status"] == "cancelled"
        assert ledger.state(str(sold["number"])) == "cancelled"
