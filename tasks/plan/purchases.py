"""The purchase orders that cover a line's prebook item: made, seen, changed by a person, taken away again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from models.canonical import Json, Origin, PurchaseOrderStatus
from models.states import Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    BoxFacts,
    Change,
    Hold,
    LineFacts,
    Look,
    PlannedWrite,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    WriteFacts,
)
from tasks.plan.fit import not_to_be_remade, unknown_packing
from tasks.plan.questions import OURS, THEIRS, Questions, Step
from tasks.plan.sent import covers, deletes, said_of
from tasks.plan.shipping import Shipping

#: Calls that bring a removed line back: prebook and purchase order.
_COST_OF_REMAKING = 2


@dataclass(frozen=True)
class OrderFact:
    """What procurement or a person did to the purchase orders that cover an item."""

    #: One word for the same fact.
    fact: str
    message: str
    #: What must go if ours shall stand; empty: nothing covers the item any more.
    again: tuple[PurchaseOrderItemFacts, ...]
    #: Fields that were changed; empty: its boxes are others than the prebook's, or it is gone.
    changes: tuple[Change, ...] = ()
    #: What covered the item, and was cancelled or removed.
    lost: PurchaseOrderItemFacts | None = None


@dataclass(frozen=True)
class Removal:
    """Why an item must go."""

    #: One word for the same fact.
    fact: str
    #: For people, both sides' values.
    words: str
    #: Asked for by a person's decision: what was approved is no obstacle.
    is_decided: bool = False
    #: What a person changed in Komet and that would go with it, in words; empty: nothing.
    undoes: str = ""
    #: It is made anew in its place.
    remakes: bool = False


class Purchases:
    """The steps of an item that is sold in both systems: to its purchase order, and back from it."""

    def __init__(self, ask: Questions) -> None:
        self.ask = ask
        self.s = ask.s
        self.shipping = Shipping(ask)

    def step(self, line: LineFacts, item: PrebookItemFacts, *, as_it_is: bool = False) -> Step:
        """The line has its prebook item on both sides: on to the purchase order.

        Args:
            line: of the order.
            item: of the line.
            as_it_is: a person decided that what was done to its purchase orders stands.
        """
        ship_date = line.ship_date
        if ship_date is None:  # Axerrio's record will tell
            return Step(OrderState.PREBOOKED)
        active = item.covering
        trouble = self._edits_of_orders(line, item, active, ship_date) if not as_it_is else None
        if trouble is not None:
            return trouble
        if active:
            return Step(OrderState.ORDERED)
        if self._is_given_up_by_procurement(line, item, as_it_is=as_it_is):
            return Step(None)
        return self._order(line, item, ship_date)

    def _order(self, line: LineFacts, item: PrebookItemFacts, ship_date: date) -> Step:
        """No purchase order covers the item: it is on its way to being seen, or must be made."""
        bought = self.bought(line, item)
        if bought is not None and not self._is_shown(line, item, bought):
            return self.unseen(line, bought)
        mine = self._purchases(line, item)
        hold = self.ask.refusal_hold(mine)
        if hold is not None:
            return Step(OrderState.PREBOOKED, hold)
        refused = self.ask.refusals(mine)
        # The purchase order that it was to join may be approved.
        if refused and not refused[-1].is_looked_at:
            look = Look(Feed.KOMET_PURCHASE_ORDERS, refused[-1].look_key, active=True)
            return Step(OrderState.PREBOOKED, looks=(look,))
        is_mixed = line.wanted is not None and line.wanted.is_mixed
        hold = unknown_packing(self.ask, line) if is_mixed else None
        if hold is not None:
            return Step(OrderState.PREBOOKED, hold)
        if ship_date in line.unlooked_days:  # a person may have covered it first
            return self.look_first(line, (ship_date,), OrderState.PREBOOKED)
        kind = Kind.PURCHASE_ORDER_MIXED_CREATE if is_mixed else Kind.PURCHASE_ORDER_CREATE
        return Step(
            OrderState.PREBOOKED, needs=(PlannedWrite(kind, (line.line_key,), ship_date, item_id=item.item_id),)
        )

    def look_first(self, line: LineFacts, days: Sequence[date], state: OrderState) -> Step:
        """A person may have bought or approved on these days: nothing is done before all of them were read."""
        looks = tuple(self.ask.purchase_orders(each, active=True) for each in days)
        day = next((each for each in days if each in line.hidden_days), None)
        if day is None:
            return Step(state, looks=looks)
        hold = self.ask.hold(
            HoldCode.NOT_VISIBLE,
            f"Line {line.line_key}: Komet's list of the purchase orders of {day} is not whole, so that nobody can tell "
            "what of it stands there now. It goes on once the list is; `axkomet status` names what cannot be read.",
        )
        return Step(state, hold, looks=tuple(replace(look, active=False) for look in looks))

    def _purchases(self, line: LineFacts, item: PrebookItemFacts) -> list[WriteFacts]:
        """Purchase orders that were asked for to cover the item."""
        return [write for write in self.ask.writes(PURCHASE_ORDER_CREATES, line) if covers(write, line, item)]

    def bought(self, line: LineFacts, item: PrebookItemFacts) -> WriteFacts | None:
        """The newest of them that Komet took."""
        taken = (write for write in reversed(self._purchases(line, item)) if write.state is WriteState.DONE)
        return next(taken, None)

    def _is_shown(self, line: LineFacts, item: PrebookItemFacts, bought: WriteFacts) -> bool:
        """The line's own item of it was seen: another line's may be there before."""
        known = (said_of(bought, line) or {}).get("known", ())
        return bought.shown and any(each.item_id not in known for each in item.purchase_order_items)

    def is_awaited(self, purchase: WriteFacts) -> bool:
        """A line that it covers waits until a list shows it."""
        return (
            not purchase.shown
            and purchase.reads < LOOKS_FOR_ABSENCE
            and any(self.bought(line, item) is purchase for line in self.s.lines for item in line.live_items)
        )

    def unseen(self, line: LineFacts, bought: WriteFacts) -> Step:
        """Komet took a purchase order for the line, and no list has shown it: on the day for which it was asked."""
        look = Look(Feed.KOMET_PURCHASE_ORDERS, bought.look_key, active=True)
        if bought.reads < LOOKS_FOR_ABSENCE:
            return Step(OrderState.PREBOOKED, looks=(look,))
        message = (
            f"Line {line.line_key}: Komet took its purchase order ({bought.trace}) and does not show it. "
            "Look for it in Komet"
        )
        hold = self.ask.not_shown(line, bought, message)
        return Step(OrderState.PREBOOKED, hold, looks=(replace(look, active=False),))

    def of_what_is_gone(self, line: LineFacts) -> Step | None:
        """Komet took a purchase order for an item that is gone by now, and no list has shown it: it may stand."""
        for item in line.prebook_items:
            bought = self.bought(line, item) if not item.is_live else None
            if bought is None or self._is_shown(line, item, bought):
                continue
            state = OrderState.RECEIVED if self.ask.is_desired(line) and line.is_open else OrderState.CANCELLING
            if bought.reads < LOOKS_FOR_ABSENCE:
                return replace(self.unseen(line, bought), state=state)
            message = (
                f"Line {line.line_key}: its item in prebook {item.name} is gone, and the purchase order that Komet "
                f"took for it ({bought.trace}) is not shown. Look for it in Komet and have it taken away there"
            )
            look = Look(Feed.KOMET_PURCHASE_ORDERS, bought.look_key, active=False)
            return Step(state, self.ask.not_shown(line, bought, message), looks=(look,))
        return None

    def _edits_of_orders(
        self, line: LineFacts, item: PrebookItemFacts, active: tuple[PurchaseOrderItemFacts, ...], ship_date: date
    ) -> Step | None:
        """What procurement or a person did to the purchase orders that cover the item; None: nothing that matters."""
        look = self.ask.purchase_orders(ship_date, active=False)
        outdated = self.outdated(line, item, active, ship_date)
        for each in self.facts_of_orders(line, item, active, is_outdated=outdated is not None):
            choice = self.ask.decided(line.line_key, each.fact)
            if choice == OURS and each.again:
                removal = Removal(each.fact, each.message, is_decided=True)
                return self.remove(line, each.again, removal, prebook=item)
            if choice is None:
                # Boxes that are yet to leave are the one thing of a line on its way that somebody must settle.
                is_count = bool(each.again) and not each.changes
                stays = is_count and bool(self._left(line)) and not self.ask.has_left(line)
                choices = (THEIRS,) if stays else (OURS, THEIRS)
                hold = self.ask.conflict(line.line_key, each.fact, each.message, *choices)
                return Step(OrderState.PREBOOKED, hold, looks=(look,))
        if outdated is not None and self.ask.decided(line.line_key, outdated.fact) != THEIRS:
            return self.remove(line, active, outdated, prebook=item)
        return None

    def outdated(
        self, line: LineFacts, item: PrebookItemFacts, active: tuple[PurchaseOrderItemFacts, ...], ship_date: date
    ) -> Removal | None:
        """A prebook born in Komet says something else than when we bought its item: it is bought anew.

        What we did not buy ourselves is a person's. Once boxes have left only their number counts.
        """
        bought = self.bought(line, item)
        says = said_of(bought, line) if bought is not None else None
        if self.s.origin is not Origin.KOMET or says is None or not active:
            return None
        now: Json = {"boxes": item.boxes, "ship_date": ship_date.isoformat()}
        before: Json = {"boxes": says["boxes"], "ship_date": says["ship_date"]}
        if self._may_be_split(line, active):
            if sum(each.boxes for each in active) != says["boxes"]:
                return None
            now = {"boxes": item.boxes}
        elif len(active) != 1 or active[0].first_boxes != says["boxes"]:
            return None
        else:
            now |= _told(item.material)
            before |= _told(says.get("material", {}))
        follows = {change.field: change.after for change in active[0].changes}  # a person did the same to it
        follows["boxes"] = sum(each.boxes for each in active)
        changed = [
            name for name, value in now.items() if before.get(name) not in (None, value) and follows.get(name) != value
        ]
        if not changed:
            return None
        words = ", ".join(f"{name.replace('_', ' ')} {before[name]} → {now[name]}" for name in changed)
        fact = f"prebook changed: {words}, order item {active[0].item_id}"  # the first stays when boxes split it
        return Removal(fact, f"Komet's prebook changed it ({words})")

    def facts_of_orders(
        self,
        line: LineFacts,
        item: PrebookItemFacts,
        active: tuple[PurchaseOrderItemFacts, ...],
        *,
        is_outdated: bool = False,
    ) -> list[OrderFact]:
        """Facts for a person."""
        key = line.line_key
        found: list[OrderFact] = []
        for each in active:
            changes = tuple(change for change in each.changes if not self._agrees(item, change))
            if changes:
                words = ", ".join(map(str, changes))
                message = f"Line {key}: a person changed {words} on purchase order {each.number} in Komet."
                found.append(OrderFact(f"order item {each.item_id}: {words}", message, (each,), changes))
        if active:
            covered, first = sum(each.boxes for each in active), sum(each.first_boxes for each in active)
            # Of what was split nothing is told by what was seen first.
            person = not is_outdated or (first != covered and not self._may_be_split(line, active))
            wanted = {item.boxes} | ({item.sent["boxes"]} if item.sent else set())  # a person's prebook may stand
            if self.ask.has_left(line) and (gone := self._left(line)):  # nothing more will leave
                wanted.add(len(gone))
            if covered not in wanted and person:
                numbers = ", ".join(dict.fromkeys(each.number for each in active))
                words = f"purchase order {numbers} holds {covered} boxes, the prebook {item.boxes}"
                message = f"Line {key}: {words}. A person did that in Komet."
                found.append(OrderFact(f"order item {active[0].item_id}: {words}", message, active))
            return found
        for each in item.purchase_order_items:
            if each.boxes and each.status is PurchaseOrderStatus.CANCELLED:
                message = f"Procurement cancelled purchase order {each.number} (line {key}); it is still wanted."
                found.append(OrderFact(f"order item {each.item_id} cancelled", message, (), lost=each))
            elif not each.boxes and not each.is_deleted_by_us:
                message = f"Line {key}: its item of purchase order {each.number} was removed in Komet."
                found.append(OrderFact(f"order item {each.item_id} removed", message, (), lost=each))
        return found

    def _agrees(self, item: PrebookItemFacts, change: Change) -> bool:
        """Of an order born in Komet the prebook decides: a purchase order that was changed to it is as it must be."""
        return self.s.origin is Origin.KOMET and item.material.get(change.field) == change.after

    def edits(self, line: LineFacts, item: PrebookItemFacts) -> list[str]:
        """What a person changed of what covers the item and would be undone with it, unless he decided for ours."""
        facts = self.facts_of_orders(line, item, item.covering)
        undone = (each.fact for each in facts if each.again or self.ask.is_desired(line))
        return [fact for fact in undone if self.ask.decided(line.line_key, fact) != OURS]

    def _is_given_up_by_procurement(self, line: LineFacts, item: PrebookItemFacts, *, as_it_is: bool) -> bool:
        facts = self.facts_of_orders(line, item, ())
        return bool(facts) and (as_it_is or self.ask.decided(line.line_key, facts[-1].fact) == THEIRS)

    def remove(
        self,
        line: LineFacts,
        active: tuple[PurchaseOrderItemFacts, ...],
        removal: Removal,
        *,
        prebook: PrebookItemFacts | None = None,
    ) -> Step:
        """Take purchase order items away one by one, as far as their status and the connection's settings allow.

        Before any goes a person is asked about the hardest. The newest goes first: so it shows that it was begun here.
        """
        each = self._hardest(line, active)
        state = OrderState.RECEIVED if self.ask.is_desired(line) and line.is_open else OrderState.CANCELLING
        key, number = line.line_key, each.number
        look = self.ask.purchase_orders(each.ship_date or line.ship_date or self.s.wanted.truck_date, active=False)
        stands = f"prebook {prebook.name} and purchase order {number}" if prebook else f"purchase order {number}"
        if self.has_shipped(line, each):
            message = (
                f"Line {key}: {removal.words}, and its boxes have shipped on purchase order {number}: "
                "that cannot be undone from here."
            )
            return Step(OrderState.APPROVED, self.ask.conflict(key, removal.fact, message, THEIRS), looks=(look,))
        choice = self.ask.decided(key, removal.fact)
        pending = each.status is PurchaseOrderStatus.PENDING
        if not pending and not (removal.is_decided or choice == OURS or self.s.applies_after_approval):
            word = each.status.value if each.status else "not understood"
            ours = "takes it away" if state is OrderState.CANCELLING else f"makes it anew as {self._origin} has it"
            message = (
                f"Line {key}: {removal.words} after it was sent, and {stands} stands in Komet, {word}. "
                f"Ours {ours}, theirs leaves Komet as it is."
            )
            return Step(OrderState.APPROVED, self.ask.conflict(key, removal.fact, message, OURS, THEIRS), looks=(look,))
        hold = self.not_to_be_remade(line, prebook, removal) if prebook is not None else None
        if hold is not None:
            return Step(OrderState.PREBOOKED, hold, looks=(look,))
        each = active[-1]
        looked = self.looked_after_refusal(Kind.PURCHASE_ORDER_ITEM_DELETE, line, each.item_id)
        if looked is not None:
            return replace(looked, state=state)
        if line.stale_days:  # procurement may have approved since
            return self.look_first(line, line.stale_days, state)
        write = PlannedWrite(
            Kind.PURCHASE_ORDER_ITEM_DELETE,
            (key,),
            item_id=each.item_id,
            ship_date=each.ship_date or line.ship_date,
            requests=self.requests_of_remaking(line) if state is not OrderState.CANCELLING else 1,
        )
        return Step(state, needs=(write,))

    def not_to_be_remade(self, line: LineFacts, item: PrebookItemFacts, removal: Removal) -> Hold | None:
        """Why the item stays as it is, though another is wanted in its place; what was begun goes on."""
        if not removal.remakes or item.goes_from_here or not item.is_live:
            return None
        return not_to_be_remade(self.ask, line, removal.fact, removal.words)

    def _hardest(self, line: LineFacts, active: tuple[PurchaseOrderItemFacts, ...]) -> PurchaseOrderItemFacts:
        """Of what covers an item the one that may not go without a word: shipped, else approved, else the newest."""
        return max(
            reversed(active),
            key=lambda each: (self.has_shipped(line, each), each.status is not PurchaseOrderStatus.PENDING),
        )

    def has_shipped(self, line: LineFacts, each: PurchaseOrderItemFacts) -> bool:
        """Boxes of the item have left, as far as either system says."""
        in_komet = each.box_codes or each.status is PurchaseOrderStatus.SHIPPED or self._left(line)
        return bool(in_komet) or self.ask.went_with_its_order(line) or self.ask.takes_no_change

    def _left(self, line: LineFacts) -> tuple[BoxFacts, ...]:
        """Its boxes that left, without those that a person took back."""
        return self.shipping.standing(line).boxes

    def _may_be_split(self, line: LineFacts, active: Sequence[PurchaseOrderItemFacts]) -> bool:
        """An air waybill splits what was bought, and what was split may stay so when its boxes are taken back."""
        return bool(self._left(line)) or (bool(line.boxes) and len(active) > 1)

    @property
    def _origin(self) -> str:
        return "Axerrio" if self.s.origin is Origin.AXERRIO else "Komet's prebook"

    def looked_after_refusal(self, kind: Kind, line: LineFacts, item_id: str) -> Step | None:
        """After a refused deletion the lists are read before anything else: the item may be gone already."""
        of_item = [write for write in self.ask.writes((kind,), line) if deletes(write, line, item_id)]
        refused = self.ask.refusals(of_item)
        if not refused:
            return None
        if not refused[-1].is_looked_at:
            feed = Feed.KOMET_PREBOOKS if kind is Kind.PREBOOK_ITEM_DELETE else Feed.KOMET_PURCHASE_ORDERS
            return Step(None, looks=(Look(feed, refused[-1].look_key, active=True),))
        hold = self.ask.refusal_hold(of_item, f"line {line.line_key}")
        return Step(None, hold) if hold is not None else None

    def requests_of_remaking(self, line: LineFacts) -> int:
        """A replacement begins only when the budget has room for all of it; once begun it goes on."""
        if any(item.goes_from_here for item in line.live_items):
            return 1
        return _COST_OF_REMAKING + sum(item.is_live + len(item.covering) for item in line.prebook_items)


def _told(material: Json) -> Json:
    """What Komet shows of it: a field that it leaves out tells nothing."""
    return {name: value for name, value in material.items() if value}
