"""Records that cannot be read are put aside with their raw text; the others of their page go on."""

import hashlib
from collections.abc import Iterable

import structlog
from sqlalchemy import ColumnElement, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.canonical import Unreadable
from models.tables import UnreadableRecord
from tasks.scopes import Claim

log = structlog.get_logger()


def put_aside(session: Session, claim: Claim, records: Iterable[Unreadable]) -> list[str]:
    """Keep records and why they could not be read; the same record read again is one row.

    Returns:
        Their digests.
    """
    rows = [
        {
            "scope_id": claim.scope_id,
            "digest": hashlib.sha256(record.raw.encode()).hexdigest(),
            "record_key": record.key,
            "sequence": record.sequence,
            "reason": record.reason,
            "raw": record.raw,
        }
        for record in records
    ]
    if rows:
        kept = insert(UnreadableRecord.__table__)  # type: ignore[arg-type]
        session.execute(
            kept.on_conflict_do_update(index_elements=["scope_id", "digest"], set_={"resolved_at": None}), rows
        )
    for row in rows:
        log.warning("record put aside", key=row["record_key"], reason=row["reason"])
    return [str(row["digest"]) for row in rows]


def put_aside_all(session: Session, claim: Claim, records: Iterable[Unreadable]) -> None:
    """Keep those of a whole list; what was put aside from it before and is in it no more is resolved."""
    digests = put_aside(session, claim, records)
    if claim.lacks_records:
        resolve(session, claim, UnreadableRecord.digest.not_in(digests))


def resolve(session: Session, claim: Claim, *which: ColumnElement[bool]) -> None:
    """Records of the scope that can be read now, or are gone."""
    session.execute(
        update(UnreadableRecord)
        .where(UnreadableRecord.scope_id == claim.scope_id, UnreadableRecord.resolved_at.is_(None), *which)
        .values(resolved_at=func.axkomet_now())
    )
