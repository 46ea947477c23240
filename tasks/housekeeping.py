"""Housekeeping: what ended long ago is removed, a bounded number at a time; nothing goes on which anything may hang.

An order keeps its lines, items, boxes, decisions and history for ever: by them a late record is known. What goes is
its writes, and only where the order would be at its end without them too. Any number of processes may do it at once.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from models.database import now
from models.states import FINAL, Feed, WriteState
from models.tables import (
    Connection as ConnectionRow,
)
from models.tables import (
    History,
    Observation,
    Order,
    OrderCount,
    OrderLine,
    Prebook,
    Scope,
    UnreadableRecord,
    Wait,
    Write,
    WriteLine,
)
from tasks.connection import Connection
from tasks.plan import judge, make_plan
from tasks.plan.facts import LOOKS_FOR_ABSENCE
from tasks.runtime import Runtime
from tasks.situation import SituationReader

log = structlog.get_logger()

#: Observations are kept so long for people to look at.
OBSERVATIONS_KEPT = timedelta(days=3)
#: Orders that are looked at in one run, each planned once, and rows that one statement removes.
_ORDERS, _ROWS = 500, 2000
#: Seconds for each kind of rows in one run: a message must be done with before it is sent again.
_LONGEST = 30.0
_OPEN = tuple(state for state in WriteState if state.is_open)


def housekeeping(runtime: Runtime) -> str:
    """Remove what is not needed any more.

    Returns:
        How much was removed, for people.
    """
    with runtime.sessions.begin() as session:
        moment = now(session)
    before = moment - timedelta(days=runtime.timing.retention_days)
    removed = {
        "writes": _writes(runtime, before),
        "raw records": _in_rounds(runtime, lambda session: _raw_records(session, before)),
        "observations": _in_rounds(runtime, lambda session: _observations(session, moment - OBSERVATIONS_KEPT)),
        "waits": _in_rounds(runtime, _waits),
        "scopes": _in_rounds(runtime, lambda session: _scopes(session, before)),
    }
    with runtime.sessions.begin() as session:
        add_up(session)
    log.info("housekeeping", **{name.replace(" ", "_"): count for name, count in removed.items()})
    return ", ".join(f"{count} {name}" for name, count in removed.items()) + " removed"


def _in_rounds(runtime: Runtime, remove: Callable[[Session], int]) -> int:
    """Remove until nothing is left, or enough for this time; each round in a transaction of its own."""
    removed, until = 0, time.monotonic() + _LONGEST
    while time.monotonic() < until and not runtime.ending.is_set():
        with runtime.sessions.begin() as session:
            count = remove(session)
        removed += count
        if not count:
            break
    return removed


# -- writes ----------------------------------------------------------------------------------------------------


def _writes(runtime: Runtime, before: datetime) -> int:
    """Writes of orders that ended before a moment, in no order: one whose writes must stay is in nobody's way."""
    # By age of the writes, not of the orders: those whose writes are gone are more each year, and stay.
    old = select(Write.id, Write.order_id).where(Write.created_at < before).cte()
    parts = select(OrderLine.order_id).join(WriteLine, WriteLine.line_id == OrderLine.id)
    covered = select(old.c.order_id).union(parts.where(WriteLine.write_id.in_(select(old.c.id))))
    ended = select(Order.id, Order.connection_id).where(Order.id.in_(covered), *_at_rest_since(before))
    some = ended.where(Order.connection_id.in_(runtime.connections)).order_by(func.random()).limit(_ORDERS)
    with runtime.sessions.begin() as session:
        orders = session.execute(some).all()
    removed, until = 0, time.monotonic() + _LONGEST
    for order_id, connection_id in orders:
        if time.monotonic() < until and not runtime.ending.is_set():
            removed += _of_order(runtime, runtime.connections[connection_id], order_id, before)
    return removed


def _at_rest_since(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Orders that ended before a moment, and that nobody has touched or wants to look at since."""
    return (
        Order.state.in_(FINAL),
        Order.updated_at < before,
        Order.version_at < before,
        Order.due_at.is_(None),
        Order.lease_owner.is_(None),
    )


def _of_order(runtime: Runtime, connection: Connection, order_id: int, before: datetime) -> int:
    """Remove an order's writes, unless without them there would be something to do."""
    with runtime.sessions.begin() as session:
        as_it_is = select(Order).where(Order.id == order_id, *_at_rest_since(before))
        row = session.scalar(as_it_is.with_for_update(skip_locked=True, key_share=True))
        if row is None:
            return 0
        with session.begin_nested() as attempt:
            count = _remove_writes(session, row)
            situation = SituationReader(session, connection, runtime.timing).read(row)
            # As if all was looked at just now: what it would do after a look counts too.
            seen = (replace(line, unlooked_days=(), stale_days=(), hidden_days=()) for line in situation.lines)
            plan = make_plan(replace(situation, lines=tuple(seen)))
            if plan.state is not row.state or plan.writes or judge(situation):
                attempt.rollback()
                return 0
        return count


def _remove_writes(session: Session, row: Order) -> int:
    """Its parts of all settled writes; one that it led for others too goes in a later run, after the last of them."""
    settled = select(Write.id).where(Write.state.not_in(_OPEN))
    own = select(OrderLine.id).where(OrderLine.order_id == row.id)
    parts = delete(WriteLine).where(WriteLine.line_id.in_(own), WriteLine.write_id.in_(settled))
    session.execute(parts, execution_options={"synchronize_session": False})
    of_others = select(WriteLine.write_id).where(WriteLine.write_id == Write.id).exists()
    ids = session.scalars(settled.where(Write.order_id == row.id, ~of_others)).all()
    for table in (History, Prebook):
        session.execute(update(table).where(table.write_id.in_(ids)).values(write_id=None))
    session.execute(delete(Write).where(Write.id.in_(ids)))
    return len(ids)


# -- the rest --------------------------------------------------------------------------------------------------


def _raw_records(session: Session, before: datetime) -> int:
    """Records put aside that were mended long ago, or whose order ended long ago: what is not is still told."""
    ended = (
        select(Order.id)
        .join(Scope, Scope.connection_id == Order.connection_id)
        .where(
            Scope.id == UnreadableRecord.scope_id,
            Scope.feed == Feed.SALES_ORDERS,
            Order.axerrio_key == UnreadableRecord.record_key,
            *_at_rest_since(before),
        )
        .exists()
    )
    old = and_(UnreadableRecord.at < before, or_(UnreadableRecord.resolved_at < before, ended))
    ids = select(UnreadableRecord.id).where(old).limit(_ROWS).with_for_update(skip_locked=True)
    return len(session.scalars(delete(UnreadableRecord).where(UnreadableRecord.id.in_(ids)).returning(1)).all())


def _observations(session: Session, before: datetime) -> int:
    """Reads after which as many as a judgement counts, and as complete, have begun in their scope.

    How many reads began after a moment is counted so far and no further: for no moment does the count change.
    """
    newer = aliased(Observation)
    enough = (
        select(newer.id)
        .where(
            newer.scope_id == Observation.scope_id,
            tuple_(newer.began_at, newer.id) > tuple_(Observation.began_at, Observation.id),
            or_(newer.complete, ~Observation.complete),
        )
        .offset(LOOKS_FOR_ABSENCE - 1)
        .exists()
    )
    old = select(Observation.id).where(Observation.began_at < before, enough).limit(_ROWS)
    ids = old.with_for_update(skip_locked=True)
    return len(session.scalars(delete(Observation).where(Observation.id.in_(ids)).returning(1)).all())


def add_up(session: Session) -> None:
    """Make one row of the counts of ended orders of each connection and state: whoever asks adds up few."""
    gone = delete(OrderCount).returning(OrderCount.connection_id, OrderCount.state, OrderCount.change).cte()
    count = func.sum(gone.c.change)
    sums = select(gone.c.connection_id, gone.c.state, count).group_by(gone.c.connection_id, gone.c.state)
    sums = sums.having(count != 0)
    session.execute(insert(OrderCount).from_select(["connection_id", "state", "change"], sums))


def _waits(session: Session) -> int:
    """Of orders at their end that nobody looks at again: a scope that somebody waits for is read."""
    over = select(Order.id).where(Order.state.in_(FINAL), Order.due_at.is_(None), Order.lease_owner.is_(None))
    waiting = over.where(Order.id.in_(select(Wait.order_id))).order_by(Order.id).limit(_ROWS)
    ids = session.scalars(waiting.with_for_update(skip_locked=True, key_share=True)).all()
    return len(session.scalars(delete(Wait).where(Wait.order_id.in_(ids)).returning(Wait.order_id)).all())


def _scopes(session: Session, before: datetime) -> int:
    """Dates of Komet's lists that are long past, which nobody waits for and no write shows in."""
    is_past = and_(
        Scope.connection_id.in_(select(ConnectionRow.id)),
        Scope.feed.in_((Feed.KOMET_PREBOOKS, Feed.KOMET_PURCHASE_ORDERS)),
        Scope.key.regexp_match(r"^\d{4}-\d\d-\d\d$"),
        Scope.key < before.date().isoformat(),
        Scope.due_at.is_(None),
        Scope.lease_owner.is_(None),
        ~select(Wait.scope_id).where(Wait.scope_id == Scope.id).exists(),
        ~select(Write.scope_id).where(Write.scope_id == Scope.id).exists(),
    )
    locked = select(Scope.id).where(is_past).order_by(Scope.id).limit(_ROWS).with_for_update(skip_locked=True)
    ids = session.scalars(locked).all()  # asked again below, now that nobody can begin to wait for them
    return len(session.scalars(delete(Scope).where(Scope.id.in_(ids), is_past).returning(1)).all())
