"""Going live: what had left, was made before the start, or is linked already creates nothing."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from models.states import Feed
from models.tables import Order
from tasks.feeds import reset
from tasks.upstreams import tend
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once, today_in
from worker.today import turn_of, turns


def test_observe_mode_reads_and_writes_nothing(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(mode="observe")
    key = world.place()
    ledger.live(120)
    assert ledger.state(key) == "received"
    assert ledger.order(key)["held_up_by"] == "observe"
    assert turn_of(ledger.order(key)).who == "admin"
    with ledger.session() as session:
        assert turns(session) == {("miami", "admin"): (1, 0)}
        due_at = session.scalars(select(Order.due_at)).one()
    tend(ledger.runtime)
    with ledger.session() as session:
        assert session.scalars(select(Order.due_at)).one() == due_at, "only its settings let it go on"
    assert world.requests("prebook.create") == 0
    assert world.axerrio_order(key)["external_references"] in ([], None)
    live = make_ledger()
    live.offset = ledger.offset
    live.live(120)
    assert live.state(key) == "ordered"
    assert live.order(key)["held_up_by"] is None


def test_an_order_that_had_left_when_first_seen_is_closed(ledger: Ledger, world: World) -> None:
    left = world.place(departureDate=world.day(-1), truckDate=world.day(1))
    today = world.place(departureDate=world.day(0), truckDate=world.day(2))
    ledger.live(180)
    assert (ledger.state(left), ledger.reason(left)) == ("closed", "departed")
    assert ledger.state(today) == "ordered"
    assert world.requests("prebook.create") == 1


def test_an_order_received_in_time_and_not_begun_is_held_as_departed(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(buyers={})
    key = world.place(departureDate=world.day(0), truckDate=world.day(2))
    ledger.live(60)
    assert ledger.reason(key) == "unmapped_reference"
    mapped = make_ledger()
    mapped.offset = ledger.offset + 86_400
    mapped.live(7200, pace=1200)
    assert (mapped.state(key), mapped.reason(key)) == ("held", "departed")
    assert world.requests("prebook.create") == 0


def test_an_order_that_axerrio_ships_before_it_was_sent_is_held_as_departed(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    """It must not go quietly. One that had left when it was first seen is none of ours."""
    ledger = make_ledger(buyers={})
    key, first_seen = world.place(), world.place(status="shipped")
    ledger.live(60)
    assert ledger.reason(key) == "unmapped_reference"
    world.place(key=key, status="shipped")
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "departed")
    assert "nothing of it was ever sent to Komet" in ledger.order(key)["reason"]["message"]
    assert ledger.state(first_seen) == "closed"
    ledger.live(16 * 86_400, pace=2 * 86_400)
    assert ledger.state(key) == "closed"


def test_versions_that_are_counted_anew_hide_no_order_that_left(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    """Deleted in Axerrio, and made again under the same key with a lower version."""
    ledger = make_ledger(buyers={})
    key = world.place(version=3)
    ledger.live(60)
    world.control("orders/delete", tenant_token=world.axerrio_token, keys=[key])
    ledger.live(60)
    assert ledger.state(key) == "cancelled"
    world.place(**world.order(), key=key, number="2026-1", version=1)
    ledger.live(60)
    assert ledger.reason(key) == "unmapped_reference"
    world.place(key=key, status="shipped", version=2)
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "departed")


def test_orders_made_before_the_start_date_create_nothing(make_ledger: Callable[..., Ledger], world: World) -> None:
    start = (today_in() + timedelta(days=0)).isoformat()
    ledger = make_ledger(start_date=start)
    yesterday = date.fromisoformat(start) - timedelta(days=1)
    old = world.place(createdAt=f"{yesterday}T12:00:00-05:00")
    new = world.place()
    ledger.live(120)
    assert (ledger.state(old), ledger.reason(old)) == ("closed", "before_start")
    assert ledger.state(new) == "ordered"


def test_an_order_that_is_linked_already_is_not_made_again(
    make_ledger: Callable[..., Ledger], world: World, postgres: str
) -> None:
    """The ledger was lost; Axerrio's references name everything."""
    first = make_ledger()
    key = world.place()
    first.live(120)
    assert_exactly_once(world, key)
    with first.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE connections CASCADE")
    again = make_ledger()
    again.live(120)
    assert again.state(key) == "ordered"
    world.approve()
    again.live(600)
    assert again.state(key) == "approved"
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == 1


def test_what_axerrio_names_and_komet_has_no_more_is_told(
    make_ledger: Callable[..., Ledger], world: World, postgres: str
) -> None:
    """The ledger was lost, and so were prebook and purchase order: nobody says any more that it is ordered."""
    first = make_ledger()
    key = world.place()
    first.live(120)
    for prebook in world.company["prebooks"]:
        for item in prebook["items"]:
            world.edit(prebook_item_id=item["id"], delete=True)
    for order in world.company["purchase_orders"]:
        world.edit(purchase_order_number=order["number"], vendor_id=9_999)  # no list shows it
    with first.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE connections CASCADE")
    again = make_ledger()
    again.live(900, pace=60)
    assert (again.state(key), again.reason(key)) == ("held", "not_visible"), again.order(key)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == 1


def test_after_a_restored_backup_what_was_linked_since_is_not_made_again(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    """The ledger is of last night: what was done since stands in Axerrio's references, which move no record."""
    first = make_ledger()
    key = world.place()
    first.live(120)
    assert_exactly_once(world, key)
    with first.runtime.sessions.begin() as session:
        session.execute(text("TRUNCATE writes, prebooks, purchase_orders CASCADE"))
        session.execute(text("UPDATE orders SET begun_version = NULL, references_applied = NULL, due_at = created_at"))
        reset(session, next(iter(first.runtime.connections)), Feed.SALES_ORDERS, 0)
    observing = make_ledger(mode="observe")
    observing.offset = first.offset
    observing.live(60)
    live = make_ledger()
    live.offset = observing.offset
    live.live(120)
    assert live.state(key) == "ordered"
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == 1


@pytest.mark.thorough
def test_an_order_linked_to_its_prebook_only_gets_its_purchase_order(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    first = make_ledger()
    world.fault("refuse", "purchase.order.create", message="Customer not found.")
    key = world.place()
    first.live(120)
    with first.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE connections CASCADE")
    world.http.delete(f"{world.addresses['control']}/faults")
    again = make_ledger()
    again.live(180)
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == 1
