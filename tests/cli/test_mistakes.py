"""What a user can get wrong ends with the right exit code and one plain sentence."""

import fcntl
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from models.database import make_engine, schema_versions
from models.tables import Scope
from tasks.sweep import seen
from tests.cli.conftest import Shell
from tests.sync.conftest import Ledger
from tests.world import World
from worker import cli
from worker.supervisor import axkomet_command

NOWHERE = "127.0.0.1:1"


def change(shell: Shell, old: str, new: str) -> None:
    """Change the connections file."""
    file = shell.folder / "connections.toml"
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# -- settings and connections ----------------------------------------------------------------------------------


def test_a_token_variable_that_is_not_set(shell: Shell) -> None:
    for command in ("worker", "up"):
        sentence = shell.complaint(2, command, KOMET_TOKEN="")
        assert "connection miami: the Komet token: variable KOMET_TOKEN is not set" in sentence


def test_a_token_file_that_cannot_be_read(shell: Shell) -> None:
    change(shell, 'token_env = "KOMET_TOKEN"', f'token_file = "{shell.folder}"')
    sentence = shell.complaint(2, "worker")
    assert f"connection miami: the Komet token: file {shell.folder} cannot be read" in sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[connection]]", "[[connection]", "is not valid TOML"),
        ("company_code", "compny_code", "connection miami: komet.compny_code: is no such key"),
        ('time_zone = "America/New_York"', 'time_zone = "Miami"', "connection miami: time_zone: Miami is no time zone"),
        ("http://", "ftp://", "connection miami: komet.base_url: must begin with https://"),
    ],
)
def test_a_connections_file_with_a_mistake(shell: Shell, old: str, new: str, words: str) -> None:
    change(shell, old, new)
    sentence = shell.complaint(2, "worker")
    assert str(shell.folder / "connections.toml") in sentence
    assert words in sentence


def test_a_connections_file_that_is_missing(shell: Shell) -> None:
    assert "There is no connections file at" in shell.complaint(2, "up", AXKOMET_CONNECTIONS="nowhere.toml")


def test_a_setting_with_a_wrong_value(shell: Shell) -> None:
    assert "AXKOMET_POLL_SECONDS is 'often'" in shell.complaint(2, "status", AXKOMET_POLL_SECONDS="often")


def test_no_service_is_known(shell: Shell) -> None:
    for command in ("worker", "beat", "flower", "status"):
        sentence = shell.complaint(2, command, AXKOMET_DATABASE_URL="")
        assert "set AXKOMET_DATABASE_URL, or start `axkomet up`" in sentence


def test_a_word_that_is_not_known(shell: Shell) -> None:
    for option, word, says in (
        ("--state", "lost", "is unknown: it is one of received, prebooked"),
        ("--origin", "foo", "is unknown: it is one of axerrio, komet"),
        ("--reason", "foo", "is unknown: it is one of mapping_required, "),
        ("--since", "yesterday", "is no time"),
        ("--since", "", "is no time"),
        ("--departing", "24-11-2026", "is no date"),
        ("--departing", "", "is no date"),
        ("--connection", "maimi", "is no connection of the ledger, which knows none"),
    ):
        assert f"{option} {word} {says}" in shell.complaint(2, "orders", "list", option, word)


def test_more_orders_than_anybody_has(shell: Shell) -> None:
    for command in ("orders list", "requeue --all"):
        done = shell.run(*command.split(), "--limit", "9" * 20)
        assert done.returncode == 2, done
        assert "2147483647" in done.stderr


def test_a_connections_file_as_notepad_saves_it(shell: Shell) -> None:
    file = shell.folder / "connections.toml"
    file.write_text(file.read_text(), "utf-8-sig")
    assert "names 1 connection(s)" in shell.run("check").stdout


# -- services --------------------------------------------------------------------------------------------------


def test_the_database_is_away(shell: Shell) -> None:
    url = f"postgresql+psycopg://axkomet:secret-word@{NOWHERE}/axkomet"
    for command in ("worker", "beat", "orders list", "db upgrade", "up --no-flower"):
        sentence = shell.complaint(1, *command.split(), AXKOMET_DATABASE_URL=url)
        assert f"PostgreSQL at {NOWHERE}" in sentence
        assert "refused" in sentence
        assert "secret-word" not in sentence


def test_a_database_url_that_asks_for_what_the_driver_does_not_know(shell: Shell, database_url: str) -> None:
    for command in ("worker", "beat", "orders list"):
        sentence = shell.complaint(2, *command.split(), AXKOMET_DATABASE_URL=f"{database_url}&foo=bar")
        assert "AXKOMET_DATABASE_URL cannot be used" in sentence
        assert '"foo"' in sentence


def test_a_worker_whose_broker_is_away(shell: Shell, ledger: Ledger) -> None:
    with ledger.runtime.sessions.begin() as session:
        seen(session, f"worker-1@{socket.gethostname()}", "worker")
    away = {"AXKOMET_REDIS_URL": f"redis://{NOWHERE}/0", "AXKOMET_SWEEP_SECONDS": "60"}
    assert "Redis does not answer: " in shell.complaint(1, "worker", "--check", **away)


def test_a_database_that_fails_in_the_middle_of_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OperationalError("SELECT secret", {}, Exception("the connection was lost\nTry later"))

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("axkomet: PostgreSQL did not do it (the connection was lost): ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no such device")
def test_a_disk_that_is_full(shell: Shell) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            axkomet_command("orders", "list", "--json"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=shell.env,
            cwd=shell.folder,
        )
    assert (done.returncode, done.stderr) == (1, "axkomet: Not all could be written: No space left on device.\n")


def test_a_status_that_the_database_does_not_tell_is_unhealthy(shell: Shell, database_url: str) -> None:
    """So that `--watch` goes on."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE processes RENAME TO gone"))
    try:
        done = shell.run("status", "--json")
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO processes"))
        engine.dispose()
    assert done.returncode == 1, done
    document = json.loads(done.stdout)
    assert document["healthy"] is False
    (problem,) = document["problems"]
    assert 'relation "processes" does not exist' in problem


def test_an_error_of_ours_is_not_put_on_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise LookupError("ours")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(LookupError):
        cli.main()


@pytest.fixture
def set_schema_version(database_url: str) -> Iterator[Callable[..., None]]:
    """Changes what the database says of its version, until the test is over."""
    engine = make_engine(database_url)

    def change(version: str | None, comment: str = "") -> None:
        with engine.begin() as connection:
            connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{comment}'"))
            connection.execute(text("DELETE FROM alembic_version"))
            if version is not None:
                connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})

    current = schema_versions(engine).current
    yield change
    change(current)
    engine.dispose()


def test_the_schema_is_not_of_this_version(shell: Shell, set_schema_version: Callable[..., None]) -> None:
    for version, command in product((None, "0000"), ("worker", "beat", "flower", "orders list")):
        set_schema_version(version)
        sentence = shell.complaint(2, *command.split())
        assert f"schema is of version {version or 'none'}" in sentence
        assert "run `axkomet db upgrade`" in sentence


def test_the_schema_serves_this_program_no_more(shell: Shell, set_schema_version: Callable[..., None]) -> None:
    set_schema_version("9999", "serves 9000")
    for command in ("worker", "beat", "flower", "orders list", "db upgrade"):
        sentence = shell.complaint(2, *command.split())
        assert "of version 9999, serves programs that need 9000 or newer" in sentence
        assert "install a newer version" in sentence


def test_a_database_of_another_program(shell: Shell, set_schema_version: Callable[..., None]) -> None:
    set_schema_version("ae1027a6acf")
    for command in ("worker", "beat", "flower", "orders list", "status", "db upgrade"):
        sentence = shell.complaint(2, *command.split())
        assert "is no ledger of axkomet" in sentence
        assert "ae1027a6acf" in sentence


def test_a_newer_schema_that_serves_this_program_is_as_good(
    shell: Shell, set_schema_version: Callable[..., None]
) -> None:
    set_schema_version("9999")
    for command in ("db upgrade", "orders list"):
        assert shell.run(*command.split()).returncode == 0


def test_a_port_is_taken(shell: Shell, taken_port: int) -> None:
    sentence = shell.complaint(2, "sandbox", "--komet-port", str(taken_port), "--axerrio-port", "0")
    assert "cannot listen" in sentence
    for command in ("up", "flower"):
        sentence = shell.complaint(2, command, AXKOMET_FLOWER_PORT=str(taken_port), AXKOMET_FLOWER_PASSWORD="word")
        assert f"Port {taken_port} is taken" in sentence
        assert "AXKOMET_FLOWER_PORT" in sentence


def test_a_second_up_is_told_so_before_its_ports(shell: Shell, taken_port: int) -> None:
    home = Path(shell.env["AXKOMET_HOME"])
    home.mkdir(exist_ok=True)
    with (home / "up.lock").open("a+") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Already running (process 4711)" in shell.complaint(2, "up", AXKOMET_FLOWER_PORT=str(taken_port))


def test_one_port_for_two(shell: Shell) -> None:
    sentence = shell.complaint(2, "up", AXKOMET_FLOWER_PORT=shell.env["AXKOMET_METRICS_PORT"])
    assert "Flower and the metrics cannot share port" in sentence


def test_an_address_that_is_not_this_machines(shell: Shell) -> None:
    for command in ("up", "flower", "metrics"):
        sentence = shell.complaint(2, command, AXKOMET_LISTEN="192.0.2.1", AXKOMET_FLOWER_PASSWORD="word")
        assert "Nobody can listen on 192.0.2.1:" in sentence
        assert "(Cannot assign requested address)" in sentence
        assert "set AXKOMET_LISTEN to an address of this machine" in sentence


def test_what_nobody_could_enter_in_flower(shell: Shell) -> None:
    for command, access in product(("up", "flower"), ({"USER": "a:b"}, {"USER": "josé"}, {"PASSWORD": "contraseña"})):
        words = {f"AXKOMET_FLOWER_{name}": word for name, word in ({"PASSWORD": "geheim"} | access).items()}
        sentence = shell.complaint(2, command, **words)
        assert "Nobody could log in to Flower: take characters of ASCII" in sentence
        assert words["AXKOMET_FLOWER_PASSWORD"] not in sentence


def test_a_port_that_is_none(shell: Shell) -> None:
    assert shell.run("sandbox", "--komet-port", "99999").returncode == 2


# -- what is no UTF-8 -----------------------------------------------------------------------------------------


def test_an_argument_that_is_no_utf8(shell: Shell) -> None:
    assert "An argument is no text in UTF-8" in shell.complaint(2, "orders", "show", "caf\udce9")


def test_another_encoding_of_the_terminal(shell: Shell, ledger: Ledger) -> None:
    """What programs read is in UTF-8 all the same; a screen shows what it can."""
    for arguments in (["mapping", "set", "miami", "LÍRIO", "--product-code", "Ž"], ["mapping", "list"]):
        assert started(shell, *arguments).returncode == 0
    assert json.loads(started(shell, "mapping", "list", "--json").stdout)[0]["product_code"] == "Ž"
    assert "LÍRIO,Ž," in started(shell, "mapping", "export").stdout.decode()


def started(shell: Shell, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Python chooses the encoding as it starts."""
    env = shell.env | {"PYTHONIOENCODING": "latin-1"}
    return subprocess.run(axkomet_command(*arguments), cwd=shell.folder, env=env, capture_output=True)


# -- keys ------------------------------------------------------------------------------------------------------


def test_a_key_that_no_order_has_or_can_have(shell: Shell) -> None:
    for command, key in product(("orders show", "requeue"), ("2026-0", f"id:{'9' * 20}")):
        assert f"No order has the key {key}" in shell.complaint(3, *command.split(), key)


def test_a_key_that_two_orders_have(
    shell: Shell, world: World, database_url: str, make_ledger: Callable[..., Ledger]
) -> None:
    other = World(world.http, world.addresses, name="quito")
    other.seed()
    for each, key in ((world, "SO-1"), (other, "SO-2")):
        each.place(key=key, **{**each.order(), "number": "2026-1"})
    make_ledger().work()
    elsewhere = Ledger(other, database_url, other.connection())
    with elsewhere.runtime.sessions.begin() as session:  # its neighbour's next polls are not its own
        session.execute(update(Scope).where(Scope.connection_id == 1).values(due_at=None))
    try:
        elsewhere.work()
    finally:
        elsewhere.close()
    for command in ("orders show", "requeue"):
        sentence = shell.complaint(2, *command.split(), "2026-1")
        assert "axerrio:SO-1" in sentence
        assert "axerrio:SO-2" in sentence
    assert shell.run("orders", "show", "axerrio:SO-2").returncode == 0
