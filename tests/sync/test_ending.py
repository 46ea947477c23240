"""A process that is told to end comes to its next safe point, and goes no further."""

import pytest
from sqlalchemy import func, select

from models.tables import Order, Scope
from tasks.advance import advance
from tasks.observe import observe
from tasks.upstreams import tend
from tests.sync.conftest import Ledger
from tests.world import World

DELETES = ("prebook.item.delete", "purchase.order.item.delete")


def calls_of_each_run(ledger: Ledger, world: World, key: str) -> list[int]:
    """Bring an order that is cancelled to its end; gives how many deletes each run of a task sent to Komet."""
    world.place(key=key, status="cancelled")
    calls: list[int] = []
    for _ in range(60):
        ledger.pass_time(10)
        tend(ledger.runtime)
        with ledger.runtime.sessions() as session:
            scopes = session.scalars(select(Scope.id).where(Scope.due_at <= func.axkomet_now())).all()
        for each in scopes:
            observe(ledger.runtime, each)
        with ledger.runtime.sessions() as session:
            rows = session.scalars(select(Order).where(Order.due_at <= func.axkomet_now())).all()
        for row in rows:
            before = sum(map(world.requests, DELETES))
            advance(ledger.runtime, row.id, row.next_task)
            calls.append(sum(map(world.requests, DELETES)) - before)
        if ledger.order(key)["state"] == "cancelled":
            return calls
    raise AssertionError(ledger.order(key))


@pytest.mark.parametrize("is_ending", [False, True])
def test_no_further_call_is_begun(ledger: Ledger, world: World, is_ending: bool) -> None:
    key = ledger.earn_proof()
    if is_ending:
        ledger.runtime.ending.set()
    calls = calls_of_each_run(ledger, world, key)
    assert sum(calls) > 1
    assert (max(calls) == 1) is is_ending
