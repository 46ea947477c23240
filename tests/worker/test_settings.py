import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from models.database import make_engine
from tasks.dates import is_time_zone
from worker.assembly import place_of
from worker.connections import parse_connections
from worker.problems import Problem
from worker.settings import (
    ServiceUrls,
    Settings,
    check_database_url,
    load_settings,
    read_secret_variable,
    resolve_services,
)

DATABASE = "postgresql+psycopg://u:geheim@db:5432/x"
REDIS = "redis://:geheim@cache:6379/0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AXKOMET_{name.upper()}", raising=False)
    return tmp_path


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert settings.home == Path(".axkomet")
    assert (settings.poll_seconds, settings.sweep_seconds, settings.concurrency) == (60, 5, 16)


def test_environment_comes_before_env_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("AXKOMET_POLL_SECONDS=7.5\nAXKOMET_CONCURRENCY=3\nKOMET_TOKEN_X=abc\n")
    monkeypatch.setenv("AXKOMET_CONCURRENCY", "4")
    monkeypatch.setenv("AXKOMET_LOG_LEVEL", "debug")
    settings = load_settings()
    assert (settings.poll_seconds, settings.concurrency, settings.log_level) == (7.5, 4, "DEBUG")


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_DATABASE_URL", "")
    monkeypatch.setenv("AXKOMET_MAX_ATTEMPTS", "")
    settings = load_settings()
    assert settings.database_url is None
    assert settings.max_attempts == 12
    assert settings.retention_days == 400


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("POLL_SECONDS", "0", "greater than 0"),
        ("POLL_SECONDS", "nan", "finite"),
        ("POLL_SECONDS", "1e12", "less than or equal to 1814400"),
        ("HOME", "~no-such-user/x", "names a home that nobody knows"),
        ("SECRETS", "~no-such-user/x", "names a home that nobody knows"),
        ("SWEEP_SECONDS", "soon", "number"),
        ("CONCURRENCY", "-1", "greater than 0"),
        ("MAX_ATTEMPTS", "1.5", "integer"),
        ("RETENTION_DAYS", "0", "greater than 0"),
        ("RETENTION_DAYS", "400000", "less than or equal to 36500"),
        ("FLOWER_PORT", "70000", "65535"),
        ("LISTEN", "everywhere", "IPv4"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO'"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
    ],
)
def test_bad_value_gives_one_sentence(name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AXKOMET_{name}", value)
    with pytest.raises(Problem) as raised:
        load_settings()
    message = str(raised.value)
    assert message.startswith(f"AXKOMET_{name} is ")
    assert value.casefold() in message.casefold()
    assert expected in message
    assert "\n" not in message
    assert raised.value.exit_code == 2


def test_unreadable_env_file_is_a_problem(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(Problem, match=r"\.env cannot be read"):
        load_settings()
    with pytest.raises(Problem, match=r"\.env cannot be read"):
        read_secret_variable("A")


def test_secret_variable_from_environment_then_env_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_secret_variable("KOMET_TOKEN_X") is None
    (folder / ".env").write_text("KOMET_TOKEN_X='from file'\nKOMET_TOKEN_EMPTY=\n")
    assert read_secret_variable("KOMET_TOKEN_X") == "from file"
    assert read_secret_variable("KOMET_TOKEN_EMPTY") is None
    monkeypatch.setenv("KOMET_TOKEN_X", "from environment")
    assert read_secret_variable("KOMET_TOKEN_X") == "from environment"


def test_a_token_is_taken_as_it_stands_and_a_folder_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", str(folder))
    (folder / "KOMET_TOKEN_Y").write_text("from a secret")
    (folder / ".env").write_text("AXKOMET_SECRETS=${HERE}\nKOMET_TOKEN_X=${HERE}\n")
    assert load_settings().secrets == folder
    assert (read_secret_variable("KOMET_TOKEN_X"), read_secret_variable("KOMET_TOKEN_Y")) == (
        "${HERE}",
        "from a secret",
    )


def test_secrets_are_files_named_as_the_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_SECRETS", str(folder / "secrets"))
    assert load_settings().flower_password is None  # there is no such folder
    assert read_secret_variable("KOMET_TOKEN_X") is None
    (folder / "secrets").mkdir()
    secrets = {"AXKOMET_FLOWER_PASSWORD": "of Flower\n", "axkomet_concurrency": "3", "KOMET_TOKEN_X": "from a secret\n"}
    for name, value in secrets.items():
        (folder / "secrets" / name).write_text(value)
    settings = load_settings()
    assert settings.flower_password
    assert settings.flower_password.get_secret_value() == "of Flower"
    assert settings.concurrency == 3
    assert read_secret_variable("KOMET_TOKEN_X") == "from a secret"
    (folder / ".env").write_text("AXKOMET_CONCURRENCY=4\nKOMET_TOKEN_X=abc\n")
    assert (load_settings().concurrency, read_secret_variable("KOMET_TOKEN_X")) == (4, "abc")


def test_a_secret_that_begins_with_the_mark_of_notepad(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_SECRETS", str(folder))
    for name in ("AXKOMET_FLOWER_PASSWORD", "KOMET_TOKEN_X"):
        (folder / name).write_text("word\r\n", "utf-8-sig")
    password = load_settings().flower_password
    assert password
    assert (password.get_secret_value(), read_secret_variable("KOMET_TOKEN_X")) == ("word", "word")


def test_a_token_for_a_variables_name_is_not_told_with_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_SECRETS", str(folder))
    with pytest.raises(Problem, match="is token_env the token itself") as raised:
        read_secret_variable("s3cret" * 60)  # longer than a file's name may be
    assert "s3cret" not in str(raised.value)


def test_unreadable_secret_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_SECRETS", str(folder))
    for name in ("AXKOMET_FLOWER_PASSWORD", "KOMET_TOKEN_X"):
        (folder / name).write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match=f"a file of {folder} cannot be read"):
        load_settings()
    with pytest.raises(Problem, match="KOMET_TOKEN_X cannot be read"):
        read_secret_variable("KOMET_TOKEN_X")


@pytest.mark.parametrize(
    ("name", "url", "whole"),
    [
        ("DATABASE", "postgresql+psycopg://u@db:5432/x", "postgresql+psycopg://u:a%2F%40%3Ab@db:5432/x"),
        ("DATABASE", DATABASE, DATABASE),
        ("REDIS", "redis://cache:6379/0", "redis://:a%2F%40%3Ab@cache:6379/0"),
        ("REDIS", "redis://u@cache:6379/0", "redis://u:a%2F%40%3Ab@cache:6379/0"),
        ("REDIS", REDIS, REDIS),
    ],
)
def test_a_password_of_its_own_goes_into_a_url_without_one(
    name: str, url: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AXKOMET_DATABASE_URL", DATABASE)
    monkeypatch.setenv("AXKOMET_REDIS_URL", REDIS)
    monkeypatch.setenv(f"AXKOMET_{name}_URL", url)
    monkeypatch.setenv(f"AXKOMET_{name}_PASSWORD", "a/@:b")
    assert getattr(resolve_services(load_settings()), f"{name.lower()}_url") == whole


def test_each_service_url_stands_for_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / ".axkomet"
    home.mkdir()
    monkeypatch.setenv("AXKOMET_DATABASE_URL", DATABASE)
    with pytest.raises(Problem, match=r"AXKOMET_REDIS_URL.*axkomet up"):
        resolve_services(load_settings())
    (home / "services.json").write_text(json.dumps({"redis_url": REDIS}))
    assert resolve_services(load_settings()) == ServiceUrls(DATABASE, REDIS)
    monkeypatch.delenv("AXKOMET_DATABASE_URL")
    with pytest.raises(Problem, match=r"AXKOMET_DATABASE_URL.*axkomet up"):
        resolve_services(load_settings())


def test_broken_services_file_is_a_problem_where_it_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / ".axkomet"
    home.mkdir()
    (home / "services.json").write_text("{")
    with pytest.raises(Problem, match=r"services\.json cannot be read"):
        resolve_services(load_settings())
    monkeypatch.setenv("AXKOMET_DATABASE_URL", DATABASE)
    monkeypatch.setenv("AXKOMET_REDIS_URL", REDIS)
    assert resolve_services(load_settings()) == ServiceUrls(DATABASE, REDIS)


def test_another_users_services_file_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read every file, so it is said in its place."""
    settings = load_settings()
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(Problem, match=r"services\.json is another user's: run this as the user who runs `axkomet up`"):
        resolve_services(settings)


@pytest.mark.parametrize("word", ["9" * 5000, "[" * 20_000])
def test_what_no_file_means_is_a_problem(word: str) -> None:
    with pytest.raises(Problem, match="is not valid TOML"):
        parse_connections(f"connection = {word}", Path("connections.toml"))


@pytest.mark.parametrize("zone", ["posix/America/New_York", "right/America/New_York", "localtime"])
def test_a_time_zone_that_only_this_machine_may_know(zone: str) -> None:
    assert not is_time_zone(zone)


@pytest.mark.parametrize(
    ("address", "place"),
    [("db", "db:5432"), ("[::1]:5433", "::1:5433"), ("", "the local socket"), ("/x?host=/run", "/run:5432")],
)
def test_where_the_database_is(address: str, place: str) -> None:
    assert place_of(make_engine(f"postgresql+psycopg://{address}")) == place


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_database_url_gets_the_one_driver(scheme: str) -> None:
    assert check_database_url(f"{scheme}://u:geheim@db:5432/x") == DATABASE


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "geheim"),
        ("DATABASE_URL", "postgresql://u:geheim@db:port/x"),
        ("DATABASE_URL", "postgresql://u:p@geheim@db:5432/x"),
        ("DATABASE_URL", "postgresql+psycopg2://u:geheim@db/x"),
        ("DATABASE_URL", "mysql://u:geheim@db/x"),
        ("REDIS_URL", "geheim"),
        ("REDIS_URL", "amqp://u:geheim@cache"),
        ("REDIS_URL", "redis://:geheim@cache:port/0"),
        ("REDIS_URL", "redis://geheim:12/geheim@cache:6379"),
        ("REDIS_URL", "redis://geheim:12?geheim@cache:6379"),
        ("REDIS_URL", "redis://geheim:12#geheim@cache:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:geheim@cache/0?db=abc"),
        ("REDIS_URL", "redis://:geheim@cache/0?socket_timeout=abc"),
        ("REDIS_URL", "redis://:geheim@cache/0?foo=1"),
        ("REDIS_URL", "redis://:geheim@cache/0?protocol=9"),
        ("REDIS_URL", "rediss://:geheim@cache/0?ssl_cert_reqs=foo"),
        ("REDIS_URL", "redis://:geheim@cache..x:6379/0"),
    ],
)
def test_wrong_url_is_named_without_its_secret(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXKOMET_DATABASE_URL", DATABASE)
    monkeypatch.setenv("AXKOMET_REDIS_URL", REDIS)
    monkeypatch.setenv(f"AXKOMET_{variable}", value)
    with pytest.raises(Problem, match=f"^AXKOMET_{variable} ") as raised:
        resolve_services(load_settings())
    assert "geheim" not in str(raised.value)


def test_urls_do_not_show_their_passwords() -> None:
    settings = Settings(database_url=DATABASE, redis_url=REDIS)
    assert "geheim" not in repr(settings)
    assert "geheim" not in repr(resolve_services(settings))
