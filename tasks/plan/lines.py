"""One line: from what stands to what is wanted, up to the purchase order. Shipping goes on from there.

A line of either origin comes to the same point: a live prebook item that Axerrio wants too. From there on purchase
order, links and approval are the same. What a newer version changed is removed and made anew, purchase order item
first, then prebook item; what a person changed in Komet is a conflict, never undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from shlex import quote
from typing import Any

from clients.errors import RefusalKind
from models.canonical import InboundStatus, Line, OrderStatus, Origin, PurchaseOrderStatus
from models.states import CHANGED, Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    Change,
    Hold,
    Json,
    LineFacts,
    Look,
    Loss,
    PlannedWrite,
    PrebookItemFacts,
    PurchaseOrderItemFacts,
    WriteFacts,
)
from tasks.plan.questions import OURS, THEIRS, Questions, Step

#: Fields by which a product is named: Komet's word may be another one, and a mapping may change ours.
_NAMING = ("product_code", "product_description")
#: Calls that bring a removed line back: prebook and purchase order.
_COST_OF_REMAKING = 2


def material(sent: Json) -> Json:
    """What is sent of a line without the words for its products: the article says which product it is.

    A mixed box is the same whatever the order of its products.
    """
    parts = [{k: v for k, v in part.items() if k not in _NAMING} for part in sent.get("breakdown", ())]
    parts.sort(key=lambda part: str(sorted(part.items())))
    return {**{k: v for k, v in sent.items() if k not in _NAMING}, "breakdown": parts}


def naming(sent: Json) -> list[tuple[Any, ...]]:
    """The words for the products of a line, components included."""
    own, *parts = (tuple(part.get(name) for name in _NAMING) for part in (sent, *sent.get("breakdown", ())))
    return [own, *sorted(parts, key=str)]


def changes(sent: Json, wanted: Json) -> tuple[Change, ...]:
    """What of a line is not wanted any more as it was sent; other words for the same product are no change."""
    old, new = material(sent), material(wanted)
    return tuple(Change(name, old[name], value) for name, value in new.items() if name in old and old[name] != value)


def articles(line: Line) -> tuple[str, ...]:
    """The Axerrio codes of a line's products; of a mixed box also those of its components."""
    return (line.article.code, *(part.article.code for part in line.breakdown))


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
class _Removal:
    """Why an item must go."""

    #: One word for the same fact.
    fact: str
    #: For people, both sides' values.
    words: str
    #: Asked for by a person's decision: what was approved is no obstacle.
    is_decided: bool = False


class Lines:
    """The steps of an order's lines up to the purchase order."""

    def __init__(self, ask: Questions) -> None:
        self.ask = ask
        self.s = ask.s

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
                return self.ask.in_flight(write, state)
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
            and self._is_outdated_by(line, _says(write, line))
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
        outdated = self.outdated(line, item, active, line.ship_date) if line.ship_date is not None else None
        if outdated is None or self.ask.decided(line.line_key, outdated.fact) == THEIRS:
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
            return Step(OrderState.CLOSED) if kept else None
        if len(matching) > 1:
            surplus = self._surplus(line, matching)
            if surplus is not None:
                return surplus
        if not matching:
            return self._without_item(line)
        covered = self._covered_elsewhere(line)
        if covered is not None:
            return covered
        item = max(matching, key=lambda each: len(each.live_purchase_order_items))
        return self._with_item(line, item)

    def stale(self, line: LineFacts, item: PrebookItemFacts) -> _Removal | None:
        """Why the item is not what is wanted; None: it is."""
        if not self.ask.is_desired(line):
            if self.ask.is_withdrawn:
                return _Removal(f"cancelled, item {item.item_id}", self.ask.withdrawn)
            return _Removal(f"removed, item {item.item_id}", "Axerrio removed it")
        wanted, sent = line.wanted_as_sent, item.sent
        if sent is None or wanted is None:
            return None
        changes = _changes(line, item)
        if changes:
            words = ", ".join(map(str, changes))
            return _Removal(f"changed {words}, item {item.item_id}", f"Axerrio changed it ({words})")
        if not item.mapped and item.seen and naming(sent) != naming(wanted) and self.edit_of(item) is None:
            return _Removal(f"mapped, item {item.item_id}", "its product was mapped")
        if self._is_to_be_remade(line, item):
            return _Removal(f"ours, item {item.item_id}", "a person decided for ours", is_decided=True)
        return None

    def _is_to_be_remade(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        fact = self.edit_of(item)
        return fact is not None and self.ask.decided(line.line_key, fact) == OURS

    def left_over(self, line: LineFacts, item: PrebookItemFacts) -> _Removal | None:
        """What still covers an item that is gone goes, where we deleted the item or a person decided for ours."""
        fact = gone(item)
        if item.is_live:
            return None
        if self.ask.decided(line.line_key, fact) == OURS:
            return _Removal(fact, "a person decided for ours", is_decided=True)
        return _Removal(fact, "its prebook item was deleted from here") if item.is_deleted_by_us else None

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
            removal = _Removal(fact, f"it stands twice, in prebooks {numbers}", is_decided=choice == OURS)
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
        edit = self.edit_of(item)
        if edit is not None:
            message = f"Line {line.line_key}, prebook {item.name}: a person changed {edit} in Komet."
            hold = self.ask.conflict(line.line_key, edit, message, OURS, THEIRS)
            if hold is not None:
                return Step(OrderState.PREBOOKED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))
        return self._known_product(line, item) or self._purchase(line, item)

    def _known_product(self, line: LineFacts, item: PrebookItemFacts) -> Step | None:
        if not item.seen or item.mapped:
            return None
        named = line.wanted.article.code or line.wanted.article.description if line.wanted else ""
        missing = item.unknown_articles or (named,)
        message = (
            f"Komet does not know article {', '.join(missing)} (line {line.line_key}): map it in prebook {item.name} "
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
            return self._unseen(line, made.reads, made.trace, made.look_key if made.overdue else CHANGED)
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
        if any(self.is_given_up(line, item) for item in line.prebook_items):
            return None
        if not line.is_open:
            return None
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
        hold = self._invalid(line.line_key, wanted) or self._departed(line)
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
        refused = [
            write
            for write in self.ask.refusals(self.ask.writes((Kind.PREBOOK_CREATE,), line))
            if line.wanted_as_sent is None or _says(write, line) in (None, line.wanted_as_sent)
        ]
        unknown = [write for write in refused if write.refusal is RefusalKind.UNKNOWN_PRODUCT]
        if unknown:
            if self._is_the_unknown_one(line, unknown[-1]):
                article = _article_named(_says(unknown[-1], line), unknown[-1].error or "") or wanted.article.code
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
        return len(refused.sent) <= 1 or _named_in(refused) == [line.line_key]

    def must_go_alone(self, line: LineFacts) -> bool:
        """Komet refused it together with others for a product that it did not name: sent alone it will tell."""
        refused = self.ask.refusals(self.ask.writes((Kind.PREBOOK_CREATE,), line))
        return any(
            write.refusal is RefusalKind.UNKNOWN_PRODUCT and len(write.sent) > 1 and len(_named_in(write)) != 1
            for write in refused
        )

    def _removed_by_a_person(self, line: LineFacts) -> Step | None:
        """An item of ours that was seen, is as it is wanted, and is gone without our deleting it."""
        for item in reversed(line.prebook_items):
            if item.is_deleted_by_us or not item.seen or _changes(line, item):
                continue
            fact = gone(item)
            message = (
                f"Line {line.line_key}: its item in prebook {item.name} was deleted or set to 0 in Komet; "
                f"Axerrio still wants {line.wanted.boxes if line.wanted else 0} boxes."
            )
            hold = self.ask.conflict(line.line_key, fact, message, OURS, THEIRS)
            if hold is None:
                return None
            return Step(OrderState.RECEIVED, hold, looks=(self.ask.prebooks(active=False, day=item.truck_date),))
        return None

    def is_given_up(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        """A person decided that Komet's removal stands."""
        decided = self.ask.decided(line.line_key, gone(item)) == THEIRS
        return decided and not _changes(line, item)

    def _named_by_axerrio(self, line: LineFacts) -> bool:
        """Somebody else began the order, by Axerrio's references, and the line was never sent by us."""
        seeded = self.s.seeded_version
        return (
            seeded is not None
            and line.since_version <= seeded
            and not self.ask.writes((Kind.PREBOOK_CREATE,), line)
            and not line.prebook_items
        )

    def _invalid(self, line_key: str, wanted: Line) -> Hold | None:
        """The first field of the line that cannot be sent."""

        def invalid(words: str) -> Hold:
            return replace(self.ask.hold(HoldCode.INVALID, f"Line {line_key}{words}"), line_key=line_key)

        counts = {
            "boxes": wanted.boxes,
            "bunches per box": wanted.bunches_per_box,
            "stems per bunch": wanted.stems_per_bunch,
        }
        for number, part in enumerate(wanted.breakdown, start=1):
            counts |= {
                f"bunches of component {number} ({part.article.code})": part.bunches,
                f"stems per bunch of component {number} ({part.article.code})": part.stems_per_bunch,
            }
        for name, value in counts.items():
            if value < 1:
                return invalid(f": {name} is {value}, at least 1 is needed.")
        if wanted.breakdown and sum(part.bunches for part in wanted.breakdown) != wanted.bunches_per_box:
            total = sum(part.bunches for part in wanted.breakdown)
            return invalid(f": its breakdown adds up to {total} bunches, bunches per box is {wanted.bunches_per_box}.")
        if wanted.unit_cost is None or wanted.unit_cost <= 0:
            words = " has no cost" if wanted.unit_cost is None else f": unit cost is {wanted.unit_cost}"
            return invalid(f"{words}: Komet would not show us its item again. Give its cost in Axerrio.")
        return None

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

    def _unseen(self, line: LineFacts, looks: int, trace: str = "", day: str = "") -> Step:
        """An acknowledged create, or an item that Axerrio's references name, that no list has shown yet."""

        def look(*, active: bool) -> Look:
            return Look(Feed.KOMET_PREBOOKS, day or self.s.wanted.truck_date.isoformat(), active)

        if looks < LOOKS_FOR_ABSENCE:
            return Step(OrderState.RECEIVED, looks=(look(active=True),))
        named = f"named by Axerrio, truck date {self.s.wanted.truck_date}"
        return Step(
            OrderState.RECEIVED,
            self.ask.hold(
                HoldCode.NOT_VISIBLE,
                f"Line {line.line_key}: Komet took it ({trace or named}) and does not show it. Likely its item lacks a "
                "vendor ship date or cost: look at the prebook in Komet.",
            ),
            looks=(look(active=False),),
        )

    # -- born in Komet ---------------------------------------------------------------------------------------

    def _of_komet(self, line: LineFacts) -> Step | None:
        """Its item is Komet's own: Axerrio must take it, and a purchase order must cover it."""
        item = next(iter(line.live_items), None)
        if item is None or not line.is_open or self.ask.is_withdrawn:
            for dead in line.prebook_items:
                words = "the prebook's line was deleted or set to 0 in Komet"
                removal = _Removal(gone(dead), self.ask.withdrawn if dead.is_live else words)
                for each in dead.covering:
                    if self.ask.decided(line.line_key, removal.fact) != THEIRS:
                        return self._remove_order_item(line, each, removal)
            return None
        refused = self._refused_by_axerrio(line)
        if refused is not None:
            return refused
        unknown = self._unknown_to_komet(line, item)
        if unknown is not None:
            return unknown
        return Step(OrderState.RECEIVED) if line.axerrio_line_key is None else self._purchase(line, item)

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
        if answer is None or answer.status is InboundStatus.PENDING:
            return None
        said = next((each for each in answer.lines if each.external_line_id == line.line_key), None)
        if said is None or said.is_accepted is not False:
            return None
        words = said.message or said.code or "no reason given"
        product = _product_named(line.wanted, words) if line.wanted else ""
        if _speaks_of_the_article(said.code, said.message):
            message = f"Axerrio does not know the article of Komet's {product} (line {line.line_key}): {words}"
            command = f"axkomet mapping set {self.s.connection} … --product-description {quote(product)}"
            hold = Hold(HoldCode.MAPPING_REQUIRED, message, command, line_key=line.line_key)
            return Step(OrderState.RECEIVED, hold, waits_for=product)
        message = f"Axerrio rejected line {line.line_key} ({product}): {words} Requeue the order once that is mended."
        return Step(OrderState.RECEIVED, self.ask.hold(HoldCode.REJECTED, message, self.ask.requeue()))

    # -- removing --------------------------------------------------------------------------------------------

    def _remove(self, line: LineFacts, item: PrebookItemFacts, removal: _Removal) -> Step:
        """The next call that takes an item away: first what covers it, then the item itself."""
        withdrawn = not self.ask.is_desired(line)
        state = OrderState.CANCELLING if withdrawn else OrderState.RECEIVED
        active = item.covering
        if active:
            return self._remove_order_item(line, active[0], removal, prebook=item)
        bought = self._bought(line, item)
        if bought is not None and not bought.shown and bought.looks < LOOKS_FOR_ABSENCE:
            return replace(self._unseen_purchase(line, bought), state=state)
        if line.unlooked_days:  # a person may have covered it
            return Step(state, looks=(self.ask.purchase_orders(line.unlooked_days[0], active=True),))
        if not withdrawn and not self._can_afford(line):
            return self._waits_for_budget(line, state)
        looked = self._looked_after_refusal(Kind.PREBOOK_ITEM_DELETE, line, item.item_id)
        if looked is not None:
            return replace(looked, state=state)
        write = PlannedWrite(Kind.PREBOOK_ITEM_DELETE, (line.line_key,), item_id=item.item_id)
        return Step(state, needs=(write,))

    def _remove_order_item(
        self,
        line: LineFacts,
        each: PurchaseOrderItemFacts,
        removal: _Removal,
        *,
        prebook: PrebookItemFacts | None = None,
    ) -> Step:
        """Take a purchase order item away, as far as its status and the connection's settings allow."""
        state = OrderState.RECEIVED if self.ask.is_desired(line) and line.is_open else OrderState.CANCELLING
        key, number = line.line_key, each.number
        look = self.ask.purchase_orders(each.ship_date or line.ship_date or self.s.wanted.truck_date, active=False)
        stands = f"prebook {prebook.name} and purchase order {number}" if prebook else f"purchase order {number}"
        in_komet = each.box_codes or each.status is PurchaseOrderStatus.SHIPPED or line.boxes
        if in_komet or self.ask.has_left(line):
            message = (
                f"Line {key}: {removal.words}, and its boxes have shipped on purchase order {number}: "
                "that cannot be undone from here."
            )
            return Step(OrderState.APPROVED, self.ask.conflict(key, removal.fact, message, THEIRS), looks=(look,))
        choice = self.ask.decided(key, removal.fact)
        pending = each.status is PurchaseOrderStatus.PENDING
        if not pending and not (removal.is_decided or choice == OURS or self.s.applies_after_approval):
            word = each.status.value if each.status else "not understood"
            message = (
                f"Line {key}: {removal.words} after it was sent, and {stands} stands in Komet, {word}. "
                f"Ours makes it anew as {self._origin} has it, theirs leaves Komet as it is."
            )
            return Step(OrderState.APPROVED, self.ask.conflict(key, removal.fact, message, OURS, THEIRS), looks=(look,))
        if not line.orders_fresh:  # procurement may have approved since
            return Step(state, looks=(replace(look, active=True),))
        if state is not OrderState.CANCELLING and not self._can_afford(line):
            return self._waits_for_budget(line, state)
        looked = self._looked_after_refusal(Kind.PURCHASE_ORDER_ITEM_DELETE, line, each.item_id)
        if looked is not None:
            return replace(looked, state=state)
        write = PlannedWrite(
            Kind.PURCHASE_ORDER_ITEM_DELETE, (key,), item_id=each.item_id, ship_date=each.ship_date or line.ship_date
        )
        return Step(state, needs=(write,))

    @property
    def _origin(self) -> str:
        return "Axerrio" if self.s.origin is Origin.AXERRIO else "Komet's prebook"

    def _looked_after_refusal(self, kind: Kind, line: LineFacts, item_id: str) -> Step | None:
        """After a refused deletion the lists are read before anything else: the item may be gone already."""
        of_item = [write for write in self.ask.writes((kind,), line) if _deletes(write, line, item_id)]
        refused = self.ask.refusals(of_item)
        if not refused:
            return None
        if not refused[-1].looks_since_settled:
            feed = Feed.KOMET_PREBOOKS if kind is Kind.PREBOOK_ITEM_DELETE else Feed.KOMET_PURCHASE_ORDERS
            return Step(None, looks=(Look(feed, refused[-1].look_key, active=True),))
        hold = self.ask.refusal_hold(of_item, f"line {line.line_key}")
        return Step(None, hold) if hold is not None else None

    def _can_afford(self, line: LineFacts) -> bool:
        """A replacement begins only when its whole cost is in the budget; once begun it goes on."""
        cost = _COST_OF_REMAKING + sum(1 + len(item.covering) for item in line.live_items)
        begun = any(each.is_deleted_by_us for item in line.live_items for each in item.purchase_order_items)
        return begun or self.s.requests_left >= cost

    def _waits_for_budget(self, line: LineFacts, state: OrderState) -> Step:
        words = (
            f"Line {line.line_key} is to be made anew, and waits until Komet's request budget has room for all of it."
        )
        return Step(state, notices=(words,))

    # -- the purchase order ----------------------------------------------------------------------------------

    def _purchase(self, line: LineFacts, item: PrebookItemFacts) -> Step:
        """The line has its prebook item on both sides: on to the purchase order."""
        ship_date = line.ship_date
        if ship_date is None:  # Axerrio's record will tell
            return Step(OrderState.PREBOOKED)
        active = item.covering
        trouble = self._edits_of_orders(line, item, active, ship_date)
        if trouble is not None:
            return trouble
        if active:
            return Step(OrderState.ORDERED)
        if self._is_given_up_by_procurement(line, item):
            return Step(None)
        return self._order(line, item, ship_date)

    def _order(self, line: LineFacts, item: PrebookItemFacts, ship_date: date) -> Step:
        """No purchase order covers the item: it is on its way to being seen, or must be made."""
        bought = self._bought(line, item)
        if bought is not None and not bought.shown:
            return self._unseen_purchase(line, bought)
        look = self.ask.purchase_orders(ship_date, active=True)
        if ship_date in line.unlooked_days:  # a person may have covered it first
            return Step(OrderState.PREBOOKED, looks=(look,))
        mine = self._purchases(line, item)
        hold = self.ask.refusal_hold(mine)
        if hold is not None:
            return Step(OrderState.PREBOOKED, hold)
        refused = self.ask.refusals(mine)
        # The purchase order that it was to join may be approved. A list that is never whole tells as much in time.
        if refused and not (refused[-1].looks_since_settled or refused[-1].reads):
            return Step(OrderState.PREBOOKED, looks=(replace(look, key=refused[-1].look_key),))
        is_mixed = line.wanted is not None and line.wanted.is_mixed
        kind = Kind.PURCHASE_ORDER_MIXED_CREATE if is_mixed else Kind.PURCHASE_ORDER_CREATE
        return Step(
            OrderState.PREBOOKED, needs=(PlannedWrite(kind, (line.line_key,), ship_date, item_id=item.item_id),)
        )

    def _purchases(self, line: LineFacts, item: PrebookItemFacts) -> list[WriteFacts]:
        """Purchase orders that were asked for to cover the item."""
        return [write for write in self.ask.writes(PURCHASE_ORDER_CREATES, line) if _covers(write, line, item)]

    def _bought(self, line: LineFacts, item: PrebookItemFacts) -> WriteFacts | None:
        """The newest of them that Komet took."""
        taken = (write for write in reversed(self._purchases(line, item)) if write.state is WriteState.DONE)
        return next(taken, None)

    def is_awaited(self, purchase: WriteFacts) -> bool:
        """A line that it covers waits until a list shows it."""
        return (
            not purchase.shown
            and purchase.reads < LOOKS_FOR_ABSENCE
            and any(self._bought(line, item) is purchase for line in self.s.lines for item in line.live_items)
        )

    def _unseen_purchase(self, line: LineFacts, bought: WriteFacts) -> Step:
        """Komet took a purchase order for the line, and no list has shown it: on the day for which it was asked."""
        look = Look(Feed.KOMET_PURCHASE_ORDERS, bought.look_key, active=True)
        if bought.reads < LOOKS_FOR_ABSENCE:
            return Step(OrderState.PREBOOKED, looks=(look,))
        hold = self.ask.hold(
            HoldCode.NOT_VISIBLE,
            f"Line {line.line_key}: Komet took its purchase order ({bought.trace}) and does not show it. "
            "Look for it in Komet.",
        )
        return Step(OrderState.PREBOOKED, hold, looks=(replace(look, active=False),))

    def _edits_of_orders(
        self, line: LineFacts, item: PrebookItemFacts, active: tuple[PurchaseOrderItemFacts, ...], ship_date: date
    ) -> Step | None:
        """What procurement or a person did to the purchase orders that cover the item; None: nothing that matters."""
        look = self.ask.purchase_orders(ship_date, active=False)
        outdated = self.outdated(line, item, active, ship_date)
        for each in self.facts_of_orders(line, item, active, is_outdated=outdated is not None):
            choice = self.ask.decided(line.line_key, each.fact)
            if choice == OURS and each.again:
                removal = _Removal(each.fact, each.message, is_decided=True)
                return self._remove_order_item(line, each.again[0], removal, prebook=item)
            if choice is None:
                hold = self.ask.conflict(line.line_key, each.fact, each.message, OURS, THEIRS)
                return Step(OrderState.PREBOOKED, hold, looks=(look,))
        if outdated is not None and self.ask.decided(line.line_key, outdated.fact) != THEIRS:
            return self._remove_order_item(line, active[0], outdated, prebook=item)
        return None

    def outdated(
        self, line: LineFacts, item: PrebookItemFacts, active: tuple[PurchaseOrderItemFacts, ...], ship_date: date
    ) -> _Removal | None:
        """A prebook born in Komet says something else than when we bought its item: it is bought anew.

        What we did not buy ourselves is a person's.
        """
        bought = self._bought(line, item)
        says = _says(bought, line) if bought is not None else None
        if self.s.origin is not Origin.KOMET or says is None or len(active) != 1 or line.boxes:
            return None
        if active[0].first_boxes != says["boxes"]:
            return None
        now = {"boxes": item.boxes, "ship_date": ship_date.isoformat(), **item.material}
        before = {"boxes": says["boxes"], "ship_date": says["ship_date"], **says.get("material", {})}
        changed = [name for name, value in now.items() if value and before.get(name) and before[name] != value]
        if not changed:
            return None
        words = ", ".join(f"{name.replace('_', ' ')} {before[name]} → {now[name]}" for name in changed)
        return _Removal(f"prebook changed: {words}", f"Komet's prebook changed it ({words})")

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
            if each.changes:
                words = ", ".join(map(str, each.changes))
                message = f"Line {key}: a person changed {words} on purchase order {each.number} in Komet."
                found.append(OrderFact(f"order item {each.item_id}: {words}", message, (each,), each.changes))
        if active:
            covered, first = sum(each.boxes for each in active), sum(each.first_boxes for each in active)
            person = not is_outdated or first != covered
            wanted = {item.boxes} | ({item.sent["boxes"]} if item.sent else set())  # a person's prebook may stand
            if covered not in wanted and person and not line.boxes:
                numbers = ", ".join(dict.fromkeys(each.number for each in active))
                words = f"purchase order {numbers} holds {covered} boxes, the prebook {item.boxes}"
                found.append(OrderFact(words, f"Line {key}: {words}. A person did that in Komet.", active))
            return found
        for each in item.purchase_order_items:
            if each.boxes and each.status is PurchaseOrderStatus.CANCELLED:
                message = f"Procurement cancelled purchase order {each.number} (line {key}); it is still wanted."
                found.append(OrderFact(f"order item {each.item_id} cancelled", message, (), lost=each))
            elif not each.boxes and not each.is_deleted_by_us:
                message = f"Line {key}: its item of purchase order {each.number} was removed in Komet."
                found.append(OrderFact(f"order item {each.item_id} removed", message, (), lost=each))
        return found

    def _is_given_up_by_procurement(self, line: LineFacts, item: PrebookItemFacts) -> bool:
        facts = self.facts_of_orders(line, item, ())
        return bool(facts) and self.ask.decided(line.line_key, facts[-1].fact) == THEIRS


def _changes(line: LineFacts, item: PrebookItemFacts) -> tuple[Change, ...]:
    """What of the line is not wanted any more as its item was sent."""
    if item.sent is None or line.wanted_as_sent is None:
        return ()
    return changes(item.sent, line.wanted_as_sent)


def gone(item: PrebookItemFacts) -> str:
    """The fact that an item holds nothing any more."""
    return f"gone, item {item.item_id}"


def _says(write: WriteFacts, line: LineFacts) -> Json | None:
    return write.sent.get(line.line_key)


def _covers(write: WriteFacts, line: LineFacts, item: PrebookItemFacts) -> bool:
    """The purchase order create was made for this prebook item."""
    says = _says(write, line)
    return says is None or says.get("prebook_item_id") in (None, item.item_id)


def _deletes(write: WriteFacts, line: LineFacts, item_id: str) -> bool:
    says = _says(write, line)
    return says is not None and says.get("item_id") == item_id


def _named_in(refused: WriteFacts) -> list[str]:
    """Keys of the lines whose products a refusal names."""
    said = (refused.error or "").casefold()
    words = {key: [word for each in naming(says) for word in each if word] for key, says in refused.sent.items()}
    return [key for key, of_line in words.items() if any(word.casefold() in said for word in of_line)]


def _article_named(says: Json | None, words: str) -> str | None:
    """Our article for the product that a refusal names: of a mixed box it may be one in it. The longest name counts."""
    said = words.casefold()
    named = (
        [
            (len(word), str(part["article"]))
            for part in (says, *says.get("breakdown", ()))
            for word in (part.get(name) for name in _NAMING)
            if word and word.casefold() in said
        ]
        if says
        else []
    )
    return max(named)[1] if named else None


def _product_named(line: Line, words: str) -> str:
    """Komet's word for the product that a rejection names: of a mixed box it may be one in it."""
    products = (line.article, *(part.article for part in line.breakdown))
    said = words.casefold()
    named = (
        each for each in products if any(name and name.casefold() in said for name in (each.code, each.description))
    )
    return next(named, line.article).description


def _speaks_of_the_article(code: str, message: str) -> bool:
    words = f"{code} {message}".casefold()
    return "article" in words or "product" in words
