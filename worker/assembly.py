"""Puts a process together: settings become sessions, connections and clients."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis import Redis, RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from clients.axerrio.client import AxerrioClient
from clients.http import OpenGate, Tell, tell_nobody
from clients.komet.client import KometClient
from clients.pacing import Pacer
from models.database import SchemaVersions, make_engine, make_sessions, schema_versions
from tasks.budget import KometGate
from tasks.connection import Connection, ConnectionSettings, register
from tasks.runtime import Hint, Runtime, Timing, send_nothing
from tasks.shares import Lanes, Shares, share_transactions
from worker.connections import load_connections, read_token
from worker.problems import Exit, Problem
from worker.requests import Requests
from worker.settings import ServiceUrls, Settings, resolve_services

#: Seconds that a call to the broker for pacing may take.
_REDIS_TIMEOUT = 2.0
#: Database connections beside one for each thread.
_SPARE_CONNECTIONS = 4


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
    except OperationalError as error:
        raise Problem(_unreachable(engine, error), Exit.FAILED) from None
    if not versions.serves:
        engine.dispose()
        raise Problem(unfit(versions))
    return Ledger(engine, make_sessions(engine))


def unfit(versions: SchemaVersions) -> str:
    """Why this program cannot work on a schema."""
    if versions.current is not None and versions.current > versions.needed:
        return (
            f"The database's schema, of version {versions.current}, serves programs that need {versions.oldest} or "
            f"newer, and this one needs {versions.needed}: install a newer version."
        )
    return (
        f"The database's schema is of version {versions.current or 'none'}, this program needs {versions.needed}: "
        "run `axkomet db upgrade`."
    )


def _unreachable(engine: Engine, error: OperationalError) -> str:
    engine.dispose()
    where = f"{engine.url.host}:{engine.url.port or 5432}"
    return f"PostgreSQL at {where} does not let us in ({first_words(error)})."


def first_words(error: OperationalError) -> str:
    """What PostgreSQL said, without the advice that follows it."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "no answer"


def check_redis(url: str) -> str | None:
    """Why the broker cannot be reached, in a few words; None: it answers."""
    client = Redis.from_url(url, socket_timeout=_REDIS_TIMEOUT, socket_connect_timeout=_REDIS_TIMEOUT)
    try:
        client.ping()
    except RedisError as error:
        return str(error)
    finally:
        client.close()
    return None


def make_runtime(
    settings: Settings,
    urls: ServiceUrls,
    *,
    threads: int,
    send_hints: Callable[[Iterable[Hint]], None] = send_nothing,
    requests: Requests,
) -> Runtime:
    """Everything a worker process works with: connections are read, tokens found, rows made.

    `requests` is told of each call to Komet and Axerrio.

    Raises:
        Problem: the connections file, a token, the database or its schema is not as it must be.
    """
    connections = load_connections(settings.connections)
    tokens = [tokens_of(settings, each) for each in connections]
    ledger = open_ledger(urls.database_url, pool_size=threads + _SPARE_CONNECTIONS)
    with ledger.sessions.begin() as session:
        ids = [register(session, each) for each in connections]
    redis = Redis.from_url(
        urls.redis_url, socket_timeout=_REDIS_TIMEOUT, socket_connect_timeout=_REDIS_TIMEOUT, max_connections=threads
    )
    made = {
        id_: make_connection(id_, each, each_tokens, settings, ledger.sessions, redis, tell=requests.of(id_))
        for id_, each, each_tokens in zip(ids, connections, tokens, strict=True)
    }
    shares = Shares(threads, len(made))
    if len(made) > 1:
        share_transactions(ledger.sessions, shares, Lanes())
    return Runtime(ledger.sessions, made, timing_of(settings), send_hints, shares)


def tokens_of(settings: Settings, connection: ConnectionSettings) -> tuple[str, str]:
    """The tokens of a connection, Komet's and Axerrio's.

    Raises:
        Problem: one cannot be found.
    """
    return (
        read_token(settings.connections, connection.name, "Komet", connection.komet),
        read_token(settings.connections, connection.name, "Axerrio", connection.axerrio),
    )


def make_connection(
    id_: int,
    connection: ConnectionSettings,
    tokens: tuple[str, str],
    settings: Settings,
    sessions: sessionmaker[Session],
    redis: Redis,
    *,
    komet: Callable[..., KometClient] = KometClient,
    tell: Tell = tell_nobody,
) -> Connection:
    """A connection with its two clients; every Komet request passes the company's budget and pace.

    `komet` makes the client for Komet, of what `KometClient` is made of; `tell` is told how each call ended.
    """
    komet_token, axerrio_token = tokens
    timeout = settings.http_timeout_seconds
    pacer = Pacer(redis, f"axkomet:pace:{connection.company}", connection.komet.requests_per_second, "komet")
    gate = KometGate(sessions, pacer, connection.company, connection.komet.daily_requests)
    return Connection(
        id_,
        connection,
        komet(connection.komet, komet_token, timeout=timeout, gate=gate, tell=tell),
        AxerrioClient(connection.axerrio, axerrio_token, timeout=timeout, gate=OpenGate(), tell=tell),
    )


def open_services(settings: Settings) -> tuple[ServiceUrls, Ledger]:
    """For a command that looks at the ledger: find the services and open the database.

    Raises:
        Problem: one is not known, does not answer, or has another schema.
    """
    urls = resolve_services(settings)
    return urls, open_ledger(urls.database_url)
