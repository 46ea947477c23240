"""Alembic's environment: runs on the engine it is given, one process at a time."""

from alembic import context
from sqlalchemy import Engine, text

from models.tables import Base

#: Any number that no other application uses for an advisory lock in this database.
_LOCK = 4_828_174


def run() -> None:
    """Run the migrations, in one transaction; a second process waits for the first, as both wait for others' locks."""
    engine: Engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '3s'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        try:
            context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()
            connection.invalidate()


run()
