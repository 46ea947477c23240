"""When a read is made: at once for an order alone, a moment later where others are at work; and when polls come."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

import tasks.settle
from models.database import now
from models.states import CHANGED, WINDOW, Feed
from models.tables import PrebookItem, Scope, Wait
from tasks import scopes
from tasks.advance import advance
from tasks.observe import observe
from tasks.runtime import Hint, Timing
from tests.sync.conftest import Ledger


def told_while_sending(ledger: Ledger, count: int) -> list[Hint]:
    """Messages for reads of Komet while so many new orders are sent, one after the other."""
    told: list[Hint] = []

    def tell(hints: Iterable[Hint]) -> None:
        told.extend(each for each in hints if each.words.startswith("komet"))

    ledger.runtime = replace(ledger.runtime, send_hints=tell)
    sell(ledger, count)
    return told


def sell(ledger: Ledger, count: int = 1) -> str:
    """New orders, read and sent while none of Komet's lists is due; gives the key of the last."""
    key = [ledger.world.place() for _ in range(count)][-1]
    with ledger.runtime.sessions.begin() as session:
        session.execute(update(Scope).where(Scope.feed == Feed.SALES_ORDERS).values(due_at=now(session)))
    ledger.feed_and_send()
    return key


def test_an_order_alone_is_read_for_at_once(ledger: Ledger) -> None:
    ledger.earn_proof()
    assert [each.delay for each in told_while_sending(ledger, 1)] == [0.0]


def test_the_first_of_some_waits_for_the_others(ledger: Ledger) -> None:
    """Their ids come from one list, and one read of it is to serve them all: it comes with the last of them."""
    ledger.earn_proof()
    coalesce = ledger.timing.coalesce
    delays = [each.delay for each in told_while_sending(ledger, 5)]
    assert delays == pytest.approx([3 * coalesce, 2 * coalesce, coalesce, 0], abs=0.1)


def begin_to_read(ledger: Ledger, feed: Feed = Feed.KOMET_PREBOOKS, key: str = CHANGED) -> scopes.Claim:
    """A read runs from here on, by default of what changed among Komet's prebooks."""
    ledger.earn_proof()
    with ledger.runtime.sessions.begin() as session:
        scope = session.scalars(select(Scope).where(Scope.feed == feed, Scope.key == key)).one()
        scope.due_at = now(session)
    with ledger.runtime.sessions.begin() as session:
        claim = scopes.claim(session, scope.id, ledger.timing)
    assert claim is not None
    return claim


@pytest.mark.parametrize("within", [1.0, 0.0])
def test_a_read_that_was_asked_for_while_another_ran_is_told(ledger: Ledger, within: float) -> None:
    """It served whoever had asked before it began; whoever asked later is not left to the sweep."""
    claim = begin_to_read(ledger)
    with ledger.runtime.sessions.begin() as session:
        assert scopes.request(session, [claim.scope_id], ledger.timing, within=within) == []
    with ledger.runtime.sessions.begin() as session:
        finished = scopes.finish(session, claim, complete=True, records=0, timing=ledger.timing)
    (hint,) = finished.hints
    assert hint.row_id == claim.scope_id
    assert hint.delay == pytest.approx(within, abs=0.1)


def test_who_asks_for_less_while_a_read_runs_delays_nobody(ledger: Ledger) -> None:
    """Of two that ask meanwhile, one can wait for long: the other is served as if he were alone."""
    claim = begin_to_read(ledger)
    for after in (0.0, 500.0):
        with ledger.runtime.sessions.begin() as session:
            scopes.request(session, [claim.scope_id], ledger.timing, {claim.scope_id: after}, within=0)
    with ledger.runtime.sessions.begin() as session:
        (hint,) = scopes.finish(session, claim, complete=True, records=0, timing=ledger.timing).hints
    assert hint.delay == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("feed", "key", "seconds"), [(Feed.KOMET_PREBOOKS, WINDOW, 60.0), (Feed.KOMET_REFERENCE, "", 7200.0)]
)
def test_a_look_that_was_expected_while_a_read_ran_comes_when_it_was(
    ledger: Ledger, feed: Feed, key: str, seconds: float
) -> None:
    """Not when the feed would be read anyhow, and not when the lease of the read would have ended."""
    claim = begin_to_read(ledger, feed, key)
    for _ in range(2):
        with ledger.runtime.sessions.begin() as session:
            scopes.expect(session, claim.connection_id, feed, key, seconds)
    with ledger.runtime.sessions.begin() as session:
        assert scopes.finish(session, claim, complete=True, records=0, timing=ledger.timing).hints == []
        assert due_in(session, claim) == pytest.approx(seconds, abs=1)
    with ledger.runtime.sessions.begin() as session:
        session.get_one(Scope, claim.scope_id).due_at = now(session)
    with ledger.runtime.sessions.begin() as session:
        again = scopes.claim(session, claim.scope_id, ledger.timing)
        assert again is not None
        scopes.finish(session, again, complete=True, records=0, timing=ledger.timing)
        assert due_in(session, claim) > 2 * seconds, "one look was expected"


def test_whoever_asks_for_a_read_is_not_put_off_by_what_is_expected(ledger: Ledger) -> None:
    claim = begin_to_read(ledger)
    with ledger.runtime.sessions.begin() as session:
        scopes.request(session, [claim.scope_id], ledger.timing, within=0)
    with ledger.runtime.sessions.begin() as session:
        scopes.expect(session, claim.connection_id, claim.feed, claim.key, 7200.0)
    with ledger.runtime.sessions.begin() as session:
        (hint,) = scopes.finish(session, claim, complete=True, records=0, timing=ledger.timing).hints
    assert hint.delay == pytest.approx(0, abs=0.1)


def due_in(session: Session, claim: scopes.Claim) -> float:
    """Seconds until the scope is due."""
    due_at = session.get_one(Scope, claim.scope_id).due_at
    assert due_at is not None
    return (due_at - now(session)).total_seconds()


def test_polls_are_a_poll_apart_at_most_and_not_all_at_once() -> None:
    timing = Timing(poll=60, sweep=5)
    later = [timing.between_polls() for _ in range(1000)]
    assert 45 <= min(later) < 47 < 58 < max(later) <= 60
    first = [timing.between_polls(first=True) for _ in range(1000)]
    assert 0 <= min(first) < 5
    assert 45 < max(first) <= 60
    assert min(Timing(poll=1, sweep=5).between_polls() for _ in range(1000)) >= 0.5


def read_changed(ledger: Ledger) -> None:
    """Read what changed among Komet's prebooks, now."""
    with ledger.runtime.sessions.begin() as session:
        feed = (Scope.feed == Feed.KOMET_PREBOOKS, Scope.key == CHANGED)
        scope = session.scalars(select(Scope).where(*feed)).one()
        scope.due_at = now(session)
    assert observe(ledger.runtime, scope.id) == "komet-prebooks changed read"


def test_a_read_that_is_quicker_than_the_answer_makes_nothing_unknown(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prebook is ours all the same, and nobody need look whether a person covered it first."""
    ledger.earn_proof()
    settle = tasks.settle._settle_done

    touched = []

    def late(*call: Any, decides: bool) -> Any:
        read_changed(ledger)
        with ledger.session() as session:
            touched.append(any(session.scalars(select(PrebookItem.touched))))
        return settle(*call, decides=decides)

    monkeypatch.setattr("tasks.settle._settle_done", late)
    sell(ledger)
    with ledger.session() as session:
        touched.append(any(session.scalars(select(PrebookItem.touched))))
    assert (touched[0], touched[-1]) == (True, False)


def test_what_is_waited_for_after_a_write_is_another_look(ledger: Ledger) -> None:
    """The order waited for a look at purchase orders, and made one after it: that is not left to the next poll."""
    ledger.earn_proof()
    key = sell(ledger)
    read_changed(ledger)
    with ledger.runtime.sessions.begin() as session:  # as if a person might have covered it
        session.execute(update(PrebookItem).values(touched=True))
    order_id = ledger.order(key)["id"]
    assert advance(ledger.runtime, order_id) == "axerrio.external-references done"
    with ledger.session() as session:
        feed = Scope.feed == Feed.KOMET_PURCHASE_ORDERS
        scope_id = session.scalars(select(Wait.scope_id).join(Scope).where(Wait.order_id == order_id, feed)).one()
    due_in = select(func.extract("epoch", Scope.due_at - func.axkomet_now())).where(Scope.id == scope_id)
    assert observe(ledger.runtime, scope_id).endswith(" read")
    with ledger.session() as session:
        assert (session.scalar(due_in) or 0) > ledger.timing.poll / 2
    assert advance(ledger.runtime, order_id) == "komet.purchase.order.create done"
    with ledger.session() as session:
        assert (session.scalar(due_in) or 0) < 9
