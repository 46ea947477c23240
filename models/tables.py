"""The ledger: what must happen, what was tried, and what is known of both systems.

    connections ─┬─ scopes ── observations      what we read, when, and who waits for it (waits)
                 ├─ orders ── order_lines       what is wanted, and what Axerrio holds of ours
                 │    ├────── history
                 │    └────── decisions         what a person decided on one fact
                 ├─ order_counts                how many orders are at their end
                 ├─ writes ── write_lines       one intended change each, and what it says of each line (sent)
                 ├─ prebooks ── prebook_items   what stands in Komet, as last observed or acknowledged
                 ├─ purchase_orders ── purchase_order_items
                 ├─ labels, shipments ── shipment_lines, articles     Axerrio's other feeds, newest version of each
                 ├─ boxes                       what left, each on the AWB call that was settled
                 ├─ mappings                    article to Komet product, as an admin set it
                 ├─ proofs                      for which kinds of write absence is proof
                 ├─ upstreams, paused_methods   what keeps us from calling a system, or one method of it
                 ├─ connection_notes            what people did to the connection as a whole
                 ├─ reference_data, unreadable_records
                 ├─ request_counts              calls that workers made, by method and outcome
    request_budget                              one row for each Komet company and five minutes
    processes                                   workers and beat, as last seen alive

**Locks are taken in this order**: orders by ascending id; then anything that belongs to a locked order (lines,
writes, known items), without further locks; then scopes by ascending id; then connections; then upstreams; then paused
methods. The budget is taken in a transaction of its own. A lease (`lease_owner`, `lease_until`) is not a lock: it says
who works on a row while no transaction is open, and it ends by itself.

**The clock is PostgreSQL's**, read through `axkomet_now()`, which a session can shift by setting
`axkomet.clock_offset`: leases, grace and retries are tested without waiting.
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    case,
    func,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from models.canonical import Json
from models.states import Feed, Kind, OrderState, WriteState


def _words(enum: type[OrderState | WriteState | Kind | Feed], name: str) -> Enum:
    """A text column that holds the words of `enum`, checked by the database."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        Json: JSONB(none_as_null=True),
        Decimal: Numeric(),
        OrderState: _words(OrderState, "order_state"),
        WriteState: _words(WriteState, "write_state"),
        Kind: _words(Kind, "kind"),
        Feed: _words(Feed, "feed"),
    }


def _id() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(always=False), primary_key=True)


def _connection_id() -> Mapped[int]:
    return mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))


def _order_id() -> Mapped[int]:
    return mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))


class Connection(Base):
    """One Axerrio tenant joined to one Komet company. Its settings stand in the connections file, not here."""

    __tablename__ = "connections"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    #: Komet company and Axerrio tenant: by it a connection that was given another name is known.
    joins: Mapped[str] = mapped_column(unique=True)
    #: Of the settings that the plan reads: when it changes, what waits is judged anew.
    settings_hash: Mapped[str]
    #: IANA name from Axerrio's identity; departure dates are judged in it. None until it was asked.
    axerrio_time_zone: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())


class ConnectionNote(Base):
    """What a person did to a connection as a whole."""

    __tablename__ = "connection_notes"
    __table_args__ = (Index(None, "connection_id"),)

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    who: Mapped[str]
    #: `paused`, `resumed`, or which feed was reset.
    what: Mapped[str]
    #: Empty: nobody said.
    why: Mapped[str]


class Upstream(Base):
    """One system of a connection, once it gave trouble: whether it may be called. Shared by all workers."""

    __tablename__ = "upstreams"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "system"),)

    connection_id: Mapped[int] = _connection_id()
    #: `komet` or `axerrio`.
    system: Mapped[str]
    #: Calls in a row that got no answer, and the orders and reads that made them.
    misses: Mapped[int] = mapped_column(server_default="0")
    missed_by: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    #: Why it is not called: `away` (the breaker is open), `token` (refused), `limit` or `person`; None: it is called.
    closed_by: Mapped[str | None]
    closed_since: Mapped[datetime | None]
    #: One sentence, with the other system's own words.
    closed_why: Mapped[str | None]
    #: The next probe, or where the other system said how long to wait, the end of it.
    probe_at: Mapped[datetime | None]


class PausedMethod(Base):
    """A method that the token may not call: paused once a second order was refused by it in the same words."""

    __tablename__ = "paused_methods"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "method"),)

    connection_id: Mapped[int] = _connection_id()
    #: System and method, as kinds of writes are named: `komet.prebook.create`.
    method: Mapped[str]
    #: The other system's own words.
    words: Mapped[str]
    #: The orders or reads that it refused.
    refused: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    #: None: one order alone was refused so far.
    paused_since: Mapped[datetime | None]
    probe_at: Mapped[datetime | None]


class Scope(Base):
    """One thing that one read observes: a feed (key ''), or a date of a Komet list (key `YYYY-MM-DD`)."""

    __tablename__ = "scopes"
    __table_args__ = (
        UniqueConstraint("connection_id", "feed", "key"),
        Index("ix_scopes_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_scopes_hinted", "connection_id", "hinted_until", postgresql_where=text("hinted_until IS NOT NULL")),
        Index(
            "ix_scopes_in_use",
            "connection_id",
            "feed",
            postgresql_where=text("due_at IS NOT NULL OR stopped_reason IS NOT NULL"),
        ),
        Index(None, "connection_id", "feed", "last_success_at"),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    feed: Mapped[Feed]
    key: Mapped[str] = mapped_column(server_default="")
    #: Highest sequence stored, for a feed by sequence.
    cursor: Mapped[int | None]
    #: None: nobody waits for it.
    due_at: Mapped[datetime | None]
    #: A message is on its way until then.
    hinted_until: Mapped[datetime | None]
    #: A read serves only the requests that it saw when it began, so no wake-up is lost.
    requested: Mapped[int] = mapped_column(server_default="0")
    served: Mapped[int] = mapped_column(server_default="0")
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    #: Reads in a row that failed.
    failures: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None]
    #: Set: the feed stands still until an admin resets it.
    stopped_reason: Mapped[str | None]
    #: From when on the next read of what changed must ask: the other system's clock at the last one.
    changed_since: Mapped[datetime | None]


class Observation(Base):
    """One completed read of a scope. Only a complete one may prove absence."""

    __tablename__ = "observations"
    __table_args__ = (Index("ix_observations_scope_id_began_at", "scope_id", "began_at"), Index(None, "began_at"))

    id: Mapped[int] = _id()
    scope_id: Mapped[int] = mapped_column(ForeignKey("scopes.id", ondelete="CASCADE"))
    #: Before the request left.
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    complete: Mapped[bool]
    records: Mapped[int]


class Wait(Base):
    """An order that waits for what a scope may show. An active wait is read for at the base interval."""

    __tablename__ = "waits"
    __table_args__ = (PrimaryKeyConstraint("order_id", "scope_id"), Index(None, "scope_id"))

    order_id: Mapped[int] = _order_id()
    scope_id: Mapped[int] = mapped_column(ForeignKey("scopes.id", ondelete="CASCADE"))
    active: Mapped[bool]


class Order(Base):
    """One thing kept in step: what its origin wants, and how far it is."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("connection_id", "axerrio_key"),
        UniqueConstraint("connection_id", "external_id"),
        Index(
            "ix_orders_due",
            "connection_id",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_orders_turn",
            "connection_id",
            "departure_date",
            "id",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_orders_state", "connection_id", "state"),
        Index("ix_orders_axerrio_number", "axerrio_number"),
        Index("ix_orders_upset", "connection_id", "upset_at", postgresql_where=text("upset_at IS NOT NULL")),
        Index("ix_orders_hinted", "connection_id", "hinted_until", postgresql_where=text("hinted_until IS NOT NULL")),
        Index("ix_orders_held_up", "connection_id", "held_up_by", postgresql_where=text("held_up_by IS NOT NULL")),
        Index(
            "ix_orders_open",
            "connection_id",
            "state",
            "reason_code",
            postgresql_where=text("state NOT IN ('closed', 'cancelled')"),
        ),
        Index(
            "ix_orders_open_departure",
            "departure_date",
            "id",
            postgresql_where=text("state NOT IN ('closed', 'cancelled')"),
        ),
        Index("ix_orders_departure", "departure_date", "id"),
        Index(None, "updated_at"),
        Index("ix_orders_reason_code", "reason_code", postgresql_where=text("reason_code IS NOT NULL")),
        Index("ix_orders_over_limit", "connection_id", postgresql_where=text("over_limit_since IS NOT NULL")),
        Index("ix_orders_held_by", "connection_id", postgresql_where=text("held_by IS NOT NULL")),
        Index("ix_orders_pending", "connection_id", postgresql_where=text("inbound_answer ->> 'status' = 'pending'")),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    origin: Mapped[str]
    #: None until Axerrio took the order, for one born in Komet.
    axerrio_key: Mapped[str | None]
    axerrio_number: Mapped[str | None]
    #: Our id of the order in Axerrio, for one born in Komet.
    external_id: Mapped[str | None]
    #: Its origin's; where Komet is its origin: counted up with each change that was seen.
    version: Mapped[int]
    #: Of the feed record that brought this version; where Komet is its origin: the version.
    sequence: Mapped[int]
    #: Header of the canonical order; its lines stand in `order_lines`.
    wanted: Mapped[Json]
    #: The version with which it was begun in the other system; None: nothing was begun.
    begun_version: Mapped[int | None]
    #: The version whose references said that it stands in Komet already; None: nobody but us began it.
    seeded_version: Mapped[int | None]
    #: A tombstone came.
    is_deleted: Mapped[bool] = mapped_column(server_default="false")
    #: Why the newest record of it could not be read; the version above is older than that.
    unreadable: Mapped[str | None]
    #: It had left already when it was first seen, or was made before the connection's start date.
    skipped: Mapped[str | None]
    departure_date: Mapped[date]
    truck_date: Mapped[date]

    state: Mapped[OrderState] = mapped_column(server_default=OrderState.RECEIVED.value)
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    next_command: Mapped[str | None]
    last_error: Mapped[str | None]

    #: The write-back that Axerrio acknowledged last, canonical.
    references_applied: Mapped[Json | None]
    #: The approval report that Axerrio acknowledged last, canonical.
    report_applied: Mapped[Json | None]
    #: What Axerrio answered last to an order born in Komet, canonical.
    inbound_answer: Mapped[Json | None]
    #: The order that it answered to, canonical: what we last sent.
    inbound_applied: Mapped[Json | None]
    #: Axerrio's own record of an order born in Komet, canonical, and when the read began that brought it.
    axerrio_holds: Mapped[Json | None]
    axerrio_as_of: Mapped[datetime | None]

    #: When its newest version came.
    version_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    #: When it must be looked at again; None: only an observation or a new version wakes it.
    due_at: Mapped[datetime | None]
    #: No write to Komet before that, and none to Axerrio: back-off.
    not_before: Mapped[datetime | None]
    axerrio_not_before: Mapped[datetime | None]
    #: What its next write waits for, through no fault of its own: a system (`komet`), a method of it that is paused
    #: (`komet.prebook.create`), or the request budget (`budget`).
    held_up_by: Mapped[str | None]
    #: When a version came that cancels or makes anew what stands in the other system.
    upset_at: Mapped[datetime | None]
    #: Since then it is held, because too many were upset at once; None: it is not, or was released.
    over_limit_since: Mapped[datetime | None]
    #: Who holds it by hand, and why; None: nobody does.
    held_by: Mapped[str | None]
    held_why: Mapped[str | None]
    #: Calls in a row that did not end as asked: the back-off grows with them.
    setbacks: Mapped[int] = mapped_column(server_default="0")
    #: Tries that ended unanswered since the last fresh start.
    attempts: Mapped[int] = mapped_column(server_default="0")
    #: Name of the Celery task that looks at it next.
    next_task: Mapped[str]
    hinted_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    #: Refusals and attempts of writes up to this id count no more: a new version or a requeue begins afresh.
    fresh_after_write: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())

    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.position, OrderLine.id", back_populates="order")

    @hybrid_property
    def name(self) -> str:
        """As people call it: its Axerrio number, or until Axerrio gave one its Komet prebook."""
        return self.axerrio_number or f"prebook {self.wanted['number']}"

    @name.inplace.expression
    @classmethod
    def _name(cls) -> ColumnElement[str]:
        return func.coalesce(
            func.nullif(cls.axerrio_number, ""), literal("prebook ").concat(cls.wanted["number"].astext)
        )

    @hybrid_property
    def axerrio_must(self) -> str | None:
        """What somebody in Axerrio must do before it goes on: `confirm` its draft, `accept` what was born in Komet."""
        answer = self.inbound_answer or {}
        if self.wanted["status"] == "draft":
            return "confirm"
        return "accept" if (answer.get("said") or answer.get("status")) == "pending" else None

    @axerrio_must.inplace.expression
    @classmethod
    def _axerrio_must(cls) -> ColumnElement[str | None]:
        answer = func.coalesce(cls.inbound_answer["said"].astext, cls.inbound_answer["status"].astext)
        return case((cls.wanted["status"].astext == "draft", "confirm"), (answer == "pending", "accept"))

    @property
    def key(self) -> str:
        """As commands name it."""
        return self.axerrio_number or f"prebook:{self.wanted['number']}"


class OrderCount(Base):
    """Orders at their end, to be counted without going over them: how many more, or fewer, are in a final state.

    What counts is the sum. A trigger on `orders` adds a row for each that comes to its end or begins anew, so that
    nobody waits for another; housekeeping makes one row of many.
    """

    __tablename__ = "order_counts"

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    state: Mapped[OrderState]
    change: Mapped[int]


class OrderLine(Base):
    """One line: what is wanted."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "line_key"),
        Index("ix_order_lines_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL")),
    )

    id: Mapped[int] = _id()
    order_id: Mapped[int] = _order_id()
    #: Axerrio's; for an order born in Komet the prebook item's id.
    line_key: Mapped[str]
    #: Axerrio's, for a line of an order born in Komet.
    axerrio_line_key: Mapped[str | None]
    position: Mapped[int]
    #: The canonical line of the newest version; None when that version has it no more.
    wanted: Mapped[Json | None]
    #: The version that brought the line.
    since_version: Mapped[int]
    #: As Komet would keep it when Axerrio's references first said that it stands there.
    seeded: Mapped[Json | None]
    #: The article, or Komet's word for the product, without whose mapping it cannot go on.
    waits_for: Mapped[str | None]
    state: Mapped[OrderState] = mapped_column(server_default=OrderState.RECEIVED.value)

    order: Mapped[Order] = relationship(back_populates="lines")


class Write(Base):
    """One intended change in Komet or Axerrio: made before the call, settled after it.

    Open until `done`, `refused`, `absent` or `void`.
    """

    __tablename__ = "writes"
    __table_args__ = (
        Index(None, "order_id"),
        Index(None, "scope_id"),
        Index(None, "created_at"),
        Index("ix_writes_in_doubt", "scope_id", postgresql_where=text("state = 'sent'")),
        Index(
            "uq_writes_open_axerrio",
            "order_id",
            "kind",
            unique=True,
            postgresql_where=text("state IN ('intended', 'sent') AND kind LIKE 'axerrio.%'"),
        ),
        CheckConstraint("state IN ('intended', 'void') OR sent_at IS NOT NULL", name="sent_has_time"),
        CheckConstraint("state IN ('intended', 'sent') OR settled_at IS NOT NULL", name="settled_has_time"),
        CheckConstraint("(kind = 'komet.prebook.create') = (mark IS NOT NULL)", name="prebook_has_mark"),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    order_id: Mapped[int] = _order_id()
    kind: Mapped[Kind]
    state: Mapped[WriteState]
    #: Of the order when the body was frozen: a create is not sent for an order that has changed since.
    order_sequence: Mapped[int]
    #: As it goes over the wire, without the authentication token. Never changed, nor is the order of its keys, so that
    #: a repeat is the same to the byte: a JSONB column would sort them.
    body: Mapped[Json] = mapped_column(JSON)
    #: What an Axerrio write says, canonical: it becomes what is applied.
    says: Mapped[Json | None]
    #: Ten characters of Crockford base32 by which a prebook of ours is known.
    mark: Mapped[str | None] = mapped_column(unique=True)
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    #: Where it would show.
    scope_id: Mapped[int | None] = mapped_column(ForeignKey("scopes.id"))
    #: Times it was sent. A create is sent once; a write that is safe to repeat is sent until it is answered.
    attempts: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    sent_at: Mapped[datetime | None]
    #: When the last try's time is over: whatever has not answered by then is in doubt.
    deadline_at: Mapped[datetime | None]
    #: The other system said yes.
    acknowledged_at: Mapped[datetime | None]
    #: It was first seen, by its mark or link.
    shown_at: Mapped[datetime | None]
    #: Tries that ended unanswered while the other system answered others.
    strikes: Mapped[int] = mapped_column(server_default="0")
    #: It ended unanswered while its system was away from everybody: that uses up no attempt.
    excused: Mapped[bool] = mapped_column(server_default="false")
    #: A prebook without our mark that may be it, by customer, truck date and items: its number and its id.
    may_be: Mapped[str | None]
    may_be_id: Mapped[str | None]
    #: It was acknowledged, and its grace ended without its being seen.
    missed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    refusal: Mapped[str | None]
    error: Mapped[str | None]
    #: Foreign ids of the answer.
    result: Mapped[Json | None]

    scope: Mapped[Scope | None] = relationship()
    lines: Mapped[list["WriteLine"]] = relationship(back_populates="write")


class WriteLine(Base):
    """A line that a write covers. One open write for each line and kind: the database forbids the second."""

    __tablename__ = "write_lines"
    __table_args__ = (
        PrimaryKeyConstraint("write_id", "line_id"),
        Index(
            "uq_write_lines_open",
            "line_id",
            "kind",
            unique=True,
            postgresql_where=text("is_open"),
        ),
        Index(None, "line_id"),
        Index(
            "ix_write_lines_item_id",
            text("(sent ->> 'item_id')"),
            postgresql_where=text("sent ->> 'item_id' IS NOT NULL"),
        ),
    )

    write_id: Mapped[int] = mapped_column(ForeignKey("writes.id", ondelete="CASCADE"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_lines.id", ondelete="CASCADE"))
    kind: Mapped[Kind]
    is_open: Mapped[bool]
    #: What the write says of this line, normalised as the other system keeps it.
    sent: Mapped[Json | None]
    #: What the other system said of this line alone, where the rest of the write was done.
    error: Mapped[str | None]

    write: Mapped[Write] = relationship(back_populates="lines")
    line: Mapped[OrderLine] = relationship()


class Prebook(Base):
    """A Komet prebook that an order stands in: made by us, or by a Komet user for our vendor. One mark, one prebook."""

    __tablename__ = "prebooks"
    __table_args__ = (
        UniqueConstraint("connection_id", "prebook_id"),
        Index(None, "order_id"),
        Index(None, "number"),
        Index(None, "connection_id", "truck_date"),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    order_id: Mapped[int] = _order_id()
    #: The create that made it; None for one that Axerrio's references name, or that was born in Komet.
    write_id: Mapped[int | None] = mapped_column(ForeignKey("writes.id"), unique=True)
    prebook_id: Mapped[str]
    number: Mapped[str | None]
    truck_date: Mapped[date]
    #: Of the payload last seen; None: never seen in a list.
    content_hash: Mapped[str | None]
    #: Customer, carrier and truck date as first seen, and as last seen.
    baseline: Mapped[Json | None]
    content: Mapped[Json | None]
    as_of: Mapped[datetime]

    items: Mapped[list["PrebookItem"]] = relationship(order_by="PrebookItem.id", back_populates="prebook")


class PrebookItem(Base):
    """An item of such a prebook. Bound to its line once; one that is bound to nothing is a person's."""

    __tablename__ = "prebook_items"
    __table_args__ = (
        UniqueConstraint("connection_id", "item_id"),
        Index(None, "line_id"),
        Index(
            "ix_prebook_items_ship_date",
            "connection_id",
            text("(content ->> 'ship_date')"),
            postgresql_where=text("boxes > 0 AND content IS NOT NULL"),
        ),
        Index("ix_prebook_items_unknown", "connection_id", postgresql_where=text("mapped IS false")),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    prebook_row: Mapped[int] = mapped_column(ForeignKey("prebooks.id", ondelete="CASCADE"), index=True)
    line_id: Mapped[int | None] = mapped_column(ForeignKey("order_lines.id"))
    item_id: Mapped[str]
    boxes: Mapped[int]
    #: Komet knows its product.
    mapped: Mapped[bool]
    #: A person may have covered it: Axerrio's references named it, or it changed after it was first seen.
    touched: Mapped[bool] = mapped_column(server_default="false")
    #: What its create said of the line, or Axerrio's references; None for a person's item.
    sent: Mapped[Json | None]
    #: Its line was told from others like it by its place only: nothing is learned from it.
    is_tied: Mapped[bool] = mapped_column(server_default="false")
    #: Products in it that Komet does not know, as they were sent; only those that can be told for certain.
    unknown_products: Mapped[list[Json]] = mapped_column(JSONB, server_default="[]")
    #: Canonical, as first seen, and as last seen, there with the prebook that it was `moved_to`; None: known from
    #: references only.
    baseline: Mapped[Json | None]
    content: Mapped[Json | None]
    #: Full reads in a row that did not show it though they should have.
    missing: Mapped[int] = mapped_column(server_default="0")
    #: When Komet acknowledged its deletion.
    deleted_at: Mapped[datetime | None]
    as_of: Mapped[datetime]

    prebook: Mapped[Prebook] = relationship(back_populates="items")


class PurchaseOrder(Base):
    """A Komet purchase order with an item that covers a prebook item of ours."""

    __tablename__ = "purchase_orders"
    __table_args__ = (
        UniqueConstraint("connection_id", "purchase_order_id"),
        Index("ix_purchase_orders_number", "number"),
        Index(None, "connection_id", "ship_date"),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    purchase_order_id: Mapped[str]
    number: Mapped[str]
    ship_date: Mapped[date | None]
    #: None: a word that we do not know, which is not approved.
    status: Mapped[str | None]
    status_text: Mapped[str]
    content_hash: Mapped[str]
    as_of: Mapped[datetime]

    items: Mapped[list["PurchaseOrderItem"]] = relationship(
        order_by="PurchaseOrderItem.id", back_populates="purchase_order"
    )


class PurchaseOrderItem(Base):
    """An item of such a purchase order. The link to the prebook item is the marker."""

    __tablename__ = "purchase_order_items"
    __table_args__ = (
        UniqueConstraint("connection_id", "item_id"),
        Index(None, "connection_id", "prebook_item_id"),
    )

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    purchase_order_row: Mapped[int] = mapped_column(ForeignKey("purchase_orders.id", ondelete="CASCADE"), index=True)
    item_id: Mapped[str]
    prebook_item_id: Mapped[str]
    boxes: Mapped[int]
    #: Canonical, with the purchase order's ship date, as first seen and as last seen; None: from references only.
    baseline: Mapped[Json | None]
    content: Mapped[Json | None]
    #: Reads in a row that did not show it though they should have.
    missing: Mapped[int] = mapped_column(server_default="0")
    #: When Komet acknowledged its deletion.
    deleted_at: Mapped[datetime | None]
    as_of: Mapped[datetime]

    purchase_order: Mapped[PurchaseOrder] = relationship(back_populates="items")


#: In place of a label's or shipment's version: a newer one came that cannot be read.
IN_DOUBT = -1


class Label(Base):
    """The newest version of a box label in Axerrio."""

    __tablename__ = "labels"
    __table_args__ = (
        PrimaryKeyConstraint("connection_id", "key"),
        Index(None, "connection_id", "order_key"),
    )

    connection_id: Mapped[int] = _connection_id()
    key: Mapped[str]
    sequence: Mapped[int]
    version: Mapped[int]
    is_deleted: Mapped[bool]
    order_key: Mapped[str]
    #: Canonical.
    content: Mapped[Json]
    #: Codes that it carried in older versions: a shipment may still name one.
    former_codes: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")


class Shipment(Base):
    """The newest version of a shipment in Axerrio."""

    __tablename__ = "shipments"
    __table_args__ = (UniqueConstraint("connection_id", "key"),)

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    key: Mapped[str]
    sequence: Mapped[int]
    version: Mapped[int]
    is_deleted: Mapped[bool]
    #: Canonical.
    content: Mapped[Json]
    #: When it was stored: labels must have been read since.
    as_of: Mapped[datetime]


class ShipmentLine(Base):
    """Which orders a shipment carries, or carried in an older version."""

    __tablename__ = "shipment_lines"
    __table_args__ = (PrimaryKeyConstraint("shipment_id", "order_key"), Index(None, "order_key"))

    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipments.id", ondelete="CASCADE"))
    order_key: Mapped[str]


class Box(Base):
    """A box that Komet holds on an air waybill, by a call that it acknowledged or by its code."""

    __tablename__ = "boxes"
    __table_args__ = (UniqueConstraint("connection_id", "box_code"), Index(None, "line_id"), Index(None, "awb"))

    id: Mapped[int] = _id()
    connection_id: Mapped[int] = _connection_id()
    line_id: Mapped[int] = mapped_column(ForeignKey("order_lines.id", ondelete="CASCADE"))
    shipment_key: Mapped[str]
    purchase_order_item_id: Mapped[str]
    #: As it stands in Komet.
    box_code: Mapped[str]
    label_key: Mapped[str]
    #: As sent.
    awb: Mapped[str]
    house_awb: Mapped[str]
    ship_date: Mapped[date]


class Article(Base):
    """An article of Axerrio's catalogue."""

    __tablename__ = "articles"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "key"), Index(None, "connection_id", "code"))

    connection_id: Mapped[int] = _connection_id()
    key: Mapped[str]
    sequence: Mapped[int]
    is_deleted: Mapped[bool]
    code: Mapped[str]
    description: Mapped[str]


class Mapping(Base):
    """What an Axerrio article is in Komet, as an admin said."""

    __tablename__ = "mappings"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "article_code"),)

    connection_id: Mapped[int] = _connection_id()
    article_code: Mapped[str]
    product_code: Mapped[str | None]
    product_description: Mapped[str | None]
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())


class Decision(Base):
    """What a person decided on one fact of an order: an input of the plan, so that a hold does not come back."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "order_id"),)

    id: Mapped[int] = _id()
    order_id: Mapped[int] = _order_id()
    #: None: of the whole order.
    line_key: Mapped[str | None]
    #: The fact as the plan words it.
    fact: Mapped[str]
    #: ours, theirs, adopt, resend, hold or release.
    choice: Mapped[str]
    who: Mapped[str]
    why: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())


class Proof(Base):
    """Absence is proof for a kind of write once one of ours was acknowledged and then seen by its mark or link."""

    __tablename__ = "proofs"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "kind"),)

    connection_id: Mapped[int] = _connection_id()
    kind: Mapped[Kind]
    earned_at: Mapped[datetime | None]
    #: Longest time from an acknowledgement to a read that still did not show it, in seconds.
    longest_lag: Mapped[float] = mapped_column(server_default="0")
    revoked_why: Mapped[str | None]


class ReferenceData(Base):
    """A carrier or box type of the Komet company, canonical, replaced whole by each read."""

    __tablename__ = "reference_data"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "list_name", "code"),)

    connection_id: Mapped[int] = _connection_id()
    list_name: Mapped[str]
    code: Mapped[str]
    content: Mapped[Json]


class History(Base):
    """Every change of state: when, from, to, why, by which write."""

    __tablename__ = "history"
    __table_args__ = (Index(None, "order_id"), Index(None, "write_id"))

    id: Mapped[int] = _id()
    order_id: Mapped[int] = _order_id()
    at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    #: None for the first row of an order.
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    why: Mapped[str]
    write_id: Mapped[int | None] = mapped_column(ForeignKey("writes.id"))


class UnreadableRecord(Base):
    """A record that could not be read, put aside with its raw text while the others of its page went on."""

    __tablename__ = "unreadable_records"
    __table_args__ = (
        UniqueConstraint("scope_id", "digest"),
        Index("ix_unreadable_records_open", "scope_id", postgresql_where=text("resolved_at IS NULL")),
        Index(None, "at"),
    )

    id: Mapped[int] = _id()
    scope_id: Mapped[int] = mapped_column(ForeignKey("scopes.id", ondelete="CASCADE"))
    #: Of the raw text: the same record read again is one row of its scope.
    digest: Mapped[str]
    record_key: Mapped[str | None] = mapped_column(index=True)
    sequence: Mapped[int | None]
    reason: Mapped[str]
    raw: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.axkomet_now())
    #: A later record with the same key could be read.
    resolved_at: Mapped[datetime | None]


class RequestBudget(Base):
    """Requests that a Komet company was asked in the five minutes from `slot` on."""

    __tablename__ = "request_budget"
    __table_args__ = (PrimaryKeyConstraint("company", "slot"),)

    company: Mapped[str]
    slot: Mapped[datetime]
    used: Mapped[int]


class RequestCount(Base):
    """Calls of one method that ended in one way, of all workers ever: for metrics, and exact to a heartbeat."""

    __tablename__ = "request_counts"
    __table_args__ = (PrimaryKeyConstraint("connection_id", "method", "outcome"),)

    connection_id: Mapped[int] = _connection_id()
    #: System and method: `komet.prebook.create`.
    method: Mapped[str]
    #: `done`, `refused`, `unanswered` or `not_sent`.
    outcome: Mapped[str]
    count: Mapped[int]
    #: What all of them took together.
    seconds: Mapped[float]


class Process(Base):
    """A process that was alive at `seen_at`: a worker, or beat by its last tick."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    seen_at: Mapped[datetime]
