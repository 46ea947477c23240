"""Growth: what a look at the ledger costs with a thousand stored orders, ten thousand and a hundred thousand.

    python -m benchmarks.growth [--sizes N …] [--runs N]

A handful of real orders is brought through both systems; PostgreSQL copies them with all that an order leaves behind,
until so many are stored, one in a hundred open; each size has a database of its own. The same is done in all of them
in turn, warm, and the median counts: as the clock has it, with the answers of the simulated systems; PostgreSQL's part
is told beside it. Exit code 1 where by the clock anything takes more than half as long again at the biggest size as at
the smallest.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from sqlalchemy import Engine, event, func, make_url, select, text, update

from benchmarks.report import publish, table
from benchmarks.site import Site, running_site
from models.database import make_engine, upgrade
from models.states import CHANGED, WINDOW, Feed, OrderState
from models.tables import Order, Scope
from tasks.observe import observe
from tasks.sweep import sweep
from tests.stock import Samples, make_samples, stock
from tests.sync.conftest import Ledger
from worker.desk import OrderFilter, find_names, find_order, find_orders, find_row
from worker.preview import preview
from worker.status import status
from worker.today import turns

_SIZES = (1_000, 10_000, 100_000)
#: One in so many stored orders is open, and so many of the open ones are real.
_OPEN_PART, _REAL = 100, 10
_MOST = 1.5
#: What the last column judges.
JUDGED = "The bar is for the first ratio, the clock's, which is what people wait for; PostgreSQL's is told beside it."
#: Millions of rows are copied at once, and none is worth a disk: it is vacuumed and analysed once they are there.
_FILLING = ("fsync = off", "full_page_writes = off", "max_wal_size = '16GB'", "autovacuum = off")
#: Orders that a list shows, and that a dry run is asked for.
_SHOWN, _PREVIEWED = 50, 10


@dataclass
class Spent:
    """Statements, and what PostgreSQL took for them."""

    statements: int = 0
    seconds: float = 0.0
    began: float = 0.0

    def begin(self, *_: Any) -> None:
        """One leaves."""
        self.statements += 1
        self.began = time.perf_counter()

    def end(self, *_: Any) -> None:
        """It was answered."""
        self.seconds += time.perf_counter() - self.began


@contextmanager
def counting(engine: Engine) -> Iterator[Spent]:
    """What is spent meanwhile."""
    spent = Spent()
    event.listen(engine, "before_cursor_execute", spent.begin)
    event.listen(engine, "after_cursor_execute", spent.end)
    try:
        yield spent
    finally:
        event.remove(engine, "before_cursor_execute", spent.begin)
        event.remove(engine, "after_cursor_execute", spent.end)


@dataclass
class Cost:
    """Of one thing at one size: medians."""

    seconds: float
    in_postgres: float
    statements: int


@dataclass
class Looks:
    """What is measured, on one ledger."""

    ledger: Ledger
    samples: Samples
    #: Records that the read of a truck date brings, none of them changed.
    unchanged: int = field(init=False, default=0)

    def all(self) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        """By name: what is done before each run, and what is measured."""
        (connection_id,) = self.ledger.runtime.connections
        with self.ledger.session() as session:
            ended = session.get_one(Order, self.samples.ended[0])
            truck = session.get_one(Order, self.samples.open[-1]).truck_date.isoformat()
            keys = [f"axerrio:{session.get_one(Order, each).axerrio_key}" for each in self.samples.open]
        box = next(box["box_code"] for line in self.ledger.order(ended.name)["lines"] for box in line["boxes_shipped"])
        found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
        for words, feed, key in (
            ("poll of sales orders, nothing new", Feed.SALES_ORDERS, ""),
            ("poll of labels, nothing new", Feed.LABELS, ""),
            ("poll of shipments, nothing new", Feed.SHIPMENTS, ""),
            ("poll of changed prebooks, none changed", Feed.KOMET_PREBOOKS, CHANGED),
            (f"read of a truck date, {_REAL - 2} prebooks unchanged", Feed.KOMET_PREBOOKS, truck),
            (f"read of the whole window, {_REAL - 2} prebooks unchanged", Feed.KOMET_PREBOOKS, WINDOW),
        ):
            scope_id = self._scope(connection_id, feed, key)
            found[words] = (partial(self._make_due, scope_id), partial(observe, self.ledger.runtime, scope_id))
        found["sweep, nothing due"] = (_nothing, partial(sweep, self.ledger.runtime))
        commands: dict[str, Callable[[Any], object]] = {
            "`axkomet status`": lambda session: status(session, [self.ledger.settings], self.ledger.timing),
            "a scrape of the metrics": lambda session: (
                status(session, [self.ledger.settings], self.ledger.timing),
                turns(session),
            ),
            f"`orders list --limit {_SHOWN}`": lambda session: find_orders(session, OrderFilter(limit=_SHOWN)),
            "`orders list --state ordered --limit 5`": lambda session: find_orders(
                session, OrderFilter(states=[OrderState.ORDERED], limit=5)
            ),
            "`orders show` by number": lambda session: find_order(session, ended.name),
            "`orders show` by a box's code": lambda session: find_order(session, f"box:{box}"),
            f"`requeue --dry-run` of {_PREVIEWED} keys": partial(self._dry_run, keys[:_PREVIEWED]),
            "`requeue --all --limit 2 --dry-run`": lambda session: self._previews(
                session, list(find_names(session, OrderFilter(states=_WAITING, limit=2)))
            ),
        }
        for words, look in commands.items():
            found[words] = (_nothing, partial(self._in_session, look))
        return found

    def _scope(self, connection_id: int, feed: Feed, key: str) -> int:
        of_key = (Scope.connection_id == connection_id, Scope.feed == feed, Scope.key == key)
        with self.ledger.session() as session:
            return session.scalars(select(Scope.id).where(*of_key)).one()

    def _make_due(self, scope_id: int) -> None:
        with self.ledger.runtime.sessions.begin() as session:
            session.execute(update(Scope).where(Scope.id == scope_id).values(due_at=func.axkomet_now()))

    def _in_session(self, look: Callable[[Any], object]) -> object:
        with self.ledger.session() as session:
            return look(session)

    def _dry_run(self, keys: Sequence[str], session: Any) -> object:
        return self._previews(session, [row.id for key in keys if (row := find_row(session, key))])

    def _previews(self, session: Any, ids: Sequence[int]) -> object:
        (connection,) = self.ledger.runtime.connections.values()
        found = []
        for order_id in ids:
            found.append(preview(session, connection, session.get_one(Order, order_id), self.ledger.timing))
            session.rollback()
        return found


_WAITING = (OrderState.FAILED, OrderState.HELD, OrderState.MAPPING_REQUIRED)


def _nothing() -> None:
    """There is nothing to be done before."""


#: An engine, what is done before each look, and the look.
_Look = tuple[Engine, Callable[[], object], Callable[[], object]]


def measure(runs: int, looks: Sequence[_Look]) -> list[Cost]:
    """The median of so many runs of each, in turn, so that all have the same weather; two before count for nothing."""
    whole: list[list[float]] = [[] for _ in looks]
    in_postgres: list[list[float]] = [[] for _ in looks]
    statements = [0] * len(looks)
    for run in range(runs + 2):
        for n, (engine, before, look) in enumerate(looks):
            before()
            with counting(engine) as spent:
                began = time.perf_counter()
                assert look() not in ("nothing due", None)
                seconds = time.perf_counter() - began
            statements[n] = spent.statements
            if run >= 2:
                whole[n].append(seconds)
                in_postgres[n].append(spent.seconds)
    return [Cost(median(whole[n]), median(in_postgres[n]), statements[n]) for n in range(len(looks))]


def _set(site: Site, settings: Sequence[str], *then: str) -> None:
    """Settings of PostgreSQL, and what is done once they count."""
    engine = make_engine(site.database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for each in (*(f"ALTER SYSTEM SET {setting}" for setting in settings), "SELECT pg_reload_conf()", *then):
            connection.execute(text(each))
    engine.dispose()


def _in_a_database_of_its_own(site: Site, size: int) -> Ledger:
    engine = make_engine(site.database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE stored_{size}"))
    engine.dispose()
    url = make_url(site.database_url).set(database=f"stored_{size}").render_as_string(hide_password=False)
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    world = site.world(f"stored-{size}")
    return Ledger(world, url, world.connection())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        site = stack.enter_context(running_site())
        _set(site, _FILLING)
        ledgers, looks = [], []
        for size in given.sizes:
            ledger = _in_a_database_of_its_own(site, size)
            stack.callback(ledger.close)
            samples = make_samples(ledger, ledger.world, standing=_REAL - 2)
            began = time.monotonic()
            stock(ledger, samples, size - size // _OPEN_PART, size // _OPEN_PART)
            filled = time.monotonic() - began
            print(f"{size} orders stored in {filled:.0f} s", file=sys.stderr)
            ledgers.append(ledger)
            looks.append(Looks(ledger, samples).all())
        _set(site, (), "CHECKPOINT")
        costs = {
            words: measure(
                given.runs, [(ledger.engine, *of_size[words]) for ledger, of_size in zip(ledgers, looks, strict=True)]
            )
            for words in looks[0]
        }
    rows, is_flat = [], True
    for words, found in costs.items():
        first, last = found[0], found[-1]
        ratios = last.seconds / first.seconds, last.in_postgres / first.in_postgres
        holds = ratios[0] <= _MOST
        is_flat = is_flat and holds
        rows.append(
            [
                words,
                *(f"{each.seconds * 1000:.1f} ms, {each.in_postgres * 1000:.1f} ms" for each in found),
                last.statements if last.statements == first.statements else f"{first.statements}, {last.statements}",
                " and ".join(f"{ratio:.2f}" for ratio in ratios),
                "yes" if holds else "no",
            ]
        )
    head = ["", *(f"{size:,} orders" for size in given.sizes), "statements", "biggest to smallest", f"≤ {_MOST}"]
    words = (
        f"The median of {given.runs} runs: as the clock has it, then PostgreSQL's part of it. One order in "
        f"{_OPEN_PART} is open; the others are closed or cancelled and lie within the year before, with lines, writes, "
        "prebooks, purchase orders, labels, shipments, boxes and history, for two connections. The last size was "
        f"filled in {filled:.0f} s. A list without `--limit` grows with what it shows: the lists here show as many "
        f"orders at each size. {JUDGED}"
    )
    publish("performance.md", "growth", "make growth", f"{words}\n\n{table(head, rows)}")
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
