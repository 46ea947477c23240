"""Real services for the tests: PostgreSQL and Valkey from their wheels, the sandbox as its own process."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import settings
from redis import Redis
from sqlalchemy import NullPool, create_engine, text

from models.database import make_engine, upgrade
from models.tables import Base
from tests.world import World, running_sandbox
from worker.services import EmbeddedPostgres, EmbeddedValkey

#: A file system in memory, where there is one with room: the tests' databases are not worth a disk.
_MEMORY, _ENOUGH = Path("/dev/shm"), 2**30
#: What a test may have left but rows: sessions, settings of the database, numbers given out.
_EMPTY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "ALTER DATABASE axkomet RESET ALL",
    "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
)

settings.register_profile("quick", max_examples=150, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take long begins first, so that all else is done beside it."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the PostgreSQL server, with its log: in memory where there is room."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        with TemporaryDirectory(dir=_MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("postgres")


@pytest.fixture(scope="session")
def postgres(postgres_home: Path) -> Iterator[str]:
    """URL of a PostgreSQL server's database with this version's schema."""
    server = EmbeddedPostgres(postgres_home, options={"fsync": "off"})
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
    """URL of a database with the schema and without rows.

    It is emptied after the test, which takes a hundredth of the time of making another one.
    """
    yield postgres
    engine = create_engine(postgres, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in _EMPTY:
            connection.execute(text(statement))
        # Deleting in any order, without the foreign keys' triggers.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f"DELETE FROM {table.name}"))


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
