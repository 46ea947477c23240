"""Shares: how the connections share one worker process, its threads and its interpreter."""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

#: Transactions that run at once: they are where the work is done, and more of them only wait for the interpreter.
_LANES = 2


class Shares:
    """The threads of one process, and how many of them each connection holds.

    A connection takes a further thread while it holds fewer than are free, so that one whose calls do not end comes to
    half of them and two such, in time, to a third each. The last ones are kept for connections that hold none. A read
    takes one more than orders may: orders wait for what reads bring. The only connection takes them all.

    A thread that waits for an answer costs nobody anything; one that works takes the interpreter from all others. So
    transactions, in which the work is done, take turns (see `share_transactions`).
    """

    def __init__(self, threads: int, connections: int) -> None:
        self._threads = threads
        self._connections = connections
        self._held: Counter[int] = Counter()
        self._denied: set[int] = set()
        self._lock = threading.Lock()
        self._mine = threading.local()

    @contextmanager
    def thread(self, connection_id: int, *, is_read: bool) -> Iterator[bool]:
        """Count the running thread as the connection's; gives False where it has its share already."""
        with self._lock:
            held = self._held[connection_id]
            free = self._threads - self._held.total()
            idle = self._connections - sum(each > 0 for each in self._held.values())
            kept = min(idle, self._threads // 4)
            granted = held == 0 or self._connections == 1 or (held < free + is_read and free > kept)
            self._held[connection_id] += granted
            if not granted:
                self._denied.add(connection_id)
        self._mine.connection_id = connection_id
        try:
            yield granted
        finally:
            self._mine.connection_id = None
            with self._lock:
                self._held[connection_id] -= granted

    def was_denied(self, connection_id: int) -> bool:
        """Something of the connection was denied a thread since this was last asked."""
        with self._lock:
            was_denied = connection_id in self._denied
            self._denied.discard(connection_id)
        return was_denied

    @property
    def whose(self) -> int | None:
        """The connection for which the running thread works; None: for none."""
        return getattr(self._mine, "connection_id", None)


class Lanes:
    """So many pieces of work run at once; next comes the connection whose last turn is longest ago.

    A connection never takes the last free lane while it holds another: so nobody waits for more than one piece of each
    of the others.
    """

    def __init__(self, lanes: int = _LANES) -> None:
        self._lanes = lanes
        self._lock = threading.Lock()
        self._running: Counter[int | None] = Counter()
        self._waiting: dict[int | None, deque[threading.Event]] = {}
        self._turns = 0
        self._last_turn: dict[int | None, int] = {}

    def enter(self, connection_id: int | None) -> None:
        """Wait for a turn."""
        mine = threading.Event()
        with self._lock:
            self._waiting.setdefault(connection_id, deque()).append(mine)
            self._admit()
        mine.wait()

    def leave(self, connection_id: int | None) -> None:
        """The piece of work is done."""
        with self._lock:
            self._running[connection_id] -= 1
            self._admit()

    def _admit(self) -> None:
        while (free := self._lanes - self._running.total()) > 0:
            able = [each for each, queue in self._waiting.items() if queue and (free > 1 or not self._running[each])]
            if not able:
                return
            chosen = min(able, key=lambda each: self._last_turn.get(each, 0))
            self._turns += 1
            self._last_turn[chosen] = self._turns
            self._running[chosen] += 1
            self._waiting[chosen].popleft().set()


def share_transactions(sessions: sessionmaker[Session], shares: Shares, lanes: Lanes) -> None:
    """Let all transactions of these sessions take turns by the connection for which their thread works.

    One inside another is part of it.
    """
    depth = threading.local()

    def begins(_: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        depth.now = getattr(depth, "now", 0) + 1
        if depth.now == 1:
            depth.whose = shares.whose
            lanes.enter(depth.whose)

    def ends(_: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        depth.now -= 1
        if depth.now == 0:
            lanes.leave(depth.whose)

    event.listen(sessions, "after_transaction_create", begins)
    event.listen(sessions, "after_transaction_end", ends)
