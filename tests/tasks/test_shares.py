"""The interpreter is shared: transactions take turns by the connection for which their thread works."""

import threading
import time
from collections.abc import Callable

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


def test_next_comes_the_connection_whose_last_turn_is_longest_ago() -> None:
    lanes, told, go_on = Lanes(lanes=1), list[int](), threading.Event()
    busy = [lambda: in_lane(lanes, 1, told, go_on) for _ in range(5)]
    others = [lambda: in_lane(lanes, 2, told, go_on), lambda: in_lane(lanes, 3, told, go_on)]
    threads = together(*busy, *others)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert told == [1, 2, 3, 1, 1, 1, 1]


def test_a_connection_leaves_the_last_free_lane_to_others() -> None:
    lanes, told, go_on = Lanes(lanes=2), list[int](), threading.Event()
    threads = together(*[lambda: in_lane(lanes, 1, told, go_on) for _ in range(3)])
    assert told == [1]
    threads += together(lambda: in_lane(lanes, 2, told))
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
    shares, lanes = Shares(threads=4, connections=2), Lanes(lanes=1)
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
    shares, lanes, told = Shares(threads=4, connections=2), Lanes(lanes=1), list[str]()
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
