"""Axerrio's box labels: the newest version of each, and the codes that it carried before."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedRecord
from models import canonical
from models.tables import Label, Order
from tasks.connection import Connection
from tasks.observe.sequence import bury, doubt, is_news, lock_by_key, read_page
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store a page of labels; their orders look again."""

    def store(session: Session, records: Sequence[FeedRecord]) -> Sequence[Order]:
        keys = [record.content.key for record in records if record.content.key is not None]
        stored = select(Label).where(Label.connection_id == connection.id, Label.key.in_(keys))
        known = {row.key: row for row in session.scalars(stored)}
        changed = {row.order_key for record in records if (row := _keep(session, connection, record, known))}
        return lock_by_key(session, connection, changed)

    return read_page(runtime, connection, claim, connection.axerrio.labels_after, store)


def _keep(session: Session, connection: Connection, record: FeedRecord, known: dict[str, Label]) -> Label | None:
    """Store what is new; gives the row where it changed."""
    sequence, row = record.sequence or 0, known.get(record.content.key or "")
    match record.content:
        case canonical.Tombstone():
            return bury(row, sequence)
        case canonical.Unreadable(sequence=unread):
            return doubt(row, unread or 0)
        case canonical.Label() as label:
            content = label.model_dump(mode="json", exclude={"is_readable"})
            if not is_news(row, label.version, sequence, content):
                return None
            if row is None:
                row = Label(connection_id=connection.id, key=label.key, former_codes=[])
                session.add(row)
                known[label.key] = row
            elif row.content["box_code"] != label.box_code:
                row.former_codes = [*row.former_codes, row.content["box_code"]]
            row.version, row.sequence, row.is_deleted = label.version, sequence, False
            row.order_key, row.content = label.order_key, content
            return row
    return None
