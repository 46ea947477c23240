"""Several workers and beats at once, and a worker that is told to end in the middle of its calls."""

import signal
import time
from collections.abc import Callable

import pytest

from tasks.celery_tasks import hint_sender
from tasks.runtime import Hint
from tests.processes.plant import Plant, assert_all_once
from tests.world import World
from worker.app import make_app
from worker.services import EmbeddedPostgres, EmbeddedValkey
from worker.settings import Settings

ORDERS = 12
#: Seconds: the deadline of a call, how long a worker tries to settle at its end, and what else its end may take.
HTTP_TIMEOUT, LAST_TRIES, MARGIN = 1.5, 5, 20


@pytest.mark.thorough
def test_two_workers_and_two_beats_share_the_orders(
    make_plant: Callable[..., Plant], world: World, redis_url: str
) -> None:
    """However often they are told to look, and while another is at it."""
    plant = make_plant(workers=2, beats=2)
    tell = hint_sender(make_app(redis_url, Settings()))
    world.fault("slow", "prebook.create", seconds=0.3)
    keys = [world.place() for _ in range(ORDERS)]

    def done_though_told_again() -> bool:
        orders = [order for key in keys if (order := plant.order(key))]
        tell(Hint(task, order["id"], "") for order in orders for task in ("create_prebook", "create_purchase_orders"))
        return [order["state"] for order in orders] == ["ordered"] * ORDERS

    plant.wait_until(done_though_told_again, 60)
    assert_all_once(world, keys)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == ORDERS
    assert not plant.deaths


def test_a_worker_ends_in_the_middle_of_its_calls(plant: Plant, world: World) -> None:
    world.fault("slow", "prebook.create", seconds=1)
    keys = [world.place() for _ in range(ORDERS)]
    plant.wait_until(lambda: world.requests("prebook.create") >= 3)
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(HTTP_TIMEOUT + MARGIN) == 0
    made = world.requests("prebook.create")
    assert made < ORDERS
    answered = [key for key in keys if any(write["state"] == "done" for write in writes(plant, key))]
    assert len(answered) == made
    plant.start("worker-0")
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == ORDERS


def test_a_worker_ends_though_the_database_is_away(
    make_plant: Callable[..., Plant], world: World, postgres_of_its_own: EmbeddedPostgres
) -> None:
    """It cannot settle what it knows then: the write stays `sent`, and is found in Komet by the next worker."""
    plant = make_plant(database_url=postgres_of_its_own.url)
    world.fault("slow", "prebook.create", seconds=1)
    keys = [world.place() for _ in range(3)]
    plant.wait_until(lambda: world.requests("prebook.create") == len(keys))
    postgres_of_its_own.stop_immediately()
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(HTTP_TIMEOUT + LAST_TRIES + MARGIN) == 0
    postgres_of_its_own.start()
    assert [write["state"] for key in keys for write in writes(plant, key)] == ["sent"] * len(keys)
    plant.start("worker-0")
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert world.requests("prebook.create") == len(keys)


@pytest.mark.parametrize("at_work", [True, False])
def test_a_worker_ends_though_the_broker_is_away(
    make_plant: Callable[..., Plant], world: World, valkey_of_its_own: EmbeddedValkey, at_work: bool
) -> None:
    plant = make_plant(redis_url=valkey_of_its_own.url)
    if at_work:
        world.fault("slow", "prebook.create", seconds=1)
    key = world.place()
    plant.wait_until(lambda: world.requests("prebook.create") == 1)
    if not at_work:
        plant.wait_for_state("ordered", [key])
    valkey_of_its_own.kill()
    if not at_work:
        time.sleep(3)  # it tries to reach the broker again by now
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(HTTP_TIMEOUT + MARGIN) == 0
    assert writes(plant, key)[0]["state"] == "done"


def test_how_a_worker_ended_shows_in_its_exit_code(plant: Plant) -> None:
    plant.earn_proof()
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGINT)
    assert worker.wait(10) == 1


def writes(plant: Plant, key: str) -> list[dict[str, str]]:
    order = plant.order(key)
    return order["writes"] if order else []
