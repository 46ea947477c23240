"""Upstreams: whether a system of a connection, or one method of it, may be called now. All workers share the answer.

A system is closed while it is `away` (five calls in a row got no answer, of two callers at least), while it refuses
our `token`, until its `limit` of requests is over, or while a `person` pauses the connection. A method is paused while
the token lacks the right to it. What is closed is not called, so nothing is tried in vain and nothing counts as an
attempt; now and then one call probes it, and its success opens it for all. What a person paused nobody probes: only a
person opens it. An order says in `held_up_by` what it waits for; a read is put off.

Rows of `upstreams` and `paused_methods` are locked last, after all that the tables' own order names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import BigInteger, ColumnElement, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from clients.errors import ClientError, NoBudget, NoTurn, RefusalKind, Refused
from models.database import now
from models.prepared import Found, Rows, Together, parameter
from models.states import Feed, HoldCode, Kind, WriteState
from models.tables import Order, OrderLine, PausedMethod, Scope, Upstream, Write, WriteLine
from tasks import rests, scopes
from tasks.budget import BUDGET, unblocking
from tasks.connection import Connection
from tasks.notes import note_connection
from tasks.requeue import begin_afresh
from tasks.runtime import Runtime, Timing
from tasks.wake import lock_orders

log = structlog.get_logger()

KOMET, AXERRIO = "komet", "axerrio"
#: What an order of a connection that only observes waits for: until its settings change.
OBSERVES = "observe"
AWAY, TOKEN, LIMIT, PERSON = "away", "token", "limit", "person"
#: Calls in a row without an answer, and different callers among them, that close a system.
_MISSES, _CALLERS = 5, 2
#: Orders, or reads of one method, that must be refused in the same words before the method is paused.
_REFUSED = 2
#: Probes come at the poll interval, and later at this share of the time since it was closed.
_SHARE = 0.25
#: Where a limit says nothing of its end, probes come at least so often: a day's requests come free bit by bit.
_LONGEST_LIMIT = 3600.0
#: Orders that are made due in one transaction.
_BATCH = 500

#: The methods that the read of a feed calls.
_METHODS = {
    Feed.SALES_ORDERS: ("axerrio.sales-orders.sync", "axerrio.identity"),
    Feed.LABELS: ("axerrio.labels.sync",),
    Feed.SHIPMENTS: ("axerrio.shipments.sync",),
    Feed.ARTICLES: ("axerrio.articles.sync",),
    Feed.KOMET_PREBOOKS: ("komet.prebook.details.list",),
    Feed.KOMET_PURCHASE_ORDERS: ("komet.purchase.order.list",),
    Feed.KOMET_REFERENCE: ("komet.boxtype.list", "komet.carrier.list"),
}
#: The feed whose read probes a closed system.
_PROBES = {KOMET: Feed.KOMET_REFERENCE, AXERRIO: Feed.SALES_ORDERS}
#: The method that every token may call: where it is refused, it is the token that is refused.
_ASKS_FOR_TOKEN = {KOMET: "komet.boxtype.list", AXERRIO: "axerrio.identity"}


_CONNECTION = parameter("connection_id", BigInteger())
UPSTREAMS = Rows(Upstream, select(*Upstream.__table__.c).where(Upstream.connection_id == _CONNECTION))
REFUSED_METHODS = Rows(PausedMethod, select(*PausedMethod.__table__.c).where(PausedMethod.connection_id == _CONNECTION))
#: What is to be said against a connection's systems and methods.
_TROUBLE = Together(UPSTREAMS, REFUSED_METHODS)
#: Whether an answer to a write is news: else `answered` would find nothing to do.
ANSWER_IS_NEWS = or_(
    select(Upstream.system)
    .where(Upstream.connection_id == Write.connection_id, or_(Upstream.misses > 0, Upstream.closed_since.is_not(None)))
    .exists(),
    select(PausedMethod.method)
    .where(PausedMethod.connection_id == Write.connection_id, PausedMethod.method == Write.kind)
    .exists(),
)


@dataclass(frozen=True)
class Call:
    """A call that ended, and who made it."""

    connection: Connection
    #: As kinds of writes are named.
    method: str
    #: `order 17`, or a scope in its words.
    by: str
    #: By the ledger's clock; None: nothing was sent.
    began_at: datetime | None
    is_read: bool = False

    @property
    def system(self) -> str:
        """The system that was called."""
        return system_of(self.method)


@dataclass(frozen=True)
class Obstacle:
    """What keeps a call from being made, and when it is worth while to look again."""

    name: str
    until: datetime


@dataclass(frozen=True)
class Verdict:
    """What a failed call says of its system."""

    #: As it is to be understood: a refused token may turn out to be a missing right.
    error: ClientError
    #: Set: the system is closed now, so that the failure says nothing of who called.
    closed: Obstacle | None


@dataclass(frozen=True)
class Pause:
    """A method is paused."""

    #: By this refusal.
    begins: bool


def system_of(name: str) -> str:
    """The system of a method, or of a kind of write."""
    return name.partition(".")[0]


def waiting_feeds(names: Collection[str]) -> list[Feed]:
    """The feeds that cannot be read while these systems and methods are not called."""
    return [
        feed
        for feed, methods in _METHODS.items()
        if system_of(methods[0]) in names or any(each in names for each in methods)
    ]


# -- before a call ---------------------------------------------------------------------------------------------


class Obstacles:
    """What keeps a connection's calls from being made, as it stands at this moment.

    Args:
        session: its transaction.
        connection_id: of its row.
        timing: of the process.
        found: what was asked together with `UPSTREAMS` and `REFUSED_METHODS`; None: they are asked for.
    """

    def __init__(self, session: Session, connection_id: int, timing: Timing, found: Found | None = None) -> None:
        self._session = session
        self._connection_id = connection_id
        self._timing = timing
        found = found or _TROUBLE.read(session, connection_id=connection_id)
        known, refused = found[UPSTREAMS], found[REFUSED_METHODS]
        self._closed = {each.system: each for each in known if each.closed_by is not None}
        self._paused = {each.method: each for each in refused if each.paused_since is not None}
        self._ill = {each.system for each in known if each.closed_by is not None or each.misses}
        self._ill |= {each.method for each in refused}

    def of(self, method: str) -> Obstacle | None:
        """What keeps a method from being called; None: nothing."""
        return self.of_system(system_of(method)) or self._of_row(method, self._paused.get(method))

    def of_system(self, system: str) -> Obstacle | None:
        """What keeps a whole system from being called; None: nothing."""
        return self._of_row(system, self._closed.get(system))

    def _of_row(self, name: str, row: Upstream | PausedMethod | None) -> Obstacle | None:
        if row is None:
            return None
        if isinstance(row, Upstream) and row.closed_by == PERSON:
            # Not longer, so that what was put off is soon found by whoever resumes.
            return Obstacle(
                name, now(self._session) + timedelta(seconds=max(self._timing.poll, self._timing.retry_max))
            )
        if row.probe_at is None:
            return None
        soon = now(self._session) + timedelta(seconds=self._timing.poll)
        return Obstacle(name, row.probe_at if row.probe_at > now(self._session) else soon)

    def may_probe(self, method: str, order: Order) -> bool:
        """The order's own write is to probe a paused method: no other probes until its time comes again."""
        row = self._paused.get(method)
        if row is None or self.of_system(system_of(method)) is not None:
            return False
        untried = select(Order.id).where(
            Order.connection_id == order.connection_id,
            Order.held_up_by == method,
            Order.id != order.id,
            _name(Order.id).not_in(row.refused),
        )
        if name_of(order.id) in row.refused and self._session.scalar(untried.limit(1)) is not None:
            return False  # it may be refused for its own sake
        return self._take(row, and_(PausedMethod.connection_id == row.connection_id, PausedMethod.method == method))

    def any_of(self, feed: Feed) -> bool:
        """Something that the read of a feed calls is closed or paused: it may go as a probe at most."""
        methods = _METHODS[feed]
        return system_of(methods[0]) in self._closed or any(each in self._paused for each in methods)

    def was_well(self, feed: Feed) -> bool:
        """Nothing was to be said against what the read of a feed calls, so that its success is no news."""
        methods = _METHODS[feed]
        return self._ill.isdisjoint((system_of(methods[0]), *methods))

    def hold_back(self, feed: Feed) -> Obstacle | None:
        """What a read is to wait for; None: it may go, as a probe where something is closed or paused."""
        methods = _METHODS[feed]
        system = system_of(methods[0])
        closed = self._closed.get(system)
        if closed is not None:
            of_system = and_(Upstream.connection_id == closed.connection_id, Upstream.system == system)
            probes = self._may_ask(feed, system) and self._take(closed, of_system)
            return None if probes else self.of_system(system)
        for method in methods:
            row = self._paused.get(method)
            if row is not None:
                of_method = and_(PausedMethod.connection_id == row.connection_id, PausedMethod.method == method)
                if not self._take(row, of_method):
                    return self._of_row(method, row)
        return None

    def _may_ask(self, feed: Feed, system: str) -> bool:
        """The read of the feed may probe a system: in the place of one that stands still any other may."""
        if feed is _PROBES[system]:
            return True
        stopped = select(Scope.id).where(
            Scope.connection_id == self._connection_id, Scope.feed == _PROBES[system], Scope.stopped_reason.is_not(None)
        )
        return self._session.scalar(stopped) is not None

    def _take(self, row: Upstream | PausedMethod, is_row: ColumnElement[bool]) -> bool:
        """Take the probe on, if it is due and nobody else did."""
        table = type(row)
        moment = now(self._session)
        since = row.closed_since if isinstance(row, Upstream) else row.paused_since
        by = row.closed_by if isinstance(row, Upstream) else None
        taken = (
            update(table)
            .where(is_row, table.probe_at <= moment)
            .values(probe_at=moment + _until_probe(self._timing, moment - (since or moment), by))
            .returning(table.probe_at)
            .execution_options(synchronize_session=False)
        )
        return self._session.scalar(taken) is not None


def name_of(order_id: int) -> str:
    """An order as the one who made a call."""
    return f"order {order_id}"


def _name(order_id: ColumnElement[int] | InstrumentedAttribute[int]) -> ColumnElement[str]:
    return literal("order ").concat(order_id)


def _until_probe(timing: Timing, closed_for: timedelta, by: str | None) -> timedelta:
    longest = max(timing.poll, timing.retry_max, _LONGEST_LIMIT if by == LIMIT else 0.0)
    return timedelta(seconds=min(max(timing.poll, closed_for.total_seconds() * _SHARE), longest))


def probe_now(session: Session, connection_id: int) -> None:
    """Somebody may have mended it: the next probe need not be waited for.

    Not so a time that the system named, and what a person paused.
    """
    for table, is_closed in (
        (Upstream, Upstream.closed_by.not_in((LIMIT, PERSON))),
        (PausedMethod, PausedMethod.paused_since.is_not(None)),
    ):
        sooner = (
            update(table)
            .where(table.connection_id == connection_id, is_closed)
            .values(probe_at=func.least(table.probe_at, func.axkomet_now()))
        )
        session.execute(sooner.execution_options(synchronize_session=False))


# -- after a call that ended well ------------------------------------------------------------------------------


class Answered(NamedTuple):
    """What came of an answer."""

    #: What was opened, by name: after the commit, call `go_on`.
    opened: tuple[str, ...]
    #: There was nothing to open or to count anew, and nothing was locked.
    was_well: bool


def answered(session: Session, connection_id: int, methods: Collection[str], began_at: datetime | None) -> Answered:
    """Methods did what was asked: the count begins anew, and what the call probed is open.

    Writes nothing while all is well. A call that began before something was closed proves nothing of it.

    Args:
        session: its transaction records it; nothing may be locked after this unless all was well.
        connection_id: of its row.
        methods: of one system.
        began_at: when the call began.
    """
    found = _TROUBLE.read(session, connection_id=connection_id)
    system = system_of(next(iter(methods)))
    was_well = _unwell(found, system) is None
    opened = _reset(session, found, system, began_at)
    for row in found[REFUSED_METHODS]:
        was_well = was_well and row.method not in methods
        since = row.paused_since
        if row.method in methods and (since is None or (began_at is not None and began_at >= since)):
            gone = delete(PausedMethod).where(
                PausedMethod.connection_id == connection_id,
                PausedMethod.method == row.method,
                PausedMethod.paused_since.is_not_distinct_from(since),
            )
            ended = session.scalar(gone.returning(PausedMethod.method).execution_options(synchronize_session=False))
            opened += (row.method,) if ended is not None and since is not None else ()
    return Answered(opened, was_well)


def read_well(runtime: Runtime, connection: Connection, feed: Feed, began_at: datetime) -> None:
    """A feed was read, so that all its methods did what was asked."""
    with runtime.sessions.begin() as session:
        came = answered(session, connection.id, _METHODS[feed], began_at)
    go_on(runtime, connection, came.opened)


def _unwell(found: Found, system: str) -> Upstream | None:
    """The system's row, where calls of it went unanswered of late or it is closed."""
    of_system = (each for each in found[UPSTREAMS] if each.system == system)
    return next((each for each in of_system if each.misses or each.closed_since is not None), None)


def _reset(session: Session, found: Found, system: str, began_at: datetime | None) -> tuple[str, ...]:
    """The system answered; gives its name if that opened it."""
    row = _unwell(found, system)
    if row is None:
        return ()
    of_system = and_(Upstream.connection_id == row.connection_id, Upstream.system == system)
    opens = row.closed_since is not None and began_at is not None and began_at >= row.closed_since
    opens = opens and row.closed_by != PERSON
    values: dict[str, object] = {"misses": 0, "missed_by": []}
    if opens:
        values |= {"closed_by": None, "closed_since": None, "closed_why": None, "probe_at": None}
    reset = update(Upstream).where(of_system, Upstream.closed_since.is_not_distinct_from(row.closed_since))
    done = session.scalar(reset.values(values).returning(Upstream.system).execution_options(synchronize_session=False))
    return (system,) if done is not None and opens else ()


def go_on(runtime: Runtime, connection: Connection, opened: Collection[str]) -> None:
    """Make due at once what waited for something that is open now."""
    if not opened:
        return
    log.info("open again", connection=connection.settings.name, what=", ".join(opened))
    for method in opened:
        if method not in _PROBES:
            _forgive(runtime, connection.id, method)
    with runtime.sessions.begin() as session:
        _read_now(session, connection.id, opened, runtime.timing)
    tend(runtime)


def _read_now(session: Session, connection_id: int, opened: Collection[str], timing: Timing) -> None:
    """Make due the reads that were put off while these systems and methods were not called."""
    moment = now(session)
    late = moment + _until_probe(timing, timedelta.max, LIMIT) + timedelta(seconds=timing.poll)
    put_off = (
        select(Scope.id)
        .where(
            Scope.connection_id == connection_id,
            Scope.feed.in_(waiting_feeds(opened)),
            Scope.due_at.between(moment, late),
        )
        .order_by(Scope.id)
        .with_for_update(key_share=True)
    )
    session.execute(
        update(Scope)
        .where(Scope.id.in_(put_off))
        .values(due_at=moment, hinted_until=None)
        .execution_options(synchronize_session=False)
    )


def tend(runtime: Runtime) -> None:
    """Make due the orders that were held up by something that is there no more, and those that shall probe.

    Whoever opens something does so at once, and each sweep for whoever died before that.
    """
    batch = _BATCH
    while batch == _BATCH:
        with runtime.sessions.begin() as session:
            batch = _let_go_on(session)
            if batch < _BATCH:
                _appoint(session)


def _let_go_on(session: Session) -> int:
    closed = select(Upstream.system).where(
        Upstream.connection_id == Order.connection_id,
        Upstream.system == Order.held_up_by,
        Upstream.closed_by.is_not(None),
    )
    paused = select(PausedMethod.method).where(
        PausedMethod.connection_id == Order.connection_id,
        PausedMethod.method == Order.held_up_by,
        PausedMethod.paused_since.is_not(None),
    )
    free = (
        select(Order.id)
        .where(
            Order.held_up_by.is_not(None),
            Order.held_up_by.not_in((BUDGET, OBSERVES)),
            ~closed.exists(),
            ~paused.exists(),
        )
        .order_by(Order.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, key_share=True)
        .cte()
    )
    values = {"held_up_by": None, "due_at": func.axkomet_now(), "hinted_until": None}
    values |= rests.over_in(func.split_part(Order.held_up_by, ".", 1))
    freed = update(Order).where(Order.id.in_(select(free.c.id))).values(values).returning(Order.id)
    return len(session.scalars(freed.execution_options(synchronize_session=False)).all())


def _appoint(session: Session) -> None:
    """Make one order due for each paused method whose probe is: of those that wait for it the nearest departure.

    One that was refused already comes after those that were not: it may be refused for its own sake. A kind of write
    for which none waits any more has nobody to probe it: it is paused no longer, until it is refused again.
    """
    moment = func.axkomet_now()
    due = select(PausedMethod).where(PausedMethod.paused_since.is_not(None), PausedMethod.probe_at <= moment)
    for row in session.scalars(due):
        candidate = (
            select(Order.id)
            .where(
                Order.connection_id == row.connection_id,
                Order.held_up_by == row.method,
                rests.may_send(system_of(row.method), moment),
            )
            .order_by(_name(Order.id).in_(row.refused), Order.departure_date, Order.id)
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)
            .cte()
        )
        appointed = update(Order).where(Order.id.in_(select(candidate.c.id)), Order.due_at > moment)
        session.execute(appointed.values(due_at=moment, hinted_until=None).execution_options(synchronize_session=False))
    waits = select(Order.id).where(
        Order.connection_id == PausedMethod.connection_id, Order.held_up_by == PausedMethod.method
    )
    pointless = delete(PausedMethod).where(
        PausedMethod.method.in_([each.value for each in Kind]),
        PausedMethod.paused_since.is_not(None),
        PausedMethod.probe_at <= moment,
        ~waits.exists(),
    )
    session.execute(pointless.execution_options(synchronize_session=False))


# -- after a call that failed ----------------------------------------------------------------------------------


def judge(runtime: Runtime, call: Call, error: ClientError) -> Verdict:
    """What a failed call says of its system, which may close by it.

    May ask once more whether the token itself is refused. Locks in transactions of its own.
    """
    if isinstance(error, Refused):
        error = _judge_refusal(runtime, call, error)
    elif not isinstance(error, NoBudget | NoTurn):
        _missed(runtime, call, error)
    with runtime.sessions.begin() as session:
        closed = Obstacles(session, call.connection.id, runtime.timing).of_system(call.system)
    return Verdict(error, closed)


def _judge_refusal(runtime: Runtime, call: Call, error: Refused) -> ClientError:
    asks = call.method == _ASKS_FOR_TOKEN[call.system]
    if error.kind is RefusalKind.LIMIT:
        # Words without 429 may be of something else that one order is over, such as its customer's credit.
        is_certain = bool(error.code) or asks or _is_closed_by(runtime, call, LIMIT)
        said = error if is_certain else _ask_any(call, RefusalKind.LIMIT)
        if said is not None:
            if isinstance(said, Refused):
                _close(runtime, call, LIMIT, said)
            return error
        error = error.meant_as(RefusalKind.OTHER)
    # Axerrio has no rights for single methods: who is refused by one may be refused by all.
    is_perhaps_token = asks or call.system == AXERRIO
    if error.kind is RefusalKind.TOKEN or (error.kind is RefusalKind.RIGHT and is_perhaps_token):
        is_certain = asks or _is_closed_by(runtime, call, TOKEN)
        said = error if is_certain else _ask_any(call, RefusalKind.TOKEN, RefusalKind.RIGHT)
        if said is not None:
            if not isinstance(said, Refused):
                return error
            _close(runtime, call, TOKEN, said)
            return error.meant_as(RefusalKind.TOKEN)
        error = error.meant_as(RefusalKind.RIGHT)
    with runtime.sessions.begin() as session:
        found = _TROUBLE.read(session, connection_id=call.connection.id)
        opened = _reset(session, found, call.system, call.began_at)
    go_on(runtime, call.connection, opened)
    return error


def _is_closed_by(runtime: Runtime, call: Call, by: str) -> bool:
    of_call = (Upstream.connection_id == call.connection.id, Upstream.system == call.system)
    with runtime.sessions.begin() as session:
        return session.scalar(select(Upstream.closed_by).where(*of_call)) == by


def _ask_any(call: Call, *kinds: RefusalKind) -> ClientError | None:
    """The error of a call that every token may make; None: it is answered, so that the system takes calls of ours.

    One that was not answered, or was refused for something else than these kinds, says nothing.
    """
    try:
        with unblocking():
            if call.system == KOMET:
                call.connection.komet.list_box_types()
            else:
                call.connection.axerrio.identity()
    except Refused as error:
        return error if error.kind in kinds else ClientError(error.system, error.operation, error.detail)
    except ClientError as error:
        return error
    return None


def _missed(runtime: Runtime, call: Call, error: ClientError) -> None:
    """A call got no answer: one more in a row."""
    name = func.to_jsonb(literal(call.by))
    with runtime.sessions.begin() as session:
        added = insert(Upstream).values(
            connection_id=call.connection.id, system=call.system, misses=1, missed_by=[call.by]
        )
        row = session.execute(
            added.on_conflict_do_update(
                index_elements=["connection_id", "system"],
                set_={
                    "misses": Upstream.misses + 1,
                    "missed_by": case(
                        (Upstream.missed_by.contains([call.by]), Upstream.missed_by), else_=Upstream.missed_by + name
                    ),
                },
                where=Upstream.closed_by.is_(None),
            ).returning(Upstream.misses, func.jsonb_array_length(Upstream.missed_by).label("callers"))
        ).first()
    if row is not None and row.misses >= _MISSES and row.callers >= _CALLERS:
        _close(runtime, call, AWAY, error)


def _close(runtime: Runtime, call: Call, by: str, error: ClientError) -> None:
    """Close the system, or keep it closed, with the newest words."""
    of_call = (Upstream.connection_id == call.connection.id, Upstream.system == call.system)
    asked = getattr(error, "retry_after", None) or 0.0
    with runtime.sessions.begin() as session:
        moment = now(session)
        before = session.execute(select(Upstream.closed_by, Upstream.closed_since).where(*of_call)).first()
        since = before.closed_since if before is not None and before.closed_by == by else None
        pause = max(_until_probe(runtime.timing, moment - (since or moment), by), timedelta(seconds=asked))
        if by == LIMIT and asked:
            pause = timedelta(seconds=asked)
        # Before the system's own row, which is locked last. Should somebody else close it for longer, the probe waits.
        scopes.expect(session, call.connection.id, _PROBES[call.system], "", pause.total_seconds())
        values: dict[str, Any] = {
            "misses": 0,
            "missed_by": [],
            "closed_by": by,
            "closed_since": since or moment,
            "closed_why": error.detail,
            "probe_at": moment + pause,
        }
        added = insert(Upstream).values(connection_id=call.connection.id, system=call.system, **values)
        session.execute(
            added.on_conflict_do_update(
                index_elements=["connection_id", "system"],
                set_=values | {"probe_at": func.greatest(Upstream.probe_at, moment + pause)},
                where=Upstream.closed_by.is_distinct_from(PERSON),
            )
        )
    if since is None:
        name = call.connection.settings.name
        log.error("closed", connection=name, system=call.system, by=by, why=error.detail, until=moment + pause)


# -- a person ------------------------------------------------------------------------------------------------


def pause(session: Session, connection_id: int, who: str, why: str) -> bool:
    """Call neither system of a connection, whatever else closed them, until a person resumes it.

    Args:
        session: its transaction records it; nothing may be locked after this.
        connection_id: of its row.
        who: pauses it.
        why: for people; may be empty.

    Returns:
        Whether it was not paused before.
    """
    if len(_by_a_person(session, connection_id)) == len((AXERRIO, KOMET)):
        return False
    note_connection(session, connection_id, who, "paused", why)
    session.flush()
    why = f"by {who}" + (f", {why}" if why else "")
    values = {"misses": 0, "missed_by": [], "closed_by": PERSON, "closed_why": why, "probe_at": None}
    values |= {"closed_since": func.axkomet_now()}
    for system in (AXERRIO, KOMET):
        added = insert(Upstream).values(connection_id=connection_id, system=system, **values)
        paused = added.on_conflict_do_update(
            index_elements=["connection_id", "system"], set_=values, where=Upstream.closed_by.is_distinct_from(PERSON)
        )
        session.execute(paused)
    return True


def resume(session: Session, connection_id: int, timing: Timing, who: str, why: str) -> bool:
    """Call both systems again: what was put off is read now, and the next sweep wakes the orders.

    Args:
        session: its transaction records it; nothing may be locked after this.
        connection_id: of its row.
        timing: of the process.
        who: resumes it.
        why: for people; may be empty.

    Returns:
        Whether it was paused.
    """
    opened = _by_a_person(session, connection_id)
    if opened:
        # Before the systems' own rows, which are locked last.
        _read_now(session, connection_id, opened, timing)
        note_connection(session, connection_id, who, "resumed", why)
        session.flush()
        by_a_person = (Upstream.connection_id == connection_id, Upstream.closed_by == PERSON)
        session.execute(delete(Upstream).where(*by_a_person).execution_options(synchronize_session=False))
    return bool(opened)


def _by_a_person(session: Session, connection_id: int) -> Sequence[str]:
    """Its systems that a person paused."""
    paused = select(Upstream.system).where(Upstream.connection_id == connection_id, Upstream.closed_by == PERSON)
    return session.scalars(paused).all()


# -- a method that is refused ----------------------------------------------------------------------------------


def refuse(session: Session, call: Call, error: ClientError, timing: Timing) -> Pause | None:
    """Note that a method was refused for want of a right.

    Args:
        session: its transaction records it; nothing may be locked after this.
        call: that was refused.
        error: with the other system's own words.
        timing: of the process.

    Returns:
        The pause, where the method is paused: then the refusal says nothing of who called. After the commit, call
        `paused`. None: one caller alone was refused.
    """
    moment = now(session)
    mine = and_(PausedMethod.connection_id == call.connection.id, PausedMethod.method == call.method)
    added = insert(PausedMethod).values(
        connection_id=call.connection.id, method=call.method, words=error.detail, refused=[]
    )
    session.execute(added.on_conflict_do_nothing())
    row = session.scalars(
        select(PausedMethod).where(mine).with_for_update().execution_options(populate_existing=True)
    ).one()
    if row.words != error.detail:
        row.words = error.detail
        row.refused = row.refused if row.paused_since is not None else []
    # A read has nobody beside it who could be refused by the same method: its own second refusal counts.
    if call.by not in row.refused or (call.is_read and row.paused_since is None):
        row.refused = [*row.refused, call.by]
    begins = row.paused_since is None and len(row.refused) >= _REFUSED
    if begins:
        row.paused_since = moment
        row.probe_at = moment + _until_probe(timing, timedelta(0), None)
        name = call.connection.settings.name
        log.error("paused", connection=name, method=call.method, why=error.detail)
    session.flush()
    return Pause(begins) if row.paused_since is not None else None


def paused(runtime: Runtime, call: Call, pause: Pause) -> None:
    """A method is paused: whoever was refused by it before waits with the others.

    Where every method is refused it is the token that is: a read of what every token may call will tell.
    """
    if not pause.begins:
        return
    _forgive(runtime, call.connection.id, call.method)
    if call.system == KOMET:
        with runtime.sessions.begin() as session:
            scopes.expect(session, call.connection.id, _PROBES[KOMET], "", 0.0)


def _forgive(runtime: Runtime, connection_id: int, method: str) -> None:
    """Orders that stopped because a kind of write was refused begin afresh."""
    if method not in tuple(Kind):
        return
    refused = and_(
        Write.kind == Kind(method),
        Write.state == WriteState.REFUSED,
        Write.refusal == RefusalKind.RIGHT.value,
        Write.id > Order.fresh_after_write,
    )
    led = select(Write.id).where(Write.order_id == Order.id, refused).exists()
    shared = (
        select(Write.id)
        .join(WriteLine, WriteLine.write_id == Write.id)
        .join(OrderLine, WriteLine.line_id == OrderLine.id)
        .where(OrderLine.order_id == Order.id, refused)
        .exists()
    )
    stopped = select(Order.id).where(
        Order.connection_id == connection_id, Order.reason_code == HoldCode.REJECTED.value, or_(led, shared)
    )
    with runtime.sessions.begin() as session:
        for row in lock_orders(session, list(session.scalars(stopped))):
            begin_afresh(session, row)
            row.due_at, row.hinted_until = now(session), None
