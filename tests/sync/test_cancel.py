"""Cancelled by hand: it goes from the other system as if its origin had cancelled it, and comes back only if asked."""

import pytest

from models.states import HoldCode
from tasks.hold import Told, cancel, hold, release
from tasks.resolve import By, Choice, decide_conflicts
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_in_step
from tests.world import World


def cancel_it(ledger: Ledger, key: str) -> Told:
    with ledger.runtime.sessions.begin() as session:
        (told,) = cancel(session, [ledger.order(key)["id"]], "ann", "sold to somebody else")
    return told


def release_it(ledger: Ledger, key: str) -> Told:
    with ledger.runtime.sessions.begin() as session:
        (told,) = release(session, [ledger.order(key)["id"]], "bob")
    return told


def decide(ledger: Ledger, key: str, choice: Choice) -> None:
    order = ledger.order(key)
    (connection,) = ledger.runtime.connections.values()
    with ledger.runtime.sessions.begin() as session:
        decided = decide_conflicts(session, connection, order["id"], choice, By("ann", ""), ledger.timing).decided
    assert decided


def boxes_in_komet(world: World) -> int:
    return sum(item["boxes"] for prebook in world.company["prebooks"] for item in prebook["items"])


def test_what_stands_is_taken_away_and_stays_away(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    assert cancel_it(ledger, key).why_not is None
    ledger.live(300)
    assert ledger.state(key) == "cancelled"
    assert boxes_in_komet(world) == 0
    assert ledger.order(key)["history"][-1]["why"].startswith("ann cancelled it here")
    assert "Cancelled here, by ann: sold to somebody else" in [each["why"] for each in ledger.order(key)["history"]]
    creates = world.requests("prebook.create")
    world.place(key=key, comments="please be on time")  # nothing that would stand otherwise in Komet
    ledger.live(600)
    assert ledger.state(key) == "cancelled"
    assert world.requests("prebook.create") == creates
    assert cancel_it(ledger, key).why_not == "is cancelled: nothing of it can be taken back"


def test_before_anything_was_sent(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.feed_and_send()
    cancel_it(ledger, key)
    ledger.live(300)
    assert ledger.state(key) == "cancelled"
    assert world.requests("prebook.create") == 0


@pytest.mark.thorough
@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
def test_a_change_of_its_origin_asks_a_person_anew(ledger: Ledger, world: World, choice: Choice) -> None:
    key = ledger.earn_proof()
    cancel_it(ledger, key)
    ledger.live(300)
    world.place(key=key, lines=[world.line("1", boxes=9)])
    ledger.live(300)
    assert (ledger.state(key), ledger.reason(key)) == ("held", HoldCode.CONFLICT)
    reason = ledger.order(key)["reason"]
    assert "ann cancelled it here, and Axerrio has changed it since" in reason["message"]
    assert reason["next_command"].endswith(f"axkomet resolve {ledger.order(key)['name']} --ours")
    assert boxes_in_komet(world) == 0
    decide(ledger, key, choice)
    ledger.live(300)
    if choice is Choice.OURS:
        assert ledger.state(key) == "ordered"
        assert boxes_in_komet(world) == 9
        world.place(key=key, lines=[world.line("1", boxes=8)])
        ledger.live(300)
        assert (ledger.state(key), boxes_in_komet(world)) == ("ordered", 8), "it goes on as ever"
    else:
        assert (ledger.state(key), boxes_in_komet(world)) == ("cancelled", 0)


def test_another_sales_price_asks_nobody(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(60)
    cancel_it(ledger, key)
    ledger.live(180)
    assert ledger.state(key) == "cancelled"
    world.place(key=key, lines=[world.line("1", unitPrice="0.37"), world.line("2", boxes=2)])
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("cancelled", None)


@pytest.mark.thorough
def test_a_release_takes_it_back(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    cancel_it(ledger, key)
    ledger.live(300)
    assert release_it(ledger, key).why_not is None
    ledger.live(300)
    assert ledger.state(key) == "ordered"
    assert_in_step(world, key)
    assert release_it(ledger, key).why_not is not None


@pytest.mark.thorough
def test_what_was_approved_waits_for_a_person(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    world.approve()
    ledger.live(600)
    cancel_it(ledger, key)
    ledger.live(300)
    assert (ledger.state(key), ledger.reason(key)) == ("held", HoldCode.CONFLICT)
    assert "ann cancelled it here" in ledger.order(key)["reason"]["message"]
    assert boxes_in_komet(world) > 0
    decide(ledger, key, Choice.OURS)
    ledger.live(300)
    assert (ledger.state(key), boxes_in_komet(world)) == ("cancelled", 0)


def test_its_origin_cancels_it_too(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    cancel_it(ledger, key)
    ledger.live(300)
    world.place(key=key, status="cancelled")
    ledger.live(300)
    assert ledger.state(key) == "cancelled"


def test_a_held_order_is_released_first(ledger: Ledger) -> None:
    key = ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        hold(session, [ledger.order(key)["id"]], "bob", "wait")
    assert cancel_it(ledger, key).why_not == "is held by bob: release it first"


def test_an_order_born_in_komet_goes_from_axerrio(ledger: Ledger, world: World) -> None:
    prebook = world.sell_in_komet()
    ledger.live(300)
    (key,) = [each["key"] for each in world.tenant["orders"]]
    assert ledger.state(key) == "ordered"
    cancel_it(ledger, key)
    ledger.live(300)
    assert ledger.state(key) == "cancelled"
    assert world.axerrio_order(key)["status"] == "cancelled"
    assert sum(item["boxes"] for each in world.company["purchase_orders"] for item in each["items"]) == 0
    assert prebook, "the prebook is its buyer's"
    assert boxes_in_komet(world) > 0
