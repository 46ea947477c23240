"""Axerrio's articles: what an admin maps, by code and description."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedRecord
from models import canonical
from models.tables import Article, Order, OrderLine
from tasks.connection import Connection
from tasks.observe.sequence import read_page
from tasks.requeue import begin_afresh
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.wake import lock_orders


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store a page of articles, and send anew what Axerrio rejected for want of one of them."""

    def store(session: Session, records: Sequence[FeedRecord]) -> Sequence[Order]:
        words: set[str] = set()
        there, gone = [], []
        for record in records:
            place = {"connection_id": connection.id, "key": record.content.key, "sequence": record.sequence or 0}
            match record.content:
                case canonical.CatalogueArticle(code=code, description=description):
                    there.append(place | {"code": code, "description": description, "is_deleted": False})
                    words |= {code.casefold(), description.casefold()}
                case canonical.Tombstone():
                    gone.append(place | {"code": "", "description": "", "is_deleted": True})
        _put(session, there, ("sequence", "is_deleted", "code", "description"))
        _put(session, gone, ("sequence", "is_deleted"))
        return _rejected_for_want_of(session, connection.id, words)

    return read_page(runtime, connection, claim, connection.axerrio.articles_after, store)


def _rejected_for_want_of(session: Session, connection_id: int, words: Collection[str]) -> Sequence[Order]:
    """Orders born in Komet with a line that waits for one of these articles: as if they had not been sent yet."""
    if not words:
        return []
    waiting = (
        select(Order.id, OrderLine.waits_for)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(
            Order.connection_id == connection_id,
            Order.origin == canonical.Origin.KOMET.value,
            OrderLine.waits_for.is_not(None),
        )
    )
    rows = lock_orders(session, {id_ for id_, word in session.execute(waiting) if word and word.casefold() in words})
    begin_afresh(session, *rows)
    return rows


def _put(session: Session, rows: Sequence[Mapping[str, object]], renewed: Sequence[str]) -> None:
    """Store articles. They have no version: the higher sequence counts, and renews these columns of what is there."""
    if rows:
        put = insert(Article.__table__)  # type: ignore[arg-type]
        renew = {name: put.excluded[name] for name in renewed}
        newer = put.on_conflict_do_update(
            index_elements=["connection_id", "key"], set_=renew, where=Article.sequence < put.excluded.sequence
        )
        session.execute(newer, rows)
