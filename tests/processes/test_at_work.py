"""What a container's health check asks: `axkomet worker --check` and its like."""

import signal
from collections.abc import Callable
from functools import partial

import pytest

from tests.command import run_command
from tests.processes.plant import Plant
from worker.services import Child, free_port

ROLES = ("worker", "beat", "flower", "metrics")


@pytest.mark.thorough
def test_each_process_is_found_at_work_and_missed(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(settings={"AXKOMET_FLOWER_PASSWORD": "geheim", "AXKOMET_FLOWER_PORT": str(free_port())})
    for role in ("flower", "metrics"):
        plant.children[f"{role}-0"] = Child(f"{role}-0", plant.folder)
        plant.start(f"{role}-0")

    def problem(role: str, **env: str) -> str:
        done = run_command([role, "--check"], plant.env | env, plant.folder)
        assert (done.returncode == 0) == (done.stderr == ""), done
        assert done.returncode in (0, 1)
        return done.stderr

    def at_work(*roles: str) -> bool:
        return not any(map(problem, roles))

    plant.wait_until(partial(at_work, *ROLES), 60, "all at work")
    assert "answers 401" in problem("flower", AXKOMET_FLOWER_PASSWORD="x")
    worker = plant.children["worker-0"].process
    worker.send_signal(signal.SIGSTOP)  # it is up, and does nothing
    assert "no answer through the broker" in problem("worker", AXKOMET_SWEEP_SECONDS="60")
    assert "No worker of this machine was seen" in problem("worker")
    assert "No tick was served" in problem("beat")
    worker.send_signal(signal.SIGCONT)
    plant.wait_until(partial(at_work, "worker", "beat"), 30, "both at work again")
    for role in ("flower", "metrics"):
        plant.children[f"{role}-0"].stop()
        assert "does not answer" in problem(role)
