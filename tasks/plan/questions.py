"""Questions that all parts of the plan ask of a situation, and the sentences in which they hold something."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from shlex import quote

from clients.errors import RefusalKind
from models.canonical import InboundStatus, LineStatus, Order, OrderStatus, Origin
from models.states import Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    PURCHASE_ORDER_CREATES,
    REFUSALS_BEFORE_HOLD,
    SHOWS_WITHIN,
    Hold,
    LineFacts,
    Look,
    PlannedWrite,
    Situation,
    WriteFacts,
)
from tasks.plan.labels import Entry, entry_of

OURS, THEIRS = "ours", "theirs"
#: How the fact begins that a person edited in Axerrio an order born in Komet.
EDITED = "axerrio: "
#: The fact that Axerrio took an order back to draft.
DRAFT = "draft"
#: Refusals that say nothing about the order or the method: they are over when the token or the budget is mended.
NOT_THE_ORDERS_FAULT = (RefusalKind.TOKEN, RefusalKind.LIMIT)
#: Refusals that another look or try may do away with. Where several orders are refused for want of a right the method
#: is paused; one alone may have met a hiccup.
_MAY_BE_TRIED_AGAIN = (RefusalKind.OTHER, RefusalKind.RIGHT, RefusalKind.GONE, RefusalKind.EXISTS)


@dataclass(frozen=True)
class Step:
    """Where one line stands and what it needs next."""

    #: None: it asks for nothing any more.
    state: OrderState | None
    hold: Hold | None = None
    needs: tuple[PlannedWrite, ...] = ()
    looks: tuple[Look, ...] = ()
    #: The article, or Komet's word for the product, without whose mapping it cannot go on.
    waits_for: str | None = None
    notices: tuple[str, ...] = ()
    #: What stands of it goes on its way, although something else of it is held.
    still_leaves: bool = False


class Questions:
    """What can be asked of a situation."""

    def __init__(self, situation: Situation) -> None:
        self.s = situation

    # -- the order -------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """As it is typed in a command."""
        return quote(self.s.key)

    @property
    def is_withdrawn(self) -> bool:
        """Its origin wants it no more, or a person cancelled it here."""
        return self.s.cancelled_by is not None or self.is_withdrawn_by_origin

    @property
    def is_withdrawn_by_origin(self) -> bool:
        """Its origin wants it no more. A record that is tidied away after the order left takes nothing back."""
        s = self.s
        if s.wanted.status is OrderStatus.CANCELLED or (s.is_deleted and not is_shipped(s.wanted)):
            return True
        return s.wanted.status is OrderStatus.DRAFT and self.decided(None, DRAFT) == OURS

    @property
    def withdrawn(self) -> str:
        """Who cancelled it, as a sentence without its end."""
        if self.s.cancelled_by is not None and not self.is_withdrawn_by_origin:
            return f"{self.s.cancelled_by[0]} cancelled it here"
        return f"{'Komet' if self.s.origin is Origin.KOMET else 'Axerrio'} cancelled it"

    def is_desired(self, line: LineFacts) -> bool:
        """The line shall stand in the other system."""
        return not self.is_withdrawn and line.wanted is not None and line.wanted.status != "cancelled"

    def has_left(self, line: LineFacts) -> bool:
        """Axerrio says that the line or the whole order was shipped: nothing more of it will leave."""
        record = self.s.axerrio.record if self.s.origin is Origin.KOMET else self.s.wanted
        if record is None:
            return False
        of_line = next((each for each in record.lines if each.line_key == line.axerrio_line_key), None)
        return is_shipped(record) or (of_line is not None and of_line.status is LineStatus.SHIPPED)

    def went_with_its_order(self, line: LineFacts) -> bool:
        """It left, as Axerrio says. What was taken off before stayed behind, unless a shipment has some of it."""
        is_on_it = line.wanted is not None and line.wanted.status is not LineStatus.CANCELLED
        return self.has_left(line) and (is_on_it or bool(self.entries(line)))

    def entries(self, line: LineFacts) -> list[Entry]:
        """The line's part of each shipment."""
        key = line.axerrio_line_key
        if key is None:
            return []
        parts = ((shipment, entry_of(shipment, key)) for shipment in self.s.shipments)
        return [(shipment, entry) for shipment, entry in parts if entry is not None]

    @property
    def is_taken(self) -> bool:
        """Axerrio took an order born in Komet as it was sent last: it did not refuse it, nor does it think it over."""
        answer = self.s.axerrio.answer
        return answer is None or answer.decision is InboundStatus.ACCEPTED

    def is_passed_over(self, line: LineFacts) -> bool:
        """It was sent, and neither Axerrio's answer nor its record since knows of it."""
        axerrio = self.s.axerrio
        if line.axerrio_line_key is not None or axerrio.applied is None or axerrio.answer is None:
            return False
        was_sent = any(each.line_key == line.line_key for each in axerrio.applied.lines)
        is_answered = any(each.external_line_id == line.line_key for each in axerrio.answer.lines)
        return was_sent and not is_answered and self.is_taken and axerrio.holds is not None

    @property
    def is_left_cancelled(self) -> bool:
        """An order born in Komet was cancelled or deleted in Axerrio, and a person decided that it stays so."""
        axerrio = self.s.axerrio
        if axerrio.applied is None:
            return False
        is_cancelled = axerrio.holds is not None and axerrio.holds.status is OrderStatus.CANCELLED
        words = ("deleted", "deleted for good") if axerrio.is_deleted else ("cancelled",) if is_cancelled else ()
        return any(self.decided(None, f"{EDITED}{word}") == THEIRS for word in words)

    @property
    def takes_no_change(self) -> bool:
        """Axerrio shipped an order born in Komet, or some of it, by its own record or by its answer to our last try."""
        record = self.s.axerrio.record
        lines = record.lines if record is not None else ()
        if (record is not None and is_shipped(record)) or any(each.status is LineStatus.SHIPPED for each in lines):
            return True
        refused = self.refusals(self.writes((Kind.INBOUND_ORDER,)))
        return bool(refused) and refused[-1].refusal is RefusalKind.CONFLICT

    def decided(self, line_key: str | None, fact: str) -> str | None:
        """What a person decided on a fact of a line, or of the whole order."""
        return self.s.decisions.get((line_key, fact))

    def decisions_on(self, line_key: str) -> dict[str, str]:
        """What a person decided on facts of a line, by fact."""
        return {fact: choice for (key, fact), choice in self.s.decisions.items() if key == line_key}

    # -- holds -----------------------------------------------------------------------------------------------

    def hold(self, code: HoldCode, message: str, command: str | None = None) -> Hold:
        """A hold that ends by itself once what it names is mended."""
        return Hold(code, message, command or f"axkomet orders show {self.key}")

    def conflict(self, line_key: str | None, fact: str, message: str, *choices: str) -> Hold | None:
        """A hold that a decision settles; None where one of these was taken."""
        if self.decided(line_key, fact) in choices:
            return None
        command = self.resolve(line_key, choices[0] if choices else THEIRS)
        return Hold(HoldCode.CONFLICT, message, command, fact, line_key, choices)

    def resolve(self, line_key: str | None, choice: str) -> str:
        """The command that decides a fact of a line, or of the whole order."""
        of_line = f" --line {quote(line_key)}" if line_key is not None else ""
        return f"axkomet resolve {self.key}{of_line} --{choice}"

    def requeue(self) -> str:
        """The command that lets the order begin afresh."""
        return f"axkomet requeue {self.key}"

    # -- writes ----------------------------------------------------------------------------------------------

    def writes(self, kinds: Collection[Kind], line: LineFacts | None = None) -> list[WriteFacts]:
        """Writes of these kinds, of a line or of the order, the oldest first."""
        return [
            write
            for write in self.s.writes
            if write.kind in kinds and (line is None or line.line_key in write.line_keys)
        ]

    def open(self, *kinds: Kind, line: LineFacts | None = None) -> WriteFacts | None:
        """The open write of these kinds, if any."""
        return next((write for write in self.writes(kinds, line) if write.state.is_open), None)

    @property
    def purchase_order_shows_within(self) -> timedelta:
        """A purchase order was just made, and its items are about to be seen; zero: nothing is to be awaited."""
        made = [each for each in self.writes(PURCHASE_ORDER_CREATES) if each.state is WriteState.DONE]
        ages = [each.settled_for for each in made if not each.shown and each.settled_for is not None]
        return max(SHOWS_WITHIN - min(ages, default=SHOWS_WITHIN), timedelta(0))

    def done(self, kinds: Collection[Kind], line: LineFacts) -> WriteFacts | None:
        """The newest done write of these kinds for the line."""
        done = [write for write in self.writes(kinds, line) if write.state is WriteState.DONE]
        return done[-1] if done else None

    def refusals(self, writes: Iterable[WriteFacts]) -> list[WriteFacts]:
        """Those refused since the last that was done, as far as they count."""
        refused: list[WriteFacts] = []
        for write in writes:
            if write.state is WriteState.DONE:
                refused.clear()
            elif write.state is WriteState.REFUSED and write.counts and write.refusal not in NOT_THE_ORDERS_FAULT:
                refused.append(write)
        return refused

    def refusal_hold(self, writes: Iterable[WriteFacts], subject: str = "") -> Hold | None:
        """The other system said no for good, or too often."""
        refused = self.refusals(writes)
        if not refused:
            return None
        last = refused[-1]
        system = "Axerrio" if last.kind.value.startswith("axerrio.") else "Komet"
        where = f" ({subject})" if subject else ""
        if last.refusal in _MAY_BE_TRIED_AGAIN and len(refused) < REFUSALS_BEFORE_HOLD:
            return None
        if last.refusal is RefusalKind.RIGHT:
            message = f"{system} allows our token no {last.kind} ({last.error}): tick it there, then requeue the order."
        else:
            said = (last.error or "it gave no reason").rstrip(". ")
            message = f"{system} refused {last.kind}{where}: {said}. Requeue the order once that is mended."
        return self.hold(HoldCode.REJECTED, message, self.requeue())

    def in_flight(self, line: LineFacts, write: WriteFacts, state: OrderState) -> Step:
        """A Komet write of this line is open: whoever sent it may still be at it, or it is in doubt."""
        feed = Feed.KOMET_PREBOOKS if write.kind in _SHOWN_AT_PREBOOKS else Feed.KOMET_PURCHASE_ORDERS
        if write.reads < LOOKS_FOR_ABSENCE:
            return Step(state, looks=(Look(feed, write.look_key, active=True),))
        what, adoptable = _WORDS[write.kind], write.kind is Kind.PREBOOK_CREATE
        why = (
            f"prebook {write.may_be} (id {write.may_be_id}) may be it, without our mark"
            if write.may_be is not None
            else "its list proves nothing yet: something in it cannot be read or is missing, or showed late before"
            if write.looks < LOOKS_FOR_ABSENCE
            else f"whether it was done is not certain until another {what} of this connection was seen"
        )
        hold = Hold(
            HoldCode.IN_DOUBT,
            f"Komet did not answer to the {what}, and does not show it; {why}. Look in Komet for {write.trace}: "
            + ("where it stands there, resolve with --adopt and its id; " if adoptable else "")
            + "where it surely does not, resolve with --resend.",
            self.resolve(line.line_key, f"adopt {write.may_be_id}" if write.may_be_id else "resend"),
            f"write {write.id}",
            line.line_key,
            ("adopt", "resend") if adoptable else ("resend",),
        )
        return Step(state, hold, looks=(Look(feed, write.look_key, active=False),))

    def not_shown(self, line: LineFacts, made: WriteFacts, message: str) -> Hold:
        """Komet took it for the line and does not show it: a person looks, and only he can say that it is gone.

        To make it anew is no next command: mostly it stands there.
        """
        anew = f"where it surely stands there no more: `{self.resolve(line.line_key, 'resend')}`"
        another = f"where another prebook is it: `{self.resolve(line.line_key, 'adopt')} ID`; "
        # A person named the prebook, and it shows nowhere: he may have meant another.
        is_adopted = made.kind is Kind.PREBOOK_CREATE and not made.acknowledged and not made.shown
        hold = self.hold(HoldCode.NOT_VISIBLE, f"{message}; {another if is_adopted else ''}{anew}.")
        choices = ("adopt", "resend") if is_adopted else ("resend",)
        return replace(hold, fact=f"write {made.id}", line_key=line.line_key, choices=choices)

    # -- looks -----------------------------------------------------------------------------------------------

    def prebooks(self, *, active: bool, day: date | None = None) -> Look:
        """A look at the prebooks of a truck date, the order's own where none is named."""
        return Look(Feed.KOMET_PREBOOKS, (day or self.s.wanted.truck_date).isoformat(), active)

    def purchase_orders(self, day: date, *, active: bool) -> Look:
        """A look at the purchase orders of a ship date."""
        return Look(Feed.KOMET_PURCHASE_ORDERS, day.isoformat(), active)


def is_shipped(order: Order) -> bool:
    """The whole order was shipped."""
    return order.status in (OrderStatus.SHIPPED, OrderStatus.CLOSED)


_SHOWN_AT_PREBOOKS = (Kind.PREBOOK_CREATE, Kind.PREBOOK_ITEM_DELETE)
_WORDS = {
    Kind.PREBOOK_CREATE: "prebook",
    Kind.PREBOOK_ITEM_DELETE: "deletion of a prebook item",
    Kind.PURCHASE_ORDER_CREATE: "purchase order",
    Kind.PURCHASE_ORDER_MIXED_CREATE: "purchase order for mixed boxes",
    Kind.PURCHASE_ORDER_ITEM_DELETE: "deletion of a purchase order item",
    Kind.AWB_ADD: "air waybill",
    Kind.BOX_CODE_CHANGE: "change of box codes",
}
