"""Puts a worker together: settings become connections with their clients, and a runtime."""

from collections.abc import Callable, Iterable

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from clients.axerrio.client import AxerrioClient
from clients.http import OpenGate, Tell, tell_nobody
from clients.komet.client import KometClient
from clients.pacing import Pacer
from tasks.budget import KometGate
from tasks.connection import Connection, ConnectionSettings
from tasks.runtime import Hint, Runtime, send_nothing
from tasks.shares import Lanes, Shares, share_transactions
from worker.assembly import REDIS_TIMEOUT, open_ledger, register_connections, timing_of, tokens_of
from worker.connections import load_connections
from worker.requests import Requests
from worker.settings import ServiceUrls, Settings

#: Database connections beside one for each thread.
_SPARE_CONNECTIONS = 4


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
    ids = register_connections(ledger, connections)
    redis = Redis.from_url(
        urls.redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, max_connections=threads
    )
    made = {
        id_: make_connection(id_, each, each_tokens, settings, ledger.sessions, redis, tell=requests.of(id_))
        for id_, each, each_tokens in zip(ids, connections, tokens, strict=True)
    }
    shares = Shares(threads, len(made))
    if len(made) > 1:
        share_transactions(ledger.sessions, shares, Lanes())
    return Runtime(ledger.sessions, made, timing_of(settings), send_hints, shares)


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
