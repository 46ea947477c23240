"""The way to the ledger: engine, sessions, the one clock, migrations."""

import math
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import DateTime, Engine, create_engine, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

if TYPE_CHECKING:  # heavy, and only migrations need it: every command reads the schema's version
    from alembic.config import Config

#: Every wait is bounded: a thread of the worker has no time limit of its own.
_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"
    # So that the server gives up a client that went away without a word, and has room for it when it comes back.
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 -c tcp_user_timeout=10000"
)
#: A network may swallow what is sent, and nobody says so: then a connection is given up after 10 to 15 seconds.
#: Without these, an answer that never comes is waited for two hours, and what was sent is repeated for 15 minutes.
_SILENCE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 10_000}
_CLOCK = "clock"
#: What the ledger's clock shows, within a statement.
CLOCK = func.axkomet_now(type_=DateTime(timezone=True))
#: Between two tries to upgrade, in seconds.
_UPGRADE_PAUSE = 1.0
#: A connection that was used within so many seconds is taken for alive: to ask costs as much as a small statement.
_ALIVE_SECONDS = 1.0
_USED_AT = "used_at"


@dataclass(frozen=True)
class _Clock:
    """What the ledger's clock showed in a transaction, and when by our own."""

    transaction: SessionTransaction
    moment: datetime
    read_at: float


def make_engine(url: str, *, pool_size: int = 5, options: str = "") -> Engine:
    """An engine whose every wait is bounded.

    Args:
        url: SQLAlchemy URL, `postgresql+psycopg://…`.
        pool_size: connections kept; one more is never opened.
        options: further server options, such as `-c axkomet.clock_offset=60s`.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # few are in use mostly, and each has statements that it prepared
        connect_args={
            "connect_timeout": 3,
            "prepare_threshold": 1,  # executions before a statement is prepared: what comes twice comes often
            **_SILENCE,
            "options": f"{_OPTIONS} {options}".strip(),
        },
    )

    @event.listens_for(engine, "checkin")
    def used(_connection: PoolProxiedConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """What `pool_pre_ping` does at each use."""
        if time.monotonic() - record.info.get(_USED_AT, math.inf) < _ALIVE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return engine


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose rows stay readable after the commit.

    What is run often uses `begin()`, which ends with a commit, even where it only reads: at a rollback psycopg has
    PostgreSQL forget all that it prepared on the connection.
    """
    return sessionmaker(engine, expire_on_commit=False)


def now(session: Session) -> datetime:
    """The ledger's time, UTC. Asked for once in a transaction; what passes after that is added here."""
    transaction = session.get_transaction() or session.begin()
    clock: _Clock | None = session.info.get(_CLOCK)
    if clock is None or clock.transaction is not transaction:
        clock = tell_time(session, session.execute(select(CLOCK)).scalar_one())
    return clock.moment + timedelta(seconds=time.monotonic() - clock.read_at)


def tell_time(session: Session, moment: datetime) -> _Clock:
    """A statement of the session's transaction told the ledger's time, so that nobody need ask."""
    transaction = session.get_transaction() or session.begin()
    clock = session.info[_CLOCK] = _Clock(transaction, moment, time.monotonic())
    return clock


def migrations_of(engine: Engine) -> "Config":
    """The migrations, to be run on an engine."""
    from alembic.config import Config

    config = Config(attributes={"engine": engine})
    config.set_main_option("script_location", str(files("models") / "migrations"))
    return config


def upgrade(engine: Engine, *, patience: float = 60.0) -> None:
    """Bring the schema to the newest version; one that is newer and serves this code stays as it is.

    Safe to run at once from several processes, which take turns, and beside workers: what they hold is waited for
    three seconds at a time, since they wait behind us, and in between they go on.

    Args:
        engine: of the database.
        patience: seconds in all.

    Raises:
        SchemaBusyError: others held for so long what it needs; nothing is changed.
        SchemaUnfitError: the schema does not serve this code any more, or another program made it.
    """
    from alembic import command

    versions = schema_versions(engine)
    if not versions.is_ours or (versions.current is not None and versions.current > versions.needed):
        if versions.serves:
            return
        raise SchemaUnfitError
    give_up_at = time.monotonic() + patience
    while True:
        try:
            command.upgrade(migrations_of(engine), "head")
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            if time.monotonic() >= give_up_at:
                raise SchemaBusyError from error
        else:
            return
        time.sleep(_UPGRADE_PAUSE)


class SchemaBusyError(Exception):
    """The schema could not be upgraded, since others held what it needs."""


class SchemaUnfitError(Exception):
    """The database's schema does not serve this code any more, or is another program's."""


class SchemaVersions(NamedTuple):
    """Versions of the schema, as its migrations are numbered."""

    #: In the database; None: it is empty.
    current: str | None
    #: By this code.
    needed: str
    #: Code that needs an older one cannot work on it: the comment of `alembic_version` says so, as `serves 0006`.
    oldest: str
    #: False: another program that uses Alembic made it.
    is_ours: bool

    @property
    def serves(self) -> bool:
        """This code may work on it."""
        return self.is_ours and self.current is not None and self.current >= self.needed >= self.oldest


def schema_versions(engine: Engine) -> SchemaVersions:
    """The schema's version in the database, the one this code needs, and the oldest one that may be needed there."""
    with engine.connect() as connection:
        table = connection.scalar(select(func.to_regclass("alembic_version")))
        current = connection.scalar(text("SELECT version_num FROM alembic_version")) if table is not None else None
        clock = connection.scalar(select(func.to_regproc("axkomet_now")))
        comment = connection.scalar(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"))
    versions = files("models") / "migrations" / "versions"
    needed = max(each.name[:4] for each in versions.iterdir() if each.name.endswith(".py"))
    said = re.search(r"\bserves (\d{4})\b", comment or "")
    is_ours = current is None or (clock is not None and re.fullmatch(r"\d{4}", current) is not None)
    return SchemaVersions(current, needed, said[1] if said else "0000", is_ours)
