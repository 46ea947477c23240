"""Real processes, and what they said when a test fails."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.database import make_engine, upgrade
from tests.processes.plant import Plant
from tests.world import World
from worker.services import EmbeddedPostgres, EmbeddedValkey

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture
def make_plant(
    request: pytest.FixtureRequest, tmp_path: Path, world: World, database_url: str, redis_url: str
) -> Iterator[Callable[..., Plant]]:
    """Starts workers and beats on a fresh database and an empty broker, or on those given."""
    made: list[Plant] = []

    def make(**changes: Any) -> Plant:
        usual: dict[str, Any] = {
            "folder": tmp_path,
            "world": world,
            "database_url": database_url,
            "redis_url": redis_url,
        }
        plant = Plant(**usual | changes)
        made.append(plant)
        plant.start_all()
        return plant

    try:
        yield make
    finally:
        for plant in made:
            plant.stop()
            if request.node.stash.get(_FAILED, False):
                print(plant.logs())  # noqa: T201 - pytest shows it with the failure


@pytest.fixture
def plant(make_plant: Callable[..., Plant]) -> Plant:
    """One worker and one beat."""
    return make_plant()


@pytest.fixture
def postgres_of_its_own(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres")
    try:
        engine = make_engine(server.start())
        upgrade(engine)
        engine.dispose()
        yield server
    finally:
        server.stop()


@pytest.fixture
def valkey_of_its_own(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey")
    try:
        server.start()
        yield server
    finally:
        server.stop()
