"""What every process and command begins with: times, tokens, the services, and the ledger that is reached."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis, RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from models.database import SchemaVersions, make_engine, make_sessions, schema_versions
from tasks.connection import ConnectionSettings, JoinsOthersError, register_all, row_of
from tasks.runtime import Timing
from worker.connections import read_token
from worker.problems import Exit, Problem
from worker.settings import ServiceUrls, Settings, resolve_services

#: Seconds that a call to the broker may take, where it is no message.
REDIS_TIMEOUT = 2.0


def timing_of(settings: Settings) -> Timing:
    """The times that the rules need."""
    return Timing(
        poll=settings.poll_seconds,
        sweep=settings.sweep_seconds,
        retry_base=settings.retry_base_seconds,
        retry_max=settings.retry_max_seconds,
        max_attempts=settings.max_attempts,
        http_timeout=settings.http_timeout_seconds,
        grace=settings.in_doubt_grace_seconds,
        retention_days=settings.retention_days,
    )


@dataclass(frozen=True)
class Ledger:
    """The database, reached, with a schema that serves this version."""

    engine: Engine
    sessions: sessionmaker[Session]


def open_ledger(database_url: str, *, pool_size: int = 5) -> Ledger:
    """Reach the database and check its schema.

    Raises:
        Problem: it does not answer, or its schema does not serve this version.
    """
    engine = make_engine(database_url, pool_size=pool_size)
    try:
        versions = schema_versions(engine)
    except DBAPIError as error:
        engine.dispose()
        raise (unusable(error) or Problem(_unreachable(engine, error), Exit.FAILED)) from None
    if not versions.serves:
        engine.dispose()
        raise Problem(unfit(versions))
    return Ledger(engine, make_sessions(engine))


def register_connections(ledger: Ledger, connections: Sequence[ConnectionSettings]) -> list[int]:
    """The ids of the connections' rows, which are made where there are none.

    Raises:
        Problem: a connection of this name joined another company or tenant until now.
    """
    try:
        with ledger.sessions.begin() as session:
            return register_all(session, connections)
    except JoinsOthersError as error:
        raise _taken(error) from None


def id_of_connection(ledger: Ledger, connection: ConnectionSettings) -> int | None:
    """The id of a connection's row, which is not made: that is the workers' part; None: there is none yet.

    Raises:
        Problem: a connection of this name joined another company or tenant until now.
    """
    try:
        with ledger.sessions() as session:
            row = row_of(session, connection)
            return row.id if row is not None else None
    except JoinsOthersError as error:
        raise _taken(error) from None


def _taken(error: JoinsOthersError) -> Problem:
    return Problem(f"The connections file cannot be taken up: {error}.")


def unfit(versions: SchemaVersions) -> str:
    """Why this program cannot work on a schema."""
    if not versions.is_ours:
        return (
            f"The database is no ledger of axkomet: another program made its schema, of version {versions.current}. "
            "Name an empty database in AXKOMET_DATABASE_URL."
        )
    if versions.current is not None and versions.current > versions.needed:
        return (
            f"The database's schema, of version {versions.current}, serves programs that need {versions.oldest} or "
            f"newer, and this one needs {versions.needed}: install a newer version."
        )
    return (
        f"The database's schema is of version {versions.current or 'none'}, this program needs {versions.needed}: "
        "run `axkomet db upgrade`."
    )


def _unreachable(engine: Engine, error: DBAPIError) -> str:
    return f"PostgreSQL at {place_of(engine)} does not let us in ({first_words(error)})."


def untold(engine: Engine, error: SQLAlchemyError) -> str:
    """What is said of a database that let us in, and then did not tell how the whole is."""
    said = first_words(error) if isinstance(error, DBAPIError) else error
    return f"PostgreSQL at {place_of(engine)} let us in and gave no answer ({said})."


def unusable(error: DBAPIError) -> Problem | None:
    """The URL asks the driver for what it does not know, who said so before a word went out; None: it is not that."""
    if not isinstance(error, ProgrammingError) or getattr(error.orig, "sqlstate", None) is not None:
        return None
    return Problem(f"AXKOMET_DATABASE_URL cannot be used ({first_words(error)}).")


def place_of(engine: Engine) -> str:
    """Where the database is, for people."""
    host = engine.url.host or engine.url.query.get("host")
    return f"{host}:{engine.url.port or 5432}" if host else "the local socket"


def first_words(error: DBAPIError) -> str:
    """What PostgreSQL said, without the advice that follows it."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "no answer"


def check_redis(url: str) -> str | None:
    """Why the broker cannot be reached, in a few words; None: it answers."""
    try:
        with Redis.from_url(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT) as client:
            client.ping()
    except (RedisError, ValueError, TypeError) as error:  # the latter two: of what the URL asks for
        return str(error)
    return None


def tokens_of(settings: Settings, connection: ConnectionSettings) -> tuple[str, str]:
    """The tokens of a connection, Komet's and Axerrio's.

    Raises:
        Problem: one cannot be found.
    """
    return (
        read_token(settings.connections, connection.name, "Komet", connection.komet),
        read_token(settings.connections, connection.name, "Axerrio", connection.axerrio),
    )


def open_services(settings: Settings) -> tuple[ServiceUrls, Ledger]:
    """For a command that looks at the ledger: find the services and open the database.

    Raises:
        Problem: one is not known, does not answer, or has another schema.
    """
    urls = resolve_services(settings)
    return urls, open_ledger(urls.database_url)
