"""Axerrio's articles: what an admin maps, by code and description."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedRecord
from models import canonical
from models.tables import Article, Order, OrderLine
from tasks.connection import Connection
from tasks.observe.sequence import read_page, set_aside
from tasks.requeue import begin_afresh
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.wake import lock_orders


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store a page of articles, and send anew what Axerrio rejected for want of one of them."""

    def store(session: Session, records: Sequence[FeedRecord]) -> Sequence[Order]:
        set_aside(session, claim, records)
        words: set[str] = set()
        for record in records:
            match record.content:
                case canonical.CatalogueArticle(key=key, code=code, description=description):
                    _put(session, connection.id, record, key, code=code, description=description, is_deleted=False)
                    words |= {code.casefold(), description.casefold()}
                case canonical.Tombstone(key=key):
                    _put(session, connection.id, record, key, is_deleted=True)
        return _rejected_for_want_of(session, connection.id, words)

    return read_page(runtime, connection, claim, connection.axerrio.articles_after, store)


def _rejected_for_want_of(session: Session, connection_id: int, words: Collection[str]) -> Sequence[Order]:
    """Orders born in Komet with a line that waits for one of these articles: as if they had not been sent yet."""
    waiting = (
        select(Order.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(
            Order.connection_id == connection_id,
            Order.origin == canonical.Origin.KOMET.value,
            func.lower(OrderLine.waits_for).in_(words),
        )
    )
    rows = lock_orders(session, set(session.scalars(waiting)))
    for row in rows:
        begin_afresh(session, row)
    return rows


def _put(session: Session, connection_id: int, record: FeedRecord, key: str, **values: str | bool) -> None:
    """Articles have no version: the higher sequence counts."""
    row = insert(Article).values(
        connection_id=connection_id,
        key=key,
        sequence=record.sequence or 0,
        **({"code": "", "description": ""} | values),
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["connection_id", "key"],
            set_=values | {"sequence": record.sequence or 0},
            where=Article.sequence < (record.sequence or 0),
        )
    )
