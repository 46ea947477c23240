"""What the plan may know, and what it may say: frozen, so that a plan can never change what it was given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from clients.errors import RefusalKind
from models.canonical import (
    ApprovalReport,
    InboundOrder,
    Json,
    Label,
    Line,
    LineStatus,
    Order,
    Origin,
    PurchaseOrderStatus,
    References,
    Shipment,
)
from models.states import Feed, HoldCode, Kind, OrderState, WriteState

#: Looks at its scope that must miss a write before it may count as absent.
LOOKS_FOR_ABSENCE = 2
#: Full reads that must miss what they should show before it counts as gone.
MISSES_FOR_GONE = 2
#: What was just made is seen within so long, where the lists are read as usual.
SHOWS_WITHIN = timedelta(seconds=10)
#: Refusals that we do not understand are tried again; the last of these holds the order.
REFUSALS_BEFORE_HOLD = 3
#: An order with nothing open is closed so long after its truck date.
CLOSED_AFTER = timedelta(days=7)

#: Writes that must not be sent twice on a guess: whether they arrived is judged by what Komet shows.
KOMET_WRITES = tuple(kind for kind in Kind if kind.value.startswith("komet."))
PURCHASE_ORDER_CREATES = (Kind.PURCHASE_ORDER_CREATE, Kind.PURCHASE_ORDER_MIXED_CREATE)
#: Writes that may bring something new into Komet's books.
CREATES = (Kind.PREBOOK_CREATE, *PURCHASE_ORDER_CREATES)


@dataclass(frozen=True)
class Change:
    """A field that a person changed in Komet: what stood there first, and what stands there now."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.field.replace('_', ' ')} {self.before} → {self.after}"


@dataclass(frozen=True)
class PurchaseOrderItemFacts:
    """A purchase order item that covers a prebook item of the order."""

    item_id: str
    purchase_order_id: str
    number: str
    #: 0: deleted.
    boxes: int
    #: When it was first seen.
    first_boxes: int
    ship_date: date | None
    #: None: a word of Komet's that we do not know, which is not approved.
    status: PurchaseOrderStatus | None
    #: Codes of its boxes as Komet shows them: there once it was shipped.
    box_codes: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    #: Komet acknowledged our deleting it.
    is_deleted_by_us: bool = False


@dataclass(frozen=True)
class PrebookItemFacts:
    """A prebook item that is bound to a line."""

    item_id: str
    prebook_id: str
    prebook_number: str | None
    truck_date: date
    #: 0: deleted.
    boxes: int
    mapped: bool
    #: It was seen in a list, not only named by Axerrio's references.
    seen: bool
    #: What its create said of the line; None for an item that was born in Komet.
    sent: Json | None
    #: What it says of its goods, as last seen.
    material: Json = field(default_factory=dict)
    #: The create that made it; None for one that Axerrio's references name, or that was born in Komet.
    write_id: int | None = None
    changes: tuple[Change, ...] = ()
    #: We asked for its deletion, and Komet acknowledged it or shows it.
    is_deleted_by_us: bool = False
    #: Words for the products that Komet does not know: Axerrio's article codes as sent, for those it can be told.
    unknown_articles: tuple[str, ...] = ()
    purchase_order_items: tuple[PurchaseOrderItemFacts, ...] = ()

    @property
    def name(self) -> str:
        """Of its prebook, as people find it."""
        return self.prebook_number or self.prebook_id

    @property
    def is_live(self) -> bool:
        """It holds boxes; one at 0 counts as deleted (Komet: Delete an Item from a Prebook)."""
        return self.boxes > 0

    @property
    def live_purchase_order_items(self) -> tuple[PurchaseOrderItemFacts, ...]:
        """Those that hold boxes."""
        return tuple(item for item in self.purchase_order_items if item.boxes > 0)

    @property
    def goes_from_here(self) -> bool:
        """It, or what was bought for it last, was deleted from here: what was begun goes on until it is bought anew."""
        covered = sum(each.boxes for each in self.covering)
        is_whole = bool(covered) and covered >= self.boxes
        last = self.purchase_order_items[-1:]
        return self.is_deleted_by_us or (any(each.is_deleted_by_us for each in last) and not is_whole)

    @property
    def covering(self) -> tuple[PurchaseOrderItemFacts, ...]:
        """Those of them that were not cancelled."""
        live = self.live_purchase_order_items
        return tuple(each for each in live if each.status is not PurchaseOrderStatus.CANCELLED)


def most_bought(items: Iterable[PrebookItemFacts]) -> PrebookItemFacts:
    """The item that stands for a line of which there are several: the one with most purchase order items."""
    return max(items, key=lambda each: len(each.live_purchase_order_items))


@dataclass(frozen=True)
class BoxFacts:
    """A box of the line that Komet holds on an air waybill."""

    box_code: str
    label_key: str
    shipment_key: str
    purchase_order_item_id: str
    awb: str
    house_awb: str
    ship_date: date


@dataclass(frozen=True)
class LineFacts:
    """A line: what is wanted, what was sent, and what stands."""

    #: Of its row.
    line_id: int
    line_key: str
    wanted: Line | None
    #: `wanted` as Komet would keep it, to compare with what was sent; None for an order born in Komet.
    wanted_as_sent: Json | None
    since_version: int
    #: Its key in Axerrio; None until Axerrio gave one.
    axerrio_line_key: str | None = None
    #: The day on which it leaves the vendor; None: not known yet.
    ship_date: date | None = None
    prebook_items: tuple[PrebookItemFacts, ...] = ()
    #: Days whose purchase orders may cover it, and were not looked at since an item of it was touched, nor lately: the
    #: one on which it leaves, and those on which its items were to.
    unlooked_days: tuple[date, ...] = ()
    #: Days of its purchase orders that were not looked at since its newest version came, nor lately.
    stale_days: tuple[date, ...] = ()
    #: Days of either kind that were looked at in vain: their lists are not whole.
    hidden_days: tuple[date, ...] = ()
    #: An article of it that Komet is known not to know, by an item of another line.
    unknown_article: str | None = None
    boxes: tuple[BoxFacts, ...] = ()

    @property
    def is_open(self) -> bool:
        """Wanted, and not shipped or cancelled."""
        return self.wanted is not None and self.wanted.status is LineStatus.OPEN

    @property
    def live_items(self) -> tuple[PrebookItemFacts, ...]:
        """Prebook items that hold boxes."""
        return tuple(item for item in self.prebook_items if item.is_live)

    @property
    def purchase_order_items(self) -> tuple[PurchaseOrderItemFacts, ...]:
        """Purchase order items that hold boxes, of all its items."""
        return tuple(each for item in self.prebook_items for each in item.live_purchase_order_items)

    @property
    def covering(self) -> tuple[PurchaseOrderItemFacts, ...]:
        """Those of them that were not cancelled."""
        return tuple(each for item in self.prebook_items for each in item.covering)

    @property
    def is_half_remade(self) -> bool:
        """Something of it was deleted from here, and what comes in its place is not bought yet."""
        is_bought = any(item.covering and not item.goes_from_here for item in self.live_items)
        return not is_bought and any(item.goes_from_here for item in self.prebook_items)


@dataclass(frozen=True)
class WriteFacts:
    """A write as far as it covers lines of this order, open or settled."""

    id: int
    kind: Kind
    state: WriteState
    #: Lines whose part of it is as `state` says.
    line_keys: frozenset[str]
    acknowledged: bool
    #: A look showed it.
    shown: bool
    #: Time until the call's own time is over; None when it was never sent.
    deadline_in: timedelta | None
    #: Complete looks at its scope that began after its grace was over and did not show it.
    looks: int
    #: All looks that began then, also those that prove nothing.
    reads: int
    #: Absence from complete looks is proof.
    absence_is_proof: bool
    #: Number and id of a prebook without our mark that may be it.
    may_be: str | None
    #: It counts against the limits: it is younger than the order's last fresh start.
    counts: bool
    #: This order's run makes the call; else another's, which carries lines of this one too.
    is_led: bool = True
    #: It carries lines of other orders too.
    is_shared: bool = False
    #: Looks at its scope that began after it was refused; where it may have been done in part, once its grace was over.
    looks_since_settled: int = 0
    #: Time since it was settled.
    settled_for: timedelta | None = None
    #: Tries that ended unanswered while the other system answered others.
    strikes: int = 0
    #: It ended unanswered while its system was away from everybody.
    is_excused: bool = False
    may_be_id: str | None = None
    refusal: RefusalKind | None = None
    error: str | None = None
    #: Text by which a person finds it: mark or numbers.
    trace: str = ""
    #: Key of the scope in which it shows: the truck date or ship date with which it was sent.
    look_key: str = ""
    #: There are items of the prebook that it made of which no line could be told to have them; and they hold boxes.
    has_strays: bool = False
    has_live_strays: bool = False
    #: What it says of each of these lines.
    sent: Mapping[str, Json] = field(default_factory=dict)

    @property
    def is_looked_at(self) -> bool:
        """Its scope was read since it was settled. A list that is never whole tells as much in time."""
        return bool(self.looks_since_settled or self.reads)

    @property
    def overdue(self) -> bool:
        """Sent, and the time of the call is over."""
        return self.deadline_in is not None and self.deadline_in < timedelta(0)


@dataclass(frozen=True)
class AxerrioFacts:
    """What Axerrio holds of an order born in Komet."""

    #: The order that Axerrio answered to last: what we last sent. None: nothing stands there.
    applied: Order | None = None
    answer: InboundOrder | None = None
    #: The answer counts: it is younger than the order's last fresh start.
    answer_counts: bool = True
    #: Its own record, where it is newer than our last write.
    holds: Order | None = None
    #: Its newest record, whenever it came.
    record: Order | None = None
    #: A tombstone came.
    is_deleted: bool = False


@dataclass(frozen=True)
class Situation:
    """Everything the plan may know of one order."""

    connection: str
    #: As commands name it.
    key: str
    origin: Origin
    #: The version with which it was begun in the other system; None: nothing was begun.
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
    #: The date on which its newest version came.
    changed_on: date
    #: None: the connection maps the buyer to no Komet customer; where Komet is the origin, the customer to no buyer.
    customer_code: str | None
    #: Komet carrier code after mapping, and whether Komet lists it.
    carrier_code: str | None
    carrier_known: bool
    #: Axerrio packing codes of open lines whose box type Komet does not list.
    unknown_packings: tuple[str, ...]
    #: Komet's lists of carriers and box types were read.
    reference_known: bool
    max_attempts: int
    #: What people decided, by line key (None: of the whole order) and fact.
    decisions: Mapping[tuple[str | None, str], str] = field(default_factory=dict)
    #: Changes after the approval are applied, not held.
    applies_after_approval: bool = False
    #: Axerrio knows the order under a key, so that it can be written to.
    axerrio_knows: bool = True
    axerrio: AxerrioFacts = field(default_factory=AxerrioFacts)
    #: A prebook that Axerrio's references name without items, and that no list has shown yet.
    unseen_prebook: str | None = None
    #: Looks at the prebooks of its truck date since it was received and the grace was over.
    looks_since_received: int = 0
    #: With lines of this order, in their newest versions.
    shipments: tuple[Shipment, ...] = ()
    #: Of this order, the oldest first; deleted ones are void, and come before all others.
    labels: tuple[Label, ...] = ()
    #: Key of the label that once carried a code, by that code.
    former_codes: Mapping[str, str] = field(default_factory=dict)
    #: Codes of its labels that boxes of other orders carry in Komet.
    codes_elsewhere: frozenset[str] = frozenset()
    #: Labels were read after the newest shipment of the order came.
    labels_current: bool = True
    sends_temporary_awb: bool = False
    #: Komet makes a prebook without the items that it does not take, instead of refusing it whole.
    leaves_bad_items_out: bool = False
    #: Komet takes an air waybill for a purchase order that is not approved yet.
    awb_while_pending: bool = True
    #: Its newest version came with too many others that take away what stands: nothing is sent until it is released.
    over_limit: bool = False
    #: How many others.
    upset_with: int = 0
    #: A person stopped it: who, and why.
    held_by_hand: tuple[str, str] | None = None
    #: A person cancelled it, though its origin wants it: who, and why.
    cancelled_by: tuple[str, str] | None = None
    #: Since then its origin changed what is wanted: the fact that a person decides.
    changed_since_cancelled: str | None = None


@dataclass(frozen=True)
class Hold:
    """Why an order or line waits for a person, and what to type next."""

    code: HoldCode
    message: str
    next_command: str
    #: What a person can decide; None where there is nothing to decide. One word for the same fact, however often seen.
    fact: str | None = None
    line_key: str | None = None
    #: The decisions that settle it.
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """What would go of a line in Komet, for what its origin says: whoever may have to agree first."""

    prebook_items: int = 0
    purchase_order_items: int = 0

    def __bool__(self) -> bool:
        """Something would."""
        return bool(self.prebook_items or self.purchase_order_items)


@dataclass(frozen=True, order=True)
class Look:
    """A scope that must be read before this order can go on. Active: at the base interval."""

    feed: Feed
    key: str
    active: bool


@dataclass(frozen=True)
class AwbPart:
    """Boxes of one line that shall go on an air waybill: their codes and labels, for one purchase order item."""

    line_id: int
    shipment_key: str
    item_id: str
    ship_date_of_order: date | None
    box_codes: tuple[str, ...]
    label_keys: tuple[str, ...]
    #: Its digits.
    awb: str
    lot_number: str = ""


@dataclass(frozen=True)
class BoxChange:
    """A box whose code in Komet shall become its label's."""

    line_id: int
    current: str
    new: str
    ship_date_of_order: date | None


@dataclass(frozen=True)
class PlannedWrite:
    """One intended change, not yet frozen."""

    kind: Kind
    line_keys: tuple[str, ...]
    ship_date: date | None = None
    #: An existing purchase order to add to.
    purchase_order_number: str | None = None
    #: The prebook item or purchase order item to delete; of one line: the prebook item to cover.
    item_id: str | None = None
    #: The prebook item to cover, by line key.
    covers: Mapping[str, str] = field(default_factory=dict)
    references: References | None = None
    report: ApprovalReport | None = None
    #: The order as Axerrio shall have it; None beside INBOUND_ORDER: it shall be cancelled there.
    inbound: Order | None = None
    #: Of this order's lines, and of others' that were planned for the same call.
    awb: tuple[AwbPart, ...] = ()
    boxes: tuple[BoxChange, ...] = ()
    #: It must not share a call with other orders.
    alone: bool = False
    #: What it lacks is about to be seen: only after so long it is sent without it.
    patience: timedelta = timedelta(0)
    #: Komet requests that must be left before it is sent: its own, and those of what must follow it.
    requests: int = 1

    def with_parts_of(self, other: "PlannedWrite") -> "PlannedWrite":
        """The same call with another order's boxes in it too."""
        return replace(self, awb=self.awb + other.awb, boxes=self.boxes + other.boxes)


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
    #: By line key: the article, or Komet's word for a product, without whose mapping the line cannot go on.
    waits_for: dict[str, str] = field(default_factory=dict)
    #: Open writes to send again as they are: they are safe to repeat.
    repeats: tuple[int, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    looks: tuple[Look, ...] = ()
    #: All reasons why something of it waits for a person.
    holds: tuple[Hold, ...] = ()
    #: What is worth a line of history, once.
    notices: tuple[str, ...] = ()
    #: Tries that ended unanswered since the last fresh start.
    attempts: int = 0
