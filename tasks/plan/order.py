"""The order: its lines' steps become writes, looks, a state and a reason."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from models.canonical import OrderStatus, Origin, PurchaseOrderStatus, References
from models.states import PROGRESS, Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.back import Back
from tasks.plan.facts import (
    CLOSED_AFTER,
    KOMET_WRITES,
    PURCHASE_ORDER_CREATES,
    Hold,
    LineFacts,
    Look,
    Plan,
    PlannedWrite,
    PrebookItemFacts,
    Situation,
    WriteFacts,
)
from tasks.plan.fit import unmapped
from tasks.plan.lines import Lines
from tasks.plan.questions import DRAFT, OURS, THEIRS, Questions, Step
from tasks.plan.shipping import Shipping

_NO_LINE = "No line of it goes on: they were removed, or by a person's decision Komet keeps them as they are"
#: A line's purchase order stands: from here on boxes may leave.
_ON_THE_WAY = (OrderState.ORDERED, OrderState.APPROVED)


class Planner:
    """Plans one order."""

    def __init__(self, situation: Situation) -> None:
        self.s = situation
        self.ask = Questions(situation)
        self.lines = Lines(self.ask)
        self.shipping = Shipping(self.ask)
        self.back = Back(self.ask)

    def plan(self) -> Plan:
        """Say what leads on. What a person stopped or came over the limit is planned as ever, told, and not done."""
        plan = self._plan()
        s, holds = self.s, list[Hold | None]()
        if not (plan.state.is_final and s.today > max(s.wanted.truck_date, s.changed_on) + CLOSED_AFTER):
            holds.append(self._changed_since_cancelled())
        if not plan.state.is_final:
            holds += [self._over_limit(plan), self._by_hand()]
        for hold in filter(None, holds):
            plan = self._held(plan, hold)
        return plan

    def _plan(self) -> Plan:
        s = self.s
        if s.skipped is not None:
            return Plan(OrderState.CLOSED, s.skipped, _SKIPPED[s.skipped].format(date=s.wanted.departure_date))
        if not self._something_stands() and s.unreadable is None:
            quiet = self._quiet()
            if quiet is not None:
                return replace(quiet, looks=self._late_looks())
        steps = {line.line_key: step for line in s.lines if (step := self._step(line)) is not None}
        hold = self._order_hold(steps)
        holds = [hold] if hold else []
        holds += [step.hold for step in steps.values() if step.hold]
        refused = self.back.hold()
        holds += [refused] if refused else []
        writes = self.back.writes(steps)
        if hold is None:
            writes = self._komet_writes(steps) + writes
        looks = {look for step in steps.values() for look in step.looks} | self._order_looks(steps, holds)
        return self._conclude(steps, holds, self._in_order(writes), looks)

    def _in_order(self, writes: tuple[PlannedWrite, ...]) -> tuple[PlannedWrite, ...]:
        """An order born in Komet goes to Axerrio first; else Komet's side comes before what is reported of it."""
        return tuple(sorted(writes, key=lambda write: _SEQUENCE.index(write.kind)))

    def _quiet(self) -> Plan | None:
        """Nothing of it stands in the other system, and nothing shall: no plan is needed."""
        s = self.s
        if s.origin is Origin.KOMET:
            gone = self.ask.is_withdrawn or not any(line.is_open for line in s.lines)
            why = self.ask.withdrawn if self.ask.is_withdrawn else "Its lines were removed in Komet"
            return Plan(OrderState.CANCELLED, None, f"{why} before Axerrio had it.") if gone else None
        if self.ask.is_withdrawn:
            return Plan(OrderState.CANCELLED, None, f"{self.ask.withdrawn}, and nothing of it stands in Komet.")
        if s.wanted.status in (OrderStatus.SHIPPED, OrderStatus.CLOSED):
            if self._left_without_us():
                stands = "stands in Komet" if self._was_begun() else "was ever sent to Komet"
                message = f"It was {s.wanted.status.value} in Axerrio, and nothing of it {stands}."
                hold = self.ask.hold(HoldCode.DEPARTED, message)
                return Plan(OrderState.HELD, hold.code, hold.message, hold.next_command, holds=(hold,))
            return Plan(OrderState.CLOSED, None, f"{s.wanted.status.capitalize()} in Axerrio.")
        if s.wanted.status is OrderStatus.DRAFT:
            if s.today > s.wanted.truck_date + CLOSED_AFTER:
                return Plan(OrderState.CLOSED, None, "Its truck left a week ago, and it was not confirmed in Axerrio.")
            return Plan(OrderState.RECEIVED, None, "Not confirmed in Axerrio yet.")
        if not any(self.ask.is_desired(line) for line in s.lines):
            return Plan(OrderState.CANCELLED, None, "Its lines are cancelled, and nothing of it stands in Komet.")
        return None

    def _left_without_us(self) -> bool:
        """Something of it left, and nobody decided that Komet goes without. A week after its truck that is over."""
        has_left = any(self.lines.left_without_us(line) for line in self.s.lines)
        return has_left and self.s.today <= self.s.wanted.truck_date + CLOSED_AFTER

    def _something_stands(self) -> bool:
        """Something of it stands in the other system, or may: an acknowledged create counts until it is seen."""
        s = self.s
        if any(self.lines.purchases.of_what_is_gone(line) is not None for line in s.lines):
            return True
        if any(line.live_items and s.origin is Origin.AXERRIO for line in s.lines):
            return True
        if any(line.purchase_order_items for line in s.lines) or self.ask.open(*Kind):
            return True
        if s.origin is Origin.KOMET:
            return self.back.may_stand
        of_lines = {line.line_key: line for line in s.lines}
        is_unsure = self.back.is_unsure(Kind.EXTERNAL_REFERENCES)
        told = (s.references_applied not in (None, References()) or is_unsure) and self.back.may_link
        return told or any(
            write.state is WriteState.DONE
            and any(_item_of(write.id, of_lines.get(key)) is None for key in write.line_keys)
            for write in self.ask.writes((Kind.PREBOOK_CREATE,))
        )

    def _step(self, line: LineFacts) -> Step | None:
        step = self.lines.step(line)
        if step is not None and step.hold is not None and OURS in step.hold.choices and self._is_over(line):
            # Nothing of it is made anew: what a person changed there is told, and only its boxes' labels still count.
            over = self.shipping.step(line, Step(OrderState.SHIPPED, looks=step.looks))
            return replace(over, notices=(step.hold.message, *over.notices))
        is_draft = self.s.wanted.status is OrderStatus.DRAFT and not self.ask.is_withdrawn
        if step is not None and step.hold is not None and step.hold.code is HoldCode.CONFLICT and is_draft:
            return replace(step, hold=None)  # of a draft only that is asked, and until it is decided nothing is done
        if step is None or step.state not in _ON_THE_WAY or (step.hold is not None and not step.still_leaves):
            return step
        items = line.covering
        if not items:  # it cannot be undone, and a person decided that it stays
            return step
        if not self.back.is_linked(line):
            return replace(step, state=OrderState.PREBOOKED)
        approved = all(each.status is not None and each.status.is_approved for each in items)
        state = OrderState.APPROVED if approved and self.back.has_told_approval else OrderState.ORDERED
        held = step.hold
        step = self.shipping.step(line, replace(step, state=state, hold=None))
        step = replace(step, hold=step.hold or held)
        days = {each.ship_date or line.ship_date for each in items}
        if step.state is not OrderState.SHIPPED or not approved:  # procurement, and people, may still act
            step = replace(step, looks=self._watching(step.looks, days))
        return step

    def _conclude(
        self,
        steps: dict[str, Step],
        holds: list[Hold],
        writes: tuple[PlannedWrite, ...],
        looks: Iterable[Look],
    ) -> Plan:
        s = self.s
        states = [step.state for step in steps.values() if step.state is not None]
        open_writes = [write for write in s.writes if write.state.is_open]
        line_states = {
            key: step.state if step.hold is None else _shown(step.hold.code)
            for key, step in steps.items()
            if step.state is not None
        }
        attempts = self._attempts()
        rest: dict[str, Any] = {
            "line_states": line_states,
            "waits_for": {key: step.waits_for for key, step in steps.items() if step.waits_for is not None},
            "looks": tuple(sorted(looks)),
            "attempts": attempts,
            "holds": tuple(holds),
            "notices": tuple(dict.fromkeys(notice for step in steps.values() for notice in step.notices)),
        }
        if attempts >= s.max_attempts:
            last = next((write.error for write in reversed(s.writes) if write.error), "no answer")
            words = f"{attempts} attempts ended without an answer; the last one: {last}"
            return Plan(OrderState.FAILED, "failed", words, self.ask.requeue(), **rest)
        final = self._end(steps, states, holds, open_writes, writes)
        if final is not None:
            return Plan(*final, **rest | {"looks": self._late_looks(), "waits_for": {}})
        repeats = tuple(write.id for write in open_writes if write.kind not in KOMET_WRITES and write.overdue)
        reason = min(holds, key=_precedence, default=None)
        state = _shown(reason.code) if reason else self._progress(states)
        return Plan(
            state,
            reason.code if reason else None,
            reason.message if reason else None,
            reason.next_command if reason else None,
            repeats=repeats,
            writes=writes,
            **rest,
        )

    def _is_over(self, line: LineFacts) -> bool:
        """All of it that leaves has left; what Komet does not know goes on no air waybill."""
        return all(item.mapped for item in line.live_items) and self.shipping.is_over(line)

    def _progress(self, states: list[OrderState]) -> OrderState:
        """As far as its slowest line; an order that its origin withdrew is being cancelled."""
        if self.ask.is_withdrawn or OrderState.CANCELLING in states:
            return OrderState.CANCELLING
        return min((state for state in states if state in PROGRESS), key=PROGRESS.index, default=OrderState.RECEIVED)

    def _end(
        self,
        steps: dict[str, Step],
        states: list[OrderState],
        holds: list[Hold],
        open_writes: list[WriteFacts],
        writes: tuple[PlannedWrite, ...],
    ) -> tuple[OrderState, str | None, str] | None:
        """State and reason of an order for which nothing more is to be done."""
        s, untold = self.s, self._untold(steps)
        if open_writes or writes:
            return None
        waits = bool(holds) or any(look.active for step in steps.values() for look in step.looks)
        last = max(s.wanted.truck_date, s.changed_on) if waits else s.wanted.truck_date  # a change may come late
        if s.today > last + CLOSED_AFTER:
            if holds:
                stands = f"as it stood: {min(holds, key=_precedence).message}"
            elif untold:
                stands = f"and Komet was never told what left of line {', '.join(untold)}."
            else:
                stands = f"and {self._unsaid() or 'nothing is open'}."
            return OrderState.CLOSED, None, f"Its truck left a week ago, {stands}"
        record = s.axerrio.record if s.origin is Origin.KOMET else s.wanted
        is_closed = record is not None and record.status is OrderStatus.CLOSED
        # Nothing of it is made anew: what a person changed there is drift from now on. What is to go is asked about.
        stays = {line.line_key for line in s.lines if self.ask.is_desired(line)} | {None}
        if is_closed and not untold and all(OURS in hold.choices and hold.line_key in stays for hold in holds):
            unsaid = self._unsaid()
            return OrderState.CLOSED, None, f"Closed in Axerrio{f', and {unsaid}' if unsaid else ''}."
        if holds or s.unreadable is not None:
            return None
        if self.ask.is_withdrawn and OrderState.CLOSED in states:
            return OrderState.CLOSED, None, f"{self.ask.withdrawn}; by a person's decision it stays in Komet."
        if not states and (self.ask.is_withdrawn or self._was_begun()):
            why = f"{self.ask.withdrawn}, and everything of ours is gone" if self.ask.is_withdrawn else _NO_LINE
            return OrderState.CANCELLED, None, f"{why}."
        return None

    def _untold(self, steps: dict[str, Step]) -> list[str]:
        """Keys of the lines of which boxes left that do not all stand in Komet yet."""
        on_the_way = {key for key, step in steps.items() if step.state in PROGRESS and step.state != OrderState.SHIPPED}
        return [line.line_key for line in self.s.lines if line.line_key in on_the_way and self.ask.entries(line)]

    def _unsaid(self) -> str | None:
        """Of which lines Axerrio says that they left, and no shipment that was read says with which boxes."""
        lines = [
            line.line_key
            for line in self.s.lines
            if line.covering and self.ask.went_with_its_order(line) and not self.ask.entries(line)
            if not self.shipping.standing(line).boxes
            if not any(item.box_codes for item in line.covering)
        ]
        return f"no shipment says what left of line {', '.join(lines)}" if lines else None

    def _was_begun(self) -> bool:
        return self.s.begun_version is not None

    def _attempts(self) -> int:
        """Tries that ended unanswered, since the last fresh start."""
        return sum(
            1 if write.state is WriteState.ABSENT else write.strikes
            for write in self.s.writes
            if write.counts and not write.is_excused and write.state in (WriteState.ABSENT, WriteState.SENT)
        )

    # -- holds of the whole order ----------------------------------------------------------------------------

    def _order_hold(self, steps: dict[str, Step]) -> Hold | None:
        """The reason, if any, why the whole order writes nothing more to Komet."""
        s = self.s
        if s.unreadable is not None:
            return self.ask.hold(HoldCode.UNREADABLE, f"Axerrio's newest record of it cannot be read: {s.unreadable}")
        if s.wanted.status is OrderStatus.DRAFT and s.origin is Origin.AXERRIO:
            message = (
                "Axerrio took the order back to draft after it was sent to Komet. Ours takes it back there too, "
                "theirs leaves it there."
            )
            hold = self.ask.conflict(None, DRAFT, message, OURS, THEIRS)
            if hold is not None:
                return hold
        if s.origin is Origin.KOMET:
            return self._inbound_hold()
        needs = {write.kind for step in steps.values() for write in step.needs}
        return unmapped(self.ask) if Kind.PREBOOK_CREATE in needs else None

    def _by_hand(self) -> Hold | None:
        """A person stopped it."""
        if self.s.held_by_hand is None:
            return None
        who, why = self.s.held_by_hand
        return self.ask.hold(HoldCode.BY_HAND, f"Held by {who}: {why}.", f"axkomet release {self.ask.key}")

    def _changed_since_cancelled(self) -> Hold | None:
        """A person cancelled it here, and its origin changed it since."""
        s = self.s
        if s.changed_since_cancelled is None or s.cancelled_by is None or self.ask.is_withdrawn_by_origin:
            return None
        who, origin = s.cancelled_by[0], "Komet" if s.origin is Origin.KOMET else "Axerrio"
        message = (
            f"{who} cancelled it here, and {origin} has changed it since. Ours sends it as it is wanted now, theirs "
            "leaves it cancelled."
        )
        return self.ask.conflict(None, s.changed_since_cancelled, message, OURS, THEIRS)

    def _over_limit(self, plan: Plan) -> Hold | None:
        """Too much changed at once, and a person must say that it is meant; None: nothing would be taken away."""
        if not self.s.over_limit:
            return None
        does = self._taken_from_axerrio() if self.s.origin is Origin.KOMET else self._taken_from_komet()
        if not does:
            return None
        others = f"{self.s.upset_with} other changes" if self.s.upset_with else "many other changes"
        conflict = next((hold for hold in plan.holds if hold.code is HoldCode.CONFLICT), None)
        words = f" A person decides first: {conflict.message}" if conflict is not None else ""
        return self.ask.hold(
            HoldCode.OVER_LIMIT,
            f"It came with {others} within ten minutes. Released, it would be {does}.{words}",
            f"axkomet release --reason over_limit --connection {self.s.connection}",
        )

    def _taken_from_komet(self) -> str:
        """What would go there, for people; empty: nothing."""
        lost = [self.lines.loss(line) for line in self.s.lines]
        items, orders = sum(each.prebook_items for each in lost), sum(each.purchase_order_items for each in lost)
        counted = [_count(number, f"{what} item") for number, what in ((items, "prebook"), (orders, "purchase order"))]
        if items or orders:
            what = "cancelled" if self.ask.is_withdrawn else "changed"
            return f"{what} in Komet: {' and '.join(counted)} deleted"
        stands = any(line.live_items for line in self.s.lines)
        is_open = self.s.wanted.status is OrderStatus.DRAFT and self.ask.decided(None, DRAFT) is None
        return "taken back to draft" if is_open and stands else ""

    def _taken_from_axerrio(self) -> str:
        """What would go there of an order born in Komet, and in Komet of its purchase orders; empty: nothing."""
        orders = sum(self.lines.loss(line).purchase_order_items for line in self.s.lines)
        lost = self.back.loss()
        is_cancelled = not any(line.is_open for line in self.s.lines)
        deleted = f"{_count(orders, 'purchase order item')} deleted" if orders else ""
        if not lost:
            return f"changed in Komet: {deleted}" if deleted else ""
        words = "cancelled in Axerrio" if is_cancelled else f"changed in Axerrio ({', '.join(lost)})"
        return f"{words}, with {deleted} in Komet" if deleted else words

    def _held(self, plan: Plan, hold: Hold) -> Plan:
        """The same plan, of which nothing is sent; only what is under way is looked for at once."""
        lost = {line.line_key for line in self.s.lines if self.lines.loss(line)}
        if plan.state is not OrderState.FAILED:
            plan = replace(plan, state=OrderState.HELD, reason_code=hold.code, reason=hold.message)
            plan = replace(plan, next_command=hold.next_command)
        looks = plan.looks if self.ask.open(*Kind) else tuple(replace(look, active=False) for look in plan.looks)
        days = {each.ship_date for line in self.s.lines for each in line.covering}
        return replace(
            plan,
            line_states={k: OrderState.HELD if k in lost else state for k, state in plan.line_states.items()},
            writes=(),
            repeats=(),
            looks=self._watching(looks, days),  # a person may do by hand what is not sent
            holds=(hold, *plan.holds),
        )

    def _inbound_hold(self) -> Hold | None:
        s = self.s
        if s.customer_code is None and any(line.is_open for line in s.lines):
            return self.ask.hold(
                HoldCode.UNMAPPED_REFERENCE,
                f"Komet's customer {s.wanted.buyer_name or '?'} has no Axerrio buyer: add it to [connection.buyers] of "
                f"{s.connection} in the connections file, or name a default_buyer, and start the worker again.",
            )
        return self.back.departed() or self.back.edited_in_axerrio()

    # -- looks -----------------------------------------------------------------------------------------------

    def _watching(self, looks: tuple[Look, ...], days: Collection[date | None]) -> tuple[Look, ...]:
        """The same, with passive ones at the purchase orders of these days where none is at them yet."""
        known = {(look.feed, look.key) for look in looks}
        watched = (self.ask.purchase_orders(day, active=False) for day in days if day is not None)
        return (*looks, *(look for look in watched if (look.feed, look.key) not in known))

    def _order_looks(self, steps: dict[str, Step], holds: list[Hold]) -> set[Look]:
        s = self.s
        looks = set(self._late_looks())
        needs = {write.kind for step in steps.values() for write in step.needs}
        is_unlisted = not s.carrier_known or bool(s.unknown_packings)
        if not s.reference_known and needs & {Kind.PREBOOK_CREATE, Kind.PURCHASE_ORDER_MIXED_CREATE}:
            looks.add(Look(Feed.KOMET_REFERENCE, "", active=True))
        # No list of Komet's tells of buyers and customers.
        elif is_unlisted and any(hold.code is HoldCode.UNMAPPED_REFERENCE for hold in holds):
            looks.add(Look(Feed.KOMET_REFERENCE, "", active=False))
        return looks

    def _late_looks(self) -> tuple[Look, ...]:
        """Late truth: a create that was judged absent may show after all."""
        return tuple(
            {
                Look(_SHOWN_AT[write.kind], write.look_key, active=False)
                for write in self.ask.writes(tuple(_SHOWN_AT))
                if write.state is WriteState.ABSENT and write.look_key >= self.s.today.isoformat()
            }
        )

    # -- writes to Komet -------------------------------------------------------------------------------------

    def _komet_writes(self, steps: dict[str, Step]) -> tuple[PlannedWrite, ...]:
        """One call for many lines wherever the method takes many."""
        needs: dict[Kind, list[PlannedWrite]] = {}
        for step in steps.values():
            for write in step.needs:
                if not self._is_left_as_draft or write.kind in _OF_BOXES:
                    needs.setdefault(write.kind, []).append(write)
        writes = [each for kind in _ONE_BY_ONE for each in needs.get(kind, [])]
        if self.s.reference_known:
            writes += self._prebooks([write.line_keys[0] for write in needs.get(Kind.PREBOOK_CREATE, [])])
        for kind in PURCHASE_ORDER_CREATES:
            if kind is Kind.PURCHASE_ORDER_CREATE or self.s.reference_known:
                writes += self._purchase_orders(kind, needs)
        for kind in _OF_BOXES:
            parts = needs.get(kind, [])
            if parts:
                writes.append(
                    PlannedWrite(
                        kind,
                        tuple(key for part in parts for key in part.line_keys),
                        awb=tuple(each for part in parts for each in part.awb),
                        boxes=tuple(each for part in parts for each in part.boxes),
                        alone=any(part.alone for part in parts),
                    )
                )
        return tuple(writes)

    @property
    def _is_left_as_draft(self) -> bool:
        """Axerrio took it back to draft, and a person decided that Komet keeps it as it is."""
        return self.s.wanted.status is OrderStatus.DRAFT and self.ask.decided(None, DRAFT) == THEIRS

    def _prebooks(self, line_keys: list[str]) -> list[PlannedWrite]:
        of_lines = {line.line_key: line for line in self.s.lines}
        alone = [key for key in line_keys if self.lines.must_go_alone(of_lines[key])]
        together = tuple(key for key in line_keys if key not in alone)
        writes = [PlannedWrite(Kind.PREBOOK_CREATE, together)] if together else []
        return writes + [PlannedWrite(Kind.PREBOOK_CREATE, (key,)) for key in alone]

    def _purchase_orders(self, kind: Kind, needs: dict[Kind, list[PlannedWrite]]) -> list[PlannedWrite]:
        """One for each ship date; mixed boxes go onto the purchase order of the plain lines, once that was read."""
        by_date: dict[date, list[PlannedWrite]] = {}
        for need in needs.get(kind, []):
            by_date.setdefault(need.ship_date or date.min, []).append(need)
        writes = []
        for ship_date, of_date in sorted(by_date.items()):
            number = self._pending_purchase_order(ship_date)
            plain = needs.get(Kind.PURCHASE_ORDER_CREATE, [])
            if kind is Kind.PURCHASE_ORDER_MIXED_CREATE and number is None and self._is_ordering(ship_date, plain):
                continue
            keys = tuple(need.line_keys[0] for need in of_date)
            covers = {need.line_keys[0]: need.item_id for need in of_date if need.item_id is not None}
            writes.append(PlannedWrite(kind, keys, ship_date, number, covers=covers))
        return writes

    def _is_ordering(self, ship_date: date, needs: list[PlannedWrite]) -> bool:
        """A purchase order for plain lines of that day is to be made, or was and a line waits for it to be read."""
        made = self.ask.writes((Kind.PURCHASE_ORDER_CREATE,))
        unread = [each for each in made if each.state.is_open or self.lines.purchases.is_awaited(each)]
        return any(need.ship_date == ship_date for need in needs) or any(
            each.look_key == ship_date.isoformat() for each in unread
        )

    def _pending_purchase_order(self, ship_date: date) -> str | None:
        """A purchase order of this order and ship date that is not approved yet: later lines join it."""
        return next(
            (
                item.number
                for line in self.s.lines
                for item in line.purchase_order_items
                if item.ship_date == ship_date and item.status is PurchaseOrderStatus.PENDING and not item.changes
            ),
            None,
        )


def _item_of(write_id: int, line: LineFacts | None) -> PrebookItemFacts | None:
    """The line's item that a create made, once it was seen."""
    return next((item for item in line.prebook_items if item.write_id == write_id), None) if line else None


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _shown(code: HoldCode) -> OrderState:
    return OrderState.MAPPING_REQUIRED if code is HoldCode.MAPPING_REQUIRED else OrderState.HELD


def _precedence(hold: Hold) -> bool:
    """Of several holds the first is shown, and held before mapping required."""
    return hold.code is HoldCode.MAPPING_REQUIRED


#: Where creates show.
_SHOWN_AT = {
    Kind.PREBOOK_CREATE: Feed.KOMET_PREBOOKS,
    Kind.PURCHASE_ORDER_CREATE: Feed.KOMET_PURCHASE_ORDERS,
    Kind.PURCHASE_ORDER_MIXED_CREATE: Feed.KOMET_PURCHASE_ORDERS,
}
_OF_BOXES = (Kind.AWB_ADD, Kind.BOX_CODE_CHANGE)
_ONE_BY_ONE = (Kind.PURCHASE_ORDER_ITEM_DELETE, Kind.PREBOOK_ITEM_DELETE)
_SEQUENCE = (
    Kind.INBOUND_ORDER,
    *_ONE_BY_ONE,
    Kind.PREBOOK_CREATE,
    *PURCHASE_ORDER_CREATES,
    Kind.EXTERNAL_REFERENCES,
    Kind.PROCUREMENT_STATUS,
    *_OF_BOXES,
)
_SKIPPED = {
    "departed": "It left on {date}, before it was first seen.",
    "before_start": "It was made before the connection's start date.",
}
