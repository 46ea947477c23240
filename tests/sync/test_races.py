"""Several at once on the same order, the same feed, the same budget."""

from concurrent.futures import ThreadPoolExecutor

import fakeredis
import pytest
from sqlalchemy import func, select

from clients.errors import NoBudget
from clients.pacing import Pacer
from models.database import make_engine, make_sessions
from models.states import Feed
from models.tables import Order, Scope
from tasks.advance import advance
from tasks.budget import KometGate, budget_of
from tasks.observe import observe
from tests.sync.conftest import Ledger
from tests.world import World, assert_exactly_once


def test_many_advance_the_same_order_at_once(ledger: Ledger, world: World) -> None:
    world.fault("slow", "prebook.create", seconds=0.3, times=1)
    key = world.place()
    with ledger.session() as session:
        feed = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS)).one()
        reference = session.scalars(select(Scope.id).where(Scope.feed == Feed.KOMET_REFERENCE)).one()
    observe(ledger.runtime, feed)
    observe(ledger.runtime, reference)
    with ledger.session() as session:
        order = session.scalars(select(Order.id)).one()
    with ThreadPoolExecutor(6) as pool:
        words = list(pool.map(lambda _: advance(ledger.runtime, order), range(6)))
    assert sum("prebook.create done" in each for each in words) == 1
    assert words.count("nothing due") == 5
    ledger.live(180)
    assert_exactly_once(world, key)
    assert world.requests("prebook.create") == 1


def test_two_polls_of_one_feed_at_once(ledger: Ledger, world: World) -> None:
    for _ in range(20):
        world.place()
    with ledger.session() as session:
        feed = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS)).one()
    with ThreadPoolExecutor(4) as pool:
        words = list(pool.map(lambda _: observe(ledger.runtime, feed), range(4)))
    assert words.count("nothing due") == 3
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 20


def test_the_budget_is_never_overdrawn_and_keeps_a_share_for_writes(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=8)
    sessions = make_sessions(engine)
    gate = KometGate(sessions, Pacer(fakeredis.FakeRedis(), "pace", 10_000, "komet"), "miami", 20)

    def ask(write: bool) -> bool:
        try:
            gate.enter("prebook.create" if write else "prebook.details.list", write=write, patience=1)
        except NoBudget as error:
            return error.retry_after <= 0
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: ask(write=False), range(40))) == 18, "10 % are kept for writes"
        assert sum(pool.map(lambda _: ask(write=True), range(40))) == 2
    with sessions() as session:
        assert budget_of(session, "miami", 20).left == 0
    engine.dispose()


def test_without_budget_orders_wait_and_use_up_no_attempt(ledger: Ledger, world: World) -> None:
    komet = next(iter(ledger.runtime.connections.values())).komet
    pacer = Pacer(fakeredis.FakeRedis(), "pace", 10_000, "komet")
    gate = KometGate(ledger.runtime.sessions, pacer, "miami", 5)
    core = komet._core
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "_gate", gate)
        keys = [world.place() for _ in range(4)]
        ledger.live(600)
        assert {ledger.order(key)["attempts"] for key in keys} == {0}
        assert {ledger.state(key) for key in keys} <= {"received", "prebooked"}
        assert sum(world.company["requests"].values()) == 5
        ledger.pass_time(86_400)
        ledger.live(60)
        assert sum(world.company["requests"].values()) == 10


def test_an_error_of_our_own_is_told_and_tried_again(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: object) -> object:
        raise RuntimeError("a bug")

    key = world.place()
    monkeypatch.setattr("tasks.decide.make_plan", breaks)
    with pytest.raises(RuntimeError):
        ledger.work()
    assert ledger.order(key)["last_error"] == "RuntimeError: see the log"
    assert ledger.state(key) == "received"
    ledger.pass_time(600)
    with pytest.raises(RuntimeError):
        ledger.work()
    assert (ledger.state(key), ledger.reason(key)) == ("failed", "failed"), "a person must know"
    monkeypatch.undo()
    ledger.live(180)
    assert_exactly_once(world, key)
