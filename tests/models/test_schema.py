"""The migrated schema is the tables' own, and the database itself forbids what must never be."""

import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.database import make_engine, make_sessions, now, schema_versions, upgrade
from models.states import FINAL, Kind, OrderState, WriteState
from models.tables import (
    Base,
    Connection,
    Order,
    OrderCount,
    OrderLine,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Write,
    WriteLine,
)
from tasks.housekeeping import add_up
from tasks.wake import lock_orders

#: Everything that a schema holds, as PostgreSQL itself words it.
CATALOGUE = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, is_identity,
           replace(column_default, 'public.', '')
      FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'alembic_version'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
      FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND conrelid <> 0
       AND conrelid::regclass::text NOT LIKE '%alembic_version'
    UNION ALL
    SELECT 'index', tablename, indexname, replace(indexdef, current_schema() || '.', ''), '', '', ''
      FROM pg_indexes WHERE schemaname = current_schema() AND tablename <> 'alembic_version'
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with make_sessions(engine)() as session:
        yield session


def test_alembic_finds_no_difference(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_checks_and_partial_indexes_are_the_same_too(engine: Engine) -> None:
    """Alembic compares neither check constraints nor the conditions of indexes."""
    with engine.connect() as connection:
        migrated = set(connection.execute(text(CATALOGUE)).all())
        connection.execute(text("CREATE SCHEMA made"))
        connection.execute(text("SET search_path TO made, public"))
        Base.metadata.create_all(connection, checkfirst=False)
        made = set(connection.execute(text(CATALOGUE)).all())
    assert len(migrated) > 200
    assert made ^ migrated == set()


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    before = schema_versions(engine)
    upgrade(engine)
    assert schema_versions(engine) == before
    assert before.current == before.needed


# -- what the database forbids ---------------------------------------------------------------------------------


def make_order(session: Session, key: str = "SO-1") -> Order:
    """An order of one line, of a connection that is made for it if there is none."""
    connection = session.scalar(select(Connection)) or Connection(name="miami", joins="MIA|farm1", settings_hash="")
    session.add(connection)
    session.flush()
    order = Order(
        connection_id=connection.id,
        origin="axerrio",
        axerrio_key=key,
        axerrio_number=key,
        version=1,
        sequence=1,
        wanted={},
        departure_date=date(2026, 11, 24),
        truck_date=date(2026, 11, 26),
        next_task="create_prebook",
        lines=[OrderLine(line_key="1", position=0, since_version=1)],
    )
    session.add(order)
    session.flush()
    return order


def make_write(session: Session, order: Order, kind: Kind, state: WriteState = WriteState.SENT) -> Write:
    """A write of the order that covers its line, with whatever its state needs."""
    moment = now(session)
    number = session.scalar(text("SELECT count(*) FROM writes"))
    write = Write(
        order_sequence=1,
        connection_id=order.connection_id,
        order_id=order.id,
        kind=kind,
        state=state,
        body={},
        mark=f"MARK{number:06}" if kind is Kind.PREBOOK_CREATE else None,
        idempotency_key=f"key-{number}",
        sent_at=moment,
        settled_at=None if state.is_open else moment,
        lines=[WriteLine(line_id=order.lines[0].id, kind=kind, is_open=state.is_open)],
    )
    session.add(write)
    session.flush()
    return write


@pytest.mark.parametrize("kind", [Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE])
def test_one_open_write_for_a_line_and_kind(session: Session, kind: Kind) -> None:
    order = make_order(session)
    make_write(session, order, kind, WriteState.ABSENT)
    make_write(session, order, kind, WriteState.INTENDED)
    with pytest.raises(IntegrityError, match="uq_write_lines_open"):
        make_write(session, order, kind, WriteState.SENT)


@pytest.mark.parametrize("kind", [Kind.EXTERNAL_REFERENCES, Kind.PROCUREMENT_STATUS])
def test_one_open_axerrio_write_for_an_order_and_kind(session: Session, kind: Kind) -> None:
    order = make_order(session)
    make_write(session, order, kind, WriteState.DONE)
    first = make_write(session, order, kind, WriteState.INTENDED)
    first.lines[0].is_open = False  # the order's own index must see it, lines or none
    session.flush()
    with pytest.raises(IntegrityError, match="uq_writes_open_axerrio"):
        make_write(session, order, kind, WriteState.SENT)


def prebook(order: Order, write: Write | None, number: str) -> Prebook:
    return Prebook(
        connection_id=order.connection_id,
        order_id=order.id,
        write_id=write and write.id,
        prebook_id=number,
        truck_date=order.truck_date,
        as_of=order.created_at,
    )


def test_one_prebook_for_a_write(session: Session) -> None:
    order = make_order(session)
    write = make_write(session, order, Kind.PREBOOK_CREATE)
    session.add(prebook(order, write, "1"))
    session.flush()
    session.add(prebook(order, write, "2"))
    with pytest.raises(IntegrityError, match="uq_prebooks_write_id"):
        session.flush()


def prebook_item(order: Order) -> list[Any]:
    item = PrebookItem(connection_id=order.connection_id, item_id="881", boxes=4, mapped=True, as_of=order.created_at)
    item.prebook = prebook(order, None, f"of {order.axerrio_key}")
    return [item]


def purchase_order_item(order: Order) -> list[Any]:
    item = PurchaseOrderItem(
        connection_id=order.connection_id, item_id="881", prebook_item_id="1", boxes=4, as_of=order.created_at
    )
    number = f"of {order.axerrio_key}"
    item.purchase_order = PurchaseOrder(
        connection_id=order.connection_id,
        purchase_order_id=number,
        number=number,
        status_text="",
        content_hash="",
        as_of=order.created_at,
    )
    return [item]


@pytest.mark.parametrize("make", [prebook_item, purchase_order_item])
def test_an_item_stands_once_in_a_connection(session: Session, make: Callable[[Order], list[Any]]) -> None:
    session.add_all(make(make_order(session, "SO-1")))
    session.flush()
    session.add_all(make(make_order(session, "SO-2")))
    with pytest.raises(IntegrityError, match="_items_connection_id_item_id"):
        session.flush()


# -- orders at their end are counted ---------------------------------------------------------------------------


def assert_counted(session: Session) -> None:
    """The sums are what going over all orders gives."""
    alike = (Order.connection_id, Order.state)
    there = session.execute(select(*alike, func.count()).where(Order.state.in_(FINAL)).group_by(*alike)).all()
    sums = select(OrderCount.connection_id, OrderCount.state, func.sum(OrderCount.change))
    grouped = session.execute(sums.group_by(OrderCount.connection_id, OrderCount.state)).all()
    assert {tuple(row) for row in there} == {tuple(row) for row in grouped if row[2]}


def test_orders_at_their_end_are_counted_however_they_come_and_go(session: Session) -> None:
    orders = [make_order(session, f"SO-{n}") for n in range(4)]
    assert_counted(session)
    for moves in (["closed", "cancelled", "closed", "held"], ["held", "closed", "closed", "failed"]):
        for order, state in zip(orders, moves, strict=True):
            order.state = OrderState(state)
        session.flush()
        assert_counted(session)
        add_up(session)
        assert_counted(session)
    assert session.scalar(select(func.count()).select_from(OrderCount)) == 1
    session.execute(delete(Order).where(Order.id == orders[2].id))
    assert_counted(session)
    session.execute(delete(Connection))
    assert session.scalar(select(func.count()).select_from(OrderCount)) == 0


# -- locks and the clock ---------------------------------------------------------------------------------------


def test_orders_are_locked_in_one_order_so_that_nobody_deadlocks(engine: Engine) -> None:
    """The second session blocks on the first order, whatever order it names them in, and holds nothing meanwhile."""
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        ids = [make_order(session, key).id for key in ("SO-1", "SO-2")]
    locked = threading.Event()

    def second() -> None:
        with sessions.begin() as other:
            lock_orders(other, list(reversed(ids)))
            locked.set()

    thread = threading.Thread(target=second)
    with sessions.begin() as first:
        lock_orders(first, [ids[0]])
        thread.start()
        wait_until_blocked(engine)
        lock_orders(first, [ids[1]])  # a deadlock if the second had locked it first
        assert not locked.is_set()
    thread.join(5)
    assert locked.is_set()


def wait_until_blocked(engine: Engine) -> None:
    """Until a session of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(500):
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
            connection.execute(text("SELECT pg_sleep(0.01)"))
    raise AssertionError("nobody waits")


def test_the_clock_can_be_shifted(engine: Engine, database_url: str) -> None:
    shifted = make_engine(database_url, options="-c axkomet.clock_offset=90s")
    try:
        with make_sessions(engine)() as here, make_sessions(shifted)() as there:
            difference = now(there) - now(here)
            assert timedelta(seconds=89) < difference < timedelta(seconds=91)
            assert make_order(there).created_at - now(here) > timedelta(seconds=89)
    finally:
        shifted.dispose()
