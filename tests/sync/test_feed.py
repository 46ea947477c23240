"""Axerrio's feed: page and cursor together, each version once, nothing that cannot be read is lost."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from clients.axerrio.client import FeedPage, FeedRecord
from models.canonical import Unreadable
from models.states import Feed
from models.tables import Order, Scope, UnreadableRecord
from tasks.observe import observe, sales_orders
from tests.sync.conftest import Ledger
from tests.world import World


def feed(ledger: Ledger) -> Scope:
    with ledger.session() as session:
        return session.scalars(select(Scope).where(Scope.feed == Feed.SALES_ORDERS)).one()


def orders(ledger: Ledger) -> int:
    with ledger.session() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def test_the_same_page_twice_changes_nothing(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(120)
    before = ledger.order(key)
    with ledger.runtime.sessions.begin() as session:
        session.scalars(select(Scope).where(Scope.feed == Feed.SALES_ORDERS)).one().cursor = 0
    ledger.live(120)
    assert ledger.order(key) | {"due_at": None} == before | {"due_at": None}
    assert orders(ledger) == 1
    assert world.requests("prebook.create") == 1


def test_the_cursor_never_moves_without_its_records(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.place()
    world.place()
    real, calls = sales_orders._Store._store, 0

    def breaks(self: object, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("in the middle of the page")
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sales_orders._Store, "_store", breaks)
    with pytest.raises(RuntimeError):
        observe(ledger.runtime, feed(ledger).id)
    assert (feed(ledger).cursor, orders(ledger)) == (0, 0)
    monkeypatch.undo()
    ledger.live(60)
    assert orders(ledger) == 2


def test_a_malformed_record_is_put_aside_and_its_page_goes_on(ledger: Ledger, world: World) -> None:
    good = world.place()
    bad = {"key": "SO-bad", "number": "1", "version": 1, "status": "confirmed", "lines": "none"}
    world.control("orders", tenant_token=world.axerrio_token, orders=[{"raw": bad}])
    after = world.place()
    ledger.live(60)
    assert orders(ledger) == 2
    assert {ledger.state(good), ledger.state(after)} == {"ordered"}
    with ledger.session() as session:
        aside = session.scalars(select(UnreadableRecord)).one()
    assert aside.record_key == "SO-bad"
    assert json.loads(aside.raw)["lines"] == "none"
    assert feed(ledger).cursor == 3


def test_a_record_that_a_later_one_of_its_page_replaces_is_put_aside_no_more(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.place()
    client = next(iter(ledger.runtime.connections.values())).axerrio
    fetch = client.sales_orders_after

    def with_an_older_one(sequence: int, limit: int) -> FeedPage:
        page = fetch(sequence, limit)
        unreadable = Unreadable(sequence=0, key=key, reason="it was broken", raw="{}")
        return replace(page, records=(FeedRecord(0, unreadable), *page.records)) if page.records else page

    monkeypatch.setattr(client, "sales_orders_after", with_an_older_one)
    ledger.live(60)
    assert ledger.state(key) == "ordered"
    with ledger.session() as session:
        assert session.scalars(select(UnreadableRecord)).one().resolved_at is not None


def test_a_record_whose_place_was_broken_on_its_way_is_asked_for_once_more(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where sequences before it are gone, since what stood there has changed."""
    client = next(iter(ledger.runtime.connections.values())).axerrio
    fetch = client.sales_orders_after
    before, key = world.place(), world.place()
    for each in (before, key):
        world.place(key=each, comments="changed")
    after = world.place()
    broken = [{key}, {before, key}]

    def garbled(sequence: int, limit: int) -> FeedPage:
        page = fetch(sequence, limit)
        if not broken:
            return page
        without_place = broken.pop()
        records = (
            FeedRecord(None, Unreadable(sequence=None, key=None, reason="it was broken", raw="{}"))
            if each.content.key in without_place
            else each
            for each in page.records
        )
        return replace(page, records=tuple(records))

    monkeypatch.setattr(client, "sales_orders_after", garbled)
    ledger.live(300)
    assert [ledger.state(each) for each in (before, key, after)] == ["ordered"] * 3
    with ledger.session() as session:
        assert all(session.scalars(select(UnreadableRecord.resolved_at)).all())


def test_an_unreadable_newer_version_holds_the_order_until_it_can_be_read(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(120)
    world.place(key=key, status="perhaps")
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "unreadable")
    world.place(key=key, status="confirmed")
    ledger.live(60)
    assert ledger.state(key) == "ordered"
    with ledger.session() as session:
        assert session.scalars(select(UnreadableRecord)).one().resolved_at is not None


def test_a_tombstone_ends_what_a_version_that_cannot_be_read_held(ledger: Ledger, world: World) -> None:
    key = world.place()
    ledger.live(120)
    world.place(key=key, status="perhaps")
    ledger.live(60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "unreadable")
    world.control("orders/delete", tenant_token=world.axerrio_token, keys=[key])
    ledger.live(180)
    assert ledger.state(key) == "cancelled"
    assert not any(item["boxes"] for prebook in world.company["prebooks"] for item in prebook["items"])


def test_what_had_left_when_it_was_first_seen_is_not_missed_later(ledger: Ledger, world: World) -> None:
    gone = world.line("1", status="shipped")
    key = world.place(lines=[gone, world.line("2")])
    ledger.live(180)
    assert ledger.state(key) == "ordered"
    for notes in ("a", "b"):
        world.place(key=key, lines=[gone, world.line("2", notes=notes)])
        ledger.live(60)
    assert ledger.state(key) == "ordered"
    all_gone = world.place(status="shipped")
    ledger.live(60)
    world.place(key=all_gone, customerReference="another")
    ledger.live(60)
    assert ledger.state(all_gone) == "closed"


def test_a_server_that_went_back_in_time_stops_the_feed(ledger: Ledger, world: World) -> None:
    world.place()
    ledger.work()
    with ledger.runtime.sessions.begin() as session:
        session.scalars(select(Scope).where(Scope.feed == Feed.SALES_ORDERS)).one().cursor = 99
    key = world.place()
    ledger.live(300)
    stopped = feed(ledger).stopped_reason
    assert stopped is not None
    assert "went back in time" in stopped
    assert orders(ledger) == 1
    assert feed(ledger).cursor == 99
    assert key


def test_only_confirmed_orders_born_in_axerrio_begin(ledger: Ledger, world: World) -> None:
    draft = world.place(status="draft")
    world.place(origin="komet")
    world.place(origin="other")
    ledger.live(60)
    assert orders(ledger) == 1
    assert ledger.state(draft) == "received"
    assert world.requests("prebook.create") == 0
    world.place(key=draft, status="confirmed")
    ledger.live(120)
    assert ledger.state(draft) == "ordered"


@pytest.mark.thorough
@pytest.mark.thorough
def test_a_thousand_records_come_in_pages(ledger: Ledger, world: World) -> None:
    many = [{"key": f"D-{n}", "number": f"D{n}"} | world.order() | {"status": "draft"} for n in range(450)]
    world.control("orders", tenant_token=world.axerrio_token, orders=many)
    ledger.work()
    assert orders(ledger) == 450
    assert feed(ledger).cursor == 450
