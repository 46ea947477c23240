"""A site of its own for one run: PostgreSQL, Valkey and the sandbox as processes, all gone when the run ends."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.database import make_engine, upgrade
from tests.world import World, running_sandbox
from worker.services import EmbeddedPostgres, EmbeddedValkey


@dataclass
class Site:
    """Where everything is."""

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    database_url: str
    redis_url: str
    #: Of the sandbox.
    addresses: dict[str, str]
    http: httpx.Client

    def world(self, name: str = "miami") -> World:
        """A Komet company and an Axerrio tenant of their own, for a connection of this name."""
        made = World(self.http, self.addresses, name)
        made.seed()
        return made


@contextmanager
def running_site(**options: str) -> Iterator[Site]:
    """Start it all, with the schema in place; stop it all. Options are of PostgreSQL's server."""
    with tempfile.TemporaryDirectory(prefix="axkomet-") as name:
        folder = Path(name)
        postgres, valkey = EmbeddedPostgres(folder, options=options), EmbeddedValkey(folder)
        try:
            database_url, redis_url = postgres.start(), valkey.start()
            engine = make_engine(database_url)
            upgrade(engine)
            engine.dispose()
            with running_sandbox() as addresses, httpx.Client(timeout=30) as http:
                yield Site(folder, postgres, valkey, database_url, redis_url, addresses, http)
        finally:
            valkey.stop()
            postgres.stop()
