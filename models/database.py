"""The way to the ledger: engine, sessions, the one clock, migrations."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import DateTime, Engine, create_engine, func, select, text
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

if TYPE_CHECKING:  # heavy, and only migrations need it: every command reads the schema's version
    from alembic.config import Config

#: Every wait is bounded: a thread of the worker has no time limit of its own.
_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"
)
_CLOCK = "clock"


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
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_use_lifo=True,  # few are in use mostly, and each has statements that it prepared
        connect_args={"connect_timeout": 3, "options": f"{_OPTIONS} {options}".strip()},
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def now(session: Session) -> datetime:
    """The ledger's time, UTC. Asked for once in a transaction; what passes after that is added here."""
    transaction = session.get_transaction() or session.begin()
    clock: _Clock | None = session.info.get(_CLOCK)
    if clock is None or clock.transaction is not transaction:
        moment = session.execute(select(func.axkomet_now(type_=DateTime(timezone=True)))).scalar_one()
        clock = session.info[_CLOCK] = _Clock(transaction, moment, time.monotonic())
    return clock.moment + timedelta(seconds=time.monotonic() - clock.read_at)


def migrations_of(engine: Engine) -> "Config":
    """The migrations, to be run on an engine."""
    from alembic.config import Config

    config = Config(attributes={"engine": engine})
    config.set_main_option("script_location", str(files("models") / "migrations"))
    return config


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version. Safe to run at once from several processes: they take turns."""
    from alembic import command

    command.upgrade(migrations_of(engine), "head")


def schema_versions(engine: Engine) -> tuple[str | None, str]:
    """The schema's version in the database (None: empty) and the one this code needs."""
    with engine.connect() as connection:
        exists = connection.scalar(select(func.to_regclass("alembic_version"))) is not None
        current = connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
    versions = files("models") / "migrations" / "versions"
    return current, max(each.name[:4] for each in versions.iterdir() if each.name.endswith(".py"))
