"""Requests: what a day of a company costs of the requests that Komet allows it.

    python -m benchmarks.requests [--orders N] [--seed S]

One connection with the default settings, but without the guard, and one whole day from midnight on: orders are
confirmed in Axerrio over the working day, some are changed or cancelled before their purchase order is approved,
procurement approves, labels are printed, and each ship date's boxes leave in two shipments. The worker's own functions
do what is due, on a real ledger whose clock is set to the next moment at which anything is due, against the sandbox;
every Komet request passes the gate that counts and refuses. People act four times an hour, as they come to it.

Exit code 1 where an order is not whole in both systems at the end of the day, where what orders ask for is more than a
tenth over the least, or where the day takes more requests than Komet allows.
"""

import argparse
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from heapq import heappop, heappush
from statistics import median, quantiles
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from benchmarks.report import publish, table
from benchmarks.site import running_site
from models.database import now
from models.states import CHANGED, WINDOW, Feed, OrderState
from models.tables import History, Order, Scope
from tasks.advance import advance
from tasks.budget import RATIONED, budget_of, pace_of
from tasks.observe import observe
from tasks.runtime import Timing
from tasks.upstreams import tend
from tests.sync.books import assert_every_line_once
from tests.sync.conftest import Ledger
from tests.sync.docks import codes, shipped
from tests.sync.test_budget_turns import limited
from tests.world import World
from worker.logs import configure_logs

Json = dict[str, Any]
HOUR = 3600.0
DAY = 24 * HOUR
LIMIT = 1000
_MOST = 1.1
_LINES = 3
#: When the share of a day's orders is confirmed that each hour has, from seven to five.
_HOURS = {7: 4, 8: 10, 9: 14, 10: 14, 11: 12, 12: 6, 13: 10, 14: 12, 15: 11, 16: 7}
#: Days from today on which orders leave, and how many of ten leave then.
_DEPARTURES = {2: 5, 3: 3, 4: 2}
#: Two shipments a ship date, at these hours and a quarter of an hour apart from one date to the next.
_SHIPMENTS = (15.0, 20.0)
_ROUND = HOUR / 4
_AXERRIO = {Feed.SALES_ORDERS, Feed.LABELS, Feed.SHIPMENTS, Feed.ARTICLES}
#: A read is early that comes before so much of its interval has passed.
_NEARLY = 0.9
_SOONER = "lists read sooner than the pace"
_POLLS = {CHANGED: "prebooks that changed", WINDOW: "all prebooks"}
_OF_DATE = {
    Feed.KOMET_PREBOOKS: "prebooks of a truck date",
    Feed.KOMET_PURCHASE_ORDERS: "purchase orders of a ship date",
}
_STEPS = (
    ("from Axerrio to both systems, linked", "", OrderState.ORDERED.value),
    ("from there to approved, procurement's own time included", OrderState.ORDERED.value, OrderState.APPROVED.value),
)


@dataclass(frozen=True)
class Sale:
    """One order of the day."""

    #: Seconds after midnight at which it is confirmed.
    at: float
    #: Days from today.
    departure: int
    is_mixed: bool = False
    is_changed: bool = False
    is_cancelled: bool = False


def sales(count: int, seed: int) -> list[Sale]:
    """A day's orders: one in five mixed, one in ten changed, one in twenty cancelled."""
    chance = random.Random(seed)
    hours = chance.choices(list(_HOURS), list(_HOURS.values()), k=count)
    times = sorted((hour + chance.random()) * HOUR for hour in hours)
    departures = chance.choices(list(_DEPARTURES), list(_DEPARTURES.values()), k=count)
    mixed = set(chance.sample(range(count), count // 5))
    touched = chance.sample(range(count), count // 10 + count // 20)
    changed, cancelled = set(touched[: count // 10]), set(touched[count // 10 :])
    return [
        Sale(at, departure, n in mixed, n in changed, n in cancelled)
        for n, (at, departure) in enumerate(zip(times, departures, strict=True))
    ]


def least_calls(day: Sequence[Sale], shipments: int) -> dict[str, int]:
    """The fewest calls for a day's orders, by method, where all reads are shared.

    A prebook holds one order: its comments name it, and by them it is found again. A purchase order holds the lines of
    one order and ship date. Komet takes mixed boxes by another method than plain ones. It offers a vendor no update:
    a changed line is deleted in both and made anew in both. A deletion names one item. Reference data is read daily.
    """
    changed = sum(sale.is_changed for sale in day)
    deleted = changed + _LINES * sum(sale.is_cancelled for sale in day)
    return {
        "prebook.create": len(day) + changed,
        "purchase.order.create": len(day) + changed,
        "purchase.order.mixed.create": sum(sale.is_mixed for sale in day),
        "purchase.order.item.delete": deleted,
        "prebook.item.delete": deleted,
        "purchase.order.items.awb.add": shipments,
        "boxtype.list": 1,
        "carrier.list": 1,
    }


class Today(World):
    """Both systems as they stood at one moment."""

    @cached_property
    def company(self) -> Json:
        """Everything of the company."""
        return World.company.fget(self)  # type: ignore[attr-defined, no-any-return]

    @cached_property
    def tenant(self) -> Json:
        """Everything of the tenant."""
        return World.tenant.fget(self)  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True)
class Read:
    """A read of a Komet list."""

    feed: Feed
    key: str
    #: Seconds after midnight.
    at: float
    #: It came sooner after the last one of its scope than the budget's pace said then.
    is_early: bool


@dataclass
class Simulation:
    """A day, played."""

    world: World
    ledger: Ledger
    day: Sequence[Sale]
    keys: dict[str, Sale] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    shipments: int = 0
    #: Keys of the orders that were approved too late for a truck of the day.
    late: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    #: Feeds of Axerrio's that may hold something new; the others are read only where an order waits for them.
    _news: set[Feed] = field(default_factory=lambda: set(_AXERRIO))
    _done: set[str] = field(default_factory=set)
    _linked: Counter[str] = field(default_factory=Counter)
    #: By scope: when the next read comes in turn.
    _in_turn: dict[int, float] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Seconds after midnight."""
        return self.ledger.offset + time.monotonic() - self._began

    def play(self) -> None:
        """The whole day."""
        events: list[tuple[float, int, Callable[[], None]]] = []

        def at(seconds: float, what: Callable[[], None]) -> None:
            heappush(events, (seconds, len(events) + 1000 * int(seconds), what))

        for sale in self.day:
            at(sale.at, partial(self._confirm, sale))
        for n in range(int(7 * HOUR / _ROUND), int(22 * HOUR / _ROUND)):
            at(n * _ROUND, self._people)
        days = sorted({sale.departure for sale in self.day})
        for hour in _SHIPMENTS:
            for n, departure in enumerate(days):
                at(hour * HOUR + n * HOUR / 4 + 60, partial(self._ship, departure))
        while events:
            seconds, _, what = heappop(events)
            self._live(seconds)
            what()
        self._live(DAY)

    # -- people ----------------------------------------------------------------------------------------------

    def _confirm(self, sale: Sale) -> None:
        departs = {"departureDate": self.world.day(sale.departure), "truckDate": self.world.day(sale.departure + 2)}
        last = self.world.mixed("3") if sale.is_mixed else self.world.line("3", boxes=3)
        lines = [self.world.line("1"), self.world.line("2", boxes=2), last]
        self.keys[self.world.place(**departs, lines=lines)] = sale
        self._news.add(Feed.SALES_ORDERS)

    def _people(self) -> None:
        """Customers change and cancel what stands in both systems; procurement approves the rest."""
        today = self._today()
        self._news.add(Feed.SALES_ORDERS)
        items = {each["id"]: each["boxes"] for order in today.company["purchase_orders"] for each in order["items"]}
        pending = {order["number"] for order in today.company["purchase_orders"] if order["status"] == "PA"}
        for order in today.tenant["orders"]:
            key, sale = order["key"], self.keys.get(order["key"])
            references = order["external_references"]
            if sale is None or not references or order["status"] != "confirmed":
                continue
            bought = [items.get(int(line["purchaseOrderItemId"] or 0), 0) for line in references["lines"]]
            if bought != [line["boxes"] for line in order["lines"]]:
                continue
            self._linked[key] += 1
            if self._linked[key] < 2:  # seen in the last round already
                continue
            if sale.is_changed and key not in self._done:
                lines = [line | {"boxes": 5} if line["lineKey"] == "1" else line for line in order["lines"]]
                self.world.place(key=key, lines=lines)
                self._linked[key] = 0
            elif sale.is_cancelled:
                self.world.place(key=key, status="cancelled")
            else:
                for number in {line["purchaseOrderNumber"] for line in references["lines"]} & pending:
                    token = self.world.komet_token
                    self.world.control("approve", company_token=token, purchase_order_number=number)
            self._done.add(key)

    def _ship(self, departure: int) -> None:
        """What has labels and has not left goes on one air waybill."""
        today = self._today()
        left = {line["salesOrderKey"] for each in today.tenant["shipments"] for line in each["lines"]}
        printed = {label["salesOrderKey"] for label in today.tenant["labels"]} - left
        keys = [key for key, sale in self.keys.items() if sale.departure == departure and key in printed]
        if keys:
            self.shipments += 1
            self._news.add(Feed.SHIPMENTS)
            self.world.in_axerrio("ship", order_keys=keys, awb=f"729-{1000 + self.shipments:04} 5675")

    def _today(self) -> Today:
        world = self.world
        return Today(world.http, world.addresses, world.name, world.komet_token, world.axerrio_token)

    # -- the worker ------------------------------------------------------------------------------------------

    def _live(self, until: float) -> None:
        while True:
            self._work()
            due = self._next_due()
            if due >= until:
                self.ledger.pass_time(max(0.0, until - self.now))
                return
            self.ledger.pass_time(max(0.0, due - self.now))

    def _work(self) -> None:
        """Do what is due until nothing is."""
        runtime = self.ledger.runtime
        tend(runtime)
        for _ in range(500):
            moment = func.axkomet_now()
            with runtime.sessions() as session:
                due = list(session.scalars(select(Scope).where(Scope.due_at <= moment, self._counts())))
                orders = session.scalars(select(Order.id).where(Order.due_at <= moment).order_by(Order.departure_date))
                ids = list(orders)
            if not due and not ids:
                return
            for scope in due:
                self._observe(scope)
            came = [advance(runtime, order_id) for order_id in ids]
            if any("axerrio." in words for words in came):
                self._news |= {Feed.SALES_ORDERS, Feed.LABELS}
        raise AssertionError("it does not come to rest")

    def _observe(self, scope: Scope) -> None:
        runtime = self.ledger.runtime
        if scope.feed not in RATIONED:
            observe(runtime, scope.id)
            self._news.discard(scope.feed)
            return
        requests = self._requests()
        observe(runtime, scope.id)
        for _ in range(self._requests() - requests):
            is_early = self.now < self._in_turn.get(scope.id, 0.0)
            self.reads.append(Read(scope.feed, scope.key, self.now, is_early))
            with runtime.sessions() as session:
                self._in_turn[scope.id] = self.now + _NEARLY * pace_of(session, self.ledger.settings).active

    def _counts(self) -> ColumnElement[bool]:
        """Scopes that the day is played for: all of Komet's, and what may hold something new."""
        return or_(Scope.feed.not_in(_AXERRIO - self._news), Scope.requested > Scope.served)

    def _requests(self) -> int:
        with self.ledger.session() as session:
            return budget_of(session, self.ledger.settings.company, LIMIT).used

    def _next_due(self) -> float:
        """When the next thing is due."""
        scopes = select(func.min(Scope.due_at)).where(self._counts())
        with self.ledger.runtime.sessions() as session:
            times = [session.scalar(scopes), session.scalar(select(func.min(Order.due_at)))]
            moment = now(session)
            seconds = [(each - moment).total_seconds() for each in times if each is not None]
        return self.now + max(0.0, min(seconds, default=math.inf))

    # -- what came of it -------------------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Orders that are not whole in both systems, judged from the sandbox and from the ledger's states."""
        today, found = self._today(), []
        for key, sale in self.keys.items():
            try:
                self._check(today, key, sale)
            except AssertionError as error:
                found.append(f"{key}: {self.ledger.state(key)}, {self.ledger.reason(key)}, {str(error)[:300]}")
        return found

    def _check(self, today: World, key: str, sale: Sale) -> None:
        order = today.axerrio_order(key)
        if sale.is_cancelled:
            mine = [each for each in today.company["prebooks"] if f"Axerrio {order['number']} [AX:" in each["comments"]]
            items = {item["id"]: item["boxes"] for each in mine for item in each["items"]}
            bought = [
                item["boxes"]
                for each in today.company["purchase_orders"]
                for item in each["items"]
                if item["prebook_item_id"] in items
            ]
            assert not sum(items.values()), "prebook items are left"
            assert not sum(bought), "purchase order items are left"
            assert self.ledger.state(key) == OrderState.CANCELLED
            return
        assert_every_line_once(today, key)
        if key not in {line["salesOrderKey"] for each in today.tenant["shipments"] for line in each["lines"]}:
            self.late.append(key)  # its labels were printed after the day's last truck
            assert self.ledger.state(key) == OrderState.APPROVED
            return
        lines = [line["lineKey"] for line in order["lines"]]
        assert sorted(box["code"] for box in shipped(today, key, *lines)) == sorted(codes(today, key, *lines))
        assert self.ledger.state(key) == OrderState.SHIPPED

    def times(self) -> dict[str, list[float]]:
        """Minutes from one state to another, of the orders that nobody touched."""
        first = (
            select(Order.axerrio_key, History.to_state, func.min(History.at))
            .join(History, History.order_id == Order.id)
            .group_by(Order.axerrio_key, History.to_state)
        )
        with self.ledger.session() as session:
            at = {(key, state): moment for key, state, moment in session.execute(first)}
            at |= {(key, ""): moment for key, moment in session.execute(select(Order.axerrio_key, Order.created_at))}
        calm = [key for key, sale in self.keys.items() if not sale.is_changed and not sale.is_cancelled]
        return {
            words: [(at[key, after] - at[key, before]).total_seconds() / 60 for key in calm if (key, after) in at]
            for words, before, after in _STEPS
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--seed", type=int, default=8)
    given = parser.parse_args(arguments)
    configure_logs("WARNING")
    with running_site(fsync="off") as site:
        world = site.world()
        world.in_axerrio("tenant-settings", print_labels=True)
        komet = world.entry()["komet"] | {"daily_requests": LIMIT}
        settings = world.connection(change_guard=0, komet=komet)
        ledger = Ledger(world, site.database_url, settings, Timing())
        simulation = Simulation(world, ledger, sales(given.orders, given.seed))
        try:
            with limited(ledger, LIMIT):
                simulation.play()
            wrong = simulation.wrong()
            times = simulation.times()
        finally:
            ledger.close()
        calls: Counter[str] = Counter(world.company["requests"])
    print(*wrong, sep="\n", file=sys.stderr)
    least = least_calls(simulation.day, simulation.shipments)
    asked = {name: calls[name] for name in least} | {_SOONER: sum(read.is_early for read in simulation.reads)}
    rows = [[name, count, least.get(name, 0), _ratio(count, least.get(name, 0))] for name, count in asked.items()]
    ratio = sum(asked.values()) / sum(least.values())
    rows.append(["**what the orders ask for**", sum(asked.values()), sum(least.values()), f"**{ratio:.2f}**"])
    polls: Counter[str] = Counter()
    for read in simulation.reads:
        polls[_POLLS.get(read.key, _OF_DATE[read.feed])] += 1 - read.is_early
    rows += [[f"poll: {name}", count, "", ""] for name, count in sorted(polls.items())]
    total = sum(calls.values())
    rows.append([f"**the whole day**, of {LIMIT:,}", f"**{total}**", "", ""])
    fits = not wrong and ratio <= _MOST and total <= LIMIT
    slow = [
        [name, *(f"{minutes:.0f} min" for minutes in (median(each), quantiles(each, n=20)[-1], max(each)))]
        for name, each in times.items()
    ]
    words = (
        f"A day of {len(simulation.day)} orders of {_LINES} lines, one in five with mixed boxes, one in ten changed "
        f"and one in twenty cancelled before its purchase order is approved, leaving on {len(_DEPARTURES)} dates in "
        f"two shipments each, at a company that Komet allows {LIMIT:,} requests: default settings, without the guard. "
        f"At its end {len(simulation.day) - len(wrong)} orders are whole in both systems, or gone from Komet; "
        f"{len(simulation.late)} of them were approved too late for a truck of the day.\n\n"
        "The least is what Komet's methods need where all reads are shared: a prebook and a purchase order for each "
        "order, another call for mixed boxes, four calls for a changed line, a deletion in both for each line of what "
        "is cancelled, one air waybill a shipment. Reads that come sooner than the pace of the budget are the orders'; "
        "all others are polls, which serve whoever waits by then and would be made for one order as for a hundred. "
        f"The bar: at most {_MOST} times the least, and a day within {LIMIT:,}. It {'holds' if fits else 'is missed'}."
        "\n\n"
    )
    body = words + table(["Komet's method", "calls", "least", "ratio"], rows)
    body += "\n\nWhat the pace costs in time:\n\n" + table(
        ["orders that nobody touched", "half", "95 of 100", "longest"], slow
    )
    publish("performance.md", "requests", "make requests", body)
    return int(not fits)


def _ratio(count: int, least: int) -> str:
    return f"{count / least:.2f}" if least else ""


if __name__ == "__main__":
    sys.exit(main())
