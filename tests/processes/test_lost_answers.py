"""An answer that is lost in any way: the order ends once, unaided."""

import itertools
import json
import subprocess
from typing import Any

import pytest

from tests.processes.plant import Plant, assert_all_once
from tests.world import World
from worker.supervisor import axkomet_command

METHODS = ("prebook.create", "purchase.order.create")
#: Beyond the deadline of a call is `slow`.
FAULTS: dict[str, dict[str, Any]] = {
    "lost_answer": {},
    "error_after": {},
    "reset_before": {},
    "error_before": {},
    "slow": {"seconds": 3},
}


def shown(plant: Plant, key: str) -> Any:
    """The order as the command shows it."""
    command = axkomet_command("orders", "show", key, "--json")
    return json.loads(subprocess.run(command, env=plant.env, cwd=plant.folder, capture_output=True, check=True).stdout)


@pytest.mark.thorough
def test_an_answer_is_lost_in_any_way(plant: Plant, world: World) -> None:
    keys = [plant.earn_proof()]
    for method, fault in itertools.product(METHODS, FAULTS):
        world.fault(fault, method, times=1, **FAULTS[fault])
        keys.append(world.place())
        plant.wait_until(lambda: struck(world), 40, f"{fault} of {method}")
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert not plant.deaths


def struck(world: World) -> bool:
    (fault,) = world.http.get(f"{world.addresses['control']}/faults").json()["faults"]
    return bool(fault["struck"])


@pytest.mark.thorough
def test_lost_before_the_work_it_waits_for_proof_of_absence(plant: Plant, world: World) -> None:
    plant.break_at("komet.prebook.create", "sent", "kill")
    lost = world.place()
    plant.wait_for_state("held", [lost])
    assert shown(plant, lost)["reason"]["code"] == "in_doubt"
    plant.work(3)
    order = shown(plant, lost)
    assert order["reason"]["code"] == "in_doubt"
    assert [(write["kind"], write["state"]) for write in order["writes"]] == [("komet.prebook.create", "sent")]
    assert world.requests("prebook.create") == 0
    other = plant.earn_proof()
    plant.wait_for_state("ordered", [lost])
    assert_all_once(world, [lost, other])


@pytest.mark.thorough
def test_lost_after_the_work_it_is_adopted(plant: Plant, world: World) -> None:
    world.fault("lost_answer", "prebook.create", times=1)
    key = world.place()
    plant.wait_for_state("ordered", [key])
    assert_all_once(world, [key])
    assert world.requests("prebook.create") == 1


@pytest.mark.thorough
def test_lists_lag_behind(plant: Plant, world: World) -> None:
    """By more than deadline and grace: that it takes so long was learned from the first order."""
    world.settings(list_lag_seconds=5)
    keys = [plant.earn_proof()]
    lost = {"system": "komet", "kind": "lost_answer", "times": 2, "token": world.komet_token}
    world.control("faults", faults=[lost | {"method": method} for method in METHODS])
    keys += [world.place() for _ in range(2)]  # no other: one that is answered and does not show would take proof away
    plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert world.requests("prebook.create") == world.requests("purchase.order.create") == len(keys)
