"""A ledger at work without Celery: the test itself does what is due, on real PostgreSQL, against the sandbox."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, or_, select
from sqlalchemy.orm import Session

from clients.axerrio.client import AxerrioClient
from clients.http import OpenGate
from clients.komet.client import KometClient
from models.database import make_engine, make_sessions, now
from models.states import WINDOW, Feed, OrderState, WriteState, may_move
from models.tables import History, Order, Scope, UnreadableRecord, Wait, Write
from tasks.advance import advance
from tasks.connection import Connection, ConnectionSettings, register
from tasks.observe import observe
from tasks.runtime import Runtime, Timing
from tasks.upstreams import tend
from tests.world import World
from worker.desk import OrderFilter, find_order, find_orders, find_row

Json = dict[str, Any]
#: Short, so that nothing is waited for; the ledger's clock is moved instead.
TIMING = Timing(poll=30, sweep=1, retry_base=0.01, retry_max=0.02, max_attempts=6, http_timeout=1.0, grace=60)

#: Engines of ledgers that are closed, by their database's URL: they know the statements that they compiled.
_IDLE: defaultdict[str, list[Engine]] = defaultdict(list)


@dataclass
class Ledger:
    """A ledger and the one who works on it."""

    world: World
    database_url: str
    settings: ConnectionSettings
    timing: Timing = TIMING
    offset: float = 0.0
    engine: Engine = field(init=False)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        idle = _IDLE[self.database_url]
        self.engine = idle.pop() if idle else make_engine(self.database_url, pool_size=8)
        event.listen(self.engine, "checkout", self._set_clock)
        sessions = make_sessions(self.engine)
        with sessions.begin() as session:
            row = register(session, self.settings)
        timeout = self.timing.http_timeout
        connection = Connection(
            row,
            self.settings,
            KometClient(self.settings.komet, self.world.komet_token, timeout=timeout, gate=OpenGate()),
            AxerrioClient(self.settings.axerrio, self.world.axerrio_token, timeout=timeout, gate=OpenGate()),
        )
        self.runtime = Runtime(sessions, {row: connection}, self.timing)

    def _set_clock(self, connection: Any, record: Any, _proxy: Any) -> None:
        if record.info.get("offset") != self.offset:
            connection.execute(f"SET axkomet.clock_offset = '{self.offset}s'")
            connection.commit()
            record.info["offset"] = self.offset

    def close(self) -> None:
        event.remove(self.engine, "checkout", self._set_clock)
        self.engine.dispose()
        _IDLE[self.database_url].append(self.engine)
        for connection in self.runtime.connections.values():
            connection.komet.close()
            connection.axerrio.close()

    def pass_time(self, seconds: float) -> None:
        """Move the ledger's clock."""
        self.offset += seconds

    def work(self, *, steps: int = 200) -> set[int]:
        """Do what is due until nothing is.

        Returns:
            Ids of the scopes that were read in vain: no order looked meanwhile.
        """
        read: set[int] = set()
        in_vain = True
        for _ in range(steps):
            scopes, orders = self._step()
            if not scopes and not orders:
                return read if in_vain else set()
            read.update(scopes)
            in_vain = in_vain and not orders
            time.sleep(0.001)
        raise AssertionError("it does not come to rest")

    def step(self, times: int = 5) -> None:
        """Do what is due a few times, as some sweeps do, whether it comes to rest or not."""
        for _ in range(times):
            self._step()

    def _step(self) -> tuple[list[int], list[int]]:
        """Do what is due now; gives the ids of scopes and orders."""
        tend(self.runtime)
        moment = func.axkomet_now()
        with self.runtime.sessions() as session:
            scopes = list(session.scalars(select(Scope.id).where(Scope.due_at <= moment)))
            orders = list(session.scalars(select(Order.id).where(Order.due_at <= moment).order_by(Order.id)))
        for scope_id in scopes:
            observe(self.runtime, scope_id)
        for order_id in orders:
            advance(self.runtime, order_id)
        return scopes, orders

    def feed_and_send(self) -> None:
        """Read Axerrio's feed and send what it asks for, without a look at Komet."""
        for _ in range(3):
            with self.runtime.sessions() as session:
                moment = func.axkomet_now()
                feeds = select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS, Scope.due_at <= moment)
                due = list(session.scalars(feeds))
                orders = list(session.scalars(select(Order.id).where(Order.due_at <= moment)))
            for scope_id in due:
                observe(self.runtime, scope_id)
            for order_id in orders:
                advance(self.runtime, order_id)

    def live(self, seconds: float, *, pace: float | None = None) -> None:
        """Let time pass while the worker works, in steps of a poll.

        Nothing happens outside meanwhile, so steps in which only scopes are due that were just read in vain are one.
        """
        pace = pace or self.timing.poll
        left = max(1, round(seconds / pace))
        in_vain: set[int] = set()
        while left:
            steps = max(1, math.ceil(min(self._until_news(in_vain) / pace, left)))
            left -= steps
            self.pass_time(steps * pace)
            found = self.work()
            in_vain = in_vain | found if found else set()

    def _until_news(self, in_vain: Collection[int]) -> float:
        """Seconds until something is due that may bring news."""
        counts_looks = or_(
            Scope.key == WINDOW,
            Scope.last_error.is_not(None),
            select(UnreadableRecord.id)
            .where(UnreadableRecord.scope_id == Scope.id, UnreadableRecord.resolved_at.is_(None))
            .exists(),
            select(Wait.order_id).where(Wait.scope_id == Scope.id, Wait.active).exists(),
            select(Write.id).where(Write.scope_id == Scope.id, Write.state == WriteState.SENT).exists(),
        )
        scopes = select(func.min(Scope.due_at)).where(or_(Scope.id.not_in(in_vain), counts_looks))
        with self.runtime.sessions() as session:
            times = [session.scalar(scopes), session.scalar(select(func.min(Order.due_at)))]
            return min(((each - now(session)).total_seconds() for each in times if each), default=math.inf)

    def order(self, key: str) -> Json:
        """The order as the desk shows it."""
        with self.runtime.sessions() as session:
            found = find_order(session, key)
        assert found is not None, f"{key} is not in the ledger"
        return found

    def orders(self, keys: Iterable[str]) -> list[Json]:
        """The same of many, at the price of one."""
        with self.runtime.sessions() as session:
            ids = [row.id for key in keys if (row := find_row(session, key))]
            found = {each["id"]: each for each in find_orders(session, OrderFilter())}
        return [found[order_id] for order_id in ids]

    def state(self, key: str) -> str:
        return str(self.order(key)["state"])

    def reason(self, key: str) -> str | None:
        reason = self.order(key)["reason"]
        return reason["code"] if reason else None

    def writes(self, key: str, kind: str) -> list[str]:
        """States of the order's writes of a kind, in their order."""
        return [each["state"] for each in self.order(key)["writes"] if each["kind"] == kind]

    def session(self) -> Session:
        return self.runtime.sessions()

    def earn_proof(self, seconds: float = 180, *, pace: float | None = None) -> str:
        """Bring one order through, so that absence is proof for both creates; gives its key.

        Where few requests are allowed it takes longer than the usual seconds.
        """
        key = self.world.place()
        self.live(seconds, pace=pace)
        assert self.state(key) == OrderState.ORDERED, self.order(key)
        return key


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first parameters of a test of the ledger stand for all of them where a run is not thorough."""
    seen: set[object] = set()
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == Path(__file__).parent:
            if item.function in seen:
                item.add_marker(pytest.mark.thorough)
            seen.add(item.function)


@pytest.fixture
def make_ledger(world: World, database_url: str) -> Iterator[Callable[..., Ledger]]:
    """Makes a ledger; changes are of the connection's settings."""
    made: list[Ledger] = []

    def make(*, timing: Json | None = None, **changes: Any) -> Ledger:
        ledger = Ledger(world, database_url, world.connection(**changes), replace(TIMING, **(timing or {})))
        made.append(ledger)
        return ledger

    yield make
    told = moves(made[0]) if made else []
    for each in made:
        each.close()
    assert [move for move in told if not may_move(*move)] == [], "the table does not know these moves"


def moves(ledger: Ledger) -> list[tuple[OrderState, OrderState]]:
    """From which state to which the orders went, each once."""
    with ledger.session() as session:
        told = session.execute(select(History.from_state, History.to_state).distinct()).all()
    return [(OrderState(before), OrderState(after)) for before, after in told if before is not None and before != after]


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Ledger:
    """A ledger with the usual settings."""
    return make_ledger()
