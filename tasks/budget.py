"""The request budget: Komet allows so many requests a day, for the whole company (Komet: Getting Started).

It is kept in PostgreSQL for each company over the last 24 hours, rolling, since when Komet's day begins is not
documented. A request is counted before it is sent, so that a crash can only count too many. When it is short, the
nearest departure goes first: an order takes one of the requests left only while orders that leave before it wait for
fewer than that.

Reads are shared by all who wait for them, and their pace is what the budget gives (`Pace`): the fewer requests are
left, the further apart they are, so that reads never use up what writes need. The last of the requests are for
writes and for the reads without which no write can go on: an order is never stuck because others were read for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Text, case, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from clients.errors import NoBudget, NoTurn
from clients.pacing import Pacer
from models.database import now
from models.prepared import Found, Number, Prepared, Rows, Together, parameter
from models.states import WINDOW as WHOLE
from models.states import Feed
from models.tables import Connection, Order, RequestBudget, Scope
from tasks.connection import ConnectionSettings

#: What an order is held up by that waits for a request.
BUDGET = "budget"
WINDOW = timedelta(hours=24)
_SLOT = timedelta(minutes=5)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
#: Made here, before there are threads: see `tasks.wake`.
_mine = Order.__table__.alias()
_MY_PLACE = tuple_(_mine.c.departure_date, _mine.c.id)
#: Share of the day's requests that writes alone may take, and reads that an order waits for, in percent.
RESERVED = 10
#: Lists of Komet's that are read again and again: what they cost is a matter of pace.
RATIONED = (Feed.KOMET_PREBOOKS, Feed.KOMET_PURCHASE_ORDERS)
#: Reads of Komet that are no closer together than the pace says, while somebody waits for them.
PACED = (*RATIONED, Feed.KOMET_REFERENCE)
#: Reads of all scopes, each waited for actively all the time, would use up what is left in so many seconds.
_LASTS = 16 * 3600.0
#: While nobody waits actively a scope is read so much less often, ...
_PATIENCE = 2
#: ... as if so many shared it at least: a company without orders leaves requests for when they come.
_FEWEST_SCOPES = 4
#: While more requests are left than threads ask at once, it does not matter which of them is counted first.
_MANY = 200
#: Nothing is read less often than so, in seconds, however few requests are left: the limit may have been raised.
_SLOWEST = 3600.0


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
        """Requests left for reads that no order waits for, which leave the reserve alone."""
        return max(0, self.limit - self.limit * RESERVED // 100 - self.used)

    def pace(self, scopes: int) -> "Pace":
        """How far apart reads are, so that what is left lasts, for so many scopes that are read again and again."""
        share = _LASTS / max(1, self.left)
        active, passive = max(1, scopes) * share, _PATIENCE * max(_FEWEST_SCOPES, scopes) * share
        return Pace(min(_SLOWEST, active), min(_SLOWEST, passive))


@dataclass(frozen=True)
class Pace:
    """Seconds between two reads of one scope, at least."""

    #: While an order waits for it that cannot go on without: ids of something just made, a write in doubt.
    active: float = 0.0
    #: While orders wait for what people may do (approval, mapping), or nobody waits at all.
    passive: float = 0.0


#: Who begins to make something anew waits for all of it: what covers an item, the item, and both once more.
_requests_wanted = case((Order.next_task == "delete_items", 4), else_=1)
#: An order that is due for so long is in nobody's turn: its connection was taken out of the connections file.
_NOBODYS = timedelta(hours=1)
_COMPANY = parameter("company", Text())
#: Requests that a company was asked in the last 24 hours.
USED = Rows(
    Number,
    select(func.coalesce(func.sum(RequestBudget.used), 0).label("value")).where(
        RequestBudget.company == _COMPANY, RequestBudget.slot > func.axkomet_now() - WINDOW
    ),
)
_of_company = func.starts_with(Connection.joins, _COMPANY.concat("|"))
#: Scopes of a company that are read again and again.
SCOPES_READ = Rows(
    Number,
    select(func.count().label("value"))
    .select_from(Scope)
    .join(Connection, Scope.connection_id == Connection.id)
    .where(
        _of_company,
        Scope.feed.in_(RATIONED),
        Scope.key != WHOLE,  # read so seldom that it does not count
        Scope.due_at.is_not(None),
    ),
)
#: Requests that orders of a company wait for that leave before an order.
AHEAD = Rows(
    Number,
    select(func.coalesce(func.sum(_requests_wanted), 0).label("value"))
    .select_from(Order)
    .join(Connection, Order.connection_id == Connection.id)
    .join(_mine, _mine.c.id == parameter("order_id", BigInteger()))
    .where(
        Order.held_up_by == BUDGET,
        Order.due_at > func.axkomet_now() - _NOBODYS,
        tuple_(Order.departure_date, Order.id) < _MY_PLACE,
        _of_company,
    ),
)
_BUDGET = Together(USED)
_PACE = Together(USED, SCOPES_READ)
_TURN = Together(USED, AHEAD)


def budget_of(session: Session, company: str, limit: int) -> Budget:
    """The company's budget as it stands."""
    return Budget(limit, _BUDGET.read(session, company=company).number(USED))


def pace_of(session: Session, settings: ConnectionSettings) -> Pace:
    """The pace of a connection's reads: all connections of its company share it."""
    return pace_found(settings, _PACE.read(session, company=settings.company))


def pace_found(settings: ConnectionSettings, found: Found) -> Pace:
    """The same, where `USED` and `SCOPES_READ` were asked together with something else."""
    return budget_found(settings, found).pace(found.number(SCOPES_READ))


def budget_found(settings: ConnectionSettings, found: Found) -> Budget:
    """A company's budget, where `USED` was asked together with something else."""
    return Budget(settings.komet.daily_requests, found.number(USED))


def requests_used(session: Session) -> dict[str, int]:
    """Requests of the last 24 hours, by company; one that asked nothing is not among them."""
    of_window = select(RequestBudget.company, func.sum(RequestBudget.used)).where(
        RequestBudget.slot > func.axkomet_now() - WINDOW
    )
    return {company: int(used) for company, used in session.execute(of_window.group_by(RequestBudget.company))}


@dataclass(frozen=True)
class _Claimant:
    """For whom a thread asks."""

    #: None: for no order.
    order_id: int | None = None
    #: It comes before everybody who waits.
    first: bool = False
    #: It was held up for want of a request.
    waited: bool = False
    #: No write can go on before this read: it may take of what is kept for writes.
    unblocks: bool = False


_NOBODY = _Claimant()
_claimant: ContextVar[_Claimant] = ContextVar("claimant", default=_NOBODY)


@contextmanager
def for_order(order_id: int, *, first: bool, waited: bool) -> Iterator[None]:
    """What this thread asks for meanwhile is the order's, and takes its turn by its departure.

    Args:
        order_id: of its row.
        first: it comes before everybody: what was begun is not left half done.
        waited: it was held up for want of a request.
    """
    with _asking(_Claimant(order_id=order_id, first=first, waited=waited)):
        yield


@contextmanager
def unblocking() -> Iterator[None]:
    """Writes or an order wait for what this thread reads meanwhile: it may take of what is kept for them."""
    with _asking(_Claimant(unblocks=True)):
        yield


@contextmanager
def _asking(claimant: _Claimant) -> Iterator[None]:
    token = _claimant.set(claimant)
    try:
        yield
    finally:
        _claimant.reset(token)


def seconds_until_free(session: Session, company: str) -> float:
    """Seconds until the oldest requests leave the window."""
    oldest = session.scalar(
        select(func.min(RequestBudget.slot)).where(
            RequestBudget.company == company, RequestBudget.slot > func.axkomet_now() - WINDOW
        )
    )
    if oldest is None:  # the limit is 0
        return WINDOW.total_seconds()
    return max(1.0, (oldest + WINDOW - now(session)).total_seconds())


_ONE_BY_ONE = Prepared(select(func.pg_advisory_xact_lock(func.hashtext(parameter("key", Text())))))
_slot = insert(RequestBudget).values(company=_COMPANY, slot=func.date_bin(_SLOT, func.axkomet_now(), _EPOCH), used=1)
_COUNTED = Prepared(
    _slot.on_conflict_do_update(index_elements=["company", "slot"], set_={"used": RequestBudget.used + 1}).returning(
        RequestBudget.used
    )
)


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
            NoBudget: the day's requests, or for a read that nobody waits for its share of them, are used up.
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
        claimant = _claimant.get()
        all_of_it = write or claimant.unblocks
        with self._sessions.begin() as session:
            budget, before = self._stands(session, claimant)
            ahead = before if write and not claimant.first else 0
            left = budget.left if all_of_it else budget.left_for_reads
            if left <= ahead:
                raise NoBudget(
                    "komet",
                    operation,
                    f"{budget.used} of {budget.limit} requests of the last 24 hours are used"
                    + ("" if all_of_it else f"; the last {RESERVED} % are kept for what orders wait for")
                    + ("; orders that leave before it wait for the rest" if ahead else ""),
                    seconds_until_free(session, self._company),
                )
            if _COUNTED.run(session, company=self._company).scalar_one() == 1:  # a slot began, so others have ended
                gone = delete(RequestBudget).where(
                    RequestBudget.company == self._company, RequestBudget.slot <= func.axkomet_now() - WINDOW
                )
                session.execute(gone)
            if claimant.waited:  # it has its request: those behind it count it no more
                served = update(Order).where(Order.id == claimant.order_id, Order.held_up_by == BUDGET)
                session.execute(served.values(held_up_by=None))

    def _stands(self, session: Session, claimant: _Claimant) -> tuple[Budget, int]:
        """The budget, and how many orders come before. Where little is left, nobody else counts until the commit."""
        budget, before = self._ask(session, claimant)
        if budget.left_for_reads - before < _MANY:
            _ONE_BY_ONE.run(session, key=f"budget {self._company}")
            budget, before = self._ask(session, claimant)
        return budget, before

    def _ask(self, session: Session, claimant: _Claimant) -> tuple[Budget, int]:
        found = _TURN.read(session, company=self._company, order_id=claimant.order_id)
        return Budget(self._limit, found.number(USED)), found.number(AHEAD)
