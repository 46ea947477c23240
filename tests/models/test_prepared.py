"""Statements that are compiled once: what they are given and what they bring back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple

import pytest
from sqlalchemy import BigInteger, Text, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.database import make_engine, make_sessions, now
from models.prepared import Prepared, Rows, Together, parameter
from models.states import Feed, OrderState
from models.tables import Connection, Order, Scope

_NAME = parameter("name", Text())


class Head(NamedTuple):
    """A few columns of an order."""

    name: str
    state: OrderState
    departure_date: date
    version_at: datetime
    due_at: datetime | None
    wanted: dict[str, object]


ORDERS = Rows(
    Head,
    select(Connection.name, Order.state, Order.departure_date, Order.version_at, Order.due_at, Order.wanted)
    .join_from(Order, Connection, Order.connection_id == Connection.id)
    .where(Connection.name == _NAME, Order.state.in_([OrderState.RECEIVED, OrderState.HELD]))
    .order_by(Order.version.desc()),
)
SCOPES = Rows(Scope, select(*Scope.__table__.c).join(Connection).where(Connection.name == _NAME).order_by(Scope.key))


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A transaction with a connection of two orders and two scopes in it, none of it written yet."""
    engine = make_engine(database_url)
    with make_sessions(engine)() as session:
        connection = Connection(name="miami", joins="a|b", settings_hash="")
        session.add(connection)
        session.flush()
        moment = datetime(2026, 11, 27, 8, 0, 0, 123456, UTC)
        for version in (1, 2):
            session.add(
                Order(
                    connection_id=connection.id,
                    origin="axerrio",
                    axerrio_key=str(version),
                    version=version,
                    sequence=version,
                    wanted={"price": "0.10", "lines": [version, None]},
                    departure_date=date(2026, 12, version),
                    truck_date=date(2026, 12, 3),
                    version_at=moment,
                    next_task="create_prebook",
                )
            )
        session.add_all(Scope(connection_id=connection.id, feed=Feed.KOMET_PREBOOKS, key=key) for key in ("b", "a"))
        yield session
    engine.dispose()


def test_rows_come_back_as_they_are(session: Session) -> None:
    """By the types of their columns, in their order, and what was not written yet is among them."""
    found = Together(ORDERS, SCOPES).read(session, name="miami")
    moment = datetime(2026, 11, 27, 8, 0, 0, 123456, UTC)
    assert found[ORDERS] == [
        Head("miami", OrderState.RECEIVED, date(2026, 12, n), moment, None, {"price": "0.10", "lines": [n, None]})
        for n in (2, 1)
    ]
    assert found[ORDERS][0].state is OrderState.RECEIVED
    scopes = found[SCOPES]
    assert [(scope.key, scope.feed) for scope in scopes] == [("a", Feed.KOMET_PREBOOKS), ("b", Feed.KOMET_PREBOOKS)]
    scopes[0].key = "changed"
    session.flush()
    assert Together(SCOPES).read(session, name="miami")[SCOPES][0].key == "a", "a copy, which belongs to no session"


def test_nothing_found_is_an_empty_list(session: Session) -> None:
    found = Together(ORDERS, SCOPES).read(session, name="quito")
    assert (found[ORDERS], found[SCOPES]) == ([], [])


def test_the_time_is_learned_with_it(session: Session) -> None:
    session.connection().exec_driver_sql("SET LOCAL axkomet.clock_offset = '3600s'")
    before = datetime.now(UTC)
    Together(SCOPES).read(session, name="miami")
    session.connection().exec_driver_sql("SET LOCAL axkomet.clock_offset = '0s'")
    assert (now(session) - before).total_seconds() == pytest.approx(3600, abs=30), "it was not asked for again"


def test_what_is_not_given_is_an_error_and_not_a_null(session: Session) -> None:
    rename = Prepared(
        update(Connection).where(Connection.id == parameter("id", BigInteger())).values(settings_hash=_NAME)
    )
    with pytest.raises(SQLAlchemyError, match="name"):
        rename.run(session, id=1)
