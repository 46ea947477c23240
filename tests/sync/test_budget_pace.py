"""The pace of reads that the request budget gives: shared while requests are short, at once while they are plenty."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from models.states import CHANGED, WINDOW, Feed, OrderState
from models.tables import RequestBudget, Scope
from tasks.budget import Budget, Pace, pace_of
from tasks.observe import observe
from tests.sync.conftest import Ledger
from tests.sync.test_budget_turns import limited
from tests.world import World, assert_exactly_once

LIMIT = 1000
HOUR = 3600.0
PREBOOKS, PURCHASE_ORDERS = "prebook.details.list", "purchase.order.list"


def a_day_of_reads(active: int, scopes: int, hours: range) -> int:
    """Requests of a day of which so many scopes are waited for actively in some hours, and nothing is written."""
    used = 0.0
    for hour in range(24):
        for _ in range(60):
            pace = Budget(LIMIT, round(used)).pace(scopes)
            waited = active if hour in hours else 0
            used += 60 * (waited / pace.active + (scopes - waited) / pace.passive)
    return round(used)


def test_reads_alone_never_use_up_what_writes_need() -> None:
    assert a_day_of_reads(0, 1, range(0)) < LIMIT * 0.2, "nobody waits"
    assert a_day_of_reads(0, 10, range(0)) < LIMIT * 0.55, "many dates that orders stand on"
    assert a_day_of_reads(10, 10, range(8, 18)) < LIMIT * 0.7, "many dates that orders wait for all day"


def test_the_pace_is_of_what_is_left_and_is_shared() -> None:
    full = Budget(LIMIT, 0).pace(4)
    assert full.passive == 2 * full.active
    assert Budget(LIMIT, 500).pace(4) == Pace(2 * full.active, 2 * full.passive)
    assert Budget(LIMIT, 0).pace(8) == Pace(2 * full.active, 2 * full.passive)
    idle = Budget(LIMIT, 0).pace(1)
    assert idle.active < 60, "who comes into an idle company waits no longer than a poll"
    assert idle.passive == full.passive, "and such a company leaves requests for when orders come"
    assert Budget(LIMIT, LIMIT).pace(9) == Pace(HOUR, HOUR), "the limit may have been raised"
    assert Budget(1_000_000, 0).pace(5).active < 1, "who has plenty reads at once"


@pytest.fixture
def rationed(make_ledger: Callable[..., Ledger], world: World) -> Ledger:
    """A ledger whose company has 1,000 requests a day, and has brought one order through."""
    ledger = make_ledger(komet=world.entry()["komet"] | {"daily_requests": LIMIT})
    ledger.earn_proof(20 * 60, pace=300)
    return ledger


def use_up(ledger: Ledger, left: int) -> None:
    """So many requests of the last 24 hours are left."""
    with ledger.runtime.sessions.begin() as session:
        session.execute(delete(RequestBudget))
        used = LIMIT - left
        session.add(RequestBudget(company=ledger.settings.company, slot=func.axkomet_now(), used=used))


def pace(ledger: Ledger) -> Pace:
    with ledger.session() as session:
        return pace_of(session, ledger.settings)


def reads(world: World) -> tuple[int, int]:
    """Of prebooks and of purchase orders."""
    return world.requests(PREBOOKS), world.requests(PURCHASE_ORDERS)


def test_orders_that_come_one_after_the_other_share_reads_while_requests_are_short(
    rationed: Ledger, world: World
) -> None:
    with limited(rationed, LIMIT):
        use_up(rationed, 200)
        before = reads(world)
        keys = []
        for _ in range(4):
            keys.append(world.place())
            rationed.live(90, pace=90)
        assert pace(rationed).active > 300
        rationed.live(HOUR, pace=300)
        for key in keys:
            assert rationed.state(key) == OrderState.ORDERED, rationed.order(key)
            assert_exactly_once(world, key)
        made = [now - then for now, then in zip(reads(world), before, strict=True)]
    assert max(made) <= 4, "each by itself would take five of either"


def test_ids_of_every_truck_date_are_learned_from_what_changed(ledger: Ledger, world: World) -> None:
    keys = [world.place(departureDate=world.day(day), truckDate=world.day(day + 2)) for day in (3, 4)]
    ledger.live(90)
    for key in keys:
        assert ledger.state(key) == OrderState.ORDERED
    with ledger.session() as session:
        of_prebooks = select(Scope.key).where(Scope.feed == Feed.KOMET_PREBOOKS, Scope.last_success_at.is_not(None))
        assert set(session.scalars(of_prebooks)) <= {CHANGED, WINDOW}, "no truck date was read"


def test_what_the_list_of_changes_does_not_show_is_looked_for_by_its_truck_date(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    ledger = make_ledger(komet=world.entry()["komet"] | {"profile": {"updated_overlap_seconds": 0}})
    ledger.work()
    key = world.place()
    ledger.pass_time(60)
    ledger.feed_and_send()
    assert ledger.writes(key, "komet.prebook.create") == ["done"]
    with ledger.runtime.sessions.begin() as session:  # it is missed once, and so for ever
        missed = update(Scope).where(Scope.key == CHANGED)
        session.execute(missed.values(changed_since=func.now() + timedelta(hours=1)))
    time.sleep(2.2)  # Komet is asked by whole seconds
    ledger.live(120)
    assert ledger.state(key) == OrderState.ORDERED, ledger.order(key)


def test_one_order_that_waits_for_a_carrier_does_not_use_up_the_day(rationed: Ledger, world: World) -> None:
    with limited(rationed, LIMIT):
        use_up(rationed, 200)
        before = world.requests("carrier.list")
        key = world.place(carrierCode="NOBODY")
        rationed.live(2 * HOUR, pace=300)
        assert rationed.reason(key) == "unmapped_reference"
        assert 1 <= world.requests("carrier.list") - before <= 3


def test_an_order_goes_on_with_the_last_requests(rationed: Ledger, world: World) -> None:
    """Nobody waits for the news: it is left. What an order waits for is read, down to the last request."""
    with limited(rationed, LIMIT):
        use_up(rationed, 6)
        before = dict(world.company["requests"])
        key = world.place()
        rationed.live(2 * HOUR, pace=300)
        assert rationed.state(key) == OrderState.ORDERED, rationed.order(key)
        assert_exactly_once(world, key)
        asked = {name: count - before[name] for name, count in world.company["requests"].items()}
        assert sum(asked.values()) <= 6
        with rationed.session() as session:
            changed = session.scalars(select(Scope.id).where(Scope.key == CHANGED)).one()
        with rationed.runtime.sessions.begin() as session:
            session.execute(update(Scope).where(Scope.id == changed).values(due_at=func.axkomet_now()))
        assert "kept for what orders wait for" in observe(rationed.runtime, changed)


def test_a_date_that_nobody_waits_for_any_more_is_not_read(ledger: Ledger, world: World) -> None:
    key = ledger.earn_proof()
    with ledger.session() as session:
        scope = session.scalars(select(Scope).where(Scope.feed == Feed.KOMET_PURCHASE_ORDERS)).one()
    assert scope.due_at is not None, "it waits to be approved"
    world.place(key=key, status="cancelled")
    for _ in range(6):
        if ledger.state(key) != OrderState.CANCELLED:
            ledger.live(30)
    assert ledger.state(key) == OrderState.CANCELLED
    before = reads(world)[1]
    ledger.live(HOUR / 2, pace=300)
    assert reads(world)[1] == before
    with ledger.session() as session:
        assert session.get_one(Scope, scope.id).due_at is None
