"""What a read costs: as many statements for many records as for few, and no row for what did not change."""

import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, func, select

from models.database import now
from models.states import CHANGED, Feed, OrderState
from models.tables import Order, PurchaseOrder, Scope, UnreadableRecord
from tasks.advance import advance
from tasks.observe import observe, sequence
from tests.plans import Statements, recording
from tests.sync.conftest import Ledger
from tests.world import World

Json = dict[str, Any]

#: Statements of a read, its claim included, however many records its page holds.
_MOST = 25
_MANY, _LARGEST = 100, 1000
#: Statements more that a read of eight records may take than one of one.
_MORE = 2
_KOMET = (Feed.KOMET_PREBOOKS, Feed.KOMET_PURCHASE_ORDERS)


def orders(world: World, numbers: range, version: int) -> None:
    """So many orders of one line, born in Axerrio."""
    lines = [world.line("1", boxes=3 + version)]
    made = [
        world.order() | {"key": f"SO-{n}", "number": f"2026-{n}", "version": version, "lines": lines} for n in numbers
    ]
    world.control("orders", tenant_token=world.axerrio_token, orders=made)


def labels(world: World, numbers: range, version: int) -> None:
    label = {"lineKey": "1", "boxIndex": 1, "boxCount": 1, "state": "printed", "symbology": "code128"}
    made = [
        label | {"labelId": f"L-{n}", "salesOrderKey": f"SO-{n}", "boxCode": f"AX{version}{n:08}", "version": version}
        for n in numbers
    ]
    world.in_axerrio("labels", labels=made)


def shipments(world: World, numbers: range, version: int) -> None:
    made = [
        {
            "key": f"SH-{n}",
            "version": version,
            "shipDate": world.day(version),
            "awb": "729-1234 5675",
            "lines": [{"salesOrderKey": f"SO-{n}", "lineKey": "1", "boxes": 1, "boxCodes": [f"AX1{n:08}"]}],
        }
        for n in numbers
    ]
    world.in_axerrio("shipments", shipments=made)


def articles(world: World, numbers: range, version: int) -> None:
    made = [{"key": f"A-{n}", "code": f"ART{n}", "description": f"Rose {n}, {version}"} for n in numbers]
    world.in_axerrio("articles", articles=made)


def read(ledger: Ledger, feed: Feed, key: str = "") -> Statements:
    """Read a scope now; gives what was sent to the database."""
    with ledger.runtime.sessions.begin() as session:
        scope = session.scalars(select(Scope).where(Scope.feed == feed, Scope.key == key)).one()
        scope.due_at = now(session)
    with recording(ledger.engine) as sent:
        assert observe(ledger.runtime, scope.id) == f"{feed.value} {key}".strip() + " read"
    return sent


@pytest.mark.parametrize(
    ("feed", "make"),
    [(Feed.SALES_ORDERS, orders), (Feed.LABELS, labels), (Feed.SHIPMENTS, shipments), (Feed.ARTICLES, articles)],
)
def test_a_page_of_any_size_is_stored_in_as_many_statements(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch, feed: Feed, make: Callable[..., None]
) -> None:
    """New records and newer versions, of orders that are stored where it is not their own feed."""
    monkeypatch.setattr(sequence, "PAGE", _LARGEST)
    orders(world, range(100, 100 + _MANY), 1)
    read(ledger, Feed.SALES_ORDERS)
    read(ledger, feed)
    for few_or_many in (range(100, 110), range(100, 100 + _MANY)):
        for version in (2, 3):
            make(world, few_or_many, version)
            sent = read(ledger, feed)
            assert sent.count <= _MOST, (version, len(few_or_many), list(sent.values))
    make(world, range(2000, 2000 + _MANY), 1)
    assert read(ledger, feed).count <= _MOST


def test_what_cannot_be_read_of_a_page_is_put_aside_at_once(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "PAGE", _LARGEST)
    broken = [{"raw": {"key": f"SO-{n}", "lines": 7}} for n in range(_MANY)]
    world.control("orders", tenant_token=world.axerrio_token, orders=broken)
    assert read(ledger, Feed.SALES_ORDERS).count <= _MOST
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(UnreadableRecord)) == _MANY


def changes(sent: Statements) -> set[str]:
    """What was written: the verb and the table."""
    verbs = ("INSERT INTO", "UPDATE", "DELETE FROM")
    found = (re.match(rf"({'|'.join(verbs)}) (\w+)", each) for each in sent.values)
    return {each[0] for each in found if each}


def test_new_prebooks_and_purchase_orders_cost_as_many_statements_for_many_as_for_one(
    ledger: Ledger, world: World
) -> None:
    ledger.earn_proof()
    costs: dict[Feed, list[int]] = {feed: [] for feed in _KOMET}
    for count in (1, 8):
        keys = [world.place() for _ in range(count)]
        ledger.pass_time(ledger.timing.poll)
        ledger.feed_and_send()
        costs[Feed.KOMET_PREBOOKS].append(read(ledger, Feed.KOMET_PREBOOKS, CHANGED).count)
        with ledger.session() as session:
            rows = session.scalars(select(Order).where(Order.axerrio_key.in_(keys))).all()
        assert [advance(ledger.runtime, each.id) for each in rows] == ["komet.purchase.order.create done"] * count
        day = rows[0].departure_date.isoformat()
        costs[Feed.KOMET_PURCHASE_ORDERS].append(read(ledger, Feed.KOMET_PURCHASE_ORDERS, day).count)
        ledger.live(60)
        assert {ledger.state(each) for each in keys} == {OrderState.ORDERED}
    # A few that go by the message, and by the line that is new.
    assert all(many <= one + _MORE for one, many in costs.values()), costs


def test_who_works_never_rolls_back(ledger: Ledger, world: World) -> None:
    """At a rollback psycopg has PostgreSQL forget all statements that it prepared on the connection."""
    key = world.place()
    rolled_back: list[str] = []

    def note(_connection: object) -> None:
        callers = [frame.name for frame in traceback.extract_stack() if "/tasks/" in frame.filename]
        rolled_back.extend(callers[-1:])

    event.listen(ledger.engine, "rollback", note)
    try:
        ledger.live(180)
    finally:
        event.remove(ledger.engine, "rollback", note)
    assert ledger.state(key) == OrderState.ORDERED
    assert rolled_back == []


def test_prebooks_and_purchase_orders_that_did_not_change_cost_no_write(ledger: Ledger, world: World) -> None:
    """Beside the look itself, and when the scope is due next."""
    world.place()
    ledger.live(180)
    with ledger.session() as session:
        seen = session.scalars(select(Scope).where(Scope.feed.in_(_KOMET), Scope.last_success_at.is_not(None))).all()
        assert {each.feed for each in seen} == set(_KOMET)
        assert session.scalar(select(func.count()).select_from(PurchaseOrder)) == 1
    for scope in seen:
        read(ledger, scope.feed, scope.key)
        sent = read(ledger, scope.feed, scope.key)
        assert changes(sent) <= {"INSERT INTO observations", "UPDATE scopes", "UPDATE unreadable_records"}, scope.key
