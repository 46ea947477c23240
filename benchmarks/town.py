"""A town: connections, and the processes that serve them, with what they cost while something is done."""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from celery import Celery
from redis import Redis
from sqlalchemy import func, select

from benchmarks.cost import resident, spent_by
from benchmarks.site import Site, running_site
from models.states import Feed, OrderState
from models.tables import Connection, Order, Scope
from tasks.polling import poll
from tasks.queues import OBSERVE, ORDERS
from tests.processes.plant import Json, Processes, bare_environment, connections_toml
from tests.world import World

#: The defaults of the settings that tests shorten.
DEFAULTS = {
    "AXKOMET_POLL_SECONDS": "60",
    "AXKOMET_SWEEP_SECONDS": "5",
    "AXKOMET_HTTP_TIMEOUT_SECONDS": "20",
    "AXKOMET_IN_DOUBT_GRACE_SECONDS": "60",
    "AXKOMET_RETRY_BASE_SECONDS": "2",
    "AXKOMET_RETRY_MAX_SECONDS": "300",
    "AXKOMET_CONCURRENCY": "16",
}
#: Requests a second, as a connection has it that says nothing of it.
USUAL_PACE = 5.0
#: Orders that are confirmed in one call.
_BATCH = 1000


@dataclass
class Town:
    """Connections, and the processes that serve them."""

    site: Site
    worlds: Sequence[World]
    processes: Processes

    def cpu(self) -> dict[str, float]:
        """Processor seconds of each kind of process since it began."""
        spent = {"PostgreSQL": spent_by(self.site.postgres.pid), "Valkey": spent_by(self.site.valkey.pid)}
        for name, child in self.processes.children.items():
            role = name.partition("-")[0]
            spent[role] = spent.get(role, 0.0) + spent_by(child.process.pid)
        return spent

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = self.processes.children
        return [child.process.pid for name, child in children.items() if name.startswith("worker")]

    def poll(self) -> None:
        """Let the sales orders of all connections be read at the next sweep, as `axkomet poll` does."""
        with self.processes.sessions.begin() as session:
            for connection in session.scalars(select(Connection.id)):
                poll(session, connection, Feed.SALES_ORDERS)

    def send_idle(self, tasks: int, *, late: bool = False) -> None:
        """Send so many messages that name scopes which are not due: each is read, looked up and acknowledged.

        With `late` they came so late that another was sent, and the look-up is one statement.
        """
        until = "2000-01-01T00:00:00+00:00" if late else None
        with self.processes.sessions() as session:
            scopes = itertools.cycle(session.scalars(select(Scope.id).order_by(Scope.id)).all())
        with Celery(broker=self.site.redis_url) as app:
            for scope in itertools.islice(scopes, tasks):
                app.send_task("observe", args=(scope, until), queue=OBSERVE, argsrepr="idle", ignore_result=True)

    def waiting(self) -> int:
        """Messages that no worker has taken up."""
        with Redis.from_url(self.site.redis_url) as redis:
            return sum(int(str(redis.llen(queue))) for queue in (OBSERVE, ORDERS))

    def count(self, state: OrderState) -> int:
        """Orders in a state."""
        with self.processes.sessions() as session:
            return session.scalars(select(func.count()).where(Order.state == state)).one()

    def connections_read(self) -> int:
        """Connections whose sales orders were read."""
        read = select(func.count()).where(Scope.feed == Feed.SALES_ORDERS, Scope.last_success_at.is_not(None))
        with self.processes.sessions() as session:
            return session.scalars(read).one()


@dataclass
class Run:
    """What was measured."""

    seconds: float
    #: Processor seconds, by kind of process.
    cpu: Mapping[str, float]
    #: Bytes that all workers hold.
    resident: int
    deaths: Sequence[tuple[str, int]]


@contextmanager
def town(connections: int, workers: int, settings: dict[str, str], pace: float = USUAL_PACE) -> Iterator[Town]:
    """So many connections and workers, once everything was read for the first time; `pace` as in `environment_of`."""
    with running_site() as site:
        worlds = [site.world(f"c{n}") for n in range(connections)]
        env = environment_of(site, worlds, pace)
        processes = Processes(site.folder, env | settings, workers=workers)
        made = Town(site, worlds, processes)
        try:
            processes.start_all()
            processes.wait_until(lambda: made.connections_read() == connections, 300, "the first read of each feed")
            processes.work(10)
            yield made
        finally:
            processes.stop()


@contextmanager
def measuring(town: Town) -> Iterator[list[Run]]:
    """Measure what is done meanwhile; the list holds it at the end."""
    found: list[Run] = []
    before, began = town.cpu(), time.monotonic()
    yield found
    seconds, after = time.monotonic() - began, town.cpu()
    cpu = {name: spent - before[name] for name, spent in after.items()}
    found.append(Run(seconds, cpu, sum(map(resident, town.workers)), tuple(town.processes.deaths)))


def environment_of(site: Site, worlds: Iterable[World], pace: float = USUAL_PACE) -> dict[str, str]:
    """The environment of a process that serves these worlds, with a connections file in the site's folder.

    Args:
        site: where the services are.
        worlds: each is a connection.
        pace: requests a second that each Komet company is asked at most.
    """
    tokens: dict[str, str] = {}
    entries: list[Json] = []
    for world in worlds:
        name = world.name.upper()
        entry = world.entry()
        entry["komet"] |= {"token_env": f"KOMET_{name}", "requests_per_second": pace}
        entry["axerrio"] |= {"token_env": f"AXERRIO_{name}"}
        entries.append(entry)
        tokens |= {f"KOMET_{name}": world.komet_token, f"AXERRIO_{name}": world.axerrio_token}
    urls = {"AXKOMET_DATABASE_URL": site.database_url, "AXKOMET_REDIS_URL": site.redis_url}
    return bare_environment(site.folder, connections_toml(*entries), tokens, **urls)


def sell(world: World, count: int) -> list[str]:
    """Confirm so many orders of a connection at once; gives their keys."""
    keys = [f"{world.name}-{n}" for n in range(count)]
    for first in range(0, count, _BATCH):
        orders = [{**world.order(), "key": key, "number": key} for key in keys[first : first + _BATCH]]
        world.control("orders", tenant_token=world.axerrio_token, orders=orders)
    return keys
