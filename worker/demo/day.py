"""The day: what happens outside while the worker works."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from models.canonical import Json
from models.database import now
from models.states import OrderState, WriteState
from models.tables import Write
from worker.assembly import Ledger
from worker.demo.books import Books
from worker.demo.program import TodaysPeople
from worker.demo.trouble import ANSWER_SECONDS, CUT_OFF, LOST
from worker.demo.verdict import Verdict, judge
from worker.demo.world import World
from worker.desk import OrderFilter, find_orders
from worker.services import Child
from worker.supervisor import Supervisor

#: The worker is killed at the first call under way after this, or at the latest without one.
_KILL_AFTER, _KILL_AT_LAST = 12.0, 25.0
#: Between two looks at the ledger and at what stands outside.
_LOOK_SECONDS = 1.0
#: All must be well for so long, so that a late double could still show.
_SETTLE_SECONDS = 3.0
#: After this the demo judges what stands.
_LIMIT_SECONDS = 240.0


#: Short times for the worker, so that a day takes a minute.
TIMES: dict[str, Any] = {
    "poll_seconds": 1.0,
    "sweep_seconds": 0.5,
    "retry_base_seconds": 0.3,
    "retry_max_seconds": 5.0,
    "http_timeout_seconds": 2.5,
    "in_doubt_grace_seconds": 2.0,
    "concurrency": 8,
}


class Day:
    """What happens outside while the worker works: people, faults, a kill. Keeps what the screen shows."""

    def __init__(self, world: World, ledger: Ledger, supervisor: Supervisor, command: Callable[..., Child]) -> None:
        """The day begins now.

        Args:
            world: both systems.
            ledger: what the worker writes, to be shown.
            supervisor: of the worker, which is killed on the way.
            command: starts `axkomet` with these arguments.
        """
        self._world = world
        self._ledger = ledger
        self._supervisor = supervisor
        self._began = time.monotonic()
        self._worker = supervisor.child("worker").pid
        self._good_since: float | None = None
        self._next_look = 0.0
        self.people = TodaysPeople(world, self._tell, command)
        self.orders: list[Json] = []
        self.events: list[tuple[float, str]] = []
        #: System, method and outcome of every request.
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.komet_requests = 0
        self.kills = 0
        self.over = False

    @property
    def seconds(self) -> float:
        """Since the first order came."""
        return time.monotonic() - self._began

    @property
    def lost(self) -> Counter[str]:
        """Requests by method whose work was done and whose answer was lost."""
        return self._came_out(LOST)

    @property
    def cut_off(self) -> Counter[str]:
        """Requests by method that broke before any work."""
        return self._came_out(CUT_OFF)

    def _came_out(self, outcomes: tuple[str, ...]) -> Counter[str]:
        found: Counter[str] = Counter()
        for (_, method, outcome), count in self.outcomes.items():
            if outcome in outcomes:
                found[method] += count
        return found

    @property
    def ledger_is_done(self) -> bool:
        """Our ledger says so, too: each order is shipped, or cancelled where it was."""
        states = Counter(order["state"] for order in self.orders)
        cancelled = [each.is_cancelled for each in self.people.expected]
        return states == Counter(OrderState.CANCELLED if each else OrderState.SHIPPED for each in cancelled)

    def judge(self) -> Verdict:
        """What became of the orders, as it stands outside now."""
        dump = self._world.dump()
        self.komet_requests = sum(sum(company["requests"].values()) for company in dump["companies"])
        return judge(dump, self.people.expected)

    def step(self) -> None:
        """Let happen what is due, and look at all of it."""
        self._kill()
        self._listen()
        if self.seconds < self._next_look:
            return
        self._next_look = self.seconds + _LOOK_SECONDS
        with self._ledger.sessions() as session:
            self.orders = find_orders(session, OrderFilter())
        self.people.waiting = frozenset(
            order["axerrio"]["number"] for order in self.orders if order["state"] == OrderState.MAPPING_REQUIRED
        )
        self.people.act(self.seconds, Books(self._world.dump()))
        self._conclude()

    def _kill(self) -> None:
        worker = self._supervisor.child("worker")
        if worker.pid != self._worker:
            self._worker = worker.pid
            self._tell(f"worker started again, process {worker.pid}")
        if self.kills or self.seconds < _KILL_AFTER:
            return
        with self._ledger.sessions() as session:
            recently = now(session) - timedelta(seconds=ANSWER_SECONDS)
            under_way = session.scalar(
                select(func.count()).where(Write.state == WriteState.SENT, Write.sent_at > recently)
            )
        if under_way or self.seconds >= _KILL_AT_LAST:
            worker.kill()
            self.kills += 1
            self._tell(f"worker killed with kill -9, {under_way} call(s) under way")

    def _listen(self) -> None:
        names = {
            token[-4:]: pair.name for pair in self._world.pairs for token in (pair.komet_token, pair.axerrio_token)
        }
        for entry in self._world.new_requests():
            system, method, outcome = entry["system"], entry["method"], entry["outcome"]
            self.outcomes[system, method, outcome] += 1
            if outcome in LOST:
                self._tell(f"{names[entry['token_last4']]}: {system.capitalize()} did {method}, its answer was lost")
            elif outcome in CUT_OFF:
                self._tell(f"{names[entry['token_last4']]}: {method} broke before {system.capitalize()} did anything")

    def _conclude(self) -> None:
        all_well = self.people.is_over and bool(self.kills) and self.ledger_is_done and self.judge().holds
        self._good_since = (self._good_since or self.seconds) if all_well else None
        settled = self._good_since is not None and self.seconds - self._good_since >= _SETTLE_SECONDS
        self.over = settled or self.seconds >= _LIMIT_SECONDS
        if self.over and not settled:
            self._tell(f"the limit of {_LIMIT_SECONDS:.0f} s is over: what stands now is judged")

    def _tell(self, event: str) -> None:
        self.events.append((self.seconds, event))
