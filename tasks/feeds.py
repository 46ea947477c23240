"""Feeds by sequence, reset by an admin: after Axerrio went back in time its sequences are no longer those we know."""

from dataclasses import dataclass

from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from models.canonical import Origin
from models.database import now
from models.states import Feed
from models.tables import Article, Label, Order, Shipment, UnreadableRecord
from tasks import scopes
from tasks.observe.sequence import FORGOTTEN
from tasks.wake import lock_orders

_TABLES: dict[Feed, type[Label] | type[Shipment] | type[Article]] = {
    Feed.LABELS: Label,
    Feed.SHIPMENTS: Shipment,
    Feed.ARTICLES: Article,
}
#: Feeds that are read by a cursor.
BY_CURSOR = (Feed.SALES_ORDERS, *_TABLES)


@dataclass(frozen=True)
class Reset:
    """A feed before its reset."""

    cursor: int
    #: Why it stood still; None: it did not.
    stopped_reason: str | None


def reset(session: Session, connection_id: int, feed: Feed, cursor: int) -> Reset:
    """Let a feed be read from a cursor on, at once, whether it stands still or not.

    Where the records after the cursor stand in the feed is forgotten: each is compared whole when it comes again,
    since the server may hold an older version of it. What says the same changes nothing. What could not be read of them
    is put aside again when it comes so. A read that is under way is lost: what it brings is of before.

    Args:
        session: its transaction records it.
        connection_id: of its row.
        feed: one of those by cursor.
        cursor: it is read after this sequence.

    Returns:
        How it stood.
    """
    _forget_places(session, connection_id, feed, cursor)
    scope_id = scopes.find_or_make(session, connection_id, feed, "")
    aside = (UnreadableRecord.scope_id == scope_id, UnreadableRecord.resolved_at.is_(None))
    session.execute(  # before the scope is locked, as reads do it
        update(UnreadableRecord).where(*aside, UnreadableRecord.sequence > cursor).values(resolved_at=now(session))
    )
    scope = scopes.lock(session, scope_id)
    before = Reset(scope.cursor or 0, scope.stopped_reason)
    scope.cursor, scope.stopped_reason = cursor, None
    scope.failures, scope.last_error = 0, None
    scope.requested += 1
    scope.due_at, scope.hinted_until = now(session), None
    scope.lease_owner = scope.lease_until = None
    return before


def _forget_places(session: Session, connection_id: int, feed: Feed, cursor: int) -> None:
    if feed is Feed.SALES_ORDERS:
        own = Order.connection_id == connection_id
        held = Order.axerrio_holds.is_not(None)
        after = (Order.origin == Origin.AXERRIO.value) & (Order.sequence > cursor)
        ids = session.scalars(select(Order.id).where(own, after | held)).all()
        lock_orders(session, ids)
        session.execute(update(Order).where(own, after).values(sequence=FORGOTTEN))
        forgotten = Order.axerrio_holds.concat(literal({"version": FORGOTTEN}, JSONB))
        session.execute(update(Order).where(own, held).values(axerrio_holds=forgotten))
        return
    table = _TABLES[feed]
    forget = update(table).where(table.connection_id == connection_id, table.sequence > cursor)
    session.execute(forget.values(sequence=FORGOTTEN))
