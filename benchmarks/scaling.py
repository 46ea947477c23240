"""Scaling: what an order and an idle connection cost each process, and what a second worker brings.

    python -m benchmarks.scaling [--orders N] [--idle M] [--minutes T]

Some connections sell at once, to one worker and then to two; both systems answer as fast as the sandbox can. Measured
is the time from the first sale until all orders stand in both systems, linked, and the processor time that each
process took meanwhile. Then one worker serves many connections that sell nothing. Exit code 1 where a process died.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.isolation import SETTINGS, entry_of, tokens_of
from benchmarks.memory import resident
from benchmarks.report import publish, table
from benchmarks.site import Site, running_site
from models.states import Feed, OrderState
from models.tables import Order, Scope
from tests.processes.plant import Processes, bare_environment, connections_toml
from tests.world import World

_SELLING = 8
_WORKERS = (1, 2)
_IDLE_POLL = 60
_LONGEST_SECONDS = 900.0
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 2**20


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


def spent_by(pid: int) -> float:
    """Processor seconds of a process, of its children that live, and of those that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, fields[11:15])) / _TICKS + sum(spent_by(int(each)) for each in children)


@contextmanager
def town(connections: int, workers: int, settings: dict[str, str]) -> Iterator[Town]:
    """So many connections and workers, once everything was read for the first time."""
    with running_site() as site:
        worlds = [site.world(f"c{n}") for n in range(connections)]
        env = bare_environment(
            site.folder,
            connections_toml(*map(entry_of, worlds)),
            {name: token for world in worlds for name, token in tokens_of(world).items()},
            AXKOMET_DATABASE_URL=site.database_url,
            AXKOMET_REDIS_URL=site.redis_url,
        )
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
    workers = [child.process.pid for name, child in town.processes.children.items() if name.startswith("worker")]
    cpu = {name: spent - before[name] for name, spent in after.items()}
    found.append(Run(seconds, cpu, sum(map(resident, workers)), tuple(town.processes.deaths)))


def sell(workers: int, orders: int) -> Run:
    """Sell so many orders at once, and wait until all of them stand in both systems."""
    with town(_SELLING, workers, SETTINGS) as made:
        with measuring(made) as found:
            for n in range(orders):
                made.worlds[n % _SELLING].place()
            made.processes.wait_until(
                lambda: made.count(OrderState.ORDERED) == orders,
                _LONGEST_SECONDS,
                lambda: f"{orders} orders, not {made.count(OrderState.ORDERED)},",
            )
        print(f"{workers} worker(s): {orders} orders in {found[0].seconds:.1f} s", file=sys.stderr)
        return found[0]


def rest(connections: int, minutes: float) -> Run:
    """Sell nothing."""
    with town(connections, 1, SETTINGS | {"AXKOMET_POLL_SECONDS": str(_IDLE_POLL)}) as made:
        with measuring(made) as found:
            made.processes.work(minutes * 60)
        return found[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--orders", type=int, default=80)
    parser.add_argument("--idle", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=3)
    given = parser.parse_args(arguments)
    sold = {workers: sell(workers, given.orders) for workers in _WORKERS}
    rested = rest(given.idle, given.minutes)
    kinds = ["worker", "PostgreSQL", "Valkey", "beat"]
    busy = [
        [
            workers,
            f"{run.seconds:.0f} s",
            f"{given.orders / run.seconds:.2f}",
            *(f"{run.cpu[kind] / given.orders * 1000:.0f} ms" for kind in kinds),
            f"{sum(run.cpu.values()) / run.seconds:.2f} of {os.cpu_count()}",
            f"{run.resident / workers / _MIB:.0f} MiB",
        ]
        for workers, run in sold.items()
    ]
    idle = [
        [
            given.idle,
            *(f"{rested.cpu[kind] / rested.seconds * 60 / given.idle * 1000:.0f} ms" for kind in kinds),
            f"{rested.resident / _MIB:.0f} MiB",
        ]
    ]
    words = (
        f"{given.orders} orders of two lines, sold at once by {_SELLING} connections, until all of them stand in both "
        "systems with the ids of the other; polls "
        f"{SETTINGS['AXKOMET_POLL_SECONDS']} s apart. The processor time is for each order, and all of it in cores "
        "that were busy; the simulated Komet and Axerrio run on the same cores and are not counted."
    )
    quiet = (
        f"One worker with {given.idle} connections that sell nothing, polls {_IDLE_POLL} s apart, over "
        f"{rested.seconds / 60:.0f} minutes. The processor time is for each connection and minute."
    )
    head = ["workers", "until all are ordered", "orders a second", *kinds, "cores", "memory of a worker"]
    tables = [table(head, busy), quiet, table(["connections", *kinds, "memory of the worker"], idle)]
    publish("scaling.md", "scaling", "make scaling", "\n\n".join([words, *tables]))
    return int(any(run.deaths for run in (*sold.values(), rested)))


if __name__ == "__main__":
    sys.exit(main())
