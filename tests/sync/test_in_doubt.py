"""A create without an answer: adopted when it shows, sent again only when absence is proof, else held."""

import time

import pytest
from sqlalchemy import select, update

from models.states import Kind
from models.tables import Order, Proof, Write
from tasks.resolve import By, Resolution, line_of, resend
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


def say_it_is_not_there(ledger: Ledger, key: str, line_key: str | None = None) -> Resolution:
    (connection,) = ledger.runtime.connections.values()
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        line = line_of(row, line_key) if line_key is not None else None
        return resend(session, connection, row.id, By("ann", ""), ledger.timing, line=line)


def until(ledger: Ledger, key: str, kind: Kind, states: list[str]) -> None:
    """Work until the order's writes of the kind stand so, and no look has shown them."""
    for _ in range(60):
        ledger.pass_time(1)
        ledger.step(1)
        with ledger.session() as session:
            is_known = session.scalar(select(Order.id).where(Order.axerrio_key == key)) is not None
        if is_known and ledger.writes(key, kind.value) == states:
            return
    raise AssertionError(ledger.order(key))


def test_only_the_purchase_order_that_a_person_looked_for_is_made_anew(ledger: Ledger, world: World) -> None:
    """Of two without an answer one stands there, on a day to which procurement moved it at once."""
    method = {"system": "komet", "method": "purchase.order.create", "token": world.komet_token, "times": 1}
    world.control("faults", faults=[method | {"kind": kind} for kind in ("reset_before", "lost_answer")])
    key = world.place(lines=[world.line(str(n), departureDate=world.day(n + 2)) for n in (1, 2)])
    until(ledger, key, Kind.PURCHASE_ORDER_CREATE, ["sent", "sent"])
    (made,) = world.company["purchase_orders"]
    world.edit(purchase_order_number=made["number"], ship_date=world.day(9))
    assert say_it_is_not_there(ledger, key) == Resolution(), "nobody has looked for them yet"
    ledger.live(240)
    command = ledger.order(key)["reason"]["next_command"]
    assert command == f"axkomet resolve {ledger.order(key)['axerrio']['number']} --line 1 --resend"
    (why_not,) = say_it_is_not_there(ledger, key).refused
    assert "name a line of the one that is meant with --line" in why_not
    assert say_it_is_not_there(ledger, key, "1").decided
    assert ledger.writes(key, "komet.purchase.order.create") == ["absent", "sent"]


@pytest.mark.parametrize("kind", [Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE])
def test_what_a_person_deleted_before_it_was_seen_is_made_anew_at_his_word(
    ledger: Ledger, world: World, kind: Kind
) -> None:
    ledger.work()
    key = world.place()
    ledger.pass_time(30)
    until(ledger, key, kind, ["done"])
    if kind is Kind.PREBOOK_CREATE:
        for item in world.company["prebooks"][0]["items"]:
            world.edit(prebook_item_id=item["id"], vendor_id=999)  # shown nowhere any more
    else:
        world.edit(purchase_order_number=world.company["purchase_orders"][0]["number"], vendor_id=999)
    ledger.live(240)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "not_visible")
    assert say_it_is_not_there(ledger, key).decided
    with ledger.session() as session:
        (write,) = session.scalars(select(Write).where(Write.kind == kind, Write.acknowledged_at.is_not(None)))
        assert (write.state, write.error) == ("absent", "a person decided that it stands there no more")
    ledger.live(300)
    assert ledger.state(key) == "ordered"


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
