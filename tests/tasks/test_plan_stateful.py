"""The plan against a Komet that loses answers, lags, is late and refuses, and against people who change things.

Each machine is one order of either origin. Its steps are what happens in the trade, in any order; what must never
happen is asserted where it would (`books.Komet`) and after every step. At the end faults are off, and the order must
converge: Komet holds exactly what is wanted, or somebody is told why not and what to type.
"""

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients.errors import RefusalKind
from models.canonical import Line, LineStatus, Order, OrderStatus, Origin, PurchaseOrderStatus
from models.states import PROGRESS, HoldCode, Kind, OrderState, WriteState
from tasks.plan.drift import Sight, drift
from tasks.plan.facts import CREATES, KOMET_WRITES, Plan, PlannedWrite
from tests.tasks.books import Item, Komet, OrderItem, PurchaseOrder, Refusal
from tests.tasks.examples import (
    ROSE,
    SHIP_DATE,
    a_label,
    a_line,
    a_mixed_line,
    a_shipment,
    an_order,
    as_sent,
    left,
)
from tests.tasks.ledger import DEADLINE, Ledger, Row, Write

OURS, THEIRS = "ours", "theirs"
ROSE_60 = ROSE.model_copy(update={"code": "RFREE60"})
UNKNOWN = ROSE.model_copy(update={"code": "RNEW40"})
#: Rounds of acting and looking in which an order that nobody disturbs must come to rest.
ROUNDS = 40
#: Writes that one run makes at most: an order that asks for more without a look goes in circles.
RUN = 12

CHANGES = ("boxes", "cost", "product", "unknown", "date", "cancel", "reopen")
VERSIONS = (*CHANGES, "carrier", "add", "mixed", "remove", "withdraw", "confirm", "delete", "draft", "over", "back")
troubles = st.sampled_from(("lost before", "lost after", "late", "late", "refused", "unknown product", "crash"))
lags = st.sampled_from((0, 0, 0, 5, 30, 90))
lines_drawn = st.sampled_from((a_line, a_line, a_mixed_line))


class Sync(RuleBasedStateMachine):
    """One order, Komet, Axerrio, and people."""

    @initialize(
        origin=st.sampled_from((Origin.AXERRIO, Origin.AXERRIO, Origin.KOMET)),
        applies=st.booleans(),
        vanishes=st.booleans(),
        early=st.booleans(),
        is_earned=st.sampled_from((True, True, False)),
        make=lines_drawn,
        number=st.integers(1, 3),
    )
    def begin(
        self, origin: Origin, applies: bool, vanishes: bool, early: bool, is_earned: bool, make: Any, number: int
    ) -> None:
        self.komet = Komet(vanishes=vanishes, awb_while_pending=early and origin is Origin.KOMET)
        self.ledger = Ledger(origin, applies, self.komet.awb_while_pending)
        self.ledger.earned |= set(KOMET_WRITES) if is_earned else set()
        #: What Komet will do later, after it was given up.
        self.queue: list[Write] = []
        self.shipments_made = 0
        self.order = an_order((), origin=origin)
        self.former = [self.order]
        if origin is Origin.AXERRIO:
            made = [a_line(str(key)) for key in range(1, number)]
            self._want(self.order.model_copy(update={"lines": (*made, make(str(number)))}))
        else:
            prebook_id = None
            for _ in range(number):
                item = self.komet.add_by_hand(prebook_id, "ARM", as_sent(a_line("1")))
                prebook_id = next(iter(self.komet.now.prebooks))
                assert item.made_for is None
            self._remember()
            self._look("prebooks", 0)

    # -- small words -----------------------------------------------------------------------------------------

    @property
    def in_axerrio(self) -> bool:
        return self.ledger.origin is Origin.AXERRIO

    def _tick(self, seconds: int = 1) -> None:
        self.ledger.clock += seconds

    def _remember(self) -> None:
        self.komet.remember(self.ledger.clock)
        self._tick()

    def _want(self, order: Order, *, is_deleted: bool = False) -> None:
        self.order = order.model_copy(update={"version": self.order.version + 1})
        self.former.append(self.order)
        self._tick()
        self.ledger.want(self.order, is_deleted=is_deleted)

    def _look(self, what: str, lag: int) -> None:
        self._tick()
        books = self.komet.list(what, self.ledger.clock, lag)
        if what == "prebooks":
            self.ledger.look_at_prebooks(books)
        else:
            self.ledger.look_at_orders(books)

    def _items(self) -> list[Item]:
        """Items that hold boxes: of ours, or of a prebook that was born in Komet."""
        return [item for item in self.komet.now.items() if item.boxes and item.item_id in self.ledger.items]

    def _order_items(self) -> list[tuple[PurchaseOrder, OrderItem]]:
        return [(order, item) for order, item in self.komet.now.order_items() if item.boxes]

    # -- Axerrio ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.in_axerrio)
    @rule(
        what=st.sampled_from(VERSIONS),
        which=st.integers(0, 3),
        boxes=st.integers(1, 6),
        too_much=st.sampled_from((False, False, False, True)),
    )
    def a_new_version_comes(self, what: str, which: int, boxes: int, too_much: bool) -> None:
        self.ledger.over_limit |= too_much  # it came with many others
        lines = list(self.order.lines)
        status = self.order.status
        carrier = self.order.carrier_code
        at = which % len(lines) if lines else None
        changes: dict[str, dict[str, Any]] = {
            "boxes": {"boxes": boxes},
            "cost": {"unit_cost": f"0.3{boxes}"},
            "product": {"article": ROSE_60 if boxes % 2 else ROSE},
            "unknown": {"article": UNKNOWN},
            "date": {"departure_date": SHIP_DATE.replace(day=SHIP_DATE.day + boxes % 2)},
            "cancel": {"status": LineStatus.CANCELLED},
            "reopen": {"status": LineStatus.OPEN},
        }
        if what in changes and at is not None:
            lines[at] = Line.model_validate({**lines[at].model_dump(), **changes[what]})
        elif what in ("add", "mixed") and len(self.ledger.lines) < 5:
            key = str(len(self.ledger.lines) + 1)
            lines.append(a_line(key) if what == "add" else a_mixed_line(key))
        elif what == "remove" and at is not None:
            del lines[at]
        elif what == "carrier":
            carrier = "UPS" if boxes % 2 else "ARM"
        elif what == "back":
            self._want(self.former[which % len(self.former)])
            return
        status = {
            "withdraw": OrderStatus.CANCELLED,
            "confirm": OrderStatus.CONFIRMED,
            "draft": OrderStatus.DRAFT,
            "over": OrderStatus.SHIPPED if self.ledger.shipments else status,
        }.get(what, status)
        changed = {"lines": tuple(lines), "status": status, "carrier_code": carrier}
        self._want(self.order.model_copy(update=changed), is_deleted=what == "delete")

    @rule()
    def a_person_releases_it(self) -> None:
        self.ledger.over_limit = False

    @precondition(lambda self: not self.in_axerrio)
    @rule(lag=lags)
    def a_list_shows_it_changed_with_many_others(self, lag: int) -> None:
        before = self.ledger.version_at
        self._look("prebooks", lag)
        self.ledger.over_limit |= self.ledger.version_at > before

    @rule(which=st.integers(0, 4))
    def labels_are_printed(self, which: int) -> None:
        keys = [key for key in self.ledger.lines if self.ledger.axerrio_key(key) is not None]
        if not keys:
            return
        key = keys[which % len(keys)]
        line, line_key = self.ledger.lines[key], self.ledger.axerrio_key(key)
        there = {label.box_index for label in self.ledger.labels if label.line_key == line_key}
        for index in range(1, line.boxes + 1 if line else 0):
            if index not in there and line_key is not None:
                self.ledger.labels.append(a_label(line_key, index))

    @precondition(lambda self: self.ledger.labels)
    @rule(which=st.integers(0, 30))
    def a_label_is_reprinted(self, which: int) -> None:
        at = which % len(self.ledger.labels)
        label = self.ledger.labels.pop(at)
        self.ledger.former_codes[label.box_code] = label.key
        code = f"{label.key}-{label.version}"
        self.ledger.labels.append(label.model_copy(update={"version": label.version + 1, "box_code": code}))

    @precondition(lambda self: self.ledger.labels)
    @rule(which=st.integers(0, 4), is_whole=st.booleans())
    def boxes_leave(self, which: int, is_whole: bool) -> None:
        keys = sorted({label.line_key for label in self.ledger.labels})
        key = keys[which % len(keys)]
        gone = {label for each in self.ledger.shipments for line in each.lines for label in line.label_keys}
        free = [label for label in self.ledger.labels if label.line_key == key and label.key not in gone]
        free = free if is_whole else free[: (len(free) + 1) // 2]
        if free:
            line = left(key, [label.box_index for label in free])
            self.shipments_made += 1
            number = self.shipments_made
            self.ledger.shipments.append(a_shipment(f"S{number}", line, awb=f"729-{number:08}"))

    @precondition(lambda self: self.ledger.shipments)
    @rule(what=st.sampled_from(("awb", "withdraw")))
    def the_last_shipment_changes(self, what: str) -> None:
        last = self.ledger.shipments.pop()
        if what == "awb":
            self.ledger.shipments.append(last.model_copy(update={"awb": f"{last.awb}-2"}))

    @precondition(lambda self: self.ledger.boxes)
    @rule()
    def a_person_takes_boxes_back(self) -> None:
        """Boxes of shipments that were withdrawn are on no air waybill in Komet any more."""
        keys = {each.key for each in self.ledger.shipments}
        back = {box.box_code for _, box in self.ledger.boxes if box.shipment_key not in keys}
        for _, item in self.komet.now.order_items():
            item.codes = [code for code in item.codes if code not in back]
        self._remember()

    # -- Komet and its people --------------------------------------------------------------------------------

    @precondition(lambda self: self._items())
    @rule(
        which=st.integers(0, 9),
        what=st.sampled_from(("boxes", "cost", "date", "delete", "add", "map")),
        boxes=st.integers(1, 6),
    )
    def a_person_edits(self, which: int, what: str, boxes: int) -> None:
        items = self._items()
        item = items[which % len(items)]
        if what == "boxes":
            item.boxes = boxes
        elif what == "cost":
            item.cost = f"0.4{boxes}"
        elif what == "date" and not self.in_axerrio:
            item.ship_date = SHIP_DATE.replace(day=SHIP_DATE.day + boxes % 2)
        elif what == "delete":
            self.komet.drop(item.item_id)
        elif what == "map":
            item.mapped = True
        elif what == "add" and len(self.komet.now.items()) < 8:
            (prebook_id,) = [id_ for id_, each in self.komet.now.prebooks.items() if item.item_id in each.items]
            self.komet.add_by_hand(prebook_id, "ARM", as_sent(a_line("1", boxes=boxes)))
        self._remember()

    @precondition(lambda self: self.komet.now.orders)
    @rule(
        which=st.integers(0, 9),
        what=st.sampled_from(("approve", "approve", "approve", "confirm", "cancel", "move", "boxes", "remove")),
    )
    def procurement_acts(self, which: int, what: str) -> None:
        orders = list(self.komet.now.orders.values())
        order = orders[which % len(orders)]
        live = [item for item in order.items.values() if item.boxes]
        if what == "approve" and order.status is PurchaseOrderStatus.PENDING:
            order.status = PurchaseOrderStatus.APPROVED
        elif what == "confirm" and order.status is PurchaseOrderStatus.APPROVED:
            order.status = PurchaseOrderStatus.CONFIRMED
        elif what == "cancel":
            order.status = PurchaseOrderStatus.CANCELLED
        elif what == "move":
            order.ship_date = order.ship_date.replace(day=order.ship_date.day % 27 + 1)
        elif what == "boxes" and live and not live[0].codes:
            live[0].boxes += 1
        elif what == "remove" and live:
            self.komet.drop(live[0].item_id)
        self._remember()

    @precondition(lambda self: not self.in_axerrio and self._items())
    @rule(which=st.integers(0, 9))
    def a_buyer_orders_first(self, which: int) -> None:
        items = [item for item in self._items() if not self.komet.now.covering(item.item_id)]
        covered = {each for write in self.queue for each in write.planned.covers.values()}
        items = [item for item in items if item.item_id not in covered]
        if items:
            item = items[which % len(items)]
            self.komet.create_order(None, [item.item_id], item.ship_date, None)
            self._remember()

    @precondition(lambda self: self.queue)
    @rule()
    def komet_does_what_was_late(self) -> None:
        write = self.queue.pop(0)
        if write.state is not WriteState.SENT:  # given up, or taken for done by what an earlier one made
            self.komet.late.add(write.id)
        with contextlib.suppress(Refusal):
            self._work(write)
        self._remember()

    # -- the worker ------------------------------------------------------------------------------------------

    @rule()
    def the_worker_acts(self) -> None:
        self._advance("answered")

    @rule(trouble=troubles)
    def a_call_goes_wrong(self, trouble: str) -> None:
        self._advance(trouble)

    @rule(trouble=troubles, is_late=st.booleans())
    def a_call_goes_wrong_and_nobody_asks_for_long(self, trouble: str, is_late: bool) -> None:
        """Looks follow until it was judged; what Komet still does of it comes after that."""
        self._advance(trouble)
        self._round()
        self._round()
        if is_late and self.queue:
            self.komet_does_what_was_late()

    def _advance(self, answer: str) -> None:
        plan = self.ledger.decide()
        if self.ledger.over_limit:
            assert not plan.writes, "it is held"
            assert not plan.repeats, "it is held"
        if plan.repeats:
            self._act(self.ledger.write(plan.repeats[0]), answer)
        elif plan.writes:
            self._check(plan.writes[0])
            self._act(self.ledger.freeze(plan.writes[0]), answer)

    def _act(self, write: Write, answer: str) -> None:
        ledger = self.ledger
        if answer == "crash":
            return
        self._tick()
        ledger.send(write)
        self._tick()
        if answer == "lost before":
            return
        if answer == "late" and write.kind in KOMET_WRITES:
            self.queue.append(write)
            return
        if answer == "refused" or (answer == "unknown product" and write.kind is Kind.PREBOOK_CREATE):
            ledger.refuse(write, RefusalKind.UNKNOWN_PRODUCT if answer == "unknown product" else RefusalKind.OTHER)
            return
        try:
            result = self._work(write)
        except Refusal:
            ledger.refuse(write, RefusalKind.GONE)
            return
        self._remember()
        if answer != "lost after":
            ledger.settle(write, result)

    def _work(self, write: Write) -> Any:
        """The other system does it."""
        planned = write.planned
        match write.kind:
            case Kind.PREBOOK_CREATE:
                sent = {key: part.sent for key, part in write.lines.items() if part.sent is not None}
                return self.komet.create_prebook(write.id, sent)
            case Kind.PREBOOK_ITEM_DELETE:
                return self.komet.delete_item(planned.item_id or "")
            case Kind.PURCHASE_ORDER_ITEM_DELETE:
                return self.komet.delete_order_item(planned.item_id or "")
            case Kind.PURCHASE_ORDER_CREATE | Kind.PURCHASE_ORDER_MIXED_CREATE:
                day = planned.ship_date or SHIP_DATE
                return self.komet.create_order(write.id, planned.covers.values(), day, planned.purchase_order_number)
            case Kind.AWB_ADD:
                return self.komet.add_awb(write.id, planned.awb)
            case Kind.BOX_CODE_CHANGE:
                return self.komet.change_codes(planned.boxes)
            case _:
                return None

    def _check(self, planned: PlannedWrite) -> None:
        """What the ledger knows forbids none of it."""
        if planned.kind is Kind.PREBOOK_ITEM_DELETE:
            row = self.ledger.items[planned.item_id or ""]
            assert row.line_key in planned.line_keys, "it is bound to no line of the order"
            if self._is_edited(row) and self._is_as_wanted(row):
                assert self._decided(row.line_key, OURS), "a person changed it, and nobody decided"
        if planned.kind is Kind.PREBOOK_CREATE:
            for key in planned.line_keys:
                rows = [row for row in self.ledger.items.values() if row.line_key == key]
                assert not [row for row in rows if row.boxes and row.missing < 2]
                for row in rows:
                    if row.deleted_at is None and row.content is not None and self._is_as_wanted(row):
                        assert self._decided(key, OURS), "a person removed it, and nobody decided"

    def _is_edited(self, row: Row) -> bool:
        old, new = row.baseline or {}, row.content or {}
        return row.boxes != (row.sent or {}).get("boxes") or old.get("cost") != new.get("cost")

    def _is_as_wanted(self, row: Row) -> bool:
        """The newest version says the same of the line as was sent in this item."""
        line = self.ledger.lines[row.line_key or ""]
        return self._is_desired(line) and line is not None and row.sent == as_sent(line, self.order.carrier_code)

    def _is_desired(self, line: Line | None) -> bool:
        is_gone = self.ledger.is_deleted and self.order.status is not OrderStatus.SHIPPED
        withdrawn = is_gone or self.order.status is OrderStatus.CANCELLED
        return not withdrawn and line is not None and line.status is not LineStatus.CANCELLED

    def _decided(self, line_key: str | None, choice: str) -> bool:
        return any(made == choice and key in (None, line_key) for (key, _), made in self.ledger.decisions.items())

    @rule(lag=lags)
    def prebooks_are_read(self, lag: int) -> None:
        self._look("prebooks", lag)

    @rule(lag=lags)
    def purchase_orders_are_read(self, lag: int) -> None:
        self._look("orders", lag)

    @rule(seconds=st.sampled_from((5, DEADLINE, 70, 300)))
    def time_passes(self, seconds: int) -> None:
        self._tick(seconds)

    @rule()
    def a_quiet_while_passes(self) -> None:
        self._round()
        self._round()

    @rule(is_printed=st.booleans())
    def a_usual_day_passes(self, is_printed: bool) -> None:
        """Everything is sent, seen and approved."""
        self._round()
        for order in self.komet.now.orders.values():
            if order.status is PurchaseOrderStatus.PENDING:
                order.status = PurchaseOrderStatus.APPROVED
        self._remember()
        self._round()
        if is_printed:
            for which in range(len(self.ledger.lines)):
                self.labels_are_printed(which)

    @rule(which=st.integers(0, 3), choice=st.sampled_from((OURS, THEIRS)))
    def a_person_decides(self, which: int, choice: str) -> None:
        shown = [hold for hold in self.ledger.decide().holds if choice in hold.choices]
        if shown:
            hold = shown[which % len(shown)]
            self.ledger.decisions[hold.line_key, hold.fact or ""] = choice

    @rule()
    def a_person_looks_for_what_is_in_doubt(self) -> None:
        """What surely is not in Komet is sent again."""
        for hold in self.ledger.decide().holds:
            if hold.code is HoldCode.IN_DOUBT and hold.fact is not None:
                write = self.ledger.write(int(hold.fact.removeprefix("write ")))
                if write not in self.queue and not self._is_done(write):
                    write.close(self.ledger.clock, WriteState.ABSENT)

    def _is_done(self, write: Write) -> bool:
        items = [item.write_id for item in self.komet.now.items()]
        order_items = [item.write_id for _, item in self.komet.now.order_items()]
        codes = {code for _, item in self.komet.now.order_items() for code in item.codes}
        sent = {code for part in write.planned.awb for code in part.box_codes}
        return write.id in items + order_items or bool(codes & sent) or write.kind not in (*CREATES, Kind.AWB_ADD)

    # -- what holds after every step -------------------------------------------------------------------------

    @invariant()
    def a_box_stands_once(self) -> None:
        codes = [code for _, item in self.komet.now.order_items() for code in item.codes]
        assert len(codes) == len(set(codes))

    @invariant()
    def what_is_doubled_is_known_or_will_be_seen(self) -> None:
        for key in self.ledger.lines:
            live = [item for item in self.komet.now.live(key) if item.write_id not in self.komet.late]
            assert len(live) <= 1

    # -- the end ---------------------------------------------------------------------------------------------

    def _round(self) -> Plan:
        """Everything is acted, and everything is read: nothing is lost meanwhile."""
        for _ in range(RUN):
            plan = self.ledger.decide()
            if not plan.repeats and not plan.writes:
                break
            self._advance("answered")
        else:
            raise AssertionError(f"it goes in circles: {self.ledger.decide().writes}")
        self._tick(100)
        self._look("prebooks", 0)
        self._look("orders", 0)
        plan = self.ledger.decide()
        for in_progress in (True, False):
            drift(self.ledger.situation(), plan, Sight(), in_progress=in_progress)
        return plan

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        while self.queue:
            self.komet_does_what_was_late()
        self.ledger.fresh_after = len(self.ledger.writes)
        self.ledger.over_limit = False
        self.komet.known_products.add(UNKNOWN.code)
        before = None
        for _ in range(ROUNDS):
            for item in self.komet.now.items():
                item.mapped = True
            for order in self.komet.now.orders.values():
                if order.status is PurchaseOrderStatus.PENDING:
                    order.status = PurchaseOrderStatus.APPROVED
            self._remember()
            plan = self._round()
            if plan == before and not plan.writes and not plan.repeats:
                break
            before = plan
        else:
            raise AssertionError(f"it does not come to rest: {self.ledger.decide()}")
        self._check_rest(plan)

    def _check_rest(self, plan: Plan) -> None:
        """At rest: nothing to send, nobody waits actively, and each line is as it is wanted or says why not."""
        assert not [write for write in self.ledger.writes if write.state.is_open] or plan.holds
        if not plan.holds:
            assert not [look for look in plan.looks if look.active]
            rests = (OrderState.APPROVED, OrderState.SHIPPED, OrderState.CANCELLED, OrderState.CLOSED)
            is_draft = self.order.status is OrderStatus.DRAFT  # it stays as it stands until it is confirmed
            assert plan.state in (OrderState.RECEIVED, *rests) or (is_draft and plan.state in PROGRESS), plan
        else:
            assert plan.reason
            assert plan.next_command
        self._check_drift(plan)
        if any(hold.line_key is None and hold.fact is not None for hold in plan.holds):
            return  # the whole order waits
        for key, line in self.ledger.lines.items():
            is_held = plan.line_states.get(key) in (OrderState.HELD, OrderState.MAPPING_REQUIRED)
            # What Komet changed goes to Axerrio whole: a line that is held there holds the new ones too.
            is_held |= not self.in_axerrio and bool(plan.holds) and self.ledger.axerrio_key(key) is None
            if not is_held and not self._decided(key, THEIRS):
                self._check_line(key, line, has_left=plan.line_states.get(key) is OrderState.SHIPPED)

    def _check_drift(self, plan: Plan) -> None:
        """At rest nothing is drift but what differs, and what differs in boxes is drift until it is decided."""
        found = drift(self.ledger.situation(), plan, Sight(), in_progress=False)
        has_left = OrderState.SHIPPED in plan.line_states.values()
        if not plan.holds and not self.ledger.decisions and not has_left:
            assert not found
        told = {each.line_key for each in found}
        for key, line in self.ledger.lines.items():
            if self.ledger.decisions or plan.state.is_final or line is None or not self.in_axerrio:
                continue
            if not self._is_desired(line) or line.status is not LineStatus.OPEN:
                continue
            if (
                self.order.status is OrderStatus.CONFIRMED
                and sum(i.boxes for i in self.komet.now.live(key)) != line.boxes
            ):
                assert told & {key, None}, f"line {key} differs and is not told: {found}"

    def _check_line(self, key: str, line: Line | None, *, has_left: bool) -> None:
        mine = {row.item_id for row in self.ledger.items.values() if row.line_key == key}
        mine |= {item.item_id for item in self.komet.now.items() if item.made_for == key}
        live = [item for item in self.komet.now.items() if item.item_id in mine and item.boxes]
        orders = [each for item_id in mine for each in self.komet.now.covering(item_id)]
        if not self._is_desired(line) or line is None:
            assert not live, f"line {key} is not wanted"
            return
        if self.in_axerrio and (line.status is not LineStatus.OPEN or self.order.status is not OrderStatus.CONFIRMED):
            assert len(live) <= 1
            return
        if not has_left:  # what a person changes afterwards is told, and undone by nobody
            assert len(live) == 1, f"line {key} stands {len(live)} times"
            wanted = as_sent(line, self.order.carrier_code)
            ours = (live[0].boxes, live[0].product, live[0].ship_date.isoformat())
            assert ours == (wanted["boxes"], wanted["product_code"], wanted["departure_date"])
            covered = sum(each.boxes for each in orders)
            is_drift = any(each.codes for each in orders)  # what is bought too much after boxes had left is reported
            assert is_drift or covered == live[0].boxes, f"line {key} is ordered {covered} times"
        codes = {label.key: label.box_code for label in self.ledger.labels}
        of_line = [
            each for s in self.ledger.shipments for each in s.lines if each.line_key == self.ledger.axerrio_key(key)
        ]
        sent = {codes[label] for each in of_line for label in each.label_keys}
        there = {code for each in orders for code in each.codes}
        assert there == sent, f"line {key} left with other codes"


# Each of them is many plans.
Sync.TestCase.settings = settings(max_examples=settings().max_examples // 3, stateful_step_count=40, derandomize=True)
TestSync = Sync.TestCase
