"""From the ledger to the plan's inputs: one order's rows become a `Situation`."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import canonical as forms
from models.canonical import (
    ApprovalReport,
    InboundOrder,
    Line,
    Order,
    Origin,
    PurchaseOrderStatus,
    References,
    codes,
)
from models.database import now
from models.states import Feed, Kind, WriteState
from models.tables import (
    Box,
    Decision,
    Json,
    Label,
    Observation,
    Prebook,
    PrebookItem,
    Proof,
    PurchaseOrder,
    PurchaseOrderItem,
    Scope,
    Shipment,
    ShipmentLine,
    Write,
)
from models.tables import Connection as ConnectionRow
from models.tables import Order as OrderRow
from tasks import guard
from tasks.budget import budget_of
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.hold import cancellation, fact_of
from tasks.material import MATERIAL_OF_ITEM, MATERIAL_OF_ORDER_ITEM, MATERIAL_OF_PREBOOK, differences, material_of
from tasks.plan.facts import (
    AxerrioFacts,
    BoxFacts,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
)
from tasks.plan.questions import EDITED, OURS
from tasks.proofs import grace
from tasks.runtime import Timing
from tasks.translation import translated
from tasks.wanted import (
    Catalogue,
    articles_of,
    as_sent,
    canonical,
    carrier_code_of,
    catalogue,
    customer_of,
    products_of,
)
from tasks.write_facts import FORGIVEN_AFTER, WriteReader, looks

Model = TypeVar("Model", References, ApprovalReport, Line, Order, InboundOrder)

#: Full reads that must miss what they should show before it counts as gone.
MISSES_FOR_GONE = 2


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
        settings = self._connection.settings
        known = catalogue(self._session, row.connection_id)
        order = self._translated(row, known)
        carrier_code = carrier_code_of(self._connection, order)
        carrier = known.carriers.get(carrier_code or "")
        customer = customer_of(self._connection, order)
        zone = self._session.scalars(
            select(ConnectionRow.axerrio_time_zone).where(ConnectionRow.id == row.connection_id)
        ).one()
        origin = Origin(row.origin)
        ours = customer.code if customer else None
        customer_code = (order.buyer_code or None) if origin is Origin.KOMET else ours
        axerrio = self._axerrio(row)
        shipments = self._shipments(row)
        labels = self._labels(row)
        budget = budget_of(self._session, settings.company, settings.komet.daily_requests)
        over_limit = guard.is_held(self._session, settings, row)
        decided = self._decided(row)
        cancelled = cancellation(decided)
        fact = fact_of(canonical(row)) if cancelled is not None else None
        return Situation(
            connection=settings.name,
            key=row.axerrio_number or f"prebook:{order.number}",
            origin=origin,
            begun_version=row.begun_version,
            seeded_version=row.seeded_version,
            wanted=order,
            is_deleted=row.is_deleted,
            unreadable=row.unreadable,
            skipped=row.skipped,
            lines=self._lines(row, order, axerrio),
            writes=WriteReader(self._session, self._connection, self._timing).read(row),
            references_applied=_maybe(References, row.references_applied),
            report_applied=_maybe(ApprovalReport, row.report_applied),
            today=today_in(self._now, zone or settings.time_zone),
            customer_code=customer_code,
            carrier_code=carrier_code,
            carrier_known=carrier is not None and carrier.active,
            unknown_packings=tuple(
                sorted(
                    {
                        line.packing_code
                        for line in order.open_lines
                        if codes(settings.packings, line.packing_code) not in known.box_types
                    }
                )
            ),
            reference_known=known.is_read,
            max_attempts=self._timing.max_attempts,
            decisions=self._decisions(row, decided),
            applies_after_approval=settings.change_after_approval == "apply",
            requests_left=budget.left,
            axerrio_knows=row.axerrio_key is not None,
            axerrio=axerrio,
            unseen_prebook=self._unseen_prebook(row),
            looks_since_received=self._looks_since_received(row),
            shipments=tuple(forms.Shipment.model_validate(each.content) for each in shipments),
            labels=tuple(forms.Label.model_validate(each.content) for each in labels),
            former_codes={code: each.key for each in labels for code in each.former_codes},
            labels_current=self._labels_current(row, shipments),
            sends_temporary_awb=settings.send_temporary_awb,
            leaves_bad_items_out=settings.komet.profile.prebook_partial == "partial",
            awb_while_pending=settings.komet.profile.awb_while_pending == "allowed",
            held_by_hand=(row.held_by, row.held_why or "") if row.held_by is not None else None,
            cancelled_by=(cancelled.who, cancelled.why) if cancelled is not None else None,
            changed_since_cancelled=fact if cancelled is not None and cancelled.fact != fact else None,
            over_limit=over_limit,
            upset_with=guard.upset_with(self._session, row) if over_limit else 0,
        )

    def _translated(self, row: OrderRow, known: Catalogue) -> Order:
        """The newest version in Axerrio's codes, whichever side it was born on."""
        order = canonical(row)
        if row.origin != Origin.KOMET:
            return order
        return translated(self._session, self._connection, order, known.carriers)

    # -- lines -----------------------------------------------------------------------------------------------

    def _lines(self, row: OrderRow, order: Order, axerrio: AxerrioFacts) -> tuple[LineFacts, ...]:
        items: dict[int, list[PrebookItem]] = {}
        prebooks: dict[int, Prebook] = {}
        found = self._session.execute(
            select(PrebookItem, Prebook)
            .join(Prebook, PrebookItem.prebook_row == Prebook.id)
            .where(Prebook.order_id == row.id, PrebookItem.line_id.is_not(None))
            .order_by(PrebookItem.id)
            .execution_options(populate_existing=True)
        )
        for item, prebook in found:
            items.setdefault(item.line_id or 0, []).append(item)
            prebooks[prebook.id] = prebook
        purchased = self._purchased(row.connection_id, [each.item_id for of in items.values() for each in of])
        boxes = self._boxes(row)
        products = products_of(self._session, row.connection_id, articles_of(order.lines))
        wanted_lines = {line.line_key: line for line in order.lines}
        facts_of_lines = []
        for line in row.lines:
            wanted = wanted_lines.get(line.line_key)
            of_line = items.get(line.id, [])
            axerrio_key = line.axerrio_line_key if row.origin == Origin.KOMET else line.line_key
            ship_date = _ship_date(wanted, axerrio_key, axerrio) or _last_sent(of_line)
            touched = [each.as_of for each in of_line if each.touched]
            is_ours = row.origin == Origin.AXERRIO
            wanted_as_sent = as_sent(order, wanted, self._connection, products) if wanted and is_ours else None
            facts_of_lines.append(
                LineFacts(
                    line_id=line.id,
                    line_key=line.line_key,
                    wanted=wanted,
                    wanted_as_sent=wanted_as_sent,
                    since_version=line.since_version,
                    axerrio_line_key=axerrio_key,
                    ship_date=ship_date,
                    prebook_items=tuple(
                        self._item(each, prebooks[each.prebook_row], purchased.get(each.item_id, []))
                        for each in of_line
                    ),
                    orders_looked=not touched
                    or ship_date is None
                    or self._orders_looked(row, [ship_date], max(touched)),
                    orders_fresh=self._orders_fresh(
                        row, [each for i in of_line for each in purchased.get(i.item_id, [])]
                    ),
                    unknown_article=self._unknown_article(row, wanted_as_sent) if not of_line else None,
                    boxes=tuple(boxes.get(line.id, ())),
                )
            )
        return tuple(facts_of_lines)

    def _item(
        self, item: PrebookItem, prebook: Prebook, purchased: Sequence[tuple[PurchaseOrderItem, PurchaseOrder]]
    ) -> PrebookItemFacts:
        gone = item.missing >= MISSES_FOR_GONE
        changes = differences(item.baseline, item.content, MATERIAL_OF_ITEM)
        changes += differences(prebook.baseline, prebook.content, MATERIAL_OF_PREBOOK)
        return PrebookItemFacts(
            item_id=item.item_id,
            prebook_id=prebook.prebook_id,
            prebook_number=prebook.number,
            truck_date=prebook.truck_date,
            boxes=0 if gone else item.boxes,
            mapped=item.mapped,
            seen=item.content is not None,
            sent=item.sent,
            material=material_of(item.content),
            write_id=prebook.write_id,
            changes=changes,
            is_deleted_by_us=item.deleted_at is not None,
            unknown_articles=tuple(dict.fromkeys(each["article"] for each in item.unknown_products)),
            purchase_order_items=tuple(_order_item(each, order) for each, order in purchased),
        )

    def _orders_looked(self, row: OrderRow, ship_dates: Iterable[date], after: datetime) -> bool:
        of_dates = select(Scope.id).where(
            Scope.connection_id == row.connection_id,
            Scope.feed == Feed.KOMET_PURCHASE_ORDERS,
            Scope.key.in_([each.isoformat() for each in ship_dates]),
        )
        return looks(self._session, Observation.scope_id.in_(of_dates), after).complete > 0

    def _orders_fresh(self, row: OrderRow, purchased: Sequence[tuple[PurchaseOrderItem, PurchaseOrder]]) -> bool:
        dates = {order.ship_date for item, order in purchased if item.boxes and order.ship_date is not None}
        return all(self._orders_looked(row, [each], row.version_at) for each in dates)

    def _unknown_article(self, row: OrderRow, wanted: Json | None) -> str | None:
        """An article of the line that another line's item shows to be unknown to Komet under the words we would use."""
        for part in (wanted, *wanted.get("breakdown", ())) if wanted else ():
            same = [{"code": part["product_code"], "description": part["product_description"]}]
            known = select(PrebookItem.id).where(
                PrebookItem.connection_id == row.connection_id,
                PrebookItem.boxes > 0,
                PrebookItem.missing < MISSES_FOR_GONE,
                PrebookItem.mapped.is_(False),
                PrebookItem.unknown_products.contains(same),
            )
            if self._session.scalar(known.limit(1)) is not None:
                return str(part["article"])
        return None

    def _purchased(
        self, connection_id: int, prebook_item_ids: Sequence[str]
    ) -> dict[str, list[tuple[PurchaseOrderItem, PurchaseOrder]]]:
        purchased: dict[str, list[tuple[PurchaseOrderItem, PurchaseOrder]]] = {}
        if not prebook_item_ids:
            return purchased
        rows = self._session.execute(
            select(PurchaseOrderItem, PurchaseOrder)
            .join(PurchaseOrder, PurchaseOrderItem.purchase_order_row == PurchaseOrder.id)
            .where(
                PurchaseOrderItem.connection_id == connection_id,
                PurchaseOrderItem.prebook_item_id.in_(prebook_item_ids),
            )
            .order_by(PurchaseOrderItem.id)
            .execution_options(populate_existing=True)
        )
        for item, order in rows:
            purchased.setdefault(item.prebook_item_id, []).append((item, order))
        return purchased

    def _boxes(self, row: OrderRow) -> dict[int, list[BoxFacts]]:
        boxes: dict[int, list[BoxFacts]] = {}
        of_order = select(Box).where(Box.line_id.in_([line.id for line in row.lines])).order_by(Box.id)
        for box in self._session.scalars(of_order):
            boxes.setdefault(box.line_id, []).append(
                BoxFacts(
                    box_code=box.box_code,
                    label_key=box.label_key,
                    shipment_key=box.shipment_key,
                    purchase_order_item_id=box.purchase_order_item_id,
                    awb=box.awb,
                    house_awb=box.house_awb,
                    ship_date=box.ship_date,
                )
            )
        return boxes

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
        return looks(
            self._session,
            Observation.scope_id.in_(of_truck_date),
            row.created_at + grace(proof, self._timing),
        ).all

    # -- people and Axerrio ----------------------------------------------------------------------------------

    def _decided(self, row: OrderRow) -> Sequence[Decision]:
        """What people decided, by age."""
        return self._session.scalars(select(Decision).where(Decision.order_id == row.id).order_by(Decision.id)).all()

    def _decisions(self, row: OrderRow, decided: Sequence[Decision]) -> dict[tuple[str | None, str], str]:
        """By line and fact. A decision to send Komet's version again is used up by the write that did."""
        if not decided:
            return {}
        sent = select(func.max(Write.settled_at)).where(
            Write.order_id == row.id, Write.kind == Kind.INBOUND_ORDER, Write.state == WriteState.DONE
        )
        told_at = self._session.scalar(sent)
        return {
            (each.line_key, each.fact): each.choice
            for each in decided
            if not (each.choice == OURS and each.fact.startswith(EDITED) and told_at is not None and told_at > each.at)
        }

    def _axerrio(self, row: OrderRow) -> AxerrioFacts:
        if row.origin != Origin.KOMET:
            return AxerrioFacts()
        last = self._session.scalar(
            select(Write)
            .where(Write.order_id == row.id, Write.kind == Kind.INBOUND_ORDER, Write.state == WriteState.DONE)
            .order_by(Write.id.desc())
            .limit(1)
        )
        told_at = last.settled_at if last is not None else None
        is_newer = row.axerrio_as_of is not None and (told_at is None or row.axerrio_as_of > told_at)
        record = _maybe(Order, row.axerrio_holds)
        counts = last is None or (
            last.id > row.fresh_after_write and told_at is not None and self._now - told_at <= FORGIVEN_AFTER
        )
        return AxerrioFacts(
            applied=_maybe(Order, row.inbound_applied),
            answer=_maybe(InboundOrder, row.inbound_answer),
            answer_counts=counts,
            holds=record if is_newer else None,
            record=record,
            is_deleted=row.axerrio_as_of is not None and row.axerrio_holds is None and is_newer,
        )

    def _shipments(self, row: OrderRow) -> list[Shipment]:
        if row.axerrio_key is None:
            return []
        of_order = (
            select(Shipment)
            .join(ShipmentLine, ShipmentLine.shipment_id == Shipment.id)
            .where(
                Shipment.connection_id == row.connection_id,
                ShipmentLine.order_key == row.axerrio_key,
                Shipment.is_deleted.is_(False),
            )
            .order_by(Shipment.id)
            .execution_options(populate_existing=True)
        )
        shipments = list(self._session.scalars(of_order))
        for each in shipments:
            self._session.expunge(each)
            lines = [line for line in each.content["lines"] if line["order_key"] == row.axerrio_key]
            each.content = {**each.content, "lines": lines}
        return shipments

    def _labels(self, row: OrderRow) -> list[Label]:
        if row.axerrio_key is None:
            return []
        of_order = select(Label).where(
            Label.connection_id == row.connection_id,
            Label.order_key == row.axerrio_key,
            Label.is_deleted.is_(False),
        )
        ordered = of_order.order_by(Label.sequence, Label.key).execution_options(populate_existing=True)
        return list(self._session.scalars(ordered))

    def _labels_current(self, row: OrderRow, shipments: Sequence[Shipment]) -> bool:
        if not shipments:
            return True
        feed = select(Scope.id).where(Scope.connection_id == row.connection_id, Scope.feed == Feed.LABELS)
        return looks(self._session, Observation.scope_id.in_(feed), max(each.as_of for each in shipments)).complete > 0


def _order_item(item: PurchaseOrderItem, order: PurchaseOrder) -> PurchaseOrderItemFacts:
    content = item.content or {}
    return PurchaseOrderItemFacts(
        item_id=item.item_id,
        purchase_order_id=order.purchase_order_id,
        number=order.number,
        boxes=0 if item.missing >= MISSES_FOR_GONE else item.boxes,
        first_boxes=(item.baseline or {}).get("boxes", item.boxes),
        ship_date=order.ship_date,
        status=PurchaseOrderStatus(order.status) if order.status else None,
        box_codes=tuple(content.get("box_codes", ())),
        changes=differences(item.baseline, item.content, MATERIAL_OF_ORDER_ITEM),
        is_deleted_by_us=item.deleted_at is not None,
    )


def _last_sent(items: Sequence[PrebookItem]) -> date | None:
    """The day with which a line that is wanted no more was sent: by it its purchase orders are found."""
    days = [each.sent["departure_date"] for each in items if each.sent and each.sent.get("departure_date")]
    return date.fromisoformat(days[-1]) if days else None


def _ship_date(wanted: Line | None, axerrio_key: str | None, axerrio: AxerrioFacts) -> date | None:
    """The day on which a line leaves: its origin's word, else Axerrio's."""
    if wanted is None or wanted.departure_date is not None or axerrio.record is None:
        return wanted.departure_date if wanted else None
    of_line = next((each for each in axerrio.record.lines if each.line_key == axerrio_key), None)
    return (of_line.departure_date if of_line else None) or axerrio.record.departure_date


def _maybe(model: type[Model], content: Json | None) -> Model | None:
    return model.model_validate(content) if content is not None else None
