"""Requests are told in a line each, without anything secret, and counted in the ledger, however many workers."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from clients.http import Ended
from models.database import make_engine, make_sessions
from models.tables import RequestCount
from tasks.connection import register
from tests.world import World
from worker.requests import Requests

READ = Ended("komet", "prebook.details.list", False, "done", 200, 0.25)
WRITE = Ended("axerrio", "external-references.put", True, "done", 200, 0.5)
REFUSED = Ended("komet", "prebook.details.list", False, "refused", 200, 1.0)
NOT_SENT = Ended("komet", "prebook.create", True, "not_sent", None, 0.0)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def connection_id(engine: Engine, world: World) -> int:
    with make_sessions(engine).begin() as session:
        return register(session, world.connection())


def counts(sessions: sessionmaker[Session]) -> dict[tuple[str, str], tuple[int, float]]:
    with sessions() as session:
        return {
            (each.method, each.outcome): (each.count, each.seconds) for each in session.scalars(select(RequestCount))
        }


def test_a_read_that_went_well_is_told_to_those_alone_who_look_for_it() -> None:
    told: list[Any]
    with capture_logs() as told:
        for ended in (READ, WRITE, REFUSED, NOT_SENT):
            Requests().of(1)(ended)
    assert [each.pop("log_level") for each in told] == ["debug", "info", "info", "info"]
    assert told[1] == {
        "event": "request",
        "system": "axerrio",
        "method": "external-references.put",
        "outcome": "done",
        "status": 200,
        "duration_ms": 500.0,
    }
    assert told[3]["status"] is None


def test_the_ledger_counts_those_of_all_workers(engine: Engine, connection_id: int) -> None:
    sessions = make_sessions(engine)
    one, other = Requests(), Requests()
    for requests in (one, other):
        for ended in (READ, READ, REFUSED):
            requests.of(connection_id)(ended)
        requests.note(sessions)
        requests.note(sessions)
    one.of(connection_id)(WRITE)
    one.note(sessions)
    assert counts(sessions) == {
        ("komet.prebook.details.list", "done"): (4, 1.0),
        ("komet.prebook.details.list", "refused"): (2, 2.0),
        ("axerrio.external-references.put", "done"): (1, 0.5),
    }


def test_what_could_not_be_noted_is_noted_later(engine: Engine, connection_id: int) -> None:
    sessions, requests = make_sessions(engine), Requests()
    requests.of(connection_id)(READ)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE request_counts RENAME TO elsewhere"))
    try:
        with pytest.raises(SQLAlchemyError):
            requests.note(sessions)
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO request_counts"))
    requests.of(connection_id)(READ)
    requests.note(sessions)
    assert counts(sessions) == {("komet.prebook.details.list", "done"): (2, 0.5)}
