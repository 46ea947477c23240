"""Connections share messages and threads: none is delayed by what another has to do, or by calls that do not end."""

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, update

from models.database import now
from models.states import Feed
from models.tables import Order, Scope
from tasks.advance import advance
from tasks.connection import Connection, register
from tasks.observe import observe
from tasks.runtime import NOTHING_DUE, Hint, Runtime
from tasks.shares import Shares
from tasks.sweep import sweep
from tasks.turns import serve
from tasks.wake import MOST_HINTS, wake
from tests.sync.conftest import Ledger
from tests.world import World

MANY = MOST_HINTS + 10


class Queue:
    """Holds messages as the broker does; whoever serves takes the oldest."""

    def __init__(self, ledger: Ledger, **changes: object) -> None:
        self.messages: deque[Hint] = deque()
        self.runtime: Runtime = replace(ledger.runtime, send_hints=self.send, **changes)  # type: ignore[arg-type]

    def send(self, hints: Iterable[Hint]) -> None:
        self.messages.extend(hints)

    def take(self) -> list[Hint]:
        """All that is in it."""
        taken = list(self.messages)
        self.messages.clear()
        return taken


def orders(hints: Iterable[Hint]) -> list[int]:
    return [hint.row_id for hint in hints if hint.task != "observe"]


def place_many(world: World, count: int = MANY) -> None:
    """Orders that leave sooner and sooner, in one page."""
    dates = [world.day(3 + count - n) for n in range(count)]
    body = [
        {"key": f"SO-{n}", "number": f"2026-{n}", **world.order(), "departureDate": day, "truckDate": day}
        for n, day in enumerate(dates)
    ]
    world.control("orders", tenant_token=world.axerrio_token, orders=body)


def read_feed(ledger: Ledger, queue: Queue) -> None:
    with ledger.session() as session:
        feed = session.scalars(select(Scope.id).where(Scope.feed == Feed.SALES_ORDERS)).one()
    observe(queue.runtime, feed)


def in_turn(ledger: Ledger) -> list[int]:
    """Ids of all orders, the nearest departure first."""
    with ledger.session() as session:
        return list(session.scalars(select(Order.id).order_by(Order.departure_date, Order.id)))


def claim(ledger: Ledger, row: type[Order] | type[Scope], row_id: int) -> str:
    """The row was taken on, and is due again."""
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(row).where(row.id == row_id).values(hinted_until=None))
    return "done"


def rest(ledger: Ledger, order_id: int) -> str:
    """The order was looked at, and nothing of it is due."""
    with ledger.runtime.sessions.begin() as session:
        order = session.get_one(Order, order_id)
        order.due_at = order.hinted_until = None
    return "done"


def add_connection(ledger: Ledger, name: str) -> Connection:
    """A second connection of the same worker, of which nothing is due."""
    settings = ledger.settings.model_copy(
        update={"name": name, "axerrio": ledger.settings.axerrio.model_copy(update={"tenant": name})}
    )
    with ledger.runtime.sessions.begin() as session:
        id_ = register(session, settings)
        for scope in session.scalars(select(Scope).where(Scope.connection_id == id_)):
            scope.due_at = None
    (first,) = ledger.runtime.connections.values()
    added = Connection(id_, settings, first.komet, first.axerrio)
    ledger.runtime = replace(ledger.runtime, connections={first.id: first, id_: added})
    return added


def copy_orders(ledger: Ledger, connection: Connection, count: int) -> set[int]:
    """Orders of another connection, due, that leave later than all there are."""
    with ledger.runtime.sessions.begin() as session:
        last = session.scalars(select(Order).order_by(Order.departure_date.desc(), Order.id)).first()
        assert last
        kept = {
            column.key: getattr(last, column.key)
            for column in Order.__table__.columns
            if column.key not in ("id", "connection_id", "axerrio_key", "hinted_until", "lease_until", "lease_owner")
        }
        made = [Order(**kept, connection_id=connection.id, axerrio_key=f"SO-{n}") for n in range(count)]
        session.add_all(made)
        session.flush()
        return {order.id for order in made}


def test_what_is_woken_beyond_the_bound_stays_due_without_a_message(ledger: Ledger, world: World) -> None:
    queue = Queue(ledger)
    place_many(world)
    read_feed(ledger, queue)
    assert orders(queue.take()) == in_turn(ledger)[:MOST_HINTS]
    with ledger.session() as session:
        waiting = select(func.count()).where(Order.due_at <= now(session), Order.hinted_until.is_(None))
        assert session.scalar(waiting) == MANY - MOST_HINTS
    assert sweep(queue.runtime) == len(queue.messages)
    assert orders(queue.messages) == []


def test_the_sweep_takes_the_connections_in_turn(ledger: Ledger, world: World) -> None:
    place_many(world)
    read_feed(ledger, Queue(ledger))
    busy = in_turn(ledger)
    other = copy_orders(ledger, add_connection(ledger, "quito"), 3)
    ledger.pass_time(3600)
    queue = Queue(ledger)
    sweep(queue.runtime)
    sent = orders(queue.take())
    assert set(sent) == {*busy[:MOST_HINTS], *other}
    assert len(set(sent[:6]) & other) == 3, "one of each in turn, however near the departures of the busy one"
    sweep(queue.runtime)
    assert orders(queue.take()) == []
    ledger.pass_time(ledger.timing.hint + 1)
    sweep(queue.runtime)
    assert len(orders(queue.take())) == MOST_HINTS + 3


def test_what_was_served_makes_room_for_the_next_of_its_connection(ledger: Ledger, world: World) -> None:
    place_many(world)
    read_feed(ledger, Queue(ledger))
    other = copy_orders(ledger, add_connection(ledger, "quito"), 1)
    busy = in_turn(ledger)[:MANY]
    queue = Queue(ledger)
    for served, following in zip(busy[:2], busy[MOST_HINTS:], strict=False):
        assert serve(queue.runtime, Order, served, None, partial(rest, ledger, served)) == "done"
        assert orders(queue.take()) == [following], "one for one"
    sweep(queue.runtime)
    assert orders(queue.take()) == list(other)
    (last,) = other
    assert serve(queue.runtime, Order, last, None, partial(claim, ledger, Order, last)) == "done"
    assert orders(queue.take()) == [last], "it is due again, and first"


def test_an_order_that_is_worked_on_needs_no_message(ledger: Ledger, world: World) -> None:
    key = world.place()
    read_feed(ledger, Queue(ledger))
    (connection,) = ledger.runtime.connections.values()
    with ledger.runtime.sessions.begin() as session:
        row = session.get_one(Order, ledger.order(key)["id"])
        row.lease_until, row.hinted_until = now(session) + timedelta(seconds=30), None
        assert wake(session, [row], connection, ledger.timing) == []
        row.lease_until = now(session) - timedelta(seconds=1)
        assert [hint.row_id for hint in wake(session, [row], connection, ledger.timing)] == [row.id]


def test_late_messages_do_not_breed(ledger: Ledger, world: World) -> None:
    key = world.place()
    queue = Queue(ledger)
    read_feed(ledger, queue)
    (first,) = (each for each in queue.take() if each.task != "observe")
    assert ledger.order(key)["id"] == first.row_id
    ledger.pass_time(ledger.timing.hint + 1)
    sweep(queue.runtime)
    (second,) = (each for each in queue.take() if each.task != "observe")
    copy_orders(ledger, next(iter(queue.runtime.connections.values())), 2)  # two more are due
    work = partial(advance, queue.runtime, first.row_id)
    said = serve(queue.runtime, Order, first.row_id, first.until, work)
    assert said == "nothing to send", "it comes late, and does its work, which waits for Komet's lists"
    assert len(orders(queue.take())) == 1
    assert serve(queue.runtime, Order, second.row_id, second.until, work) == NOTHING_DUE
    assert serve(queue.runtime, Order, second.row_id, second.until, work) == NOTHING_DUE, "it came twice"
    assert orders(queue.take()) == []


def test_the_next_is_one_that_nobody_works_on(ledger: Ledger, world: World) -> None:
    place_many(world)
    read_feed(ledger, Queue(ledger))
    turns = in_turn(ledger)
    queue = Queue(ledger)
    _, locked, leased, free = turns[MOST_HINTS - 1 : MOST_HINTS + 3]
    with ledger.runtime.sessions.begin() as session:
        session.get_one(Order, leased).lease_until = now(session) + timedelta(seconds=60)
    with ledger.session() as session:
        session.execute(select(Order.id).where(Order.id == locked).with_for_update())
        serve(queue.runtime, Order, turns[0], None, partial(rest, ledger, turns[0]))
        assert orders(queue.take()) == [free]


def test_all_are_served_without_a_sweep(ledger: Ledger, world: World) -> None:
    """However many are due, messages follow each other; and there are never more of them than the bound allows."""
    place_many(world)
    queue = Queue(ledger)
    read_feed(ledger, queue)
    messages = deque(orders(queue.take()))
    served: list[int] = []
    while messages:
        assert len(messages) <= MOST_HINTS
        served.append(messages.popleft())
        serve(queue.runtime, Order, served[-1], None, partial(rest, ledger, served[-1]))
        messages.extend(orders(queue.take()))
    assert served == in_turn(ledger)


def test_reads_are_bounded_and_follow_each_other(ledger: Ledger) -> None:
    with ledger.runtime.sessions.begin() as session:
        for scope in session.scalars(select(Scope)):
            scope.due_at = None
        (connection,) = ledger.runtime.connections
        dates = [f"2027-01-{n + 1:02}" for n in range(31)] + [f"2027-02-{n + 1:02}" for n in range(11)]
        moment = now(session)
        made = [
            Scope(connection_id=connection, feed=Feed.KOMET_PREBOOKS, key=date, due_at=moment) for date in dates[:MANY]
        ]
        session.add_all(made)
        session.flush()
        ids = sorted(scope.id for scope in made)
    queue = Queue(ledger)
    sweep(queue.runtime)
    assert sorted(hint.row_id for hint in queue.take()) == ids[:MOST_HINTS]
    with ledger.runtime.sessions.begin() as session:
        session.get_one(Scope, ids[0]).due_at = None
        session.get_one(Scope, ids[MOST_HINTS]).stopped_reason = "it went back in time"
    serve(queue.runtime, Scope, ids[0], None, partial(claim, ledger, Scope, ids[0]))
    assert [hint.row_id for hint in queue.take()] == [ids[MOST_HINTS + 1]]


def test_beyond_its_share_work_goes_away_and_stays_due(ledger: Ledger, world: World) -> None:
    place_many(world)
    read_feed(ledger, Queue(ledger))
    (busy,) = ledger.runtime.connections
    other = copy_orders(ledger, add_connection(ledger, "quito"), 1)
    order = in_turn(ledger)[0]
    shares = Shares(threads=8, connections=2)
    queue = Queue(ledger, shares=shares)
    sweep(queue.runtime)
    with ExitStack() as stack:
        for _ in range(4):
            assert stack.enter_context(shares.thread(busy, is_read=False))
        assert "stays due" in serve(queue.runtime, Order, order, None, partial(pytest.fail, "it took a thread"))
        with ledger.session() as session:
            row = session.get_one(Order, order)
            assert row.due_at is not None
            assert row.hinted_until is None
            assert row.lease_until is None
        (last,) = other
        assert serve(queue.runtime, Order, last, None, partial(claim, ledger, Order, last)) == "done"
        with ledger.session() as session:
            hinted = Scope.hinted_until.is_not(None)
            scope = session.scalars(select(Scope.id).where(Scope.connection_id == busy, hinted)).first()
        assert scope
        read = partial(claim, ledger, Scope, scope)
        assert serve(queue.runtime, Scope, scope, None, read) == "done", "a read passes the connection's orders"
    assert order in orders(queue.take())
    assert serve(queue.runtime, Order, order, None, partial(claim, ledger, Order, order)) == "done"


def test_what_was_denied_comes_next_whatever_was_done_before_it(ledger: Ledger, world: World) -> None:
    """No sweep is waited for: an order that found all threads taken by reads follows the first of them that ends."""
    world.place()
    read_feed(ledger, Queue(ledger))
    (busy,) = ledger.runtime.connections
    (order,) = in_turn(ledger)
    with ledger.session() as session:
        scope = session.scalars(select(Scope.id).order_by(Scope.id)).first()
    assert scope
    shares = Shares(threads=2, connections=2)
    queue = Queue(ledger, shares=shares)
    with shares.thread(busy, is_read=True):
        assert "stays due" in serve(queue.runtime, Order, order, None, partial(pytest.fail, "it took a thread"))
        assert orders(queue.take()) == []
    read = partial(claim, ledger, Scope, scope)
    assert serve(queue.runtime, Scope, scope, None, read) == "done"
    assert orders(queue.take()) == [order]
    assert serve(queue.runtime, Scope, scope, None, read) == "done"
    assert orders(queue.take()) == [], "once"


def test_a_worker_with_an_older_connections_file_leaves_all_as_it_is(ledger: Ledger, world: World) -> None:
    """Orders and reads of a connection that it does not know stay due, and a message goes to another in time."""
    world.place()
    queue = Queue(ledger)
    read_feed(ledger, queue)
    (order,) = in_turn(ledger)
    with ledger.session() as session:
        scope = session.scalars(select(Scope.id).order_by(Scope.id)).first()
    assert scope
    before = [as_it_stands(ledger, Order, order), as_it_stands(ledger, Scope, scope)]
    older = replace(queue.runtime, connections={})
    assert "stays due" in serve(older, Order, order, None, partial(advance, older, order))
    assert "stays due" in serve(older, Scope, scope, None, partial(observe, older, scope))
    assert [as_it_stands(ledger, Order, order), as_it_stands(ledger, Scope, scope)] == before


def as_it_stands(ledger: Ledger, row: type[Order] | type[Scope], row_id: int) -> tuple[object, ...]:
    """All of a row."""
    with ledger.session() as session:
        return tuple(session.execute(select(*row.__table__.c).where(row.id == row_id)).one())


def test_work_that_fails_gives_its_message_up(ledger: Ledger, world: World) -> None:
    """The row is tried again when it says so, and its connection may have another message in its place."""
    world.place()
    queue = Queue(ledger)
    read_feed(ledger, queue)
    (hint,) = (each for each in queue.take() if each.task != "observe")

    def fail() -> str:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        serve(queue.runtime, Order, hint.row_id, hint.until, fail)
    with ledger.session() as session:
        assert session.get_one(Order, hint.row_id).hinted_until is None


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread without a share is denied at once."""
    monkeypatch.setattr("tasks.shares._MOMENT", 0.0)


@pytest.mark.usefixtures("nobody_waits")
def test_who_holds_no_thread_finds_one_however_many_are_slow() -> None:
    shares = Shares(threads=16, connections=6)
    with ExitStack() as stack:
        granted = [sum(stack.enter_context(shares.thread(slow, is_read=False)) for _ in range(16)) for slow in range(5)]
        assert granted == [8, 4, 1, 1, 1]
        assert stack.enter_context(shares.thread(5, is_read=False))


@pytest.mark.usefixtures("nobody_waits")
def test_many_connections_at_rest_keep_few_threads_free() -> None:
    shares = Shares(threads=16, connections=100)
    with ExitStack() as stack:
        granted = [sum(stack.enter_context(shares.thread(slow, is_read=False)) for _ in range(16)) for slow in range(3)]
        assert granted == [8, 4, 1]


@pytest.mark.usefixtures("nobody_waits")
def test_a_read_of_its_own_passes_a_connections_orders() -> None:
    shares = Shares(threads=8, connections=2)
    with ExitStack() as stack:
        taken = [stack.enter_context(shares.thread(1, is_read=False)) for _ in range(8)]
        assert sum(taken) == 4
        assert stack.enter_context(shares.thread(1, is_read=True))
        assert not stack.enter_context(shares.thread(1, is_read=True))


def test_a_share_is_given_back_however_the_work_ended() -> None:
    shares = Shares(threads=2, connections=2)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            _break_while_holding(shares)
    with shares.thread(1, is_read=False) as first, shares.thread(1, is_read=False) as second:
        assert (first, second) == (True, False)


def _break_while_holding(shares: Shares) -> None:
    with shares.thread(1, is_read=False):
        raise RuntimeError


def test_the_only_connection_takes_all_threads() -> None:
    shares = Shares(threads=8, connections=1)
    with ExitStack() as stack:
        assert all(stack.enter_context(shares.thread(1, is_read=False)) for _ in range(8))


def test_shares_are_counted_right_by_many_threads() -> None:
    shares = Shares(threads=8, connections=2)
    start, hold = threading.Barrier(9), threading.Barrier(9)
    granted: list[bool] = []

    def work() -> None:
        start.wait(10)
        with shares.thread(1, is_read=False) as mine:
            granted.append(mine)
            hold.wait(10)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    start.wait(10)
    hold.wait(10)
    for thread in threads:
        thread.join()
    assert sum(granted) == 4
    with shares.thread(1, is_read=False) as again:
        assert again
