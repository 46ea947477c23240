"""Komet's purchase orders of one ship date: the link is the marker, an item that names a prebook item of ours."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, selectinload

from models import canonical
from models.states import WriteState
from models.tables import Prebook, PrebookItem, PurchaseOrder, PurchaseOrderItem, Wait, Write, WriteLine
from tasks import proofs, scopes
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.observe import boxes, deletions
from tasks.observe.aside import put_aside_all
from tasks.plan.facts import MISSES_FOR_GONE, PURCHASE_ORDER_CREATES
from tasks.runtime import Hint, Runtime, Timing
from tasks.scopes import Claim
from tasks.wake import active_waiters, lock_orders, orders_in_doubt, wake

log = structlog.get_logger()


class _Item(NamedTuple):
    """A prebook item of ours that a purchase order of the list names."""

    item_id: str
    line_id: int | None
    order_id: int


class _Unshown(NamedTuple):
    """A purchase order create that no look has shown yet."""

    write_id: int
    #: Items of purchase orders that covered the prebook item before.
    known: frozenset[str]
    #: The day for which it was asked.
    ship_date: str


@dataclass(frozen=True)
class _Ours:
    """A purchase order of the list that covers prebook items of ours, or did when it was seen before."""

    seen: canonical.PurchaseOrder
    #: Of those whose items it covers, or covered.
    order_ids: frozenset[int]
    digest: str


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store what stands in the purchase orders that cover our prebook items, and adopt creates that show."""
    listing = connection.komet.list_purchase_orders(ship_date=date.fromisoformat(claim.key))
    shown = {record.number for record in listing.records}
    with runtime.sessions.begin() as session:
        made = _made_unseen(session, claim, runtime.timing)
        moved = sorted({*_awaited(session, claim), *made} - shown)
    # Procurement moves ship dates: a purchase order that somebody waits for and that is not here is asked by number.
    elsewhere = connection.komet.purchase_orders_by_number(moved) if moved else None
    records = (*listing.records, *(elsewhere.records if elsewhere else ()))
    is_whole = listing.complete and (elsewhere is None or elsewhere.complete)
    nowhere = [number for number in moved if is_whole and number not in {record.number for record in records}]
    with runtime.sessions.begin() as session:
        put_aside_all(session, claim, (*listing.unreadable, *(elsewhere.unreadable if elsewhere else ())))
        items = _our_items(session, connection, records)
        ours = _ours(session, connection, records, items)
        unshown = _unshown(session, items.values())
        changed = _changed(session, connection, ours, unshown)
        hides = not listing.records and _should_show(session, connection, claim)
        counts = is_whole and not hides
        mended = counts and not claim.was_whole  # it is news to all who wait
        waiting = set(active_waiters(session, claim.scope_id, passive_too=mended))
        waiting.update(orders_in_doubt(session, claim.scope_id))
        affected = {order_id for each in changed for order_id in each.order_ids}
        lost = _lost(session, connection, nowhere)
        rows = lock_orders(session, {*waiting, *affected, *lost.values()})
        earned = _Store(session, connection, claim, items, runtime.timing).store(changed)
        for item_id in lost:
            _miss(session, claim, session.get_one(PurchaseOrderItem, item_id))
        finished = scopes.finish(
            session,
            claim,
            complete=counts,
            records=len(records),
            timing=runtime.timing,
        )
        hints = finished.hints + wake(session, rows, connection, runtime.timing)
    return hints + (proofs.wake_in_doubt(runtime, connection) if earned else [])


def _awaited(session: Session, claim: Claim) -> list[str]:
    """Numbers of the known purchase orders of those who wait for this scope, where they stood on its date."""
    waiting = (
        _with_orders(PurchaseOrder.number)
        .join(Wait, Wait.order_id == Prebook.order_id)
        .where(
            Wait.scope_id == claim.scope_id,
            PurchaseOrder.connection_id == claim.connection_id,
            PurchaseOrderItem.boxes > 0,
            PurchaseOrderItem.missing < MISSES_FOR_GONE,
            or_(
                PurchaseOrder.ship_date == date.fromisoformat(claim.key),
                PurchaseOrderItem.baseline["ship_date"].as_string() == claim.key,
            ),
        )
        .distinct()
        .order_by(PurchaseOrder.number)
    )
    return list(session.scalars(waiting))


def _made_unseen(session: Session, claim: Claim, timing: Timing) -> list[str]:
    """Numbers of purchase orders that Komet took a while ago for this date, and that no list has shown yet."""
    number = Write.result["number"].as_string()
    made = select(number).where(
        Write.connection_id == claim.connection_id,
        Write.scope_id == claim.scope_id,
        Write.kind.in_(PURCHASE_ORDER_CREATES),
        Write.state == WriteState.DONE,
        Write.shown_at.is_(None),
        Write.settled_at < claim.began_at - timedelta(seconds=timing.grace),
        number.is_not(None),
        select(Wait.order_id).where(Wait.scope_id == claim.scope_id, Wait.order_id == Write.order_id).exists(),
    )
    return list(session.scalars(made))


def _lost(session: Session, connection: Connection, numbers: Sequence[str]) -> dict[int, int]:
    """Order by id of each item of purchase orders that are found neither on their date nor by their number."""
    if not numbers:
        return {}
    rows = session.execute(
        _with_orders(PurchaseOrderItem.id, Prebook.order_id).where(
            PurchaseOrder.connection_id == connection.id,
            PurchaseOrder.number.in_(numbers),
            PurchaseOrderItem.boxes > 0,
        )
    )
    return dict(rows.all())


def _miss(session: Session, claim: Claim, item: PurchaseOrderItem) -> None:
    """A read did not show it though it should have; the second makes it gone."""
    item.missing += 1
    if item.missing >= MISSES_FOR_GONE:
        deletions.note_gone(session, claim, item)


def _our_items(
    session: Session, connection: Connection, records: Sequence[canonical.PurchaseOrder]
) -> dict[str, _Item]:
    """Prebook items of ours that any of these purchase orders names."""
    named = {item.prebook_item_id for record in records for item in record.items if item.prebook_item_id}
    rows = session.execute(
        select(PrebookItem.item_id, PrebookItem.line_id, Prebook.order_id)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(PrebookItem.connection_id == connection.id, PrebookItem.item_id.in_(named))
    )
    return {row.item_id: _Item(row.item_id, row.line_id, row.order_id) for row in rows}


def _ours(
    session: Session,
    connection: Connection,
    records: Sequence[canonical.PurchaseOrder],
    items: dict[str, _Item],
) -> list[_Ours]:
    before: dict[str, set[int]] = {}
    for id_, order_id in session.execute(
        _with_orders(PurchaseOrder.purchase_order_id, Prebook.order_id).where(
            PurchaseOrder.connection_id == connection.id,
            PurchaseOrder.purchase_order_id.in_([record.purchase_order_id for record in records]),
            PurchaseOrderItem.boxes > 0,
        )
    ):
        before.setdefault(id_, set()).add(order_id)
    ours = []
    for record in records:
        named = {item.prebook_item_id for item in record.items if item.prebook_item_id in items}
        order_ids = {items[each].order_id for each in named if each is not None}
        order_ids |= before.get(record.purchase_order_id, set())  # the last of its items may have been taken off
        if order_ids:
            digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
            ours.append(_Ours(record, frozenset(order_ids), digest))
    return ours


def _with_orders(*columns: Any) -> Select[Any]:
    """These columns of the known purchase orders, their items, and the prebook items that they cover."""
    return (
        select(*columns)
        .select_from(PurchaseOrderItem)
        .join(PurchaseOrder, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
        .join(
            PrebookItem,
            and_(
                PrebookItem.connection_id == PurchaseOrderItem.connection_id,
                PrebookItem.item_id == PurchaseOrderItem.prebook_item_id,
            ),
        )
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
    )


def _unshown(session: Session, items: Iterable[_Item]) -> dict[str, _Unshown]:
    """The newest purchase order create of each prebook item, where no look has shown it yet.

    The link does not say which create made an item: it is taken for the newest, and what an older one made too much
    shows as more boxes than wanted.
    """
    of_lines = {item.line_id for item in items if item.line_id is not None}
    found = session.execute(
        select(WriteLine.sent, Write.id, Write.shown_at)
        .join(Write, WriteLine.write_id == Write.id)
        .where(
            WriteLine.line_id.in_(of_lines),
            Write.kind.in_(PURCHASE_ORDER_CREATES),
            Write.sent_at.is_not(None),
        )
        .order_by(Write.id)
    )
    newest = {row.sent["prebook_item_id"]: row for row in found if row.sent}
    return {
        item_id: _Unshown(row.id, frozenset(row.sent.get("known", ())), row.sent["ship_date"])
        for item_id, row in newest.items()
        if row.shown_at is None
    }


def _create_of(item: canonical.PurchaseOrderItem, unshown: dict[str, _Unshown]) -> _Unshown | None:
    """The create that the item shows: one that covered the same prebook item before shows none."""
    found = unshown.get(item.prebook_item_id or "")
    return found if found is not None and item.item_id not in found.known else None


def _shown_by(items: Iterable[canonical.PurchaseOrderItem], unshown: dict[str, _Unshown]) -> set[int]:
    """The creates that these items show."""
    return {found.write_id for item in items if (found := _create_of(item, unshown)) is not None}


def _changed(
    session: Session,
    connection: Connection,
    ours: Sequence[_Ours],
    unshown: dict[str, _Unshown],
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
    unsettled = set(
        session.scalars(
            select(PurchaseOrder.purchase_order_id)
            .join(PurchaseOrderItem, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
            .where(
                PurchaseOrder.connection_id == connection.id,
                PurchaseOrder.purchase_order_id.in_(stored),
                or_(PurchaseOrderItem.missing > 0, PurchaseOrderItem.content.is_(None)),
            )
        )
    )
    return [
        each
        for each in ours
        if stored.get(each.seen.purchase_order_id) != each.digest
        or each.seen.purchase_order_id in unsettled
        or _shown_by(each.seen.items, unshown)
    ]


class _Store:
    """Stores the purchase orders of one list: in as many statements for many of them as for one."""

    def __init__(
        self, session: Session, connection: Connection, claim: Claim, items: dict[str, _Item], timing: Timing
    ) -> None:
        self._session = session
        self._connection = connection
        self._claim = claim
        self._items = items
        self._timing = timing
        #: By the ids of the purchase orders and of their items.
        self._stored: dict[str, PurchaseOrder] = {}
        self._bought: dict[str, PurchaseOrderItem] = {}
        #: By prebook item.
        self._unshown: dict[str, _Unshown] = {}

    def store(self, changed: Sequence[_Ours]) -> bool:
        """Store some; True when that earned proof of absence."""
        if not changed:
            return False
        session = self._session
        self._read(changed)
        self._unshown = _unshown(session, self._items.values())
        stored = [each for each in changed if self._store(each)]
        shown = [item for each in stored for item in each.seen.items if item.prebook_item_id in self._items]
        linked = [self._items[item.prebook_item_id or ""] for item in shown]
        creates = select(Write).where(Write.id.in_(_shown_by(shown, self._unshown))).order_by(Write.id)
        earned = proofs.shown(session, session.scalars(creates.execution_options(populate_existing=True)), self._claim)
        earned |= boxes.adopt(session, self._claim, {item.line_id for item in linked if item.line_id is not None})
        session.flush()
        return earned

    def _read(self, changed: Sequence[_Ours]) -> None:
        """What is known of them, in this transaction."""
        of_ids = select(PurchaseOrder).where(
            PurchaseOrder.connection_id == self._connection.id,
            PurchaseOrder.purchase_order_id.in_([each.seen.purchase_order_id for each in changed]),
        )
        fresh = of_ids.options(selectinload(PurchaseOrder.items)).execution_options(populate_existing=True)
        self._stored = {row.purchase_order_id: row for row in self._session.scalars(fresh)}
        # Looked up in the whole connection: an item may have moved here from another purchase order.
        items = select(PurchaseOrderItem).where(
            PurchaseOrderItem.connection_id == self._connection.id,
            PurchaseOrderItem.item_id.in_([item.item_id for each in changed for item in each.seen.items]),
        )
        self._bought = {item.item_id: item for item in self._session.scalars(items)}

    def _store(self, ours: _Ours) -> bool:
        """Store one; False where it is known more recently than this look began."""
        session, claim, seen = self._session, self._claim, ours.seen
        row = self._stored.get(seen.purchase_order_id)
        if row is None:
            row = PurchaseOrder(connection_id=self._connection.id, purchase_order_id=seen.purchase_order_id, items=[])
            session.add(row)
            self._stored[seen.purchase_order_id] = row
        elif row.as_of >= claim.began_at:
            return False
        row.number, row.ship_date = seen.number, seen.ship_date
        row.status = seen.status.value if seen.status else None
        row.status_text = seen.status_text
        row.content_hash, row.as_of = ours.digest, claim.began_at
        if seen.status is None:
            log.warning("unknown status", purchase_order=seen.number, status=seen.status_text)
        known = {item.item_id: item for item in row.items}
        for item in seen.items:
            if item.prebook_item_id in self._items:
                known.pop(item.item_id, None)
                self._item(row, item)
        for gone in known.values():  # its purchase order is here, and the item is not
            if gone.boxes and gone.missing < MISSES_FOR_GONE and gone.as_of < claim.began_at:
                _miss(session, claim, gone)
            elif not gone.boxes:
                gone.missing = 0
                deletions.note_gone(session, claim, gone)
        return True

    def _item(self, row: PurchaseOrder, seen: canonical.PurchaseOrderItem) -> None:
        stored = self._bought.get(seen.item_id)
        if stored is None:
            stored = PurchaseOrderItem(connection_id=self._connection.id, item_id=seen.item_id, boxes=0)
            self._bought[seen.item_id] = stored
        if stored not in row.items:  # new, or moved here from another purchase order
            row.items.append(stored)
        stored.prebook_item_id = seen.prebook_item_id or ""
        content = seen.model_dump(mode="json") | {"ship_date": row.ship_date.isoformat() if row.ship_date else None}
        made = _create_of(seen, self._unshown)  # procurement may have moved it before anybody saw it
        stored.baseline = stored.baseline or (content | ({"ship_date": made.ship_date} if made is not None else {}))
        stored.missing, stored.as_of = 0, self._claim.began_at
        if seen.boxes and deletions.is_stale(self._session, self._claim, stored, self._timing):
            row.content_hash = ""  # looked at again, whatever its digest
            return
        stored.boxes, stored.content = seen.boxes, content
        if not seen.boxes:
            self._session.flush()
            deletions.note_gone(self._session, self._claim, stored)


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
            PurchaseOrderItem.missing < MISSES_FOR_GONE,
        )
    )
    return bool(session.scalar(expected))
