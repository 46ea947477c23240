"""Settings from the environment or `.env`, and where PostgreSQL and the broker are."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from worker.problems import Problem

ENV_PREFIX = "AXKOMET_"
ENV_FILE = Path(".env")
#: Inside the home: the URLs of the embedded services while they run.
SERVICES_FILE = "services.json"
#: Where containers find theirs.
SECRETS_FOLDER = Path("/run/secrets")

#: Three weeks at most: the system's timers hold no more than 24 days.
Amount = Annotated[float, Field(gt=0, le=1_814_400, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
#: A century at most: what is older than the calendar cannot be compared.
Days = Annotated[int, Field(gt=0, le=36_500)]
Port = Annotated[int, Field(ge=1, le=65535)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("names a home that nobody knows: write the whole path") from None


Folder = Annotated[Path, AfterValidator(_expanded)]


class Settings(BaseSettings):
    """All settings; each is the variable `AXKOMET_` and its name. An empty variable counts as unset.

    Read them with `load_settings`, which turns a mistake into a `Problem`.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    database_url: SecretStr | None = None
    """Of PostgreSQL, `postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE`. Not set: `axkomet up` runs its own."""
    redis_url: SecretStr | None = None
    """Of Redis or Valkey: broker, locks and pacing. `redis://:PASSWORD@HOST:PORT/0`, or `rediss://` for TLS. Not set:
    `axkomet up` runs its own."""
    database_password: SecretStr | None = None
    """Goes into the database's URL where that holds none: so a password may stand in a file of its own."""
    redis_password: SecretStr | None = None
    """The same for the URL of Redis or Valkey."""
    secrets: Folder = SECRETS_FOLDER
    """Folder in which each file is named as a variable and holds its value, where there is such a folder. What the
    environment and `.env` do not set is looked for here, tokens too."""
    connections: Folder = Path("connections.toml")
    """The connections file."""
    home: Folder = Path(".axkomet")
    """Folder of the embedded services' data and of all logs."""
    poll_seconds: Amount = 60
    """At most between two reads of a feed; Komet's are put further apart where its request budget is short."""
    sweep_seconds: Amount = 5
    """Between two ticks, each of which looks for what is due."""
    retry_base_seconds: Amount = 2
    """The first wait after a call that failed is at most so long, and each further one at most twice the last."""
    retry_max_seconds: Amount = 300
    """The longest such wait, and the longest time between two probes of a system that does not answer."""
    max_attempts: Count = 12
    """After so many writes without an answer an order is `failed`."""
    http_timeout_seconds: Amount = 20
    """Total deadline of one call to Komet or Axerrio, from connect to last byte."""
    in_doubt_grace_seconds: Amount = 60
    """Least wait after a call's deadline before absence is believed."""
    concurrency: Count = 16
    """Threads of one worker process."""
    log_level: LogLevel = "INFO"
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    log_format: Literal["console", "json"] | None = None
    """`console` or `json`. Not set: `console` on a terminal, else `json`."""
    retention_days: Days = 400
    """Writes and raw records of orders that ended are kept so long."""
    flower_user: str | None = None
    """Name to log in to Flower with. Not set: `axkomet`."""
    flower_password: SecretStr | None = None
    """Not set: `axkomet up` or `axkomet flower` makes one at each start and prints it."""
    flower_port: Port = 5555
    """Flower's."""
    metrics_port: Port = 9464
    """Of the metrics."""
    listen: IPv4Address = IPv4Address("127.0.0.1")
    """Address on which Flower and the metrics listen. Beyond loopback only within a network of containers, behind a
    proxy that asks for the password: Flower shows some pages to anybody."""

    @field_validator("*", mode="before")
    @classmethod
    def _without_mark(cls, value: object) -> object:
        """Windows' Notepad begins a file, and so a secret, with a byte order mark."""
        return value.removeprefix("\ufeff") if isinstance(value, str) else value


@dataclass(frozen=True)
class ServiceUrls:
    """Where the ledger and the broker are. Both may hold a password, so neither shows in its repr."""

    #: SQLAlchemy URL, always with the driver `postgresql+psycopg`.
    database_url: str = field(repr=False)
    #: `redis://` or `rediss://`.
    redis_url: str = field(repr=False)


def load_settings() -> Settings:
    """Read the settings from the environment, then from `.env` in the current folder, then from the secrets' folder.

    Raises:
        Problem: a variable has a wrong value, or `.env` or a secret cannot be read.
    """
    folder = _secrets_folder()
    try:
        return Settings(_secrets_dir=folder if folder.is_dir() else None)
    except ValidationError as invalid:
        # A secret is text and every text is valid here, so the value shown is never a secret.
        error = invalid.errors(include_url=False)[0]
        variable = f"{ENV_PREFIX}{error['loc'][0]}".upper()
        expected = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
        raise Problem(f"{variable} is {str(error['input'])!r} but {expected}.") from None
    except (OSError, ValueError) as unreadable:
        raise _unreadable(f"{ENV_FILE.absolute()} or a file of {folder}", unreadable.__cause__ or unreadable) from None


def read_secret_variable(name: str) -> str | None:
    """Look a variable up in the environment, then in `.env`, then in the secrets' folder; empty counts as unset.

    For the tokens that the connections file names, which are no settings of their own.

    Raises:
        Problem: `.env` or the secret cannot be read.
    """
    if value := _variable(name):
        return value
    file = _secrets_folder() / name
    try:
        return file.read_text("utf-8-sig").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as unreadable:
        if not name.isupper():  # it may be the token itself, as `resolve_token` says
            raise Problem(f"A secret in {file.parent} cannot be read: is token_env the token itself?") from None
        raise _unreadable(file, unreadable) from None


def _variable(name: str, *, interpolate: bool = False) -> str | None:
    """A token is taken as it stands; `${HOME}` in a setting is not, as elsewhere in `.env`."""
    if value := os.environ.get(name):
        return value
    try:
        return _env_file(interpolate=interpolate).get(name) or None
    except (OSError, UnicodeDecodeError) as unreadable:
        raise _unreadable(ENV_FILE, unreadable) from None


def _env_file(*, interpolate: bool) -> Mapping[str, str | None]:
    return dotenv_values(ENV_FILE, encoding="utf-8", interpolate=interpolate) if ENV_FILE.is_file() else {}


def _secrets_folder() -> Path:
    """Where the secrets are; whether there is such a folder is not asked."""
    named = _variable(f"{ENV_PREFIX}SECRETS", interpolate=True)
    try:
        return _expanded(Path(named)) if named else SECRETS_FOLDER
    except ValueError as unknown:
        raise Problem(f"{ENV_PREFIX}SECRETS is {named!r} but {unknown}.") from None


def resolve_services(settings: Settings) -> ServiceUrls:
    """Find both services: what is set, else what `axkomet up` runs in the same home.

    Whether they answer is not asked here: the file of an `up` that was killed is believed.

    Raises:
        Problem: a URL is neither set nor offered by a running `up`, or it is not a valid one.
    """
    urls, services = urls_set(settings), {"database_url": "PostgreSQL", "redis_url": "Redis or Valkey"}
    if urls.keys() != services.keys():
        urls = _running_services(settings.home) | urls
    for name, service in services.items():
        if name not in urls:
            raise Problem(
                f"No {service} is known: set {ENV_PREFIX}{name.upper()}, or start `axkomet up`, "
                f"which offers its own in {settings.home / SERVICES_FILE}."
            )
    return ServiceUrls(check_database_url(urls["database_url"]), check_redis_url(urls["redis_url"]))


def urls_set(settings: Settings) -> dict[str, str]:
    """The URLs of services that are set, by the names of their settings, each with its password.

    Raises:
        Problem: one is not a valid URL.
    """
    urls = {}
    if settings.database_url:
        urls["database_url"] = check_database_url(
            settings.database_url.get_secret_value(), _word(settings.database_password)
        )
    if settings.redis_url:
        urls["redis_url"] = check_redis_url(settings.redis_url.get_secret_value(), _word(settings.redis_password))
    return urls


def with_flower_password(settings: Settings) -> Settings:
    """The settings, with a password that is made now where none is set."""
    if settings.flower_password is not None:
        return settings
    return settings.model_copy(update={"flower_password": SecretStr(token_urlsafe(12))})


def flower_access(settings: Settings) -> tuple[str, str]:
    """User and password of Flower.

    Raises:
        Problem: no password is set, or nobody could enter what is set.
    """
    user, password = settings.flower_user or "axkomet", _word(settings.flower_password)
    if password is None:
        raise Problem(f"Flower's password is not known: set {ENV_PREFIX}FLOWER_PASSWORD.")
    if not f"{user}{password}".isascii() or ":" in user:
        raise Problem(
            f"Nobody could log in to Flower: take characters of ASCII alone for {ENV_PREFIX}FLOWER_USER and "
            f"{ENV_PREFIX}FLOWER_PASSWORD, and no colon for the user."
        )
    return user, password


def _word(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def check_database_url(url: str, password: str | None = None) -> str:
    """Return the URL with the driver `postgresql+psycopg`, and with the password where it holds none.

    Raises:
        Problem: it is no URL of a PostgreSQL database, or names another driver.
    """
    variable = f"{ENV_PREFIX}DATABASE_URL"
    wanted = "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE"
    try:
        parsed = make_url(url)
        if "@" in f"{parsed.host}{parsed.database}":
            raise ValueError("a part of the password was taken for the host")
    except (ArgumentError, ValueError):
        raise Problem(f"{variable} is not a database URL: write {wanted}, and %40 for an @ in the password.") from None
    if parsed.drivername not in ("postgresql+psycopg", "postgresql", "postgres"):
        raise Problem(f"{variable} begins with {parsed.drivername}:// but only {wanted} is supported.")
    if password and parsed.password is None:
        parsed = parsed.set(password=password)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def check_redis_url(url: str, password: str | None = None) -> str:
    """Return the URL as it is, but with the password where it holds none.

    Raises:
        Problem: it is no `redis://` or `rediss://` URL with a host and, where given, a port number, or it asks for what
            the client does not know.
    """
    from redis import Redis, RedisError  # heavy, and not every command needs it

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
        # Behind a / ? or # of a password, what follows it was taken for the path, and itself for the host.
        usable = usable and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
        if usable:  # what only shows when somebody connects is asked of a connection that is never opened
            Redis.from_url(url).connection_pool.make_connection()
            (parts.hostname or "").encode("idna")
    except (ValueError, TypeError, RedisError):
        usable = False
    if not usable:
        raise Problem(
            f"{ENV_PREFIX}REDIS_URL is not a Redis URL: write redis://:PASSWORD@HOST:PORT/0, or rediss:// for TLS, "
            "and %2F for a / in the password. After a ? stands only what its client knows."
        )
    if password and parts.password is None:
        user, _, host = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
    return url


def _running_services(home: Path) -> dict[str, str]:
    path = home / SERVICES_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise Problem(f"{path} is another user's: run this as the user who runs `axkomet up`.") from None
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be read ({error}): start `axkomet up` again, which writes it.") from None
    return {name: url for name, url in found.items() if isinstance(url, str)} if isinstance(found, dict) else {}


def _unreadable(what: Path | str, error: BaseException) -> Problem:
    where = what.absolute() if isinstance(what, Path) else what
    return Problem(f"{where} cannot be read as UTF-8 text: {error}.")
