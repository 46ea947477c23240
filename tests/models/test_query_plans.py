"""No statement goes over the whole of a table that grows: each is explained on a ledger with orders of a year."""

from datetime import date
from typing import Any

import pytest

from models.database import now
from models.states import HoldCode, Kind, OrderState
from tasks import hold as holds
from tasks import proofs, upstreams
from tasks.connection import register
from tasks.housekeeping import housekeeping
from tasks.mapping import Wanted, list_mappings, set_mappings
from tasks.polling import poll
from tasks.sweep import sweep
from tasks.wake import wake_those_that_wait_for
from tests.plans import recording, whole_scans
from tests.stock import make_samples, stock
from tests.sync.conftest import Ledger, make_ledger
from tests.world import World
from worker.desk import OrderFilter, find_names, find_order, find_orders, find_row
from worker.preview import preview
from worker.status import status
from worker.today import turns, unsafe_today

__all__ = ["make_ledger"]

Json = dict[str, Any]

#: Read as a whole, and why: by a part of the statement.
_MAY = {
    "SELECT id, state FROM orders": "the test's own",
    "SELECT min(orders.due_at)": "the test's own",
    "SELECT min(scopes.due_at)": "the test's own",
    # Orders that are open wait, and a person asks.
    "EXISTS (SELECT waits.scope_id": "waits",
    # They alone lead to the orders at their end that still look for something.
    "IN (SELECT waits.order_id": "waits",
}


@pytest.fixture
def ledger(make_ledger: Any) -> Ledger:
    """With the usual settings."""
    made: Ledger = make_ledger()
    return made


@pytest.mark.thorough
def test_no_statement_goes_over_the_whole_of_a_table_that_grows(ledger: Ledger, world: World) -> None:
    """Those of the whole life of orders of each kind, of the worker's periodic work, and of the commands."""
    (connection,) = ledger.runtime.connections.values()
    with recording(ledger.engine) as sent:
        samples = make_samples(ledger, world, standing=1)
        sweep(ledger.runtime)
        housekeeping(ledger.runtime)
        proofs.wake_in_doubt(ledger.runtime, connection)
        wake_those_that_wait_for(ledger.runtime, connection, ["RFREE50"])
        upstreams.go_on(ledger.runtime, connection, [Kind.PREBOOK_CREATE.value])
        with ledger.session() as session:
            _look(session, ledger)
        with ledger.runtime.sessions.begin() as session:
            row = find_row(session, f"id:{samples.open[0]}")
            assert row is not None
            preview(session, connection, row, ledger.timing)
            session.rollback()
        with ledger.runtime.sessions.begin() as session:
            register(session, ledger.settings.model_copy(update={"change_guard": 7}))
            poll(session, connection.id, None)
            session.rollback()
        set_mappings(ledger.runtime.sessions, [Wanted(connection.id, "NEW1", "X", None)], "Ann")
    stock(ledger, samples, 1000, 20)
    found = {(how, said) for said, how in whole_scans(ledger.engine, sent) if not any(each in said for each in _MAY)}
    assert found == set()


def _look(session: Any, ledger: Ledger) -> None:
    """What people and monitoring ask."""
    for key in ("2026-1", "axerrio:SO-1", "prebook:1", "po:1", "box:AX1", "awb:1", "id:1"):
        find_order(session, key)
    today: date = now(session).date()
    for wanted in (
        OrderFilter(limit=20),
        OrderFilter(limit=20, connection="miami"),
        OrderFilter(limit=20, origin="komet"),
        OrderFilter(states=[OrderState.HELD]),
        OrderFilter(states=[OrderState.HELD, OrderState.FAILED], limit=10),
        OrderFilter(reason=HoldCode.IN_DOUBT.value),
        OrderFilter(since=now(session)),
        OrderFilter(departing=today),
    ):
        find_orders(session, wanted)
        find_names(session, wanted)
    status(session, [ledger.settings], ledger.timing)
    turns(session)
    unsafe_today(session)
    list_mappings(session, None, missing=True)
    for code in (HoldCode.BY_HAND, HoldCode.OVER_LIMIT):
        holds.held_orders(session, code)
