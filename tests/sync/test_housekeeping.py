"""Housekeeping: what ended long ago goes; nothing that is open, and nothing by which a late record is known."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery.beat import Scheduler
from sqlalchemy import delete, func, select, update

from models.database import now
from models.prepared import Together
from models.states import Feed, Kind, OrderState, WriteState
from models.tables import (
    Connection,
    History,
    Observation,
    Order,
    Prebook,
    PrebookItem,
    PurchaseOrderItem,
    Scope,
    UnreadableRecord,
    Wait,
    Write,
    WriteLine,
)
from tasks.feeds import reset
from tasks.housekeeping import OBSERVATIONS_KEPT, housekeeping
from tasks.plan.facts import LOOKS_FOR_ABSENCE
from tasks.situation_rows import LOOKS, Looks, looks
from tests.sync.conftest import Ledger
from tests.sync.docks import approved, assert_shipped, polls, ship
from tests.world import World, assert_exactly_once
from worker.app import make_app
from worker.settings import Settings

Json = dict[str, Any]
_DAY = 86_400


def count(ledger: Ledger, table: type[Any], *which: Any) -> int:
    with ledger.session() as session:
        return session.scalar(select(func.count()).select_from(table).where(*which)) or 0


def row(ledger: Ledger, key: str) -> Order:
    with ledger.session() as session:
        return session.scalars(select(Order).where(Order.axerrio_key == key)).one()


def close(ledger: Ledger, world: World, *keys: str) -> None:
    """Axerrio closes orders, and the worker learns of it."""
    for key in keys:
        world.place(key=key, status="closed")
    ledger.live(90)
    assert {ledger.state(key) for key in keys} == {"closed"}


def years_later(ledger: Ledger, days: float = 401) -> None:
    """Nobody looked at anything meanwhile."""
    ledger.pass_time(days * _DAY)


def assert_no_writes(ledger: Ledger, key: str) -> None:
    assert ledger.order(key)["writes"] == []


def test_an_old_ledger_keeps_what_is_open_and_what_a_late_record_is_known_by(ledger: Ledger, world: World) -> None:
    shipped, mixed = approved(ledger, world, {}, {"lines": [world.mixed("1")]})
    ship(world, shipped, mixed)
    polls(ledger)
    assert_shipped(ledger, world, shipped)
    close(ledger, world, shipped, mixed)
    years_later(ledger)
    world.settings(auto_approve_seconds=None)
    fresh, cancelled = world.place(), world.place()
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Scope).values(due_at=None))
        session.execute(update(Scope).where(Scope.feed == Feed.SALES_ORDERS).values(due_at=now(session)))
    ledger.work()
    world.place(key=cancelled, status="cancelled")
    ledger.live(120)
    assert ledger.state(cancelled) in ("cancelled", "closed")
    before = {key: ledger.order(key) for key in (shipped, mixed, fresh, cancelled)}
    assert before[shipped]["writes"]
    assert before[fresh]["state"] not in ("closed", "cancelled") or before[fresh]["reason"]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda _: housekeeping(ledger.runtime), range(2)))
    assert len(said) == 2
    housekeeping(ledger.runtime)  # a call for several orders goes after the last of them
    for key in (shipped, mixed):
        assert_no_writes(ledger, key)
        assert ledger.order(key) | {"writes": 0} == before[key] | {"writes": 0}, "all else is shown as before"
    for key in (fresh, cancelled):
        assert ledger.order(key) == before[key]
    assert count(ledger, WriteLine) == count(ledger, WriteLine, WriteLine.write_id.in_(select(Write.id)))
    assert housekeeping(ledger.runtime) == "0 writes, 0 raw records, 0 observations, 0 waits, 0 scopes removed"


@pytest.mark.thorough
def test_before_its_time_nothing_of_an_order_goes(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    close(ledger, world, key)
    years_later(ledger, 399)
    writes = count(ledger, Write)
    assert writes > 0
    assert housekeeping(ledger.runtime).startswith("0 writes")
    years_later(ledger, 2)
    assert housekeeping(ledger.runtime).startswith(f"{writes} writes")
    assert count(ledger, Write) == 0
    assert count(ledger, History) > 0
    assert count(ledger, History, History.write_id.is_not(None)) == 0


@pytest.mark.thorough
def test_a_late_record_of_an_order_without_writes_doubles_nothing(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    close(ledger, world, key)
    years_later(ledger)
    assert housekeeping(ledger.runtime)[0] != "0"
    assert_no_writes(ledger, key)
    known = [count(ledger, table) for table in (Prebook, PrebookItem, PurchaseOrderItem)]
    ledger.offset = 0  # Komet and Axerrio are of today, and show it again
    asked = {method: world.requests(method) for method in ("prebook.create", "purchase.order.create")}
    item = world.company["prebooks"][0]["items"][0]
    world.edit(prebook_item_id=item["id"], boxes=3)
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Prebook).values(as_of=now(session) - timedelta(days=1)))
        session.execute(update(Scope).values(due_at=now(session), changed_since=None, last_success_at=None))
        reset(session, next(iter(ledger.runtime.connections)), Feed.SALES_ORDERS, 0)
        session.execute(update(Order).values(due_at=now(session)))
    ledger.live(120)
    assert ledger.state(key) == "closed"
    world.place(key=key, customerReference="late")
    ledger.live(240)
    assert row(ledger, key).version == 3
    assert_no_writes(ledger, key)
    assert [count(ledger, table) for table in (Prebook, PrebookItem, PurchaseOrderItem)] == known
    assert {method: world.requests(method) for method in asked} == asked
    assert len(world.company["prebooks"]) == len(world.company["purchase_orders"]) == 1


@pytest.mark.thorough
def test_an_order_that_would_begin_anew_without_its_writes_keeps_them(ledger: Ledger, world: World) -> None:
    """Its purchase order was refused for good: without the refusal it would be asked for again."""
    ledger.earn_proof()
    world.fault("refuse", "purchase.order.create", message="Over the credit limit")
    key = world.place()
    ledger.live(1200, pace=60)
    assert (ledger.state(key), ledger.reason(key)) == ("held", "rejected")
    ledger.pass_time(20 * _DAY)
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Order).where(Order.axerrio_key == key).values(due_at=now(session)))
    ledger.work()
    assert ledger.state(key) == "closed", "its truck left long ago"
    years_later(ledger)
    writes = ledger.order(key)["writes"]
    housekeeping(ledger.runtime)
    assert ledger.order(key)["writes"] == writes


def test_an_open_write_of_an_order_at_its_end_is_not_touched(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    close(ledger, world, key)
    with ledger.runtime.sessions.begin() as session:
        last = session.scalars(select(Write).where(Write.kind == Kind.PREBOOK_CREATE)).one()
        last.state, last.settled_at, last.deadline_at = WriteState.SENT, None, last.sent_at
        session.execute(update(WriteLine).where(WriteLine.write_id == last.id).values(is_open=True))
    years_later(ledger)
    writes = count(ledger, Write)
    housekeeping(ledger.runtime)
    assert count(ledger, Write) == writes


@pytest.mark.thorough
def test_a_call_for_several_orders_stays_until_the_last_of_them_ended(ledger: Ledger, world: World) -> None:
    first, second = approved(ledger, world, {}, {})
    ship(world, first, second)
    polls(ledger)
    for key in (first, second):
        assert_shipped(ledger, world, key)
    close(ledger, world, first)
    years_later(ledger)
    with ledger.runtime.sessions.begin() as session:  # the other one was closed a moment ago
        session.execute(
            update(Order).where(Order.axerrio_key == second).values(updated_at=now(session), state="closed")
        )
        session.execute(update(Order).where(Order.axerrio_key == second).values(due_at=None))
    parts = count(ledger, WriteLine, WriteLine.kind == Kind.AWB_ADD)
    assert (count(ledger, Write, Write.kind == Kind.AWB_ADD), parts) == (1, 4)
    housekeeping(ledger.runtime)
    assert count(ledger, Write, Write.kind == Kind.AWB_ADD) == 1
    assert count(ledger, WriteLine, WriteLine.kind == Kind.AWB_ADD) == 2
    years_later(ledger)
    for _ in range(2):
        housekeeping(ledger.runtime)
    assert count(ledger, Write) == 0


# -- raw records, reads, dates -----------------------------------------------------------------------------------


def test_raw_records_go_once_they_were_mended_or_their_order_ended(ledger: Ledger, world: World) -> None:
    ended, open_ = world.place(), world.place()
    ledger.live(180)
    close(ledger, world, ended)
    ids = itertools.count()

    def aside(session: Any, which: Feed, key: str | None, *, mended: bool) -> None:
        scope = session.scalars(select(Scope).where(Scope.feed == which, Scope.key.in_(("", "window")))).one()
        record = UnreadableRecord(scope_id=scope.id, digest=str(next(ids)), record_key=key, reason="?", raw="{}")
        record.resolved_at = now(session) if mended else None
        record.reason = f"{which.value} {key} {mended}"
        session.add(record)

    with ledger.runtime.sessions.begin() as session:
        aside(session, Feed.SALES_ORDERS, ended, mended=False)
        aside(session, Feed.SALES_ORDERS, open_, mended=False)
        aside(session, Feed.SALES_ORDERS, None, mended=False)
        aside(session, Feed.LABELS, ended, mended=False)
        aside(session, Feed.LABELS, "L-1", mended=True)
        aside(session, Feed.KOMET_PREBOOKS, "991", mended=True)
    housekeeping(ledger.runtime)
    assert count(ledger, UnreadableRecord) == 6
    years_later(ledger)
    assert ", 3 raw records, " in housekeeping(ledger.runtime)
    with ledger.session() as session:
        left = set(session.scalars(select(UnreadableRecord.reason)))
    assert left == {f"sales-orders {open_} False", "sales-orders None False", f"labels {ended} False"}


@pytest.mark.parametrize(
    "pattern", ["1111111111", "0000000000", "1000000000", "1100000000", "0001000000", "1010101010"]
)
def test_reads_go_and_no_judgement_changes(ledger: Ledger, pattern: str) -> None:
    """As many reads are counted after every moment as before. In the pattern 1 is a complete read, oldest first."""
    with ledger.runtime.sessions.begin() as session:
        session.execute(delete(Observation))
        scope = session.scalars(select(Scope).where(Scope.feed == Feed.LABELS)).one()
        start = now(session) - OBSERVATIONS_KEPT - timedelta(days=1)
        moments = [start + timedelta(minutes=n) for n in range(len(pattern))]
        for moment, complete in zip(moments, pattern, strict=True):
            session.add(
                Observation(scope_id=scope.id, began_at=moment, ended_at=moment, complete=complete == "1", records=0)
            )

    def judged() -> list[Looks]:
        with ledger.session() as session:
            asked = {"order_id": 0, "connection_id": scope.connection_id, "ship_dates": [], "truck_date": ""}
            newest = Together(LOOKS).read(session, **asked)[LOOKS]
            return [looks(newest, each) for each in (moments[0] - timedelta(minutes=1), *moments)]

    before = judged()
    assert before[0] == Looks(min(pattern.count("1"), LOOKS_FOR_ABSENCE), LOOKS_FOR_ABSENCE)
    housekeeping(ledger.runtime)
    assert judged() == before
    assert LOOKS_FOR_ABSENCE <= count(ledger, Observation) <= 2 * LOOKS_FOR_ABSENCE


@pytest.mark.thorough
def test_recent_reads_stay(ledger: Ledger) -> None:
    for _ in range(20):
        ledger.live(ledger.timing.poll)
    reads = count(ledger, Observation)
    assert reads > 20
    assert ", 0 observations, " in housekeeping(ledger.runtime)
    ledger.pass_time(OBSERVATIONS_KEPT.total_seconds() + 60)
    housekeeping(ledger.runtime)
    scopes = count(ledger, Scope, Scope.id.in_(select(Observation.scope_id)))
    assert count(ledger, Observation) <= 2 * LOOKS_FOR_ABSENCE * scopes


def test_an_order_at_its_end_waits_for_nothing(ledger: Ledger, world: World) -> None:
    """One of an older version may: what is waited for is read."""
    key = ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        session.execute(delete(Wait))
        row, scope = session.scalars(select(Order)).one(), session.scalars(select(Scope.id)).first()
        session.add(Wait(order_id=row.id, scope_id=scope, active=False))
    assert "0 waits" in housekeeping(ledger.runtime), f"{key} is open"
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Order).values(state=OrderState.CLOSED, due_at=None))
    assert "1 waits" in housekeeping(ledger.runtime)


def test_dates_long_past_go_unless_somebody_needs_them(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        connection = session.scalars(select(Connection.id)).one()
        dates = {
            name: Scope(connection_id=connection, feed=Feed.KOMET_PURCHASE_ORDERS, key=day)
            for name, day in (("old", "2024-01-01"), ("waited for", "2024-01-02"), ("due", "2024-01-03"))
        }
        session.add_all(dates.values())
        session.flush()
        dates["due"].due_at = now(session) + timedelta(days=1)
        session.add(
            Wait(order_id=session.scalars(select(Order.id)).one(), scope_id=dates["waited for"].id, active=True)
        )
    assert housekeeping(ledger.runtime).endswith("1 scopes removed")
    with ledger.session() as session:
        left = set(session.scalars(select(Scope.key)))
    assert {"2024-01-02", "2024-01-03", "changed", "window", "", world.day(3), world.day(5)} <= left
    assert "2024-01-01" not in left
    assert_exactly_once(world, key)


def test_beat_sends_it_every_hour() -> None:
    app = make_app("redis://localhost:1/0", Settings(_env_file=None))
    entry = Scheduler(app, lazy=True).app.conf.beat_schedule["housekeeping"]
    assert (entry["task"], entry["options"]["queue"]) == ("housekeeping", "maintenance")
    assert entry["schedule"].hour == set(range(24))
    assert len(entry["schedule"].minute) == 1


@pytest.mark.thorough
def test_the_time_is_the_settings(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger(timing={"retention_days": 10})
    key = ledger.earn_proof()
    close(ledger, world, key)
    years_later(ledger, 11)
    housekeeping(ledger.runtime)
    assert_no_writes(ledger, key)


def test_a_process_that_is_told_to_end_leaves_it_to_others(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    close(ledger, world, key)
    years_later(ledger)
    ledger.runtime.ending.set()
    housekeeping(ledger.runtime)
    assert ledger.order(key)["writes"]
    ledger.runtime.ending.clear()
    housekeeping(ledger.runtime)
    assert_no_writes(ledger, key)
