"""Memory: what a worker holds that is never without work, while every fifth answer of both systems is lost.

    python -m benchmarks.memory [--warm M] [--minutes M]

One worker and one beat. As many orders are open all the time: whichever stands in both systems is cancelled, and for
each that is at its end another comes. The worker's resident memory is read each second from `/proc`. At first it
fills: statements are compiled, connections opened, and the heap becomes as large as the busiest moment needs. What
counts comes after that: the slope is the regression over it. Exit code 1 where the worker died, or grows by more than a
tenth an hour.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, linear_regression

from sqlalchemy import func, select

from benchmarks.cost import MIB, resident
from benchmarks.report import publish, table
from benchmarks.site import running_site
from models.states import FINAL, OrderState, WriteState
from models.tables import Observation, Order, Write
from tests.processes.plant import Plant
from tests.world import World

#: The rest is as the tests with processes have it. With every fifth answer lost, twelve attempts are soon used up.
SETTINGS = {
    "AXKOMET_CONCURRENCY": "16",
    "AXKOMET_POLL_SECONDS": "1",
    "AXKOMET_MAX_ATTEMPTS": "1000",
}
LOST = 0.2
#: Orders that are open all the time: more than the worker has threads.
_OPEN = 40
#: They leave on so many days.
_DAYS = 14
_MOST_GROWTH = 0.1


@dataclass
class Run:
    """What was seen."""

    #: Seconds that count for nothing.
    warm: float
    #: Resident bytes, by the seconds since the start.
    resident: dict[float, int] = field(default_factory=dict)
    orders: int = 0
    cancelled: int = 0
    writes: int = 0
    reads: int = 0
    deaths: list[tuple[str, int]] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """Bytes an hour."""
        samples = {at: size for at, size in self.resident.items() if at >= self.warm}
        return 3600 * linear_regression(list(samples), list(samples.values())).slope

    def around(self, seconds: float) -> float:
        """Bytes within five seconds of then."""
        return fmean(size for at, size in self.resident.items() if abs(at - seconds) <= 5)


def measure(warm: float, minutes: float) -> Run:
    """Let a worker work for so many minutes, after so many that count for nothing."""
    run = Run(warm * 60)
    with running_site() as site:
        world = site.world()
        entry = world.entry(change_guard=0)  # much is cancelled
        plant = Plant(site.folder, world, site.database_url, site.redis_url, settings=SETTINGS, entry=entry)
        try:
            plant.start_all()
            plant.earn_proof()
            lose_answers(world)
            cancelled: set[str | None] = set()
            began = time.monotonic()
            while (at := time.monotonic() - began) < run.warm + minutes * 60:
                with plant.sessions() as session:
                    ended = session.scalars(select(func.count()).where(Order.state.in_(FINAL))).one()
                    standing = session.scalars(select(Order.axerrio_key).where(Order.state == OrderState.ORDERED)).all()
                for key in set(standing) - cancelled:
                    world.place(key=key, status="cancelled")
                    cancelled.add(key)
                while run.orders - ended < _OPEN:
                    due = world.day(3 + run.orders % _DAYS)
                    world.place(departureDate=due, truckDate=due)
                    run.orders += 1
                run.resident[at] = resident(plant.children["worker-0"].process.pid)
                plant.work(max(0.0, 1 - (time.monotonic() - began - at)))
            run.deaths = plant.deaths
            with plant.sessions() as session:
                run.writes = session.scalars(select(func.count()).where(Write.state == WriteState.DONE)).one()
                run.reads = session.scalars(select(func.count(Observation.id))).one()
                run.cancelled = session.scalars(select(func.count()).where(Order.state == OrderState.CANCELLED)).one()
        finally:
            plant.stop()
    return run


def lose_answers(world: World) -> None:
    """The work is done, and its answer never comes, once in five times."""
    faults = [
        {"system": system, "method": "*", "kind": "lost_answer", "token": token, "probability": LOST, "seed": seed}
        for seed, (system, token) in enumerate((("komet", world.komet_token), ("axerrio", world.axerrio_token)))
    ]
    world.control("faults", faults=faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--warm", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args(arguments)
    run = measure(given.warm, given.minutes)
    end = max(run.resident)
    first, warm, last = run.around(min(60, end)), run.around(run.warm), run.around(end)
    figures = [
        [
            f"{run.warm / 60:.0f} + {(end - run.warm) / 60:.0f} min",
            run.orders,
            run.cancelled,
            run.writes,
            run.reads,
            f"{first / MIB:.1f} MiB",
            f"{warm / MIB:.1f} MiB",
            f"{last / MIB:.1f} MiB",
            f"{run.slope / MIB:+.1f} MiB an hour",
        ]
    ]
    head = ["run", "orders", "cancelled", "writes done", "reads done", "after a minute", "then", "at the end", "slope"]
    words = (
        f"Resident memory of a worker with {SETTINGS['AXKOMET_CONCURRENCY']} threads, read each second, while {_OPEN} "
        f"orders are open all the time and {LOST:.0%} of all answers of both systems are lost: whichever stands in "
        f"both systems is cancelled, and for each that ended another comes. In the first {given.warm:.0f} minutes it "
        "fills: statements are compiled, connections opened, and the heap becomes as large as the busiest moment "
        f"needs. The slope is the regression over the {given.minutes:.0f} minutes after that."
    )
    publish("reliability.md", "memory", "make memory", f"{words}\n\n{table(head, figures)}")
    return int(bool(run.deaths) or run.slope > _MOST_GROWTH * last)


if __name__ == "__main__":
    sys.exit(main())
