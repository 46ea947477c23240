"""Records that were put aside, since they cannot be read: which they are, why, and whether an order tells of them."""

from datetime import timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.canonical import Json
from models.states import Feed
from models.tables import Connection, Label, Order, Prebook, Scope, UnreadableRecord
from worker.desk import iso

#: So many are looked at, shown of a connection, and named in a sentence.
_MOST_OF_ALL, _MOST, _NAMED = 1000, 20, 3
_NO_ORDERS = " and are no order here, so that nobody works on them"
#: What comes of a record of a feed that cannot be read, where no order tells of it.
_LOST = {
    Feed.SALES_ORDERS: _NO_ORDERS,
    Feed.KOMET_PREBOOKS: _NO_ORDERS,
    Feed.LABELS: ", so that what they say of boxes reaches nobody",
    Feed.SHIPMENTS: ", so that Komet is not told of their boxes",
}
_OF_BOXES = (Feed.LABELS, Feed.SHIPMENTS)
#: Boxes of longer ago have left, and nobody mends their labels and shipments any more.
_OF_INTEREST = timedelta(days=8)
_order = select(Order.id).where(
    Order.connection_id == Scope.connection_id, Order.axerrio_key == UnreadableRecord.record_key
)
_prebook = select(Prebook.id).where(
    Prebook.connection_id == Scope.connection_id, Prebook.prebook_id == UnreadableRecord.record_key
)
_label = select(Label.key).where(Label.connection_id == Scope.connection_id, Label.key == UnreadableRecord.record_key)
#: An order stands here that tells of the record.
_IS_TOLD = or_(
    and_(Scope.feed == Feed.LABELS, _label.exists()),
    and_(Scope.feed == Feed.SALES_ORDERS, _order.exists()),
    and_(Scope.feed == Feed.KOMET_PREBOOKS, _prebook.exists()),
)


def put_aside(session: Session) -> dict[int, list[Json]]:
    """The records of each connection that cannot be read now, the newest first: by the id of its row."""
    record = (
        UnreadableRecord.digest,
        UnreadableRecord.record_key,
        UnreadableRecord.sequence,
        UnreadableRecord.reason,
        UnreadableRecord.at,
    )
    rows = (
        select(Scope.connection_id, Scope.feed, *record, _IS_TOLD.label("is_told"))
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


def lost_records(session: Session) -> dict[str, list[str]]:
    """A sentence for each feed with records of which nothing else tells: by the connection's name.

    All of them are counted, however many other records cannot be read.
    """
    which = (Connection.name, Scope.feed, UnreadableRecord.record_key)
    newest = (
        select(*which, UnreadableRecord.reason, UnreadableRecord.id)
        .select_from(UnreadableRecord)
        .join(Scope, UnreadableRecord.scope_id == Scope.id)
        .join(Connection, Scope.connection_id == Connection.id)
        .where(
            UnreadableRecord.resolved_at.is_(None),
            UnreadableRecord.record_key != "",
            or_(Scope.feed.not_in(_OF_BOXES), UnreadableRecord.at > func.axkomet_now() - _OF_INTEREST),
            Scope.feed.in_(_LOST),
            ~_IS_TOLD,
        )
        .ext(distinct_on(*which))
        .order_by(*which, UnreadableRecord.id.desc())
        .subquery()
    )
    of_feed = (newest.c.name, newest.c.feed)
    place = func.row_number().over(partition_by=of_feed, order_by=newest.c.id.desc()).label("place")
    counted = select(newest, func.count().over(partition_by=of_feed).label("lost"), place).subquery()
    rows = (
        select(counted)
        .where(counted.c.place <= _NAMED)
        .order_by(counted.c.name, counted.c.feed.desc(), counted.c.place)
    )
    named: dict[tuple[str, Feed, int], list[str]] = {}
    for each in session.execute(rows):
        sentence = f"{each.record_key} ({each.reason.rstrip('.')})"
        named.setdefault((each.name, each.feed, each.lost), []).append(sentence)
    problems: dict[str, list[str]] = {}
    for (name, feed, lost), sentences in named.items():
        system = "Komet" if feed is Feed.KOMET_PREBOOKS else "Axerrio"
        problems.setdefault(name, []).append(
            f"{name}: {lost} record(s) of {feed} cannot be read{_LOST[feed]}: {'; '.join(sentences)}. "
            f"Mend them in {system}: they are read again by themselves."
        )
    return problems


def why_put_aside(session: Session, key: str) -> str | None:
    """Why the newest record with this key cannot be read; None: it can, or there is none."""
    of_key = (UnreadableRecord.record_key == key, UnreadableRecord.resolved_at.is_(None))
    return session.scalar(select(UnreadableRecord.reason).where(*of_key).order_by(UnreadableRecord.id.desc()).limit(1))
