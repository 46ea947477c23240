"""Real services for the tests: PostgreSQL and Valkey from their wheels, the sandbox as its own process."""

import itertools
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from models.database import make_engine, upgrade
from tests.world import World, running_sandbox
from worker.services import EmbeddedPostgres, EmbeddedValkey

_DATABASES = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server whose database `axkomet` has this version's schema, as a template."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options={"fsync": "off"})
    try:
        url = server.start()
        engine = make_engine(url)
        upgrade(engine)
        engine.dispose()
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey server."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def redis_url(valkey: str) -> str:
    """An empty Valkey database."""
    client = Redis.from_url(valkey)
    client.flushall()
    client.close()
    return valkey


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """URL of a database of the test's own, with the schema and without rows."""
    name = f"test_{next(_DATABASES)}"
    admin = create_engine(postgres.rsplit("/", 1)[0] + "/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE axkomet STRATEGY FILE_COPY"))
    try:
        yield postgres.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture(scope="session")
def sandbox_addresses() -> Iterator[dict[str, str]]:
    """Addresses of a running sandbox."""
    with running_sandbox() as addresses:
        yield addresses


@pytest.fixture
def world(sandbox_addresses: dict[str, str]) -> Iterator[World]:
    """A Komet company and an Axerrio tenant of the test's own."""
    with httpx.Client(timeout=10) as http:
        made = World(http, sandbox_addresses)
        made.seed()
        yield made
        http.delete(f"{sandbox_addresses['control']}/faults")
