"""Shares: how the connections share one worker process, its threads and its interpreter."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

#: Transactions that run at once: they are where the work is done, and more of them only wait for the interpreter.
_LANES = 3
#: Seconds after which work counts half; so many times another's work, and so many seconds, is much more than his.
_HALF_LIFE, _MUCH_MORE, _LITTLE = 10.0, 2.0, 0.2
#: Seconds that a thread waits for its connection's share.
_MOMENT = 0.25


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
        self._waiting = 0
        self._lock = threading.Condition()
        self._mine = threading.local()

    @contextmanager
    def thread(self, connection_id: int, *, is_read: bool) -> Iterator[bool]:
        """Count the running thread as the connection's; gives False where it has its share already.

        A few may wait a moment for the share: what is sent away comes back as another message, and that costs more.
        """
        with self._lock:
            granted = self._may_have(connection_id, is_read=is_read)
            if not granted and self._waiting < self._threads // 4:
                self._waiting += 1
                may_have = partial(self._may_have, connection_id, is_read=is_read)
                granted = self._lock.wait_for(may_have, _MOMENT)
                self._waiting -= 1
            self._held[connection_id] += granted
        self._mine.connection_id = connection_id
        try:
            yield granted
        finally:
            self._mine.connection_id = None
            with self._lock:
                self._held[connection_id] -= granted
                self._lock.notify_all()

    def _may_have(self, connection_id: int, *, is_read: bool) -> bool:
        held = self._held[connection_id]
        free = self._threads - self._held.total()
        idle = self._connections - sum(each > 0 for each in self._held.values())
        kept = min(idle, self._threads // 4)
        return held == 0 or self._connections == 1 or (held < free + is_read and free > kept)

    def deny(self, connection_id: int) -> None:
        """Something of the connection went away without a thread, and may have another message by now."""
        with self._lock:
            self._denied.add(connection_id)

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
    """So many pieces of work run at once, and next comes the connection that has worked least of late.

    Beside others goes only who has not worked much more than they, and nobody takes the last free lane while he holds
    another. So who has little to do works as if he were alone, and who has much to do gets the rest.

    Args:
        lanes: that there are.
        clock: seconds; only differences count.
    """

    def __init__(self, lanes: int = _LANES, clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes = lanes
        self._clock = clock
        self._lock = threading.Lock()
        #: When each piece of work began that runs now, by connection.
        self._running: dict[int, list[float]] = {}
        self._waiting: dict[int, deque[threading.Event]] = {}
        self._worked: dict[int, float] = {}
        self._faded_at = clock()

    def enter(self, connection_id: int) -> None:
        """Wait for a turn."""
        mine = threading.Event()
        with self._lock:
            self._waiting.setdefault(connection_id, deque()).append(mine)
            self._admit()
        mine.wait()

    def leave(self, connection_id: int) -> None:
        """The piece of work is done."""
        with self._lock:
            began_at = self._running[connection_id].pop()
            self._worked[connection_id] = self._worked.get(connection_id, 0.0) + self._clock() - began_at
            self._admit()

    def _admit(self) -> None:
        moment = self._clock()
        self._fade(moment)
        while (free := self._lanes - sum(map(len, self._running.values()))) > 0:
            able = [each for each, queue in self._waiting.items() if queue and self._may_go(each, free)]
            if not able:
                return
            chosen = min(able, key=self._work_of)
            self._running.setdefault(chosen, []).append(moment)
            self._waiting[chosen].popleft().set()

    def _may_go(self, connection_id: int, free: int) -> bool:
        others = [self._work_of(each) for each, began in self._running.items() if began and each != connection_id]
        much_more = any(self._work_of(connection_id) > _MUCH_MORE * each + _LITTLE for each in others)
        return not much_more and (free > 1 or not self._running.get(connection_id))

    def _work_of(self, connection_id: int) -> float:
        return self._worked.get(connection_id, 0.0)

    def _fade(self, moment: float) -> None:
        """What was done long ago counts no more."""
        kept = 0.5 ** ((moment - self._faded_at) / _HALF_LIFE)
        self._worked = {each: worked * kept for each, worked in self._worked.items()}
        self._faded_at = moment


def share_transactions(sessions: sessionmaker[Session], shares: Shares, lanes: Lanes) -> None:
    """Let the transactions of these sessions take turns by the connection for which their thread works.

    One inside another is part of it. What is done for no connection is short, and waits for nobody.
    """
    depth = threading.local()

    def begins(_: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        depth.now = getattr(depth, "now", 0) + 1
        if depth.now == 1:
            depth.whose = shares.whose
            if depth.whose is not None:
                lanes.enter(depth.whose)

    def ends(_: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        depth.now -= 1
        if depth.now == 0 and depth.whose is not None:
            lanes.leave(depth.whose)

    event.listen(sessions, "after_transaction_create", begins)
    event.listen(sessions, "after_transaction_end", ends)
