"""Scaling: what an order and an idle connection cost each process, and what a second worker brings.

    python -m benchmarks.scaling [--orders N] [--idle M] [--minutes T]

Some connections sell at once, to one worker and then to two; both systems answer as fast as the sandbox can. Measured
is the time from the first sale until all orders stand in both systems, linked, and the processor time that each
process took meanwhile. Then one worker serves many connections that sell nothing. Exit code 1 where a process died.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.cost import MIB
from benchmarks.isolation import SETTINGS
from benchmarks.report import publish, table
from benchmarks.town import Run, measuring, town
from models.states import OrderState

_SELLING = 8
_WORKERS = (1, 2)
_IDLE_POLL = 60
_LONGEST_SECONDS = 900.0


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
            f"{run.resident / workers / MIB:.0f} MiB",
        ]
        for workers, run in sold.items()
    ]
    idle = [
        [
            given.idle,
            *(f"{rested.cpu[kind] / rested.seconds * 60 / given.idle * 1000:.0f} ms" for kind in kinds),
            f"{rested.resident / MIB:.0f} MiB",
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
