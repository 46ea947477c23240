"""How the whole is, for people and machines: healthy or not, in words, and the figures behind it.

The shape is that of the public interface: every key is always there, and what is missing is null.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Select, and_, column, distinct, func, not_, or_, select, true, values
from sqlalchemy.orm import Session

from models.canonical import Json
from models.database import now
from models.states import FINAL, Feed, WriteState
from models.tables import (
    Connection,
    ConnectionNote,
    Order,
    OrderCount,
    PausedMethod,
    Process,
    Proof,
    Scope,
    UnreadableRecord,
    Upstream,
    Write,
)
from tasks import guard
from tasks.budget import Budget, requests_used
from tasks.connection import ConnectionSettings
from tasks.runtime import Timing
from tasks.upstreams import KOMET, LIMIT, PERSON, TOKEN, waiting_feeds
from worker.aside import lost_records, put_aside
from worker.desk import iso

Row = TypeVar("Row", Upstream, PausedMethod, Scope)

#: A worker or beat that was not seen for so many intervals is gone; a feed unread for so many polls is late;
#: what was due for so many is not about to be done.
INTERVALS = 3
#: So many notes of a connection are shown.
_NOTES = 10


def reset_command(connection: str, feed: Feed) -> str:
    """The command that lets a feed that stands still be read again."""
    return f"axkomet feed reset {connection} {feed.value} --to 0"


def way_on(command: str) -> str:
    """What `reset_command` does."""
    return f"`{command}` reads all of it anew, and doubles nothing."


def not_taken_up(connection: str) -> str:
    """What is said of a connection that the ledger does not know."""
    return f"{connection}: no worker has taken this connection up yet."


def gone_before(moment: datetime, interval: float) -> datetime:
    """What is done each so many seconds, and was done last before this, is not done any more."""
    return moment - timedelta(seconds=INTERVALS * interval + 1)


def status(session: Session, connections: Iterable[ConnectionSettings], timing: Timing) -> Json:
    """How the whole is: healthy or not, in words, and the figures behind it. Single orders that wait are no illness."""
    moment = now(session)
    problems: list[str] = []
    processes = session.scalars(select(Process)).all()
    alive = gone_before(moment, timing.sweep)
    workers = sum(1 for each in processes if each.role == "worker" and each.seen_at > alive)
    tick = max((each.seen_at for each in processes if each.role == "beat"), default=None)
    if not workers:
        problems.append(f"No worker was seen for {INTERVALS} intervals: start `axkomet worker`.")
    if tick is None or tick <= alive:
        problems.append(f"No tick came for {INTERVALS} intervals: start `axkomet beat`, and look at worker and Redis.")
    facts = _facts(session, timing, moment)
    shown = []
    untaken = []
    for settings in connections:
        connection_id = facts.ids.get(settings.name)
        if connection_id is None:
            problems.append(not_taken_up(settings.name))
            untaken.append(settings.name)
            continue
        shown.append(_connection(facts, connection_id, settings, timing, problems))
    known = {each["name"] for each in shown}
    left = {name: sum(facts.open[id_].values()) for name, id_ in facts.ids.items() if name not in known}
    forgotten = {name: count for name, count in sorted(left.items()) if count}
    problems += [
        f"{name} is not in the connections file, and {count} of its orders are not at their end: nobody works on them."
        for name, count in forgotten.items()
    ]
    return {
        "healthy": not problems,
        "problems": problems,
        "connections": shown,
        "not_taken_up": untaken,
        "forgotten": [{"name": name, "orders": count} for name, count in forgotten.items()],
        "workers": workers,
        "beat": {"last_tick_at": iso(tick)},
    }


def unknown(*problems: str) -> Json:
    """The same document where the ledger cannot be asked."""
    return {
        "healthy": False,
        "problems": [*problems],
        "connections": [],
        "not_taken_up": [],
        "forgotten": [],
        "workers": 0,
        "beat": {"last_tick_at": None},
    }


@dataclass(frozen=True)
class _Facts:
    """What the ledger holds of all connections, by the id of their row: few questions, however many they are."""

    moment: datetime
    ids: Mapping[str, int]
    orders: Mapping[int, Mapping[str, int]]
    #: Orders that are not at their end, by the code of their reason.
    open: Mapping[int, Mapping[str | None, int]]
    #: Seconds.
    oldest_due: Mapping[int, float]
    in_doubt: Mapping[int, int]
    unreadable: Mapping[int, int]
    #: Some of them.
    put_aside: Mapping[int, Sequence[Json]]
    #: Of those that are no order here, by the name of the connection.
    lost: Mapping[str, Sequence[str]]
    over_limit: Mapping[int, int]
    #: By company.
    used: Mapping[str, int]
    closed: Mapping[int, Sequence[Upstream]]
    paused: Mapping[int, Sequence[PausedMethod]]
    feeds: Mapping[int, Sequence[Json]]
    #: Scopes of which something may be to be said.
    troubled: Mapping[int, Sequence[Scope]]
    proofs: Mapping[int, Mapping[str, bool]]
    notes: Mapping[int, Sequence[Json]]


def _facts(session: Session, timing: Timing, moment: datetime) -> _Facts:
    orders: dict[int, Counter[str]] = defaultdict(Counter)
    ended = select(OrderCount.connection_id, OrderCount.state, func.sum(OrderCount.change))
    for id_, state, count in session.execute(ended.group_by(OrderCount.connection_id, OrderCount.state)):
        if count:
            orders[id_][state.value] = int(count)
    open_: dict[int, Counter[str | None]] = defaultdict(Counter)
    alike = (Order.connection_id, Order.state, Order.reason_code)
    counted = select(*alike, func.count()).where(Order.state.not_in(FINAL)).group_by(*alike)
    for id_, state, reason, count in session.execute(counted):
        orders[id_][state.value] += count
        open_[id_][reason] += count
    oldest = select(Order.connection_id, func.min(Order.due_at)).where(Order.due_at <= moment)
    in_doubt = select(Write.connection_id, func.count()).where(
        Write.state == WriteState.SENT, Write.deadline_at < moment
    )
    unreadable = (  # one record can stand in several lists
        select(Scope.connection_id, func.count(distinct(UnreadableRecord.digest)))
        .join(UnreadableRecord, UnreadableRecord.scope_id == Scope.id)
        .where(UnreadableRecord.resolved_at.is_(None))
    )
    proofs: dict[int, dict[str, bool]] = defaultdict(dict)
    for proof in session.scalars(select(Proof).order_by(Proof.connection_id, Proof.kind)):
        proofs[proof.connection_id][proof.kind.value] = proof.earned_at is not None
    return _Facts(
        moment=moment,
        ids=dict(session.execute(select(Connection.name, Connection.id)).all()),
        orders=orders,
        open=open_,
        oldest_due={
            id_: (moment - due).total_seconds()
            for id_, due in session.execute(oldest.group_by(Order.connection_id)).all()
            if due
        },
        in_doubt=dict(session.execute(in_doubt.group_by(Write.connection_id)).all()),
        unreadable=dict(session.execute(unreadable.group_by(Scope.connection_id)).all()),
        put_aside=put_aside(session),
        lost=lost_records(session),
        over_limit=guard.count_held(session),
        used=requests_used(session),
        closed=_by_connection(session.scalars(_closed().order_by(Upstream.system))),
        paused=_by_connection(session.scalars(_paused().order_by(PausedMethod.method))),
        feeds=_feeds(session, moment),
        troubled=_by_connection(
            session.scalars(
                select(Scope)
                .where(
                    _in_use,
                    or_(
                        Scope.stopped_reason.is_not(None),
                        Scope.due_at < _late(timing, moment),
                        Scope.failures >= INTERVALS,
                        and_(Scope.feed == Feed.SALES_ORDERS, Scope.last_success_at.is_(None)),
                    ),
                )
                .order_by(Scope.feed, Scope.key)
            )
        ),
        proofs=proofs,
        notes=_notes(session),
    )


def _by_connection(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.connection_id].append(row)
    return found


def _late(timing: Timing, moment: datetime) -> datetime:
    """What was due before that is late."""
    return gone_before(moment, timing.poll)


#: Scopes that are read, or stand still: of the others only when they were read is of interest. As the index has it.
_in_use = or_(Scope.due_at.is_not(None), Scope.stopped_reason.is_not(None))


def _feeds(session: Session, moment: datetime) -> dict[int, list[Json]]:
    """How fresh each feed is: of several scopes the one that was read last, and of what is wrong the worst."""
    found: dict[int, list[Json]] = defaultdict(list)
    stopped = Scope.stopped_reason.is_not(None)
    columns = (
        func.max(Scope.cursor),
        func.min(Scope.due_at).filter(not_(stopped)),
        func.max(Scope.failures),
        func.bool_or(stopped),
    )
    in_use = select(Scope.connection_id, Scope.feed, *columns).where(_in_use)
    stands = {
        (connection_id, feed): rest
        for connection_id, feed, *rest in session.execute(in_use.group_by(Scope.connection_id, Scope.feed))
    }
    # Dates are many, and most are past: of each feed the newest read is found by the index on it.
    feeds = values(column("feed", Scope.feed.type), name="feeds").data([(feed,) for feed in Feed])
    of_feed = (Scope.connection_id == Connection.id, Scope.feed == feeds.c.feed)
    newest = select(func.max(Scope.last_success_at)).where(*of_feed).scalar_subquery()
    reads = select(Connection.id, feeds.c.feed, newest).join(feeds, true())
    for connection_id, feed, read_at in session.execute(reads.order_by(Connection.id, feeds.c.feed)):
        if read_at is None and (connection_id, feed) not in stands:
            continue
        cursor, due_at, failures, is_stopped = stands.get((connection_id, feed), (None, None, 0, False))
        overdue = (moment - due_at).total_seconds() if due_at else 0.0
        found[connection_id].append(
            {
                "name": feed.value,
                "last_success_at": iso(read_at),
                "cursor": cursor,
                "overdue_seconds": max(0.0, overdue),
                "failures": failures,
                "stopped": is_stopped,
            }
        )
    return found


def _connection(
    facts: _Facts, connection_id: int, settings: ConnectionSettings, timing: Timing, problems: list[str]
) -> Json:
    budget = Budget(settings.komet.daily_requests, facts.used.get(settings.company, 0))
    closed, paused = facts.closed.get(connection_id, ()), facts.paused.get(connection_id, ())
    problems += _not_called(settings.name, closed, paused)
    told = waiting_feeds([each.system for each in closed] + [each.method for each in paused])
    for scope in facts.troubled.get(connection_id, ()):
        where = f"{settings.name}: {scope.feed.value} {scope.key}".strip()
        if scope.stopped_reason is not None:
            problems.append(
                f"{where} stands still: {scope.stopped_reason}. {way_on(reset_command(settings.name, scope.feed))}"
            )
        elif scope.feed in told:
            pass  # said above
        elif scope.due_at is not None and scope.due_at < _late(timing, facts.moment):
            problems.append(f"{where} was not read for {INTERVALS} polls.")
        elif scope.failures >= INTERVALS:
            problems.append(f"{where} could not be read {scope.failures} times: {scope.last_error}.")
        elif scope.feed is Feed.SALES_ORDERS and scope.last_success_at is None:
            problems.append(f"{where} was never read" + (f": {scope.last_error}." if scope.last_error else " yet."))
    problems += facts.lost.get(settings.name, ())
    held = facts.over_limit.get(connection_id, 0)
    if held:
        problems.append(
            f"{settings.name}: {held} order(s) are held, since too many were cancelled or changed at once: see them "
            f"with `axkomet orders list --connection {settings.name} --reason over_limit`; where it is meant, "
            f"`axkomet release --reason over_limit --connection {settings.name}`."
        )
    if not budget.left:
        problems.append(f"{settings.name}: all {budget.limit} Komet requests of the last 24 hours are used.")
    elif not budget.left_for_reads:
        problems.append(
            f"{settings.name}: the {budget.left} Komet requests left of {budget.limit} are kept for what orders "
            "wait for, so that Komet is not read for news until some of the last 24 hours are free again."
        )
    return {
        "name": settings.name,
        "mode": settings.mode,
        "paused": any(each.closed_by in (TOKEN, PERSON) for each in closed),
        "upstreams": [
            {
                "system": each.system,
                "closed_by": each.closed_by,
                "since": iso(each.closed_since),
                "why": each.closed_why,
            }
            for each in closed
        ],
        "paused_methods": [
            {"method": each.method, "since": iso(each.paused_since), "why": each.words} for each in paused
        ],
        "orders": facts.orders.get(connection_id, {}),
        "reasons": {code: count for code, count in facts.open.get(connection_id, {}).items() if code is not None},
        "oldest_due_seconds": facts.oldest_due.get(connection_id),
        "in_doubt": facts.in_doubt.get(connection_id, 0),
        "unreadable": facts.unreadable.get(connection_id, 0),
        "put_aside": list(facts.put_aside.get(connection_id, ())),
        "absence_is_proof": facts.proofs.get(connection_id, {}),
        "feeds": facts.feeds.get(connection_id, []),
        "budget": {
            "limit": budget.limit,
            "used": budget.used,
            "left": budget.left,
            "left_for_reads": budget.left_for_reads,
        },
        "notes": facts.notes.get(connection_id, []),
    }


def _notes(session: Session) -> dict[int, list[Json]]:
    """What people did to each connection last, the newest first."""
    found: dict[int, list[Json]] = defaultdict(list)
    newest = func.row_number().over(partition_by=ConnectionNote.connection_id, order_by=ConnectionNote.id.desc())
    ranked = select(ConnectionNote.id, newest.label("rank")).subquery()
    notes = select(ConnectionNote).join(ranked, ranked.c.id == ConnectionNote.id).where(ranked.c.rank <= _NOTES)
    for each in session.scalars(notes.order_by(ConnectionNote.id.desc())):
        found[each.connection_id].append(
            {"at": iso(each.at), "who": each.who, "what": each.what, "why": each.why or None}
        )
    return found


def not_called(session: Session, connection_id: int, name: str) -> list[str]:
    """What of a connection is not called now, since when, and what to do: a sentence each."""
    closed = _closed().where(Upstream.connection_id == connection_id).order_by(Upstream.system)
    paused = _paused().where(PausedMethod.connection_id == connection_id).order_by(PausedMethod.method)
    return _not_called(name, session.scalars(closed).all(), session.scalars(paused).all())


def not_read(session: Session, connection_id: int, name: str, feeds: Collection[Feed]) -> list[str]:
    """Why feeds are not read, though somebody asks with `axkomet poll`: a sentence each.

    All else that is closed is then probed at once.
    """
    closed = _closed().where(Upstream.connection_id == connection_id, Upstream.closed_by.in_((LIMIT, PERSON)))
    told = [
        each
        for each in session.scalars(closed.order_by(Upstream.system))
        if each.closed_by == PERSON or not set(feeds).isdisjoint(waiting_feeds([each.system]))
    ]
    return _not_called(name, told, ())


def _not_called(name: str, closed: Sequence[Upstream], paused: Sequence[PausedMethod]) -> list[str]:
    # A person pauses both systems at once.
    told = [each for each in closed if each.closed_by != PERSON or each.system == KOMET]
    return [*(_closed_in_words(name, each) for each in told), *(_paused_in_words(name, each) for each in paused)]


def _closed() -> Select[Upstream]:
    """The systems that are not called now."""
    return select(Upstream).where(Upstream.closed_by.is_not(None))


def _paused() -> Select[PausedMethod]:
    """The methods that are not called now."""
    return select(PausedMethod).where(PausedMethod.paused_since.is_not(None))


def _closed_in_words(connection: str, row: Upstream) -> str:
    """What is closed, since when, and what to do."""
    system, since = row.system.capitalize(), _minute(row.closed_since)
    at_once = f"`axkomet poll {connection}` asks at once"
    where = _WHERE_TOKENS_ARE[row.system]
    said = (row.closed_why or "").rstrip(".")
    probed = f"It is asked again at {_minute(row.probe_at)}, and then all goes on by itself"
    if row.closed_by == PERSON:
        return f"{connection} is paused since {since}: {said}. `axkomet resume {connection}` lets it go on."
    if row.closed_by == TOKEN:
        return (
            f"{connection} is paused: {system} has refused our token since {since} ({said}). Make it valid {where}, or "
            f"give the connection a new one and start its workers again. {probed}; {at_once}."
        )
    if row.closed_by == LIMIT:
        return f"{connection}: {system} has taken no more requests since {since} ({said}). {probed}."
    return (
        f"{connection}: {system} has not answered since {since} ({said}). Where that is no outage of theirs, look at "
        f"base_url and the network. {probed}; {at_once}."
    )


def _paused_in_words(connection: str, row: PausedMethod) -> str:
    """Which method is paused, since when, and what to tick."""
    system, _, method = row.method.partition(".")
    return (
        f"{connection}: {system.capitalize()} has refused {method} to our token since {_minute(row.paused_since)} "
        f"({row.words.rstrip('.')}). Tick {method} {_WHERE_TOKENS_ARE[system]}. It is tried again at "
        f"{_minute(row.probe_at)}, and then all that waits for it goes on by itself; `axkomet poll {connection}` tries "
        "it at once."
    )


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "-"


_WHERE_TOKENS_ARE = {"komet": "in Komet under Setup → Settings → Integrations → Tokens", "axerrio": "in Axerrio"}
