"""The plan: a pure function of what is wanted, applied, known, and of the open writes.

No network, no clock, no session, no broker: everything it needs stands in a `Situation`, and all it says stands in
a `Plan`. The worker acts a plan, a dry run prints it, and a drift report compares with it: there is no second way.

`judge` comes first: it settles what time and observations have decided about open writes. Then `make_plan` says
which writes lead on, what the rest waits for, and where the order and its lines stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from clients.errors import RefusalKind
from models.canonical import (
    ApprovalReport,
    Line,
    LineReference,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PurchaseOrderReference,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
)
from models.states import PROGRESS, Feed, HoldCode, Kind, OrderState, WriteState

#: Looks at its scope that must miss a write before it may count as absent.
LOOKS_FOR_ABSENCE = 2
#: Refusals that we do not understand are tried again; the last of these holds the order.
REFUSALS_BEFORE_HOLD = 3
#: An order with nothing open is closed so long after its truck date.
CLOSED_AFTER = timedelta(days=7)

_KOMET_CREATES = (Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_CREATE)
#: Refusals that say nothing about the order or the method: they are over when the token or the budget is mended.
_NOT_THE_ORDERS_FAULT = (RefusalKind.TOKEN, RefusalKind.LIMIT)


@dataclass(frozen=True)
class PrebookItemFacts:
    """A prebook item of ours, bound to a line."""

    item_id: str
    prebook_id: str
    prebook_number: str | None
    boxes: int
    mapped: bool
    #: It was seen in a list, not only named by Axerrio's references.
    seen: bool


@dataclass(frozen=True)
class PurchaseOrderItemFacts:
    """A purchase order item that covers a prebook item of ours."""

    item_id: str
    purchase_order_id: str
    number: str
    boxes: int
    ship_date: date | None
    #: None: a word of Komet's that we do not know, which is not approved.
    status: PurchaseOrderStatus | None


@dataclass(frozen=True)
class LineFacts:
    """A line: what is wanted, what was sent, and what stands."""

    line_key: str
    wanted: Line | None
    #: `wanted` as Komet would keep it, to compare with `applied`.
    wanted_as_sent: dict[str, Any] | None
    applied: dict[str, Any] | None
    since_version: int
    prebook_items: tuple[PrebookItemFacts, ...] = ()
    purchase_order_items: tuple[PurchaseOrderItemFacts, ...] = ()
    #: Nobody covered its item first: no person can have dealt with it, or a look that began later shows nothing.
    orders_looked: bool = True

    @property
    def is_open(self) -> bool:
        """Wanted in Komet."""
        return self.wanted is not None and self.wanted.status is LineStatus.OPEN

    @property
    def live_items(self) -> tuple[PrebookItemFacts, ...]:
        """Prebook items that hold boxes; one at 0 counts as deleted (Komet: Delete an Item from a Prebook)."""
        return tuple(item for item in self.prebook_items if item.boxes > 0)


@dataclass(frozen=True)
class WriteFacts:
    """A write of the order, open or settled."""

    id: int
    kind: Kind
    state: WriteState
    line_keys: frozenset[str]
    acknowledged: bool
    #: A look showed it, by its mark or link.
    shown: bool
    #: Time until the call's own time is over; None when it was never sent.
    deadline_in: timedelta | None
    #: Complete looks at its scope that began after its grace was over and did not show it.
    looks: int
    #: All looks that began then, also those that prove nothing.
    reads: int
    #: Absence from complete looks is proof: earned, and the scope is inside Komet's window.
    absence_is_proof: bool
    #: Number of a prebook without our mark that may be it.
    may_be: str | None
    #: It counts against the limits: it is younger than the order's last fresh start.
    counts: bool
    #: Tries that ended unanswered while the other system answered others.
    strikes: int = 0
    refusal: RefusalKind | None = None
    error: str | None = None
    #: Text by which a person finds it: mark or numbers.
    trace: str = ""
    #: Key of the scope in which it shows: the truck date or ship date with which it was sent.
    look_key: str = ""

    @property
    def overdue(self) -> bool:
        """Sent, and the time of the call is over."""
        return self.deadline_in is not None and self.deadline_in < timedelta(0)


@dataclass(frozen=True)
class Situation:
    """Everything the plan may know of one order."""

    connection: str
    number: str
    #: The version with which its last prebook went out; None: nothing was begun.
    begun_version: int | None
    #: The version whose references said that it stands in Komet already; None: nobody but us began it.
    seeded_version: int | None
    #: Header of the newest version; lines stand in `lines`.
    wanted: Order
    is_deleted: bool
    unreadable: str | None
    #: `departed` or `before_start`: it creates nothing.
    skipped: str | None
    lines: tuple[LineFacts, ...]
    writes: tuple[WriteFacts, ...]
    references_applied: References | None
    report_applied: ApprovalReport | None
    #: The date in Axerrio's time zone.
    today: date
    #: None: the connection maps the buyer to no Komet customer.
    customer_code: str | None
    #: Komet carrier code after mapping, and whether Komet lists it.
    carrier_code: str | None
    carrier_known: bool
    #: Axerrio packing codes of open lines whose box type Komet does not list.
    unknown_packings: tuple[str, ...]
    #: Komet's lists of carriers and box types were read.
    reference_known: bool
    max_attempts: int
    #: A prebook that Axerrio's references name without items, and that no list has shown yet.
    unseen_prebook: str | None = None
    #: Looks at the prebooks of its truck date since it was received and the grace was over.
    looks_since_received: int = 0


@dataclass(frozen=True)
class Hold:
    """Why an order or line waits for a person, and what to type next."""

    code: HoldCode
    message: str
    next_command: str


@dataclass(frozen=True)
class Look:
    """A scope that must be read before this order can go on. Active: at the base interval."""

    feed: Feed
    key: str
    active: bool


@dataclass(frozen=True)
class PlannedWrite:
    """One intended change, not yet frozen."""

    kind: Kind
    line_keys: tuple[str, ...]
    ship_date: date | None = None
    #: An existing purchase order to add to.
    purchase_order_number: str | None = None
    references: References | None = None
    report: ApprovalReport | None = None


@dataclass(frozen=True)
class Verdict:
    """What time and observations decided about an open write."""

    write_id: int
    state: WriteState
    why: str


@dataclass(frozen=True)
class Plan:
    """What leads from applied to wanted, what the rest waits for, and where the order stands."""

    state: OrderState
    reason_code: str | None = None
    reason: str | None = None
    next_command: str | None = None
    line_states: dict[str, OrderState] = field(default_factory=dict)
    #: Open writes to send again as they are: they are safe to repeat.
    repeats: tuple[int, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    looks: tuple[Look, ...] = ()
    #: Tries that ended unanswered since the last fresh start.
    attempts: int = 0


def judge(situation: Situation) -> tuple[Verdict, ...]:
    """Settle open writes: one that was never sent is void; one that is proven not to have arrived is absent."""
    verdicts = []
    for write in situation.writes:
        if write.state is WriteState.INTENDED:
            verdicts.append(Verdict(write.id, WriteState.VOID, "it was never sent"))
        elif (
            write.state is WriteState.SENT
            and write.kind in _KOMET_CREATES
            and write.looks >= LOOKS_FOR_ABSENCE
            and write.absence_is_proof
            and write.may_be is None
        ):
            why = f"{write.looks} reads after its grace did not show it: it never arrived"
            verdicts.append(Verdict(write.id, WriteState.ABSENT, why))
    return tuple(verdicts)


@dataclass(frozen=True)
class _Step:
    """Where one line stands and what it needs next."""

    state: OrderState
    hold: Hold | None = None
    need: Kind | None = None
    look: Look | None = None


def make_plan(situation: Situation) -> Plan:
    """Say what leads on, for an order whose open writes were judged."""
    return _Planner(situation).plan()


class _Planner:
    def __init__(self, situation: Situation) -> None:
        self.s = situation
        self.show = f"axkomet orders show {situation.number}"
        self.requeue = f"axkomet requeue {situation.number}"

    # -- the order -------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        s = self.s
        stands = self._something_stands()
        if s.skipped is not None:
            reason = (
                f"It left on {s.wanted.departure_date}, before it was first seen."
                if s.skipped == "departed"
                else "It was made before the connection's start date."
            )
            return Plan(OrderState.CLOSED, s.skipped, reason)
        if not stands and not self._open(*_KOMET_CREATES) and s.unreadable is None:
            if s.is_deleted or s.wanted.status is OrderStatus.CANCELLED:
                return Plan(OrderState.CANCELLED, None, "Cancelled in Axerrio before anything was sent.")
            if s.wanted.status in (OrderStatus.SHIPPED, OrderStatus.CLOSED):
                return Plan(OrderState.CLOSED, None, f"{s.wanted.status.capitalize()} in Axerrio.")
            if s.wanted.status is OrderStatus.DRAFT or s.wanted.origin is not Origin.AXERRIO:
                return Plan(OrderState.RECEIVED, None, "Not confirmed in Axerrio yet.")
        steps = {line.line_key: step for line in s.lines if (step := self._line(line)) is not None}
        hold = self._order_hold(needs={step.need for step in steps.values() if step.need})
        holds = [hold] if hold else []
        holds += [step.hold for step in steps.values() if step.hold]
        writes = self._axerrio_writes()
        if hold is None:
            writes = self._komet_writes(steps) + writes
        looks = {step.look for step in steps.values() if step.look} | self._order_looks(holds)
        if self._version_hold() is not None:
            looks |= self._looks_at_what_stands()
        return self._conclude(steps, holds, writes, looks)

    def _conclude(
        self,
        steps: dict[str, _Step],
        holds: list[Hold],
        writes: tuple[PlannedWrite, ...],
        looks: Iterable[Look],
    ) -> Plan:
        s = self.s
        progress = min((step.state for step in steps.values()), key=PROGRESS.index, default=OrderState.RECEIVED)
        state, reason = progress, min(holds, key=_precedence, default=None)
        open_writes = [write for write in s.writes if write.state.is_open]
        repeats = tuple(write.id for write in open_writes if write.kind not in _KOMET_CREATES and write.overdue)
        line_states = {key: step.state if step.hold is None else _shown(step.hold.code) for key, step in steps.items()}
        attempts = self._attempts()
        if attempts >= s.max_attempts:
            last = next((write.error for write in reversed(s.writes) if write.error), "no answer")
            return Plan(
                OrderState.FAILED,
                "failed",
                f"{attempts} attempts ended without an answer; the last one: {last}",
                self.requeue,
                line_states,
                looks=tuple(looks),
                attempts=attempts,
            )
        is_closed = s.wanted.status is OrderStatus.CLOSED
        if (is_closed or s.today > s.wanted.truck_date + CLOSED_AFTER) and not open_writes and not writes:
            why = "Closed in Axerrio." if is_closed else "Its truck left a week ago, and nothing is open."
            return Plan(OrderState.CLOSED, None, why, None, line_states)
        if reason is not None:
            state = _shown(reason.code)
        return Plan(
            state,
            reason.code if reason else None,
            reason.message if reason else None,
            reason.next_command if reason else None,
            line_states,
            repeats,
            writes,
            tuple(sorted(looks, key=lambda look: (look.feed, look.key))),
            attempts,
        )

    def _something_stands(self) -> bool:
        """Something of the order stands in Komet, or may: an acknowledged create counts until its items are seen."""
        of_lines = {line.line_key: line for line in self.s.lines}
        return any(line.live_items or line.purchase_order_items for line in self.s.lines) or any(
            write.kind is Kind.PREBOOK_CREATE
            and write.state is WriteState.DONE
            and any(not of_lines[key].prebook_items for key in write.line_keys)
            for write in self.s.writes
        )

    def _attempts(self) -> int:
        """Tries that ended unanswered, since the last fresh start."""
        return sum(
            1 if write.state is WriteState.ABSENT else write.strikes
            for write in self.s.writes
            if write.counts and write.state in (WriteState.ABSENT, WriteState.SENT)
        )

    def _order_hold(self, needs: set[Kind]) -> Hold | None:
        """The reason, if any, why the whole order creates nothing more in Komet."""
        s = self.s
        for hold in (self._version_hold(), self._refusal_hold()):
            if hold is not None:
                return hold
        if Kind.PREBOOK_CREATE not in needs:
            return None
        mixed = [line.line_key for line in s.lines if line.is_open and line.wanted and line.wanted.is_mixed]
        if mixed:
            return self._hold(
                HoldCode.INVALID,
                f"Line {mixed[0]} is a mixed box, which cannot be sent yet: make this order in Komet by hand.",
            )
        if s.customer_code is None:
            return self._hold(
                HoldCode.UNMAPPED_REFERENCE,
                f"Buyer {s.wanted.buyer_code} ({s.wanted.buyer_name}) has no Komet customer: add it to "
                f"[connection.buyers] of {s.connection} in the connections file and start the worker again.",
            )
        if s.carrier_code is None:
            return self._hold(
                HoldCode.INVALID,
                "The order names no carrier, and Komet takes no prebook without one: add it in Axerrio.",
            )
        if s.reference_known and not s.carrier_known:
            return self._hold(
                HoldCode.UNMAPPED_REFERENCE,
                f"Komet lists no active carrier {s.carrier_code}: add it in Komet, or map the carrier "
                f"{s.wanted.carrier_code} in [connection.carriers] of {s.connection}.",
            )
        if s.reference_known and s.unknown_packings:
            return self._hold(
                HoldCode.UNMAPPED_REFERENCE,
                f"Komet lists no box type for packing {s.unknown_packings[0]}: add it in Komet, or map it in "
                f"[connection.packings] of {s.connection}.",
            )
        return None

    def _version_hold(self) -> Hold | None:
        """The newest version asks for what this version of the worker leaves to a person."""
        s = self.s
        if s.unreadable is not None:
            return self._hold(HoldCode.UNREADABLE, f"Axerrio's newest record of it cannot be read: {s.unreadable}")
        if not self._something_stands() and not self._open(*_KOMET_CREATES):
            return None
        numbers = ", ".join(
            dict.fromkeys(i.prebook_number or i.prebook_id for line in s.lines for i in line.live_items)
        )
        where = f"prebook {numbers}" if numbers else "its prebook, which does not show yet,"
        if s.is_deleted or s.wanted.status is OrderStatus.CANCELLED:
            return self._hold(
                HoldCode.CONFLICT,
                f"Axerrio cancelled the order after it was sent: {where} stands in Komet. Remove it there.",
            )
        if s.wanted.status is OrderStatus.DRAFT:
            return self._hold(
                HoldCode.CONFLICT,
                f"Axerrio took the order back to draft after it was sent: {where} stands in Komet.",
            )
        for line in s.lines:
            change = self._change(line)
            if change:
                return self._hold(
                    HoldCode.CONFLICT,
                    f"Axerrio changed line {line.line_key} after it was sent ({change}): {where} still shows the old "
                    "version. Change it in Komet by hand.",
                )
        return None

    def _change(self, line: LineFacts) -> str | None:
        """What a newer version changed in a line that was sent, in words; None: nothing that Komet would see."""
        s = self.s
        stands = bool(line.live_items) or self._acknowledged(Kind.PREBOOK_CREATE, line) is not None
        if not stands:
            is_new = s.begun_version is not None and line.since_version > s.begun_version
            return "added" if is_new and line.is_open else None
        if not line.is_open:
            return "removed" if line.wanted is None or line.wanted.status is LineStatus.CANCELLED else None
        if line.applied is None or line.wanted_as_sent is None:
            return None
        changed = [name for name, value in line.wanted_as_sent.items() if line.applied.get(name) != value]
        return ", ".join(f"{name} {line.applied.get(name)} → {line.wanted_as_sent[name]}" for name in changed) or None

    def _refusal_hold(self, kinds: Iterable[Kind] = tuple(Kind)) -> Hold | None:
        """The other system said no for good, or too often."""
        for kind in kinds:
            refusals: list[WriteFacts] = []
            for write in self.s.writes:
                if write.kind is not kind or not write.counts:
                    continue
                if write.state is WriteState.DONE:
                    refusals.clear()
                elif write.state is WriteState.REFUSED and write.refusal not in _NOT_THE_ORDERS_FAULT:
                    refusals.append(write)
            if not refusals:
                continue
            last = refusals[-1]
            system = "Komet" if kind in _KOMET_CREATES else "Axerrio"
            if last.refusal is RefusalKind.UNKNOWN_PRODUCT:
                message = f"{system} does not know a product: {last.error} It is tried again within two hours."
                return Hold(HoldCode.MAPPING_REQUIRED, message, self.requeue)
            if last.refusal is RefusalKind.RIGHT:
                message = f"{system} allows our token no {kind} ({last.error}): tick it there, then requeue the order."
                return Hold(HoldCode.REJECTED, message, self.requeue)
            if last.refusal is not RefusalKind.OTHER or len(refusals) >= REFUSALS_BEFORE_HOLD:
                message = f"{system} refused {kind}: {last.error} Requeue the order once that is mended."
                return Hold(HoldCode.REJECTED, message, self.requeue)
        return None

    def _order_looks(self, holds: list[Hold]) -> set[Look]:
        s = self.s
        looks = set()
        if not s.reference_known:
            looks.add(Look(Feed.KOMET_REFERENCE, "", active=True))
        elif any(hold.code is HoldCode.UNMAPPED_REFERENCE for hold in holds):
            looks.add(Look(Feed.KOMET_REFERENCE, "", active=False))
        if any(write.kind is Kind.PREBOOK_CREATE and write.state is WriteState.ABSENT for write in s.writes):
            looks.add(self._prebooks(active=False))  # late truth: it may show after all
        return looks

    def _looks_at_what_stands(self) -> set[Look]:
        """Where a person's hand would show who removes or changes in Komet what is wanted no more."""
        looks = {
            Look(Feed.KOMET_PREBOOKS, write.look_key, active=False)
            for write in self.s.writes
            if write.kind is Kind.PREBOOK_CREATE and write.state is WriteState.DONE
        }
        dates = {item.ship_date for line in self.s.lines for item in line.purchase_order_items if item.ship_date}
        return looks | {Look(Feed.KOMET_PURCHASE_ORDERS, day.isoformat(), active=False) for day in dates}

    # -- one line --------------------------------------------------------------------------------------------

    def _line(self, line: LineFacts) -> _Step | None:
        """Where the line stands; None for a line that asks for nothing and has nothing."""
        s = self.s
        create = self._open_for(Kind.PREBOOK_CREATE, line)
        if create is not None:
            return self._in_flight(create, OrderState.RECEIVED, Feed.KOMET_PREBOOKS)
        wanted = line.wanted
        if wanted is None or not (line.is_open or line.live_items):
            return _Step(OrderState.PREBOOKED) if line.live_items else None  # removed: the order's hold says so
        if not line.prebook_items:
            return self._without_item(line, wanted)
        if len(line.live_items) > 1:
            numbers = " and ".join(item.prebook_number or item.prebook_id for item in line.live_items)
            return _Step(
                OrderState.RECEIVED,
                self._hold(
                    HoldCode.CONFLICT,
                    f"Line {line.line_key} stands twice in Komet, in prebooks {numbers}: delete one there.",
                ),
                look=self._prebooks(active=False),
            )
        if not line.live_items:
            return _Step(
                OrderState.RECEIVED,
                self._hold(HoldCode.CONFLICT, f"Line {line.line_key} was set to 0 boxes in Komet."),
                look=self._prebooks(active=False),
            )
        item = line.live_items[0]
        if not item.seen and not line.purchase_order_items:
            return self._unseen(line, s.looks_since_received)
        if item.seen and not item.mapped:
            return _Step(
                OrderState.PREBOOKED,
                self._hold(
                    HoldCode.MAPPING_REQUIRED,
                    f"Komet does not know article {wanted.article.code} (line {line.line_key}): map it in "
                    f"prebook {item.prebook_number or item.prebook_id} on Komet's screen, and it goes on by itself.",
                ),
                look=self._prebooks(active=False),
            )
        boxes = line.applied["boxes"] if line.applied else wanted.boxes
        if item.seen and item.boxes != boxes:
            return _Step(
                OrderState.PREBOOKED,
                self._hold(
                    HoldCode.CONFLICT,
                    f"Line {line.line_key}: we sent {boxes} boxes, prebook "
                    f"{item.prebook_number or item.prebook_id} holds {item.boxes}. A person changed it in Komet.",
                ),
                look=self._prebooks(active=False),
            )
        return self._purchase(line, wanted, item)

    def _without_item(self, line: LineFacts, wanted: Line) -> _Step:
        """Nothing of the line is known in Komet: it is on its way to being seen, or must be made."""
        s = self.s
        acknowledged = self._acknowledged(Kind.PREBOOK_CREATE, line)
        if acknowledged is not None:
            return self._unseen(line, acknowledged.reads, acknowledged.trace, acknowledged.look_key)
        if s.unseen_prebook is not None:
            return self._unseen(line, s.looks_since_received, s.unseen_prebook)
        if self._named_by_axerrio(line):
            return _Step(
                OrderState.RECEIVED,
                self._hold(
                    HoldCode.CONFLICT,
                    f"Axerrio says that the order stands in Komet, and line {line.line_key} is not found there as it "
                    "is wanted: look at its prebook in Komet.",
                ),
                look=self._prebooks(active=False),
            )
        hold = self._invalid(line.line_key, wanted)
        if hold is not None:
            return _Step(OrderState.RECEIVED, hold)
        if wanted.departure_date < s.today:
            left = f"Line {line.line_key} left on {wanted.departure_date} before it was sent to Komet."
            return _Step(OrderState.RECEIVED, self._hold(HoldCode.DEPARTED, left))
        if s.wanted.status is not OrderStatus.CONFIRMED:
            left = f"The order is {s.wanted.status.value} in Axerrio, and line {line.line_key} was not sent to Komet."
            return _Step(OrderState.RECEIVED, self._hold(HoldCode.DEPARTED, left))
        return _Step(OrderState.RECEIVED, need=Kind.PREBOOK_CREATE)

    def _named_by_axerrio(self, line: LineFacts) -> bool:
        """Somebody else began the order, by Axerrio's references, and the line was never sent by us."""
        s = self.s
        ours = any(write.kind is Kind.PREBOOK_CREATE and line.line_key in write.line_keys for write in s.writes)
        return s.seeded_version is not None and line.since_version <= s.seeded_version and not ours

    def _invalid(self, line_key: str, wanted: Line) -> Hold | None:
        """The first field of the line that cannot be sent."""
        counts = {
            "boxes": wanted.boxes,
            "bunches per box": wanted.bunches_per_box,
            "stems per bunch": wanted.stems_per_bunch,
        }
        for name, value in counts.items():
            if value < 1:
                return self._hold(HoldCode.INVALID, f"Line {line_key}: {name} is {value}, at least 1 is needed.")
        if wanted.unit_cost is None or wanted.unit_cost <= 0:
            return self._hold(
                HoldCode.INVALID,
                f"Line {line_key} has no cost: Komet would not show us its item again. Add it in Axerrio.",
            )
        return None

    def _unseen(self, line: LineFacts, looks: int, trace: str = "", day: str = "") -> _Step:
        """An acknowledged create, or an item that Axerrio's references name, that no list has shown yet."""

        def look(*, active: bool) -> Look:
            return Look(Feed.KOMET_PREBOOKS, day or self.s.wanted.truck_date.isoformat(), active)

        if looks < LOOKS_FOR_ABSENCE:
            return _Step(OrderState.RECEIVED, look=look(active=True))
        return _Step(
            OrderState.RECEIVED,
            self._hold(
                HoldCode.NOT_VISIBLE,
                f"Line {line.line_key}: Komet took it ({trace or 'named by Axerrio'}, truck date "
                f"{self.s.wanted.truck_date}) and does not show it. Likely its item lacks a vendor ship date or cost: "
                "look at the prebook in Komet.",
            ),
            look=look(active=False),
        )

    def _purchase(self, line: LineFacts, wanted: Line, item: PrebookItemFacts) -> _Step:
        """The line has its prebook item: on to the purchase order, the links and the approval."""
        s = self.s
        ship_date = wanted.departure_date

        def orders(*, active: bool) -> Look:
            return Look(Feed.KOMET_PURCHASE_ORDERS, ship_date.isoformat(), active)

        create = self._open_for(Kind.PURCHASE_ORDER_CREATE, line)
        if create is not None:
            return self._in_flight(create, OrderState.PREBOOKED, Feed.KOMET_PURCHASE_ORDERS)
        if not line.purchase_order_items:
            acknowledged = self._acknowledged(Kind.PURCHASE_ORDER_CREATE, line)
            if acknowledged is None and not line.orders_looked:  # a person may have covered it first
                return _Step(OrderState.PREBOOKED, look=orders(active=True))
            if acknowledged is None:
                return _Step(OrderState.PREBOOKED, need=Kind.PURCHASE_ORDER_CREATE)
            if acknowledged.reads < LOOKS_FOR_ABSENCE:
                return _Step(OrderState.PREBOOKED, look=orders(active=True))
            hold = self._hold(
                HoldCode.NOT_VISIBLE,
                f"Line {line.line_key}: Komet took its purchase order ({acknowledged.trace}, ship date {ship_date}) "
                "and does not show it. Look for it in Komet.",
            )
            return _Step(OrderState.PREBOOKED, hold, look=orders(active=False))
        statuses = [each.status for each in line.purchase_order_items]
        if PurchaseOrderStatus.CANCELLED in statuses:
            number = line.purchase_order_items[statuses.index(PurchaseOrderStatus.CANCELLED)].number
            hold = self._hold(
                HoldCode.CONFLICT,
                f"Procurement cancelled purchase order {number} (line {line.line_key}); Axerrio still wants it.",
            )
            return _Step(OrderState.PREBOOKED, hold, look=orders(active=False))
        covered = sum(each.boxes for each in line.purchase_order_items)
        if covered != item.boxes:
            numbers = ", ".join(dict.fromkeys(each.number for each in line.purchase_order_items))
            hold = self._hold(
                HoldCode.CONFLICT,
                f"Line {line.line_key}: purchase order {numbers} holds {covered} boxes, the prebook {item.boxes}.",
            )
            return _Step(OrderState.PREBOOKED, hold, look=orders(active=False))
        if not self._linked(line):
            return _Step(OrderState.PREBOOKED)
        if all(status is not None and status.is_approved for status in statuses):
            reported = s.report_applied is not None and s.report_applied.status is PurchaseOrderStatus.APPROVED
            return _Step(OrderState.APPROVED if reported else OrderState.ORDERED)
        return _Step(OrderState.ORDERED, look=orders(active=False))

    def _in_flight(self, write: WriteFacts, state: OrderState, feed: Feed) -> _Step:
        """A create of this line is open: whoever sent it may still be at it, or it is in doubt."""
        if write.reads < LOOKS_FOR_ABSENCE:
            return _Step(state, look=Look(feed, write.look_key, active=True))
        what = "prebook" if write.kind is Kind.PREBOOK_CREATE else "purchase order"
        why = (
            f"prebook {write.may_be} may be it, without our mark"
            if write.may_be is not None
            else "its list cannot be trusted now, since something in it is missing or cannot be read"
            if write.looks < LOOKS_FOR_ABSENCE
            else f"whether it exists is not certain until another {what} of this connection was seen"
        )
        message = (
            f"Komet did not answer when the {what} was made, and does not show it; {why}. "
            f"Look in Komet for {write.trace}."
        )
        return _Step(state, self._hold(HoldCode.IN_DOUBT, message), look=Look(feed, write.look_key, active=False))

    # -- the writes ------------------------------------------------------------------------------------------

    def _komet_writes(self, steps: dict[str, _Step]) -> tuple[PlannedWrite, ...]:
        s = self.s
        needs: dict[Kind, list[LineFacts]] = {}
        for line in s.lines:
            step = steps.get(line.line_key)
            if step is not None and step.need is not None and step.hold is None:
                needs.setdefault(step.need, []).append(line)
        writes = []
        if Kind.PREBOOK_CREATE in needs and s.reference_known:
            keys = tuple(line.line_key for line in needs[Kind.PREBOOK_CREATE])
            writes.append(PlannedWrite(Kind.PREBOOK_CREATE, keys))
        by_date: dict[date, list[str]] = {}
        for line in needs.get(Kind.PURCHASE_ORDER_CREATE, []):
            ship_date = line.wanted.departure_date if line.wanted else s.wanted.departure_date
            by_date.setdefault(ship_date, []).append(line.line_key)
        for ship_date, line_keys in sorted(by_date.items()):
            writes.append(
                PlannedWrite(
                    Kind.PURCHASE_ORDER_CREATE,
                    tuple(line_keys),
                    ship_date=ship_date,
                    purchase_order_number=self._pending_purchase_order(ship_date),
                )
            )
        return tuple(writes)

    def _pending_purchase_order(self, ship_date: date) -> str | None:
        """A purchase order of this order and ship date that is not approved yet: later lines join it."""
        return next(
            (
                item.number
                for line in self.s.lines
                for item in line.purchase_order_items
                if item.ship_date == ship_date and item.status is PurchaseOrderStatus.PENDING
            ),
            None,
        )

    def _axerrio_writes(self) -> tuple[PlannedWrite, ...]:
        s = self.s
        if s.is_deleted:
            return ()  # there is nothing left in Axerrio to write to
        keys = tuple(line.line_key for line in s.lines if line.prebook_items)
        references = self._references()
        writes = []
        in_step = references == (s.references_applied or References())
        if not in_step and self._may(Kind.EXTERNAL_REFERENCES):
            writes.append(PlannedWrite(Kind.EXTERNAL_REFERENCES, keys, references=references))
        report = self._report()
        if report is not None and in_step and self._may(Kind.PROCUREMENT_STATUS):
            writes.append(PlannedWrite(Kind.PROCUREMENT_STATUS, keys, report=report))
        return tuple(writes)

    def _may(self, kind: Kind) -> bool:
        """None of that kind is open, and none was refused for good."""
        return not self._open(kind) and self._refusal_hold([kind]) is None

    def _references(self) -> References:
        """What Axerrio shall hold of the order's place in Komet."""
        items = [item for line in self.s.lines for item in line.live_items]
        if not items:
            return References()
        purchase_orders = {
            (each.purchase_order_id, each.number): None
            for line in self.s.lines
            for each in line.purchase_order_items
            if each.status is not PurchaseOrderStatus.CANCELLED
        }
        lines = []
        for line in self.s.lines:
            if not line.live_items:
                continue
            item = line.live_items[0]
            live = [each for each in line.purchase_order_items if each.status is not PurchaseOrderStatus.CANCELLED]
            lines.append(
                LineReference(
                    line_key=line.line_key,
                    prebook_id=item.prebook_id,
                    prebook_item_id=item.item_id,
                    purchase_order_item_id=live[0].item_id if live else None,
                    purchase_order_number=live[0].number if live else None,
                )
            )
        return References(
            prebook_id=items[0].prebook_id,
            prebook_number=items[0].prebook_number,
            purchase_orders=tuple(PurchaseOrderReference(id=id_, number=number) for id_, number in purchase_orders),
            lines=tuple(lines),
        )

    def _report(self) -> ApprovalReport | None:
        """What Axerrio must be told about procurement; None: nothing new."""
        s = self.s
        states: dict[str, PurchaseOrderStatus] = {}
        for line in s.lines:
            for item in line.purchase_order_items:
                status = item.status or PurchaseOrderStatus.PENDING
                states[item.number] = PurchaseOrderStatus.APPROVED if status.is_approved else status
        live = {number: status for number, status in states.items() if status is not PurchaseOrderStatus.CANCELLED}
        if not live:
            return None
        approved = all(status is PurchaseOrderStatus.APPROVED for status in live.values())
        told = s.report_applied
        if not approved and (told is None or told.status is not PurchaseOrderStatus.APPROVED):
            return None  # Axerrio takes an order as pending until it is told otherwise
        report = ApprovalReport(
            status=PurchaseOrderStatus.APPROVED if approved else PurchaseOrderStatus.PENDING,
            purchase_orders=tuple(
                PurchaseOrderState(number=number, status=status) for number, status in sorted(live.items())
            ),
        )
        return None if report == told else report

    # -- small questions -------------------------------------------------------------------------------------

    def _hold(self, code: HoldCode, message: str) -> Hold:
        return Hold(code, message, self.show)

    def _prebooks(self, *, active: bool) -> Look:
        return Look(Feed.KOMET_PREBOOKS, self.s.wanted.truck_date.isoformat(), active)

    def _open(self, *kinds: Kind) -> bool:
        return any(write.kind in kinds and write.state.is_open for write in self.s.writes)

    def _open_for(self, kind: Kind, line: LineFacts) -> WriteFacts | None:
        return next(
            (
                write
                for write in self.s.writes
                if write.kind is kind and write.state.is_open and line.line_key in write.line_keys
            ),
            None,
        )

    def _acknowledged(self, kind: Kind, line: LineFacts) -> WriteFacts | None:
        """The newest done write of that kind for the line."""
        return next(
            (
                write
                for write in reversed(self.s.writes)
                if write.kind is kind and write.state is WriteState.DONE and line.line_key in write.line_keys
            ),
            None,
        )

    def _linked(self, line: LineFacts) -> bool:
        """Axerrio holds the line's prebook item and purchase order item."""
        wanted = {reference.line_key: reference for reference in self._references().lines}
        applied = self.s.references_applied.lines if self.s.references_applied else ()
        return wanted.get(line.line_key) in applied


def _shown(code: HoldCode) -> OrderState:
    return OrderState.MAPPING_REQUIRED if code is HoldCode.MAPPING_REQUIRED else OrderState.HELD


def _precedence(hold: Hold) -> bool:
    """Of several holds the first is shown, and held before mapping required."""
    return hold.code is HoldCode.MAPPING_REQUIRED
