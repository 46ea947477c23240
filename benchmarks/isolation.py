"""Isolation: how long orders of healthy connections take, with and without a bad neighbour in the same worker.

    python -m benchmarks.isolation [--seconds S]

One worker and one beat with the usual settings, polls apart, serve five healthy connections that sell steadily and
three others that are quiet. Then one of these after the other goes bad: its Komet never answers, its token is
refused, ten thousand of its orders are due at once. Measured is the time from an order's confirmation in Axerrio
until the ledger holds that it stands in both systems, each with the ids of the other. Exit code 1 where an order of a
healthy connection does not get there, or half or 95 % of them take more than twice as long beside a bad neighbour.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func, select

from benchmarks.report import percentile, publish, table
from benchmarks.site import running_site
from benchmarks.town import DEFAULTS, environment_of, sell
from models.database import now
from models.states import OrderState
from models.tables import Connection, History, Order
from tests.processes.plant import Processes
from tests.world import World

HEALTHY = ("miami", "quito", "bogota", "nairobi", "aalsmeer")
DEAD, REFUSED, FLOODED = "dead", "refused", "flooded"
#: The defaults, except for the polls: a minute's wait for each would hide what is measured.
SETTINGS = DEFAULTS | {"AXKOMET_POLL_SECONDS": "5"}
FLOOD = 10_000
#: Orders that the other two bad neighbours sell, enough for all threads.
_SOLD = 60
#: A healthy connection sells somewhere so often: together they ask for less than half of what two slow cores can do, so
#: that each asks for less than its fair share.
_EVERY_SECONDS = 2.5
#: Longer than any call may take.
_NEVER_SECONDS = 3600.0
_LAST_ORDER_SECONDS = 300.0
#: Until ten thousand orders are read from Axerrio, beside the work on those that came first.
_FLOOD_SECONDS = 1200.0
_MOST = 2.0


@dataclass
class Phase:
    """What was measured beside one neighbour."""

    neighbour: str
    #: When each order was confirmed, by its key.
    confirmed: dict[str, datetime] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    #: Orders of the neighbour that were due when the last order was confirmed.
    due: int = 0

    def percentile(self, percent: int) -> float:
        """Seconds that so many of a hundred orders took at most."""
        return percentile(self.seconds, percent)


@dataclass
class Street:
    """All connections side by side, and the processes that serve them."""

    worlds: Mapping[str, World]
    #: Names of those that sell steadily.
    healthy: Sequence[str]
    processes: Processes

    def measure(self, neighbour: str, seconds: float, trouble: str = "") -> Phase:
        """Sell steadily in the healthy connections for so long, and wait until the last order is at its end."""
        phase = Phase(neighbour)
        sellers = itertools.cycle(self.healthy)
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            confirmed = datetime.now(UTC)
            phase.confirmed[self.worlds[next(sellers)].place()] = confirmed
            self.processes.work(max(0.0, began + _EVERY_SECONDS - time.monotonic()))
        phase.due = self._due_of(trouble)
        self.processes.wait_until(lambda: self._all_ordered(phase), _LAST_ORDER_SECONDS, lambda: self._missing(phase))
        print(f"beside {neighbour}: {phase.percentile(50):.1f} s, {phase.percentile(95):.1f} s", file=sys.stderr)
        return phase

    def wait_until_due(self, name: str, count: int) -> None:
        """Until nearly all of so many orders of a connection are in the ledger, and due."""
        self.processes.wait_until(
            lambda: self._due_of(name) >= 0.9 * count,
            _FLOOD_SECONDS,
            lambda: f"{count} orders, not {self._due_of(name)},",
        )

    def _all_ordered(self, phase: Phase) -> bool:
        first = (
            select(Order.axerrio_key, func.min(History.at))
            .join(History, History.order_id == Order.id)
            .where(Order.axerrio_key.in_(phase.confirmed), History.to_state == OrderState.ORDERED.value)
            .group_by(Order.axerrio_key)
        )
        with self.processes.sessions() as session:
            ordered = session.execute(first).all()
        phase.seconds = [(at - phase.confirmed[str(key)]).total_seconds() for key, at in ordered]
        return len(ordered) == len(phase.confirmed)

    def _missing(self, phase: Phase) -> str:
        late = select(Order.axerrio_key, Order.state, Order.reason, Order.last_error).where(
            Order.axerrio_key.in_(phase.confirmed), Order.state != OrderState.ORDERED
        )
        with self.processes.sessions() as session:
            return f"ordered: {[tuple(each) for each in session.execute(late)]}, beside {phase.neighbour},"

    def _due_of(self, name: str) -> int:
        of_name = select(func.count()).select_from(Order).join(Connection, Order.connection_id == Connection.id)
        with self.processes.sessions() as session:
            return session.scalars(of_name.where(Connection.name == name, Order.due_at <= now(session))).one()


def run(seconds: float) -> list[Phase]:
    """Measure alone, and beside each bad neighbour in turn."""
    with running_site() as site:
        worlds = {name: site.world(name) for name in (*HEALTHY, DEAD, REFUSED, FLOODED)}
        env = environment_of(site, worlds.values())
        street = Street(worlds, HEALTHY, Processes(site.folder, env | SETTINGS))
        try:
            street.processes.start_all()
            street.measure("warming up", 5)
            phases = [street.measure("none", seconds)]

            worlds[DEAD].fault("slow_before", "*", seconds=_NEVER_SECONDS)
            sell(worlds[DEAD], _SOLD)
            phases.append(street.measure("whose Komet never answers", seconds, DEAD))

            worlds[REFUSED].settings(token_valid=False)
            sell(worlds[REFUSED], _SOLD)
            phases.append(street.measure("whose token is refused", seconds, REFUSED))
            worlds[REFUSED].control("faults", faults=[])

            sell(worlds[FLOODED], FLOOD)
            street.wait_until_due(FLOODED, FLOOD)
            phases.append(street.measure(f"with {FLOOD:,} due orders", seconds, FLOODED))
        except AssertionError:
            print(street.processes.logs()[-20_000:], file=sys.stderr)
            raise
        finally:
            street.processes.stop()
    return phases


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation")
    parser.add_argument("--seconds", type=float, default=80, help="how long is sold beside each neighbour")
    phases = run(parser.parse_args(arguments).seconds)
    alone = phases[0]
    slower = [[phase.percentile(percent) / alone.percentile(percent) for percent in (50, 95)] for phase in phases]
    rows = [
        [
            phase.neighbour,
            len(phase.seconds),
            f"{phase.percentile(50):.1f} s",
            f"{phase.percentile(95):.1f} s",
            *(f"{each:.2f}" for each in ratios),
            phase.due,
        ]
        for phase, ratios in zip(phases, slower, strict=True)
    ]
    head = ["bad neighbour", "orders", "p50", "p95", "p50 to alone", "p95 to alone", "due of the neighbour"]
    words = (
        f"From confirmation in Axerrio to `ordered` in both systems, for the orders of {len(HEALTHY)} healthy "
        f"connections in one worker of {SETTINGS['AXKOMET_CONCURRENCY']} threads, which sell one each "
        f"{_EVERY_SECONDS:g} s. Defaults, but polls each {SETTINGS['AXKOMET_POLL_SECONDS']} s. The last column: orders "
        "of the neighbour that were still due when the last order was confirmed."
    )
    publish("reliability.md", "isolation", "make isolation", f"{words}\n\n{table(head, rows)}")
    return int(max(itertools.chain(*slower)) > _MOST)


if __name__ == "__main__":
    sys.exit(main())
