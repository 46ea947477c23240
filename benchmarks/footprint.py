"""Memory: a worker with many calls at once and over many tasks, and everything that `axkomet up` starts.

    python -m benchmarks.footprint [--tasks N] [--calls N]

First a worker sells to systems so slow that all its threads wait for an answer at once. Then it is given thousands of
messages that name what is not due: each is read, looked up in the ledger and acknowledged. Its resident memory is read
meanwhile. Then `up` with embedded services brings some orders into both systems; what counts is the proportional
memory of all its processes, in which what several share counts once. How a worker's memory goes over the hours, while
answers are lost, is told by `benchmarks.memory`. Exit code 1 where a bar is missed.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.cost import MIB, children_of, proportional, resident
from benchmarks.report import publish, table
from benchmarks.start import home
from benchmarks.throughput import slow_down
from benchmarks.town import DEFAULTS, sell, town
from models.states import OrderState
from tests.world import World

#: So slow that all threads come to wait at once, though the worker takes its time for each call.
_SLOW_SECONDS = 15.0
_BUSY_SECONDS = 60.0
_STEPS = 10
_MOST_WORKER, _MOST_UP = 200, 700
#: Of what it held after the first tenth of the tasks.
_MOST_GROWTH = 0.05
_UP_ORDERS = 20


@dataclass(frozen=True)
class Worker:
    """What a worker held, in bytes."""

    #: Calls on whose answers it waited at once, at most.
    calls: int
    busy: int
    #: By the number of tasks that were done.
    over_tasks: Mapping[int, int]

    @property
    def growth(self) -> float:
        """From the first tenth of the tasks to the last, as a part of what it held then."""
        first, last = min(self.over_tasks), max(self.over_tasks)
        return self.over_tasks[last] / self.over_tasks[first] - 1


def measure_worker(calls: int, tasks: int) -> Worker:
    """Let a worker wait for so many answers at once, and then go through so many tasks.

    No connection takes the last threads while it holds others: so each call is of a connection of its own.
    """
    settings = DEFAULTS | {"AXKOMET_CONCURRENCY": str(calls), "AXKOMET_SWEEP_SECONDS": "1"}
    with town(calls, 1, settings, pace=1000) as made:
        slow_down(made.worlds[0], _SLOW_SECONDS)
        for world in made.worlds:
            sell(world, 2)
        made.poll()
        busy, end = 0, time.monotonic() + _BUSY_SECONDS
        while time.monotonic() < end:
            busy = max(busy, resident(made.workers[0]))
            made.processes.work(0.5)
        slow_down(made.worlds[0], 0)
        made.processes.wait_until(lambda: made.count(OrderState.ORDERED) == 2 * calls, 600, "the last order")
        over_tasks = {}
        for n in range(1, _STEPS + 1):
            made.send_idle(tasks // _STEPS)
            made.processes.wait_until(lambda: not made.waiting(), 300, "the last task")
            over_tasks[n * tasks // _STEPS] = resident(made.workers[0])
        if made.processes.deaths:
            raise RuntimeError(f"died: {made.processes.deaths}")
        return Worker(most_at_once(made.worlds[0]), busy, over_tasks)


def most_at_once(world: World) -> int:
    """Requests that the sandbox had in hand at once, at most."""
    steps: list[tuple[float, int]] = []
    for entry in world.http.get(f"{world.addresses['control']}/requests").json():
        began = datetime.fromisoformat(entry["at"]).timestamp()
        steps += [(began, 1), (began + entry["duration_ms"] / 1000, -1)]
    return max(itertools.accumulate(step for _, step in sorted(steps)))


def measure_up() -> dict[str, int]:
    """Bytes of each process of `axkomet up` that has brought some orders into both systems."""
    with home() as made, made.up(AXKOMET_POLL_SECONDS="5") as up:
        sell(made.world, _UP_ORDERS)
        deadline = time.monotonic() + 120
        while not all(order["external_references"] for order in made.world.tenant["orders"]):
            if time.monotonic() > deadline:
                raise RuntimeError("the orders were not linked")
            time.sleep(1)
        held: dict[str, int] = {"up": proportional(up.pid, alone=True)}
        for child in children_of(up.pid):
            role = role_of(child)
            held[role] = held.get(role, 0) + proportional(child)
        return held


def role_of(pid: int) -> str:
    """What a process of `axkomet up` is, by its command line."""
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    names = {"postgres": "PostgreSQL", "valkey-server": "Valkey"}
    return names.get(Path(words[0]).name) or words[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=32)
    given = parser.parse_args(arguments)
    worker = measure_worker(given.calls, given.tasks)
    held = measure_up()
    first, *_, last = worker.over_tasks.values()
    rows = [
        [f"a worker, {worker.calls} calls at once", f"{worker.busy / MIB:.0f} MiB", f"under {_MOST_WORKER} MB"],
        [f"the same, {min(worker.over_tasks):,} tasks later", f"{first / MIB:.0f} MiB", ""],
        [
            f"the same, {given.tasks:,} tasks later",
            f"{last / MIB:.0f} MiB ({worker.growth:+.1%})",
            f"under {_MOST_WORKER} MB, at most {_MOST_GROWTH:+.0%}",
        ],
        ["`axkomet up`, all processes", f"{sum(held.values()) / MIB:.0f} MiB", f"under {_MOST_UP} MB"],
        *([f"of which {role}", f"{size / MIB:.0f} MiB", ""] for role, size in sorted(held.items())),
    ]
    words = (
        f"A worker with {given.calls} threads, whose calls take {_SLOW_SECONDS:g} s each, and which is then given "
        f"{given.tasks:,} messages that name what is not due: resident memory. `axkomet up` with embedded services and "
        f"Flower, after {_UP_ORDERS} orders of one connection: proportional memory, in which what several processes "
        "share counts once."
    )
    publish("performance.md", "memory", "make footprint", f"{words}\n\n{table(['', 'holds', 'bar'], rows)}")
    most = max(worker.busy, *worker.over_tasks.values())
    holds = most < _MOST_WORKER * 1e6 and worker.growth <= _MOST_GROWTH and sum(held.values()) < _MOST_UP * 1e6
    return int(not holds or worker.calls < given.calls)


if __name__ == "__main__":
    sys.exit(main())
