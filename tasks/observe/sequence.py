"""Axerrio's feeds by sequence: one frame for all of them. Page and cursor are stored in one transaction."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clients.axerrio.client import FeedPage, FeedRecord
from clients.errors import ClientError
from models.canonical import Json, Unreadable
from models.tables import IN_DOUBT, Label, Order, Scope, Shipment, UnreadableRecord
from tasks import scopes
from tasks.connection import Connection
from tasks.observe.aside import put_aside, resolve
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.tenant import time_zone_of
from tasks.wake import lock_orders, wake

log = structlog.get_logger()

#: Records asked for at a time; Axerrio gives 1,000 at most.
PAGE = 200


def read_page(
    runtime: Runtime,
    connection: Connection,
    claim: Claim,
    fetch: Callable[[int, int], FeedPage],
    store: Callable[[Session, Sequence[FeedRecord]], Sequence[Order]],
) -> list[Hint]:
    """Read the page after the cursor, store its records, and move the cursor to the highest sequence among them.

    A server whose highest sequence is below the cursor went back in time: the feed stops until an admin resets it. A
    page that leads nowhere counts as a failed read: it is tried again at the pace of those, and told. Records that
    could not be read are asked for once more with each read: perhaps it was the answer that was broken, and the feed
    by itself gives a record once.

    Args:
        runtime: of this process.
        connection: whose feed it is.
        claim: the read.
        fetch: reads a page after a sequence, of so many records.
        store: keeps the records; gives the locked rows of the orders that they concern.

    Raises:
        Refused: it is another tenant's feed.
        ReadLostError: somebody else reads the feed by now; nothing of the page is kept.
    """
    time_zone_of(runtime, connection)
    cursor = claim.cursor or 0
    page = fetch(cursor, PAGE)
    again, mended = _read_again(runtime, claim, fetch)
    with runtime.sessions.begin() as session:
        if page.maximum_sequence < cursor:
            reason = f"Axerrio's highest sequence is {page.maximum_sequence}, below our {cursor}: it went back in time"
            scopes.confirm(session, claim)
            scopes.stop(session, claim, reason)
            log.error("feed stopped", reason=reason)
            return []
        records = [*again, *_placed(page.records, cursor)]
        put_aside(session, claim, (each.content for each in records if isinstance(each.content, Unreadable)))
        rows = store(session, records) if records else ()
        if mended:
            resolve(session, claim, UnreadableRecord.sequence.in_(mended))
        last = {record.content.key: record.content for record in page.records}
        readable = [key for key, content in last.items() if not isinstance(content, Unreadable)]
        has_unreadable = any(isinstance(each.content, Unreadable) for each in page.records)
        if readable and (claim.lacks_records or has_unreadable):
            resolve(session, claim, UnreadableRecord.record_key.in_(readable))
        scopes.confirm(session, claim)
        # A sequence above the highest is a slip of the server: it must not carry the cursor away from what comes next.
        sequences = [each.sequence for each in page.records if each.sequence is not None]
        moved = max([cursor, *(each for each in sequences if each <= page.maximum_sequence)])
        standstill = _standstill(page, cursor) if moved == cursor else None
        if standstill is not None:
            scopes.fail(session, claim, standstill, runtime.timing)
            log.warning("feed leads nowhere", why=standstill)
            return wake(session, rows, connection, runtime.timing)
        if moved > cursor:
            session.execute(update(Scope).where(Scope.id == claim.scope_id).values(cursor=moved))
        # Whether the highest sequence is the page's or the feed's is left open, and a server may give fewer than it is
        # asked for: only a page without anything new is surely the last.
        more = moved > cursor
        finished = scopes.finish(
            session,
            claim,
            complete=not more,
            records=len(page.records),
            timing=runtime.timing,
            again=more,
        )
        waiting = set(finished.waiting) - {row.id for row in rows}
        hints = finished.hints + wake(session, rows, connection, runtime.timing)
        if more:
            hints.append(scopes.read_on(session, claim, connection.settings.name, runtime.timing))
    return hints + _wake_waiters(runtime, connection, waiting)


def _placed(records: Sequence[FeedRecord], cursor: int) -> list[FeedRecord]:
    """A page's records: one that names no sequence is put aside as the next after the one before it."""
    placed = []
    for each in records:
        if each.sequence is not None:
            cursor = each.sequence
        elif isinstance(each.content, Unreadable):
            cursor += 1
            each = replace(each, content=each.content.model_copy(update={"sequence": cursor}))
        placed.append(each)
    return placed


def _read_again(
    runtime: Runtime, claim: Claim, fetch: Callable[[int, int], FeedPage]
) -> tuple[list[FeedRecord], set[int]]:
    """A page of what was put aside, from any record on: what can be read by now, and the sequences that are mended.

    Where nothing stands at a sequence, its record has moved on or never named its place. Then all of the page is stored
    once more, which changes nothing of what was stored before, and it is mended where all of the page can be read.
    """
    if not claim.lacks_records:
        return [], set()
    aside = select(UnreadableRecord.sequence).where(
        UnreadableRecord.scope_id == claim.scope_id,
        UnreadableRecord.resolved_at.is_(None),
        UnreadableRecord.sequence.between(1, claim.cursor or 0),
    )
    with runtime.sessions.begin() as session:
        wanted = {each for each in session.scalars(aside) if each is not None}
    if not wanted:
        return [], set()
    first = random.choice(list(wanted))  # noqa: S311 - so that none that stays broken keeps another from its turn
    try:
        page = fetch(first - 1, PAGE)
    except ClientError:
        return [], set()
    standing = {each.sequence: each for each in page.records if each.sequence is not None}
    readable = {at: each for at, each in standing.items() if not isinstance(each.content, Unreadable)}
    nowhere = {each for each in wanted - standing.keys() if first <= each <= max(standing, default=0)}
    if not nowhere:
        return [each for at, each in readable.items() if at in wanted], wanted & readable.keys()
    is_whole = len(readable) == len(page.records)
    return list(readable.values()), wanted & readable.keys() | (nowhere if is_whole else set())


def _standstill(page: FeedPage, cursor: int) -> str | None:
    """Why a page that does not move the cursor hides what comes after it; None: there is nothing after it.

    Records without a sequence say nothing of their place, unless they fill the page.
    """
    before = sum(1 for each in page.records if each.sequence is not None and each.sequence <= cursor)
    if before:
        return f"Axerrio gives {before} record(s) up to sequence {cursor} where it is asked for those after it"
    if len(page.records) >= PAGE:
        return f"Axerrio gives {len(page.records)} records, none with a sequence that leads on from {cursor}"
    return None  # an empty page below the highest sequence: that may be another feed's, or of what is no more


def _wake_waiters(runtime: Runtime, connection: Connection, waiting: set[int]) -> list[Hint]:
    """Whoever waits for this look judges by it. In a transaction of its own: orders are locked by ascending id."""
    if not waiting:
        return []
    with runtime.sessions.begin() as session:
        return wake(session, lock_orders(session, waiting), connection, runtime.timing)


#: In place of a record's sequence after its feed was reset: where it stands in the feed now is not known.
FORGOTTEN = 0

Versioned = TypeVar("Versioned", Label, Shipment)


def is_news(row: Label | Shipment | None, version: int, sequence: int, content: Json) -> bool:
    """A version that is not higher than the one stored changes nothing, unless that was deleted or in doubt by then.

    After a reset whatever differs is news, once, since the server may have gone back to an older version; what does
    not differ gets its place in the feed again.
    """
    if row is None:
        return True
    if row.version == IN_DOUBT:
        return sequence > row.sequence
    if version > row.version:
        return True
    if row.is_deleted:
        return sequence > row.sequence
    if row.sequence == FORGOTTEN and row.content == content:
        row.sequence = sequence
    return FORGOTTEN == row.sequence < sequence


def doubt(row: Versioned | None, sequence: int) -> Versioned | None:
    """A newer version cannot be read; its place in the feed is kept for when it can. Gives the row where it changed."""
    if row is None or row.is_deleted or sequence <= row.sequence or row.version == IN_DOUBT:
        return None
    row.version = IN_DOUBT
    return row


def bury(row: Versioned | None, sequence: int) -> Versioned | None:
    """A tombstone may lack a version, so it goes by sequence; gives the row where it changed."""
    if row is None or sequence <= row.sequence:
        return None
    was_deleted, row.is_deleted, row.sequence = row.is_deleted, True, sequence
    return None if was_deleted else row


def lock_by_key(session: Session, connection: Connection, keys: set[str]) -> Sequence[Order]:
    """The orders that Axerrio knows under these keys, locked."""
    ids = select(Order.id).where(Order.connection_id == connection.id, Order.axerrio_key.in_(keys))
    return lock_orders(session, list(session.scalars(ids)))
