"""What Axerrio is told: the order itself where it was born in Komet, its place in Komet, and the approval."""

from models.canonical import (
    ApprovalReport,
    InboundStatus,
    LineReference,
    LineStatus,
    Order,
    Origin,
    PurchaseOrderReference,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
)
from models.states import HoldCode, Kind
from tasks.plan.facts import Hold, LineFacts, PlannedWrite, PurchaseOrderItemFacts
from tasks.plan.questions import OURS, THEIRS, Questions, Step

_KINDS = (Kind.INBOUND_ORDER, Kind.EXTERNAL_REFERENCES, Kind.PROCUREMENT_STATUS)
#: Fields of a line that Axerrio must keep as Komet has them, and their words.
_OF_LINE = ("boxes", "bunches_per_box", "stems_per_bunch", "mark_code", "unit_cost", "departure_date")


class Back:
    """The writes to Axerrio."""

    def __init__(self, ask: Questions) -> None:
        self.ask = ask
        self.s = ask.s

    def writes(self, steps: dict[str, Step]) -> tuple[PlannedWrite, ...]:
        """What Axerrio does not know yet."""
        s = self.s
        writes = []
        if s.origin is Origin.KOMET and s.unreadable is None:
            inbound = self._inbound(steps)
            writes += [inbound] if inbound is not None else []
        if not self._can_be_told:
            return tuple(writes)
        keys = tuple(line.line_key for line in s.lines if line.prebook_items)
        references = self.references()
        in_step = references == (s.references_applied or References())
        if not in_step and self.may_link:
            writes.append(PlannedWrite(Kind.EXTERNAL_REFERENCES, keys, references=references))
        report = self._report()
        if report is not None and in_step and self._may(Kind.PROCUREMENT_STATUS):
            writes.append(PlannedWrite(Kind.PROCUREMENT_STATUS, keys, report=report))
        return tuple(writes)

    @property
    def _can_be_told(self) -> bool:
        """Something is left in Axerrio to write to."""
        s = self.s
        if s.origin is Origin.KOMET:
            return s.axerrio_knows and not s.axerrio.is_deleted and s.axerrio.applied is not None
        return not s.is_deleted

    @property
    def may_link(self) -> bool:
        """The write-back can go: it is not under way, and Axerrio did not refuse it for good."""
        return self._can_be_told and self._may(Kind.EXTERNAL_REFERENCES)

    def hold(self) -> Hold | None:
        """Axerrio refused a write for good, or the order born in Komet."""
        s = self.s
        if self.ask.is_withdrawn:
            return None  # nobody needs to be told any more
        for kind in _KINDS:
            hold = self.ask.refusal_hold(self.ask.writes((kind,)))
            if hold is not None:
                return hold
        answer = s.axerrio.answer
        if s.origin is Origin.KOMET and answer is not None and answer.status is InboundStatus.REJECTED:
            said = [each.message or each.code for each in answer.lines if each.message or each.code]
            if not any(each.is_accepted is False for each in answer.lines):
                words = f"Axerrio rejected the order: {'; '.join(said) or 'no reason given'}. "
                return self.ask.hold(
                    HoldCode.REJECTED, f"{words}Requeue the order once that is mended.", self.ask.requeue()
                )
        return None

    def _may(self, kind: Kind) -> bool:
        """None of that kind is open, and none was refused for good."""
        return self.ask.open(kind) is None and self.ask.refusal_hold(self.ask.writes((kind,))) is None

    # -- the order itself ------------------------------------------------------------------------------------

    def _inbound(self, steps: dict[str, Step]) -> PlannedWrite | None:
        """The order as Axerrio shall have it, where it has another one."""
        s = self.s
        if not self._may(Kind.INBOUND_ORDER):
            return None
        # A change that waits for a person's word waits on both sides.
        if any(step.hold is not None and step.hold.code is HoldCode.CONFLICT for step in steps.values()):
            return None
        lines = tuple(line.wanted for line in s.lines if line.is_open and line.wanted is not None)
        keys = tuple(line.line_key for line in s.lines)
        applied = s.axerrio.applied
        if not lines or self.ask.is_withdrawn:
            return PlannedWrite(Kind.INBOUND_ORDER, keys) if applied is not None else None
        if s.customer_code is None or self.edited_in_axerrio() is not None:
            return None
        wanted = s.wanted.model_copy(update={"lines": lines, "version": 0, "buyer_code": s.customer_code})
        again = self._is_rejected() and not s.axerrio.answer_counts
        if applied is not None and _same(applied, wanted) and not again:
            return None
        return PlannedWrite(Kind.INBOUND_ORDER, keys, inbound=wanted)

    def _is_rejected(self) -> bool:
        answer = self.s.axerrio.answer
        return answer is not None and (
            answer.status is InboundStatus.REJECTED or any(each.is_accepted is False for each in answer.lines)
        )

    def edited_in_axerrio(self) -> Hold | None:
        """A person changed in Axerrio an order that was born in Komet."""
        applied, holds = self.s.axerrio.applied, self.s.axerrio.holds
        if applied is None:
            return None
        if self.s.axerrio.is_deleted:
            return self._edited("deleted", "the order, which Komet still wants: it was deleted there")
        if holds is None:
            return None
        if holds.status == "cancelled":
            return self._edited("cancelled", "the order, which Komet still wants: it was cancelled there")
        there = {line.external_line_id: line for line in holds.lines}
        accepted = {line.line_key for line in self.s.lines if line.axerrio_line_key is not None}
        changes = []
        if holds.truck_date != applied.truck_date:
            changes.append(f"truck date {applied.truck_date} → {holds.truck_date}")
        for line in applied.lines:
            other = there.pop(line.line_key, None)
            if line.line_key not in accepted:
                continue
            if other is None or other.status is LineStatus.CANCELLED:
                changes.append(f"line {line.line_key} ({line.boxes} boxes) → none")
                continue
            for name in _OF_LINE:
                ours, theirs = getattr(line, name), getattr(other, name)
                if ours not in (None, "", 0) and ours != theirs:
                    changes.append(f"line {line.line_key} {name.replace('_', ' ')} {ours} → {theirs}")
        added = [line for line in there.values() if line.status is LineStatus.OPEN]
        changes += [f"a line of {line.boxes} boxes {line.article.code} was added" for line in added]
        return self._edited(", ".join(changes), f"it ({', '.join(changes)})") if changes else None

    def _edited(self, fact: str, words: str) -> Hold | None:
        message = (
            f"A person changed in Axerrio {words}. Komet is its origin: ours sends Komet's version again, theirs "
            "leaves Axerrio's."
        )
        return self.ask.conflict(None, f"axerrio: {fact}", message, THEIRS, OURS)

    # -- its place in Komet ----------------------------------------------------------------------------------

    def is_linked(self, line: LineFacts) -> bool:
        """Axerrio holds the line's prebook item and purchase order item."""
        wanted = {reference.line_key: reference for reference in self.references().lines}
        applied = self.s.references_applied.lines if self.s.references_applied else ()
        return wanted.get(line.axerrio_line_key or "") in applied

    def references(self) -> References:
        """What Axerrio shall hold of the order's place in Komet."""
        lines = [line for line in self.s.lines if line.live_items and line.axerrio_line_key is not None]
        items = [item for line in lines for item in line.live_items]
        if not items:
            return References()
        purchase_orders = {(each.purchase_order_id, each.number): None for line in lines for each in _live(line)}
        of_lines = []
        for line in lines:
            live = _live(line)
            item = max(line.live_items, key=lambda each: len(each.live_purchase_order_items))
            first = next((each for each in live if not each.box_codes), live[0] if live else None)
            of_lines.append(
                LineReference(
                    line_key=line.axerrio_line_key or "",
                    prebook_id=item.prebook_id,
                    prebook_item_id=item.item_id,
                    purchase_order_item_id=first.item_id if first else None,
                    purchase_order_number=first.number if first else None,
                )
            )
        return References(
            prebook_id=items[0].prebook_id,
            prebook_number=items[0].prebook_number,
            purchase_orders=tuple(PurchaseOrderReference(id=id_, number=number) for id_, number in purchase_orders),
            lines=tuple(of_lines),
        )

    # -- the approval ----------------------------------------------------------------------------------------

    @property
    def has_told_approval(self) -> bool:
        """Axerrio knows that procurement approved."""
        told = self.s.report_applied
        return told is not None and told.status is PurchaseOrderStatus.APPROVED

    def _report(self) -> ApprovalReport | None:
        """What Axerrio must be told about procurement; None: nothing new."""
        states: dict[str, PurchaseOrderStatus] = {}
        cancelled: dict[str, PurchaseOrderStatus] = {}
        for line in self.s.lines:
            for item in line.purchase_order_items:
                status = item.status or PurchaseOrderStatus.PENDING
                if status is PurchaseOrderStatus.CANCELLED:
                    cancelled[item.number] = status
                else:
                    states[item.number] = PurchaseOrderStatus.APPROVED if status.is_approved else status
        told = self.s.report_applied
        if not states:
            overall, shown = PurchaseOrderStatus.CANCELLED, cancelled
        elif all(status is PurchaseOrderStatus.APPROVED for status in states.values()):
            overall, shown = PurchaseOrderStatus.APPROVED, states
        else:
            overall, shown = PurchaseOrderStatus.PENDING, states
        if not shown:
            return None
        if overall is PurchaseOrderStatus.PENDING and (told is None or told.status is overall):
            return None  # Axerrio takes an order as pending until it is told otherwise
        report = ApprovalReport(
            status=overall,
            purchase_orders=tuple(
                PurchaseOrderState(number=number, status=status) for number, status in sorted(shown.items())
            ),
        )
        return None if report == told else report


def _live(line: LineFacts) -> list[PurchaseOrderItemFacts]:
    """Its purchase order items that were not cancelled."""
    return [each for each in line.purchase_order_items if each.status is not PurchaseOrderStatus.CANCELLED]


def _same(applied: Order, wanted: Order) -> bool:
    return applied.model_copy(update={"version": 0}) == wanted
