"""The request budget when it is short: never overdrawn, and the nearest departure goes first."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from multiprocessing import get_context

import fakeredis
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from clients.errors import NoBudget
from clients.http import OpenGate
from clients.pacing import Pacer
from models.database import make_engine, make_sessions, now
from models.states import Kind
from models.tables import Connection, Order, RequestBudget
from tasks.budget import BUDGET, KometGate, budget_of, for_order, unblocking
from tasks.kinds import KINDS
from tasks.upstreams import OBSERVES
from tests.sync.conftest import Ledger
from tests.sync.in_komet import assert_in_step
from tests.world import World, assert_exactly_once

COMPANY = "https://api.kometsales.com/api|MIA"
DAY = date(2026, 12, 1)


def gate_of(sessions: sessionmaker[Session], limit: int, company: str = COMPANY) -> KometGate:
    return KometGate(sessions, Pacer(fakeredis.FakeRedis(), "pace", 10_000, "komet"), company, limit)


def ask(gate: KometGate, order_id: int, *, first: bool = False) -> bool:
    """Whether an order gets a request for a write."""
    try:
        with for_order(order_id, first=first, waited=True):
            gate.enter("prebook.create", write=True, patience=1)
    except NoBudget:
        return False
    return True


def ask_in_a_process(database_url: str, limit: int, order_ids: list[int]) -> list[int]:
    """Those of the orders that got a request, asked for by many threads at once."""
    engine = make_engine(database_url, pool_size=4)
    gate = gate_of(make_sessions(engine), limit)
    with ThreadPoolExecutor(4) as pool:
        got = [
            order
            for order, granted in zip(order_ids, pool.map(lambda o: ask(gate, o), order_ids), strict=True)
            if granted
        ]
    engine.dispose()
    return got


@pytest.fixture
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(database_url, pool_size=10)
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture
def waiting(sessions: sessionmaker[Session]) -> list[int]:
    """Twenty orders of two connections of one company that wait for the budget; the last made leaves first."""
    with sessions.begin() as session:
        for name in ("miami", "bogota"):
            session.add(Connection(name=name, joins=f"{COMPANY}|{name}", settings_hash=""))
        session.flush()
        connections = session.scalars(select(Connection.id)).all()
        orders = [
            Order(
                connection_id=connections[n % 2],
                origin="axerrio",
                axerrio_key=f"SO-{n}",
                version=1,
                sequence=n,
                wanted={},
                departure_date=DAY + timedelta(days=20 - n),
                truck_date=DAY,
                next_task="create_prebook",
                held_up_by=BUDGET,
                due_at=now(session),
            )
            for n in range(20)
        ]
        session.add_all(orders)
        session.flush()
        return [each.id for each in reversed(orders)]


def test_many_processes_give_what_is_left_to_the_nearest_departures(
    sessions: sessionmaker[Session], waiting: list[int], database_url: str
) -> None:
    """Whoever asks first: of seven requests the seven that leave first get one each."""
    backwards = waiting[::-1]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        asked = [pool.submit(ask_in_a_process, database_url, 7, backwards[n::2]) for n in range(2)]
        got = [order for each in asked for order in each.result()]
    assert set(got) <= set(waiting[:7])
    with sessions() as session:
        assert budget_of(session, COMPANY, 7).used <= 7
    for order in waiting[:7]:
        with sessions() as session:
            waits = session.get_one(Order, order).held_up_by == BUDGET
        assert not waits or ask(gate_of(sessions, 7), order)
    with sessions() as session:
        assert budget_of(session, COMPANY, 7).used == 7
        left = session.scalars(select(Order.id).where(Order.held_up_by == BUDGET).order_by(Order.departure_date)).all()
        assert list(left) == waiting[7:]


def test_an_order_that_leaves_later_takes_nothing_that_others_wait_for(
    sessions: sessionmaker[Session], waiting: list[int]
) -> None:
    assert not ask(gate_of(sessions, 3), waiting[3])
    assert ask(gate_of(sessions, 3), waiting[2])
    assert not ask(gate_of(sessions, 3), waiting[3]), "two are left, and two wait before it"
    assert ask(gate_of(sessions, 4), waiting[3])


def test_room_for_all_of_a_replacement_is_left_to_who_waits_for_it(
    sessions: sessionmaker[Session], waiting: list[int]
) -> None:
    with sessions.begin() as session:
        session.get_one(Order, waiting[0]).next_task = KINDS[Kind.PURCHASE_ORDER_ITEM_DELETE].task
    assert not ask(gate_of(sessions, 4), waiting[1])
    assert ask(gate_of(sessions, 5), waiting[1])


def test_an_order_that_waits_for_all_of_a_replacement_waits_for_the_budget(
    make_ledger: Callable[..., Ledger], world: World
) -> None:
    before = make_ledger()
    key = before.earn_proof()
    ledger = make_ledger(komet=world.entry()["komet"] | {"daily_requests": 20})
    ledger.pass_time(before.offset)
    with ledger.runtime.sessions.begin() as session:
        session.add(RequestBudget(company=ledger.settings.company, slot=func.axkomet_now(), used=17))
    world.place(key=key, lines=[world.line("1", boxes=6), world.line("2", boxes=2)])
    ledger.live(7200, pace=600)
    shown = ledger.order(key)
    assert (shown["held_up_by"], ledger.writes(key, "komet.purchase.order.item.delete")) == (BUDGET, [])
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(RequestBudget).values(used=0))
    ledger.live(4 * 3600, pace=600)
    assert_in_step(world, key)


def test_an_order_that_nobody_works_on_is_in_nobodys_way(sessions: sessionmaker[Session], waiting: list[int]) -> None:
    """Its connection was taken out of the connections file."""
    assert not ask(gate_of(sessions, 1), waiting[1])
    with sessions.begin() as session:
        session.get_one(Order, waiting[0]).due_at = now(session) - timedelta(hours=2)
    assert ask(gate_of(sessions, 1), waiting[1])


def test_orders_of_another_company_are_in_nobodys_way(sessions: sessionmaker[Session], waiting: list[int]) -> None:
    assert ask(gate_of(sessions, 1, COMPANY + "X"), waiting[-1])


def test_what_was_begun_anew_goes_before_everything_else(sessions: sessionmaker[Session], waiting: list[int]) -> None:
    gate = gate_of(sessions, 1)
    assert not ask(gate, waiting[-1])
    assert ask(gate, waiting[-1], first=True)
    assert not ask(gate, waiting[0], first=True), "not even that is granted twice"


def test_a_read_that_is_waited_for_may_take_of_what_is_kept(sessions: sessionmaker[Session]) -> None:
    gate = gate_of(sessions, 30)
    for _ in range(27):
        gate.enter("prebook.details.list", write=False, patience=1)
    with pytest.raises(NoBudget, match="kept for what orders wait for"):
        gate.enter("boxtype.list", write=False, patience=1)
    with unblocking():
        for _ in range(3):
            gate.enter("boxtype.list", write=False, patience=1)
        with pytest.raises(NoBudget):
            gate.enter("boxtype.list", write=False, patience=1)


@contextmanager
def limited(ledger: Ledger, limit: int) -> Iterator[None]:
    """The ledger's Komet requests are counted against a limit."""
    connection = next(iter(ledger.runtime.connections.values()))
    connection.komet._core._gate = gate_of(ledger.runtime.sessions, limit, connection.settings.company)
    yield
    connection.komet._core._gate = OpenGate()


def test_an_order_that_may_not_be_written_is_in_nobodys_turn(make_ledger: Callable[..., Ledger], world: World) -> None:
    before = make_ledger()
    before.live(60)
    few = world.entry()["komet"] | {"daily_requests": 20}
    ledger = make_ledger(komet=few)
    ledger.pass_time(before.offset)
    with ledger.runtime.sessions.begin() as session:
        session.add(RequestBudget(company=ledger.settings.company, slot=func.axkomet_now(), used=20))
    key = world.place()
    with limited(ledger, 20):
        ledger.live(60)
    assert ledger.order(key)["held_up_by"] == BUDGET
    observing = make_ledger(komet=few, mode="observe")
    observing.pass_time(ledger.offset)
    observing.work()
    assert observing.order(key)["held_up_by"] == OBSERVES


@pytest.mark.thorough
def test_when_requests_come_free_the_nearest_truck_goes_first(make_ledger: Callable[..., Ledger], world: World) -> None:
    entry = world.entry()["komet"]
    make_ledger().earn_proof()
    ledger = make_ledger(komet=entry | {"daily_requests": 20})
    with ledger.runtime.sessions.begin() as session:
        session.add(RequestBudget(company=ledger.settings.company, slot=func.axkomet_now(), used=20))
    with limited(ledger, 20):
        keys = [world.place(departureDate=world.day(day), truckDate=world.day(day + 2)) for day in (9, 3, 7, 5)]
        before = world.company["requests"]
        ledger.live(600)
        assert world.company["requests"] == before, "not one is sent without budget"
        for key in keys:
            order = ledger.order(key)
            assert (order["held_up_by"], order["attempts"], order["writes"]) == (BUDGET, 0, [])
        with ledger.runtime.sessions.begin() as session:  # three come free: for two creates and a look
            session.execute(update(RequestBudget).values(used=17))
        ledger.live(3900, pace=300)
        made = {key for key in keys if ledger.writes(key, "komet.prebook.create") == ["done"]}
        assert made == {keys[1], keys[3]}
        assert {ledger.order(key)["held_up_by"] for key in set(keys) - made} == {BUDGET}
    ledger.pass_time(86_400)
    ledger.live(6 * 3600, pace=600)
    for key in keys:
        assert_exactly_once(world, key)
