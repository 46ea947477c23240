"""When a read is made: at once for an order alone, a moment later where others are at work; and when polls come."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from models.database import now
from models.states import CHANGED, Feed
from models.tables import Scope
from tasks import scopes
from tasks.runtime import Hint, Timing
from tests.sync.conftest import Ledger


def told_while_sending(ledger: Ledger, count: int) -> list[Hint]:
    """Messages for reads while so many new orders are sent, one after the other."""
    told: list[Hint] = []

    def tell(hints: Iterable[Hint]) -> None:
        told.extend(each for each in hints if each.task == "observe")

    for _ in range(count):
        ledger.world.place()
    with ledger.runtime.sessions.begin() as session:  # none of Komet's lists is due
        session.execute(update(Scope).where(Scope.feed == Feed.SALES_ORDERS).values(due_at=now(session)))
    ledger.runtime = replace(ledger.runtime, send_hints=tell)
    ledger.feed_and_send()
    return told


def test_an_order_alone_is_read_for_at_once(ledger: Ledger) -> None:
    ledger.earn_proof()
    assert [each.delay for each in told_while_sending(ledger, 1)] == [0.0]


def test_the_first_of_some_waits_for_the_others(ledger: Ledger) -> None:
    """Their ids come from one list, and one read of it is to serve them all."""
    ledger.earn_proof()
    first, *_ = told_while_sending(ledger, 3)
    assert first.delay == pytest.approx(ledger.timing.coalesce, abs=0.1)


def test_a_read_that_was_asked_for_while_another_ran_is_told(ledger: Ledger) -> None:
    """It served whoever had asked before it began; whoever asked later is not left to the sweep."""
    ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        feed = (Scope.feed == Feed.KOMET_PREBOOKS, Scope.key == CHANGED)
        scope_id = session.scalars(select(Scope.id).where(*feed)).one()
        session.get_one(Scope, scope_id).due_at = now(session)
    with ledger.runtime.sessions.begin() as session:
        claim = scopes.claim(session, scope_id, ledger.timing)
    assert claim is not None
    with ledger.runtime.sessions.begin() as session:
        assert scopes.request(session, [scope_id], ledger.timing) == []
    with ledger.runtime.sessions.begin() as session:
        finished = scopes.finish(session, claim, complete=True, records=0, timing=ledger.timing)
    (hint,) = finished.hints
    assert hint.row_id == scope_id
    assert hint.delay == pytest.approx(ledger.timing.coalesce)


def test_polls_are_a_poll_apart_at_most_and_not_all_at_once() -> None:
    timing = Timing(poll=60, sweep=5)
    later = [timing.between_polls() for _ in range(1000)]
    assert 50 <= min(later) < 52 < 58 < max(later) <= 60
    first = [timing.between_polls(first=True) for _ in range(1000)]
    assert 0 <= min(first) < 5
    assert 50 < max(first) <= 60
    assert min(Timing(poll=1, sweep=5).between_polls() for _ in range(1000)) >= 0.5
