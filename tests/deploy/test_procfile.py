"""The Procfile, as honcho runs it: all of it comes up, does its work, and Ctrl-C ends it without harm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.processes.plant import assert_all_once, environment
from tests.sync.conftest import Ledger, make_ledger
from tests.world import World
from worker.desk import OrderFilter, find_orders
from worker.services import free_port

__all__ = ["make_ledger"]
ROOT = Path(__file__).parents[2]
FLOWER = ("axkomet", "geheim")


@pytest.mark.thorough
def test_honcho_runs_it_and_ctrl_c_ends_it(
    tmp_path: Path, world: World, database_url: str, redis_url: str, make_ledger: Callable[..., Ledger]
) -> None:
    urls = {"AXKOMET_DATABASE_URL": database_url, "AXKOMET_REDIS_URL": redis_url}
    env = environment(tmp_path, world, world.entry(), **urls) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AXKOMET_FLOWER_PORT": str(free_port()),
        "AXKOMET_FLOWER_PASSWORD": FLOWER[1],
    }

    def until(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert honcho.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.2)

    def states() -> dict[str, str]:
        with ledger.session() as session:
            return {each["axerrio"]["key"]: each["state"] for each in find_orders(session, OrderFilter())}

    def answers(port: str, path: str) -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{env[port]}/{path}", auth=FLOWER).text
        except httpx.TransportError:
            return ""

    ledger = make_ledger()
    said = tmp_path / "honcho.log"
    command = [sys.executable, "-m", "honcho", "start", f"--procfile={ROOT / 'Procfile'}", f"--app-root={tmp_path}"]
    with said.open("wb") as log:
        honcho = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        first = world.place()
        until(lambda: first in states() and states()[first] == "ordered")
        until(lambda: "axkomet_workers 1.0" in answers("AXKOMET_METRICS_PORT", "metrics"))
        until(lambda: "create_prebook" in answers("AXKOMET_FLOWER_PORT", "api/tasks"))
        world.fault("slow", "prebook.create", seconds=1, times=1)
        second = world.place()
        until(lambda: world.requests("prebook.create") > 1)  # its answer is still to come
    finally:
        began = time.monotonic()
        os.killpg(honcho.pid, signal.SIGINT)
        honcho.wait(30)
    assert time.monotonic() - began < 10
    assert "SIGKILL" not in said.read_text()
    assert len(answers("AXKOMET_METRICS_PORT", "metrics") + answers("AXKOMET_FLOWER_PORT", "api/tasks")) == 0
    assert ledger.writes(second, "komet.prebook.create") == ["done"], "the worker waited for the answer"
    ledger.live(180)
    assert_all_once(world, [first, second])
