"""Axerrio's shipments: what left under which air waybill, in its newest version."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedRecord
from models import canonical
from models.database import now
from models.tables import Order, Shipment, ShipmentLine
from tasks.connection import Connection
from tasks.observe.sequence import bury, doubt, is_news, lock_by_key, read_page
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store a page of shipments; the orders that they carry, or carried, look again."""

    def store(session: Session, records: Sequence[FeedRecord]) -> Sequence[Order]:
        keys = [record.content.key for record in records if record.content.key is not None]
        stored = select(Shipment).where(Shipment.connection_id == connection.id, Shipment.key.in_(keys))
        known = {row.key: row for row in session.scalars(stored)}
        moment = now(session)
        changed = [row for record in records if (row := _keep(session, connection, record, known, moment))]
        session.flush()
        _carry(session, changed)
        carried = select(ShipmentLine.order_key).where(ShipmentLine.shipment_id.in_([row.id for row in changed]))
        return lock_by_key(session, connection, set(session.scalars(carried)))

    return read_page(runtime, connection, claim, connection.axerrio.shipments_after, store)


def _keep(
    session: Session, connection: Connection, record: FeedRecord, known: dict[str, Shipment], moment: datetime
) -> Shipment | None:
    """Store what is new; gives the row where it changed."""
    sequence, row = record.sequence or 0, known.get(record.content.key or "")
    match record.content:
        case canonical.Tombstone():
            return bury(row, sequence)
        case canonical.Unreadable(sequence=unread):
            return doubt(row, unread or 0)
        case canonical.Shipment() as shipment:
            content = shipment.model_dump(mode="json", exclude={"is_readable"})
            if not is_news(row, shipment.version, sequence, content):
                return None
            if row is None:
                row = Shipment(connection_id=connection.id, key=shipment.key)
                session.add(row)
                known[shipment.key] = row
            row.version, row.sequence, row.is_deleted = shipment.version, sequence, False
            row.content, row.as_of = content, moment
            return row
    return None


def _carry(session: Session, rows: Sequence[Shipment]) -> None:
    """Note which orders shipments carry; those that an older version carried stay noted."""
    carried = [
        {"shipment_id": row.id, "order_key": order_key}
        for row in rows
        for order_key in {line["order_key"] for line in row.content["lines"]}
    ]
    if carried:
        lines = insert(ShipmentLine.__table__)  # type: ignore[arg-type]
        session.execute(lines.on_conflict_do_nothing(), carried)
