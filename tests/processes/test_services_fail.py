"""Broker and database go away in the middle of the work: every order ends once, and no process needs a hand."""

import time
from collections.abc import Callable

import pytest
from redis import Redis

from tests.processes.plant import Plant, assert_all_once
from tests.world import World
from worker.services import EmbeddedPostgres, EmbeddedValkey

ORDERS, DISTURBANCES = 12, 3
#: Few threads and slow answers: calls are in the air and messages in the queue whenever something goes away.
BUSY = {"AXKOMET_CONCURRENCY": "2"}


def run(plant: Plant, world: World, disturb: Callable[[], None]) -> None:
    """A run from the feed to the approval, disturbed in the middle of it."""
    world.control("auto-approve", company_token=world.komet_token, after_seconds=1)
    keys = [plant.earn_proof()]
    world.fault("slow", "prebook.create", seconds=0.4)
    keys += [world.place() for _ in range(ORDERS)]
    for _ in range(DISTURBANCES):
        plant.work(0.7)
        disturb()
    plant.wait_for_state("approved", keys)
    assert_all_once(world, keys)
    assert all(world.axerrio_order(key)["procurement_status"]["status"] == "approved" for key in keys)
    assert not plant.deaths


@pytest.mark.thorough
def test_the_broker_is_emptied(make_plant: Callable[..., Plant], world: World, redis_url: str) -> None:
    plant = make_plant(settings=BUSY)
    with Redis.from_url(redis_url) as client:

        def disturb() -> None:
            plant.wait_until(lambda: client.llen("orders"), 10, "a message that waits in the queue")
            client.flushall()

        run(plant, world, disturb)


def test_the_broker_is_killed(
    make_plant: Callable[..., Plant], world: World, valkey_of_its_own: EmbeddedValkey
) -> None:
    def disturb() -> None:
        valkey_of_its_own.kill()
        time.sleep(1)
        valkey_of_its_own.start()

    run(make_plant(settings=BUSY, redis_url=valkey_of_its_own.url), world, disturb)


@pytest.mark.thorough
def test_the_database_goes_away(
    make_plant: Callable[..., Plant], world: World, postgres_of_its_own: EmbeddedPostgres
) -> None:
    def disturb() -> None:
        postgres_of_its_own.stop_immediately()
        time.sleep(1)
        postgres_of_its_own.start()

    run(make_plant(settings=BUSY, database_url=postgres_of_its_own.url), world, disturb)
