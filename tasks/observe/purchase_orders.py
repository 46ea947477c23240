"""Komet's purchase orders of one ship date: the link is the marker, an item that names a prebook item of ours."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import structlog
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from models import canonical
from models.states import Kind
from models.tables import OrderLine, PrebookItem, PurchaseOrder, PurchaseOrderItem, Wait, Write, WriteLine
from tasks import proofs, scopes
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.observe.aside import put_aside_all
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.wake import active_waiters, lock_orders, orders_in_doubt, wake

log = structlog.get_logger()


@dataclass(frozen=True)
class _Ours:
    """A purchase order of the list that covers prebook items of ours."""

    seen: canonical.PurchaseOrder
    #: By prebook item id.
    order_ids: frozenset[int]
    digest: str


def read(runtime: Runtime, connection: Connection, claim: Claim, passive: float) -> list[Hint]:
    """Store what stands in the purchase orders that cover our prebook items, and adopt creates that show."""
    listing = connection.komet.list_purchase_orders(ship_date=date.fromisoformat(claim.key))
    shown = {record.number for record in listing.records}
    with runtime.sessions() as session:
        moved = [number for number in _awaited(session, claim) if number not in shown]
    # Procurement moves ship dates: a purchase order that somebody waits for and that is not here is asked by number.
    elsewhere = connection.komet.purchase_orders_by_number(moved) if moved else None
    records = (*listing.records, *(elsewhere.records if elsewhere else ()))
    earned = False
    with runtime.sessions.begin() as session:
        put_aside_all(session, claim, (*listing.unreadable, *(elsewhere.unreadable if elsewhere else ())))
        items = _our_items(session, connection, records)
        ours = _ours(records, items)
        unshown = _unshown(session, [item.line_id for item in items.values() if item.line_id is not None])
        changed = _changed(session, connection, ours, items, unshown)
        waiting = {*active_waiters(session, claim.scope_id), *orders_in_doubt(session, claim.scope_id)}
        affected = {order_id for each in changed for order_id in each.order_ids}
        rows = lock_orders(session, {*waiting, *affected})
        for each in changed:
            earned |= _store(session, connection, claim, each, items)
        hides = not listing.records and _should_show(session, connection, claim)
        scopes.finish(
            session,
            claim,
            complete=listing.complete and not hides,
            records=len(records),
            timing=runtime.timing,
            passive=passive,
        )
        hints = wake(session, rows, connection, runtime.timing)
    return hints + (proofs.wake_in_doubt(runtime, connection) if earned else [])


def _awaited(session: Session, claim: Claim) -> list[str]:
    """Numbers of the known purchase orders of those who wait for this scope, and whose lines leave on its date."""
    waiting = (
        select(PurchaseOrder.number)
        .join(PurchaseOrderItem, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
        .join(
            PrebookItem,
            and_(
                PrebookItem.connection_id == PurchaseOrderItem.connection_id,
                PrebookItem.item_id == PurchaseOrderItem.prebook_item_id,
            ),
        )
        .join(OrderLine, PrebookItem.line_id == OrderLine.id)
        .join(Wait, Wait.order_id == OrderLine.order_id)
        .where(
            Wait.scope_id == claim.scope_id,
            PurchaseOrder.connection_id == claim.connection_id,
            PurchaseOrderItem.boxes > 0,
            OrderLine.applied["departure_date"].as_string() == claim.key,
        )
        .distinct()
        .order_by(PurchaseOrder.number)
    )
    return list(session.scalars(waiting))


def _our_items(
    session: Session, connection: Connection, records: Sequence[canonical.PurchaseOrder]
) -> dict[str, PrebookItem]:
    """Prebook items of ours that any of these purchase orders names."""
    named = {item.prebook_item_id for record in records for item in record.items if item.prebook_item_id}
    rows = session.scalars(
        select(PrebookItem)
        .where(PrebookItem.connection_id == connection.id, PrebookItem.item_id.in_(named))
        .options(joinedload(PrebookItem.prebook))
    )
    return {row.item_id: row for row in rows}


def _ours(records: Sequence[canonical.PurchaseOrder], items: dict[str, PrebookItem]) -> list[_Ours]:
    ours = []
    for record in records:
        order_ids = {
            items[item.prebook_item_id].prebook.order_id for item in record.items if item.prebook_item_id in items
        }
        if order_ids:
            digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
            ours.append(_Ours(record, frozenset(order_ids), digest))
    return ours


def _unshown(session: Session, line_ids: Sequence[int]) -> dict[int, Write]:
    """The newest purchase order create of each line, where no look has shown it yet.

    The link does not say which create made an item: it is taken for the newest, and what an older one made too much
    shows as more boxes than wanted.
    """
    found = session.execute(
        select(WriteLine.line_id, Write)
        .join(Write, WriteLine.write_id == Write.id)
        .where(WriteLine.line_id.in_(line_ids), Write.kind == Kind.PURCHASE_ORDER_CREATE, Write.sent_at.is_not(None))
        .order_by(Write.id)
        .execution_options(populate_existing=True)
    )
    newest = dict(found.all())
    return {line_id: write for line_id, write in newest.items() if write.shown_at is None}


def _changed(
    session: Session,
    connection: Connection,
    ours: Sequence[_Ours],
    items: dict[str, PrebookItem],
    unshown: dict[int, Write],
) -> list[_Ours]:
    """Those that show something new: unchanged ones cost no write."""
    stored = dict(
        session.execute(
            select(PurchaseOrder.purchase_order_id, PurchaseOrder.content_hash).where(
                PurchaseOrder.connection_id == connection.id,
                PurchaseOrder.purchase_order_id.in_([each.seen.purchase_order_id for each in ours]),
            )
        ).all()
    )
    return [
        each
        for each in ours
        if stored.get(each.seen.purchase_order_id) != each.digest
        or any(items[i.prebook_item_id].line_id in unshown for i in each.seen.items if i.prebook_item_id in items)
    ]


def _store(session: Session, connection: Connection, claim: Claim, ours: _Ours, items: dict[str, PrebookItem]) -> bool:
    """Store one; True when it earned proof of absence."""
    seen = ours.seen
    row = session.scalar(
        select(PurchaseOrder)
        .where(PurchaseOrder.connection_id == connection.id, PurchaseOrder.purchase_order_id == seen.purchase_order_id)
        .options(selectinload(PurchaseOrder.items))
        .execution_options(populate_existing=True)
    )
    if row is None:
        row = PurchaseOrder(connection_id=connection.id, purchase_order_id=seen.purchase_order_id, items=[])
        session.add(row)
    elif row.as_of >= claim.began_at:
        return False  # known more recently than this look began
    row.number, row.ship_date = seen.number, seen.ship_date
    row.status = seen.status.value if seen.status else None
    row.status_text = seen.status_text
    row.content_hash, row.as_of = ours.digest, claim.began_at
    if seen.status is None:
        log.warning("unknown status", purchase_order=seen.number, status=seen.status_text)
    known = {item.item_id: item for item in row.items}
    elsewhere = select(PurchaseOrderItem).where(
        PurchaseOrderItem.connection_id == connection.id,
        PurchaseOrderItem.item_id.in_([item.item_id for item in seen.items]),
    )
    by_id = {item.item_id: item for item in session.scalars(elsewhere)}
    for item in seen.items:
        if item.prebook_item_id not in items:
            continue
        known.pop(item.item_id, None)
        stored = by_id.get(item.item_id) or PurchaseOrderItem(connection_id=connection.id, item_id=item.item_id)
        if stored not in row.items:  # new, or moved here from another purchase order
            row.items.append(stored)
        stored.prebook_item_id, stored.boxes, stored.as_of = item.prebook_item_id, item.boxes, claim.began_at
    for gone in known.values():  # its purchase order is here, and the item is not
        gone.boxes, gone.as_of = 0, claim.began_at
    session.flush()
    lines = [items[item.prebook_item_id].line_id for item in seen.items if item.prebook_item_id in items]
    unshown = _unshown(session, [line_id for line_id in lines if line_id is not None])
    earned = [proofs.shown(session, write, claim) for write in {each.id: each for each in unshown.values()}.values()]
    session.flush()
    return any(earned)


def _should_show(session: Session, connection: Connection, claim: Claim) -> bool:
    """A purchase order of ours stood on this ship date: an empty answer is not to be believed."""
    ship_date = date.fromisoformat(claim.key)
    if ship_date < today_in(claim.began_at, connection.settings.time_zone):
        return False
    expected = (
        select(func.count())
        .select_from(PurchaseOrderItem)
        .join(PurchaseOrder, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
        .where(
            PurchaseOrder.connection_id == connection.id,
            PurchaseOrder.ship_date == ship_date,
            PurchaseOrder.content_hash != "",
            PurchaseOrderItem.boxes > 0,
        )
    )
    return bool(session.scalar(expected))
