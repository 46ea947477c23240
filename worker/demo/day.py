"""The day: what happens outside while the worker works."""

import time
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from models.database import now
from models.states import WriteState
from models.tables import Write
from worker.assembly import Ledger
from worker.demo.verdict import Placed, judge
from worker.demo.world import ANSWER_SECONDS, CREATES, World
from worker.desk import OrderFilter, find_orders
from worker.supervisor import Supervisor

Json = dict[str, Any]

#: Orders of each wave, for each connection, and when it comes, in seconds.
_WAVES = ((0.0, 5), (5.0, 5), (10.0, 4), (15.0, 4))
#: The worker is killed at the first call under way after this, or at the latest without one.
_KILL_AFTER, _KILL_AT_LAST = 10.5, 25.0
#: All must be well for so long, so that a late double could still show.
_SETTLE_SECONDS = 3.0
#: After this the demo judges what stands.
_LIMIT_SECONDS = 110.0


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
    """What happens outside while the worker works: orders, faults, a kill. Keeps what the screen shows."""

    def __init__(self, world: World, ledger: Ledger, supervisor: Supervisor) -> None:
        self._world = world
        self._ledger = ledger
        self._supervisor = supervisor
        self._began = time.monotonic()
        self._waves = list(_WAVES)
        self._worker = supervisor.child("worker").pid
        self._good_since: float | None = None
        self._next_judgement = 0.0
        self.placed: list[Placed] = []
        self.orders: list[Json] = []
        self.events: list[tuple[float, str]] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.kills = 0
        self.over = False

    @property
    def seconds(self) -> float:
        """Since the first order came."""
        return time.monotonic() - self._began

    @property
    def total(self) -> int:
        """Orders of the whole day."""
        return sum(count for _, count in _WAVES) * len(self._world.pairs)

    def came(self, outcome: str) -> int:
        """How many of Komet's requests came out so."""
        return sum(count for (_, each), count in self.outcomes.items() if each == outcome)

    @property
    def creates(self) -> int:
        """Creates that were asked of Komet."""
        return sum(count for (method, _), count in self.outcomes.items() if method in CREATES)

    def step(self) -> None:
        """Let happen what is due, and look at all of it."""
        self._place()
        self._kill()
        self._listen()
        with self._ledger.sessions() as session:
            self.orders = find_orders(session, OrderFilter())
        self._conclude()

    def _place(self) -> None:
        while self._waves and self.seconds >= self._waves[0][0]:
            _, count = self._waves.pop(0)
            for pair in self._world.pairs:
                self.placed += self._world.place(pair, count)
            names = " and ".join(pair.name for pair in self._world.pairs)
            self._tell(f"{count * len(self._world.pairs)} orders confirmed in Axerrio, {names}")

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
        names = {pair.komet_token[-4:]: pair.name for pair in self._world.pairs}
        for entry in self._world.new_requests():
            if entry["system"] == "komet":
                self.outcomes[entry["method"], entry["outcome"]] += 1
                method, name = entry["method"], names[entry["token_last4"]]
                if entry["outcome"] == "lost_answer":
                    self._tell(f"Komet did {method} for {name}, its answer was lost")
                elif entry["outcome"] == "reset_before":
                    self._tell(f"the connection broke before Komet did {method} for {name}")

    def _conclude(self) -> None:
        if self.seconds < self._next_judgement:
            return
        self._next_judgement = self.seconds + 1
        all_well = not self._waves and bool(self.kills) and judge(self._world.dump(), self.placed).holds
        self._good_since = (self._good_since or self.seconds) if all_well else None
        settled = self._good_since is not None and self.seconds - self._good_since >= _SETTLE_SECONDS
        self.over = settled or self.seconds >= _LIMIT_SECONDS
        if self.over and not settled:
            self._tell(f"the limit of {_LIMIT_SECONDS:.0f} s is over: what stands now is judged")

    def _tell(self, event: str) -> None:
        self.events.append((self.seconds, event))
