"""Statements that are compiled once, and several queries in one of them, answered with one array of JSON.

A statement costs a worker more than a small query costs PostgreSQL: a round trip, and what SQLAlchemy does to build it,
look it up and unpack its answer. What is asked for each decision is therefore asked together, and what is run for each
message or call is compiled once (`docs/decisions/0012-statements-that-are-run-often.md`).
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    CursorResult,
    Date,
    DateTime,
    Numeric,
    Select,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from models.database import CLOCK, tell_time

Record = TypeVar("Record")
_ROWS = "rows"
#: The value of what is given when a statement is run.
_GIVEN = object()


def parameter(name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
    """What a query asks by, and is given when it is asked."""
    return bindparam(name, _GIVEN, type_=type_)


class Rows(Generic[Record]):
    """One of several queries that are asked together.

    Args:
        make: makes a record of a row, whose columns it takes by name: a table's class, or a named tuple. Of a table's
            class it is a copy that belongs to no session: what is changed of it is not stored.
        query: its order is kept.
    """

    def __init__(self, make: Callable[..., Record], query: Select[*tuple[Any, ...]]) -> None:
        self._make = make
        self.query = query.subquery(_ROWS)
        read = {name: _from_json(column.type) for name, column in self.query.c.items()}
        self._read = [(name, each) for name, each in read.items() if each is not None]

    def records(self, rows: list[dict[str, Any]]) -> list[Record]:
        """The records of rows as JSON."""
        for row in rows:
            for name, read in self._read:
                if row[name] is not None:
                    row[name] = read(row[name])
        return [self._make(**row) for row in rows]


class Number(NamedTuple):
    """A row of one number."""

    value: int


class Found:
    """What was found, by query."""

    def __init__(self, found: Mapping[Rows[Any], list[dict[str, Any]]]) -> None:
        self._found = found

    def __getitem__(self, rows: Rows[Record]) -> list[Record]:
        """The records of a query; once for each call, since each is made anew."""
        return rows.records([dict(each) for each in self._found[rows]])

    def number(self, rows: Rows[Number]) -> int:
        """The number for which a query asked."""
        (found,) = self._found[rows]
        return int(found["value"])


class Prepared:
    """A statement over tables, whose parameters are bound by name. What it returns is as the driver reads it."""

    def __init__(self, statement: ClauseElement) -> None:
        # Compiled here, before there are threads: see `tasks.wake`.
        compiled = statement.compile(
            dialect=PGDialect_psycopg(),  # type: ignore[no-untyped-call]
            compile_kwargs={"render_postcompile": True},
        )
        self._text = str(compiled)
        #: The values that stand in the statement itself.
        self._constants = {
            name: value.value if isinstance(value, Enum) else value
            for name, value in compiled.params.items()
            if value is not _GIVEN
        }

    def run(self, session: Session, **values: object) -> CursorResult[*tuple[Any, ...]]:
        """Run it in the session's transaction; what the session holds unwritten is written first, as for any query."""
        if session.autoflush:
            session.flush()
        return session.connection().exec_driver_sql(self._text, self._constants | values)


class Together:
    """Queries that are asked together; their parameters are bound by name."""

    def __init__(self, *queries: Rows[Any]) -> None:
        self._queries = queries
        arrays = [
            select(func.coalesce(func.json_agg(literal_column(_ROWS)), literal_column("'[]'::json")))
            .select_from(each.query)
            .scalar_subquery()
            for each in queries
        ]
        self._prepared = Prepared(select(func.json_build_array(*arrays), CLOCK))

    def read(self, session: Session, **values: object) -> Found:
        """Ask, and learn what time it is; what the session holds unwritten is written first, as for any query.

        Args:
            session: in its transaction.
            values: of the parameters.
        """
        found, moment = self._prepared.run(session, **values).one()
        tell_time(session, moment)
        return Found(dict(zip(self._queries, found, strict=True)))


def _from_json(type_: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """How a value is read back from JSON; None: it is as it should be."""
    if isinstance(type_, DateTime):
        return datetime.fromisoformat
    if isinstance(type_, Date):
        return date.fromisoformat
    if isinstance(type_, EnumType):
        return type_.enum_class
    return (lambda value: Decimal(str(value))) if isinstance(type_, Numeric) and type_.asdecimal else None
