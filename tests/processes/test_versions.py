"""Two versions side by side: the newer one's schema and messages, and the older one at work on them."""

import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import Engine, text, update

from models import database
from models.database import make_engine, schema_versions, upgrade
from models.tables import Order
from tests.command import run_command
from tests.processes.plant import Plant, assert_all_once, bare_environment
from tests.world import World
from worker.app import make_app
from worker.services import EmbeddedPostgres
from worker.settings import Settings

#: Of the next version: it only adds, and the old one need not know.
NEXT = """
revision, down_revision, branch_labels, depends_on = "9999", "{0}", None, None


def upgrade():
    from alembic import op
    op.execute("ALTER TABLE orders ADD COLUMN of_tomorrow text NOT NULL DEFAULT 'empty'")
    op.execute("CREATE INDEX ix_orders_of_tomorrow ON orders (of_tomorrow)")
    op.execute("ALTER TABLE writes ADD COLUMN of_tomorrow jsonb")
    op.execute("CREATE TABLE of_tomorrow (order_id bigint REFERENCES orders (id))")
"""


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`upgrade` is that of the next version."""
    folder = tmp_path / "migrations"
    shutil.copytree(str(files("models") / "migrations"), folder)
    newest = max(path.name[:4] for path in (folder / "versions").glob("*.py"))
    (folder / "versions" / "9999_tomorrow.py").write_text(NEXT.format(newest))
    real = database.migrations_of

    def with_next(engine: Engine) -> object:
        config = real(engine)
        config.set_main_option("script_location", str(folder))
        return config

    monkeypatch.setattr(database, "migrations_of", with_next)


@pytest.mark.thorough
@pytest.mark.usefixtures("next_version")
def test_the_schema_is_expanded_under_a_worker_that_works(
    make_plant: Callable[..., Plant], world: World, postgres_of_its_own: EmbeddedPostgres
) -> None:
    plant = make_plant(database_url=postgres_of_its_own.url)
    world.fault("slow", "prebook.create", seconds=0.4)
    keys = [world.place() for _ in range(8)]
    plant.wait_until(lambda: world.requests("prebook.create") >= 2)
    engine = make_engine(postgres_of_its_own.url)
    upgrade(engine)
    versions = schema_versions(engine)
    engine.dispose()
    assert versions.current == "9999" > versions.needed
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    keys.append(world.place())
    plant.start("worker-0")  # the old version once more
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert not plant.deaths


def test_messages_and_rows_name_tasks_that_a_worker_does_not_know(plant: Plant, world: World, redis_url: str) -> None:
    app = make_app(redis_url, Settings())
    for queue in ("orders", "observe", "maintenance"):
        app.send_task("task_of_tomorrow", args=(1, None), queue=queue)
        app.send_task("create_prebook", args=(1, None, "of tomorrow"), kwargs={"new": True}, queue=queue)
    key = world.place()
    plant.wait_until(lambda: plant.order(key))
    with plant.sessions.begin() as session:
        session.execute(update(Order).values(next_task="task_of_tomorrow", hinted_until=None))
    plant.wait_for_state("ordered", [key])
    assert_all_once(world, [key])
    assert not plant.deaths


@pytest.fixture
def empty_database(postgres_of_its_own: EmbeddedPostgres) -> str:
    engine = make_engine(postgres_of_its_own.url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres_of_its_own.url


@pytest.mark.thorough
def test_two_upgrades_at_once_take_turns(empty_database: str, redis_url: str, tmp_path: Path) -> None:
    env = bare_environment(tmp_path, "", {}, AXKOMET_DATABASE_URL=empty_database, AXKOMET_REDIS_URL=redis_url)
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: run_command(["db", "upgrade"], env, tmp_path), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], done
    engine = make_engine(empty_database)
    versions = schema_versions(engine)
    engine.dispose()
    assert versions.current == versions.needed
