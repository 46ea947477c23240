"""What commands need that plan an order and make no call."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from models import tables
from tasks.connection import Connection, ConnectionSettings
from worker.assembly import Ledger, id_of_connection
from worker.connections import load_connections
from worker.problems import Problem
from worker.settings import ServiceUrls, Settings
from worker.wiring import make_connection


def entry_of(settings: Settings, ledger: Ledger, connection_id: int) -> ConnectionSettings:
    """What the connections file says of a row's connection, which goes by what it joins, and not by its name alone.

    Raises:
        Problem: the connections file has a mistake, or names it no more.
    """
    with ledger.sessions() as session:
        row = session.get_one(tables.Connection, connection_id)
    named = sorted(load_connections(settings.connections), key=lambda each: each.joins != row.joins)
    found = next((each for each in named if id_of_connection(ledger, each) == connection_id), None)
    if found is None:
        raise Problem(f"The connections file {settings.connections} names no connection {row.name}.")
    return found


@contextmanager
def silent_connection(
    settings: Settings, urls: ServiceUrls, ledger: Ledger, connection_id: int
) -> Iterator[Connection]:
    """The connection of a row as the connections file has it, for plans only: it holds no tokens.

    Raises:
        Problem: the connections file has a mistake, or names it no more.
    """
    found = entry_of(settings, ledger, connection_id)
    redis = Redis.from_url(urls.redis_url)
    connection = make_connection(connection_id, found, ("", ""), settings, ledger.sessions, redis)
    try:
        yield connection
    finally:
        connection.komet.close()
        connection.axerrio.close()
        redis.close()


def user() -> str:
    """Who types: the user of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
