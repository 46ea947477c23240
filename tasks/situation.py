"""From the ledger to the plan's inputs: one order's rows become a `Situation`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session, selectinload

from clients.errors import RefusalKind
from clients.komet.convert import ProductName, sent_line
from models import canonical as forms
from models.canonical import (
    ApprovalReport,
    BoxType,
    Carrier,
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
    ReferenceData,
    Scope,
    Shipment,
    ShipmentLine,
    Write,
    WriteLine,
)
from models.tables import Connection as ConnectionRow
from models.tables import (
    Mapping as MappingRow,
)
from models.tables import Order as OrderRow
from tasks.budget import budget_of
from tasks.connection import Connection, Customer
from tasks.dates import today_in
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    AxerrioFacts,
    BoxFacts,
    Change,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)
from tasks.plan.questions import EDITED, OURS
from tasks.runtime import Timing
from tasks.translation import Translation

Model = TypeVar("Model", References, ApprovalReport, Line, Order, InboundOrder)

#: A refusal for an unknown product, customer or the like holds the order so long; then it is tried again.
_FORGIVEN_AFTER = timedelta(hours=1)
#: Lags may be longer than those seen: the grace is at least so many times the longest.
_LAGS = 3
#: Full reads that must miss what they should show before it counts as gone.
MISSES_FOR_GONE = 2

_DELETES = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)
#: What a person may change on an item that is ours, beside its boxes.
_MATERIAL_OF_ITEM = (
    "product_id",
    "box_type",
    "bunches_per_box",
    "stems_per_bunch",
    "unit_type",
    "mark_code",
    "cost",
    "ship_date",
)
_MATERIAL_OF_PREBOOK = ("customer_code", "carrier_id", "truck_date")
_MATERIAL_OF_ORDER_ITEM = ("product_id", "box_type", "bunches_per_box", "stems_per_bunch", "cost", "ship_date")


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


def products_of(session: Session, connection_id: int, articles: Iterable[str]) -> dict[str, ProductName]:
    """Komet's names by article code, for those of the articles that an admin mapped."""
    rows = select(MappingRow).where(
        MappingRow.connection_id == connection_id, MappingRow.article_code.in_(set(articles))
    )
    return {
        row.article_code: ProductName(
            row.product_code or row.article_code, row.product_description or row.product_code or row.article_code
        )
        for row in session.scalars(rows)
    }


def articles_of(lines: Iterable[Line]) -> set[str]:
    """The Axerrio codes of the products of lines, those in mixed boxes included."""
    return {
        article.code for line in lines for article in (line.article, *(part.article for part in line.breakdown))
    } - {""}


def as_sent(order: Order, line: Line, connection: Connection, products: Mapping[str, ProductName]) -> Json:
    """The material part of a line and of its order's header, to compare what was sent with what is wanted."""
    settings = connection.settings
    return {
        **sent_line(line, packings=settings.packings, settings=settings.komet, products=products),
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


def differences(before: Json | None, after: Json | None, fields: Sequence[str]) -> tuple[Change, ...]:
    """What of these fields is not as it was first seen. A field that one side does not show tells nothing."""
    if before is None or after is None:
        return ()
    pairs = [(name, before.get(name), after.get(name)) for name in fields]
    return tuple(Change(name, old, new) for name, old, new in pairs if old and new and not _equal(name, old, new))


def material_of(content: Json | None) -> Json:
    """What counts of a prebook item as Komet shows it, beside its boxes."""
    if content is None:
        return {}
    parts = [[each["product_id"], each["bunches"], each["stems_per_bunch"]] for each in content["components"]]
    return {name: content.get(name) for name in _MATERIAL_OF_ITEM} | {"components": parts}


def _equal(name: str, old: object, new: object) -> bool:
    return old == new or (name == "cost" and Decimal(str(old)) == Decimal(str(new)))


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
            writes=self._writes(row),
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
            decisions=self._decisions(row),
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
        )

    def _translated(self, row: OrderRow, known: Catalogue) -> Order:
        """The newest version in Axerrio's codes, whichever side it was born on."""
        order = canonical(row)
        if row.origin != Origin.KOMET:
            return order
        words = {
            article.description.casefold()
            for line in order.lines
            for article in (line.article, *(part.article for part in line.breakdown))
        }
        rows = select(MappingRow).where(
            MappingRow.connection_id == row.connection_id,
            or_(
                func.lower(MappingRow.product_description).in_(words),
                func.lower(MappingRow.product_code).in_(words),
            ),
        )
        articles = {
            name.casefold(): each.article_code
            for each in self._session.scalars(rows)
            for name in (each.product_code, each.product_description)
            if name
        }
        return Translation(self._connection.settings, known.carriers, articles).order(order)

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
            ship_date = _ship_date(wanted, axerrio_key, axerrio)
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
        changes = differences(item.baseline, item.content, _MATERIAL_OF_ITEM)
        changes += differences(prebook.baseline, prebook.content, _MATERIAL_OF_PREBOOK)
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
        return self._looks(Observation.scope_id.in_(of_dates), after) > 0

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

    # -- writes ----------------------------------------------------------------------------------------------

    def _writes(self, row: OrderRow) -> tuple[WriteFacts, ...]:
        own = {line.id: line.line_key for line in row.lines}
        covering = select(WriteLine.write_id).where(WriteLine.line_id.in_(own))
        writes = self._session.scalars(
            select(Write)
            .where(or_(Write.order_id == row.id, Write.id.in_(covering)))
            .order_by(Write.id)
            .options(selectinload(Write.lines))
            .execution_options(populate_existing=True)
        )
        facts = []
        for write in writes:
            groups: dict[tuple[WriteState, str | None], list[WriteLine]] = {}
            for each in write.lines:
                if each.line_id in own:
                    groups.setdefault(_state_of_line(write, each), []).append(each)
            if not groups:
                groups[write.state, write.error] = []
            for (state, error), lines in groups.items():
                facts.append(self._facts(row, write, state, error, lines, own))
        return tuple(facts)

    def _facts(
        self,
        row: OrderRow,
        write: Write,
        state: WriteState,
        error: str | None,
        lines: Sequence[WriteLine],
        own: Mapping[int, str],
    ) -> WriteFacts:
        proof = self._session.get(Proof, (write.connection_id, write.kind))
        scope = self._session.get(Scope, write.scope_id) if write.scope_id else None
        anchor = write.deadline_at if state is WriteState.SENT else write.settled_at
        looks = reads = since = 0
        if scope is not None and anchor is not None and state in (WriteState.SENT, WriteState.DONE, WriteState.REFUSED):
            of_scope = Observation.scope_id == scope.id
            after = anchor + grace(proof, self._timing)
            looks = self._looks(of_scope, after)
            reads = self._looks(of_scope, after, complete_only=False)
            since = self._looks(of_scope, anchor) if state is WriteState.REFUSED else 0
        refusal = RefusalKind(write.refusal) if write.refusal else None
        if state is WriteState.REFUSED and write.state is not WriteState.REFUSED:
            refusal = RefusalKind.OTHER
        return WriteFacts(
            id=write.id,
            kind=write.kind,
            state=state,
            line_keys=frozenset(own[each.line_id] for each in lines),
            acknowledged=write.acknowledged_at is not None,
            shown=write.shown_at is not None,
            deadline_in=write.deadline_at - self._now if write.deadline_at else None,
            looks=looks,
            reads=reads,
            may_be=write.may_be,
            may_be_id=write.may_be_id,
            absence_is_proof=state is WriteState.SENT and self._is_proof(write, proof),
            counts=write.id > row.fresh_after_write and not self._is_forgiven(write),
            is_led=write.order_id == row.id,
            looks_since_settled=since,
            strikes=write.strikes,
            refusal=refusal,
            error=error,
            trace=_trace(row, write, scope.key if scope else ""),
            look_key=scope.key if scope else "",
            sent={own[each.line_id]: each.sent for each in lines if each.sent is not None},
        )

    def _is_proof(self, write: Write, proof: Proof | None) -> bool:
        """Not being seen proves that it never arrived: earned, or what it would have changed is seen unchanged."""
        says = [each.sent for each in write.lines if each.sent is not None and each.is_open]
        if write.kind in _DELETES:
            table = PrebookItem if write.kind is Kind.PREBOOK_ITEM_DELETE else PurchaseOrderItem
            live = select(func.count()).where(
                table.connection_id == write.connection_id,
                table.item_id.in_([each["item_id"] for each in says]),
                table.boxes > 0,
                table.missing == 0,
                self._is_listed(table),
            )
            return bool(says) and self._session.scalar(live) == len(says)
        if write.kind is Kind.BOX_CODE_CHANGE:
            old = {change[0] for each in says for change in each["changes"]}
            return bool(old) and old <= self._codes_shown(write)
        earned = proof is not None and proof.earned_at is not None
        return earned and (write.kind is Kind.AWB_ADD or self._inside_window(says))

    def _is_listed(self, table: type[PrebookItem] | type[PurchaseOrderItem]) -> ColumnElement[bool]:
        """Prebook items stand in lists only until their ship date; purchase orders as long as one asks for them."""
        if table is PurchaseOrderItem:
            return true()
        today = today_in(self._now, self._connection.settings.time_zone).isoformat()
        listed: ColumnElement[bool] = table.content["ship_date"].as_string() >= today
        return listed

    def _codes_shown(self, write: Write) -> set[str]:
        """Box codes that Komet shows on the purchase orders of the write's lines."""
        rows = self._session.scalars(
            select(PurchaseOrderItem.content)
            .join(
                PrebookItem,
                (PrebookItem.connection_id == PurchaseOrderItem.connection_id)
                & (PrebookItem.item_id == PurchaseOrderItem.prebook_item_id),
            )
            .where(PrebookItem.line_id.in_([each.line_id for each in write.lines]))
        )
        return {code for content in rows if content for code in content.get("box_codes", ())}

    def _inside_window(self, says: Iterable[Json]) -> bool:
        """Komet shows a vendor token only items whose ship date is not past (Get a detailed Prebook list)."""
        today = today_in(self._now, self._connection.settings.time_zone)
        dates = [each.get("departure_date") or each.get("ship_date") for each in says]
        known = [date.fromisoformat(each) for each in dates if each]
        return bool(known) and min(known) >= today

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
            Observation.scope_id.in_(of_truck_date),
            row.created_at + grace(proof, self._timing),
            complete_only=False,
        )

    # -- people and Axerrio ----------------------------------------------------------------------------------

    def _decisions(self, row: OrderRow) -> dict[tuple[str | None, str], str]:
        """By line and fact. A decision to send Komet's version again is used up by the write that did."""
        decided = select(Decision).where(Decision.order_id == row.id).order_by(Decision.id)
        sent = select(func.max(Write.settled_at)).where(
            Write.order_id == row.id, Write.kind == Kind.INBOUND_ORDER, Write.state == WriteState.DONE
        )
        told_at = self._session.scalar(sent)
        return {
            (each.line_key, each.fact): each.choice
            for each in self._session.scalars(decided)
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
            last.id > row.fresh_after_write and told_at is not None and self._now - told_at <= _FORGIVEN_AFTER
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
        return self._looks(Observation.scope_id.in_(feed), max(each.as_of for each in shipments)) > 0


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
        changes=differences(item.baseline, item.content, _MATERIAL_OF_ORDER_ITEM),
        is_deleted_by_us=item.deleted_at is not None,
    )


def _ship_date(wanted: Line | None, axerrio_key: str | None, axerrio: AxerrioFacts) -> date | None:
    """The day on which a line leaves: its origin's word, else Axerrio's."""
    if wanted is None or wanted.departure_date is not None or axerrio.record is None:
        return wanted.departure_date if wanted else None
    of_line = next((each for each in axerrio.record.lines if each.line_key == axerrio_key), None)
    return (of_line.departure_date if of_line else None) or axerrio.record.departure_date


def _state_of_line(write: Write, line: WriteLine) -> tuple[WriteState, str | None]:
    """Where a line's part of a write stands: some of its lines may be settled before or otherwise than the others."""
    if line.error is not None:
        return WriteState.REFUSED, line.error
    if write.state is WriteState.SENT and not line.is_open:
        return WriteState.DONE, None
    return write.state, write.error


def _maybe(model: type[Model], content: Json | None) -> Model | None:
    return model.model_validate(content) if content is not None else None


def _trace(row: OrderRow, write: Write, day: str) -> str:
    """What a person looks for in Komet."""
    number = f", number {write.result['number']}" if write.result and write.result.get("number") else ""
    if write.kind is Kind.PREBOOK_CREATE:
        return f"Axerrio {row.name} [AX:{write.mark}]{number}, truck date {day}"
    what = "a purchase order" if write.kind in PURCHASE_ORDER_CREATES else f"what {write.kind} was to do for the order"
    return f"{what} of Axerrio {row.name}, ship date {day}{number}"
