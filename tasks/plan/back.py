"""What Axerrio is told: the order itself where it was born in Komet, its place in Komet, and the approval."""

from collections.abc import Collection

from models.canonical import (
    ApprovalReport,
    Canonical,
    InboundStatus,
    Json,
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
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import Hold, LineFacts, PlannedWrite, PrebookItemFacts, most_bought
from tasks.plan.questions import EDITED, OURS, THEIRS, Questions, Step

_KINDS = (Kind.INBOUND_ORDER, Kind.EXTERNAL_REFERENCES, Kind.PROCUREMENT_STATUS)
#: Fields that Axerrio must keep as Komet has them, of an order and of a line.
_OF_ORDER = ("truck_date", "buyer_code", "carrier_code")
_OF_LINE = (
    "packing_code",
    "boxes",
    "bunches_per_box",
    "stems_per_bunch",
    "mark_code",
    "unit_cost",
    "departure_date",
)
#: Of these, what is said in Axerrio's words, by mappings and settings.
_TRANSLATED = ("buyer_code", "carrier_code", "packing_code")
#: What these fields hold where Axerrio does not say them: that is no change of a person's.
_UNSAID = {"packing_code": "", "bunches_per_box": 0, "stems_per_bunch": 0, "unit_cost": None, "carrier_code": None}


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
        if not self.can_be_told:
            return tuple(writes)
        keys = tuple(line.line_key for line in s.lines if line.prebook_items)
        references = self.references()
        in_step = references == (s.references_applied or References()) and not self.is_unsure(Kind.EXTERNAL_REFERENCES)
        if not in_step and self.may_link:
            patience = self.ask.purchase_order_shows_within  # one write then names it too
            writes.append(PlannedWrite(Kind.EXTERNAL_REFERENCES, keys, references=references, patience=patience))
        report = self._report()
        if report is not None and in_step and self._may(Kind.PROCUREMENT_STATUS):
            writes.append(PlannedWrite(Kind.PROCUREMENT_STATUS, keys, report=report))
        return tuple(writes)

    @property
    def can_be_told(self) -> bool:
        """Something is left in Axerrio to write to."""
        s = self.s
        if s.origin is Origin.KOMET:
            stands = not s.axerrio.is_deleted and not self.ask.is_left_cancelled
            return s.axerrio_knows and s.axerrio.applied is not None and stands
        return not s.is_deleted

    def is_unsure(self, kind: Kind) -> bool:
        """What was sent last was given up without an answer: it may stand there, whatever is known."""
        told = [each for each in self.ask.writes((kind,)) if each.state in (WriteState.DONE, WriteState.ABSENT)]
        return bool(told) and told[-1].state is WriteState.ABSENT

    @property
    def may_stand(self) -> bool:
        """Axerrio has the order, or may have it."""
        return self.s.axerrio.applied is not None or self.is_unsure(Kind.INBOUND_ORDER)

    @property
    def may_link(self) -> bool:
        """The write-back can go: it is not under way, and Axerrio did not refuse it for good."""
        answer = self.s.axerrio.answer  # until it is decided, nobody can tell which lines it is about
        is_pending = answer is not None and answer.decision is InboundStatus.PENDING
        return self.can_be_told and not is_pending and self._may(Kind.EXTERNAL_REFERENCES)

    def hold(self) -> Hold | None:
        """Axerrio refused a write for good, or the order born in Komet."""
        s = self.s
        kinds: tuple[Kind, ...] = _KINDS
        if self.ask.is_withdrawn:  # nobody needs to be told any more, but that what was told is taken back
            kinds = (Kind.INBOUND_ORDER,) if self.may_stand and not s.axerrio.is_deleted else ()
        for kind in kinds:
            too_late = kind is Kind.INBOUND_ORDER and self.ask.takes_no_change
            hold = self._too_late() if too_late else self._refused(kind)
            if hold is not None:
                return hold
        answer = s.axerrio.answer if not self.ask.is_withdrawn else None
        if s.origin is Origin.KOMET and answer is not None and answer.decision is InboundStatus.REJECTED:
            said = [each.message or each.code for each in answer.lines if each.message or each.code]
            if not any(each.is_accepted is False for each in answer.lines):
                words = f"Axerrio rejected the order: {'; '.join(said) or 'no reason given'}. "
                return self.ask.hold(
                    HoldCode.REJECTED, f"{words}Requeue the order once that is mended.", self.ask.requeue()
                )
        return self._changed_since_theirs() if not self.ask.is_withdrawn else None

    def _refused(self, kind: Kind) -> Hold | None:
        """Axerrio refused it for good. An order that a person deleted there may be one that it takes no more."""
        hold = self.ask.refusal_hold(self.ask.writes((kind,)))
        if hold is None or kind is not Kind.INBOUND_ORDER or not self.s.axerrio.is_deleted:
            return hold
        message = f"The order was deleted in Axerrio. {hold.message} Theirs leaves it deleted."
        return self.ask.conflict(None, f"{EDITED}deleted for good", message, THEIRS)

    def _may(self, kind: Kind) -> bool:
        """None of that kind is open, and none was refused for good."""
        return self.ask.open(kind) is None and self.ask.refusal_hold(self.ask.writes((kind,))) is None

    # -- the order itself ------------------------------------------------------------------------------------

    def _inbound(self, steps: dict[str, Step]) -> PlannedWrite | None:
        """The order as Axerrio shall have it, where it has another one."""
        s = self.s
        if not self._may(Kind.INBOUND_ORDER):
            return None
        keys = tuple(line.line_key for line in s.lines)
        applied, wanted = s.axerrio.applied, self._wanted()
        if self.ask.takes_no_change:
            return None
        # A change that waits for a person's word waits on both sides; lines that do not wait go on.
        waiting = {key for key, step in steps.items() if step.hold is not None and step.hold.code is HoldCode.CONFLICT}
        # What left of a line that Komet wants no more is told by the line's key in Axerrio.
        waiting |= {line.line_key for line in s.lines if not line.live_items and _leaves(steps.get(line.line_key))}
        if waiting:
            if applied is None or wanted is None or _header(applied) != _header(wanted):
                return None
            others = [line for line in wanted.lines if line.line_key not in waiting]
            kept = [line for line in applied.lines if line.line_key in waiting]
            wanted = wanted.model_copy(update={"lines": (*others, *kept)})
        if wanted is None:
            return PlannedWrite(Kind.INBOUND_ORDER, keys) if self.may_stand else None
        if s.customer_code is None or self.departed() is not None or self._is_left_to_axerrio():
            return None
        again = self._is_ours_again() or (self._is_rejected() and not s.axerrio.answer_counts)
        again = again or self.is_unsure(Kind.INBOUND_ORDER)
        if applied is not None and _same(applied, wanted) and not again:
            return None
        return PlannedWrite(Kind.INBOUND_ORDER, keys, inbound=wanted)

    def _wanted(self) -> Order | None:
        """The order as Axerrio shall have it; None: not at all."""
        s = self.s
        lines = tuple(wanted for line in s.lines if (wanted := self._line_wanted(line)) is not None)
        if not lines or self.ask.is_withdrawn:
            return None
        return s.wanted.model_copy(update={"lines": lines, "version": 0, "buyer_code": s.customer_code or ""})

    def _line_wanted(self, line: LineFacts) -> Line | None:
        """The line as Axerrio shall have it. While Komet does not know its product it is left as Axerrio has it."""
        if not line.is_open or all(item.mapped for item in line.live_items):
            return line.wanted if line.is_open else None
        applied = self.s.axerrio.applied.lines if self.s.axerrio.applied is not None else ()
        return next((each for each in applied if each.line_key == line.line_key), None)

    def loss(self) -> tuple[str, ...]:
        """What of the order that Axerrio has would go or become another one, for people; empty: nothing."""
        applied, wanted = self.s.axerrio.applied, self._wanted()
        if applied is None or (self.ask.takes_no_change and self._too_late() is None):
            return ()
        if wanted is None:
            return ("cancelled",)
        lost = losses(applied, wanted)
        kept = wanted.model_copy(update={"lines": tuple(line for line in wanted.lines if _is_in(line, applied))})
        return tuple(_differences(applied, kept)) or (("other goods",) if lost else ())

    def departed(self) -> Hold | None:
        """It was received in time, and left before Axerrio had it, or had decided on it."""
        s, wanted = self.s, self._wanted()
        if wanted is None or self.ask.open(Kind.INBOUND_ORDER) is not None:
            return None
        if self.may_stand and not self._is_undecided:
            return None
        days = [line.departure_date for line in wanted.lines]
        last = max((day for day in days if day is not None), default=wanted.truck_date)
        if wanted.truck_date >= s.today and (None in days or last >= s.today):
            return None
        words = "and Axerrio has not decided on it" if self.may_stand else "before it was sent to Axerrio"
        return self.ask.hold(HoldCode.DEPARTED, f"It left on {last}, {words}.")

    @property
    def _is_undecided(self) -> bool:
        """Axerrio thinks it over, and has taken no line of it before."""
        is_pending = self.s.axerrio.answer is not None and self.s.axerrio.answer.decision is InboundStatus.PENDING
        return is_pending and all(line.axerrio_line_key is None for line in self.s.lines)

    def _too_late(self) -> Hold | None:
        """What Komet changed after Axerrio shipped the order."""
        before, wanted = self.s.axerrio.applied or self.s.axerrio.record, self._wanted()
        if before is None or wanted is None:
            changes = [] if before is wanted else ["cancelled"]
        else:
            changes = _differences(before, wanted, is_translated=True)
        if not changes:
            return None
        words = ", ".join(changes)
        changed = f"Komet changed it ({words})" if self.s.cancelled_by is None else self.ask.withdrawn
        message = (
            f"Axerrio has shipped the order and takes no change of it any more, and {changed}: that cannot be undone "
            "from here."
        )
        return self.ask.conflict(None, f"shipped in Axerrio: {words}", message, THEIRS)

    def _is_rejected(self) -> bool:
        answer = self.s.axerrio.answer
        if answer is None:
            return False
        refused = any(each.is_accepted is False for each in answer.lines)
        refused = refused or any(self.ask.is_passed_over(line) for line in self.s.lines)
        return refused or answer.decision is InboundStatus.REJECTED

    def edited_in_axerrio(self) -> Hold | None:
        """A person changed in Axerrio an order that was born in Komet."""
        fact, words = self.edit()
        if not fact or self._agree():
            return None
        changed = f"A person changed in Axerrio {words}."
        if self.ask.takes_no_change:
            message = f"{changed} Axerrio has shipped the order and takes no change any more: theirs leaves it so."
            return self.ask.conflict(None, fact, message, THEIRS)
        message = f"{changed} Komet is its origin: ours sends Komet's version again, theirs leaves Axerrio's."
        return self.ask.conflict(None, fact, message, THEIRS, OURS)

    def _changed_since_theirs(self) -> Hold | None:
        """A person decided that his change in Axerrio stands, and Komet's version became another one since."""
        fact, words, since = self._since_theirs()
        if not since:
            return None
        message = (
            f"A person changed in Axerrio {words}, which was to stay, and Komet's version has changed since "
            f"({since}). Ours sends Komet's version, theirs leaves Axerrio's."
        )
        return self.ask.conflict(None, fact, message, THEIRS, OURS)

    def _since_theirs(self) -> tuple[str, str, str]:
        """Fact of both changes and the words for each; all empty where there are no two."""
        fact, words = self.edit()
        applied, wanted = self.s.axerrio.applied, self._wanted()
        is_theirs = bool(fact) and self.ask.decided(None, fact) == THEIRS and not self.ask.takes_no_change
        if not is_theirs or self._agree() or applied is None or wanted is None or _same(applied, wanted):
            return "", "", ""
        since = ", ".join(_differences(applied, wanted)) or "details"
        return f"{fact}, then Komet: {since}", words, since

    def _is_left_to_axerrio(self) -> bool:
        """A person changed it there, and nobody decided for Komet's version."""
        fact, _ = self.edit()
        return bool(fact) and not self._is_ours_again() and not self._agree()

    def _agree(self) -> bool:
        """What a person made of it in Axerrio is what Komet wants by now."""
        holds, wanted = self.s.axerrio.holds, self._wanted()
        if holds is None or wanted is None or holds.status is OrderStatus.CANCELLED:
            return False
        return not _differences(wanted, holds)

    def _is_ours_again(self) -> bool:
        """A person decided that Komet's version is sent again."""
        facts = (self.edit()[0], self._since_theirs()[0])
        return any(fact and self.ask.decided(None, fact) == OURS for fact in facts)

    def edit(self) -> tuple[str, str]:
        """What a person changed in Axerrio: one word for the fact, and one for people; both empty where nothing."""
        applied, holds = self.s.axerrio.applied, self.s.axerrio.holds
        if applied is None:
            return "", ""
        if self.s.axerrio.is_deleted:
            return f"{EDITED}deleted", "the order, which Komet still wants: it was deleted there"
        if holds is None:
            return "", ""
        if holds.status is OrderStatus.CANCELLED:
            return f"{EDITED}cancelled", "the order, which Komet still wants: it was cancelled there"
        # What stands there is not what was sent last, or may be what was given up.
        if not self.ask.is_taken or self.is_unsure(Kind.INBOUND_ORDER):
            return "", ""
        refused = {line.line_key for line in self.s.lines if line.axerrio_line_key is None}
        answer = self.s.axerrio.answer
        refused |= {each.external_line_id for each in answer.lines if each.is_accepted is False} if answer else set()
        changes = ", ".join(_differences(applied, holds, refused))
        return (f"{EDITED}{changes}", f"it ({changes})") if changes else ("", "")

    # -- its place in Komet ----------------------------------------------------------------------------------

    def is_linked(self, line: LineFacts) -> bool:
        """Axerrio holds one of the line's prebook items and one of its purchase order items: a split moves neither."""
        applied = self.s.references_applied.lines if self.s.references_applied else ()
        held = next((each for each in applied if each.line_key == line.axerrio_line_key), None)
        return (
            held is not None
            and held.prebook_item_id in {item.item_id for item in self._standing(line)}
            and held.purchase_order_item_id in {item.item_id for item in line.covering}
        )

    def references(self) -> References:
        """What Axerrio shall hold of the order's place in Komet."""
        of_axerrio = self.s.origin is Origin.AXERRIO  # it knows no more of a line that it removed
        lines = [
            line
            for line in self.s.lines
            if self._standing(line) and line.axerrio_line_key is not None and not (of_axerrio and line.wanted is None)
        ]
        items = [item for line in lines for item in self._standing(line)]
        if not items:
            return References()
        purchase_orders = {(each.purchase_order_id, each.number): None for line in lines for each in line.covering}
        of_lines = []
        for line in lines:
            live = line.covering
            item = most_bought(self._standing(line))
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

    def _standing(self, line: LineFacts) -> tuple[PrebookItemFacts, ...]:
        """Its prebook items; where none holds anything any more, those that are still covered."""
        return line.live_items or tuple(item for item in line.prebook_items if item.covering)

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
        told, is_unsure = self.s.report_applied, self.is_unsure(Kind.PROCUREMENT_STATUS)
        if not states:
            overall, shown = PurchaseOrderStatus.CANCELLED, cancelled
        elif all(status is PurchaseOrderStatus.APPROVED for status in states.values()):
            overall, shown = PurchaseOrderStatus.APPROVED, states
        else:
            overall, shown = PurchaseOrderStatus.PENDING, states
        if not shown:
            return None
        if overall is PurchaseOrderStatus.PENDING and (told is None or told.status is overall) and not is_unsure:
            return None  # Axerrio takes an order as pending until it is told otherwise
        report = ApprovalReport(
            status=overall,
            purchase_orders=tuple(
                PurchaseOrderState(number=number, status=status) for number, status in sorted(shown.items())
            ),
            linked=self._linked_items(),
        )
        if told is None or is_unsure or report != told.model_copy(update={"linked": report.linked}):
            return report
        # Axerrio prints the labels of what is linked when it is told: what is linked later must be told anew.
        is_news = overall is PurchaseOrderStatus.APPROVED and not set(report.linked) <= set(told.linked)
        return report if is_news and self.s.origin is Origin.AXERRIO else None

    def _linked_items(self) -> tuple[str, ...]:
        """Prebook items that Axerrio holds with a purchase order item."""
        applied = self.s.references_applied.lines if self.s.references_applied else ()
        return tuple(
            sorted(each.prebook_item_id for each in applied if each.prebook_item_id and each.purchase_order_item_id)
        )


def losses(applied: Order, wanted: Order) -> dict[str, Json | None]:
    """What of an order that Axerrio has is wanted otherwise now: by line, None where not at all; '' is the header.

    Prices, notes and lines that are new take nothing away.
    """
    lines = {line.line_key: _goods(line) for line in wanted.lines if line.status is LineStatus.OPEN}
    lost = {line.line_key: lines.get(line.line_key) for line in applied.lines}
    lost = {line.line_key: lost[line.line_key] for line in applied.lines if _goods(line) != lost[line.line_key]}
    header = _header(wanted)
    return lost | ({"": header} if header != _header(applied) else {})


def _goods(line: Line) -> Json:
    return line.model_dump(exclude={"unit_price", "notes", "status"})


def _header(order: Order) -> Json:
    return order.model_dump(include={"truck_date", "buyer_code", "carrier_code"})


def _is_in(line: Line, order: Order) -> bool:
    return any(each.line_key == line.line_key for each in order.lines)


def _differences(
    before: Order, after: Order, ignored: Collection[str | None] = (), *, is_translated: bool = False
) -> list[str]:
    """What became another one in an order, for people; lines go by their Komet items.

    Args:
        before: one version.
        after: the other.
        ignored: items that do not count.
        is_translated: a mapping may have changed, so that Axerrio's words for the same thing are no difference.
    """
    left_out = _TRANSLATED if is_translated else ()
    changes = _changed(before, after, [name for name in _OF_ORDER if name not in left_out])
    there = {line.external_line_id: line for line in after.lines}
    for line in before.lines:
        key = line.external_line_id
        other = there.pop(key, None)
        if key in ignored or line.status is LineStatus.CANCELLED:
            continue
        if other is None or other.status is LineStatus.CANCELLED:
            changes.append(f"line {key} ({line.boxes} boxes) → none")
            continue
        words = [] if is_translated else _other_goods(line, other)
        words += _changed(line, other, [name for name in _OF_LINE if name not in left_out])
        changes += [f"line {key} {word}" for word in words]
    added = [line for line in there.values() if line.status is LineStatus.OPEN]
    return changes + [f"a line of {line.boxes} boxes {line.article.description} was added" for line in added]


def _changed(before: Canonical, after: Canonical, fields: Collection[str]) -> list[str]:
    """Which of these fields say something else, for people; what one side does not say is no change."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in fields]
    return [
        f"{name.replace('_', ' ')} {old} → {new}"
        for name, old, new in pairs
        if old not in (None, "", 0) and not _alike(old, new) and (name not in _UNSAID or new != _UNSAID[name])
    ]


def _alike(old: object, new: object) -> bool:
    """Codes may come back in other letters."""
    return old == new or (isinstance(old, str) and isinstance(new, str) and old.casefold() == new.casefold())


def _leaves(step: Step | None) -> bool:
    """Boxes of the line are on their way."""
    return step is not None and step.state in (OrderState.ORDERED, OrderState.APPROVED, OrderState.SHIPPED)


def _other_goods(before: Line, after: Line) -> list[str]:
    """Another article, or other contents of a mixed box; what was sent without codes Axerrio names as it likes."""
    sides = [_contents(before) or before.article.code, _contents(after) or after.article.code]
    is_said = all(sides) and bool(_contents(before)) == bool(_contents(after))
    return [f"article {sides[0]} → {sides[1]}"] if is_said and not _alike(*sides) else []


def _contents(line: Line) -> str:
    """What a mixed box holds, for people; empty where it is none, or not all of it is said."""
    parts = line.breakdown if all(part.article.code for part in line.breakdown) else ()
    return " + ".join(sorted(f"{part.bunches} {part.article.code}" for part in parts))


def _same(applied: Order, wanted: Order) -> bool:
    """Whatever the order of its lines."""
    return _sorted(applied.model_copy(update={"version": 0})) == _sorted(wanted)


def _sorted(order: Order) -> Order:
    return order.model_copy(update={"lines": tuple(sorted(order.lines, key=lambda line: line.line_key))})
