"""What many threads ask for at once."""

import importlib
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from models.tables import Order, Scope
from tasks import wake


@pytest.fixture
def threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_take_turns_often")
def test_threads_that_ask_first_and_at_once_ask_the_same() -> None:
    """Of a module that was just imported, as in a worker that has just begun."""
    asked: set[tuple[str, ...]] = set()
    for _ in range(60):
        importlib.reload(wake)
        begin = threading.Barrier(6)

        def ask(begin: threading.Barrier = begin) -> None:
            begin.wait()
            rooms = (wake.room_for_hints(row, 1, datetime.now(UTC)) for row in (Order, Scope))
            asked.add(tuple(map(str, rooms)))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(asked) == 1
