"""The request budget: Komet allows so many requests a day, for the whole company (Komet: Getting Started).

It is kept in PostgreSQL for each company over the last 24 hours, rolling, since when Komet's day begins is not
documented. A request is counted before it is sent, so that a crash can only count too many. A share is reserved for
writes: reads stop before they take it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from clients.errors import NoBudget, NoTurn
from clients.pacing import Pacer
from models.database import now
from models.tables import RequestBudget

WINDOW = timedelta(hours=24)
_SLOT = timedelta(minutes=5)
#: Share of the day's requests that only writes may take, in percent.
RESERVED_FOR_WRITES = 30


@dataclass(frozen=True)
class Budget:
    """What a company may ask and has asked in the last 24 hours."""

    limit: int
    used: int

    @property
    def left(self) -> int:
        """Requests left for writes."""
        return max(0, self.limit - self.used)

    @property
    def left_for_reads(self) -> int:
        """Requests left for reads, which leave the reserve alone."""
        return max(0, self.limit - self.limit * RESERVED_FOR_WRITES // 100 - self.used)

    def read_interval(self, scopes: int) -> float:
        """Seconds between two passive reads of one of so many scopes, so that the budget lasts the day."""
        return scopes * WINDOW.total_seconds() / max(1, self.left_for_reads)


def budget_of(session: Session, company: str, limit: int) -> Budget:
    """The company's budget as it stands."""
    used = session.scalar(
        select(func.coalesce(func.sum(RequestBudget.used), 0)).where(
            RequestBudget.company == company, RequestBudget.slot > func.axkomet_now() - WINDOW
        )
    )
    return Budget(limit, int(used or 0))


class KometGate:
    """Lets one Komet request through: budget first, then pace."""

    def __init__(self, sessions: sessionmaker[Session], pacer: Pacer, company: str, limit: int) -> None:
        self._sessions = sessions
        self._pacer = pacer
        self._company = company
        self._limit = limit

    def enter(self, operation: str, *, write: bool, patience: float) -> None:
        """Count the request and wait for its turn.

        Raises:
            NoBudget: the day's requests, or for a read its share of them, are used up.
            NoTurn: its turn comes later than it may wait.
        """
        self._count(operation, write=write)
        try:
            self._pacer.wait(operation, patience)
        except NoTurn:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Count one request less: it was surely not sent, and an outage must not eat the day's budget."""
        newest = select(func.max(RequestBudget.slot)).where(RequestBudget.company == self._company)
        with self._sessions.begin() as session:
            session.execute(
                update(RequestBudget)
                .where(
                    RequestBudget.company == self._company,
                    RequestBudget.slot == newest.scalar_subquery(),
                    RequestBudget.used > 0,
                )
                .values(used=RequestBudget.used - 1)
            )

    def _count(self, operation: str, *, write: bool) -> None:
        with self._sessions.begin() as session:
            session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"budget {self._company}"})
            budget = budget_of(session, self._company, self._limit)
            if (budget.left if write else budget.left_for_reads) <= 0:
                raise NoBudget(
                    "komet",
                    operation,
                    f"{budget.used} of {budget.limit} requests of the last 24 hours are used"
                    + ("" if write else f"; the last {RESERVED_FOR_WRITES} % are kept for writes"),
                    self._seconds_until_free(session),
                )
            slot = _slot(now(session))
            added = insert(RequestBudget).values(company=self._company, slot=slot, used=1)
            session.execute(
                added.on_conflict_do_update(index_elements=["company", "slot"], set_={"used": RequestBudget.used + 1})
            )
            gone = delete(RequestBudget).where(
                RequestBudget.company == self._company, RequestBudget.slot <= func.axkomet_now() - WINDOW
            )
            session.execute(gone)

    def _seconds_until_free(self, session: Session) -> float:
        oldest = session.scalar(
            select(func.min(RequestBudget.slot)).where(
                RequestBudget.company == self._company, RequestBudget.slot > func.axkomet_now() - WINDOW
            )
        )
        if oldest is None:  # the limit is 0
            return WINDOW.total_seconds()
        return max(1.0, (oldest + WINDOW - now(session)).total_seconds())


def _slot(moment: datetime) -> datetime:
    return moment - timedelta(
        minutes=moment.minute % (_SLOT.seconds // 60), seconds=moment.second, microseconds=moment.microsecond
    )
