"""Fairness: what an order takes in many connections, while one of them has thousands of orders due.

    python -m benchmarks.fairness [--seconds S] [--orders N]

One worker serves fifty connections, of which all but one sell steadily, in turn. Then that one sells thousands of
orders at once, and the others go on. Measured is the time from an order's confirmation in Axerrio until the ledger
holds that it stands in both systems, each with the ids of the other. Exit code 1 where 95 % of the others' orders take
more than twice as long beside it.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.isolation import Phase, Street
from benchmarks.report import publish, table
from benchmarks.town import DEFAULTS, sell, town

_CONNECTIONS = 50
#: As in the isolation table, but for the polls: those of fifty connections, so often, would leave time for little else.
_POLL_SECONDS = 20
SETTINGS = DEFAULTS | {"AXKOMET_POLL_SECONDS": str(_POLL_SECONDS)}
_MOST = 2.0


def run(seconds: float, flood: int) -> tuple[Phase, Phase]:
    """Measure the others alone, and beside the one that is flooded."""
    with town(_CONNECTIONS, 1, SETTINGS) as made:
        worlds = {world.name: world for world in made.worlds}
        flooded, *others = worlds
        street = Street(worlds, others, made.processes)
        alone = street.measure("none", seconds)
        sell(worlds[flooded], flood)
        street.wait_until_due(flooded, flood)
        return alone, street.measure(f"with {flood:,} due orders", seconds, flooded)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness")
    parser.add_argument("--seconds", type=float, default=120, help="how long is sold each time")
    parser.add_argument("--orders", type=int, default=5000, help="that the one connection sells at once")
    given = parser.parse_args(arguments)
    phases = run(given.seconds, given.orders)
    alone, beside = (phase.percentile(95) for phase in phases)
    rows = [
        [
            phase.neighbour,
            len(phase.seconds),
            f"{phase.percentile(50):.1f} s",
            f"{phase.percentile(95):.1f} s",
            f"{phase.percentile(95) / alone:.2f}",
            phase.due,
        ]
        for phase in phases
    ]
    head = ["the one", "orders of the others", "p50", "p95", f"p95 to alone, at most {_MOST:g}", "due of the one"]
    words = (
        f"{_CONNECTIONS} connections in one worker of {SETTINGS['AXKOMET_CONCURRENCY']} threads; all but one sell in "
        f"turn. Defaults, but polls each {_POLL_SECONDS} s. The last column: orders of the one that were still due "
        "when the others' last order was confirmed."
    )
    publish("performance.md", "fairness", "make fairness", f"{words}\n\n{table(head, rows)}")
    return int(beside > _MOST * alone)


if __name__ == "__main__":
    sys.exit(main())
