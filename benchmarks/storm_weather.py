"""What breaks during the storm: answers, processes, the broker and the database, as the dice decide."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from redis import Redis

from benchmarks.site import Site
from tests.processes.plant import Processes

Json = dict[str, Any]

#: Share of all requests to either system that come out so: kind of fault, share, seconds.
SHARES: tuple[tuple[str, float, float], ...] = (
    ("lost_answer", 0.20, 0),
    ("error_before", 0.05, 0),
    ("error_after", 0.05, 0),
    ("html", 0.02, 0),
    ("truncated", 0.02, 0),
    ("reset_before", 0.02, 0),
    ("rate_limited", 0.02, 0),
    ("slow", 0.02, 2.5),
    ("slow_before", 0.03, 0.7),
    ("slow", 0.05, 0.7),
)
#: A random process is killed so often.
_KILL_SECONDS = 2.0
#: From the end of one outage to the next, and how long one lasts.
_CALM_SECONDS, _AWAY_SECONDS = (6.0, 10.0), (0.5, 2.0)


def faults(seed: int) -> list[Json]:
    """Those of both systems, as the sandbox takes them: the first that strikes wins, so that each share is its own."""
    ordered: list[Json] = []
    for system in ("komet", "axerrio"):
        rest = 1.0
        for n, (kind, share, seconds) in enumerate(SHARES):
            details = {"seconds": seconds} if seconds else {}
            ordered.append({"system": system, "kind": kind, "probability": share / rest, "seed": seed + n} | details)
            rest -= share
    return ordered


class Weather:
    """Kills processes and takes broker and database away, until it is told to stop."""

    def __init__(self, site: Site, processes: Processes, seed: int) -> None:
        """Nothing breaks yet."""
        self._site = site
        self._processes = processes
        #: Ordered of the sandbox while it lasts.
        self.faults = faults(seed)
        self._dice = random.Random(seed)
        self._outages = random.Random(seed + 1)
        #: How often each thing was done.
        self.counts: Counter[str] = Counter()
        self._kill_at = time.monotonic() + _KILL_SECONDS
        self._next_at = time.monotonic() + self._outages.uniform(*_CALM_SECONDS)
        self._bring_back: Callable[[], object] | None = None
        #: In turn, so that a short storm sees each of them.
        self._turns = [self._empty_broker, self._stop_database, self._kill_broker, self._stop_database]

    @property
    def database_is_away(self) -> bool:
        """Nobody can read the ledger just now."""
        return self._bring_back == self._site.postgres.start

    def blow(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now >= self._kill_at:
            self._kill_at = now + _KILL_SECONDS
            self._kill()
        if now >= self._next_at:
            if self._bring_back is not None:
                self.calm()
                self._next_at = time.monotonic() + self._outages.uniform(*_CALM_SECONDS)
            else:
                outage = self._turns.pop(0)
                self._turns.append(outage)
                self._bring_back = outage()
                pause = _AWAY_SECONDS if self._bring_back else _CALM_SECONDS
                self._next_at = time.monotonic() + self._outages.uniform(*pause)

    def calm(self) -> None:
        """Whatever is away comes back."""
        if self._bring_back is not None:
            self._bring_back()
            self._bring_back = None

    def _kill(self) -> None:
        name = self._dice.choice(sorted(self._processes.children))
        child = self._processes.children[name]
        if child.alive:
            child.process.kill()
            child.process.wait()
            self.counts[f"{name.partition('-')[0]}s killed"] += 1

    def _empty_broker(self) -> None:
        with Redis.from_url(self._site.redis_url) as client:
            client.flushall()
        self.counts["Redis emptied"] += 1

    def _kill_broker(self) -> Callable[[], object]:
        """What it held is lost, too."""
        self._site.valkey.kill()
        self.counts["Redis killed and emptied"] += 1

        def start() -> None:
            self._site.valkey.start()
            with Redis.from_url(self._site.redis_url) as client:
                client.flushall()

        return start

    def _stop_database(self) -> Callable[[], object]:
        self._site.postgres.stop_immediately()
        self.counts["PostgreSQL stopped immediately"] += 1
        return self._site.postgres.start
