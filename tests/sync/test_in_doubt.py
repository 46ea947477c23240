"""A create without an answer: adopted when it shows, sent again only when absence is proof, else held."""

import time

import pytest
from sqlalchemy import select, update

from models.states import Kind
from models.tables import Proof
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once


def test_a_lost_answer_after_the_work_is_adopted(ledger: Ledger, world: World) -> None:
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.live(180)
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == 1
    assert ledger.writes(key, "komet.prebook.create") == ["done"]


def test_a_lost_purchase_order_answer_is_adopted(ledger: Ledger, world: World) -> None:
    world.fault("error_after", "purchase.order.create", times=1)
    key = world.place()
    ledger.live(180)
    assert_exactly_once(world, key)
    assert world.requests("purchase.order.create") == 1


def test_lost_before_the_work_is_sent_again_only_after_two_looks(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    for kind, method in (("reset_before", "prebook.create"), ("error_before", "purchase.order.create")):
        before = world.requests(method)
        world.fault(kind, method, times=1)
        key = world.place()
        ledger.live(60)
        assert world.requests(method) == before + 1, "sent again within the grace"
        ledger.live(300)
        assert_exactly_once(world, key)
        assert world.requests(method) == before + 2
        assert ledger.writes(key, f"komet.{method}") == ["absent", "done"]


def test_on_a_fresh_connection_it_is_held_until_proof_is_earned(ledger: Ledger, world: World) -> None:
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(600)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "in_doubt")
    assert world.requests("prebook.create") == 1
    other = world.place()
    ledger.live(300)
    assert_exactly_once(world, other)
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == 3


@pytest.mark.thorough
def test_hidden_comments_earn_nothing(ledger: Ledger, world: World) -> None:
    """Komet shows the items, but not the mark by which a look-up would know them."""
    world.settings(comments_visible=False)
    seen = world.place()
    ledger.live(300)
    assert ledger.state(seen) == "ordered"
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(600)
    assert ledger.reason(key) == "in_doubt"
    assert len(world.company["prebooks"]) == 1


def test_an_acknowledged_create_that_does_not_show_revokes_the_proof(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.settings(sets_ship_date=False)  # so the item is not listed to a vendor token
    key = world.place()
    ledger.live(300)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "not_visible")
    with ledger.session() as session:
        assert session.scalars(select(Proof).where(Proof.kind == Kind.PREBOOK_CREATE)).one().earned_at is None
    assert world.requests("prebook.create") == 2


def test_a_list_that_lags_lengthens_the_grace(ledger: Ledger, world: World) -> None:
    world.settings(list_lag_seconds=1)
    key = world.place()
    ledger.work()
    with ledger.session() as session:
        assert session.scalars(select(Proof)).all() == []
    time.sleep(1.1)
    ledger.live(120)
    time.sleep(1.1)
    ledger.live(120)
    assert_exactly_once(world, key)


def test_a_create_that_once_showed_late_silences_no_doubt(ledger: Ledger, world: World) -> None:
    """It is not sent again for long, since it may yet show; but that it does not is told within the hour."""
    ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Proof).values(longest_lag=2 * 86_400.0))
    world.fault("reset_before", "prebook.create", times=1)
    key = world.place()
    ledger.live(5400, pace=300)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "in_doubt")
    assert ledger.writes(key, "komet.prebook.create") == ["sent"]


@pytest.mark.thorough
def test_a_look_that_failed_is_no_observation(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.control(
        "faults",
        faults=[
            {
                "system": "komet",
                "method": "prebook.create",
                "kind": "reset_before",
                "times": 1,
                "token": world.komet_token,
            },
            {"system": "komet", "method": "prebook.details.list", "kind": "html", "token": world.komet_token},
        ],
    )
    key = world.place()
    ledger.live(900)
    assert ledger.writes(key, "komet.prebook.create") == ["sent"]
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(1200)
    assert_exactly_once(world, key)


def test_late_truth_is_taken_away_again(ledger: Ledger, world: World) -> None:
    """The answer was lost, two looks missed it, it was sent again, and then the first shows after all."""
    ledger.earn_proof()
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    ledger.pass_time(30)
    ledger.feed_and_send()
    late = world.company["prebooks"][-1]["items"]
    vendor_id = late[0]["vendor_id"]
    for item in late:  # another vendor's items are not shown to us
        world.edit(prebook_item_id=item["id"], vendor_id=vendor_id + 1)
    ledger.live(210)
    assert "absent" in ledger.writes(key, "komet.prebook.create")
    for item in late:
        world.edit(prebook_item_id=item["id"], vendor_id=vendor_id)
    ledger.live(300)
    assert ledger.state(key) == "ordered"
    assert ledger.writes(key, "komet.prebook.create") == ["done", "done"]
    assert_exactly_once(world, key)


@pytest.mark.thorough
def test_reads_that_failed_are_no_lag(ledger: Ledger, world: World) -> None:
    """A look missed it, and then the list could not be read for an hour: that is no hour of lag."""
    world.settings(list_lag_seconds=1)
    key = world.place()
    ledger.live(60)
    world.settings(list_lag_seconds=0)
    world.fault("html", "prebook.details.list")
    ledger.live(3600, pace=300)
    time.sleep(1.1)
    assert ledger.writes(key, "komet.prebook.create") == ["done"]
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(1200, pace=300)
    assert ledger.state(key) == "ordered"
    with ledger.session() as session:
        assert session.scalars(select(Proof).where(Proof.kind == Kind.PREBOOK_CREATE)).one().longest_lag <= 60
