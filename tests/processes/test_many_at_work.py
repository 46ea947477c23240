"""Several workers and beats at once, and a worker that is told to end in the middle of its calls."""

import signal
from collections.abc import Callable

import pytest

from tasks.celery_tasks import hint_sender
from tasks.runtime import Hint
from tests.processes.plant import Plant, assert_all_once
from tests.world import World
from worker.app import make_app
from worker.settings import Settings

ORDERS = 12


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
    assert worker.wait(5) == 0
    made = world.requests("prebook.create")
    assert made < ORDERS
    answered = [key for key in keys if any(write["state"] == "done" for write in writes(plant, key))]
    assert len(answered) == made
    plant.start("worker-0")
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == ORDERS


def test_how_a_worker_ended_shows_in_its_exit_code(plant: Plant) -> None:
    plant.earn_proof()
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGINT)
    assert worker.wait(10) == 1


def writes(plant: Plant, key: str) -> list[dict[str, str]]:
    order = plant.order(key)
    return order["writes"] if order else []
