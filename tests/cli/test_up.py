"""`axkomet up`: everything with one command, and nothing of it left behind."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Shell
from tests.worker.test_services import linux, nobody_left
from tests.world import World, assert_exactly_once
from worker.supervisor import axkomet_command

Up = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def up(shell: Shell) -> Iterator[Up]:
    """Starts `up` with embedded services, and waits until it says `ready`."""
    started: list[subprocess.Popen[str]] = []
    shell.env |= {"AXKOMET_DATABASE_URL": "", "AXKOMET_REDIS_URL": ""}

    def start() -> subprocess.Popen[str]:
        with (shell.folder / "up.log").open("ab") as log:
            process = subprocess.Popen(
                axkomet_command("up", "--no-flower"),
                cwd=shell.folder,
                env=shell.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n", (shell.folder / "up.log").read_text()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def command_lines(parent: int) -> list[str]:
    """Of all children of a process, once each of them has become what it is to be."""
    deadline = time.monotonic() + 10
    while True:
        assert time.monotonic() < deadline
        pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        lines = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() for pid in pids]
        if all(lines):
            return lines
        time.sleep(0.01)


@linux
def test_it_works_and_ctrl_c_ends_all_of_it(up: Up, shell: Shell, world: World) -> None:
    process = up()
    lines = command_lines(process.pid)
    assert len(lines) == 5
    for role in ("axkomet worker", "axkomet beat", "axkomet metrics", "postgres -D", "valkey-server"):
        assert sum(role in line for line in lines) == 1, lines
    assert shell.run("status").returncode == 0  # it finds the services in the home
    sentence = shell.complaint(2, "up", "--no-flower")
    assert f"Already running (process {process.pid})" in sentence
    key = world.place()
    deadline = time.monotonic() + 30
    while '"ordered"' not in shell.run("orders", "list", "--json", "--state", "ordered").stdout:
        assert time.monotonic() < deadline
    assert_exactly_once(world, key)
    with httpx.Client(transport=httpx.HTTPTransport(retries=6)) as patient:  # metrics begin once all else is ready
        told = patient.get(f"http://127.0.0.1:{shell.env['AXKOMET_METRICS_PORT']}/metrics").text.splitlines()
    assert "axkomet_healthy 1.0" in told
    assert 'axkomet_orders{connection="miami",state="ordered"} 1.0' in told
    assert any(line.startswith('axkomet_queue_messages{queue="orders"}') for line in told)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert nobody_left(shell.folder / "home", 0)


@linux
@pytest.mark.thorough
def test_after_kill_9_nothing_is_left_and_the_next_one_works(up: Up, shell: Shell) -> None:
    up().kill()
    assert nobody_left(shell.folder / "home", 10)
    process = up()
    deadline = time.monotonic() + 30
    while shell.run("status").returncode != 0:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert nobody_left(shell.folder / "home", 0)
