"""The interpreter is shared: transactions take turns by the connection for which their thread works."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from tasks.shares import Lanes, Shares, share_transactions


def together(*works: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
        time.sleep(0.02)  # they come in this order
    return threads


def in_lane(lanes: Lanes, connection_id: int, told: list[int], go_on: threading.Event | None = None) -> None:
    lanes.enter(connection_id)
    told.append(connection_id)
    if go_on is not None:
        go_on.wait(10)
    lanes.leave(connection_id)


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def works(lanes: Lanes, clock: Clock, connection_id: int, seconds: float) -> None:
    lanes.enter(connection_id)
    clock.now += seconds
    lanes.leave(connection_id)


def test_next_comes_the_connection_that_worked_least_of_late() -> None:
    clock, told, go_on = Clock(), list[int](), threading.Event()
    lanes = Lanes(1, clock)
    for connection_id, seconds in ((1, 3.0), (2, 2.0), (3, 1.0)):
        works(lanes, clock, connection_id, seconds)
    lanes.enter(9)
    threads = together(*[partial(in_lane, lanes, each, told, go_on) for each in (1, 1, 2, 3)])
    go_on.set()
    lanes.leave(9)
    for thread in threads:
        thread.join(10)
    assert told == [3, 2, 1, 1]


def test_what_was_done_long_ago_counts_no_more() -> None:
    clock, told, go_on = Clock(), list[int](), threading.Event()
    lanes = Lanes(1, clock)
    works(lanes, clock, 1, 5.0)
    clock.now += 100
    works(lanes, clock, 2, 1.0)
    lanes.enter(9)
    threads = together(*[partial(in_lane, lanes, each, told, go_on) for each in (2, 1)])
    go_on.set()
    lanes.leave(9)
    for thread in threads:
        thread.join(10)
    assert told == [1, 2]


def test_who_worked_much_goes_beside_nobody_who_did_not() -> None:
    clock, told = Clock(), list[int]()
    lanes = Lanes(2, clock)
    works(lanes, clock, 1, 5.0)
    lanes.enter(2)
    (busy,) = together(partial(in_lane, lanes, 1, told))
    (other,) = together(partial(in_lane, lanes, 3, told))
    other.join(10)
    assert told == [3], "a third goes beside the second at once"
    lanes.leave(2)
    busy.join(10)
    assert told == [3, 1]


def test_a_connection_leaves_the_last_free_lane_to_others() -> None:
    lanes, told, go_on = Lanes(2, Clock()), list[int](), threading.Event()
    threads = together(*[partial(in_lane, lanes, 1, told, go_on) for _ in range(3)])
    assert told == [1]
    threads += together(partial(in_lane, lanes, 2, told))
    threads[-1].join(10)
    assert told == [1, 2], "it goes by the two that wait"
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert told == [1, 2, 1, 1]


@pytest.fixture
def sessions() -> sessionmaker[Session]:
    return sessionmaker(create_engine("sqlite://"))


def test_a_transaction_gives_its_turn_back_however_it_ended(sessions: sessionmaker[Session]) -> None:
    shares, lanes = Shares(threads=4, connections=2), Lanes(1)
    share_transactions(sessions, shares, lanes)
    with shares.thread(1, is_read=False):
        for _ in range(3):
            with pytest.raises(OperationalError), sessions.begin() as session:
                session.execute(text("SELECT nothing"))
            with sessions() as session:
                session.execute(text("SELECT 1"))
            with sessions.begin() as session, session.begin_nested(), sessions.begin() as inner:
                inner.execute(text("SELECT 1"))
    told: list[int] = []
    (other,) = together(lambda: in_lane(lanes, 2, told))
    other.join(10)
    assert told == [2]


def test_a_transaction_waits_for_its_turn(sessions: sessionmaker[Session]) -> None:
    shares, lanes, told = Shares(threads=4, connections=2), Lanes(1), list[str]()
    share_transactions(sessions, shares, lanes)

    def work() -> None:
        with shares.thread(1, is_read=False), sessions.begin():
            told.append("worked")

    lanes.enter(2)
    (thread,) = together(work)
    assert told == []
    lanes.leave(2)
    thread.join(10)
    assert told == ["worked"]
    assert shares.whose is None


def test_who_finds_the_share_used_up_gets_what_comes_free_in_a_moment() -> None:
    shares, told = Shares(threads=8, connections=2), list[bool]()

    def ask() -> None:
        with shares.thread(1, is_read=False) as granted:
            told.append(granted)

    with ExitStack() as held:
        for _ in range(3):
            assert held.enter_context(shares.thread(1, is_read=False))
        with shares.thread(1, is_read=False) as fourth:
            assert fourth
            (thread,) = together(ask)
            assert told == [], "four of eight are its share"
        thread.join(10)
        assert told == [True]
        assert held.enter_context(shares.thread(1, is_read=False))
        began = time.monotonic()
        ask()
        assert told == [True, False]
        assert time.monotonic() - began < 5, "and nobody waits for long"
