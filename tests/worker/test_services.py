import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from worker import services
from worker.problems import Problem
from worker.services import (
    Child,
    EmbeddedPostgres,
    EmbeddedValkey,
    free_port,
    port_taken,
    remove_services_file,
    write_services_file,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
root = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root")

#: Starts both servers on the home given, adds a row, tells how many there are and who serves, and sleeps.
SERVE = """
import json, sys, time
from pathlib import Path
import psycopg
from worker.services import EmbeddedPostgres, EmbeddedValkey

home = Path(sys.argv[1])
servers = [EmbeddedPostgres(home, {"fsync": "off"}), EmbeddedValkey(home)]
database_url, _ = [server.start() for server in servers]
with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS row (number int)")
    connection.execute("INSERT INTO row VALUES (1)")
    rows = connection.execute("SELECT count(*) FROM row").fetchone()[0]
print(json.dumps({"rows": rows, "pids": [server.pid for server in servers]}), flush=True)
time.sleep(600)
"""

#: What a process does first, to be in the place of that user.
PLACES = {
    "this user": "",
    # Root in a container: it has its rights, but may make no user namespace.
    "container": """
import ctypes, os
told, tell = os.pipe()
if not (helper := os.fork()):
    os.read(told, 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{os.getppid()}/{name}").write_text("0 0 65536")
    os._exit(0)
if ctypes.CDLL(None).unshare(0x10000000):
    sys.exit("no namespaces")
os.write(tell, b"x")
os.waitpid(helper, 0)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
""",
    # An ordinary user, who may yet read this environment wherever it is.
    "ordinary user": """
import os
from worker import launch
home.mkdir(exist_ok=True)
launch._give(sys.argv[1], launch.NOBODY)
launch._become_nobody()
""",
}


def script(place: str) -> str:
    return SERVE.replace("servers = [", PLACES[place] + "servers = [", 1)


def query(server: EmbeddedPostgres, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def client(server: EmbeddedValkey) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.url, decode_responses=True) as connected:
        yield connected


def gone(pid: int) -> bool:
    """Whether the process has ended; a container may keep a zombie of it for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def nobody_left(home: Path, seconds: float) -> bool:
    """Whether every process of this home ends in time: each holds its lock while it lives."""
    deadline = time.monotonic() + seconds
    for path in (home / "run").iterdir():
        with path.open("a+") as lock:
            if not services._locked(lock, max(0, deadline - time.monotonic())):
                return False
    return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, {"fsync": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(home: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(home)
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Running:
    """Both servers, to look at."""

    home: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("running") / "home"
    servers = Running(home, EmbeddedPostgres(home, {"fsync": "off"}), EmbeddedValkey(home))
    for server in (servers.postgres, servers.valkey):
        server.start()
    yield servers
    for server in (servers.postgres, servers.valkey):
        server.stop()


def test_postgres_keeps_data_and_port(postgres: EmbeddedPostgres) -> None:
    url = postgres.url
    query(postgres, "CREATE TABLE kept AS SELECT 1 AS number")
    postgres.stop()
    assert postgres.poll() == 0
    assert postgres.start() == url
    assert postgres.poll() is None
    for crash in (postgres.kill, postgres.stop_immediately):
        query(postgres, "INSERT INTO kept VALUES (2)")
        crash()
        assert postgres.poll() is not None
        assert postgres.start() == url
    assert query(postgres, "SELECT * FROM kept") == [(1,), (2,), (2,)]


def test_postgres_recovers_although_a_backend_was_busy(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as busy:
        busy.execute("CREATE TABLE open_transaction (number int)")
        postgres.kill()
        postgres.start()
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")
    assert query(postgres, "SELECT to_regclass('open_transaction')") == [(None,)]


def test_valkey_keeps_data_and_port(valkey: EmbeddedValkey) -> None:
    url = valkey.url
    for number, end in enumerate((valkey.stop, valkey.kill)):
        with client(valkey) as connected:
            connected.rpush("kept", number)
        end()
        assert valkey.start() == url
    with client(valkey) as connected:
        assert connected.lrange("kept", 0, -1) == ["0", "1"]
        assert connected.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert connected.config_get("append*")["appendonly"] == "yes"
        assert connected.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_start_of_a_running_server_changes_nothing(running: Running) -> None:
    pid, url = running.valkey.pid, running.valkey.url
    assert running.valkey.start() == url
    assert running.valkey.pid == pid


def test_passwords_are_needed_and_hidden(running: Running) -> None:
    postgres, valkey = running.postgres, running.valkey
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url.replace("+psycopg", "").replace(postgres.password, "wrong"))
    address = f"redis://127.0.0.1:{valkey.port}"
    with redis.Redis.from_url(address) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert running.home.stat().st_mode & 0o777 == 0o700
    for server in (postgres, valkey):
        assert (server.folder / "password").stat().st_mode & 0o777 == 0o600
        if sys.platform == "linux":
            assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert server.password not in server.child.log.read_text()


def test_ctrl_c_in_the_terminal_does_not_reach_a_server(running: Running) -> None:
    for server in (running.postgres, running.valkey):
        assert os.getsid(server.pid) == server.pid


def test_ports(running: Running) -> None:
    assert running.valkey.port
    assert port_taken(running.valkey.port)
    assert not port_taken(free_port())


@linux
@pytest.mark.parametrize(
    "places",
    [
        ["this user", "this user"],
        pytest.param(["container", "this user", "container"], marks=root),
        pytest.param(["ordinary user", "ordinary user"], marks=root),
    ],
    ids=" then ".join,
)
def test_servers_end_with_their_parent_and_start_again(places: list[str], home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(services.__file__).parents[1])}
    for rows, place in enumerate(places, 1):
        parent = subprocess.Popen(
            [sys.executable, "-c", script(place), str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        with parent:
            assert parent.stdout
            assert parent.stderr
            line = parent.stdout.readline()
            parent.kill()
            errors = parent.stderr.read()
        if errors.strip() == "no namespaces":
            pytest.skip("namespaces are forbidden here: this user is in a container already")
        assert line, errors
        told = json.loads(line)
        assert told["rows"] == rows
        assert nobody_left(home, 3)
        deadline = time.monotonic() + 3  # a lock is free a moment before its process is gone
        while not (all_gone := all(gone(pid) for pid in told["pids"])) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert all_gone


@root
def test_root_without_its_rights_is_told_to_be_somebody_else(home: Path) -> None:
    """As in a container that lost them all: no user namespace, no other user."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import ctypes, sys
from pathlib import Path
from worker.problems import Problem
from worker.services import EmbeddedPostgres

if ctypes.CDLL(None).unshare(0x10000000):
    sys.exit("no namespaces")
for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
    Path(f"/proc/self/{name}").write_text(text)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
try:
    EmbeddedPostgres(Path(sys.argv[1])).start()
except Problem as problem:
    print(problem)
""",
            str(home),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(services.__file__).parents[1])},
    )
    if told.stderr.strip() == "no namespaces":
        pytest.skip("namespaces are forbidden here")
    assert "use an ordinary user" in told.stdout
    assert "set AXKOMET_DATABASE_URL" in told.stdout


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_a_left_over_server_is_ended_before_the_next(
    kind: type[EmbeddedPostgres | EmbeddedValkey], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LEFTOVER_GRACE_SECONDS", 0.1)
    left, new = kind(home), kind(home)
    left.start()
    try:
        new.start()
        assert left.poll() == 0
        assert new.poll() is None
    finally:
        left.stop()
        new.stop()


def test_a_stale_process_id_hinders_nothing(home: Path, postgres: EmbeddedPostgres) -> None:
    postgres.kill()
    # The number has come to a process that lives and is ours.
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    sleeper = subprocess.Popen(["sleep", "60"])
    pid_file.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
    postgres.start()
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_a_taken_port_is_told(home: Path, valkey: EmbeddedValkey) -> None:
    assert valkey.port
    valkey.stop()
    with socket.socket() as listener:
        listener.bind((services.LOOPBACK, valkey.port))
        listener.listen()
        with pytest.raises(Problem, match=r"Valkey did not start: .*valkey\.log"):
            valkey.start()
    valkey.start()


def test_a_server_that_cannot_start_is_told_in_its_own_words(home: Path) -> None:
    server = EmbeddedPostgres(home, {"fsync": "off", "shared_buffers": "much"})
    with pytest.raises(Problem, match=r"PostgreSQL did not start: .*shared_buffers") as raised:
        server.start()
    assert "AXKOMET_DATABASE_URL" in str(raised.value)
    assert raised.value.exit_code == 1


def test_a_data_folder_that_takes_too_long(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "START_TIMEOUT_SECONDS", 0.01)
    with pytest.raises(Problem, match=r"could not make its data folder: it took more than 0\.01 seconds") as raised:
        EmbeddedPostgres(home).start()
    assert raised.value.exit_code == 1
    assert nobody_left(home, 5)


@pytest.mark.parametrize(
    ("kind", "variable"), [(EmbeddedPostgres, "AXKOMET_DATABASE_URL"), (EmbeddedValkey, "AXKOMET_REDIS_URL")]
)
def test_without_a_wheel_the_setting_is_named(
    kind: type[EmbeddedPostgres | EmbeddedValkey],
    variable: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "find_spec", lambda _: None)
    with pytest.raises(Problem, match=f"set {variable}"):
        kind(home).start()


def test_a_home_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="set AXKOMET_HOME"):
        EmbeddedValkey(tmp_path / "file").start()


def test_a_missing_program_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="there is no program /missing/axkomet"):
        Child("worker", tmp_path).start(["/missing/axkomet"], os.environ)


def test_services_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write_services_file(tmp_path, {"redis_url": "redis://x"})
    path = tmp_path / "services.json"
    assert json.loads(path.read_text()) == {"redis_url": "redis://x"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    remove_services_file(tmp_path)
    remove_services_file(tmp_path)
    assert not path.exists()
