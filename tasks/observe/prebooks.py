"""Komet's prebooks of one truck date: ours are known by their mark, or by an id that we hold already."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from clients.komet.convert import bind_items, customer_of_prebook
from models import canonical
from models.states import WriteState
from models.tables import Order, OrderLine, Prebook, PrebookItem, Write, WriteLine
from tasks import proofs, scopes
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.observe.aside import put_aside_all
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.situation import Catalogue, catalogue
from tasks.wake import active_waiters, lock_orders, orders_in_doubt, wake

log = structlog.get_logger()


@dataclass(frozen=True)
class _Ours:
    """A prebook of the list that is ours."""

    seen: canonical.Prebook
    order_id: int
    write_id: int | None
    digest: str


def read(runtime: Runtime, connection: Connection, claim: Claim, passive: float) -> list[Hint]:
    """Store what stands in the prebooks of ours, adopt creates that show, and bind items to lines."""
    listing = connection.komet.list_prebooks(truck_date=date.fromisoformat(claim.key))
    earned = False
    with runtime.sessions.begin() as session:
        put_aside_all(session, claim, listing.unreadable)
        ours = _find(session, connection, listing.records)
        changed = _changed(session, connection, ours)
        waiting = {*active_waiters(session, claim.scope_id), *orders_in_doubt(session, claim.scope_id)}
        rows = {row.id: row for row in lock_orders(session, {*waiting, *(each.order_id for each in changed)})}
        known = catalogue(session, connection.id)
        for each in changed:
            earned |= _store(session, connection, claim, rows[each.order_id], each, known)
        our_ids = {each.seen.prebook_id for each in ours}
        not_ours = [record for record in listing.records if record.prebook_id not in our_ids]
        _suspect(session, claim, not_ours, known)
        hides = not listing.records and _should_show(session, connection, claim)
        scopes.finish(
            session,
            claim,
            complete=listing.complete and not hides and not _marks_are_hidden(ours),
            records=len(listing.records),
            timing=runtime.timing,
            passive=passive,
        )
        hints = wake(session, rows.values(), connection, runtime.timing)
    return hints + (proofs.wake_in_doubt(runtime, connection) if earned else [])


def _find(session: Session, connection: Connection, records: Sequence[canonical.Prebook]) -> list[_Ours]:
    """Those of the list that are ours. One mark, one prebook: of several carriers the first made is ours."""
    marks = {record.mark for record in records if record.mark}
    writes = {
        write.mark: write
        for write in session.scalars(select(Write).where(Write.connection_id == connection.id, Write.mark.in_(marks)))
    }
    ids = {record.prebook_id for record in records}
    known = {
        row.prebook_id: row
        for row in session.scalars(
            select(Prebook).where(
                Prebook.connection_id == connection.id,
                or_(Prebook.prebook_id.in_(ids), Prebook.write_id.in_([write.id for write in writes.values()])),
            )
        )
    }
    carriers = {row.write_id: row.prebook_id for row in known.values() if row.write_id is not None}
    ours = []
    for record in sorted(records, key=lambda each: (len(each.prebook_id), each.prebook_id)):
        digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
        row = known.get(record.prebook_id)
        write = writes.get(record.mark)
        if row is not None:
            ours.append(_Ours(record, row.order_id, row.write_id or (write.id if write else None), digest))
        elif write is not None:
            first = carriers.setdefault(write.id, record.prebook_id)
            if first == record.prebook_id:
                ours.append(_Ours(record, write.order_id, write.id, digest))
            else:
                log.warning("a copy carries our mark", prebook=record.number, mark=record.mark, ours=first)
    return ours


def _suspect(session: Session, claim: Claim, not_ours: Sequence[canonical.Prebook], known: Catalogue) -> None:
    """Note for each create in doubt which prebook without a mark of ours may be it.

    A person may have rewritten its comments. It may be ours if it has as many items as were sent, for that customer,
    and each of them would be bound to a line.
    """
    in_doubt = select(Write).where(Write.scope_id == claim.scope_id, Write.state == WriteState.SENT)
    for write in session.scalars(in_doubt.options(selectinload(Write.lines).joinedload(WriteLine.line))):
        sent = {each.line.line_key: each.line.applied for each in write.lines if each.line.applied is not None}
        alike = [
            each.number
            for each in not_ours
            if each.mark is None
            and customer_of_prebook(write.body) in (each.customer_code, None)
            and len(each.items) == len(sent) == len(bind_items(sent, each.items, box_types=known.box_types))
        ]
        write.may_be = alike[0] if alike else None


def _marks_are_hidden(ours: Sequence[_Ours]) -> bool:
    """Prebooks that we made are here, and none shows its mark: a create in doubt would not show either."""
    made = [each for each in ours if each.write_id is not None]
    return bool(made) and not any(each.seen.mark for each in made)


def _changed(session: Session, connection: Connection, ours: Sequence[_Ours]) -> list[_Ours]:
    """Those that show something new: unchanged ones cost no write."""
    stored = dict(
        session.execute(
            select(Prebook.prebook_id, Prebook.content_hash).where(
                Prebook.connection_id == connection.id,
                Prebook.prebook_id.in_([each.seen.prebook_id for each in ours]),
            )
        ).all()
    )
    unseen = set(
        session.scalars(
            select(Write.id).where(
                Write.id.in_([each.write_id for each in ours if each.write_id is not None]), Write.shown_at.is_(None)
            )
        )
    )
    return [
        each
        for each in ours
        if stored.get(each.seen.prebook_id) != each.digest or (each.write_id in unseen and each.seen.mark is not None)
    ]


def _store(session: Session, connection: Connection, claim: Claim, row: Order, ours: _Ours, known: Catalogue) -> bool:
    """Store one; True when it earned proof of absence."""
    prebook = session.scalar(
        select(Prebook)
        .where(Prebook.connection_id == connection.id, Prebook.prebook_id == ours.seen.prebook_id)
        .options(selectinload(Prebook.items))
        .execution_options(populate_existing=True)
    )
    if prebook is None:
        prebook = Prebook(
            connection_id=connection.id,
            order_id=row.id,
            write_id=ours.write_id,
            prebook_id=ours.seen.prebook_id,
            truck_date=ours.seen.truck_date or row.truck_date,
            as_of=claim.began_at,
            items=[],
        )
        session.add(prebook)
    elif prebook.as_of >= claim.began_at:
        return False  # known more recently than this look began
    prebook.number = ours.seen.number
    prebook.truck_date = ours.seen.truck_date or prebook.truck_date
    prebook.content_hash = ours.digest
    prebook.as_of = claim.began_at
    # Looked up in the whole connection: Axerrio's references may have named it under another prebook.
    ids = [seen.item_id for seen in ours.seen.items]
    known_items = select(PrebookItem).where(PrebookItem.connection_id == connection.id, PrebookItem.item_id.in_(ids))
    items = {item.item_id: item for item in session.scalars(known_items)}
    for seen in ours.seen.items:
        item = items.get(seen.item_id)
        if item is None:
            item = PrebookItem(connection_id=connection.id, item_id=seen.item_id, touched=False)
        elif (item.boxes, item.mapped) != (seen.boxes, seen.mapped):
            item.touched = True
        if item not in prebook.items:
            if item.content is None:
                item.line_id = None  # named by Axerrio's references under another prebook: a claim that was wrong
            prebook.items.append(item)
        item.boxes, item.mapped = seen.boxes, seen.mapped
        item.content = seen.model_dump(mode="json")
        item.as_of = claim.began_at
    session.flush()
    _bind(session, row, prebook, ours, known)
    if ours.write_id is None:
        return False
    write = session.get_one(Write, ours.write_id, with_for_update=True, populate_existing=True)
    if write.mark != ours.seen.mark:
        return False
    write.result = {"id": prebook.prebook_id, "number": prebook.number}
    return proofs.shown(session, write, claim)


def _bind(session: Session, row: Order, prebook: Prebook, ours: _Ours, known: Catalogue) -> None:
    """Bind items to the lines that were sent in this prebook: once, and never anew."""
    bound = {item.line_id for item in prebook.items if item.line_id is not None}
    if ours.write_id is not None:
        covered = select(WriteLine.line_id).where(WriteLine.write_id == ours.write_id)
        lines = session.scalars(
            select(OrderLine).where(OrderLine.id.in_(covered)).order_by(OrderLine.position, OrderLine.id)
        ).all()
    else:
        lines = session.scalars(
            select(OrderLine).where(OrderLine.order_id == row.id).order_by(OrderLine.position, OrderLine.id)
        ).all()
    sent = {line.line_key: line.applied for line in lines if line.id not in bound and line.applied is not None}
    free = [item for item in ours.seen.items if item.item_id in {i.item_id for i in prebook.items if i.line_id is None}]
    ids = {line.line_key: line.id for line in lines}
    for line_key, item_id in bind_items(sent, free, box_types=known.box_types).items():
        next(item for item in prebook.items if item.item_id == item_id).line_id = ids[line_key]
    session.flush()


def _should_show(session: Session, connection: Connection, claim: Claim) -> bool:
    """An item of ours that was seen and is live should stand in this list: an empty answer is not to be believed."""
    today = today_in(claim.began_at, connection.settings.time_zone)
    expected = (
        select(func.count())
        .select_from(PrebookItem)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .join(Order, Prebook.order_id == Order.id)
        .where(
            Prebook.connection_id == connection.id,
            Prebook.truck_date == date.fromisoformat(claim.key),
            PrebookItem.boxes > 0,
            PrebookItem.content.is_not(None),
            Order.departure_date >= today,
        )
    )
    return bool(session.scalar(expected))
