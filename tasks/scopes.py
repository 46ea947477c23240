"""Scopes: what one read observes, who waits for it, and when it is due.

An order never reads for itself. It waits for a scope, and one read serves all who wait by then. A scope is due at once
for a new wait, or a few seconds later where other orders of the connection are about to want the same read; at the base
interval while anybody waits actively (ids of something just made, a write in doubt), and much less often while they
wait passively (approval, mapping); Komet's lists no sooner after the last read than the pace of the request budget says
(`tasks.budget`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Integer,
    Interval,
    Text,
    all_,
    and_,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from models.database import CLOCK, now
from models.prepared import Found, Number, Prepared, Rows, parameter
from models.states import CHANGED, WINDOW, Feed
from models.tables import Observation, Order, Scope, UnreadableRecord, Wait
from tasks.budget import PACED, RATIONED, Pace, pace_found
from tasks.connection import ConnectionSettings
from tasks.plan.facts import Look
from tasks.runtime import Hint, Timing, new_owner

#: The whole window, and feeds for which no order waits, are read once in so many polls, but so often at least.
_POLLS_FOR_ALL = 15
_SELDOM = 6 * 3600.0
#: Reference data is read anew so often.
REFERENCE_INTERVAL = 86_400.0
#: It is two lists, so that it is read half as often where it is waited for.
_CALLS_FOR_REFERENCE = 2
#: Failed reads are tried again at the poll interval, doubling up to this many times it.
_SLOWEST_RETRY = 16
#: Times of one statement are closer than that.
_CLOSE = timedelta(seconds=1)
#: Axerrio's feeds that bring what belongs to orders.
ORDER_FEEDS = (Feed.SALES_ORDERS, Feed.LABELS, Feed.SHIPMENTS)


class _WaitRow(NamedTuple):
    scope_id: int
    active: bool


_ORDER, _CONNECTION = parameter("order_id", BigInteger()), parameter("connection_id", BigInteger())
_of_key = (
    Scope.connection_id == _CONNECTION,
    Scope.feed == parameter("feed", Text()),
    Scope.key == parameter("key", Text()),
)
_FOUND = Prepared(select(Scope.id).where(*_of_key))
#: What an order waits for.
WAITS = Rows(_WaitRow, select(Wait.scope_id, Wait.active).where(Wait.order_id == _ORDER))
#: So many other orders of a connection at most make a read wait longer, each by what `Timing.coalesce` says.
_MOST_OTHERS = 3
_others = (
    select(Order.id)
    .where(
        Order.connection_id == _CONNECTION,
        Order.id != _ORDER,
        Order.due_at <= CLOCK + parameter("lease", Interval()),  # due, or somebody works on it
    )
    .limit(_MOST_OTHERS)
    .subquery()
)
#: Other orders of the connection that are on their way, and may soon want the same read.
OTHERS_AT_WORK = Rows(Number, select(cast(func.count(), Integer).label("value")).select_from(_others))
_changed = (
    func.unnest(parameter("changed", ARRAY(BigInteger())), parameter("active", ARRAY(Boolean())))
    .table_valued("scope_id", "active")
    .render_derived()
)
_gone = delete(Wait).where(Wait.order_id == _ORDER, Wait.scope_id != all_(parameter("wanted", ARRAY(BigInteger()))))
_new = insert(Wait).from_select(
    ["order_id", "scope_id", "active"], select(_ORDER, _changed.c.scope_id, _changed.c.active)
)
#: An order waits for what is wanted and for nothing else; of that, what changed is named again.
_WAIT = Prepared(
    _new.on_conflict_do_update(index_elements=["order_id", "scope_id"], set_={"active": _new.excluded.active}).add_cte(
        _gone.returning(Wait.scope_id).cte("gone")
    )
)
_asked_for = (
    func.unnest(parameter("scope_ids", ARRAY(BigInteger())), parameter("pauses", ARRAY(Interval())))
    .table_valued("scope_id", "pause")
    .render_derived()
)
_wanted_at = func.greatest(CLOCK + parameter("within", Interval()), Scope.last_success_at + _asked_for.c.pause)
_comes_sooner = or_(Scope.due_at.is_(None), Scope.due_at > _wanted_at)
#: Scopes with when they are wanted, locked by ascending id. See `lock_all`.
_ASKED = (
    select(
        Scope.id,
        _wanted_at.label("due_at"),
        (_wanted_at - CLOCK).label("delay"),
        _comes_sooner.label("comes_sooner"),
        and_(  # who reads it tells of the next read, and what is due later the sweep finds
            _comes_sooner,
            or_(Scope.lease_until.is_(None), Scope.lease_until <= CLOCK),
            _wanted_at <= CLOCK + parameter("longest", Interval()),
        ).label("is_told"),
    )
    .join(_asked_for, Scope.id == _asked_for.c.scope_id)
    .order_by(Scope.id)
    .with_for_update(key_share=True, of=Scope)
    .cte("asked")
)
_REQUESTED = Prepared(
    update(Scope)
    .where(Scope.id == _ASKED.c.id)
    .values(
        requested=Scope.requested + 1,
        due_at=case((_ASKED.c.comes_sooner, _ASKED.c.due_at), else_=Scope.due_at),
        hinted_until=case((_ASKED.c.is_told, CLOCK + parameter("lifetime", Interval())), else_=Scope.hinted_until),
    )
    .returning(Scope.id, Scope.feed, Scope.key, Scope.hinted_until, _ASKED.c.delay, _ASKED.c.is_told)
)


@dataclass(frozen=True)
class Claim:
    """A read that this process has taken on."""

    scope_id: int
    connection_id: int
    feed: Feed
    key: str
    cursor: int | None
    changed_since: datetime | None
    owner: str
    #: Requests that it saw when it began: it serves these and no later ones.
    requested: int
    #: Records of it were put aside.
    lacks_records: bool
    #: The last look at it was whole, or there was none.
    was_whole: bool
    #: An order waits for it that cannot go on without.
    is_urgent: bool
    began_at: datetime
    #: Of its company's reads.
    pace: Pace = field(default_factory=Pace)
    #: Nobody waits for it any more, and nobody asked for it.
    is_idle: bool = False


def find_or_make(session: Session, connection_id: int, feed: Feed, key: str) -> int:
    """The id of the scope's row."""
    of_key = {"connection_id": connection_id, "feed": feed.value, "key": key}
    found = _FOUND.run(session, **of_key).scalar()
    if found is None:
        session.execute(insert(Scope).values(of_key).on_conflict_do_nothing())
        found = _FOUND.run(session, **of_key).scalar_one()
    return int(found)


def wait_for(
    session: Session,
    order: Order,
    looks: Iterable[Look],
    timing: Timing,
    settings: ConnectionSettings,
    found: Found,
    known: Mapping[tuple[Feed, str], int],
    *,
    anew: bool = False,
) -> list[Hint]:
    """Let the order wait for these looks and for nothing else.

    Args:
        session: in a transaction that has the order locked.
        order: that waits.
        looks: what it waits for.
        timing: of the process.
        settings: of its connection.
        found: what was asked together with `WAITS`, `OTHERS_AT_WORK`, `USED` and `SCOPES_READ`.
        known: ids of scopes, by feed and key, as far as they are known.
        anew: something was done since it began to wait, so that what it waits for actively is another look.

    Returns:
        Hints for the scopes that a new wait made due.
    """
    of_looks = {
        (look.feed, look.key): look for look in sorted(looks, key=lambda look: (look.feed, look.key, look.active))
    }
    wanted = {
        known.get(name) or find_or_make(session, order.connection_id, *name): look for name, look in of_looks.items()
    }
    present = {each.scope_id: each.active for each in found[WAITS]}
    changed = [scope_id for scope_id, look in wanted.items() if present.get(scope_id) is not look.active]
    if changed or not present.keys() <= wanted.keys():
        _WAIT.run(
            session,
            order_id=order.id,
            wanted=list(wanted),
            changed=changed,
            active=[wanted[scope_id].active for scope_id in changed],
        )
    fresh = [scope_id for scope_id in changed if wanted[scope_id].active or scope_id not in present]
    if anew:
        fresh += [scope_id for scope_id, look in wanted.items() if look.active and scope_id not in changed]
    pace = pace_found(settings, found)
    paced = [scope_id for scope_id in fresh if wanted[scope_id].feed in PACED]
    after = {each: pace.active if wanted[each].active else pace.passive for each in paced}
    return request(session, fresh, timing, after, within=timing.coalesce * found.number(OTHERS_AT_WORK))


def request(
    session: Session,
    scope_ids: Collection[int],
    timing: Timing,
    after: Mapping[int, float] | None = None,
    *,
    within: float | None = None,
) -> list[Hint]:
    """Make the scopes due within a moment, for everybody who asks within it.

    Args:
        session: its transaction records it.
        scope_ids: of their rows.
        timing: of the process.
        after: seconds since a scope's last read that lie between at least, where it is rationed.
        within: seconds of the moment; None: as long as others that want the same read are waited for.
    """
    if not scope_ids:
        return []
    asked = _REQUESTED.run(
        session,
        scope_ids=list(scope_ids),
        pauses=[timedelta(seconds=after[each]) if after and each in after else None for each in scope_ids],
        within=timedelta(seconds=timing.coalesce if within is None else within),
        longest=timedelta(seconds=timing.coalesce * _MOST_OTHERS),
        lifetime=timedelta(seconds=timing.hint),
    )
    return [
        Hint("observe", each.id, _words(each.feed, each.key), max(0.0, each.delay.total_seconds()), each.hinted_until)
        for each in sorted(asked, key=lambda each: each.id)
        if each.is_told
    ]


def _hints(scope: Scope, moment: datetime, timing: Timing) -> list[Hint]:
    """The message for a read that is due within a moment; what is due later the sweep finds."""
    delay = ((scope.due_at or moment) - moment).total_seconds()
    longest = timing.coalesce * _MOST_OTHERS
    if delay > longest:
        return []
    scope.hinted_until = moment + timedelta(seconds=timing.hint)
    return [Hint("observe", scope.id, words(scope), delay, scope.hinted_until)]


def expect(session: Session, connection_id: int, feed: Feed, key: str, seconds: float) -> None:
    """Let the scope be read within so many seconds, unless it stands still: something in it is to be looked at.

    A read of it that is under way, be it the caller's own, looks too early: the next one comes then.
    """
    moment = now(session)
    soon = moment + timedelta(seconds=seconds)
    scope = lock(session, find_or_make(session, connection_id, feed, key))
    if scope.stopped_reason is not None:
        return
    if scope.lease_until is not None and scope.lease_until > moment:
        scope.requested += 1
        if scope.due_at is not None and scope.due_at > scope.lease_until - _CLOSE:
            scope.due_at = None  # nobody asked for it by then: it was due again should the reader die
    if scope.due_at is None or scope.due_at > soon:
        scope.due_at = soon


def lock_all(session: Session, scope_ids: Collection[int]) -> list[Scope]:
    """The scopes' rows as they are now, locked by ascending id.

    Not `FOR UPDATE`: a wait's foreign key holds its scope `FOR KEY SHARE`, so that two would block each other.
    """
    rows = select(Scope).where(Scope.id.in_(scope_ids)).order_by(Scope.id).with_for_update(key_share=True)
    return list(session.scalars(rows.execution_options(populate_existing=True)))


def lock(session: Session, scope_id: int) -> Scope:
    """The scope's row as it is now, locked."""
    (scope,) = lock_all(session, [scope_id])
    return scope


def words(scope: Scope | Claim) -> str:
    """The scope as people see it."""
    return _words(scope.feed.value, scope.key)


def _words(feed: str, key: str) -> str:
    return f"{feed} {key}".strip()


def claim(session: Session, scope_id: int, timing: Timing) -> Claim | None:
    """Take a due scope on; None when it is not due, stopped, or somebody else has it."""
    owner = new_owner()
    moment = func.axkomet_now()
    lease_ends = moment + timedelta(seconds=timing.scope_lease)
    aside = select(UnreadableRecord.id).where(
        UnreadableRecord.scope_id == Scope.id, UnreadableRecord.resolved_at.is_(None)
    )
    waits = select(func.bool_or(Wait.active)).where(Wait.scope_id == Scope.id).scalar_subquery()
    looks = select(Observation.complete).where(Observation.scope_id == Scope.id)
    newest = looks.order_by(Observation.began_at.desc()).limit(1).scalar_subquery()
    taken = session.execute(
        update(Scope)
        .where(
            Scope.id == scope_id,
            Scope.due_at <= moment,
            Scope.stopped_reason.is_(None),
            or_(Scope.lease_until.is_(None), Scope.lease_until < moment),
        )
        .values(lease_owner=owner, lease_until=lease_ends, due_at=lease_ends, hinted_until=None)
        .returning(Scope, func.axkomet_now(type_=DateTime(timezone=True)), aside.exists(), newest, waits)
        .execution_options(populate_existing=True)
    ).first()
    if taken is None:
        return None
    scope, began_at, lacks_records, was_whole, is_urgent = taken
    return Claim(
        scope.id,
        scope.connection_id,
        scope.feed,
        scope.key,
        scope.cursor,
        scope.changed_since,
        owner,
        scope.requested,
        lacks_records,
        was_whole is not False,
        is_urgent is True,
        began_at,
        is_idle=_is_on_demand(scope) and is_urgent is None and scope.requested <= scope.served,
    )


def rest(session: Session, claim: Claim) -> None:
    """Give an idle read back: it is due again once somebody waits."""
    scope = lock(session, claim.scope_id)
    scope.due_at = None
    scope.failures, scope.last_error = 0, None  # of a read that nobody waits for, that is no trouble any more
    _release(scope, claim)


def _is_on_demand(scope: Scope) -> bool:
    """A date of one of Komet's lists is read for those who wait for it only."""
    return scope.feed in RATIONED and scope.key not in (CHANGED, WINDOW)


class Finished(NamedTuple):
    """What is to be told of a read that was recorded."""

    #: Ids of the orders that wait actively: they are judged anew by this look.
    waiting: list[int]
    #: For the next read, where it was asked for while this one ran.
    hints: list[Hint]


def finish(
    session: Session, claim: Claim, *, complete: bool, records: int, timing: Timing, again: bool = False
) -> Finished:
    """Record a read that succeeded, and say when the scope is due next.

    Args:
        session: its transaction also stores what was read.
        claim: the read.
        complete: it may prove absence.
        records: number of records it brought.
        timing: of the process.
        again: the feed has more; read on at once.
    """
    scope = lock(session, claim.scope_id)
    moment = now(session)
    waits = session.execute(select(Wait.order_id, Wait.active).where(Wait.scope_id == claim.scope_id)).all()
    active = sorted(order_id for order_id, is_active in waits if is_active)
    session.add(
        Observation(
            scope_id=claim.scope_id,
            began_at=claim.began_at,
            ended_at=moment,
            complete=complete,
            records=records,
        )
    )
    scope.served = max(scope.served, claim.requested)
    is_first = scope.last_success_at is None
    scope.last_success_at = moment
    scope.failures, scope.last_error = 0, None
    next_read = _next_read(
        scope,
        moment,
        timing,
        claim.pace,
        is_first=is_first,
        is_waited_for=bool(waits),
        is_urgent=bool(active),
        again=again,
    )
    was_asked = scope.requested > scope.served and not again
    if was_asked:  # while it was read: it is due by then, or when the lease would have ended
        asked_for = max(scope.due_at or moment, moment + timedelta(seconds=claim.pace.active))
        next_read = min(next_read or asked_for, asked_for)
    scope.due_at = next_read
    _release(scope, claim)
    return Finished(active, _hints(scope, moment, timing) if was_asked else [])


def read_on(session: Session, claim: Claim, connection: str, timing: Timing) -> Hint:
    """A message for the next page of a feed, whose scope is due at once."""
    scope = lock(session, claim.scope_id)
    scope.hinted_until = now(session) + timedelta(seconds=timing.hint)
    return Hint("observe", scope.id, f"{words(scope)} {connection}", until=scope.hinted_until)


def _next_read(
    scope: Scope,
    moment: datetime,
    timing: Timing,
    pace: Pace,
    *,
    is_first: bool,
    is_waited_for: bool,
    is_urgent: bool,
    again: bool,
) -> datetime | None:
    if again:
        return moment
    between_polls = timing.between_polls(first=is_first and not _is_on_demand(scope))
    passive = max(between_polls, pace.passive)
    if scope.key == WINDOW or scope.feed is Feed.ARTICLES:
        return moment + timedelta(seconds=max(timing.poll, min(_POLLS_FOR_ALL * passive, _SELDOM)))
    if scope.feed in ORDER_FEEDS:
        return moment + timedelta(seconds=between_polls)
    if is_urgent:
        return moment + timedelta(seconds=max(between_polls, pace.active))
    if is_waited_for or scope.key == CHANGED:
        calls = _CALLS_FOR_REFERENCE if scope.feed is Feed.KOMET_REFERENCE else 1
        return moment + timedelta(seconds=calls * passive)
    return moment + timedelta(seconds=REFERENCE_INTERVAL) if scope.feed is Feed.KOMET_REFERENCE else None


def fail(session: Session, claim: Claim, error: str, timing: Timing, *, retry_after: float = 0.0) -> None:
    """Record a read that failed or broke off: it is no observation, and will be tried again.

    Whoever has the scope by now knows better.
    """
    scope = lock(session, claim.scope_id)
    if scope.lease_owner != claim.owner:
        return
    scope.failures += 1
    scope.last_error = error
    pause = max(timing.poll * min(2 ** (scope.failures - 1), _SLOWEST_RETRY), retry_after)
    scope.due_at = now(session) + timedelta(seconds=min(pause, max(timing.retry_max, timing.poll, retry_after)))
    _release(scope, claim)


def put_off(session: Session, claim: Claim, until: datetime, why: str | None = None) -> None:
    """Give a read back that cannot be made before a moment: that is no failure of its own."""
    scope = lock(session, claim.scope_id)
    if scope.lease_owner == claim.owner:
        scope.due_at, scope.last_error = until, why or scope.last_error
        _release(scope, claim)


class ReadLostError(Exception):
    """The lease ended while the read ran: somebody else reads the scope, or did."""


def confirm(session: Session, claim: Claim) -> None:
    """The scope is still ours, and stays so until the commit.

    Raises:
        ReadLostError: it is not; the caller's transaction must not commit.
    """
    scope = lock(session, claim.scope_id)
    if scope.lease_owner != claim.owner:
        raise ReadLostError


def stop(session: Session, claim: Claim, reason: str) -> None:
    """Let the feed stand still until an admin resets it."""
    scope = lock(session, claim.scope_id)
    scope.stopped_reason, scope.due_at = reason, None
    _release(scope, claim)


def _release(scope: Scope, claim: Claim) -> None:
    if scope.lease_owner == claim.owner:
        scope.lease_owner = scope.lease_until = None
