"""Records that were put aside, since they cannot be read: which they are, why, and whether an order tells of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from models.states import Feed
from models.tables import Connection, Order, Prebook, Scope, UnreadableRecord
from worker.desk import iso

Json = dict[str, Any]

#: So many are looked at, shown of a connection, and named in a sentence.
_MOST_OF_ALL, _MOST, _NAMED = 1000, 20, 3
#: Feeds of which a record may be an order that stands nowhere else.
_OF_ORDERS = (Feed.SALES_ORDERS.value, Feed.KOMET_PREBOOKS.value)


def put_aside(session: Session) -> dict[int, list[Json]]:
    """The records of each connection that cannot be read now, the newest first: by the id of its row."""
    order = select(Order.id).where(
        Order.connection_id == Scope.connection_id, Order.axerrio_key == UnreadableRecord.record_key
    )
    prebook = select(Prebook.id).where(
        Prebook.connection_id == Scope.connection_id, Prebook.prebook_id == UnreadableRecord.record_key
    )
    is_told = or_(
        and_(Scope.feed == Feed.SALES_ORDERS, order.exists()),
        and_(Scope.feed == Feed.KOMET_PREBOOKS, prebook.exists()),
    )
    record = (
        UnreadableRecord.digest,
        UnreadableRecord.record_key,
        UnreadableRecord.sequence,
        UnreadableRecord.reason,
        UnreadableRecord.at,
    )
    rows = (
        select(Scope.connection_id, Scope.feed, *record, is_told.label("is_told"))
        .join(UnreadableRecord, UnreadableRecord.scope_id == Scope.id)
        .where(UnreadableRecord.resolved_at.is_(None))
        .order_by(UnreadableRecord.id.desc())
        .limit(_MOST_OF_ALL)
    )
    found: dict[int, dict[str, Json]] = {}
    for each in session.execute(rows):
        of_connection = found.setdefault(each.connection_id, {})  # one record can stand in several lists
        if len(of_connection) < _MOST:
            of_connection[each.digest] = {
                "feed": each.feed.value,
                "key": each.record_key,
                "sequence": each.sequence,
                "reason": each.reason,
                "at": iso(each.at),
                "is_told": each.is_told,
            }
    return {connection_id: list(records.values()) for connection_id, records in found.items()}


def lost_orders(connection: str, records: Sequence[Json]) -> list[str]:
    """A sentence for each feed with records that may be orders of which nothing else tells."""
    problems = []
    for feed in _OF_ORDERS:
        lost = [each for each in records if each["feed"] == feed and each["key"] and not each["is_told"]]
        if lost:
            named = "; ".join(f"{each['key']} ({each['reason'].rstrip('.')})" for each in lost[:_NAMED])
            system = "Axerrio" if feed == Feed.SALES_ORDERS else "Komet"
            problems.append(
                f"{connection}: {len(lost)} record(s) of {feed} cannot be read and are no order here, so that nobody "
                f"works on them: {named}. Mend them in {system}: they are read again by themselves."
            )
    return problems


def orders_put_aside(session: Session, connection: str | None = None) -> list[str]:
    """The same of each connection, or of one."""
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    asides = {names[id_]: records for id_, records in put_aside(session).items()}
    return [each for name in sorted(asides) if connection in (None, name) for each in lost_orders(name, asides[name])]


def why_put_aside(session: Session, key: str) -> str | None:
    """Why the newest record with this key cannot be read; None: it can, or there is none."""
    of_key = (UnreadableRecord.record_key == key, UnreadableRecord.resolved_at.is_(None))
    return session.scalar(select(UnreadableRecord.reason).where(*of_key).order_by(UnreadableRecord.id.desc()).limit(1))
