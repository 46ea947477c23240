import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.worker.test_services import gone, linux, nobody_left
from worker import supervisor as module
from worker.problems import Problem
from worker.settings import Settings, resolve_services
from worker.supervisor import Role, Supervisor, axkomet_command

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
SHOW = [
    sys.executable,
    "-c",
    "import os, time; print(*(os.environ['AXKOMET_' + n] for n in ('DATABASE_URL', 'REDIS_URL', 'HOME', 'X')));"
    "time.sleep(600)",
]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)",
]
BUSY = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(7)));"
    "print('busy', flush=True); time.sleep(600)",
]
#: URLs of nothing: a supervisor that is given them embeds no service.
NOWHERE: dict[str, Any] = {"database_url": "postgres://u:p@127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1/0"}

#: `up` of one role, as a process of its own; both services are embedded without further arguments.
UP = """
import sys, json
from pathlib import Path
from worker.settings import Settings
from worker.supervisor import Role, Supervisor

home, command, urls = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
supervisor = Supervisor(Settings(home=home, **urls), [Role("worker", command)])
told = []
def tick():
    if not told:
        services = [service.pid for service in (supervisor.postgres, supervisor.valkey) if service]
        told.append(1)
        print(json.dumps([supervisor.child("worker").pid, *services]), file=sys.stderr, flush=True)
supervisor.run(tick)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def up(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `UP` in the home; what still runs of it at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(command: list[str], urls: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", UP, str(home), json.dumps(command), json.dumps(urls)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1])},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def pids_of(process: subprocess.Popen[str]) -> list[int]:
    assert process.stderr
    pids: list[int] = json.loads(process.stderr.readline())
    return pids


def wait_until(condition: Callable[[], Any], step: Callable[[], object] = lambda: None, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        step()
        time.sleep(0.02)


def test_everything_starts_is_found_and_ends(home: Path) -> None:
    migrated: list[str] = []
    supervisor = Supervisor(Settings(home=home), [Role("worker", SHOW, {"AXKOMET_X": "y"})], migrate=migrated.append)
    supervisor.start()
    try:
        urls = supervisor.urls
        assert migrated == [urls.database_url]
        assert resolve_services(Settings(home=home)) == urls
        log = home / "log" / "worker.log"
        wait_until(log.read_text)
        assert log.read_text().split() == [urls.database_url, urls.redis_url, str(home), "y"]
        worker = supervisor.child("worker")
        assert os.getsid(worker.pid) == worker.pid
    finally:
        supervisor.stop()
    assert worker.poll() == -signal.SIGTERM
    assert nobody_left(home, 0)
    assert not (home / "services.json").exists()


def test_whatever_dies_starts_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY_SECONDS", 0.05)
    supervisor = Supervisor(Settings(home=home), [Role("worker", SLEEP)])
    supervisor.start()
    try:
        urls, postgres, valkey = supervisor.urls, supervisor.postgres, supervisor.valkey
        assert postgres
        assert valkey
        worker = supervisor.child("worker")
        before = {worker.pid, postgres.pid, valkey.pid}
        postgres.kill()
        valkey.kill()
        worker.kill()

        def all_new() -> bool:
            return before.isdisjoint({supervisor.child("worker").pid, postgres.pid, valkey.pid})

        wait_until(all_new, supervisor.poll)
        assert supervisor.child("worker").poll() is None
        assert (postgres.poll(), valkey.poll()) == (None, None)
        assert supervisor.urls == urls
        assert (postgres.start(), valkey.start()) == (urls.database_url, urls.redis_url)
    finally:
        supervisor.stop()


def test_restarts_wait_longer_each_time_until_healthy() -> None:
    child, start = Mock(), Mock()
    now = float(ceil(time.monotonic()))  # whole, so that eighths of seconds add up exactly
    kept = module._Kept(child, start)

    def seconds_to_restart() -> float:
        nonlocal now
        died = now
        child.alive = False
        start.reset_mock()
        while not start.called:
            kept.look(now)
            now += 0.125
        child.alive = True
        return now - 0.125 - died

    assert [seconds_to_restart() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    now += 29
    kept.look(now)
    assert seconds_to_restart() == 30
    now += 31
    kept.look(now)
    assert seconds_to_restart() == 0.5


def test_a_restart_that_fails_is_tried_again() -> None:
    start = Mock(side_effect=[Problem("The port is taken."), None])
    kept = module._Kept(Mock(alive=False), start)
    now = float(ceil(time.monotonic()))  # whole, so that eighths of seconds add up exactly
    for seconds, calls in ((0, 0), (0.5, 1), (1, 1), (1.5, 2)):
        kept.look(now + seconds)
        assert start.call_count == calls


def test_a_second_one_in_the_same_home_is_refused(home: Path) -> None:
    settings = Settings(home=home, **NOWHERE)
    with Supervisor(settings, [Role("worker", SLEEP)]) as first:
        with pytest.raises(Problem, match=f"Already running .process {os.getpid()}.*AXKOMET_HOME"):
            Supervisor(settings, [Role("worker", SLEEP)]).start()
        assert first.child("worker").poll() is None
    with Supervisor(settings, []):
        pass


def test_given_urls_embed_nothing(home: Path) -> None:
    supervisor = Supervisor(Settings(home=home, **NOWHERE), [])
    with supervisor:
        assert supervisor.urls.database_url == "postgresql+psycopg://u:p@127.0.0.1:1/x"
        assert supervisor.urls.redis_url == NOWHERE["redis_url"]
        assert (supervisor.postgres, supervisor.valkey) == (None, None)
        assert json.loads((home / "services.json").read_text()) == {}


def test_an_error_at_the_start_ends_what_had_started(home: Path) -> None:
    def migrate(url: str) -> None:
        raise Problem("The schema is newer than this program.")

    with pytest.raises(Problem, match="newer"):
        Supervisor(Settings(home=home, database_url=NOWHERE["database_url"]), [], migrate=migrate).start()
    with pytest.raises(Problem, match="no program"):
        Supervisor(Settings(home=home, **NOWHERE), [Role("a", SLEEP), Role("b", ["/missing"])]).start()
    assert nobody_left(home, 0)
    assert not (home / "services.json").exists()


def test_signals_are_ours_only_inside(home: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with Supervisor(Settings(home=home, **NOWHERE), []) as supervisor:
        before_and_after = [supervisor.stop_requested]
        os.kill(os.getpid(), signal.SIGINT)
        before_and_after.append(supervisor.stop_requested)
    assert before_and_after == [False, True]
    assert signal.getsignal(signal.SIGINT) == handler


def test_sigterm_ends_all_cleanly(home: Path, up: Callable[..., subprocess.Popen[str]]) -> None:
    process = up(SLEEP, {})
    pids = pids_of(process)
    process.terminate()
    assert process.wait(10) == 0
    assert all(gone(pid) for pid in pids)
    assert not (home / "services.json").exists()


def test_a_second_ctrl_c_kills_at_once(home: Path, up: Callable[..., subprocess.Popen[str]]) -> None:
    process = up(STUBBORN, NOWHERE)
    pids = pids_of(process)
    wait_until((home / "log" / "worker.log").read_text)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.6)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0
    assert all(gone(pid) for pid in pids)


def test_a_call_may_take_longer_than_the_others_have(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    supervisor = Supervisor(Settings(home=home, http_timeout_seconds=20, **NOWHERE), [Role("worker", BUSY)])
    supervisor.start()
    wait_until((home / "log" / "worker.log").read_text)
    worker = supervisor.child("worker")
    supervisor.stop()
    assert worker.returncode == 7, "it ended by itself"


@linux
def test_after_kill_9_nothing_is_left_and_the_next_one_starts(
    home: Path, up: Callable[..., subprocess.Popen[str]]
) -> None:
    for _ in range(2):
        process = up(SLEEP, {})
        pids = pids_of(process)
        assert len(pids) == 3
        process.kill()
        process.wait()
        assert nobody_left(home, 3)
        assert all(gone(pid) for pid in pids)


def test_a_command_line_names_its_role() -> None:
    assert axkomet_command("worker")[-1] == "worker"
    assert "axkomet" in axkomet_command("worker")[0] or axkomet_command("worker")[1:3] == ["-m", "worker"]
