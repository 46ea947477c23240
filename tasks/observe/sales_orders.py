"""Axerrio's sales orders: versions of the orders born there, and its own view of those born in Komet."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from clients.axerrio.client import FeedRecord
from clients.errors import ClientError, Refused
from models.canonical import (
    InboundStatus,
    Json,
    Line,
    LineReference,
    LineStatus,
    OrderStatus,
    Origin,
    Tombstone,
    Unreadable,
)
from models.canonical import Order as CanonicalOrder
from models.database import now
from models.states import FINAL
from models.tables import Order, OrderLine, Prebook, PrebookItem, PurchaseOrder, PurchaseOrderItem
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.guard import Watch
from tasks.kinds.axerrio import learn_inbound_answer
from tasks.notes import note_once
from tasks.observe.born_in_komet import learn_departure
from tasks.observe.sequence import FORGOTTEN, read_page
from tasks.requeue import begin_afresh
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.tenant import time_zone_of
from tasks.wake import lock_order, lock_orders, wake
from tasks.wanted import articles_of, as_sent, departure_of, products_of

log = structlog.get_logger()

_OVER = (OrderStatus.SHIPPED, OrderStatus.CLOSED)

#: Of an order on which Axerrio has not decided: its answer may be late, or somebody threw it away.
_UNKNOWN = "Axerrio said that it decides on it, and does not know it when asked: look there whether it was thrown away."
#: Orders without a decision that one poll asks for.
_MOST_PENDING = 20


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Store a page of sales orders: versions of those born in Axerrio, and its own view of those born in Komet."""
    zone = time_zone_of(runtime, connection)
    hints = read_page(
        runtime,
        connection,
        claim,
        connection.axerrio.sales_orders_after,
        lambda session, records: _Store(session, connection, claim, zone).page(records),
    )
    return hints + _ask_for_pending(runtime, connection)


def _ask_for_pending(runtime: Runtime, connection: Connection) -> list[Hint]:
    """Orders born in Komet on which Axerrio has not decided yet: it is asked again with every poll, until they end.

    In no order: of many each has its turn, and one that cannot be asked for is in nobody's way.
    """
    pending = select(Order.id, Order.external_id).where(
        Order.connection_id == connection.id,
        Order.inbound_answer["status"].as_string() == InboundStatus.PENDING.value,
        Order.state.not_in(FINAL),
    )
    with runtime.sessions.begin() as session:
        waiting = session.execute(pending.order_by(func.random()).limit(_MOST_PENDING)).all()
    hints: list[Hint] = []
    for order_id, external_id in waiting:
        try:
            answer = connection.axerrio.inbound_order(external_id) if external_id else None
        except Refused as error:
            log.warning("not asked for", external_id=external_id, error=str(error))
            continue
        except ClientError as error:  # the page was read: its hints must not wait for this
            log.warning("not asked for", external_id=external_id, error=str(error))
            break
        if answer is not None and answer.status is InboundStatus.PENDING:
            continue
        with runtime.sessions.begin() as session:
            row = lock_order(session, order_id)
            held = row.inbound_answer if row is not None else None
            if row is None or held is None or held["status"] != InboundStatus.PENDING:
                continue
            if answer is None:
                note_once(session, row, _UNKNOWN)
                continue
            learn_inbound_answer(row, answer)
            hints += wake(session, [row], connection, runtime.timing)
    return hints


class _Store:
    """Stores the records of one page."""

    def __init__(self, session: Session, connection: Connection, claim: Claim, zone: str) -> None:
        self._session = session
        self._connection = connection
        self._claim = claim
        self._zone = zone
        self._now = now(session)
        #: Rows that a newer version came for: they begin afresh.
        self._renewed: list[Order] = []

    def page(self, records: Sequence[FeedRecord]) -> list[Order]:
        """Store the records.

        Returns:
            The locked rows of the orders that the page changed.
        """
        rows = self._rows(records)
        born_here = [row for row in rows.values() if row.origin == Origin.AXERRIO]
        watch = Watch(self._session, self._connection, self._claim.scope_id, born_here)
        changed: dict[int, Order] = {}  # by identity: new ones have no id before all are stored together
        for record in records:
            row: Order | None = None
            match record.content:
                case Unreadable() as unreadable:
                    row = self._stop(unreadable, rows)
                case Tombstone(key=key):
                    row = self._bury(rows.get(key), record.sequence)
                case CanonicalOrder(origin=Origin.KOMET) as order:
                    row = self._echo(order, rows.get(order.external_id or "") or rows.get(order.key))
                case CanonicalOrder() as order:
                    row = self._store(order, record.sequence or 0, rows)
            if row is not None:
                changed[id(row)] = row
        begin_afresh(self._session, *self._renewed)
        watch.close()
        return list(changed.values())

    def _rows(self, records: Iterable[FeedRecord]) -> dict[str, Order]:
        """By Axerrio key, and by external id."""
        keys = {key for record in records if (key := record.content.key) is not None}
        external = {
            record.content.external_id
            for record in records
            if isinstance(record.content, CanonicalOrder) and record.content.external_id is not None
        }
        ids = self._session.scalars(
            select(Order.id).where(
                Order.connection_id == self._connection.id,
                or_(Order.axerrio_key.in_(keys), Order.external_id.in_(external)),
            )
        )
        rows = lock_orders(self._session, list(ids))
        with_lines = select(Order).where(Order.id.in_([row.id for row in rows])).options(selectinload(Order.lines))
        if rows:
            self._session.scalars(with_lines.execution_options(populate_existing=True)).all()
        return {key: row for row in rows for key in (row.axerrio_key, row.external_id) if key is not None}

    def _echo(self, order: CanonicalOrder, row: Order | None) -> Order | None:
        """Axerrio's view of an order that was born in Komet: known, and never sent to Komet as new."""
        if row is None or row.origin != Origin.KOMET:
            return None
        held, answer = row.axerrio_holds, row.inbound_answer
        is_ours = order.key == row.axerrio_key or answer is None or answer["order_key"] != row.axerrio_key
        if order.status is OrderStatus.CANCELLED and not is_ours:
            return None  # of an order in whose place Axerrio made another one since
        mended = row if row.unreadable is not None else None  # whatever it says: it is the one that stands there now
        row.unreadable = None
        if held is not None and held["key"] == order.key and order.version <= held["version"]:
            return mended
        record = order.model_dump(mode="json")
        if held is not None and held | {"version": order.version} == record and held["version"] == FORGOTTEN:
            row.axerrio_holds = record
            return mended
        row.axerrio_holds, row.axerrio_as_of = record, self._claim.began_at
        row.axerrio_key, row.axerrio_number = order.key, order.number
        learn_departure(row)
        refused = answer is not None and any(line["is_accepted"] is False for line in answer["lines"])
        if answer is not None and (refused or answer["status"] == InboundStatus.REJECTED):
            said = answer.get("said") or answer["status"]  # a person may have taken it since: it is asked again
            row.inbound_answer = answer | {"status": InboundStatus.PENDING, "said": said}
        live = [line for line in order.lines if line.status is not LineStatus.CANCELLED]
        keys = {line.external_line_id: line.line_key for line in live}
        for line in row.lines:
            line.axerrio_line_key = keys.get(line.line_key) or line.axerrio_line_key
        return row

    def _stop(self, record: Unreadable, rows: Mapping[str, Order]) -> Order | None:
        """A record that is put aside: hold the order that it belongs to, if we know it."""
        row = rows.get(record.key or "")
        if row is None or (record.sequence is not None and record.sequence <= row.sequence):
            return None
        row.unreadable, row.updated_at = record.reason, self._now
        return row

    def _bury(self, row: Order | None, sequence: int | None) -> Order | None:
        """A tombstone may lack a version: it goes by sequence."""
        if row is not None and row.origin == Origin.KOMET:
            row.axerrio_holds, row.axerrio_as_of, row.unreadable = None, self._claim.began_at, None
            return row
        if row is None or (sequence is not None and sequence <= row.sequence):
            return None
        if row.is_deleted and row.unreadable is None:
            return None
        row.version_at = self._now
        row.is_deleted, row.unreadable, row.updated_at = True, None, self._now
        row.sequence = sequence or row.sequence
        return row

    def _store(self, order: CanonicalOrder, sequence: int, rows: dict[str, Order]) -> Order | None:
        """Store a newer version; one that is not newer changes nothing. Only orders born in Axerrio are kept."""
        row = rows.get(order.key)
        if row is None:
            if order.origin is not Origin.AXERRIO:
                return None
            row = self._new(order, sequence)
            rows[order.key] = row
            return row
        returned = row.unreadable is not None or row.is_deleted
        if order.version <= row.version and not (returned and sequence > row.sequence):
            if row.sequence != FORGOTTEN or not sequence:
                return None
            if _is_stored(row, order):
                row.sequence = sequence
                return row if self._seed(row, order) else None
        row.unreadable, row.is_deleted = None, False
        self._update(row, order, sequence)
        if row.skipped is not None:
            row.skipped = self._skipped(order)
        self._renewed.append(row)
        self._seed(row, order)
        return row

    def _seed(self, row: Order, order: CanonicalOrder) -> bool:
        """Take what Axerrio's references name of an order that was not begun here; True where they name something."""
        if row.begun_version is None and order.references is not None:
            _Seed(self._session, self._connection, row, order, self._now).seed()
            return row.begun_version is not None
        return False

    def _new(self, order: CanonicalOrder, sequence: int) -> Order:
        row = Order(
            connection_id=self._connection.id,
            origin=order.origin.value,
            axerrio_key=order.key,
            skipped=self._skipped(order),
            next_task="create_prebook",
            is_deleted=False,
            lines=[],
        )
        self._update(row, order, sequence)
        self._session.add(row)
        if order.references is not None:
            self._session.flush()
            self._seed(row, order)
        return row

    def _update(self, row: Order, order: CanonicalOrder, sequence: int) -> None:
        row.axerrio_number, row.version_at = order.number, self._now
        before, was_over = row.version, row.wanted is not None and row.wanted["status"] in _OVER
        row.version = order.version
        row.sequence = sequence
        row.wanted = _header(order)
        row.departure_date, row.truck_date = departure_of(order), order.truck_date
        row.updated_at = self._now
        present = {line.line_key: line for line in row.lines}
        for position, line in enumerate(order.lines):
            known = present.pop(line.line_key, None)
            if known is None:
                known = OrderLine(line_key=line.line_key, since_version=order.version)
                row.lines.append(known)
            else:
                is_first = known.since_version == before and row.seeded_version is None
                had_left = known.wanted is not None and known.wanted["status"] == LineStatus.SHIPPED
                if is_first and (was_over or had_left):  # it was never here before it left
                    known.since_version = order.version
                elif order.version <= before:  # versions are counted anew, and it was here
                    known.since_version = min(known.since_version, order.version - 1)
            known.position = position
            known.wanted = line.model_dump(mode="json")
        for gone in present.values():
            gone.wanted = None

    def _skipped(self, order: CanonicalOrder) -> str | None:
        """Why an order that is seen for the first time creates nothing."""
        if departure_of(order) < today_in(self._now, self._zone):
            return "departed"
        start = self._connection.settings.start_date
        if start is not None and order.created_at is not None and today_in(order.created_at, self._zone) < start:
            return "before_start"
        return None


def _header(order: CanonicalOrder) -> Json:
    return order.model_dump(mode="json", exclude={"lines", "references"}) | {"lines": []}


def _is_stored(row: Order, order: CanonicalOrder) -> bool:
    """The row says the same."""
    lines = {line.line_key: line.wanted for line in row.lines if line.wanted is not None}
    return row.wanted == _header(order) and lines == {
        line.line_key: line.model_dump(mode="json") for line in order.lines
    }


class _Seed:
    """What Axerrio's references already name in Komet is known, so that an order already linked is not made again."""

    def __init__(
        self, session: Session, connection: Connection, row: Order, order: CanonicalOrder, moment: datetime
    ) -> None:
        self._session = session
        self._connection = connection
        self._row = row
        self._order = order
        self._now = moment

    def seed(self) -> None:
        references = self._order.references
        if references is None or not (references.prebook_id or any(each.prebook_id for each in references.lines)):
            return
        if references.prebook_id is not None:
            self._prebook(references.prebook_id, references.prebook_number)
        lines = {line.line_key: line for line in self._row.lines}
        for wanted in self._order.lines:  # items that are not named are found in the prebook, by what was sent
            lines[wanted.line_key].seeded = self._as_sent(wanted)
        for reference in references.lines:
            line = lines.get(reference.line_key)
            prebook_id = reference.prebook_id or references.prebook_id
            if line is not None and prebook_id is not None and reference.prebook_item_id is not None:
                self._line(line, reference, prebook_id, reference.prebook_item_id)
        self._row.references_applied = references.model_dump(mode="json")
        self._row.begun_version = self._row.seeded_version = self._row.version

    def _prebook(self, prebook_id: str, number: str | None) -> Prebook | None:
        """The prebook's row; None when it belongs to another order."""
        known = self._session.scalar(
            select(Prebook).where(Prebook.connection_id == self._row.connection_id, Prebook.prebook_id == prebook_id)
        )
        if known is not None:
            return known if known.order_id == self._row.id else None
        row = Prebook(
            connection_id=self._row.connection_id,
            order_id=self._row.id,
            prebook_id=prebook_id,
            number=number,
            truck_date=self._row.truck_date,
            as_of=self._now,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def _line(self, line: OrderLine, reference: LineReference, prebook_id: str, item_id: str) -> None:
        wanted = next(each for each in self._order.lines if each.line_key == line.line_key)
        prebook = self._prebook(prebook_id, None)
        if prebook is None or not self._is_new(PrebookItem, item_id):
            return
        self._session.add(
            PrebookItem(
                connection_id=self._row.connection_id,
                prebook_row=prebook.id,
                line_id=line.id,
                sent=self._as_sent(wanted),
                item_id=item_id,
                boxes=wanted.boxes,
                mapped=True,
                touched=True,
                as_of=self._now,
            )
        )
        departure = wanted.departure_date or self._row.departure_date
        number, po_item_id = reference.purchase_order_number, reference.purchase_order_item_id
        if number is not None and po_item_id is not None and self._is_new(PurchaseOrderItem, po_item_id):
            self._session.add(
                PurchaseOrderItem(
                    connection_id=self._row.connection_id,
                    purchase_order_row=self._purchase_order(number, departure).id,
                    item_id=po_item_id,
                    prebook_item_id=item_id,
                    boxes=wanted.boxes,
                    as_of=self._now,
                )
            )
        self._session.flush()

    def _as_sent(self, wanted: Line) -> Json:
        products = products_of(self._session, self._row.connection_id, articles_of([wanted]))
        return as_sent(self._order, wanted, self._connection, products)

    def _is_new(self, table: type[PrebookItem] | type[PurchaseOrderItem], item_id: str) -> bool:
        same = select(table.id).where(table.connection_id == self._row.connection_id, table.item_id == item_id)
        return self._session.scalar(same) is None

    def _purchase_order(self, number: str, ship_date: date) -> PurchaseOrder:
        references = self._order.references
        named = references.purchase_orders if references else ()
        id_ = next((each.id for each in named if each.number == number), number)
        known = self._session.scalar(
            select(PurchaseOrder).where(
                PurchaseOrder.connection_id == self._row.connection_id, PurchaseOrder.purchase_order_id == id_
            )
        )
        if known is None:
            known = PurchaseOrder(
                connection_id=self._row.connection_id,
                purchase_order_id=id_,
                number=number,
                ship_date=ship_date,
                status_text="named by Axerrio",
                content_hash="",
                as_of=self._now,
            )
            self._session.add(known)
            self._session.flush()
        return known
