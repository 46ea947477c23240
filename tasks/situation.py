"""From the ledger to the plan's inputs: one order's rows become a `Situation`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, selectinload

from clients.errors import RefusalKind
from clients.komet.convert import sent_line
from models.canonical import ApprovalReport, BoxType, Carrier, Line, Order, PurchaseOrderStatus, References, codes
from models.database import now
from models.states import Feed, Kind, WriteState
from models.tables import Connection as ConnectionRow
from models.tables import (
    Json,
    Observation,
    Prebook,
    PrebookItem,
    Proof,
    PurchaseOrderItem,
    ReferenceData,
    Scope,
    Write,
    WriteLine,
)
from models.tables import Order as OrderRow
from tasks.connection import Connection, Customer
from tasks.dates import today_in
from tasks.plan import (
    LOOKS_FOR_ABSENCE,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)
from tasks.runtime import Timing

Model = TypeVar("Model", References, ApprovalReport, Line)

#: A refusal for an unknown product, customer or the like holds the order so long; then it is tried again.
_FORGIVEN_AFTER = timedelta(hours=1)
#: Lags may be longer than those seen: the grace is at least so many times the longest.
_LAGS = 3


@dataclass(frozen=True)
class Catalogue:
    """Komet's carriers and box types by code, as last read."""

    carriers: dict[str, Carrier]
    box_types: dict[str, BoxType]

    @property
    def is_read(self) -> bool:
        """Both lists were read and hold something."""
        return bool(self.carriers) and bool(self.box_types)


def catalogue(session: Session, connection_id: int) -> Catalogue:
    """The connection's reference data."""
    carriers, box_types = {}, {}
    for row in session.scalars(select(ReferenceData).where(ReferenceData.connection_id == connection_id)):
        if row.list_name == "carriers":
            carriers[row.code] = Carrier.model_validate(row.content)
        else:
            box_types[row.code] = BoxType.model_validate(row.content)
    return Catalogue(carriers, box_types)


def as_sent(order: Order, line: Line, connection: Connection) -> Json:
    """The material part of a line and of its order's header, to compare what was sent with what is wanted."""
    settings = connection.settings
    return {
        **sent_line(line, packings=settings.packings, settings=settings.komet),
        "truck_date": order.truck_date.isoformat(),
        "buyer": order.buyer_code,
        "carrier": order.carrier_code,
    }


def canonical(row: OrderRow) -> Order:
    """The newest version of an order, with the lines that it still has."""
    lines = [Line.model_validate(line.wanted) for line in row.lines if line.wanted is not None]
    return Order.model_validate({**row.wanted, "lines": lines})


def grace(proof: Proof | None, timing: Timing) -> timedelta:
    """How long after a call's end absence is not believed yet."""
    return timedelta(seconds=max(timing.grace, _LAGS * proof.longest_lag if proof else 0.0))


def customer_of(connection: Connection, order: Order) -> Customer | None:
    """The Komet customer of the order's buyer; None where the connection maps none."""
    return connection.settings.buyers.get(order.buyer_code)


def carrier_code_of(connection: Connection, order: Order) -> str | None:
    """The Komet carrier of the order: mapped, or of the same code."""
    return codes(connection.settings.carriers, order.carrier_code) if order.carrier_code else None


class SituationReader:
    """Reads the situation of one order within one transaction."""

    def __init__(self, session: Session, connection: Connection, timing: Timing) -> None:
        self._session = session
        self._connection = connection
        self._timing = timing
        self._now = now(session)

    def read(self, row: OrderRow) -> Situation:
        """Everything that the plan may know of the order, as it is now."""
        self._session.refresh(row, ["lines"])
        order = canonical(row)
        known = catalogue(self._session, row.connection_id)
        carrier_code = carrier_code_of(self._connection, order)
        carrier = known.carriers.get(carrier_code or "")
        packings = self._connection.settings.packings
        customer = customer_of(self._connection, order)
        zone = self._session.scalars(
            select(ConnectionRow.axerrio_time_zone).where(ConnectionRow.id == row.connection_id)
        ).one()
        return Situation(
            connection=self._connection.settings.name,
            number=row.axerrio_number,
            begun_version=row.begun_version,
            seeded_version=row.seeded_version,
            wanted=order,
            is_deleted=row.is_deleted,
            unreadable=row.unreadable,
            skipped=row.skipped,
            lines=self._lines(row, order),
            writes=self._writes(row),
            references_applied=_maybe(References, row.references_applied),
            report_applied=_maybe(ApprovalReport, row.report_applied),
            today=today_in(self._now, zone or self._connection.settings.time_zone),
            customer_code=customer.code if customer else None,
            carrier_code=carrier_code,
            carrier_known=carrier is not None and carrier.active,
            unknown_packings=tuple(
                sorted(
                    {
                        line.packing_code
                        for line in order.open_lines
                        if codes(packings, line.packing_code) not in known.box_types
                    }
                )
            ),
            reference_known=known.is_read,
            max_attempts=self._timing.max_attempts,
            unseen_prebook=self._unseen_prebook(row),
            looks_since_received=self._looks_since_received(row),
        )

    def _lines(self, row: OrderRow, order: Order) -> tuple[LineFacts, ...]:
        items: dict[int, list[PrebookItemFacts]] = {}
        touched: dict[int, datetime] = {}
        found = self._session.execute(
            select(PrebookItem, Prebook)
            .join(Prebook, PrebookItem.prebook_row == Prebook.id)
            .where(Prebook.order_id == row.id, PrebookItem.line_id.is_not(None))
            .order_by(PrebookItem.id)
        )
        for item, prebook in found:
            facts = PrebookItemFacts(
                item.item_id, prebook.prebook_id, prebook.number, item.boxes, item.mapped, item.content is not None
            )
            items.setdefault(item.line_id or 0, []).append(facts)
            if item.touched:
                touched[item.line_id or 0] = item.as_of
        item_ids = [each.item_id for of_line in items.values() for each in of_line]
        purchased = self._purchased(row.connection_id, item_ids)
        facts_of_lines = []
        for line in row.lines:
            wanted = _maybe(Line, line.wanted)
            of_line = tuple(items.get(line.id, ()))
            facts_of_lines.append(
                LineFacts(
                    line_key=line.line_key,
                    wanted=wanted,
                    wanted_as_sent=as_sent(order, wanted, self._connection) if wanted else None,
                    applied=line.applied,
                    since_version=line.since_version,
                    prebook_items=of_line,
                    purchase_order_items=tuple(
                        each for item in of_line for each in purchased.get(item.item_id, ()) if each.boxes > 0
                    ),
                    orders_looked=wanted is None
                    or line.id not in touched
                    or self._orders_looked(row, wanted, touched[line.id]),
                )
            )
        return tuple(facts_of_lines)

    def _orders_looked(self, row: OrderRow, wanted: Line, after: datetime) -> bool:
        of_ship_date = select(Scope.id).where(
            Scope.connection_id == row.connection_id,
            Scope.feed == Feed.KOMET_PURCHASE_ORDERS,
            Scope.key == wanted.departure_date.isoformat(),
        )
        return self._looks(Observation.scope_id == of_ship_date.scalar_subquery(), after) > 0

    def _purchased(
        self, connection_id: int, prebook_item_ids: Sequence[str]
    ) -> dict[str, list[PurchaseOrderItemFacts]]:
        purchased: dict[str, list[PurchaseOrderItemFacts]] = {}
        if not prebook_item_ids:
            return purchased
        rows = self._session.scalars(
            select(PurchaseOrderItem)
            .where(
                PurchaseOrderItem.connection_id == connection_id,
                PurchaseOrderItem.prebook_item_id.in_(prebook_item_ids),
            )
            .order_by(PurchaseOrderItem.id)
            .options(selectinload(PurchaseOrderItem.purchase_order))
        )
        for item in rows:
            order = item.purchase_order
            purchased.setdefault(item.prebook_item_id, []).append(
                PurchaseOrderItemFacts(
                    item_id=item.item_id,
                    purchase_order_id=order.purchase_order_id,
                    number=order.number,
                    boxes=item.boxes,
                    ship_date=order.ship_date,
                    status=PurchaseOrderStatus(order.status) if order.status else None,
                )
            )
        return purchased

    def _writes(self, row: OrderRow) -> tuple[WriteFacts, ...]:
        writes = self._session.scalars(
            select(Write)
            .where(Write.order_id == row.id)
            .order_by(Write.id)
            .options(selectinload(Write.lines).joinedload(WriteLine.line))
            .execution_options(populate_existing=True)
        )
        return tuple(self._facts(row, write) for write in writes)

    def _facts(self, row: OrderRow, write: Write) -> WriteFacts:
        proof = self._session.get(Proof, (write.connection_id, write.kind))
        scope = self._session.get(Scope, write.scope_id) if write.scope_id else None
        anchor = write.deadline_at if write.state is WriteState.SENT else write.settled_at
        looks = reads = 0
        if scope is not None and anchor is not None and write.state in (WriteState.SENT, WriteState.DONE):
            after = anchor + grace(proof, self._timing)
            looks = self._looks(Observation.scope_id == scope.id, after)
            reads = self._looks(Observation.scope_id == scope.id, after, complete_only=False)
        return WriteFacts(
            id=write.id,
            kind=write.kind,
            state=write.state,
            line_keys=frozenset(each.line.line_key for each in write.lines),
            acknowledged=write.acknowledged_at is not None,
            shown=write.shown_at is not None,
            deadline_in=write.deadline_at - self._now if write.deadline_at else None,
            looks=looks,
            reads=reads,
            may_be=write.may_be,
            absence_is_proof=proof is not None and proof.earned_at is not None and self._inside_window(write),
            counts=write.id > row.fresh_after_write and not self._is_forgiven(write),
            strikes=write.strikes,
            refusal=RefusalKind(write.refusal) if write.refusal else None,
            error=write.error,
            trace=_trace(row, write, scope.key if scope else ""),
            look_key=scope.key if scope else "",
        )

    def _is_forgiven(self, write: Write) -> bool:
        """An unknown product or reference may be known by now: such a refusal counts for a while only."""
        kinds = (RefusalKind.UNKNOWN_PRODUCT.value, RefusalKind.UNKNOWN_REFERENCE.value)
        return (
            write.refusal in kinds and write.settled_at is not None and self._now - write.settled_at > _FORGIVEN_AFTER
        )

    def _looks(self, of_scope: ColumnElement[bool], after: datetime, *, complete_only: bool = True) -> int:
        """Looks that began after a moment, as far as the plan counts."""
        enough = select(Observation.id).where(of_scope, Observation.began_at > after).limit(LOOKS_FOR_ABSENCE)
        if complete_only:
            enough = enough.where(Observation.complete)
        return self._session.scalar(select(func.count()).select_from(enough.subquery())) or 0

    def _unseen_prebook(self, row: OrderRow) -> str | None:
        unseen = select(Prebook.prebook_id).where(
            Prebook.order_id == row.id, Prebook.write_id.is_(None), Prebook.content_hash.is_(None), ~Prebook.items.any()
        )
        return self._session.scalar(unseen.limit(1))

    def _looks_since_received(self, row: OrderRow) -> int:
        of_truck_date = select(Scope.id).where(
            Scope.connection_id == row.connection_id,
            Scope.feed == Feed.KOMET_PREBOOKS,
            Scope.key == row.truck_date.isoformat(),
        )
        proof = self._session.get(Proof, (row.connection_id, Kind.PREBOOK_CREATE))
        return self._looks(
            Observation.scope_id == of_truck_date.scalar_subquery(),
            row.created_at + grace(proof, self._timing),
            complete_only=False,
        )

    def _inside_window(self, write: Write) -> bool:
        """Komet shows a vendor token only items whose ship date is not past (Get a detailed Prebook list)."""
        today = today_in(self._now, self._connection.settings.time_zone)
        dates = [date.fromisoformat(each.line.applied["departure_date"]) for each in write.lines if each.line.applied]
        return bool(dates) and min(dates) >= today


def _maybe(model: type[Model], content: Json | None) -> Model | None:
    return model.model_validate(content) if content is not None else None


def _trace(row: OrderRow, write: Write, day: str) -> str:
    """What a person looks for in Komet."""
    number = f", number {write.result['number']}" if write.result and write.result.get("number") else ""
    if write.kind is Kind.PREBOOK_CREATE:
        return f"Axerrio {row.axerrio_number} [AX:{write.mark}]{number}, truck date {day}"
    return f"a purchase order of Axerrio {row.axerrio_number}, ship date {day}{number}"
