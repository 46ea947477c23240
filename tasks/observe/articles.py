"""Axerrio's articles: what an admin maps, by code and description."""

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedRecord
from models import canonical
from models.tables import Article, Order
from tasks.connection import Connection
from tasks.observe.sequence import read_page, set_aside
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim


def read(runtime: Runtime, connection: Connection, claim: Claim, passive: float) -> list[Hint]:
    """Store a page of articles. No order waits for one: Axerrio itself says which it knows."""

    def store(session: Session, records: Sequence[FeedRecord]) -> Sequence[Order]:
        set_aside(session, claim, records)
        for record in records:
            match record.content:
                case canonical.CatalogueArticle(key=key, code=code, description=description):
                    _put(session, connection.id, record, key, code=code, description=description, is_deleted=False)
                case canonical.Tombstone(key=key):
                    _put(session, connection.id, record, key, is_deleted=True)
        return []

    return read_page(runtime, connection, claim, passive, connection.axerrio.articles_after, store)


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
