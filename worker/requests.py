"""The requests that a worker makes: a log line each, and counted for the metrics."""

import threading
from collections import defaultdict
from dataclasses import dataclass

import structlog
from sqlalchemy import BigInteger, Double, Text, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from clients.http import Ended, Tell
from models.prepared import Prepared, parameter
from models.tables import RequestCount

log = structlog.get_logger()

_counted = func.unnest(
    parameter("connection_ids", ARRAY(BigInteger())),
    parameter("methods", ARRAY(Text())),
    parameter("outcomes", ARRAY(Text())),
    parameter("counts", ARRAY(BigInteger())),
    parameter("seconds", ARRAY(Double())),
).table_valued("connection_id", "method", "outcome", "count", "seconds")
_added = insert(RequestCount).from_select(list(_counted.c.keys()), select(*_counted.render_derived().c))
_NOTED = Prepared(
    _added.on_conflict_do_update(
        index_elements=["connection_id", "method", "outcome"],
        set_={
            "count": RequestCount.count + _added.excluded.count,
            "seconds": RequestCount.seconds + _added.excluded.seconds,
        },
    )
)

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
        # In one order, so that no two workers wait for each other's rows.
        keys = sorted(counts)
        try:
            with sessions.begin() as session:
                _NOTED.run(
                    session,
                    connection_ids=[connection_id for connection_id, _, _ in keys],
                    methods=[method for _, method, _ in keys],
                    outcomes=[outcome for _, _, outcome in keys],
                    counts=[counts[each].calls for each in keys],
                    seconds=[counts[each].seconds for each in keys],
                )
        except SQLAlchemyError:
            with self._lock:
                for key, each in counts.items():
                    self._counts[key].add(each.calls, each.seconds)
            raise
