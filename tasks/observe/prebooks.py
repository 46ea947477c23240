"""Komet's prebooks: ours are known by their mark or by an id that we hold; others start orders born in Komet.

One reader serves three kinds of scopes: a truck date, for those who wait for it; what changed since the last read;
and the whole window of vendor ship dates, which alone can say that something is gone.
"""

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from clients.komet.binding import bind_items
from clients.komet.client import Listing
from models import canonical
from models.canonical import Json
from models.states import CHANGED, WINDOW, Feed, Kind, WriteState
from models.tables import Order, Prebook, PrebookItem, Scope, Write, WriteLine
from tasks import proofs, scopes
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.guard import Watch
from tasks.kinds.prebooks import forget_unknown
from tasks.notes import note_once
from tasks.observe import born_in_komet, deletions
from tasks.observe.aside import put_aside, put_aside_all
from tasks.plan.facts import MISSES_FOR_GONE
from tasks.runtime import Hint, Runtime, Timing
from tasks.scopes import Claim
from tasks.wake import active_waiters, lock_orders, orders_in_doubt, wake, wake_those_that_wait_for
from tasks.wanted import Catalogue, catalogue

log = structlog.get_logger()


@dataclass(frozen=True)
class _Known:
    """A prebook of the list that an order stands in."""

    seen: canonical.Prebook
    order_id: int
    write_id: int | None
    digest: str
    #: Of what is stored of it; None: nothing is, or it is to be looked at again.
    stored: str | None = None


class _Moved(NamedTuple):
    """An item that is a line's, and that Komet shows in another prebook than it was known in."""

    #: Of the line.
    order_id: int
    seen: canonical.PrebookItem
    #: Number of the prebook that it was known in, and what is kept of the one that shows it.
    before: str
    moved_to: Json
    #: It shows something new.
    is_news: bool


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store what stands in the prebooks, adopt creates that show, bind items to lines, and take up new prebooks."""
    began = time.monotonic()
    listing = _list(connection, claim)
    took = timedelta(seconds=time.monotonic() - began)
    learned = _Learned()
    with runtime.sessions.begin() as session:
        found = _find(session, connection, listing.records)
        ids = {each.seen.prebook_id for each in found}
        strangers = [record for record in listing.records if record.prebook_id not in ids]
        moved = _moved(session, connection, listing.records)
        changed = [replace(each, seen=_without(each.seen, moved)) for each in _changed(session, connection, found)]
        strangers = [_without(each, moved) for each in strangers]
        _put_aside(session, connection, claim, [*listing.unreadable, *_without_a_day(strangers)])
        lost = _lost(session, connection, claim, listing)
        waiting = {*active_waiters(session, claim.scope_id), *orders_in_doubt(session, claim.scope_id)}
        affected = {*waiting, *(each.order_id for each in changed), *lost.values()}
        affected |= {each.order_id for each in moved.values() if each.is_news}
        rows = {row.id: row for row in lock_orders(session, affected)}
        known = catalogue(session, connection.id)
        reader = _Store(session, connection, claim, known, learned, runtime.timing)
        born_there = [row for row in rows.values() if row.origin == canonical.Origin.KOMET]
        watch = Watch(session, connection, claim.scope_id, born_there)
        reader.store(rows, changed)
        reader.follow(rows, moved)
        reader.miss(lost, rows)
        _suspect(session, claim, strangers, known)
        born = _take_up(session, connection, strangers, reader, max(claim.pace.passive, runtime.timing.poll))
        hides = claim.key != CHANGED and not listing.records and _should_show(session, connection, claim)
        hints = scopes.finish(
            session,
            claim,
            complete=listing.complete and not hides and not _marks_are_hidden(found),
            records=len(listing.records),
            timing=runtime.timing,
        ).hints
        if claim.key == CHANGED and listing.complete:
            overlap = timedelta(seconds=connection.settings.komet.profile.updated_overlap_seconds)
            since = (listing.served_at or claim.began_at) - took - overlap
            session.get_one(Scope, claim.scope_id).changed_since = since
        if claim.key not in (CHANGED, WINDOW) and _misses(session, connection, claim, listing):
            window = scopes.find_or_make(session, connection.id, claim.feed, WINDOW)
            hints += scopes.request(session, [window], runtime.timing)
        watch.close()
        hints += wake(session, [*rows.values(), *born], connection, runtime.timing)
    hints += wake_those_that_wait_for(runtime, connection, learned.mapped)
    return hints + (proofs.wake_in_doubt(runtime, connection) if learned.proof else [])


def _list(connection: Connection, claim: Claim) -> Listing[canonical.Prebook]:
    """The call of the scope's kind. Vendor tokens are shown ship dates from yesterday on."""
    profile = connection.settings.komet.profile
    if claim.key not in (CHANGED, WINDOW):
        return connection.komet.list_prebooks(truck_date=date.fromisoformat(claim.key))
    yesterday = today_in(claim.began_at, connection.settings.time_zone) - timedelta(days=1)
    window = (yesterday, yesterday + timedelta(days=profile.max_range_days))
    if claim.key == WINDOW:
        return connection.komet.list_prebooks(ship_dates=window)
    if claim.changed_since is None:
        return connection.komet.list_prebooks(ship_dates=window)
    return connection.komet.list_prebooks(
        ship_dates=window if profile.updated_needs_range else None, updated_since=claim.changed_since
    )


class _Learned:
    """What other orders wait for, told after the commit."""

    def __init__(self) -> None:
        self.proof = False
        #: Words of products that no item shows as unknown any more: Komet knows them now, or the item is gone.
        self.mapped: set[str] = set()


def _without_a_day(strangers: Sequence[canonical.Prebook]) -> list[canonical.Unreadable]:
    """Those that could be orders born in Komet, and do not say when their truck leaves."""
    return [
        canonical.Unreadable(
            sequence=None, key=each.prebook_id, reason="truckDate is missing", raw=each.model_dump_json()
        )
        for each in strangers
        if each.truck_date is None and each.mark is None and any(item.boxes for item in each.items)
    ]


def _put_aside(
    session: Session, connection: Connection, claim: Claim, unreadable: Sequence[canonical.Unreadable]
) -> None:
    """Of all lists in one place: dates are not read for ever, and the whole window says what was mended or is gone."""
    if claim.key == WINDOW:
        put_aside_all(session, claim, unreadable)
        return
    if not unreadable:
        return
    window = scopes.find_or_make(session, connection.id, claim.feed, WINDOW)
    put_aside(session, replace(claim, scope_id=window), unreadable)


def _find(session: Session, connection: Connection, records: Sequence[canonical.Prebook]) -> list[_Known]:
    """Those of the list that an order stands in. One mark, one prebook: of several carriers the first made is ours."""
    marks = {record.mark for record in records if record.mark}
    of_marks = select(Write.mark, Write.id, Write.order_id)
    of_marks = of_marks.where(Write.connection_id == connection.id, Write.mark.in_(marks))
    writes = {row.mark: row for row in session.execute(of_marks)}
    ids = {record.prebook_id for record in records}
    rows = session.execute(
        select(Prebook.prebook_id, Prebook.order_id, Prebook.write_id, Prebook.content_hash).where(
            Prebook.connection_id == connection.id,
            or_(Prebook.prebook_id.in_(ids), Prebook.write_id.in_([each.id for each in writes.values()])),
        )
    )
    known = {row.prebook_id: row for row in rows}
    carriers = {row.write_id: row.prebook_id for row in known.values() if row.write_id is not None}
    found = []
    for record in sorted(records, key=lambda each: (len(each.prebook_id), each.prebook_id)):
        digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
        row = known.get(record.prebook_id)
        write = writes.get(record.mark)
        if row is not None:
            found.append(_Known(record, row.order_id, row.write_id, digest, row.content_hash))
        elif write is not None and carriers.setdefault(write.id, record.prebook_id) == record.prebook_id:
            found.append(_Known(record, write.order_id, write.id, digest))
    return found


def _suspect(session: Session, claim: Claim, strangers: Sequence[canonical.Prebook], known: Catalogue) -> None:
    """Note for each create in doubt which prebook without a mark of ours may be it.

    A person may have rewritten its comments. It may be ours if it has as many items as were sent, for that customer,
    and each of them would be bound to a line.
    """
    in_doubt = select(Write).where(
        Write.scope_id == claim.scope_id, Write.state == WriteState.SENT, Write.kind == Kind.PREBOOK_CREATE
    )
    for write in session.scalars(in_doubt.options(selectinload(Write.lines).joinedload(WriteLine.line))):
        alike = [
            each for each in strangers if each.mark is None and born_in_komet.is_alike(write, each, known.box_types)
        ]
        write.may_be = alike[0].number if alike else None
        write.may_be_id = alike[0].prebook_id if alike else None


def _marks_are_hidden(found: Sequence[_Known]) -> bool:
    """Prebooks that we made are here, and none shows its mark: a create in doubt would not show either."""
    made = [each for each in found if each.write_id is not None]
    return bool(made) and not any(each.seen.mark for each in made)


def _changed(session: Session, connection: Connection, found: Sequence[_Known]) -> list[_Known]:
    """Those that show something new: unchanged ones cost no write."""
    if not found:
        return []
    unseen = set(
        session.scalars(
            select(Write.id).where(
                Write.id.in_([each.write_id for each in found if each.write_id is not None]), Write.shown_at.is_(None)
            )
        )
    )
    missed = set(
        session.scalars(
            select(Prebook.prebook_id)
            .join(PrebookItem, PrebookItem.prebook_row == Prebook.id)
            .where(
                Prebook.connection_id == connection.id,
                Prebook.prebook_id.in_([each.seen.prebook_id for each in found]),
                PrebookItem.missing > 0,
            )
        )
    )
    return [
        each
        for each in found
        if each.stored != each.digest
        or each.seen.prebook_id in missed
        or (each.write_id in unseen and each.seen.mark is not None)
    ]


def _moved(session: Session, connection: Connection, records: Sequence[canonical.Prebook]) -> dict[str, _Moved]:
    """By id, items that are a line's and were known in another prebook: a person merged them. They stay that line's."""
    shown = {item.item_id: (record, item) for record in records for item in record.items}
    if not shown:
        return {}
    rows = session.execute(
        select(
            PrebookItem.item_id,
            PrebookItem.content,
            PrebookItem.boxes,
            PrebookItem.missing,
            Prebook.order_id,
            Prebook.prebook_id,
            Prebook.number,
            Prebook.truck_date,
        )
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(
            PrebookItem.connection_id == connection.id,
            PrebookItem.item_id.in_(shown),
            PrebookItem.line_id.is_not(None),
            PrebookItem.content.is_not(None),  # else named by Axerrio's references only: a claim that may be wrong
        )
    )
    moved = {}
    for row in rows:
        record, item = shown[row.item_id]
        if row.prebook_id != record.prebook_id:
            day = record.truck_date or row.truck_date
            moved_to = {"prebook_id": record.prebook_id, "number": record.number, "truck_date": day.isoformat()}
            content = item.model_dump(mode="json") | {"moved_to": moved_to}
            is_news = (row.content, row.boxes, row.missing) != (content, item.boxes, 0)
            moved[row.item_id] = _Moved(row.order_id, item, row.number or row.prebook_id, moved_to, is_news)
    return moved


def _without(seen: canonical.Prebook, moved: Collection[str]) -> canonical.Prebook:
    """The prebook as far as it is its own."""
    return seen.model_copy(update={"items": tuple(item for item in seen.items if item.item_id not in moved)})


def _expected(connection: Connection, claim: Claim, until: date | None) -> tuple[ColumnElement[bool], ...]:
    """Items that a list must show: seen before, holding boxes, with a ship date that is not past, nor after a day."""
    today = today_in(claim.began_at, connection.settings.time_zone).isoformat()
    ship_date = PrebookItem.content["ship_date"].as_string()
    departs = select(Order.departure_date).where(Order.id == Prebook.order_id).scalar_subquery()
    in_time = ship_date >= today if until is None else ship_date.between(today, until.isoformat())
    return (
        PrebookItem.connection_id == connection.id,
        PrebookItem.boxes > 0,
        PrebookItem.content.is_not(None),
        PrebookItem.as_of < claim.began_at,
        or_(in_time, ship_date.is_(None)),  # of items alone, so that the index on their ship dates finds them
        or_(ship_date.is_not(None), departs >= date.fromisoformat(today)),
    )


def _unshown(
    session: Session,
    connection: Connection,
    claim: Claim,
    listing: Listing[canonical.Prebook],
    *also: ColumnElement[bool],
    until: date | None = None,
) -> dict[int, int]:
    """Order by id of each item that the list should show and does not."""
    shown = [item.item_id for record in listing.records for item in record.items]
    rows = session.execute(
        select(PrebookItem.id, Prebook.order_id)
        .join(Prebook, PrebookItem.prebook_row == Prebook.id)
        .where(*_expected(connection, claim, until), PrebookItem.item_id.not_in(shown), *also)
    )
    return dict(rows.all())


def _lost(
    session: Session, connection: Connection, claim: Claim, listing: Listing[canonical.Prebook]
) -> dict[int, int]:
    """Items that a full read over the window does not show; none where the read was not whole."""
    if claim.key != WINDOW or not listing.complete:
        return {}
    yesterday = today_in(claim.began_at, connection.settings.time_zone) - timedelta(days=1)
    last = yesterday + timedelta(days=connection.settings.komet.profile.max_range_days)
    return _unshown(session, connection, claim, listing, PrebookItem.missing < MISSES_FOR_GONE, until=last)


def _misses(session: Session, connection: Connection, claim: Claim, listing: Listing[canonical.Prebook]) -> bool:
    """A look at a truck date misses an item: the whole window must be read to know more."""
    live = PrebookItem.missing < MISSES_FOR_GONE
    return listing.complete and bool(_unshown(session, connection, claim, listing, live, *_on_date(claim)))


def _on_date(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Items of the scope's truck date, and of no other that a person moved them to."""
    moved_to = PrebookItem.content["moved_to"]["truck_date"].as_string()
    return Prebook.truck_date == date.fromisoformat(claim.key), or_(moved_to.is_(None), moved_to == claim.key)


def _should_show(session: Session, connection: Connection, claim: Claim) -> bool:
    """An item of ours that was seen and is live should stand in this list: an empty answer is not to be believed."""
    on_date = () if claim.key == WINDOW else _on_date(claim)
    live = PrebookItem.missing < MISSES_FOR_GONE
    return bool(_unshown(session, connection, claim, Listing((), (), True, None), live, *on_date))


def _take_up(
    session: Session,
    connection: Connection,
    strangers: Sequence[canonical.Prebook],
    reader: "_Store",
    pause: float,
) -> list[Order]:
    """Start an order for each prebook that is certainly not ours; the others are looked at again soon."""
    if not strangers:
        return []
    doubtful = born_in_komet.may_be_ours(session, connection, strangers, reader.known.box_types)
    born: dict[int, Order] = {}
    found = []
    for seen in strangers:
        if seen.prebook_id in doubtful:
            _report_doubt(session, connection, seen, doubtful[seen.prebook_id])
            continue
        row = born_in_komet.begin(session, connection, seen)
        if row is not None:
            digest = hashlib.sha256(seen.model_dump_json().encode()).hexdigest()
            found.append(_Known(seen, row.id, None, digest))
            born[row.id] = row
    reader.store(born, found)
    if any(seen.mark is None for seen in strangers if seen.prebook_id in doubtful):
        scopes.expect(session, connection.id, Feed.KOMET_PREBOOKS, WINDOW, pause)
    return list(born.values())


def _report_doubt(session: Session, connection: Connection, seen: canonical.Prebook, order_id: int | None) -> None:
    """A prebook that is taken for nobody's is told on the order that it may be of; it is touched by nothing."""
    if seen.mark is None:
        said = f"Prebook {seen.number} in Komet may be this order's, without our mark: it starts no order yet."
    else:
        said = f"Prebook {seen.number} in Komet carries this order's mark too: a person copied it. It is left alone."
        order_id = session.scalar(
            select(Write.order_id).where(Write.connection_id == connection.id, Write.mark == seen.mark)
        )
    if order_id is None:
        log.warning("a prebook carries a mark of another ledger", prebook=seen.number, mark=seen.mark)
        return
    note_once(session, session.get_one(Order, order_id), said)


class _Store:
    """Stores the prebooks of one list: in as many statements for many of them as for one."""

    def __init__(
        self,
        session: Session,
        connection: Connection,
        claim: Claim,
        known: Catalogue,
        learned: _Learned,
        timing: Timing,
    ) -> None:
        self._session = session
        self._connection = connection
        self._claim = claim
        self.known = known
        self._learned = learned
        self._timing = timing
        #: By prebook id, by item id, and by row.
        self._prebooks: dict[str, Prebook] = {}
        self._items: dict[str, PrebookItem] = {}
        self._writes: dict[int, Write] = {}

    def store(self, rows: Mapping[int, Order], changed: Sequence[_Known]) -> None:
        """Store some, each of its order's row."""
        if not changed:
            return
        self._read(changed)
        shown = [self._store(rows[each.order_id], each) for each in changed]
        self._learned.proof |= proofs.shown(self._session, [each for each in shown if each is not None], self._claim)

    def _read(self, changed: Sequence[_Known]) -> None:
        """What is known of them, in this transaction."""
        session, fresh = self._session, {"populate_existing": True}
        of_ids = select(Prebook).where(
            Prebook.connection_id == self._connection.id,
            Prebook.prebook_id.in_([each.seen.prebook_id for each in changed]),
        )
        stored = session.scalars(of_ids.options(selectinload(Prebook.items)), execution_options=fresh)
        self._prebooks = {each.prebook_id: each for each in stored}
        # Looked up in the whole connection: Axerrio's references may have named it under another prebook.
        items = select(PrebookItem).where(
            PrebookItem.connection_id == self._connection.id,
            PrebookItem.item_id.in_([item.item_id for each in changed for item in each.seen.items]),
        )
        self._items = {each.item_id: each for each in session.scalars(items)}
        writes = select(Write).where(Write.id.in_([each.write_id for each in changed])).order_by(Write.id)
        with_lines = selectinload(Write.lines).joinedload(WriteLine.line)
        locked = session.scalars(writes.options(with_lines).with_for_update(of=Write), execution_options=fresh)
        self._writes = {each.id: each for each in locked}
        lines = select(Order).where(Order.id.in_([each.order_id for each in changed]))
        session.scalars(lines.options(selectinload(Order.lines)), execution_options=fresh).all()

    def _store(self, row: Order, found: _Known) -> Write | None:
        """Store one; gives the create that it shows by its mark."""
        seen = found.seen
        prebook = self._prebook(row, found)
        if prebook is None:
            return None
        header = {
            "customer_code": seen.customer_code,
            "carrier_id": seen.carrier_id,
            "truck_date": seen.truck_date.isoformat() if seen.truck_date else None,
        }
        prebook.number = seen.number
        prebook.truck_date = seen.truck_date or prebook.truck_date
        prebook.baseline, prebook.content = prebook.baseline or header, header
        prebook.content_hash, prebook.as_of = found.digest, self._claim.began_at
        write = self._writes.get(found.write_id or 0)
        for item in seen.items:
            self._item(prebook, self._items.get(item.item_id), item)
        if row.origin == canonical.Origin.KOMET:
            alive = [item.item_id for item in prebook.items if item.boxes and item.missing < MISSES_FOR_GONE]
            born_in_komet.update(self._session, self._connection, row, seen, alive)
            self._session.flush()
            self._bind_own(row, prebook)
        else:
            self._bind(row, prebook, seen, write)
            self._report_strays(row, prebook, seen, write)
        self._learn_products(prebook)
        if write is None or write.mark != seen.mark:
            return None
        write.result = {"id": prebook.prebook_id, "number": prebook.number}
        return write

    def follow(self, rows: Mapping[int, Order], moved: Mapping[str, _Moved]) -> None:
        """Store what is new of items that a person moved to another prebook where they are known, and tell of it."""
        news = {item_id: each for item_id, each in moved.items() if each.is_news}
        if not news:
            return
        told = {(each.order_id, each.before, str(each.moved_to["number"])) for each in news.values()}
        for order_id, before, there in sorted(told):
            said = f"Komet shows items of prebook {before} in prebook {there}: they stay this order's, and no other's."
            note_once(self._session, rows[order_id], said)
        items = select(PrebookItem).where(
            PrebookItem.connection_id == self._connection.id, PrebookItem.item_id.in_(news)
        )
        fresh = items.options(joinedload(PrebookItem.prebook)).execution_options(populate_existing=True)
        for item in self._session.scalars(fresh.order_by(PrebookItem.id)).all():
            if item.as_of >= self._claim.began_at:
                continue
            each = news[item.item_id]
            row = rows[each.order_id]
            self._item(item.prebook, item, each.seen, each.moved_to)
            # Where the item comes back its prebook is as it was, and yet news; but not by a look that began before.
            item.prebook.content_hash = None
            item.prebook.as_of = max(item.prebook.as_of, self._claim.began_at)
            self._learn_products(item.prebook)
            if row.origin == canonical.Origin.KOMET:
                born_in_komet.follow(self._session, self._connection, row, each.seen)

    def miss(self, lost: dict[int, int], rows: dict[int, Order]) -> None:
        """Count what a full read did not show; what is gone from a prebook born in Komet is wanted no more."""
        if not lost:
            return
        gone: set[int] = set()
        for item in self._session.scalars(select(PrebookItem).where(PrebookItem.id.in_(lost))):
            item.missing += 1
            if item.missing >= MISSES_FOR_GONE:
                deletions.note_gone(self._session, self._claim, item)
                gone.add(item.id)
                self._learned.mapped |= forget_unknown(item)
        if len(gone) < len(lost):
            scopes.expect(self._session, self._connection.id, Feed.KOMET_PREBOOKS, WINDOW, self._timing.poll)
        for item_id in gone:
            row = rows[lost[item_id]]
            line_id = self._session.get_one(PrebookItem, item_id).line_id
            line = next((line for line in row.lines if line.id == line_id), None)
            if row.origin == canonical.Origin.KOMET and line is not None:
                born_in_komet.lose(self._session, row, line)

    def _prebook(self, row: Order, found: _Known) -> Prebook | None:
        """Its row; None where it is known more recently than this look began."""
        prebook = self._prebooks.get(found.seen.prebook_id)
        if prebook is None:
            prebook = Prebook(
                connection_id=self._connection.id,
                order_id=row.id,
                write_id=found.write_id,
                prebook_id=found.seen.prebook_id,
                truck_date=found.seen.truck_date or row.truck_date,
                as_of=self._claim.began_at,
                items=[],
            )
            self._session.add(prebook)
            self._prebooks[prebook.prebook_id] = prebook
            return prebook
        return None if prebook.as_of >= self._claim.began_at else prebook

    def _item(
        self, prebook: Prebook, item: PrebookItem | None, seen: canonical.PrebookItem, moved_to: Json | None = None
    ) -> None:
        if item is None:
            item = PrebookItem(
                connection_id=self._connection.id, item_id=seen.item_id, touched=False, unknown_products=[], boxes=0
            )
            # What a person made or nobody knew of, a person may have covered: purchase orders are looked at first.
            made = self._writes.get(prebook.write_id or 0)
            item.touched = made is None or made.acknowledged_at is None
            self._items[item.item_id] = item
        elif (item.boxes, item.mapped) != (seen.boxes, seen.mapped):
            item.touched = True
        if item not in prebook.items:
            if item.content is None:
                item.line_id = None  # named by Axerrio's references under another prebook: a claim that was wrong
            prebook.items.append(item)
        content = seen.model_dump(mode="json") | ({"moved_to": moved_to} if moved_to else {})
        item.baseline = item.baseline or content
        if seen.mapped and not item.baseline["mapped"]:  # a person mapped it: that is no change of the item
            item.baseline = content
        item.missing, item.as_of = 0, self._claim.began_at
        if seen.boxes and deletions.is_stale(self._session, self._claim, item, self._timing):
            prebook.content_hash = None  # looked at again, whatever its digest
            return
        item.boxes, item.mapped, item.content = seen.boxes, seen.mapped, content
        if not seen.boxes:
            self._session.flush()
            deletions.note_gone(self._session, self._claim, item)

    def _bind_own(self, row: Order, prebook: Prebook) -> None:
        """An item of a prebook born in Komet is its own line."""
        ids = {line.line_key: line.id for line in row.lines}
        for item in prebook.items:
            item.line_id = item.line_id or ids.get(item.item_id)
        self._session.flush()

    def _bind(self, row: Order, prebook: Prebook, seen: canonical.Prebook, write: Write | None) -> None:
        """Bind items to the lines that were sent in this prebook: once, and never anew."""
        bound = {item.line_id for item in prebook.items if item.line_id is not None}
        if write is not None:
            parts = sorted(write.lines, key=lambda each: (each.line.position, each.line.id))
            sent = {
                each.line.line_key: each.sent for each in parts if each.line_id not in bound and each.sent is not None
            }
        else:
            sent = {line.line_key: line.seeded for line in row.lines if line.id not in bound and line.seeded}
        stored = {item.item_id: item for item in prebook.items if item.line_id is None}
        free = [item for item in seen.items if item.item_id in stored]
        ids = {line.line_key: line.id for line in row.lines}
        binding = bind_items(sent, free, box_types=self.known.box_types)
        for line_key, item_id in binding.pairs.items():
            item = stored[item_id]
            item.line_id, item.sent = ids[line_key], sent[line_key]
            item.baseline = item.content  # as it is when it is known for ours; what it was before is nobody's
            item.is_tied = line_key in binding.tied

    def _report_strays(self, row: Order, prebook: Prebook, seen: canonical.Prebook, write: Write | None) -> None:
        """An item that is bound to nothing is a person's: reported, and left alone."""
        shown = {item.item_id: item for item in seen.items}
        bound = {item.line_id for item in prebook.items}
        if write is not None and any(each.line_id not in bound for each in write.lines):
            return  # it may yet be one of ours
        for item in prebook.items:
            stray = shown.get(item.item_id)
            if item.line_id is None and stray is not None and stray.boxes:
                what = f"{stray.boxes} boxes of {stray.product_description or 'a product without a name'}"
                said = f"Prebook {seen.number} holds an item that is not ours: {what}. It is left alone."
                note_once(self._session, row, said)

    def _learn_products(self, prebook: Prebook) -> None:
        """Which products Komet does not know, from items that are certainly a line's; what it knows now is told."""
        for item in prebook.items:
            if item.sent is None or item.content is None:
                continue
            unknown = [] if item.is_tied or not item.boxes else _unknown_products(item.sent, item.content)
            before = {each["article"] for each in item.unknown_products}
            self._learned.mapped |= before - {each["article"] for each in unknown}
            if item.unknown_products != unknown:
                item.unknown_products = unknown


def _unknown_products(sent: Json, content: Json) -> list[Json]:
    """The products of a line that Komet shows it does not know, as far as they can be told from each other."""
    if content["mapped"]:
        return []
    parts, shown = sent.get("breakdown", []), content["components"]
    if not parts:
        return [_named(sent)]
    unknown = [_shape(each) for each in shown if not each["mapped"]]
    if not unknown:
        return [_named(sent)]
    shapes = [_shape(part) for part in parts]
    return [_named(part) for part in parts if unknown.count(_shape(part)) >= shapes.count(_shape(part))]


def _shape(part: Json) -> tuple[int, int]:
    return part["bunches"], part["stems_per_bunch"]


def _named(part: Json) -> Json:
    return {
        "article": part["article"],
        "code": part["product_code"],
        "description": part["product_description"],
    }
