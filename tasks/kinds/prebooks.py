"""Prebooks in Komet: made, and their items deleted."""

import secrets
from collections.abc import Callable, Collection

from sqlalchemy import BigInteger, Date, DateTime, Text, cast, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.komet.bodies import body_size, prebook_body, prebook_item_delete_body
from models.canonical import Json
from models.prepared import Prepared, parameter
from models.states import Feed, Kind
from models.tables import Order as OrderRow
from models.tables import (
    Prebook,
    PrebookItem,
    Scope,
    Write,
)
from tasks.connection import Connection
from tasks.kinds.form import MOST_BYTES, Address, FrozenWrite, WriteKind, item_of, rows_of, settle_deletion
from tasks.material import place_of
from tasks.plan.facts import PlannedWrite
from tasks.wanted import articles_of, as_sent, canonical, carrier_code_of, catalogue, customer_of, products_of

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_made = {
    "connection_id": parameter("connection_id", BigInteger()),
    "order_id": parameter("order_id", BigInteger()),
    "write_id": parameter("write_id", BigInteger()),
    "prebook_id": parameter("prebook_id", Text()),
    "number": parameter("number", Text()),
    "truck_date": cast(Scope.key, Date),
    "as_of": parameter("as_of", DateTime(timezone=True)),
}
#: The prebook of an answer, on the truck date that was asked for.
_MADE = Prepared(
    insert(Prebook)
    .from_select(list(_made), select(*_made.values()).where(Scope.id == parameter("scope_id", BigInteger())))
    .on_conflict_do_nothing()
)


def new_mark() -> str:
    """Ten characters of Crockford base32, random, new for each create."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(10))


def _freeze_prebook(session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    order = canonical(row)
    known = catalogue(session, row.connection_id)
    customer = customer_of(connection, order)
    carrier = known.carriers.get(carrier_code_of(connection, order) or "")
    if customer is None or carrier is None:
        raise LookupError(f"order {row.id}: its customer or carrier went away while it was planned")
    mark = new_mark()
    lines = [line for line in order.lines if line.line_key in planned.line_keys]
    products = products_of(session, row.connection_id, articles_of(lines))
    while True:
        body, warnings = prebook_body(
            order,
            lines,
            mark=mark,
            customer_code=customer.code,
            customer_description=customer.description or order.buyer_name or customer.code,
            carrier=carrier,
            box_types=known.box_types,
            packings=connection.settings.packings,
            settings=connection.settings.komet,
            products=products,
        )
        if body_size(body) <= MOST_BYTES or len(lines) == 1:
            break
        lines = lines[: (len(lines) + 1) // 2]  # the rest becomes another prebook
    ids = {line.line_key: line.id for line in row.lines}
    return FrozenWrite(
        body,
        {ids[line.line_key]: as_sent(order, line, connection, products) for line in lines},
        mark=mark,
        scope=(Feed.KOMET_PREBOOKS, order.truck_date.isoformat()),
        warnings=warnings,
    )


def _send_prebook(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_prebook(write.body, before_send)
    return {"id": made.prebook_id, "number": made.number}


def _settle_prebook(session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    result = write.result or {}
    if result.get("id"):
        _MADE.run(
            session,
            connection_id=row.connection_id,
            order_id=row.id,
            write_id=write.id,
            prebook_id=result["id"],
            number=result.get("number"),
            as_of=write.sent_at,
            scope_id=write.scope_id,
        )
    if write.shown_at is not None:  # a read was quicker than the answer: what it took for unknown is ours
        ours = select(Prebook.id).where(Prebook.write_id == write.id)
        session.execute(
            update(PrebookItem)
            .where(PrebookItem.prebook_row.in_(ours), PrebookItem.as_of < write.shown_at)
            .values(touched=False)
        )


def _freeze_item_delete(session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    item = item_of(session, PrebookItem, row, planned.item_id)
    if item is None:
        raise LookupError(f"order {row.id}: item {planned.item_id} went away while it was planned")
    place = place_of(item, session.get_one(Prebook, item.prebook_row))
    return FrozenWrite(
        prebook_item_delete_body(place.prebook_id, item.item_id),
        {line.id: {"item_id": item.item_id, "boxes": item.boxes} for line in rows_of(row, planned)},
        scope=(Feed.KOMET_PREBOOKS, place.truck_date.isoformat()),
    )


def _send_item_delete(connection: Connection, _order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    connection.komet.delete_prebook_item(write.body, before_send)
    return {}


def _settle_item_delete(
    session: Session, _connection: Connection, row: OrderRow, write: Write
) -> Collection[str] | None:
    """An item that is gone can be mapped in Komet no more: who waits for that makes an item of its own."""
    return {word for item in settle_deletion(session, PrebookItem, row, write) for word in forget_unknown(item)}


def forget_unknown(item: PrebookItem) -> set[str]:
    """The item says no more which products Komet does not know; gives the articles that it spoke of."""
    words = {each["article"] for each in item.unknown_products}
    item.unknown_products = []
    return words


#: The kinds of this file.
KINDS = (
    WriteKind(Kind.PREBOOK_CREATE, "create_prebook", _freeze_prebook, _send_prebook, _settle_prebook),
    WriteKind(Kind.PREBOOK_ITEM_DELETE, "delete_items", _freeze_item_delete, _send_item_delete, _settle_item_delete),
)
