"""What a kind of write consists of, and what is common to all of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.canonical import Json
from models.states import Feed, Kind
from models.tables import Order as OrderRow
from models.tables import (
    OrderLine,
    PrebookItem,
    PurchaseOrderItem,
    Write,
)
from tasks.connection import Connection
from tasks.plan.facts import PlannedWrite

#: Komet takes 64 kB at most (Getting Started); we stay below.
MOST_BYTES = 60_000


@dataclass(frozen=True)
class FrozenWrite:
    """A write as it will go over the wire, whatever happens later."""

    body: Json
    #: The lines that it covers, by the id of their row, and what it says of each: of those planned, as many as fit.
    lines: Mapping[int, Json | None]
    mark: str | None = None
    #: Where it would show.
    scope: tuple[Feed, str] | None = None
    says: Json | None = None
    #: Sentences about text that had to be cut or looks wrong.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Address:
    """Under what an order is known in Axerrio."""

    #: None until Axerrio took an order that was born in Komet.
    key: str | None
    external_id: str | None
    #: Axerrio answered to it before: it stands there by a write of ours.
    is_told: bool = False


Send = Callable[[Connection, Address, Write, Callable[[], None]], Json]


@dataclass(frozen=True)
class WriteKind:
    """How one kind of write is done."""

    kind: Kind
    #: Name of the Celery task that does it, as people see it.
    task: str
    freeze: Callable[[Session, Connection, OrderRow, PlannedWrite], FrozenWrite]
    #: Makes the call; `before_send` is called last before the first byte leaves. Gives what the answer says, as JSON.
    send: Send
    #: Records what the answer means, in the transaction that settles the write. Gives words for products: whoever
    #: waits for one of them may go on.
    settle: Callable[[Session, Connection, OrderRow, Write], Collection[str] | None]
    #: Safe to send again with the same body and key.
    repeatable: bool = False
    #: It covers lines of other orders too, where these ask for the same.
    shared: bool = False


def rows_of(row: OrderRow, planned: PlannedWrite) -> list[OrderLine]:
    """The rows of the planned lines, in their order."""
    return [line for line in row.lines if line.line_key in planned.line_keys]


def says_of(write: Write) -> list[Json]:
    """What a write says of its lines."""
    return [each.sent for each in write.lines if each.sent is not None]


Item = TypeVar("Item", PrebookItem, PurchaseOrderItem)


def item_of(session: Session, table: type[Item], row: OrderRow, item_id: str | None) -> Item | None:
    """An item of the order's connection, by Komet's id."""
    return session.scalar(select(table).where(table.connection_id == row.connection_id, table.item_id == item_id))


def settle_deletion(session: Session, table: type[Item], row: OrderRow, write: Write) -> list[Item]:
    """Komet acknowledged the deletion: the items hold nothing any more."""
    found = [item_of(session, table, row, says["item_id"]) for says in says_of(write)]
    items = [item for item in found if item is not None]
    for item in items:
        item.boxes, item.deleted_at = 0, write.acknowledged_at
    return items
