"""The ledger in memory: what was observed and sent of one order, told to the plan as a `Situation`.

It follows the rules by which the worker observes, freezes, settles and judges, without a database: a model against
which the plan is run, with a clock in seconds.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from clients.errors import RefusalKind
from models.canonical import (
    ApprovalReport,
    InboundLine,
    InboundOrder,
    InboundStatus,
    Label,
    Line,
    LineStatus,
    Order,
    Origin,
    PurchaseOrderStatus,
    References,
    Shipment,
)
from models.states import HoldCode, Kind, OrderState, WriteState, may_move
from tasks.plan import judge, make_plan
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    AwbPart,
    AxerrioFacts,
    BoxChange,
    BoxFacts,
    Change,
    LineFacts,
    Plan,
    PlannedWrite,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    WriteFacts,
)
from tests.tasks.books import Books, Item, Json, OrderItem, Prebook, PurchaseOrder
from tests.tasks.examples import SHIP_DATE, TODAY, TRUCK_DATE, a_line, an_order, as_sent

GRACE = 60
DEADLINE = 20
_DELETES = (Kind.PREBOOK_ITEM_DELETE, Kind.PURCHASE_ORDER_ITEM_DELETE)
_AT_PREBOOKS = (Kind.PREBOOK_CREATE, Kind.PREBOOK_ITEM_DELETE)


@dataclass
class Part:
    """What a write says of one line."""

    sent: Json | None
    is_open: bool = True
    error: str | None = None


@dataclass
class Write:
    """A row of the ledger."""

    id: int
    planned: PlannedWrite
    lines: dict[str, Part]
    state: WriteState = WriteState.INTENDED
    sent_at: int | None = None
    deadline_at: int | None = None
    settled_at: int | None = None
    acknowledged_at: int | None = None
    shown_at: int | None = None
    prebook_id: str | None = None
    refusal: RefusalKind | None = None

    @property
    def kind(self) -> Kind:
        return self.planned.kind

    @property
    def feed(self) -> str:
        return "prebooks" if self.kind in _AT_PREBOOKS else "orders"

    def close(self, clock: int, state: WriteState) -> None:
        self.state, self.settled_at = state, clock
        for part in self.lines.values():
            part.is_open = False


@dataclass
class Row:
    """An item as the ledger knows it: of a prebook, or of a purchase order."""

    item_id: str
    boxes: int = 0
    baseline: Json | None = None
    content: Json | None = None
    missing: int = 0
    deleted_at: int | None = None
    as_of: int = 0
    #: Of a prebook item: its line, what was sent of it, and the create that made it.
    prebook_id: str = ""
    line_key: str | None = None
    sent: Json | None = None
    write_id: int | None = None
    touched: bool = False
    mapped: bool = True
    #: Of a purchase order item.
    number: str = ""
    prebook_item_id: str = ""
    ship_date: date | None = None
    status: PurchaseOrderStatus | None = None


@dataclass
class Ledger:
    """One order's rows."""

    origin: Origin
    applies: bool
    awb_while_pending: bool
    clock: int = 1000
    wanted: Order = field(default_factory=lambda: an_order(()))
    is_deleted: bool = False
    #: Every line that was ever wanted, with the newest wish.
    lines: dict[str, Line | None] = field(default_factory=dict)
    version_at: int = 0
    fresh_after: int = 0
    begun: bool = False
    writes: list[Write] = field(default_factory=list)
    items: dict[str, Row] = field(default_factory=dict)
    order_items: dict[str, Row] = field(default_factory=dict)
    boxes: list[tuple[str, BoxFacts]] = field(default_factory=list)
    looks: dict[str, list[int]] = field(default_factory=lambda: {"prebooks": [], "orders": []})
    earned: set[Kind] = field(default_factory=set)
    longest_lag: dict[Kind, int] = field(default_factory=dict)
    decisions: dict[tuple[str | None, str], str] = field(default_factory=dict)
    references: References | None = None
    report: ApprovalReport | None = None
    applied: Order | None = None
    answer: InboundOrder | None = None
    axerrio_keys: dict[str, str | None] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    former_codes: dict[str, str] = field(default_factory=dict)
    shipments: list[Shipment] = field(default_factory=list)
    over_limit: bool = False
    state: OrderState = OrderState.RECEIVED

    # -- what is wanted --------------------------------------------------------------------------------------

    def want(self, order: Order, *, is_deleted: bool = False) -> None:
        """A newer version came."""
        self.wanted, self.is_deleted = order, is_deleted
        shown = {line.line_key: line for line in order.lines}
        self.lines = {key: shown.get(key) for key in (*self.lines, *(k for k in shown if k not in self.lines))}
        self.version_at = self.clock
        self.fresh_after = self.writes[-1].id if self.writes else 0

    def axerrio_key(self, line_key: str) -> str | None:
        return line_key if self.origin is Origin.AXERRIO else self.axerrio_keys.get(line_key)

    # -- the plan --------------------------------------------------------------------------------------------

    def decide(self) -> Plan:
        """Judge open writes, then plan."""
        for verdict in judge(self.situation()):
            write = self.write(verdict.write_id)
            if verdict.state is WriteState.ABSENT and any(not part.is_open for part in write.lines.values()):
                for part in write.lines.values():
                    part.error = "left out" if part.is_open else part.error
                write.close(self.clock, WriteState.DONE)
            else:
                write.close(self.clock, verdict.state)
        for facts in self.situation().writes:
            if facts.acknowledged and not facts.shown and facts.looks >= LOOKS_FOR_ABSENCE:
                self.earned.discard(facts.kind)
        plan = make_plan(self.situation())
        self.over_limit = any(hold.code is HoldCode.OVER_LIMIT for hold in plan.holds)
        assert plan.state is self.state or may_move(self.state, plan.state), f"{self.state} → {plan.state}"
        self.state = plan.state
        return plan

    def write(self, id_: int) -> Write:
        return next(write for write in self.writes if write.id == id_)

    def situation(self) -> Situation:
        applied = self.applied
        record = (
            applied.model_copy(
                update={
                    "lines": tuple(
                        line.model_copy(update={"line_key": self.axerrio_keys.get(line.line_key) or line.line_key})
                        for line in applied.lines
                    )
                }
            )
            if applied
            else None
        )
        return Situation(
            connection="miami",
            key="2026-1",
            origin=self.origin,
            begun_version=1 if self.begun else None,
            seeded_version=None,
            wanted=self.wanted,
            is_deleted=self.is_deleted,
            unreadable=None,
            skipped=None,
            lines=tuple(self._line(number, key, line) for number, (key, line) in enumerate(self.lines.items(), 1)),
            writes=tuple(facts for write in self.writes for facts in self._facts_of(write)),
            references_applied=self.references,
            report_applied=self.report,
            changed_on=TODAY,
            today=TODAY,
            customer_code="C100",
            carrier_code=self.wanted.carrier_code,
            carrier_known=True,
            unknown_packings=(),
            reference_known=True,
            max_attempts=12,
            decisions=dict(self.decisions),
            applies_after_approval=self.applies,
            axerrio_knows=self.origin is Origin.AXERRIO or bool(self.axerrio_keys),
            axerrio=AxerrioFacts(applied=applied, answer=self.answer, record=record),
            shipments=tuple(self.shipments),
            labels=tuple(self.labels),
            former_codes=dict(self.former_codes),
            awb_while_pending=self.awb_while_pending,
            over_limit=self.over_limit,
        )

    def _line(self, number: int, key: str, wanted: Line | None) -> LineFacts:
        mine = [row for row in self.items.values() if row.line_key == key]
        covering = [row for row in self.order_items.values() if row.prebook_item_id in {each.item_id for each in mine}]
        touched = [row.as_of for row in mine if row.touched]
        is_looked = not touched or any(at > max(touched) for at in self.looks["orders"])
        is_ours = self.origin is Origin.AXERRIO
        return LineFacts(
            line_id=number,
            line_key=key,
            wanted=wanted,
            wanted_as_sent=as_sent(wanted, self.wanted.carrier_code) if wanted and is_ours else None,
            since_version=1,
            axerrio_line_key=self.axerrio_key(key),
            ship_date=wanted.departure_date if wanted else None,
            prebook_items=tuple(self._item(row) for row in mine),
            unlooked_days=(wanted.departure_date,) if wanted and wanted.departure_date and not is_looked else (),
            stale_days=()
            if not any(row.boxes for row in covering) or any(at > self.version_at for at in self.looks["orders"])
            else (SHIP_DATE,),
            boxes=tuple(box for of, box in self.boxes if of == key),
        )

    def _item(self, row: Row) -> PrebookItemFacts:
        return PrebookItemFacts(
            item_id=row.item_id,
            prebook_id=row.prebook_id,
            prebook_number=row.prebook_id,
            truck_date=TRUCK_DATE,
            boxes=0 if row.missing >= 2 else row.boxes,
            mapped=row.mapped,
            seen=row.content is not None,
            sent=row.sent,
            write_id=row.write_id,
            changes=_changes(row, "cost", "ship_date", "product", "carrier"),
            is_deleted_by_us=row.deleted_at is not None,
            unknown_articles=() if row.mapped or row.content is None else (row.content["product"],),
            purchase_order_items=tuple(
                PurchaseOrderItemFacts(
                    item_id=each.item_id,
                    purchase_order_id=each.number,
                    number=each.number,
                    boxes=0 if each.missing >= 2 else each.boxes,
                    first_boxes=(each.baseline or {}).get("boxes", each.boxes),
                    ship_date=each.ship_date,
                    status=each.status,
                    box_codes=tuple((each.content or {}).get("codes", ())),
                    changes=_changes(each, "ship_date"),
                    is_deleted_by_us=each.deleted_at is not None,
                )
                for each in self.order_items.values()
                if each.prebook_item_id == row.item_id
            ),
        )

    def _grace(self, kind: Kind) -> int:
        return max(GRACE, 3 * self.longest_lag.get(kind, 0))

    def _facts_of(self, write: Write) -> list[WriteFacts]:
        groups: dict[WriteState, list[str]] = {}
        for key, part in write.lines.items():
            state = write.state
            if part.error is not None:
                state = WriteState.REFUSED
            elif state is WriteState.SENT and not part.is_open:
                state = WriteState.DONE
            groups.setdefault(state, []).append(key)
        return [self._facts(write, state, keys) for state, keys in (groups or {write.state: []}).items()]

    def _facts(self, write: Write, state: WriteState, keys: list[str]) -> WriteFacts:
        anchor = write.deadline_at if state is WriteState.SENT else write.settled_at
        looks = since = 0
        if anchor is not None and state in (WriteState.SENT, WriteState.DONE, WriteState.REFUSED):
            at = self.looks[write.feed]
            looks = min(LOOKS_FOR_ABSENCE, sum(each > anchor + self._grace(write.kind) for each in at))
            if state is WriteState.REFUSED:
                in_part = write.kind in (Kind.PREBOOK_CREATE, Kind.AWB_ADD)
                since = looks if in_part else sum(each > anchor for each in at)
        refusal = write.refusal
        if state is WriteState.REFUSED and write.state is not WriteState.REFUSED:
            refusal = RefusalKind.OTHER
        return WriteFacts(
            id=write.id,
            kind=write.kind,
            state=state,
            line_keys=frozenset(keys),
            acknowledged=write.acknowledged_at is not None,
            shown=write.shown_at is not None,
            deadline_in=timedelta(seconds=write.deadline_at - self.clock) if write.deadline_at else None,
            looks=looks,
            reads=looks,
            absence_is_proof=state is WriteState.SENT and self._is_proof(write),
            may_be=None,
            counts=write.id > self.fresh_after,
            looks_since_settled=since,
            refusal=refusal,
            error="no" if state is WriteState.REFUSED else None,
            trace=f"write {write.id}",
            look_key=(write.planned.ship_date or TRUCK_DATE).isoformat(),
            sent={key: sent for key in keys if (sent := write.lines[key].sent) is not None},
        )

    def _is_proof(self, write: Write) -> bool:
        if write.kind in _DELETES:
            rows = self.items if write.kind is Kind.PREBOOK_ITEM_DELETE else self.order_items
            row = rows[write.planned.item_id or ""]
            return row.boxes > 0 and not row.missing
        if write.kind is Kind.BOX_CODE_CHANGE:
            shown = {code for row in self.order_items.values() for code in (row.content or {}).get("codes", ())}
            return {change.current for change in write.planned.boxes} <= shown
        return write.kind in self.earned

    # -- act -------------------------------------------------------------------------------------------------

    def freeze(self, planned: PlannedWrite) -> Write:
        """Intent."""
        lines = {key: Part(self._says(planned, key)) for key in planned.line_keys}
        for key in lines:
            same = [each for each in self.writes if each.kind is planned.kind and each.state.is_open]
            assert not any(key in each.lines and each.lines[key].is_open for each in same), "the database forbids it"
        write = Write(len(self.writes) + 1, planned, lines)
        self.writes.append(write)
        return write

    def _says(self, planned: PlannedWrite, key: str) -> Json | None:
        line = self.lines[key]
        match planned.kind:
            case Kind.PREBOOK_CREATE:
                assert line is not None
                return as_sent(line, self.wanted.carrier_code)
            case Kind.PREBOOK_ITEM_DELETE | Kind.PURCHASE_ORDER_ITEM_DELETE:
                rows = self.items if planned.kind is Kind.PREBOOK_ITEM_DELETE else self.order_items
                return {"item_id": planned.item_id, "boxes": rows[planned.item_id or ""].boxes}
            case Kind.PURCHASE_ORDER_CREATE | Kind.PURCHASE_ORDER_MIXED_CREATE:
                row = self.items[planned.covers[key]]
                day = (planned.ship_date or TRUCK_DATE).isoformat()
                known = [each.item_id for each in self.order_items.values() if each.prebook_item_id == row.item_id]
                return {"prebook_item_id": row.item_id, "boxes": row.boxes, "ship_date": day, "known": known}
            case Kind.AWB_ADD:
                number = [*self.lines].index(key) + 1
                parts = [part for part in planned.awb if part.line_id == number]
                shipment = next(each for each in self.shipments if each.key == parts[0].shipment_key)
                return {
                    "told": (shipment.awb, shipment.house_awb, shipment.ship_date),
                    "items": [{"item_id": each.item_id, "box_codes": [*each.box_codes]} for each in parts],
                }
            case Kind.BOX_CODE_CHANGE:
                number = [*self.lines].index(key) + 1
                changes = [each for each in planned.boxes if each.line_id == number]
                return {"changes": [[each.current, each.new] for each in changes]}
            case _:
                return None

    def send(self, write: Write) -> None:
        write.state, write.sent_at, write.deadline_at = WriteState.SENT, self.clock, self.clock + DEADLINE
        self.begun |= write.kind in (Kind.PREBOOK_CREATE, Kind.INBOUND_ORDER)

    def refuse(self, write: Write, kind: RefusalKind) -> None:
        write.refusal = kind
        write.close(self.clock, WriteState.REFUSED)

    def settle(self, write: Write, result: Any) -> None:
        """The other system said yes."""
        write.acknowledged_at = self.clock
        if write.state is not WriteState.DONE:
            write.close(self.clock, WriteState.DONE)
        planned = write.planned
        match write.kind:
            case Kind.PREBOOK_CREATE:
                write.prebook_id = result
            case Kind.PREBOOK_ITEM_DELETE | Kind.PURCHASE_ORDER_ITEM_DELETE:
                rows = self.items if write.kind is Kind.PREBOOK_ITEM_DELETE else self.order_items
                row = rows[planned.item_id or ""]
                row.boxes, row.deleted_at = 0, self.clock
            case Kind.AWB_ADD:
                for part in planned.awb:
                    self._settle_awb(write, part, result[part.item_id])
            case Kind.BOX_CODE_CHANGE:
                for change in planned.boxes:
                    if result[change.new]:
                        self._rename(change.current, change.new)
                    else:
                        write.lines[self._key(change)].error = "no such box"
            case Kind.INBOUND_ORDER:
                self._settle_inbound(planned)
            case Kind.EXTERNAL_REFERENCES:
                self.references = planned.references
            case Kind.PROCUREMENT_STATUS:
                self.report = planned.report
            case _:
                pass

    def _settle_inbound(self, planned: PlannedWrite) -> None:
        self.applied, self.answer = planned.inbound, None
        if planned.inbound is not None:
            self.axerrio_keys = {line.line_key: f"A{line.line_key}" for line in planned.inbound.lines}
            taken = tuple(
                InboundLine(external_line_id=key, line_key=line_key, is_accepted=True)
                for key, line_key in self.axerrio_keys.items()
            )
            self.answer = InboundOrder(
                external_id="komet-1", order_key="SO-1", status=InboundStatus.ACCEPTED, lines=taken
            )

    def _key(self, part: AwbPart | BoxChange) -> str:
        return [*self.lines][part.line_id - 1]

    def _settle_awb(self, write: Write, part: AwbPart, said: str | None) -> None:
        if said is None:
            write.lines[self._key(part)].error = "skipped"
            return
        row = self.order_items[part.item_id]
        if said:
            rest = replace(row, item_id=said, boxes=row.boxes - len(part.box_codes), baseline=None, content=None)
            self.order_items.setdefault(said, replace(rest, as_of=self.clock))
            row.boxes = len(part.box_codes)
        self._record(write, self._key(part), part, part.item_id)

    def _record(self, write: Write, key: str, part: AwbPart, item_id: str) -> None:
        """The boxes are on the air waybill that was told."""
        told = (write.lines[key].sent or {})["told"]
        is_last = not any(each.kind is write.kind and key in each.lines for each in self.writes[write.id :])
        for code, label in zip(part.box_codes, part.label_keys, strict=True):
            kept = next(((k, box) for k, box in self.boxes if box.box_code == code), None)
            if kept is not None and is_last and kept[0] == key and kept[1].shipment_key != part.shipment_key:
                self.boxes.remove(kept)  # it was taken back, and has left again
                kept = None
            if kept is None:
                self.boxes.append((key, BoxFacts(code, label, part.shipment_key, item_id, *told)))

    def _rename(self, current: str, new: str) -> None:
        self.boxes = [(key, replace(box, box_code=new) if box.box_code == current else box) for key, box in self.boxes]

    # -- observe ---------------------------------------------------------------------------------------------

    def shown(self, write: Write) -> None:
        """A look showed a write."""
        if write.shown_at is not None:
            return
        write.shown_at = self.clock
        if write.state is not WriteState.DONE:
            write.close(self.clock, WriteState.DONE)
        if write.acknowledged_at is not None:
            missed = [at for at in self.looks[write.feed] if write.acknowledged_at < at < self.clock]
            lag = max(missed, default=write.acknowledged_at) - write.acknowledged_at
            self.longest_lag[write.kind] = max(self.longest_lag.get(write.kind, 0), lag)
            self.earned.add(write.kind)

    def _asked(self, row: Row) -> list[Write]:
        return [
            write
            for write in self.writes
            if write.kind in _DELETES and write.planned.item_id == row.item_id and write.sent_at is not None
        ]

    def _gone(self, row: Row) -> None:
        asked = self._asked(row)
        if asked:
            row.deleted_at = self.clock if row.deleted_at is None else row.deleted_at
            for write in asked:
                if write.state is WriteState.SENT:
                    self.shown(write)

    def _is_stale(self, row: Row, kind: Kind) -> bool:
        if row.deleted_at is None:
            return False
        if self.clock < row.deleted_at + self._grace(kind):
            return True
        row.deleted_at = None
        asked = self._asked(row)
        if asked and asked[-1].state is WriteState.DONE:
            for part in asked[-1].lines.values():
                part.error = part.error or "the item still stands"
        return False

    def _store(self, row: Row, boxes: int, content: Json, kind: Kind) -> None:
        row.baseline = row.baseline or content
        row.missing, row.as_of = 0, self.clock
        if boxes and self._is_stale(row, kind):
            return
        row.boxes, row.content = boxes, content
        if not boxes:
            self._gone(row)

    def look_at_prebooks(self, books: Books) -> None:
        """A complete look at all prebooks, which shows also what is gone."""
        shown = set()
        for prebook in books.prebooks.values():
            made = next((each for each in self.writes if each.id == prebook.mark), None)
            if prebook.mark is None and self.origin is Origin.AXERRIO:
                continue  # somebody's own
            for item in prebook.items.values():
                shown.add(item.item_id)
                self._store_item(prebook, item)
            self._bind(prebook, made)
            if made is not None:
                made.prebook_id = prebook.prebook_id
                self.shown(made)
        for row in self.items.values():
            if row.item_id not in shown and row.boxes and row.missing < 2 and row.as_of < self.clock:
                row.missing += 1
                if row.missing >= 2:
                    self._gone(row)
        self.looks["prebooks"].append(self.clock)
        if self.origin is Origin.KOMET:
            self._take_up(books)

    def _store_item(self, prebook: Prebook, item: Item) -> None:
        row = self.items.get(item.item_id)
        content = {
            "cost": item.cost,
            "ship_date": item.ship_date,
            "product": item.product,
            "carrier": prebook.carrier,
            "boxes": item.boxes,
            "mapped": item.mapped,
        }
        if row is None:
            row = self.items[item.item_id] = Row(item.item_id, prebook_id=prebook.prebook_id)
            row.write_id, row.touched = prebook.mark, prebook.mark is None
        elif (row.boxes, row.mapped) != (item.boxes, item.mapped):
            row.touched = True
        if item.mapped and row.baseline and not row.baseline["mapped"]:
            row.baseline = content
        row.mapped = item.mapped
        self._store(row, item.boxes, content, Kind.PREBOOK_ITEM_DELETE)

    def _bind(self, prebook: Prebook, made: Write | None) -> None:
        """Items of ours belong to the lines that were sent; which one is told by what was sent."""
        for item in prebook.items.values():
            row = self.items[item.item_id]
            if made is None:
                row.line_key = row.line_key or (item.item_id if self.origin is Origin.KOMET else None)
            elif row.line_key is None and item.made_for is not None:
                row.line_key, row.sent = item.made_for, item.sent

    def _take_up(self, books: Books) -> None:
        """A prebook born in Komet says what is wanted."""
        shown = {item.item_id: item for item in books.items()}
        lines = []
        for key, row in self.items.items():
            before, item = self.lines.get(key), shown.get(key)
            if item is not None and row.content is not None:
                lines.append(_line_of(item))
            elif before is not None and row.missing < 2:
                lines.append(before)
        order = self.wanted.model_copy(update={"lines": tuple(lines), "origin": Origin.KOMET})
        if order.lines != self.wanted.lines:
            self.want(order)

    def look_at_orders(self, books: Books) -> None:
        """A complete look at the purchase orders of the order's ship dates, and by number."""
        shown = set()
        for order, item in books.order_items():
            if item.prebook_item_id in self.items:
                shown.add(item.item_id)
                self._store_order_item(order, item)
        for row in self.order_items.values():
            if row.item_id not in shown and row.boxes and row.missing < 2 and row.as_of < self.clock:
                row.missing += 1
                if row.missing >= 2:
                    self._gone(row)
        self._adopt_orders(books)
        self._adopt_boxes()
        self.looks["orders"].append(self.clock)

    def _store_order_item(self, order: PurchaseOrder, item: OrderItem) -> None:
        row = self.order_items.setdefault(item.item_id, Row(item.item_id))
        row.number, row.status, row.ship_date = order.number, order.status, order.ship_date
        row.prebook_item_id = item.prebook_item_id
        content = {"ship_date": order.ship_date, "boxes": item.boxes, "codes": [*item.codes]}
        self._store(row, item.boxes, content, Kind.PURCHASE_ORDER_ITEM_DELETE)

    def _adopt_orders(self, books: Books) -> None:
        """The link is the marker: an item that was not there before is taken for the newest create of its line."""
        newest: dict[str, tuple[Write, list[str]]] = {}
        for write in self.writes:
            for part in write.lines.values():
                if write.kind in PURCHASE_ORDER_CREATES and write.sent_at is not None and part.sent is not None:
                    newest[part.sent["prebook_item_id"]] = write, part.sent["known"]
        for _, item in books.order_items():
            found = newest.get(item.prebook_item_id)
            if found is not None and item.item_id not in found[1]:
                self.shown(found[0])

    def _adopt_boxes(self) -> None:
        """Codes that Komet shows settle calls that nobody answered."""
        where = {
            code: row.item_id for row in self.order_items.values() for code in (row.content or {}).get("codes", ())
        }
        for write in self.writes:
            if write.sent_at is None or write.kind not in (Kind.AWB_ADD, Kind.BOX_CODE_CHANGE):
                continue
            for key, of_line in write.lines.items():
                if write.shown_at is not None and not of_line.is_open and of_line.error is None:
                    continue
                number = [*self.lines].index(key) + 1
                parts = [part for part in write.planned.awb if part.line_id == number]
                changes = [each for each in write.planned.boxes if each.line_id == number]
                there = [part for part in parts if all(code in where for code in part.box_codes)]
                for part in there:
                    self._record(write, key, part, where[part.box_codes[0]])
                renamed = [each for each in changes if each.new in where]
                for each in renamed:
                    self._rename(each.current, each.new)
                if len(there) + len(renamed) == len(parts) + len(changes):
                    of_line.error, of_line.is_open = None, False
                    if write.state is not WriteState.SENT or not any(p.is_open for p in write.lines.values()):
                        self.shown(write)
        self.boxes = [
            (key, replace(box, purchase_order_item_id=where.get(box.box_code, box.purchase_order_item_id)))
            for key, box in self.boxes
        ]


def _changes(row: Row, *names: str) -> tuple[Change, ...]:
    old, new = row.baseline or {}, row.content or {}
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    return tuple(Change(name, before, after) for name, before, after in pairs if before and after and before != after)


def _line_of(item: Item) -> Line:
    """A Komet item as a line of an order."""
    return a_line(
        item.item_id,
        boxes=item.boxes,
        unit_cost=item.cost,
        departure_date=item.ship_date,
        status=LineStatus.OPEN if item.boxes else LineStatus.CANCELLED,
        external_line_id=item.item_id,
    )
