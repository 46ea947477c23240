"""The guard: a feed that suddenly cancels or changes much empties nobody's books, and waits for a person's word."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from models.states import Feed, HoldCode, Kind
from models.tables import Connection, Decision, Scope
from tasks import guard, hold
from tasks.advance import advance
from tasks.observe import observe
from tasks.polling import make_due
from tasks.wake import lock_order
from tests.sync.books import axerrio_boxes, axerrio_order
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_gone, assert_in_step, items_of
from tests.world import World
from worker.status import status

Json = dict[str, Any]
DELETES = ("prebook.item.delete", "purchase.order.item.delete")
#: As many are held at once: fewer than usual, so that few orders must be begun.
LIMIT = 4


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """A ledger with a low limit."""
    return make_ledger(change_guard=LIMIT)


def place_many(world: World, number: int, **changes: Any) -> list[str]:
    return [world.place(lines=[world.line("1")], **changes) for _ in range(number)]


def cancel(world: World, keys: Iterable[str]) -> None:
    for key in keys:
        world.place(key=key, status="cancelled")


def change(world: World, keys: Iterable[str], *, boxes: int = 40) -> None:
    for key in keys:
        world.place(key=key, lines=[world.line("1", boxes=boxes)])


def good_again(world: World, keys: Iterable[str]) -> None:
    for key in keys:
        world.place(key=key, status="confirmed", lines=[world.line("1")])


def reasons(ledger: Ledger, keys: Iterable[str]) -> set[tuple[str, str | None]]:
    return {(each["state"], each["reason"] and each["reason"]["code"]) for each in ledger.orders(keys)}


def deleted(world: World) -> int:
    return sum(world.requests(each) for each in DELETES)


def problems(ledger: Ledger) -> list[str]:
    with ledger.session() as session:
        found = status(session, [ledger.settings], ledger.timing)["problems"]
    return [each for each in found if "too many" in each]


def release(ledger: Ledger, keys: Iterable[str] | None = None) -> list[hold.Told]:
    with ledger.runtime.sessions.begin() as session:
        ids = guard.held_orders(session) if keys is None else [ledger.order(key)["id"] for key in keys]
        return hold.release(session, ids, "an admin")


def read_feed(ledger: Ledger) -> None:
    """Read the sales orders, and let nobody work on them."""
    with ledger.runtime.sessions.begin() as session:
        scope_id = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS)).one()
        make_due(session, [scope_id])
    observe(ledger.runtime, scope_id)


def flagged(ledger: Ledger) -> int:
    with ledger.session() as session:
        return len(guard.held_orders(session))


def wait_until_blocked(engine: Engine, number: int) -> None:
    """Until so many sessions of this database wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(1000):
        with engine.connect() as connection:
            if (connection.scalar(waiting) or 0) >= number:
                return
            connection.execute(text("SELECT pg_sleep(0.01)"))
    raise AssertionError("nobody waits")


HELD = {("held", "over_limit")}


@pytest.mark.timeout(600)
@pytest.mark.thorough
def test_a_hundred_cancellations_of_one_page_wait_for_one_command(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger()
    ledger.work()
    keys = place_many(world, 100)
    ledger.pass_time(30)
    ledger.feed_and_send()
    assert world.requests("prebook.create") == 100
    cancel(world, keys)
    ledger.live(40)
    assert deleted(world) == 0
    assert reasons(ledger, keys) == HELD
    (problem,) = problems(ledger)
    assert problem.startswith("miami: 100 order(s) are held")
    assert "axkomet release --reason over_limit" in problem
    assert "It came with 99 other changes within ten minutes" in ledger.order(keys[0])["reason"]["message"]
    assert len(release(ledger)) == 100
    ledger.live(40)
    assert reasons(ledger, keys) == {("cancelled", None)}
    assert not [each for prebook in world.company["prebooks"] for each in prebook["items"] if each["boxes"]]
    assert deleted(world) == 100
    assert problems(ledger) == []


@pytest.mark.thorough
def test_what_a_release_would_do_is_told(ledger: Ledger, world: World) -> None:
    keys = [world.place() for _ in range(LIMIT)]
    ledger.live(120, pace=40)
    cancel(world, keys[:-1])
    world.place(key=keys[-1], lines=[world.line("1", boxes=9), world.line("2", boxes=2)])
    ledger.live(40)
    assert deleted(world) == 0
    reason = ledger.order(keys[0])["reason"]
    assert "It came with 3 other changes" in reason["message"]
    assert "cancelled in Komet: 2 prebook items and 2 purchase order items deleted" in reason["message"]
    assert reason["next_command"] == "axkomet release --reason over_limit --connection miami"
    assert [line["state"] for line in ledger.order(keys[0])["lines"]] == ["held", "held"]
    changed = ledger.order(keys[-1])
    assert "changed in Komet: 1 prebook item and 1 purchase order item deleted" in changed["reason"]["message"]
    assert [line["state"] for line in changed["lines"]] == ["held", "ordered"]
    release(ledger)
    ledger.live(160, pace=40)
    for key in keys[:-1]:
        assert_gone(world, key)
    assert_in_step(world, keys[-1])


def test_a_bad_export_and_the_good_one_again_write_nothing(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT + 1)
    late = place_many(world, 1)
    ledger.live(120, pace=40)
    before = {method: count for method, count in world.company["requests"].items() if not method.endswith("list")}
    change(world, keys)
    ledger.live(60)
    assert reasons(ledger, keys) == HELD
    assert "changed in Komet: 1 prebook item and 1 purchase order item" in ledger.order(keys[0])["reason"]["message"]
    good_again(world, keys)
    ledger.live(60)
    assert {ledger.state(key) for key in keys} == {"ordered"}
    after = {method: count for method, count in world.company["requests"].items() if not method.endswith("list")}
    assert after == before
    assert problems(ledger) == []
    change(world, late)  # a change like any other
    ledger.live(160, pace=40)
    assert ledger.state(late[0]) == "ordered"
    assert_in_step(world, late[0])
    world.place(key=keys[0], lines=[world.line("1", boxes=5)])
    ledger.live(160, pace=40)
    assert_in_step(world, keys[0])


def test_records_of_orders_that_left_are_tidied_away_without_a_word(ledger: Ledger, world: World) -> None:
    keys = [world.place() for _ in range(LIMIT)]
    ledger.live(120, pace=40)
    for key in keys:
        world.place(key=key, status="closed")
    read_feed(ledger)
    world.control("orders/delete", tenant_token=world.axerrio_token, keys=keys)
    read_feed(ledger)
    assert flagged(ledger) == 0


@pytest.mark.thorough
def test_without_a_guard_everything_goes(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(change_guard=0)
    keys = place_many(world, LIMIT + 2)
    ledger.live(120, pace=40)
    cancel(world, keys)
    ledger.live(120, pace=40)
    assert {ledger.state(key) for key in keys} == {"cancelled"}


@pytest.mark.thorough
def test_what_is_held_goes_on_once_the_guard_is_switched_off(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(change_guard=LIMIT)
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    cancel(world, keys)
    ledger.live(30)
    assert reasons(ledger, keys) == HELD
    off = make_ledger(change_guard=0)
    off.pass_time(ledger.offset)
    off.live(120, pace=40)
    assert {off.state(key) for key in keys} == {"cancelled"}
    assert problems(off) == []


@pytest.mark.thorough
def test_what_came_within_ten_minutes_counts(ledger: Ledger, world: World) -> None:
    """One less than the limit goes at once, and ten minutes later again; then the one too many holds what waits."""
    keys = place_many(world, 2 * LIMIT)
    ledger.live(120, pace=40)
    not_begun = place_many(world, LIMIT, buyer={"code": "STRANGER", "name": "Nobody"})
    ledger.work()
    first, second, third = keys[: LIMIT - 1], keys[LIMIT - 1 : -2], keys[-2:]
    for key in keys:  # prices and comments take nothing away, nor does what was never begun
        world.place(key=key, comments="call first", lines=[world.line("1", unitPrice="0.99")])
    cancel(world, [*not_begun, *first])
    ledger.live(80, pace=40)
    assert {ledger.state(key) for key in (*not_begun, *first)} == {"cancelled"}
    ledger.live(600, pace=200)
    cancel(world, second)
    ledger.live(80, pace=40)
    assert {ledger.state(key) for key in second} == {"cancelled"}, "ten minutes have passed"
    cancel(world, third)
    ledger.live(80, pace=40)
    assert reasons(ledger, third) == HELD, "those that were done already count too"
    assert deleted(world) == 2 * len([*first, *second])


@pytest.mark.thorough
def test_what_was_taken_back_before_it_was_begun_counts_no_more(ledger: Ledger, world: World) -> None:
    keys = place_many(world, 2 * (LIMIT - 1))
    ledger.live(120, pace=40)
    first, second = keys[: LIMIT - 1], keys[LIMIT - 1 :]
    change(world, first)
    read_feed(ledger)
    good_again(world, first)
    read_feed(ledger)
    change(world, second)
    read_feed(ledger)
    assert flagged(ledger) == 0
    change(world, first[:1])
    read_feed(ledger)
    assert flagged(ledger) == LIMIT


@pytest.mark.thorough
def test_the_limit_grows_with_the_books_up_to_the_setting(make_ledger: Callable[..., Ledger], world: World) -> None:
    """Of 42 open orders twelve may go, of eleven nine."""
    ledger = make_ledger()
    ledger.work()
    keys = place_many(world, 11)
    others = place_many(world, 31, buyer={"code": "STRANGER", "name": "Nobody"})
    ledger.pass_time(30)
    ledger.feed_and_send()
    assert world.requests("prebook.create") == len(keys)
    change(world, keys, boxes=40)
    read_feed(ledger)
    assert flagged(ledger) == 0
    cancel(world, others)
    read_feed(ledger)
    for key in others:
        advance(ledger.runtime, ledger.order(key)["id"])
    ledger.pass_time(700)
    change(world, keys[:9], boxes=50)
    read_feed(ledger)
    assert flagged(ledger) == 0
    change(world, keys[9:10], boxes=50)
    read_feed(ledger)
    assert flagged(ledger) == 10


@pytest.mark.thorough
def test_two_connections_do_not_count_together(ledger: Ledger, world: World, database_url: str) -> None:
    other = World(world.http, world.addresses, name="bogota")
    other.seed()
    second = Ledger(other, database_url, other.connection(change_guard=LIMIT))
    try:
        ledger.runtime = replace(
            ledger.runtime, connections={**ledger.runtime.connections, **second.runtime.connections}
        )
        worlds = (world, other)
        keys = {each.name: place_many(each, LIMIT - 1) for each in worlds}
        ledger.live(120, pace=40)
        for each in worlds:
            cancel(each, keys[each.name])
        ledger.live(80, pace=40)
        assert {ledger.state(key) for of_world in keys.values() for key in of_world} == {"cancelled"}
    finally:
        second.close()


# -- pages, workers, people --------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_those_of_an_earlier_page_that_nobody_began_are_held_too(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT + 1)
    ledger.live(120, pace=40)
    begun, early, late, later = keys[0], keys[1:-2], keys[-2], keys[-1]
    world.fault("error_before", "prebook.item.delete")
    cancel(world, [begun])
    ledger.live(60)
    assert world.requests("purchase.order.item.delete") == 1
    cancel(world, early)
    read_feed(ledger)
    assert flagged(ledger) == 0
    cancel(world, [late])
    read_feed(ledger)
    assert flagged(ledger) == LIMIT - 1
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(240, pace=40)
    assert ledger.state(begun) == "cancelled", "once begun it goes on"
    assert reasons(ledger, [*early, late]) == HELD
    cancel(world, [later])
    ledger.live(40)
    assert reasons(ledger, [later]) == HELD, "a page that comes later joins them"
    assert world.requests("purchase.order.item.delete") == 1


@pytest.mark.thorough
def test_an_order_that_somebody_works_on_meanwhile_is_not_sent(ledger: Ledger, world: World) -> None:
    """Its row is locked while the limit is reached: it is found before the first byte leaves."""
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    first, others = keys[0], keys[1:]
    cancel(world, [first])
    read_feed(ledger)
    cancel(world, others)
    with ledger.runtime.sessions.begin() as session:
        lock_order(session, ledger.order(first)["id"])
        read_feed(ledger)
        assert flagged(ledger) == LIMIT - 1
    advance(ledger.runtime, ledger.order(first)["id"])
    assert reasons(ledger, [first]) == HELD
    assert flagged(ledger) == LIMIT
    assert deleted(world) == 0


def test_what_was_tried_in_vain_is_not_begun(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    cancel(world, keys[:1])
    world.fault("refuse", "purchase.order.item.delete")
    ledger.live(40)
    assert ledger.writes(keys[0], "komet.purchase.order.item.delete")[0] == "refused"
    cancel(world, keys[1:])
    read_feed(ledger)
    assert flagged(ledger) == LIMIT


@pytest.mark.thorough
def test_a_write_that_is_frozen_already_is_not_sent(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    first = ledger.order(keys[0])
    cancel(world, keys[:1])
    for _ in range(2):  # to its end, so that it is not due by itself
        read_feed(ledger)
    cancel(world, keys[1:])
    seen: list[str] = []

    def the_rest_comes(kind: Kind, point: str, key: str | None) -> None:
        if point == "intended" and not seen:
            seen.append(kind.value)
            read_feed(ledger)

    monkeypatch.setattr("tasks.advance.reach", the_rest_comes)
    advance(ledger.runtime, first["id"])
    ledger.pass_time(2)  # the purchase order is looked at first
    ledger.work()
    assert seen == ["komet.purchase.order.item.delete"]
    assert reasons(ledger, keys[:1]) == HELD
    assert ledger.writes(keys[0], "komet.purchase.order.item.delete") == ["void"]
    assert deleted(world) == 0


def test_two_pages_at_once_do_not_both_slip_under_the_limit(ledger: Ledger, world: World) -> None:
    """Two lists that are stored at the same moment: the second counts what the first upset."""
    keys = place_many(world, LIMIT // 2)
    sold = [world.sell_in_komet(items=[world.item()]) for _ in range(LIMIT // 2)]
    ledger.live(150, pace=50)
    assert {ledger.state(str(each["number"])) for each in sold} == {"ordered"}
    cancel(world, keys)
    for each in sold:
        world.edit(prebook_item_id=each["item_ids"][0], boxes=9)
    with ledger.runtime.sessions.begin() as session:
        feeds = (Scope.feed == Feed.SALES_ORDERS) | (Scope.key == "changed")
        ids = list(session.scalars(select(Scope.id).where(feeds)))
        make_due(session, ids)
    blocker = ledger.session()
    connection = select(Connection.id).with_for_update(key_share=True)
    blocker.execute(connection)
    with ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(observe, ledger.runtime, each) for each in ids]
        wait_until_blocked(ledger.engine, 2)
        blocker.rollback()
        for read in reads:
            read.result()
    blocker.close()
    assert flagged(ledger) == LIMIT


@pytest.mark.thorough
def test_prebooks_that_vanish_in_komet_wait_too(ledger: Ledger, world: World) -> None:
    world.settings(deleted_items="gone")
    sold = [world.sell_in_komet(items=[world.item()]) for _ in range(LIMIT)]
    ledger.live(150, pace=50)
    keys = [str(each["number"]) for each in sold]
    for each in sold:
        world.edit(prebook_id=each["id"], cancel=True)
    ledger.live(1800, pace=225)
    assert {axerrio_order(world, each)["status"] for each in sold} == {"confirmed"}
    assert reasons(ledger, keys) == HELD
    said = ledger.order(keys[0])["reason"]["message"]
    assert "it would be cancelled in Axerrio, with 1 purchase order item deleted in Komet." in said
    release(ledger)
    ledger.live(120, pace=40)
    assert {axerrio_order(world, each)["status"] for each in sold} == {"cancelled"}
    assert {ledger.state(key) for key in keys} == {"cancelled"}


@pytest.mark.thorough
def test_prebooks_that_change_much_in_komet_wait_too(ledger: Ledger, world: World) -> None:
    sold = [world.sell_in_komet(items=[world.item()]) for _ in range(LIMIT)]
    ledger.live(150, pace=50)
    before = world.tenant["inbound_orders"]
    keys = [str(each["number"]) for each in sold]
    for each in sold:
        world.edit(prebook_item_id=each["item_ids"][0], boxes=9)
    ledger.live(80, pace=40)
    assert reasons(ledger, keys) == HELD
    said = ledger.order(keys[0])["reason"]["message"]
    assert "changed in Axerrio (line " in said
    assert "boxes 4 → 9), with 1 purchase order item deleted in Komet" in said
    assert world.tenant["inbound_orders"] == before
    for each in sold[:-1]:
        world.edit(prebook_item_id=each["item_ids"][0], boxes=4)
    ledger.live(80, pace=40)
    assert {ledger.state(key) for key in keys[:-1]} == {"ordered"}
    assert world.tenant["inbound_orders"] == before
    assert flagged(ledger) == 1
    release(ledger)
    ledger.live(160, pace=40)
    assert ledger.state(keys[-1]) == "ordered"
    assert axerrio_boxes(world, sold[-1]) == {str(sold[-1]["item_ids"][0]): 9}


@pytest.mark.thorough
def test_a_hold_by_hand_and_its_end_do_not_end_this_one(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    cancel(world, keys)
    ledger.live(40)
    assert reasons(ledger, keys) == HELD
    ids = [ledger.order(key)["id"] for key in keys]
    with ledger.runtime.sessions.begin() as session:
        hold.hold(session, ids, "ann", "who cancels all of that?")
    ledger.live(40)
    assert reasons(ledger, keys) == {("held", "by_hand")}
    assert flagged(ledger) == LIMIT
    with ledger.runtime.sessions.begin() as session:
        hold.release(session, ids, "ann", [HoldCode.BY_HAND])
    ledger.live(40)
    assert reasons(ledger, keys) == HELD
    assert deleted(world) == 0
    release(ledger)
    ledger.live(80, pace=40)
    assert reasons(ledger, keys) == {("cancelled", None)}


@pytest.mark.thorough
def test_what_was_made_and_not_seen_yet_counts(ledger: Ledger, world: World) -> None:
    """Komet's list fails; its prebooks are acknowledged, and then the bad export comes."""
    world.fault("html", "prebook.details.list")
    keys = place_many(world, LIMIT)
    ledger.live(30)
    cancel(world, keys)
    ledger.live(30)
    assert reasons(ledger, keys) == HELD
    world.http.delete(f"{world.addresses['control']}/faults")
    ledger.live(120, pace=40)
    assert reasons(ledger, keys) == HELD
    assert all(items_of(world, key) for key in keys)
    release(ledger)
    ledger.live(120, pace=40)
    for key in keys:
        assert_gone(world, key)


@pytest.mark.thorough
def test_what_was_approved_or_went_back_to_draft_is_held_too_and_then_asks(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    draft, approved = keys[:2], keys[2:]
    for key in approved:
        number = ledger.order(key)["lines"][0]["purchase_order_number"]
        world.control("approve", company_token=world.komet_token, purchase_order_number=number)
    ledger.live(60)
    cancel(world, approved)
    for key in draft:
        world.place(key=key, status="draft")
    ledger.live(60)
    assert reasons(ledger, keys) == HELD
    assert "A person decides first: Line 1: Axerrio cancelled it" in ledger.order(approved[0])["reason"]["message"]
    assert "taken back to draft" in ledger.order(draft[0])["reason"]["message"]
    release(ledger)
    ledger.live(60)
    assert reasons(ledger, keys) == {("held", "conflict")}
    assert deleted(world) == 0


@pytest.mark.thorough
def test_what_a_person_did_in_komet_meanwhile_ends_the_hold(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT)
    ledger.live(120, pace=40)
    cancel(world, keys)
    ledger.live(30)
    assert reasons(ledger, keys) == HELD
    line = ledger.order(keys[0])["lines"][0]
    world.edit(purchase_order_item_id=int(line["purchase_order_item_id"]), boxes=0)
    world.edit(prebook_item_id=int(line["prebook_item_id"]), boxes=0)
    ledger.live(240, pace=40)
    assert ledger.state(keys[0]) == "cancelled"
    assert flagged(ledger) == LIMIT - 1


@pytest.mark.thorough
def test_released_orders_count_no_more_and_a_word_remains(ledger: Ledger, world: World) -> None:
    keys = place_many(world, LIMIT + 1)
    ledger.live(120, pace=40)
    cancel(world, keys[:LIMIT])
    ledger.live(30)
    (one,) = release(ledger, keys[:1])
    assert one.why_not is None
    (none,) = release(ledger, keys[LIMIT:])
    assert none.why_not == "is ordered, and not held as over_limit or by_hand"
    for key in keys[:1]:  # a version that takes away no more than was released
        world.place(key=key, comments="really")
    ledger.live(90)
    assert ledger.state(keys[0]) == "cancelled"
    assert reasons(ledger, keys[1:LIMIT]) == HELD
    assert any("Released from over_limit, by an admin" in each["why"] for each in ledger.order(keys[0])["history"])
    with ledger.session() as session:
        assert [(each.fact, each.choice, each.who) for each in session.scalars(select(Decision))] == [
            ("over_limit", "release", "an admin")
        ]
    release(ledger)
    cancel(world, keys[LIMIT:])
    ledger.live(120, pace=40)
    assert {ledger.state(key) for key in keys} == {"cancelled"}
