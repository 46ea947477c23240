"""The fault table: every kind of foreign write, broken at every point in every way, with real processes.

One order for each cell. Those of one kind are under way at once on three connections, one for each way to break, and
share two workers: each death interrupts whatever else is at work. People approve and ship, each order goes to its end,
and what became of it is judged from what stands in the two simulated systems. The ledger says only where it ended.

    python -m benchmarks.faults                                 all, and writes docs/reliability.md
    python -m benchmarks.faults --only komet.prebook.create     a part, and writes nothing
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.cells import POINTS, SENT, WAYS, Cell
from benchmarks.report import publish, table
from benchmarks.site import running_site
from benchmarks.yard import Outcome, Yard, break_all, break_fresh, earn_proof, fresh_shop_of, running_yard, shop_of
from models.states import Kind
from tasks.runtime import LEASE_MARGIN
from tests.processes.plant import SHORT_TIMES
from tests.world import World

#: All cells of a connection that has earned proof of absence for every kind.
#: Orders born in Komet come first: for a day, a prebook that looks like a create that was given up may be that one's.
CELLS = tuple(
    Cell(*each)
    for each in itertools.product(sorted(Kind, key=lambda kind: kind is not Kind.INBOUND_ORDER), POINTS, WAYS)
)
#: Komet writes whose absence is proof only where that was earned.
EARNED = (
    Kind.PREBOOK_CREATE,
    Kind.PURCHASE_ORDER_CREATE,
    Kind.PURCHASE_ORDER_MIXED_CREATE,
    Kind.AWB_ADD,
)
#: Those lost before the work where nothing was earned yet: one connection for each kind.
FRESH_CELLS = tuple(Cell(kind, SENT, way) for kind, way in itertools.product(EARNED, WAYS))

#: After so long another process takes up what one that died was at.
_LEASE_SECONDS = float(SHORT_TIMES["AXKOMET_HTTP_TIMEOUT_SECONDS"]) + LEASE_MARGIN


@dataclass
class Run:
    """One run of the table, or of a part of it."""

    outcomes: list[Outcome] = field(default_factory=list)
    fresh: list[Outcome] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    #: Processes that died, by exit code.
    deaths: Counter[int] = field(default_factory=Counter)

    @property
    def failed(self) -> list[str]:
        """What does not hold, each with the account of its order."""
        return [*map(str, (each for each in (*self.outcomes, *self.fresh) if not each.holds)), *self.surplus]

    def add(self, yard: Yard, outcomes: list[Outcome]) -> None:
        """Take what a yard's run brought."""
        outcomes += yard.judge()
        for outcome in outcomes:
            print(outcome)
        for each in yard.surplus:
            print(each)
        sys.stdout.flush()
        self.surplus += yard.surplus
        self.deaths.update(code for _, code in yard.processes.deaths)


def run_table(
    folder: Path,
    world: Callable[[str], World],
    database_url: str,
    redis_url: str,
    batches: Iterable[Sequence[Cell]],
    fresh: Sequence[Cell],
) -> Run:
    """Break an order for each cell, batch by batch, and then those of connections that have earned nothing.

    Args:
        folder: for the processes' files.
        world: makes a company and a tenant for a connection of this name.
        database_url: of an empty ledger.
        redis_url: of the broker.
        batches: cells whose orders are under way at once.
        fresh: cells lost before the work where absence is no proof yet.
    """
    run = Run()
    batches = list(batches)
    if batches:
        worlds = {name: world(name) for name in map(shop_of, WAYS)}
        with running_yard(folder / "earned", worlds, database_url, redis_url) as yard:
            earners = earn_proof(yard)
            for cells in batches:
                began, deaths = time.monotonic(), len(yard.processes.deaths)
                break_all(yard, cells, earners)
                kinds = ", ".join(dict.fromkeys(cell.kind for cell in cells))
                dead, took = len(yard.processes.deaths) - deaths, time.monotonic() - began
                print(f"{kinds}: {len(cells)} cells, {dead} deaths, {took:.0f} s", flush=True)
            run.add(yard, run.outcomes)
    if fresh:
        began = time.monotonic()
        worlds = {name: world(name) for name in dict.fromkeys(fresh_shop_of(cell.kind) for cell in fresh)}
        with running_yard(folder / "fresh", worlds, database_url, redis_url, is_fresh=True) as yard:
            break_fresh(yard, fresh)
            run.add(yard, run.fresh)
        print(f"fresh connections: {len(fresh)} cells, {time.monotonic() - began:.0f} s", flush=True)
    return run


def report(run: Run, seconds: float) -> str:
    """The section of the docs, of a run of all cells that took so many seconds."""
    by_cell = {each.cell: each for each in run.outcomes}
    fresh_by_cell = {each.cell: each for each in run.fresh}
    rows = [
        [f"`{kind}`", words, *(by_cell[Cell(kind, point, way)].result for way in WAYS)]
        for kind, (point, words) in itertools.product(Kind, POINTS.items())
    ]
    fresh_rows = [
        [f"`{kind}`", *(_fresh_cell(fresh_by_cell[Cell(kind, SENT, way)]) for way in WAYS)] for kind in EARNED
    ]
    everything = [*run.outcomes, *run.fresh]
    times = sorted(each.seconds for each in run.outcomes)
    return "\n\n".join(
        (
            f"{len(everything)} orders, each broken once at a point of its own: {len(run.outcomes)} where absence is "
            f"proof ({len(Kind)} kinds, {len(POINTS)} points, {len(WAYS)} ways), {len(run.fresh)} where it is not yet. "
            f"{run.deaths[1]} processes exited and {run.deaths[-9]} were killed on the way. "
            f"**{sum(each.holds for each in everything)} of {len(everything)} reached their end unaided, once, whole "
            f"and linked on both sides; doubled: {sum(bool(each.doubled) for each in everything)}; "
            f"lost: {sum(bool(each.lost) for each in everything)}.** From fault to end: half within "
            f"{median(times):.0f} s, the slowest {times[-1]:.0f} s. The run took {seconds / 60:.0f} minutes."
            + "".join(f" **{each}.**" for each in run.surplus),
            "In the table: seconds from the fault to the order's end, which is `shipped` (approved, all boxes on "
            "their air waybill) or, where the write deletes a prebook item, `cancelled`. All orders of a kind are "
            "under way at once on two workers, so each death interrupts the others too; what a process that died was "
            f"at is taken up again once its lease has ended, {_LEASE_SECONDS:.1f} s here.",
            table(["write", "broken at", *WAYS], rows),
            "On a connection that has earned no proof yet, a write that was lost before the work is held as "
            "`in_doubt` and is not sent again. It is released by itself once another order has earned the proof. "
            "Seconds from the fault to the hold, and to the end:",
            table(["write", *WAYS], fresh_rows),
        )
    )


def _fresh_cell(outcome: Outcome) -> str:
    if not outcome.holds:
        return outcome.result
    return f"held after {outcome.in_doubt_seconds:.1f}, ended after {outcome.seconds:.1f}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="The fault table.")
    parser.add_argument("--only", action="append", type=Kind, metavar="KIND", help="a kind of write; writes no docs")
    parser.add_argument("--point", action="append", choices=[*POINTS, "fresh"], help="a point; writes no docs")
    asked = parser.parse_args()
    cells = [
        cell
        for cell in CELLS
        if (not asked.only or cell.kind in asked.only) and (not asked.point or cell.point in asked.point)
    ]
    fresh = [cell for cell in FRESH_CELLS if not asked.only or cell.kind in asked.only]
    if asked.point and "fresh" not in asked.point:
        fresh = []
    began = time.monotonic()
    with running_site() as site:
        batches = [list(of_kind) for _, of_kind in itertools.groupby(cells, lambda cell: cell.kind)]
        run = run_table(site.folder, site.world, site.database_url, site.redis_url, batches, fresh)
    if not (asked.only or asked.point):
        publish("reliability.md", "faults", "make faults", report(run, time.monotonic() - began))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
