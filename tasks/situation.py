"""From the ledger to the plan's inputs: one order's rows become a `Situation`."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from sqlalchemy import BigInteger, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from models import canonical as forms
from models.canonical import (
    ApprovalReport,
    InboundOrder,
    Json,
    Line,
    Order,
    Origin,
    PurchaseOrderStatus,
    References,
    codes,
)
from models.database import now
from models.prepared import Found, parameter
from models.states import Feed, HoldCode, Kind, WriteState
from models.tables import (
    IN_DOUBT,
    Decision,
    Label,
    OrderLine,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    Shipment,
)
from models.tables import Order as OrderRow
from tasks import guard
from tasks.budget import BUDGET, pace_found
from tasks.connection import Connection
from tasks.dates import today_in
from tasks.hold import cancellation, fact_of
from tasks.material import MATERIAL_OF_ORDER_ITEM, MATERIAL_OF_PREBOOK, changes_of, differences, material_of, place_of
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    MISSES_FOR_GONE,
    AxerrioFacts,
    BoxFacts,
    LineFacts,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
)
from tasks.plan.questions import DRAFT, EDITED, OURS
from tasks.proofs import patience
from tasks.runtime import Timing
from tasks.situation_rows import (
    BOXES,
    CATALOGUE,
    DECISIONS,
    ELSEWHERE,
    ITEMS,
    LABELS,
    LOOKS,
    MAPPINGS,
    NAMESAKE,
    PREBOOKS,
    PROOFS,
    PURCHASE_ORDERS,
    PURCHASED,
    SHIPMENTS,
    SITUATION,
    UNKNOWN,
    UNMAPPED,
    UNSEEN,
    WRITES,
    ZONE,
    LookRow,
    WriteRow,
    looks,
)
from tasks.translation import Translation, words_of
from tasks.wanted import (
    articles_of,
    as_sent,
    canonical,
    carrier_code_of,
    catalogue_of,
    customer_of,
    product_names,
)
from tasks.write_facts import FORGIVEN_AFTER, WriteReader

#: A look at the purchase orders of a day counts for so long, and for as long as so many requests, or reads of it, take
#: by the budget: what was asked for serves whoever asked.
_LOOK_COUNTS, _REQUESTS, _READS = timedelta(minutes=5), 3, 2
#: Of an order that was stopped as a whole no look counts that was before it went on.
_STOPPED = (HoldCode.BY_HAND, HoldCode.OVER_LIMIT)
Model = TypeVar("Model", References, ApprovalReport, Order, InboundOrder)

_LINES = (
    select(OrderLine)
    .where(OrderLine.order_id == parameter("order_id", BigInteger()))
    .order_by(OrderLine.position, OrderLine.id)
    .execution_options(populate_existing=True)
)


class SituationReader:
    """Reads the situation of one order within one transaction."""

    #: All that `SITUATION` asked for, when an order was read last.
    found: Found

    def __init__(self, session: Session, connection: Connection, timing: Timing) -> None:
        self._session = session
        self._connection = connection
        self._timing = timing

    def read(self, row: OrderRow) -> Situation:
        """Everything that the plan may know of the order, as it is now."""
        set_committed_value(row, "lines", list(self._session.scalars(_LINES, {"order_id": row.id})))
        reading = _Reading(self._session, self._connection, self._timing, row)
        self.found = reading.found
        return reading.situation()


class _Reading:
    """What was found of one order."""

    def __init__(self, session: Session, connection: Connection, timing: Timing, row: OrderRow) -> None:
        self._session = session
        self._connection = connection
        self._timing = timing
        self._row = row
        self._wanted = canonical(row)
        self._is_ours = row.origin == Origin.AXERRIO
        self._record: Order | None = _maybe(Order, row.axerrio_holds)
        orders = [self._wanted] if self._record is None else [self._wanted, self._record]
        days = [order.departure_date for order in orders]
        days += [line.departure_date for order in orders for line in order.lines]
        self.found = SITUATION.read(
            session,
            order_id=row.id,
            connection_id=row.connection_id,
            axerrio_key=row.axerrio_key,
            number=row.axerrio_number or row.wanted["number"],
            articles=sorted(articles_of(self._wanted.lines)) if self._is_ours else [],
            words=[] if self._is_ours else sorted(words_of(self._wanted)),
            ship_dates=[day.isoformat() for day in days if day is not None],
            truck_date=row.truck_date.isoformat(),
            company=connection.settings.company,
            lease=timedelta(seconds=timing.order_lease),
        )
        self._now = now(session)
        self._looks = self.found[LOOKS]
        self._mappings = self.found[MAPPINGS]
        self._proofs = {each.kind: each for each in self.found[PROOFS]}
        self._writes = self.found[WRITES]

    def situation(self) -> Situation:
        """As the plan knows it."""
        row, found, settings = self._row, self.found, self._connection.settings
        zone = found[ZONE][0].value or settings.time_zone
        (reference,) = found[CATALOGUE]
        known = catalogue_of(reference.value)
        order = self._wanted
        if not self._is_ours:
            order = Translation(settings, known.carriers, self._mappings).order(order)
        carrier_code = carrier_code_of(self._connection, order)
        carrier = known.carriers.get(carrier_code or "")
        customer = customer_of(self._connection, order)
        ours = customer.code if customer else None
        axerrio = self._axerrio()
        shipments = self._shipments(found)
        labels = found[LABELS]
        over_limit = guard.is_held(self._session, settings, row)
        decided = found[DECISIONS]
        cancelled = cancellation(decided)
        fact = fact_of(self._wanted) if cancelled is not None else None
        return Situation(
            connection=settings.name,
            key=f"id:{row.id}" if found[NAMESAKE] else row.key,
            origin=Origin(row.origin),
            begun_version=row.begun_version,
            seeded_version=row.seeded_version,
            wanted=order,
            is_deleted=row.is_deleted,
            unreadable=row.unreadable,
            skipped=row.skipped,
            lines=self._lines(found, order, axerrio),
            writes=WriteReader(self._session, self._connection, self._timing, row, found).facts(),
            references_applied=_maybe(References, row.references_applied),
            report_applied=_maybe(ApprovalReport, row.report_applied),
            today=today_in(self._now, zone),
            changed_on=today_in(row.version_at, zone),
            customer_code=ours if self._is_ours else order.buyer_code or None,
            carrier_code=carrier_code,
            carrier_known=carrier is not None and carrier.active,
            unknown_packings=self._unknown_packings(order, known.box_types),
            reference_known=known.is_read,
            max_attempts=self._timing.max_attempts,
            decisions=self._decisions(decided),
            applies_after_approval=settings.change_after_approval == "apply",
            axerrio_knows=row.axerrio_key is not None,
            axerrio=axerrio,
            unseen_prebook=next((each.value for each in found[UNSEEN]), None),
            looks_since_received=self._looks_since_received(),
            shipments=tuple(map(_shipment, shipments)),
            labels=tuple(map(_label, labels)),
            codes_elsewhere=self._codes_elsewhere(labels) if shipments else frozenset(),
            former_codes={code: each.key for each in labels for code in each.former_codes},
            labels_current=self._labels_current(shipments),
            sends_temporary_awb=settings.send_temporary_awb,
            leaves_bad_items_out=settings.komet.profile.prebook_partial == "partial",
            awb_while_pending=settings.komet.profile.awb_while_pending == "allowed",
            held_by_hand=(row.held_by, row.held_why or "") if row.held_by is not None else None,
            cancelled_by=(cancelled.who, cancelled.why) if cancelled is not None else None,
            changed_since_cancelled=fact if cancelled is not None and cancelled.fact != fact else None,
            over_limit=over_limit,
            upset_with=guard.upset_with(self._session, row) if over_limit else 0,
        )

    # -- lines -----------------------------------------------------------------------------------------------

    def _lines(self, found: Found, order: Order, axerrio: AxerrioFacts) -> tuple[LineFacts, ...]:
        row = self._row
        prebooks = {each.id: each for each in found[PREBOOKS]}
        items: dict[int, list[PrebookItem]] = {}
        for item in found[ITEMS]:
            items.setdefault(item.line_id or 0, []).append(item)
        orders = {each.id: each for each in found[PURCHASE_ORDERS]}
        purchased: dict[str, list[tuple[PurchaseOrderItem, PurchaseOrder]]] = {}
        for each in found[PURCHASED]:
            purchased.setdefault(each.prebook_item_id, []).append((each, orders[each.purchase_order_row]))
        boxes = _boxes(found)
        products = product_names(self._mappings)
        wanted_lines = {line.line_key: line for line in order.lines}
        sends = {
            key: as_sent(order, line, self._connection, products) if self._is_ours else None
            for key, line in wanted_lines.items()
        }
        unknown = self._unknown_articles([sends.get(line.line_key) for line in row.lines if line.id not in items])
        facts_of_lines = []
        for line in row.lines:
            wanted = wanted_lines.get(line.line_key)
            of_line = items.get(line.id, [])
            axerrio_key = line.line_key if self._is_ours else line.axerrio_line_key
            ship_date = _ship_date(wanted, axerrio_key, axerrio) or _last_sent(of_line)
            known_at = self._known_at(of_line, prebooks)
            sent_for = (_day_sent(each) for each in of_line if each.boxes and each.missing < MISSES_FOR_GONE)
            days = {day for day in (ship_date, *sent_for) if day is not None} if known_at is not None else set()
            unlooked = self._unlooked(days, known_at or self._now)
            covering = (each for item in of_line for each in purchased.get(item.item_id, []))
            stale = self._unlooked(_days_of(covering), self._row.version_at)
            wanted_as_sent = sends.get(line.line_key)
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
                    unlooked_days=tuple(unlooked),
                    stale_days=tuple(stale),
                    hidden_days=tuple(day for each in (unlooked, stale) for day, in_vain in each.items() if in_vain),
                    unknown_article=next(
                        (article for article in _articles_as_sent(wanted_as_sent) if article in unknown), None
                    )
                    if not of_line
                    else None,
                    boxes=tuple(boxes.get(line.id, ())),
                )
            )
        return tuple(facts_of_lines)

    def _item(
        self, item: PrebookItem, prebook: Prebook, purchased: Sequence[tuple[PurchaseOrderItem, PurchaseOrder]]
    ) -> PrebookItemFacts:
        gone = item.missing >= MISSES_FOR_GONE
        place = place_of(item, prebook)
        changes = changes_of(item)
        changes += differences(prebook.baseline, prebook.content, MATERIAL_OF_PREBOOK)
        return PrebookItemFacts(
            item_id=item.item_id,
            prebook_id=place.prebook_id,
            prebook_number=place.number,
            truck_date=place.truck_date,
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

    def _looks_at(self, feed: Feed, key: str) -> list[LookRow]:
        return [each for each in self._looks if each.feed is feed and each.key == key]

    def _known_at(self, items: Sequence[PrebookItem], prebooks: Mapping[int, Prebook]) -> datetime | None:
        """Since when a person may have covered one of a line's items: it was touched, or made long ago; None: not yet.

        Nobody covers what we made a moment ago.
        """
        touched = [each.as_of for each in items if each.touched]
        if touched or not items:
            return max(touched, default=None)
        made_at = {each.id: each.settled_at for each in self._writes}
        made = [made_at.get(prebooks[each.prebook_row].write_id or 0) or self._row.created_at for each in items]
        return max(made) if max(made) < self._looks_count_since else None

    @property
    def _looks_count_since(self) -> datetime:
        if self._row.reason_code in _STOPPED:
            return self._now
        settings = self._connection.settings
        of_requests = timedelta(days=1) * _REQUESTS / settings.komet.daily_requests
        of_reads = timedelta(seconds=pace_found(settings, self.found).active) * _READS
        return self._now - max(_LOOK_COUNTS, of_requests, of_reads)

    def _unlooked(self, ship_dates: Iterable[date], since: datetime) -> dict[date, bool]:
        """Ship dates whose purchase orders were not looked at since, nor lately, each with whether it was in vain.

        People go on meanwhile: while something waits, an old look tells nothing any more.
        """
        # Who waits for requests keeps his turn: a new look would take one each time.
        after, found = since if self._row.held_up_by == BUDGET else max(since, self._looks_count_since), {}
        for day in sorted(ship_dates):
            rows = self._looks_at(Feed.KOMET_PURCHASE_ORDERS, day.isoformat())
            if not looks(rows, after).complete:
                newest = sorted(rows, key=lambda each: each.began_at)[-LOOKS_FOR_ABSENCE:]
                in_vain = [each for each in newest if each.began_at > since and not each.complete]
                found[day] = len(in_vain) >= LOOKS_FOR_ABSENCE
        return found

    def _unknown_articles(self, wanted: Iterable[Json | None]) -> set[str]:
        """Articles that an item of any order shows to be unknown to Komet under the words that we would use."""
        words = {
            json.dumps([{"code": part["product_code"], "description": part["product_description"]}]): part["article"]
            for line in wanted
            for part in _parts(line)
        }
        if not words or not self.found[UNMAPPED]:
            return set()
        asked = UNKNOWN.run(self._session, connection_id=self._connection.id, products=list(words))
        return {words[each] for each in asked.scalars()}

    def _unknown_packings(self, order: Order, box_types: Collection[str]) -> tuple[str, ...]:
        """What is said of Komet's box types counts as Komet says it where the order was born there."""
        in_komet = {line.line_key: line.packing_code for line in self._wanted.lines}
        if self._is_ours:
            in_komet = {key: codes(self._connection.settings.packings, code) for key, code in in_komet.items()}
        unknown = {line.packing_code for line in order.open_lines if in_komet[line.line_key] not in box_types}
        return tuple(sorted(unknown))

    def _codes_elsewhere(self, labels: Sequence[Label]) -> frozenset[str]:
        codes = [code for each in labels if (code := each.content["box_code"])]
        row = self._row
        found = ELSEWHERE.run(self._session, connection_id=row.connection_id, order_id=row.id, codes=codes)
        return frozenset(found.scalars())

    def _looks_since_received(self) -> int:
        since = self._row.created_at + patience(self._proofs.get(Kind.PREBOOK_CREATE), self._timing)
        return looks(self._looks_at(Feed.KOMET_PREBOOKS, self._row.truck_date.isoformat()), since).all

    # -- people and Axerrio ----------------------------------------------------------------------------------

    def _told(self) -> WriteRow | None:
        """The last write by which Axerrio took the order."""
        told = [
            each
            for each in self._writes
            if each.order_id == self._row.id and each.kind is Kind.INBOUND_ORDER and each.state is WriteState.DONE
        ]
        return told[-1] if told else None

    def _told_at(self) -> datetime | None:
        """When that may have reached Axerrio: a repeat of what it took at the first try changes nothing there."""
        last = self._told()
        return last and (last.created_at if last.attempts > 1 else last.settled_at)

    def _decisions(self, decided: Sequence[Decision]) -> dict[tuple[str | None, str], str]:
        """By line and fact.

        A decision to send Komet's version again is used up by the write that did, one on a draft by its next version.
        """
        told_at = self._told_at()
        return {
            (each.line_key, each.fact): each.choice
            for each in decided
            if not (each.choice == OURS and each.fact.startswith(EDITED) and told_at is not None and told_at > each.at)
            and not (each.fact == DRAFT and each.at < self._row.version_at)
        }

    def _axerrio(self) -> AxerrioFacts:
        if self._is_ours:
            return AxerrioFacts()
        row, last, told_at = self._row, self._told(), self._told_at()
        is_newer = row.axerrio_as_of is not None and (told_at is None or row.axerrio_as_of > told_at)
        counts = last is None or (
            last.id > row.fresh_after_write
            and last.settled_at is not None
            and self._now - last.settled_at <= FORGIVEN_AFTER
        )
        return AxerrioFacts(
            applied=_maybe(Order, row.inbound_applied),
            answer=_maybe(InboundOrder, row.inbound_answer),
            answer_counts=counts,
            holds=self._record if is_newer else None,
            record=self._record,
            is_deleted=row.axerrio_as_of is not None and row.axerrio_holds is None and is_newer,
        )

    def _shipments(self, found: Found) -> list[Shipment]:
        """With the lines of the order only."""
        shipments = found[SHIPMENTS]
        for each in shipments:
            lines = [line for line in each.content["lines"] if line["order_key"] == self._row.axerrio_key]
            each.content = {**each.content, "lines": lines}
        return shipments

    def _labels_current(self, shipments: Sequence[Shipment]) -> bool:
        if not shipments:
            return True
        return looks(self._looks_at(Feed.LABELS, ""), max(each.as_of for each in shipments)).complete > 0


def _boxes(found: Found) -> dict[int, list[BoxFacts]]:
    """By line."""
    boxes: dict[int, list[BoxFacts]] = {}
    for box in found[BOXES]:
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


def _label(row: Label) -> forms.Label:
    """A label that was deleted counts as void: its box may have left with it."""
    label = forms.Label.model_validate(row.content).model_copy(update={"is_readable": row.version != IN_DOUBT})
    return label.model_copy(update={"state": forms.LabelState.VOID}) if row.is_deleted else label


def _shipment(row: Shipment) -> forms.Shipment:
    shipment = forms.Shipment.model_validate(row.content)
    return shipment.model_copy(update={"is_readable": row.version != IN_DOUBT})


def _parts(wanted: Json | None) -> list[Json]:
    """A line as it would be sent, and what its mixed boxes consist of."""
    return [wanted, *wanted.get("breakdown", ())] if wanted else []


def _articles_as_sent(wanted: Json | None) -> list[str]:
    return [str(part["article"]) for part in _parts(wanted)]


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


def _days_of(purchased: Iterable[tuple[PurchaseOrderItem, PurchaseOrder]]) -> set[date]:
    """Ship dates of what holds boxes."""
    return {order.ship_date for item, order in purchased if item.boxes and order.ship_date is not None}


def _last_sent(items: Sequence[PrebookItem]) -> date | None:
    """The day with which a line that is wanted no more was sent: by it its purchase orders are found."""
    days = [day for day in map(_day_sent, items) if day is not None]
    return days[-1] if days else None


def _day_sent(item: PrebookItem) -> date | None:
    """The day on which the item was to leave, as we sent it."""
    day = (item.sent or {}).get("departure_date")
    return date.fromisoformat(day) if day else None


def _ship_date(wanted: Line | None, axerrio_key: str | None, axerrio: AxerrioFacts) -> date | None:
    """The day on which a line leaves: its origin's word, else Axerrio's."""
    if wanted is None or wanted.departure_date is not None or axerrio.record is None:
        return wanted.departure_date if wanted else None
    of_line = next((each for each in axerrio.record.lines if each.line_key == axerrio_key), None)
    return (of_line.departure_date if of_line else None) or axerrio.record.departure_date


def _maybe(model: type[Model], content: Json | None) -> Model | None:
    return model.model_validate(content) if content is not None else None
