"""The requests that a worker makes: a log line each, and counted for the metrics."""

import threading
from collections import defaultdict
from dataclasses import dataclass

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from clients.http import Ended, Tell
from models.tables import RequestCount

log = structlog.get_logger()

#: Connection, method and outcome.
_Key = tuple[int, str, str]


@dataclass
class _Count:
    calls: int = 0
    seconds: float = 0.0

    def add(self, calls: int, seconds: float) -> None:
        self.calls += calls
        self.seconds += seconds


class Requests:
    """Is told of each request, from many threads at once. It keeps the counts until they are noted in the ledger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[_Key, _Count] = defaultdict(_Count)

    def of(self, connection_id: int) -> Tell:
        """What the clients of a connection are to tell.

        A read that went well is a DEBUG line: there are thousands a day, and the counts say as much of them.
        """

        def tell(ended: Ended) -> None:
            is_news = ended.write or ended.outcome != "done"
            (log.info if is_news else log.debug)(
                "request",
                system=ended.system,
                method=ended.operation,
                outcome=ended.outcome,
                status=ended.status,
                duration_ms=round(ended.seconds * 1000, 1),
            )
            with self._lock:
                self._counts[connection_id, f"{ended.system}.{ended.operation}", ended.outcome].add(1, ended.seconds)

        return tell

    def note(self, sessions: sessionmaker[Session]) -> None:
        """Add what was counted since the last time to the ledger's counts.

        Raises:
            SQLAlchemyError: it cannot be noted now; the counts are kept.
        """
        with self._lock:
            counts, self._counts = self._counts, defaultdict(_Count)
        if not counts:
            return
        added = insert(RequestCount)
        summed = added.on_conflict_do_update(
            index_elements=["connection_id", "method", "outcome"],
            set_={
                "count": RequestCount.count + added.excluded.count,
                "seconds": RequestCount.seconds + added.excluded.seconds,
            },
        )
        # In one order, so that no two workers wait for each other's rows.
        rows = [
            {"connection_id": id_, "method": method, "outcome": outcome, "count": each.calls, "seconds": each.seconds}
            for (id_, method, outcome), each in sorted(counts.items())
        ]
        try:
            with sessions.begin() as session:
                session.execute(summed, rows)
        except SQLAlchemyError:
            with self._lock:
                for key, each in counts.items():
                    self._counts[key].add(each.calls, each.seconds)
            raise
