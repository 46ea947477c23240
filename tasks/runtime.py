"""What a process works with: sessions, connections, times, and the way to wake others."""

import random
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from tasks.connection import Connection
from tasks.shares import Shares

#: A lease outlives the deadline of the one call that is made under it by this many seconds.
LEASE_MARGIN = 10.0
#: What came of looking at a row that is not due, or that somebody works on.
NOTHING_DUE = "nothing due"
#: A feed is due again within so many sweeps before a poll is over.
_EARLY_SWEEPS = 3


@dataclass(frozen=True)
class Timing:
    """Times in seconds, and the number of attempts, as the settings give them."""

    poll: float = 60.0
    sweep: float = 5.0
    retry_base: float = 2.0
    retry_max: float = 300.0
    max_attempts: int = 12
    http_timeout: float = 20.0
    grace: float = 60.0
    #: So many days after an order came to its end its writes and raw records go.
    retention_days: int = 400

    @property
    def order_lease(self) -> float:
        """How long an order is claimed: longer than the wait at the gate, and renewed for the call at `sent`."""
        return self.http_timeout + LEASE_MARGIN

    @property
    def scope_lease(self) -> float:
        """How long a read is claimed: longer than the wait at the gate and the call together."""
        return 2 * self.http_timeout + LEASE_MARGIN

    @property
    def hint(self) -> float:
        """How long a message may be on its way before the sweep sends another."""
        return max(10.0, 3 * self.sweep)

    def between_polls(self, *, first: bool = False) -> float:
        """How long after a read its feed is due again: a sweep finds it by the time that a poll is over.

        At random, so that connections that began together do not poll together for ever.

        Args:
            first: the feed was read for the first time: the next read may come any time within a poll.
        """
        latest = self.poll * random.random() if first else self.poll  # noqa: S311
        return max(latest - _EARLY_SWEEPS * self.sweep * random.random(), latest / 2)  # noqa: S311

    @property
    def coalesce(self) -> float:
        """How long a scope waits for each other order that is about to want the same read."""
        return min(1.0, self.poll / 4)


@dataclass(frozen=True)
class Hint:
    """A message that only says "look now": the row it names is the truth."""

    task: str
    row_id: int
    #: As people see it in Flower, such as `2026-48210 miami`.
    words: str
    #: Seconds until it shall be looked at.
    delay: float = 0.0
    #: What the row's `hinted_until` says of it, where it says anything.
    until: datetime | None = None


def send_nothing(hints: Iterable[Hint]) -> None:
    """Wake nobody: the sweep finds what is due."""


@dataclass(frozen=True)
class Runtime:
    """Everything that the rules need from outside, made once for each process."""

    sessions: sessionmaker[Session]
    #: By the id of their row.
    connections: Mapping[int, Connection]
    timing: Timing = field(default_factory=Timing)
    #: Sends the hints after a commit. It may fail silently: what is due stays due.
    send_hints: Callable[[Iterable[Hint]], None] = send_nothing
    shares: Shares = field(default_factory=lambda: Shares(threads=1, connections=1))
    #: The id of a row's connection, by its table and id, of those for which a message came: that never changes.
    connection_of: dict[tuple[type, int], int] = field(default_factory=dict)
    #: Time zones of the Axerrio tenants that this process has met, by connection.
    time_zones: dict[int, str] = field(default_factory=dict)
    #: Set once the process is told to end: what runs comes to its next safe point, and goes no further.
    ending: threading.Event = field(default_factory=threading.Event)


def new_owner() -> str:
    """A name for the holder of one lease: never used again, so that an old holder cannot end a new lease."""
    return uuid.uuid4().hex
