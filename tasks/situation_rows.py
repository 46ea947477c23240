"""What is asked of the ledger about one order: all of it in one statement."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Date,
    Select,
    Text,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from models.canonical import Json
from models.database import CLOCK
from models.prepared import Number, Prepared, Rows, Together, parameter
from models.states import Feed, Kind, WriteState
from models.tables import (
    Base,
    Box,
    Connection,
    Decision,
    Label,
    Observation,
    Order,
    OrderLine,
    Prebook,
    PrebookItem,
    Proof,
    PurchaseOrder,
    PurchaseOrderItem,
    ReferenceData,
    Scope,
    Shipment,
    ShipmentLine,
    Write,
    WriteLine,
)
from models.tables import Mapping as MappingRow
from tasks.budget import AHEAD, SCOPES_READ, USED
from tasks.plan.facts import LOOKS_FOR_ABSENCE, MISSES_FOR_GONE
from tasks.scopes import OTHERS_AT_WORK, WAITS
from tasks.translation import names_one_of
from tasks.upstreams import REFUSED_METHODS, UPSTREAMS
from tasks.wanted import REFERENCE

_ORDER = parameter("order_id", BigInteger())
_CONNECTION = parameter("connection_id", BigInteger())
_NUMBER = parameter("number", Text())
_AXERRIO_KEY = parameter("axerrio_key", Text())
_ARTICLES = parameter("articles", ARRAY(Text()))
_WORDS = parameter("words", ARRAY(Text()))
_SHIP_DATES = parameter("ship_dates", ARRAY(Text()))
_TRUCK_DATE = parameter("truck_date", Text())


class WriteRow(NamedTuple):
    """A write without its body."""

    id: int
    connection_id: int
    order_id: int
    kind: Kind
    state: WriteState
    mark: str | None
    scope_id: int | None
    #: Of its scope.
    key: str | None
    deadline_at: datetime | None
    attempts: int
    created_at: datetime
    acknowledged_at: datetime | None
    shown_at: datetime | None
    strikes: int
    excused: bool
    may_be: str | None
    may_be_id: str | None
    settled_at: datetime | None
    refusal: str | None
    error: str | None
    result: Json | None
    #: There are items of the prebook that it made of which no line could be told to have them; and they hold boxes.
    has_strays: bool
    has_live_strays: bool


class WriteLineRow(NamedTuple):
    """A line that a write covers, be it of another order."""

    write_id: int
    line_id: int
    is_open: bool
    sent: Json | None
    error: str | None


class LookRow(NamedTuple):
    """One of the last looks at a scope."""

    scope_id: int
    feed: Feed
    key: str
    id: int
    began_at: datetime
    complete: bool


class ScopeRow(NamedTuple):
    """A scope that shows something of the order."""

    id: int
    feed: Feed
    key: str


class Word(NamedTuple):
    """One word, or none."""

    value: str | None


def _all(table: type[Base]) -> Select[tuple[object, ...]]:
    return select(*table.__table__.c)


def ids_of_writes(order_id: ColumnElement[int] | int) -> CompoundSelect[int]:
    """Of those that an order leads, and those that cover a line of it, whoever leads them: each by its own index."""
    return union(
        select(Write.id).where(Write.order_id == order_id),
        select(WriteLine.write_id).where(WriteLine.line_id.in_(_lines_of(order_id))),
    )


def _lines_of(order_id: ColumnElement[int] | int) -> Select[int]:
    return select(OrderLine.id).where(OrderLine.order_id == order_id)


_lines = _lines_of(_ORDER)
_item_ids = (
    select(PrebookItem.item_id)
    .join(Prebook, PrebookItem.prebook_row == Prebook.id)
    .where(Prebook.order_id == _ORDER, PrebookItem.line_id.is_not(None))
)
_purchased = (PurchaseOrderItem.connection_id == _CONNECTION, PurchaseOrderItem.prebook_item_id.in_(_item_ids))
_write_ids = ids_of_writes(_ORDER)

CATALOGUE = Rows(Word, select(REFERENCE.label("value")).where(ReferenceData.connection_id == _CONNECTION))
ZONE = Rows(Word, select(Connection.axerrio_time_zone.label("value")).where(Connection.id == _CONNECTION))
MAPPINGS = Rows(
    MappingRow,
    _all(MappingRow).where(
        MappingRow.connection_id == _CONNECTION,
        or_(MappingRow.article_code == any_(_ARTICLES), names_one_of(_WORDS)),
    ),
)
PREBOOKS = Rows(Prebook, _all(Prebook).where(Prebook.order_id == _ORDER))
ITEMS = Rows(
    PrebookItem,
    _all(PrebookItem)
    .join(Prebook, PrebookItem.prebook_row == Prebook.id)
    .where(Prebook.order_id == _ORDER, PrebookItem.line_id.is_not(None))
    .order_by(PrebookItem.id),
)
#: A prebook that Axerrio's references name, and that nobody has seen.
UNSEEN = Rows(
    Word,
    select(Prebook.prebook_id.label("value"))
    .where(Prebook.order_id == _ORDER, Prebook.write_id.is_(None), Prebook.content_hash.is_(None), ~Prebook.items.any())
    .limit(1),
)
PURCHASED = Rows(PurchaseOrderItem, _all(PurchaseOrderItem).where(*_purchased).order_by(PurchaseOrderItem.id))
PURCHASE_ORDERS = Rows(
    PurchaseOrder,
    _all(PurchaseOrder).where(PurchaseOrder.id.in_(select(PurchaseOrderItem.purchase_order_row).where(*_purchased))),
)
BOXES = Rows(Box, _all(Box).where(Box.line_id.in_(_lines)).order_by(Box.id))
#: Which of these codes stand on an air waybill for another order.
ELSEWHERE = Prepared(
    select(Box.box_code).where(
        Box.connection_id == _CONNECTION,
        Box.box_code == any_(parameter("codes", ARRAY(Text()))),
        Box.line_id.not_in(_lines),
    )
)
SHIPMENTS = Rows(
    Shipment,
    _all(Shipment)
    .join(ShipmentLine, ShipmentLine.shipment_id == Shipment.id)
    .where(
        Shipment.connection_id == _CONNECTION,
        ShipmentLine.order_key == _AXERRIO_KEY,
        Shipment.is_deleted.is_(False),
    )
    .order_by(Shipment.id),
)
LABELS = Rows(
    Label,
    # Deleted ones first: they tell of which box they were, and no more.
    _all(Label)
    .where(Label.connection_id == _CONNECTION, Label.order_key == _AXERRIO_KEY)
    .order_by(Label.is_deleted.desc(), Label.sequence, Label.key),
)
DECISIONS = Rows(Decision, _all(Decision).where(Decision.order_id == _ORDER).order_by(Decision.id))
_strays = (
    select(PrebookItem.id)
    .join(Prebook, PrebookItem.prebook_row == Prebook.id)
    .where(Prebook.write_id == Write.id, PrebookItem.line_id.is_(None))
)
_not_of_writes = {
    "key": Scope.key,
    "has_strays": _strays.exists(),
    "has_live_strays": _strays.where(PrebookItem.boxes > 0, PrebookItem.missing < MISSES_FOR_GONE).exists(),
}
WRITES = Rows(
    WriteRow,
    select(
        *(Write.__table__.c[name] for name in WriteRow._fields if name not in _not_of_writes),
        *(each.label(name) for name, each in _not_of_writes.items()),
    )
    .outerjoin_from(Write, Scope, Write.scope_id == Scope.id)
    .where(Write.id.in_(_write_ids))
    .order_by(Write.id),
)
WRITE_LINES = Rows(
    WriteLineRow,
    select(*(WriteLine.__table__.c[name] for name in WriteLineRow._fields)).where(WriteLine.write_id.in_(_write_ids)),
)
#: Later than any day.
_EVER = literal("9999")
#: Items of any order with a product that Komet does not know.
_unmapped = (
    PrebookItem.connection_id == _CONNECTION,
    PrebookItem.boxes > 0,
    PrebookItem.missing < MISSES_FOR_GONE,
    PrebookItem.mapped.is_(False),
    # What left before yesterday, wherever on earth, Komet lists no more: nobody could learn of its mapping.
    func.coalesce(PrebookItem.content["ship_date"].astext, _EVER) >= cast(cast(CLOCK, Date) - 2, Text),
)
#: One of them, where there are any.
UNMAPPED = Rows(Number, select(PrebookItem.id.label("value")).where(*_unmapped).limit(1))
_namesakes = union_all(
    select(Order.id).where(Order.axerrio_number == _NUMBER, Order.id != _ORDER),
    select(Prebook.order_id).where(Prebook.number == _NUMBER, Prebook.order_id != _ORDER),
).subquery()
#: One of the other orders that the order's number names too, where there are any.
NAMESAKE = Rows(Number, select(_namesakes.c[0].label("value")).limit(1))
_asked = func.unnest(parameter("products", ARRAY(Text()))).column_valued("asked")
#: Which of these products, each as a list of JSON, they show to be unknown.
UNKNOWN = Prepared(
    select(_asked).where(
        select(PrebookItem.id).where(*_unmapped, PrebookItem.unknown_products.contains(cast(_asked, JSONB))).exists()
    )
)
PROOFS = Rows(Proof, _all(Proof).where(Proof.connection_id == _CONNECTION))

_ship_dates = union(
    select(func.unnest(_SHIP_DATES)),
    select(cast(PurchaseOrder.ship_date, Text)).join(PurchaseOrder.items).where(*_purchased),
    select(PrebookItem.sent["departure_date"].astext)
    .join(Prebook, PrebookItem.prebook_row == Prebook.id)
    .where(Prebook.order_id == _ORDER),
)
_scope = select(Scope.id, Scope.feed, Scope.key)
_of_connection = _scope.where(Scope.connection_id == _CONNECTION)
_scopes = union(
    _of_connection.where(Scope.feed == Feed.KOMET_PURCHASE_ORDERS, Scope.key.in_(_ship_dates)),
    _of_connection.where(Scope.feed == Feed.KOMET_PREBOOKS, Scope.key == _TRUCK_DATE),
    _of_connection.where(Scope.feed == Feed.LABELS),
    _scope.where(Scope.id.in_(select(Write.scope_id).where(Write.id.in_(_write_ids)))),
).subquery("scopes_of_order")
SCOPES = Rows(ScopeRow, select(_scopes.c.id, _scopes.c.feed, _scopes.c.key))
_newest = (
    select(Observation.id, Observation.began_at, Observation.complete)
    .where(Observation.scope_id == _scopes.c.id)
    .order_by(Observation.began_at.desc())
    .limit(LOOKS_FOR_ABSENCE)
)
_looks = union(_newest.where(Observation.complete), _newest).lateral("newest")
LOOKS = Rows(
    LookRow,
    select(_scopes.c.id.label("scope_id"), _scopes.c.feed, _scopes.c.key, _looks).join_from(_scopes, _looks, true()),
)
SITUATION = Together(
    CATALOGUE,
    ZONE,
    MAPPINGS,
    USED,
    PREBOOKS,
    ITEMS,
    UNSEEN,
    UNMAPPED,
    PURCHASED,
    PURCHASE_ORDERS,
    BOXES,
    SHIPMENTS,
    LABELS,
    DECISIONS,
    WRITES,
    WRITE_LINES,
    PROOFS,
    SCOPES,
    LOOKS,
    WAITS,
    OTHERS_AT_WORK,
    UPSTREAMS,
    REFUSED_METHODS,
    AHEAD,
    SCOPES_READ,
    NAMESAKE,
)


class Looks(NamedTuple):
    """Looks that began after a moment, as far as the plan counts."""

    complete: int = 0
    #: Those included that prove nothing.
    all: int = 0


def looks(rows: Iterable[LookRow], after: datetime) -> Looks:
    """How many of the newest looks at scopes began after a moment."""
    later = [each.complete for each in rows if each.began_at > after]
    return Looks(min(sum(later), LOOKS_FOR_ABSENCE), min(len(later), LOOKS_FOR_ABSENCE))
