"""The drift: where the two systems differ, line by line, and what to type next.

A pure function of the situation that the plan is made of, fresh from a read of both systems, and of what that read
showed beside it. What a person changed, deleted or doubled is drift at once, unless a person decided that it stays.
What the plan would still write is drift only where nobody is about to write it; a line that waits for a person is
drift where the two systems differ.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from shlex import quote

from models.canonical import (
    LineReference,
    OrderStatus,
    Origin,
    Prebook,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderStatus,
    References,
)
from models.canonical import PurchaseOrderItem as SeenItem
from models.states import Feed, HoldCode, Kind, OrderState
from tasks.plan.facts import (
    KOMET_WRITES,
    Change,
    LineFacts,
    Plan,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    Situation,
    most_bought,
)
from tasks.plan.lines import gone
from tasks.plan.order import Planner
from tasks.plan.questions import DRAFT, EDITED, OURS, THEIRS, Questions
from tasks.plan.sent import changes
from tasks.plan.shipping import by_hand, nothing_is_left_beside


class DriftKind(StrEnum):
    """In what way the two systems differ."""

    #: What stood in the other system, or ought to, does not.
    MISSING = "missing"
    #: More boxes of a line stand in Komet than are wanted, or a prebook or purchase order stands twice.
    DOUBLED = "doubled"
    #: A purchase order item of our goods covers no prebook item.
    UNLINKED = "unlinked"
    #: A field is another one than was sent, or than is wanted.
    DIFFERENT = "different"


@dataclass(frozen=True)
class Drift:
    """One difference, in the words of the trade."""

    kind: DriftKind
    #: As the interface shows it; None: of the whole order.
    line_key: str | None
    #: What its origin wants or what was sent; and what stands in the other system.
    ours: str
    theirs: str
    next_command: str


@dataclass(frozen=True)
class Remark:
    """The comments of a prebook of ours: as they were sent, and as Komet shows them."""

    prebook: str
    sent: str
    shown: str


@dataclass(frozen=True)
class Sight:
    """What the newest reads showed of an order that the ledger does not keep."""

    #: Ids of all prebook items that the read showed; None: it was not whole, so that nothing is missed by it.
    prebook_items: Collection[str] | None = None
    #: First and last ship date of items that it must show.
    days: tuple[date, date] = (date.max, date.min)
    #: Ids of all purchase order items that the reads showed, and the ship dates of which it must show all.
    order_items: Collection[str] = ()
    ship_dates: Collection[date] = ()
    remarks: tuple[Remark, ...] = ()
    #: Prebooks that carry a mark of the order beside the one that was made with it.
    copies: tuple[Prebook, ...] = ()
    #: Items of its prebooks that are no line's, with the prebook's number.
    strays: tuple[tuple[str, PrebookItem], ...] = ()
    #: What Axerrio itself holds of the order's place in Komet; None: it was not asked.
    links: References | None = None


def drift(situation: Situation, plan: Plan, sight: Sight, *, in_progress: bool) -> tuple[Drift, ...]:
    """Where the order differs in the two systems.

    Args:
        situation: as it is after the reads.
        plan: of that situation.
        sight: what the reads showed beside it.
        in_progress: what the plan would still write is about to be written.
    """
    return _Comparison(situation, plan, sight, in_progress=in_progress).all()


class _Comparison:
    """Compares one order."""

    def __init__(self, situation: Situation, plan: Plan, sight: Sight, *, in_progress: bool) -> None:
        planner = Planner(situation)
        self.s, self.plan, self.sight, self.in_progress = situation, plan, sight, in_progress
        self.ask, self.lines, self.shipping, self.back = planner.ask, planner.lines, planner.shipping, planner.back
        self.found: list[Drift] = []
        #: Facts for a person that were told, by line.
        self.told: set[tuple[str | None, str]] = set()

    def all(self) -> tuple[Drift, ...]:
        if self.plan.state.is_final:
            return ()
        s = self.s
        if s.origin is Origin.AXERRIO and s.wanted.status is OrderStatus.DRAFT and not self.ask.is_withdrawn:
            self._draft()
        else:
            for line in s.lines:
                if self.ask.open(*KOMET_WRITES, line=line) is None or self._waits(line):
                    self._line(line)
        self._prebooks()
        if s.origin is Origin.KOMET:
            self._edited_in_axerrio()
        self._links()
        self._conflicts()
        self._unsent()
        return tuple(self.found)

    # -- saying it -------------------------------------------------------------------------------------------

    def _add(
        self,
        kind: DriftKind,
        line: LineFacts | None,
        ours: str,
        theirs: str,
        *,
        fact: str | None = None,
        command: str | None = None,
    ) -> None:
        if fact is not None:
            self.told.add((line.line_key if line else None, fact))
        key = _key(line) if line else None
        self.found.append(Drift(kind, key, ours, theirs, command or self._command(line, fact)))

    def _command(self, line: LineFacts | None, fact: str | None) -> str:
        """What to type next: what a hold of this fact says, else of the line, else of the order."""
        key = line.line_key if line else None
        holds = [hold for hold in self.plan.holds if hold.line_key == key and hold.fact is not None]
        holds.sort(key=lambda hold: hold.fact != fact)
        shown = next((hold for hold in self.plan.holds if hold.next_command == self.plan.next_command), None)
        commands = [hold.next_command for hold in holds] if line or fact else []
        if self.plan.next_command is not None and (shown is None or shown.line_key in (None, key)):
            commands.append(self.plan.next_command)
        runs = (each for each in commands if not any(blank in each for blank in _BLANKS))
        return next(runs, f"axkomet orders show {self.ask.key}")

    def _poll(self, feed: Feed) -> str:
        """The command that reads once more: only the second read that misses something proves that it is gone."""
        if feed is Feed.KOMET_PREBOOKS or any(look.feed is feed for look in self.plan.looks):
            return f"axkomet poll {self.s.connection} {feed.value}"
        return f"axkomet orders show {self.ask.key}"

    def _waits(self, line: LineFacts) -> bool:
        """For a person."""
        return self.plan.line_states.get(line.line_key) in _WAITS or self.plan.state is OrderState.FAILED

    def _goes_on(self, line: LineFacts) -> bool:
        """What the line needs is about to be written, or looked for."""
        return self.in_progress and not self._waits(line)

    def _settled(self, line: LineFacts, fact: str) -> bool:
        """A person decided on it, and what is left to do for that is about to be done."""
        choice = self.ask.decided(line.line_key, fact)
        return choice == THEIRS or (choice == OURS and self._goes_on(line))

    # -- lines -----------------------------------------------------------------------------------------------

    def _line(self, line: LineFacts) -> None:
        if not self.ask.is_desired(line):
            self._unwanted(line)
            return
        if not line.live_items:
            self._absent(line)
            return
        if self.s.origin is Origin.AXERRIO:
            self._twice(line)
        item = most_bought(line.live_items)
        if self._is_hidden(line, item):
            self._add(
                DriftKind.MISSING,
                line,
                self._wants(line),
                f"Komet shows prebook item {item.item_id} of prebook {item.name} no more",
                command=self._poll(Feed.KOMET_PREBOOKS),
            )
            return
        count = len(self.found)
        self._item(line, item)
        if self.s.origin is Origin.KOMET and line.axerrio_line_key is None:
            if line.is_open and not self._goes_on(line):
                self._add(DriftKind.MISSING, line, f"Komet: {_stands(item)}", "Axerrio: no such line")
            return
        self._orders(line, item)
        if len(self.found) == count:
            self._boxes(line)

    def _wants(self, line: LineFacts) -> str:
        return f"{_SYSTEM[self.s.origin]}: {_goods(line)}"

    def _unwanted(self, line: LineFacts) -> None:
        """Its origin wants it no more, and it stands."""
        for item in line.prebook_items:
            covering = item.covering
            if not covering and not (item.is_live and self.s.origin is Origin.AXERRIO):
                continue
            removal = self.lines.stale(line, item) if self.s.origin is Origin.AXERRIO else None
            fact = removal.fact if removal is not None else gone(item)
            if self._settled(line, fact) or self._goes_on(line):
                continue
            stands = [_stands(item)] if item.is_live else []
            ours = f"{_SYSTEM[self.s.origin]}: {'cancelled' if self.ask.is_withdrawn else 'removed'}"
            theirs = f"Komet: {', '.join([*stands, *map(_bought, covering)])}"
            self._add(DriftKind.DIFFERENT, line, ours, theirs, fact=fact)

    def _absent(self, line: LineFacts) -> None:
        """No item of it holds boxes in Komet."""
        if self.s.origin is Origin.KOMET or not line.is_open or self._goes_on(line):
            return
        if any(self.lines.is_given_up(line, item) for item in line.prebook_items):
            return
        left = [each for item in line.prebook_items for each in item.covering]
        last = [f"prebook item {item.item_id} of prebook {item.name} is gone" for item in line.prebook_items[-1:]]
        theirs = ", ".join([*last, *(f"still there: {_bought(each)}" for each in left)]) or "no prebook item"
        fact = self.lines.fact_of_loss(line, line.prebook_items[-1]) if line.prebook_items else None
        self._add(DriftKind.MISSING, line, self._wants(line), f"Komet: {theirs}", fact=fact)

    def _twice(self, line: LineFacts) -> None:
        """It stands in several prebook items, or what is bought for one that is gone stands beside it."""
        for _, fact in self.lines.surplus(line.live_items):
            if not self._settled(line, fact) and not self._goes_on(line):
                both = " and ".join(map(_stands, line.live_items))
                self._add(DriftKind.DOUBLED, line, self._wants(line), f"Komet: {both}", fact=fact)
        for item in line.prebook_items:
            if item.is_live or not item.covering or self._settled(line, gone(item)) or self._goes_on(line):
                continue
            left = ", ".join(map(_bought, item.covering))
            theirs = f"Komet: {_stands(line.live_items[0])}, and {left} for prebook item {item.item_id}, which is gone"
            self._add(DriftKind.DOUBLED, line, self._wants(line), theirs, fact=gone(item))

    def _is_hidden(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        """The read should have shown it and did not."""
        shown = self.sight.prebook_items
        word = item.material.get("ship_date")
        day = date.fromisoformat(word) if word else line.ship_date
        if shown is None or item.item_id in shown or day is None:
            return False
        first, last = self.sight.days
        return first <= day <= last and (item.seen or not self._goes_on(line))

    def _item(self, line: LineFacts, item: PrebookItemFacts) -> None:
        """What its prebook item says."""
        sent, wanted = item.sent, line.wanted_as_sent
        where = f"prebook item {item.item_id} of prebook {item.name}"
        if sent is None or wanted is None:
            return
        stale = self.lines.stale(line, item)
        newer = changes(sent, wanted)
        edit = self.lines.edit_of(item)
        edits = [change for change in item.changes if change.field != "boxes"]
        if item.boxes != sent["boxes"]:
            edits.insert(0, Change("boxes", sent["boxes"], item.boxes))
        if stale is not None and newer and not self._settled(line, stale.fact) and not self._goes_on(line):
            told = {each.field: Change(each.field, each.after, each.before) for each in newer}
            if stale.undoes:
                told |= {
                    each.field: replace(each, before=told[each.field].before) if each.field in told else each
                    for each in edits
                }
            self._differs(line, told.values(), where, ours=_SYSTEM[self.s.origin], fact=stale.fact)
        is_told = stale is not None and stale.undoes
        if edit is not None and not self._settled(line, edit) and not is_told:
            self._differs(line, edits, where, fact=edit)
        kept = item.material.get("cost")
        if edit is None and not sent.get("breakdown") and kept and sent["unit_cost"]:
            before, after = Decimal(str(sent["unit_cost"])), Decimal(str(kept))
            if before != after:
                self._differs(line, [Change("cost", before, after)], where)

    def _differs(
        self, line: LineFacts, told: Iterable[Change], where: str, *, ours: str = "sent", fact: str | None = None
    ) -> None:
        before, after = _sides(told)
        self._add(DriftKind.DIFFERENT, line, f"{ours}: {before}", f"Komet: {after}, {where}", fact=fact)

    def _orders(self, line: LineFacts, item: PrebookItemFacts) -> None:
        """What was bought of it."""
        if line.ship_date is None:
            return
        active, count = item.covering, len(self.found)
        outdated = self.lines.purchases.outdated(line, item, active, line.ship_date)
        if outdated is not None and not self._settled(line, outdated.fact) and not self._goes_on(line):
            theirs = f"Komet: {', '.join(map(_bought, active))}, bought before that"
            self._add(DriftKind.DIFFERENT, line, outdated.words, theirs, fact=outdated.fact)
        is_over = self.lines.purchases.facts_of_orders(line, item, active, is_outdated=outdated is not None)
        as_it_is = self.lines.stays_as_it_is(line, item)
        for each in is_over:
            if as_it_is or self._settled(line, each.fact):
                continue
            bought = " and ".join(map(_bought, each.again))
            if each.changes:
                self._differs(line, each.changes, bought, fact=each.fact)
            elif each.again:
                is_double = len(each.again) > 1 and sum(one.boxes for one in each.again) > item.boxes
                kind = DriftKind.DOUBLED if is_double else DriftKind.DIFFERENT
                self._add(kind, line, f"Komet's prebook: {_stands(item)}", f"Komet: {bought}", fact=each.fact)
            elif each.lost is not None:
                what = "was cancelled" if each.lost.boxes else "is gone"
                theirs = f"Komet: item {each.lost.item_id} of purchase order {each.lost.number} {what}"
                self._add(DriftKind.MISSING, line, self._wants(line), theirs, fact=each.fact)
        for bought_item in active:
            if bought_item.ship_date in self.sight.ship_dates and bought_item.item_id not in self.sight.order_items:
                number = bought_item.number
                self._add(
                    DriftKind.MISSING,
                    line,
                    self._wants(line),
                    f"Komet shows item {bought_item.item_id} of purchase order {number} no more",
                    command=self._poll(Feed.KOMET_PURCHASE_ORDERS),
                )
        is_wanted = line.is_open and item.mapped and not is_over and not self._goes_on(line)
        if not active and is_wanted and len(self.found) == count and not self._is_edited(line, item):
            theirs = f"Komet: {_stands(item)}, and no purchase order"
            self._add(DriftKind.MISSING, line, f"{self._wants(line)}, bought", theirs)

    def _is_edited(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        """The line waits before its purchase order for a word on what a person changed, which is told already."""
        edit = self.lines.edit_of(item)
        return edit is not None and self.ask.decided(line.line_key, edit) is None

    # -- what left -------------------------------------------------------------------------------------------

    def _boxes(self, line: LineFacts) -> None:
        """Boxes that left, and their labels."""
        items = line.covering
        labels = self.shipping.labels(line)
        shown = {code for each in items for code in each.box_codes}
        foreign = self.shipping.foreign_boxes(line, items, labels)
        if foreign and not self._settled(line, by_hand(foreign)):
            theirs = f"Komet: boxes {', '.join(foreign)}, not sent from here"
            ours = f"sent: {_codes(box.box_code for box in line.boxes)}"
            self._add(DriftKind.DIFFERENT, line, ours, theirs, fact=by_hand(foreign))
            return
        is_full = nothing_is_left_beside(foreign, items)
        if is_full and not line.boxes:
            return
        done = self.ask.done((Kind.AWB_ADD, Kind.BOX_CODE_CHANGE), line)
        was_seen = done is not None and done.shown
        hidden, coded = [], []
        for box in self.shipping.standing(line).boxes:
            code = labels.code_of(box.label_key)
            if box.box_code not in shown and code not in shown:
                hidden.append(box)
            elif code is not None and code not in shown:
                coded.append(Change("box code", code, box.box_code))
        if hidden and (was_seen or not self._goes_on(line)):
            awbs = ", ".join(dict.fromkeys(box.awb for box in hidden))
            ours = f"sent: {_codes(box.box_code for box in hidden)} on air waybill {awbs}"
            there = ", ".join(map(_bought, items))
            self._add(DriftKind.MISSING, line, ours, f"Komet: none of these codes on {there}")
        if coded and not self._goes_on(line):
            before, after = _sides(coded)
            self._add(DriftKind.DIFFERENT, line, f"Axerrio: {before}", f"Komet: {after}")
        self._shipments(line, items)

    def _shipments(self, line: LineFacts, items: Sequence[PurchaseOrderItemFacts]) -> None:
        """Boxes that left in Axerrio and not in Komet."""
        if self._goes_on(line) or not self.shipping.may_leave(items):
            return
        if len(self.shipping.standing(line).boxes) >= sum(entry.boxes for _, entry in self.ask.entries(line)):
            return
        for shipment, entry in self.shipping.untold(line):
            if self.shipping.awaited(shipment) is not None:
                continue
            boxes = [box for box in line.boxes if box.shipment_key == shipment.key]
            ours = f"Axerrio: {_count(entry.boxes)} on air waybill {shipment.awb}, shipment {shipment.key}"
            self._add(DriftKind.MISSING, line, ours, f"Komet: {len(boxes)} of them on it")

    # -- the order -------------------------------------------------------------------------------------------

    def _draft(self) -> None:
        """Axerrio took it back to draft."""
        live = [item for line in self.s.lines for item in line.live_items]
        if live and self.ask.decided(None, DRAFT) is None:
            stands = ", ".join(map(_stands, live))
            self._add(DriftKind.DIFFERENT, None, "Axerrio: a draft", f"Komet: {stands}", fact=DRAFT)

    def _prebooks(self) -> None:
        """Its prebooks: what a person wrote into their comments, copied, or added."""
        for remark in self.sight.remarks:
            if remark.shown.split() != remark.sent.split():
                theirs = f'Komet: comments "{remark.shown}" of prebook {remark.prebook}'
                self._add(DriftKind.DIFFERENT, None, f'sent: comments "{remark.sent}"', theirs)
        wanted = sum(line.wanted.boxes for line in self.s.lines if line.wanted is not None and line.is_open)
        for copy in self.sight.copies:
            boxes = sum(item.boxes for item in copy.items)
            if boxes:
                theirs = f"Komet: {_count(boxes)} more in prebook {copy.number}, which carries the order's mark too"
                self._add(DriftKind.DOUBLED, None, f"{_SYSTEM[self.s.origin]}: {_count(wanted)}", theirs)
        for number, item in () if self.in_progress else self.sight.strays:
            what = item.product_description or "a product without a name"
            theirs = f"Komet: {_count(item.boxes)} {what} more, prebook item {item.item_id} of prebook {number}"
            self._add(DriftKind.DOUBLED, None, f"{_SYSTEM[self.s.origin]}: {_count(wanted)}, in its lines", theirs)

    def _edited_in_axerrio(self) -> None:
        """A person changed in Axerrio what Komet is the origin of."""
        fact, words = self.back.edit()
        choice = self.ask.decided(None, fact)
        if not fact or choice == THEIRS or (choice == OURS and self.in_progress):
            return
        name = f"prebook {self.s.wanted.number}"
        if "→" in words:
            before, after = _split(fact.removeprefix(EDITED))
            self._add(DriftKind.DIFFERENT, None, f"Komet's {name}: {before}", f"Axerrio: {after}", fact=fact)
        else:
            self._add(
                DriftKind.MISSING, None, f"Komet: {name}", f"Axerrio: {fact.removeprefix(EDITED)} there", fact=fact
            )

    def _links(self) -> None:
        """What Axerrio holds of its place in Komet."""
        s = self.s
        if not self.back.can_be_told or self.ask.open(Kind.EXTERNAL_REFERENCES) is not None or self.ask.is_withdrawn:
            return
        told = _by_line(s.references_applied)
        if not self.in_progress:
            self._compare_links(_by_line(self.back.references()), told, None)
        if s.references_applied is not None and self.sight.links is not None:
            self._compare_links(told, _by_line(self.sight.links), self.ask.requeue())

    def _compare_links(
        self, ours: dict[str, LineReference], theirs: dict[str, LineReference], command: str | None
    ) -> None:
        lines = {line.axerrio_line_key: line for line in self.s.lines}
        for key, link in ours.items():
            held = theirs.get(key)
            if _link(link) == (_link(held) if held else None):
                continue
            kind = DriftKind.DIFFERENT if held and held.prebook_item_id else DriftKind.MISSING
            says = _link(held) if held and held.prebook_item_id else "no link of the line"
            self._add(kind, lines.get(key), f"Komet: {_link(link)}", f"Axerrio: {says}", command=command)

    def _conflicts(self) -> None:
        """What else a person must decide."""
        lines = {line.line_key: line for line in self.s.lines}
        here = _SYSTEM[self.s.origin]
        other = "Axerrio" if self.s.origin is Origin.KOMET else "Komet"
        for hold in self.plan.holds:
            if hold.code is HoldCode.CONFLICT and hold.fact and (hold.line_key, hold.fact) not in self.told:
                _, _, words = hold.fact.partition(": ")
                before, after = _split(words) if "→" in words else ("as it was told before", words or hold.fact)
                line = lines.get(hold.line_key or "")
                self._add(DriftKind.DIFFERENT, line, f"{here}: {after}", f"{other}: {before}", fact=hold.fact)

    def _unsent(self) -> None:
        """What the plan would still write, and nothing above says."""
        if self.in_progress:
            return
        said = {each.line_key for each in self.found}
        lines = {line.line_key: line for line in self.s.lines}
        for write in self.plan.writes:
            system = "Axerrio" if write.kind not in KOMET_WRITES else "Komet"
            of_lines = [lines[key] for key in write.line_keys if key in lines]
            if write.report is not None:
                told = self.s.report_applied.status.value if self.s.report_applied else "nothing yet"
                status = write.report.status.value
                self._add(DriftKind.DIFFERENT, None, f"Komet: procurement {status}", f"Axerrio was told {told}")
            elif not said & {None, *map(_key, of_lines)}:
                line = of_lines[0] if len(of_lines) == 1 else None
                self._add(DriftKind.DIFFERENT, line, f"to be sent: {write.kind.value}", f"{system} does not have it")


# -- purchase orders that no prebook line leads to ---------------------------------------------------------------


@dataclass(frozen=True)
class Goods:
    """What a line wants of a ship date: by it a purchase order item without a prebook line is taken for its own."""

    order: str
    line_key: str
    boxes: int
    ship_date: date
    #: Komet's ids and both systems' words for its product.
    products: frozenset[str]
    is_bought: bool


def goods(situation: Situation) -> list[Goods]:
    """What the open lines of an order want."""
    wanted: list[Goods] = []
    if Questions(situation).is_withdrawn or situation.wanted.status is OrderStatus.DRAFT:
        return wanted
    for line in situation.lines:
        if not line.is_open or line.wanted is None or line.ship_date is None:
            continue
        names = {line.wanted.article.description, (line.wanted_as_sent or {}).get("product_description")}
        ids = {f"id {item.material['product_id']}" for item in line.live_items if item.material.get("product_id")}
        products = frozenset({name.casefold() for name in names if name} | ids)
        is_bought = any(item.covering for item in line.live_items)
        wanted.append(Goods(situation.key, _key(line), line.wanted.boxes, line.ship_date, products, is_bought))
    return wanted


def owner(order: PurchaseOrder, item: SeenItem, wanted: Sequence[Goods]) -> Goods | None:
    """Whose a purchase order item may be that names no prebook item: one that is not bought comes first."""
    if item.prebook_item_id is not None or not item.boxes or order.status is PurchaseOrderStatus.CANCELLED:
        return None
    names = {(item.product_description or "").casefold(), f"id {item.product_id}"}
    alike = [each for each in wanted if each.ship_date == order.ship_date and each.products & names]
    return min(alike, key=lambda each: (each.is_bought, each.boxes != item.boxes), default=None)


def unlinked(order: PurchaseOrder, item: SeenItem, line: Goods) -> Drift:
    """A purchase order item of a line's goods covers no prebook item."""
    bought = "bought" if line.is_bought else "not bought yet"
    what = item.product_description or "without a name"
    theirs = f"Komet: {_count(item.boxes)} {what}, item {item.item_id} of purchase order {order.number}"
    return Drift(
        DriftKind.UNLINKED,
        line.line_key,
        f"{_count(line.boxes)} of the line, {bought}",
        f"{theirs}, for no prebook line",
        f"axkomet orders show {quote(line.order)}",
    )


def copied(seen: Prebook, command: str) -> Drift:
    """A prebook carries the mark of an order that it is none of, so that it starts no order of its own."""
    boxes = sum(item.boxes for item in seen.items)
    return Drift(
        DriftKind.MISSING,
        None,
        f"Axerrio: no order for prebook {seen.number}",
        f"Komet: {_count(boxes)} in it, with the mark {seen.mark} in its comments, which a person copied: taken out "
        "there, it becomes an order",
        command,
    )


# -- words -------------------------------------------------------------------------------------------------------

_SYSTEM = {Origin.AXERRIO: "Axerrio", Origin.KOMET: "Komet's prebook"}
_WAITS = (OrderState.HELD, OrderState.MAPPING_REQUIRED)
#: A command that holds one of these is to be filled in, and does not run as it is.
_BLANKS = ("…", " ARTICLE ")


def _key(line: LineFacts) -> str:
    return line.axerrio_line_key or line.line_key


def _count(boxes: int) -> str:
    return f"{boxes} box" + ("" if boxes == 1 else "es")


def _goods(line: LineFacts) -> str:
    wanted = line.wanted
    return f"{_count(wanted.boxes)} {wanted.packing_code} {wanted.article.description}" if wanted else "nothing"


def _stands(item: PrebookItemFacts) -> str:
    return f"{_count(item.boxes)}, prebook item {item.item_id} of prebook {item.name}"


def _bought(item: PurchaseOrderItemFacts) -> str:
    return f"{_count(item.boxes)}, item {item.item_id} of purchase order {item.number}"


def _codes(codes: Iterable[str]) -> str:
    return f"boxes {', '.join(codes)}"


def _sides(told: Iterable[Change]) -> tuple[str, str]:
    """Both values of each field: as it was, and as it is."""
    pairs = [(each.field.replace("_", " "), each.before, each.after) for each in told]
    return ", ".join(f"{name} {old}" for name, old, _ in pairs), ", ".join(f"{name} {new}" for name, _, new in pairs)


def _split(words: str) -> tuple[str, str]:
    """Both sides of `name old → new, …`, as facts say it."""
    pairs = [each.partition(" → ") for each in words.split(", ")]
    return ", ".join(old for old, _, _ in pairs), ", ".join(new or old for old, _, new in pairs)


def _by_line(references: References | None) -> dict[str, LineReference]:
    return {each.line_key: each for each in references.lines} if references is not None else {}


def _link(reference: LineReference) -> str:
    bought = reference.purchase_order_item_id
    order = f", item {bought} of purchase order {reference.purchase_order_number}" if bought else ", not bought"
    return f"prebook item {reference.prebook_item_id}{order}"
