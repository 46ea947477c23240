"""The words for where an order, a line and a write stand, and why an order waits."""

from enum import StrEnum
from typing import NamedTuple


class OrderState(StrEnum):
    """Where an order stands, in the order of its progress; then the flags that are shown in place of it."""

    RECEIVED = "received"
    PREBOOKED = "prebooked"
    ORDERED = "ordered"
    APPROVED = "approved"
    SHIPPED = "shipped"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    CANCELLING = "cancelling"
    MAPPING_REQUIRED = "mapping_required"
    HELD = "held"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Nothing more will be done for it, unless its origin changes it."""
        return self in (self.CLOSED, self.CANCELLED)


#: Progress of a line or an order, slowest first.
PROGRESS = (OrderState.RECEIVED, OrderState.PREBOOKED, OrderState.ORDERED, OrderState.APPROVED, OrderState.SHIPPED)
#: Flags: something waits for a person.
WAITING = (OrderState.MAPPING_REQUIRED, OrderState.HELD, OrderState.FAILED)
FINAL = tuple(state for state in OrderState if state.is_final)


class Move(NamedTuple):
    """From each of some states an order may come to each of others."""

    before: tuple[OrderState, ...]
    after: tuple[OrderState, ...]
    when: str


#: Every move that an order can make. Its state is derived anew at each look, so that several steps may be one move.
MOVES = (
    Move(PROGRESS, PROGRESS, "its slowest line went on, or its origin asks for more"),
    Move(PROGRESS, (OrderState.CANCELLING,), "its origin wants it, or a line of it, no more"),
    Move((OrderState.CANCELLING,), PROGRESS, "what was withdrawn is gone, or wanted again"),
    Move((*PROGRESS, OrderState.CANCELLING), WAITING, "something waits for a person"),
    Move(WAITING, (*PROGRESS, OrderState.CANCELLING), "that is decided, mended or mapped"),
    Move(WAITING, WAITING, "something else waits for a person"),
    Move((OrderState.RECEIVED, OrderState.CANCELLING, *WAITING), (OrderState.CANCELLED,), "cancelled, and gone"),
    Move((*PROGRESS, OrderState.CANCELLING, *WAITING), (OrderState.CLOSED,), "closed in Axerrio, or left a week ago"),
    Move(
        (OrderState.CANCELLED,),
        (OrderState.RECEIVED, OrderState.PREBOOKED, OrderState.CANCELLING, *WAITING, OrderState.CLOSED),
        "its origin changed it, or something of it shows after all",
    ),
    Move(
        (OrderState.CLOSED,),
        (*PROGRESS, OrderState.CANCELLING, *WAITING, OrderState.CANCELLED),
        "its origin changed it, or something of it shows after all",
    ),
)


#: Which commands an order refuses in which states, and in which words after its name.
REFUSED: dict[str, dict[OrderState, str]] = {
    "requeue": dict.fromkeys(FINAL, "is at its end"),
    "hold": {state: f"is {state}: nothing more would be sent for it" for state in FINAL},
    "cancel": {state: f"is {state}: nothing of it can be taken back" for state in (OrderState.SHIPPED, *FINAL)},
    "release": {},
    "resolve": {state: f"is {state}: nothing of it is left to decide" for state in FINAL},
}


def may_move(before: OrderState, after: OrderState) -> bool:
    """Whether the table of moves knows this one."""
    return any(before in move.before and after in move.after for move in MOVES)


class HoldCode(StrEnum):
    """Why an order or a line waits for a person. The list is closed: each has its sentence and its next command."""

    MAPPING_REQUIRED = "mapping_required"
    #: The other system said no, in words that we do not understand, or three times.
    REJECTED = "rejected"
    #: A field that cannot be sent.
    INVALID = "invalid"
    #: Both sides say different things, or a change is not ours to make.
    CONFLICT = "conflict"
    #: A create without an answer that does not show, where its absence proves nothing.
    IN_DOUBT = "in_doubt"
    #: An acknowledged create whose items do not show.
    NOT_VISIBLE = "not_visible"
    #: A buyer, carrier or packing that the connection does not map.
    UNMAPPED_REFERENCE = "unmapped_reference"
    #: Its newest version cannot be read.
    UNREADABLE = "unreadable"
    #: It came with so many cancellations and changes at once that a person must say that they are meant.
    OVER_LIMIT = "over_limit"
    #: A person stopped it.
    BY_HAND = "by_hand"
    #: Received in time, and not begun before it left.
    DEPARTED = "departed"


#: Every code of a reason: also of an order that used up its attempts, and of one older than its connection's start.
REASONS: tuple[str, ...] = (*HoldCode, "failed", "before_start")


class WriteState(StrEnum):
    """Where one intended change stands."""

    #: Its body is frozen; nothing was sent.
    INTENDED = "intended"
    #: Committed as sent: from here on it may have arrived.
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    #: Proven not to have arrived; of those to Axerrio, unanswered and given up for the next.
    ABSENT = "absent"
    #: Intended and never sent.
    VOID = "void"

    @property
    def is_open(self) -> bool:
        """It may still change the other system, or already has without our knowing."""
        return self in (self.INTENDED, self.SENT)


class Kind(StrEnum):
    """Kinds of writes: the system and its method or resource."""

    PREBOOK_CREATE = "komet.prebook.create"
    PREBOOK_ITEM_DELETE = "komet.prebook.item.delete"
    PURCHASE_ORDER_CREATE = "komet.purchase.order.create"
    PURCHASE_ORDER_MIXED_CREATE = "komet.purchase.order.mixed.create"
    PURCHASE_ORDER_ITEM_DELETE = "komet.purchase.order.item.delete"
    AWB_ADD = "komet.purchase.order.items.awb.add"
    BOX_CODE_CHANGE = "komet.box.code.change"
    INBOUND_ORDER = "axerrio.inbound-orders"
    EXTERNAL_REFERENCES = "axerrio.external-references"
    PROCUREMENT_STATUS = "axerrio.procurement-status"


#: Keys of the scopes of Komet's prebooks that are no truck date: what changed, and the whole window of ship dates.
CHANGED, WINDOW = "changed", "window"


class Feed(StrEnum):
    """What is observed, as the CLI names it."""

    SALES_ORDERS = "sales-orders"
    LABELS = "labels"
    SHIPMENTS = "shipments"
    ARTICLES = "articles"
    KOMET_PREBOOKS = "komet-prebooks"
    KOMET_PURCHASE_ORDERS = "komet-purchase-orders"
    KOMET_REFERENCE = "komet-reference"
