"""One line: from what stands to what is wanted, up to its prebook item. Its purchase order goes on from there.

A line of either origin comes to the same point: a live prebook item that Axerrio wants too. From there on purchase
order, links and approval are the same. What a newer version changed is removed and made anew, purchase order item
first, then prebook item; what a person changed in Komet is a conflict, never undone.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from shlex import quote

from clients.errors import RefusalKind
from models.canonical import InboundStatus, Json, Line, LineStatus, OrderStatus, Origin
from models.states import CHANGED, Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    Change,
    Hold,
    LineFacts,
    Look,
    Loss,
    PlannedWrite,
    PrebookItemFacts,
    WriteFacts,
    most_bought,
)
from tasks.plan.fit import invalid, unknown_packing
from tasks.plan.purchases import Purchases, Removal
from tasks.plan.questions import OURS, THEIRS, Questions, Step
from tasks.plan.sent import article_named, changes, keys_named_in, naming, product_named, said_of, speaks_of_the_article


class Lines:
    """The steps of an order's lines, of which those of their purchase orders are `purchases`."""

    def __init__(self, ask: Questions) -> None:
        self.ask = ask
        self.s = ask.s
        self.purchases = Purchases(ask)

    def step(self, line: LineFacts) -> Step | None:
        """Where the line stands; None for a line that asks for nothing and has nothing."""
        for kind, state in (
            (Kind.PREBOOK_CREATE, OrderState.RECEIVED),
            (Kind.PREBOOK_ITEM_DELETE, OrderState.RECEIVED),
            (Kind.PURCHASE_ORDER_ITEM_DELETE, OrderState.RECEIVED),
            (Kind.PURCHASE_ORDER_CREATE, OrderState.PREBOOKED),
            (Kind.PURCHASE_ORDER_MIXED_CREATE, OrderState.PREBOOKED),
            (Kind.AWB_ADD, OrderState.ORDERED),
            (Kind.BOX_CODE_CHANGE, OrderState.ORDERED),
        ):
            write = self.ask.open(kind, line=line)
            if write is not None:
                return self.ask.in_flight(line, write, state)
        return self._of_komet(line) if self.s.origin is Origin.KOMET else self._of_axerrio(line)

    def loss(self, line: LineFacts) -> Loss:
        """What of the line would go for what its origin says, unless a person decided that it stays."""
        return self._loss_of_komet(line) if self.s.origin is Origin.KOMET else self._loss_of_axerrio(line)

    def _loss_of_axerrio(self, line: LineFacts) -> Loss:
        going = [
            item
            for item in line.prebook_items
            if (removal := self.stale(line, item) or self.left_over(line, item)) is not None
            and self.ask.decided(line.line_key, removal.fact) != THEIRS
        ]
        seen = {item.write_id for item in line.prebook_items}
        unseen = [
            write
            for write in self.ask.writes((Kind.PREBOOK_CREATE,), line)
            if write.state in (WriteState.SENT, WriteState.DONE)
            and write.id not in seen
            and not (self.s.leaves_bad_items_out and write.shown)
            and self._is_outdated_by(line, said_of(write, line))
        ]
        live = sum(item.is_live for item in going)
        return Loss(live + len(unseen), sum(len(item.covering) for item in going))

    def _is_outdated_by(self, line: LineFacts, sent: Json | None) -> bool:
        """What was sent of the line, and no list has shown yet, is not what is wanted now."""
        if not self.ask.is_desired(line) or line.wanted_as_sent is None:
            return True
        return sent is not None and bool(changes(sent, line.wanted_as_sent))

    def _loss_of_komet(self, line: LineFacts) -> Loss:
        item = next(iter(line.live_items), None)
        if item is None or not line.is_open or self.ask.is_withdrawn:
            going = [each for each in line.prebook_items if self.ask.decided(line.line_key, gone(each)) != THEIRS]
            return Loss(0, sum(len(each.covering) for each in going))
        active = item.covering
        outdated = self.purchases.outdated(line, item, active, line.ship_date) if line.ship_date is not None else None
        has_left = bool(self.purchases.shipping.standing(line).boxes)
        if outdated is None or has_left or self.ask.decided(line.line_key, outdated.fact) == THEIRS:
            return Loss()
        return Loss(0, len(active))

    # -- born in Axerrio -------------------------------------------------------------------------------------

    def _of_axerrio(self, line: LineFacts) -> Step | None:
        matching, kept = [], False
        for item in line.prebook_items:
            if not item.is_live and not item.covering:
                continue
            removal = self.stale(line, item) or self.left_over(line, item)
            if removal is None:
                matching += [item] if item.is_live else []
                continue
            if self.ask.decided(line.line_key, removal.fact) == THEIRS:
                kept = True
                if self.ask.is_desired(line) and item.is_live:
                    matching.append(item)
                continue
            return self._remove(line, item, removal)
        if not self.ask.is_desired(line):
            unseen = self._made_and_unseen(line)
            if unseen is not None:
                return replace(unseen, state=OrderState.CANCELLING)
            return self.purchases.of_what_is_gone(line) or (Step(OrderState.CLOSED) if kept else None)
        if len(matching) > 1:
            surplus = self._surplus(line, matching)
            if surplus is not None:
                return surplus
        if not matching:
            return self._without_item(line)
        covered = self._covered_elsewhere(line)
        if covered is not None:
            return covered
        item = most_bought(matching)
        return self._with_item(line, item)

    def stale(self, line: LineFacts, item: PrebookItemFacts) -> Removal | None:
        """Why the item is not what is wanted; None: it is."""
        if not self.ask.is_desired(line):
            if self.ask.is_withdrawn:
                return self._undoing(line, item, Removal(f"cancelled, item {item.item_id}", self.ask.withdrawn))
            return self._undoing(line, item, Removal(f"removed, item {item.item_id}", "Axerrio removed it"))
        wanted, sent = line.wanted_as_sent, item.sent
        if sent is None or wanted is None:
            return None
        changes = _changes_of(line, item)
        if changes:
            words = ", ".join(map(str, changes))
            removal = Removal(f"changed {words}, item {item.item_id}", f"Axerrio changed it ({words})", remakes=True)
            return self._undoing(line, item, removal)
        if not item.mapped and item.seen and naming(sent) != naming(wanted) and self.edit_of(item) is None:
            return Removal(f"mapped, item {item.item_id}", "its product was mapped", remakes=True)
        if self._is_to_be_remade(line, item):
            return Removal(f"ours, item {item.item_id}", "a person decided for ours", is_decided=True, remakes=True)
        return None

    def _undoing(self, line: LineFacts, item: PrebookItemFacts, removal: Removal) -> Removal:
        """The same with what a person changed of the item, which is not undone unless he says so."""
        if item.goes_from_here:  # who agreed to undo it agreed to all of it
            decided = self.ask.decisions_on(line.line_key).items()
            is_agreed = any(word == OURS and fact.startswith(f"{removal.fact}, undoing ") for fact, word in decided)
            return replace(removal, is_decided=is_agreed)
        if self.s.cancelled_by is not None:
            return removal
        edits = self.purchases.edits(line, item)
        edit = self.edit_of(item) if item.is_live or self.ask.is_desired(line) else None
        if edit is not None and self.ask.decided(line.line_key, edit) != OURS:
            edits.insert(0, edit)
        undoes = "; ".join(edits)
        return replace(removal, fact=f"{removal.fact}, undoing {undoes}", undoes=undoes) if undoes else removal

    def _is_to_be_remade(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        fact = self.edit_of(item)
        return fact is not None and self.ask.decided(line.line_key, fact) == OURS

    def left_over(self, line: LineFacts, item: PrebookItemFacts) -> Removal | None:
        """What still covers an item that is gone goes, where we deleted the item or a person decided for ours."""
        fact = gone(item)
        if item.is_live:
            return None
        if self.ask.decided(line.line_key, fact) == OURS:
            return Removal(fact, "a person decided for ours", is_decided=True)
        return Removal(fact, "its prebook item was deleted from here") if item.is_deleted_by_us else None

    def _covered_elsewhere(self, line: LineFacts) -> Step | None:
        """A person deleted an item that is covered, and the line stands in another, which must not be covered too."""
        for item in line.prebook_items:
            if item.is_live or not item.covering:
                continue
            message = (
                f"Line {line.line_key}: its item in prebook {item.name} was deleted in Komet, purchase order "
                f"{item.covering[0].number} still covers it, and the line stands in another prebook too. "
                "Ours takes that away; else delete it in Komet."
            )
            hold = self.ask.conflict(line.line_key, gone(item), message, OURS)
            return Step(OrderState.PREBOOKED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))
        return None

    def edit_of(self, item: PrebookItemFacts) -> str | None:
        """What a person changed on an item of ours, in words; None: nothing."""
        changes = [str(change) for change in item.changes if change.field != "boxes"]
        if item.seen and item.sent is not None and item.boxes != item.sent["boxes"]:
            changes.insert(0, f"boxes {item.sent['boxes']} → {item.boxes}")
        return f"item {item.item_id}: {', '.join(changes)}" if changes else None

    def _surplus(self, line: LineFacts, items: list[PrebookItemFacts]) -> Step | None:
        """A line that stands several times: the surplus goes while it has no purchase order, else a person decides."""
        numbers = " and ".join(item.name for item in items)
        for item, fact in self.surplus(items):
            choice = self.ask.decided(line.line_key, fact)
            if choice == THEIRS:
                continue
            removal = Removal(fact, f"it stands twice, in prebooks {numbers}", is_decided=choice == OURS)
            edit = self.edit_of(item)
            if choice is None and (item.live_purchase_order_items or edit is not None):
                why = f"and a person changed {edit}" if edit else "each with a purchase order"
                message = f"Line {line.line_key} stands twice in Komet, in prebooks {numbers}, {why}."
                return Step(OrderState.PREBOOKED, self.ask.conflict(line.line_key, fact, message, OURS, THEIRS))
            return self._remove(line, item, removal)
        return None

    def surplus(self, items: Sequence[PrebookItemFacts]) -> list[tuple[PrebookItemFacts, str]]:
        """Of several items of one line those that are too many, each with the fact for which a person may decide."""
        keep = max(items, key=lambda each: (len(each.live_purchase_order_items), self.edit_of(each) is not None))
        return [(item, f"twice, items {keep.item_id} and {item.item_id}") for item in items if item is not keep]

    def _with_item(self, line: LineFacts, item: PrebookItemFacts) -> Step:
        """The line has one item as it was sent: did a person change it, does Komet know its product?"""
        s = self.s
        if not item.seen and not item.covering:
            return self._unseen(line, s.looks_since_received, f"prebook {item.name}", item.truck_date.isoformat())
        edit, as_it_is = self.edit_of(item), self.stays_as_it_is(line, item)
        if edit is not None and not as_it_is:
            message = f"Line {line.line_key}, prebook {item.name}: a person changed {edit} in Komet."
            hold = self.ask.conflict(line.line_key, edit, message, OURS, THEIRS)
            if hold is not None:
                return Step(OrderState.PREBOOKED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))
        return self._known_product(line, item) or self.purchases.step(line, item, as_it_is=as_it_is)

    def stays_as_it_is(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        """A person decided that his change stands though Axerrio changed the line too."""
        removal = self.stale(line, item)
        return removal is not None and bool(removal.undoes) and self.ask.decided(line.line_key, removal.fact) == THEIRS

    def _known_product(self, line: LineFacts, item: PrebookItemFacts) -> Step | None:
        if not item.seen or item.mapped:
            return None
        goods = (line.wanted.breakdown or (line.wanted,)) if line.wanted else ()  # of a mixed box any of them
        possible = tuple(each.article.code or each.article.description for each in goods) or ("",)
        missing = item.unknown_articles or possible
        words = ", ".join(missing) if item.unknown_articles else " or ".join(dict.fromkeys(missing))
        message = (
            f"Komet does not know article {words} (line {line.line_key}): map it in prebook {item.name} "
            "on Komet's screen, or give the mapping here."
        )
        return self._waits_for_mapping(line, missing[0], message, self.ask.prebooks(active=False, day=item.truck_date))

    def _waits_for_mapping(self, line: LineFacts, article: str, message: str, *looks: Look) -> Step:
        command = f"axkomet mapping set {self.s.connection} {quote(article)} --product-code …"
        hold = Hold(HoldCode.MAPPING_REQUIRED, message, command, line_key=line.line_key)
        state = OrderState.PREBOOKED if line.live_items else OrderState.RECEIVED
        return Step(state, hold, looks=looks, waits_for=article)

    def _made_and_unseen(self, line: LineFacts) -> Step | None:
        """Komet took a prebook for the line, and no list has shown its item."""
        made = self.ask.done((Kind.PREBOOK_CREATE,), line)
        if made is None or any(item.write_id == made.id for item in line.prebook_items):
            return None
        if made.has_strays and made.reads >= LOOKS_FOR_ABSENCE:
            return self._shown_and_not_told(line, made)
        if not (self.s.leaves_bad_items_out and made.shown):
            # What changed is read anyway, and shows what was made for every truck date.
            return self._unseen(line, made.reads, made.trace, made.look_key if made.overdue else CHANGED, made)
        if not (made.counts and self.ask.is_desired(line)):
            return None
        message = (
            f"Komet made the prebook ({made.trace}) and left line {line.line_key} out. "
            "Requeue the order once that is mended."
        )
        return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.REJECTED, message, self.ask.requeue()))

    def _shown_and_not_told(self, line: LineFacts, made: WriteFacts) -> Step | None:
        """Komet shows the prebook, and a person changed its items so that none can be told to be the line's."""
        look = self.ask.prebooks(active=False, day=date.fromisoformat(made.look_key))
        told = f"Line {line.line_key}: which item of its prebook ({made.trace}) is its own cannot be told"
        if made.has_live_strays:
            message = (
                f"{told}: a person changed it in Komet, or it is not shown. Set the prebook's items there to what was "
                "sent, or to 0 boxes."
            )
            return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.CONFLICT, message), looks=(look,))
        if not self.ask.is_desired(line):
            return None
        message = f"{told}, and none that is shown holds boxes; it is still wanted. Ours makes it anew."
        hold = self.ask.conflict(line.line_key, f"not told, write {made.id}", message, OURS)
        return Step(OrderState.RECEIVED, hold, looks=(look,)) if hold is not None else None

    def _without_item(self, line: LineFacts) -> Step | None:
        """Nothing of the line stands in Komet: it is on its way to being seen, was removed, or must be made."""
        s, wanted = self.s, line.wanted
        if wanted is None:
            return None
        unseen = self._made_and_unseen(line)
        if unseen is not None:
            return unseen
        removed = self._removed_by_a_person(line)
        if removed is not None:
            return removed
        bought = self.purchases.of_what_is_gone(line)
        if bought is not None:
            return bought
        if any(self.is_given_up(line, item) for item in line.prebook_items):
            return Step(OrderState.ORDERED) if line.covering else None  # its boxes leave all the same
        if not line.is_open:
            if not self.left_without_us(line):
                return None
            left = f"Line {line.line_key} left, as Axerrio says, and does not stand in Komet."
            return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.DEPARTED, left))
        if not line.prebook_items and s.unseen_prebook is not None:
            return self._unseen(line, s.looks_since_received, s.unseen_prebook)
        if not line.prebook_items and self._named_by_axerrio(line):
            return Step(
                OrderState.RECEIVED,
                self.ask.hold(
                    HoldCode.CONFLICT,
                    f"Axerrio says that the order stands in Komet, and line {line.line_key} is not found there as it "
                    "is wanted: look at its prebook in Komet.",
                ),
                looks=(self.ask.prebooks(active=False),),
            )
        hold = invalid(self.ask, line.line_key, wanted) or self._departed(line) or unknown_packing(self.ask, line)
        if hold is not None:
            return Step(OrderState.RECEIVED, hold)
        return self._make(line, wanted)

    def _make(self, line: LineFacts, wanted: Line) -> Step:
        """The line's item must be made, unless Komet is known not to know its product."""
        if line.unknown_article is not None:
            message = (
                f"Komet does not know article {line.unknown_article} (line {line.line_key}), which stands there "
                "already for another line: map it on Komet's screen, or give the mapping here."
            )
            return self._waits_for_mapping(line, line.unknown_article, message)
        made = self.ask.writes((Kind.PREBOOK_CREATE,), line)
        # The line may stand in what was refused, whatever became of the line or its limits since.
        if self.s.leaves_bad_items_out and made and made[-1].state is WriteState.REFUSED and not made[-1].is_looked_at:
            return Step(OrderState.RECEIVED, looks=(Look(Feed.KOMET_PREBOOKS, made[-1].look_key, active=True),))
        refused = [
            write
            for write in self.ask.refusals(made)
            if line.wanted_as_sent is None or said_of(write, line) in (None, line.wanted_as_sent)
        ]
        unknown = [write for write in refused if write.refusal is RefusalKind.UNKNOWN_PRODUCT]
        if unknown:
            if self._is_the_unknown_one(line, unknown[-1]):
                article = article_named(said_of(unknown[-1], line), unknown[-1].error or "") or wanted.article.code
                message = (
                    f"Komet does not know article {article} (line {line.line_key}): {unknown[-1].error} "
                    "It is tried again within two hours, or once the mapping is given."
                )
                return self._waits_for_mapping(line, article, message)
        else:
            hold = self.ask.refusal_hold(refused)
            if hold is not None:
                return Step(OrderState.RECEIVED, hold)
        return Step(OrderState.RECEIVED, needs=(PlannedWrite(Kind.PREBOOK_CREATE, (line.line_key,)),))

    def _is_the_unknown_one(self, line: LineFacts, refused: WriteFacts) -> bool:
        """Komet refused for a product: this line's, if it was sent alone or is the one that Komet names."""
        return len(refused.sent) <= 1 or keys_named_in(refused) == [line.line_key]

    def must_go_alone(self, line: LineFacts) -> bool:
        """Komet refused it together with others for a product that it did not name: sent alone it will tell."""
        refused = self.ask.refusals(self.ask.writes((Kind.PREBOOK_CREATE,), line))
        return any(
            write.refusal is RefusalKind.UNKNOWN_PRODUCT and len(write.sent) > 1 and len(keys_named_in(write)) != 1
            for write in refused
        )

    def _removed_by_a_person(self, line: LineFacts) -> Step | None:
        """An item of ours that was seen, is as it is wanted, and is gone without our deleting it."""
        for item in reversed(line.prebook_items):
            if item.goes_from_here or not item.seen or OURS in self._said_of_loss(line, item):
                continue
            changed = ", ".join(map(str, _changes_of(line, item)))
            numbers = ", ".join(dict.fromkeys(each.number for each in item.covering))
            message = (
                f"Line {line.line_key}: its item in prebook {item.name} was deleted or set to 0 in Komet; "
                f"Axerrio {f'changed it ({changed}) and' if changed else 'still'} wants "
                f"{line.wanted.boxes if line.wanted else 0} boxes."
            )
            if numbers:
                message += (
                    f" Purchase order {numbers} stands all the same: ours takes it away and makes both anew, theirs "
                    "leaves it for the boxes to leave on."
                )
            hold = self.ask.conflict(line.line_key, self.fact_of_loss(line, item), message, OURS, THEIRS)
            if hold is None:
                return None
            return Step(OrderState.RECEIVED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))
        return None

    def is_given_up(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        """A person decided that Komet's removal stands."""
        is_theirs = self.ask.decided(line.line_key, self.fact_of_loss(line, item)) == THEIRS
        return is_theirs and OURS not in self._said_of_loss(line, item)  # else it was made again since

    def left_without_us(self, line: LineFacts) -> bool:
        """It was here before it left, and does not stand in Komet, which nobody decided."""
        s = self.s
        if line.wanted is None or not self.ask.is_desired(line) or line.live_items or line.boxes:
            return False
        has_left = s.wanted.status is OrderStatus.SHIPPED or line.wanted.status is LineStatus.SHIPPED
        was_here = line.since_version < s.wanted.version
        is_ours = s.seeded_version is None or line.since_version > s.seeded_version
        given_up = any(self._said_of_loss(line, item) == {THEIRS} for item in line.prebook_items)
        return has_left and was_here and is_ours and not given_up

    def _said_of_loss(self, line: LineFacts, item: PrebookItemFacts) -> set[str]:
        """What a person decided on the item's loss, whatever Axerrio changed of the line by then."""
        fact = gone(item)
        decided = self.ask.decisions_on(line.line_key)
        return {choice for each, choice in decided.items() if each == fact or each.startswith(f"{fact}, ")}

    def fact_of_loss(self, line: LineFacts, item: PrebookItemFacts) -> str:
        """The fact that an item holds nothing any more; where Axerrio changed the line since, that is another fact."""
        return ", ".join([gone(item), *map(str, _changes_of(line, item))])

    def _named_by_axerrio(self, line: LineFacts) -> bool:
        """Somebody else began the order, by Axerrio's references, and the line was never sent by us."""
        seeded = self.s.seeded_version
        return (
            seeded is not None
            and line.since_version <= seeded
            and not self.ask.writes((Kind.PREBOOK_CREATE,), line)
            and not line.prebook_items
        )

    def _departed(self, line: LineFacts) -> Hold | None:
        """It was not begun before it left."""
        s = self.s
        if line.prebook_items:  # it was begun: a change is made anew as long as Komet takes it
            return None
        if line.ship_date is not None and line.ship_date < s.today:
            left = f"Line {line.line_key} left on {line.ship_date} before it was sent to Komet."
            return self.ask.hold(HoldCode.DEPARTED, left)
        if s.wanted.status is not OrderStatus.CONFIRMED:
            left = f"The order is {s.wanted.status.value} in Axerrio, and line {line.line_key} was not sent to Komet."
            return self.ask.hold(HoldCode.DEPARTED, left)
        return None

    def _unseen(
        self, line: LineFacts, looks: int, trace: str = "", day: str = "", made: WriteFacts | None = None
    ) -> Step:
        """An acknowledged create, or an item that Axerrio's references name, that no list has shown yet."""

        def look(*, active: bool) -> Look:
            return Look(Feed.KOMET_PREBOOKS, day or self.s.wanted.truck_date.isoformat(), active)

        if looks < LOOKS_FOR_ABSENCE:
            return Step(OrderState.RECEIVED, looks=(look(active=True),))
        named = f"named by Axerrio, truck date {self.s.wanted.truck_date}"
        message = (
            f"Line {line.line_key}: Komet took it ({trace or named}) and does not show it. Likely its item lacks a "
            "vendor ship date or cost: look at the prebook in Komet"
        )
        if made is not None:
            hold = self.ask.not_shown(line, made, message)
        else:
            hold = self.ask.hold(HoldCode.NOT_VISIBLE, f"{message}.")
        return Step(OrderState.RECEIVED, hold, looks=(look(active=False),))

    # -- born in Komet ---------------------------------------------------------------------------------------

    def _of_komet(self, line: LineFacts) -> Step | None:
        """Its item is Komet's own: Axerrio must take it, and a purchase order must cover it."""
        item = next(iter(line.live_items), None)
        if item is None or not line.is_open or self.ask.is_withdrawn:
            for dead in line.prebook_items:
                words = "the prebook's line was deleted or set to 0 in Komet"
                removal = Removal(gone(dead), self.ask.withdrawn if dead.is_live else words)
                if dead.covering and self.ask.decided(line.line_key, removal.fact) != THEIRS:
                    return self.purchases.remove(line, dead.covering, removal)
            if line.covering and self.ask.entries(line):  # what left must be told all the same
                return Step(OrderState.ORDERED)
            return self.purchases.of_what_is_gone(line)
        if not item.covering and self.ask.is_left_cancelled:
            return None
        stands = bool(item.covering) and line.axerrio_line_key is not None
        refused = self._refused_by_axerrio(line)
        if refused is not None:
            return replace(refused, state=OrderState.ORDERED, still_leaves=True) if stands else refused
        unknown = self._unknown_to_komet(line, item)
        if unknown is not None:
            return unknown
        if line.axerrio_line_key is None:
            return Step(OrderState.RECEIVED)
        if not self.ask.is_taken:  # nothing is bought anew, and what stands from before may leave
            return Step(OrderState.ORDERED if stands else OrderState.RECEIVED)
        return self.purchases.step(line, item)

    def _unknown_to_komet(self, line: LineFacts, item: PrebookItemFacts) -> Step | None:
        """A Komet user sold a product by a word that Komet does not know: only there it can be mapped."""
        if item.mapped:
            return None
        message = (
            f"Komet does not know the product of line {line.line_key}: map it in prebook {item.name} on its screen."
        )
        hold = replace(self.ask.hold(HoldCode.MAPPING_REQUIRED, message), line_key=line.line_key)
        return Step(OrderState.RECEIVED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))

    def _refused_by_axerrio(self, line: LineFacts) -> Step | None:
        answer = self.s.axerrio.answer
        if answer is None or answer.decision is InboundStatus.PENDING:
            return None
        said = next((each for each in answer.lines if each.external_line_id == line.line_key), None)
        if self.ask.is_passed_over(line):
            message = f"Axerrio took the order without line {line.line_key}. Requeue the order once that is mended."
            return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.REJECTED, message, self.ask.requeue()))
        if said is None or said.is_accepted is not False:
            return None
        words = said.message or said.code or "no reason given"
        product = product_named(line.wanted, words) if line.wanted else ""
        if speaks_of_the_article(said.code, said.message):
            message = f"Axerrio does not know the article of Komet's {product} (line {line.line_key}): {words}"
            command = f"axkomet mapping set {self.s.connection} … --product-description {quote(product)}"
            hold = Hold(HoldCode.MAPPING_REQUIRED, message, command, line_key=line.line_key)
            return Step(OrderState.RECEIVED, hold, waits_for=product)
        message = f"Axerrio rejected line {line.line_key} ({product}): {words} Requeue the order once that is mended."
        return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.REJECTED, message, self.ask.requeue()))

    # -- removing --------------------------------------------------------------------------------------------

    def _remove(self, line: LineFacts, item: PrebookItemFacts, removal: Removal) -> Step:
        """The next call that takes an item away: first what covers it, then the item itself."""
        withdrawn = not self.ask.is_desired(line)
        state = OrderState.CANCELLING if withdrawn else OrderState.RECEIVED
        active = item.covering
        if removal.undoes and not any(self.purchases.has_shipped(line, each) for each in active):
            hold = self._undoes(line, item, removal)
            if hold is not None:
                days = dict.fromkeys(each.ship_date or line.ship_date for each in active)
                orders = (self.ask.purchase_orders(day, active=False) for day in days if day is not None)
                looks = (self.ask.prebooks(active=False, day=item.truck_date), *orders)
                return Step(OrderState.PREBOOKED, hold, looks=looks)  # the person may do it all by himself
            removal = replace(removal, is_decided=True)
        if active:
            return self.purchases.remove(line, active, removal, prebook=item)
        bought = self.purchases.bought(line, item)
        if bought is not None and not bought.shown and bought.looks < LOOKS_FOR_ABSENCE:
            return replace(self.purchases.unseen(line, bought), state=state)
        hold = self.purchases.not_to_be_remade(line, item, removal)
        if hold is not None:
            return Step(OrderState.PREBOOKED, hold)
        if line.unlooked_days:  # a person may have covered it
            return self.purchases.look_first(line, line.unlooked_days, state)
        looked = self.purchases.looked_after_refusal(Kind.PREBOOK_ITEM_DELETE, line, item.item_id)
        if looked is not None:
            return replace(looked, state=state)
        requests = 1 if withdrawn else self.purchases.requests_of_remaking(line)
        write = PlannedWrite(Kind.PREBOOK_ITEM_DELETE, (line.line_key,), item_id=item.item_id, requests=requests)
        return Step(state, needs=(write,))

    def _undoes(self, line: LineFacts, item: PrebookItemFacts, removal: Removal) -> Hold | None:
        """A person is asked before what he changed in Komet goes with the item."""
        numbers = ", ".join(dict.fromkeys(f"{each.number}" for each in item.covering))
        stands = f"prebook {item.name} and purchase order {numbers}" if numbers else f"prebook {item.name}"
        ours = "makes it anew as Axerrio has it" if self.ask.is_desired(line) else "takes it away"
        message = (
            f"Line {line.line_key}, {stands}: {removal.words}, and a person changed it in Komet ({removal.undoes}). "
            f"Ours {ours}, theirs leaves Komet as it is."
        )
        return self.ask.conflict(line.line_key, removal.fact, message, OURS, THEIRS)


def _changes_of(line: LineFacts, item: PrebookItemFacts) -> tuple[Change, ...]:
    """What of the line is not wanted any more as its item was sent."""
    if item.sent is None or line.wanted_as_sent is None:
        return ()
    return changes(item.sent, line.wanted_as_sent)


def gone(item: PrebookItemFacts) -> str:
    """The fact that an item holds nothing any more."""
    return f"gone, item {item.item_id}"
