"""A hold by hand: nothing more is sent, what is under way is still found, and the release lets all of it go on."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from models.database import now
from models.states import Kind
from models.tables import Order
from tasks.hold import Told, cancel, hold, release
from tasks.upstreams import pause
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_in_step
from tests.sync.test_upstreams import METHODS
from tests.world import World


def hold_it(ledger: Ledger, key: str) -> Told:
    with ledger.runtime.sessions.begin() as session:
        (told,) = hold(session, [ledger.order(key)["id"]], "ann", "the price is wrong")
    return told


def release_it(ledger: Ledger, key: str) -> Told:
    with ledger.runtime.sessions.begin() as session:
        (told,) = release(session, [ledger.order(key)["id"]], "bob")
    return told


def test_before_anything_was_sent(ledger: Ledger, world: World) -> None:
    key = world.place(status="draft")
    ledger.work()
    assert hold_it(ledger, key).why_not is None
    world.place(key=key, status="confirmed")
    ledger.live(300)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "by_hand")
    assert ledger.order(key)["reason"]["message"] == "Held by ann: the price is wrong."
    assert world.requests("prebook.create") == 0
    assert release_it(ledger, key).why_not is None
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert_in_step(world, key)
    said = [each["why"] for each in ledger.order(key)["history"]]
    assert "Held, by ann: the price is wrong" in said
    assert "Released from by_hand, by bob" in said


@pytest.mark.thorough
def test_a_change_waits_until_the_release(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    hold_it(ledger, key)
    world.place(key=key, lines=[world.line("1", boxes=9), world.line("2", boxes=2)])
    world.approve()
    ledger.live(600)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "by_hand")
    assert world.requests("prebook.item.delete") == world.requests("purchase.order.item.delete") == 0
    assert release_it(ledger, key).why_not is None
    ledger.live(300)
    assert ledger.reason(key) != "by_hand"


def test_what_was_approved_while_a_change_waited_is_asked_about(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    hold_it(ledger, key)
    world.place(key=key, lines=[world.line("1", boxes=9), world.line("2", boxes=2)])
    ledger.live(600)
    world.approve()
    release_it(ledger, key)
    ledger.live(120, pace=5)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "conflict")
    assert world.requests("purchase.order.item.delete") == 0


def test_what_was_bought_by_hand_while_an_order_waited_is_not_bought_again(ledger: Ledger, world: World) -> None:
    world.settings(rights=[each for each in METHODS if each != "purchase.order.create"])
    keys = [world.place(), world.place()]
    ledger.live(600)
    assert {ledger.state(key) for key in keys} == {"prebooked"}
    items = [{"prebook_item_id": item["id"]} for each in world.company["prebooks"] for item in each["items"]]
    world.control("purchase-orders", company_token=world.komet_token, ship_date=world.day(3), items=items)
    ledger.live(600)
    world.settings(rights=None)
    ledger.live(900)
    assert {ledger.state(key) for key in keys} == {"ordered"}
    assert len(world.company["purchase_orders"]) == 1


def test_what_is_under_way_is_still_found(ledger: Ledger, world: World) -> None:
    ledger.work()
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    assert ledger.writes(key, "komet.prebook.create") == ["sent"]
    hold_it(ledger, key)
    ledger.live(120)
    assert ledger.writes(key, "komet.prebook.create") == ["done"]
    assert ledger.reason(key) == "by_hand"
    assert world.requests("purchase.order.create") == 0
    release_it(ledger, key)
    ledger.live(120)
    assert ledger.state(key) == "ordered"
    assert world.requests("prebook.create") == 1
    assert_in_step(world, key)


def test_the_release_of_a_hold_says_nothing_of_what_lies_beneath(ledger: Ledger, world: World) -> None:
    """That it was cancelled by hand too, or is over the limit, was not shown to whoever released it."""
    cancelled, over_limit = world.place(), world.place()
    ledger.feed_and_send()
    with ledger.runtime.sessions.begin() as session:
        cancel(session, [ledger.order(cancelled)["id"]], "ann", "")
        row = session.get_one(Order, ledger.order(over_limit)["id"])
        row.over_limit_since = row.upset_at = now(session)
    for key in (cancelled, over_limit):
        hold_it(ledger, key)
        assert release_it(ledger, key).why_not is None
    assert release_it(ledger, over_limit).why_not is None, "it was over the limit still"
    assert release_it(ledger, over_limit).why_not is not None
    ledger.live(120)
    assert ledger.state(cancelled) == "cancelled"


STOPS: dict[str, Callable[[Session, Order], object]] = {
    "held": lambda session, row: hold(session, [row.id], "ann", "the price is wrong"),
    "cancelled": lambda session, row: cancel(session, [row.id], "ann", ""),
    "paused": lambda session, row: pause(session, row.connection_id, "ann", ""),
}


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("kind", [Kind.EXTERNAL_REFERENCES, Kind.PREBOOK_CREATE])
def test_what_waits_for_its_turn_is_not_sent(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch, kind: Kind, how: str
) -> None:
    """It is frozen, and may wait for seconds until it may go: whoever was told that it is stopped is not deceived."""
    stopped: list[str] = []
    key = world.place()

    def stop(of: Kind, point: str, **_: object) -> None:
        if (of, point) == (kind, "intended") and not stopped:
            stopped.append(key)
            with ledger.runtime.sessions.begin() as session:
                STOPS[how](session, session.get_one(Order, ledger.order(key)["id"]))

    monkeypatch.setattr("tasks.advance.reach", stop)
    ledger.live(120)
    assert stopped
    assert set(ledger.writes(key, kind.value)) == {"void"}


def test_an_order_at_its_end_and_one_that_is_not_held(ledger: Ledger, world: World) -> None:
    key = world.place(status="draft")
    ledger.work()
    assert "not held" in str(release_it(ledger, key).why_not)
    world.place(key=key, status="cancelled")
    ledger.work()
    ledger.live(30)
    assert str(hold_it(ledger, key).why_not).startswith("is cancelled")
