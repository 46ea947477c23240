"""The kinds of writes: how each is frozen, sent and settled.

One table, from which the Celery tasks take their names too. A new kind of write is a new row here, a member of
`models.states.Kind`, and the rule in `tasks.plan` that asks for it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.convert import procurement_body, references_body
from clients.errors import RefusalKind, Refused
from clients.komet.convert import PurchaseOrderLine, body_size, prebook_body, purchase_order_body
from models.canonical import ApprovalReport, Line, References
from models.database import now
from models.states import Feed, Kind
from models.tables import Json, Prebook, PrebookItem, Scope, Write
from models.tables import Order as OrderRow
from tasks.connection import Connection
from tasks.plan import PlannedWrite
from tasks.situation import canonical, carrier_code_of, catalogue, customer_of

#: Komet takes 64 kB at most (Getting Started); we stay below.
MOST_BYTES = 60_000
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class FrozenWrite:
    """A write as it will go over the wire, whatever happens later."""

    body: Json
    #: The lines that it covers: of those planned, as many as fit.
    line_keys: tuple[str, ...]
    mark: str | None = None
    #: Where it would show.
    scope: tuple[Feed, str] | None = None
    says: Json | None = None
    #: Sentences about text that had to be cut.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class WriteKind:
    """How one kind of write is done."""

    kind: Kind
    #: Name of the Celery task that does it, as people see it.
    task: str
    freeze: Callable[[Session, Connection, OrderRow, PlannedWrite], FrozenWrite]
    #: Makes the call; `before_send` is called last before the first byte leaves. Gives the foreign ids of the answer.
    send: Callable[[Connection, str, Write, Callable[[], None]], Json]
    #: Records what the answer means, in the transaction that settles the write.
    settle: Callable[[Session, OrderRow, Write], None]
    #: Safe to send again with the same body and key.
    repeatable: bool


def new_mark() -> str:
    """Ten characters of Crockford base32, random, new for each create."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(10))


# -- komet.prebook.create --------------------------------------------------------------------------------------


def _freeze_prebook(session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    order = canonical(row)
    known = catalogue(session, row.connection_id)
    customer = customer_of(connection, order)
    carrier = known.carriers.get(carrier_code_of(connection, order) or "")
    if customer is None or carrier is None:
        raise LookupError(f"order {row.id}: its customer or carrier went away while it was planned")
    mark = new_mark()
    lines = [line for line in order.lines if line.line_key in planned.line_keys]
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
        )
        if body_size(body) <= MOST_BYTES or len(lines) == 1:
            break
        lines = lines[: (len(lines) + 1) // 2]  # the rest becomes another prebook
    return FrozenWrite(
        body,
        tuple(line.line_key for line in lines),
        mark=mark,
        scope=(Feed.KOMET_PREBOOKS, order.truck_date.isoformat()),
        warnings=warnings,
    )


def _send_prebook(connection: Connection, _key: str, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_prebook(write.body, before_send)
    return {"id": made.prebook_id, "number": made.number}


def _settle_prebook(session: Session, row: OrderRow, write: Write) -> None:
    result = write.result or {}
    if result.get("id"):
        session.execute(
            insert(Prebook)
            .values(
                connection_id=row.connection_id,
                order_id=row.id,
                write_id=write.id,
                prebook_id=result["id"],
                number=result.get("number"),
                truck_date=date.fromisoformat(session.get_one(Scope, write.scope_id).key),
                as_of=write.sent_at,
            )
            .on_conflict_do_nothing()
        )


# -- komet.purchase.order.create -------------------------------------------------------------------------------


def _freeze_purchase_order(
    session: Session, connection: Connection, row: OrderRow, planned: PlannedWrite
) -> FrozenWrite:
    if planned.ship_date is None:
        raise ValueError("a purchase order is planned for a ship date")
    items, line_keys = [], []
    for line in row.lines:
        if line.line_key not in planned.line_keys or line.wanted is None:
            continue
        wanted = Line.model_validate(line.wanted)
        item = session.scalars(
            select(PrebookItem)
            .where(PrebookItem.line_id == line.id, PrebookItem.boxes > 0)
            .order_by(PrebookItem.id)
            .limit(1)
        ).one()
        items.append(PurchaseOrderLine(item.item_id, item.boxes, wanted.unit_cost))
        line_keys.append(line.line_key)
    while True:
        body = purchase_order_body(
            planned.ship_date,
            items,
            purchase_order_number=planned.purchase_order_number,
            settings=connection.settings.komet,
        )
        if body_size(body) <= MOST_BYTES or len(items) == 1:
            break
        items = items[: (len(items) + 1) // 2]  # the rest joins the purchase order once it was read
    return FrozenWrite(
        body, tuple(line_keys[: len(items)]), scope=(Feed.KOMET_PURCHASE_ORDERS, planned.ship_date.isoformat())
    )


def _send_purchase_order(connection: Connection, _key: str, write: Write, before_send: Callable[[], None]) -> Json:
    made = connection.komet.create_purchase_order(write.body, before_send)
    return {"id": made.purchase_order_id, "number": made.number}


def _settle_nothing(_session: Session, _row: OrderRow, _write: Write) -> None:
    """The items are learned from the next look: an answer names none that we may rely on (Create a Purchase Order)."""


# -- axerrio.external-references -------------------------------------------------------------------------------


def _freeze_references(
    _session: Session, _connection: Connection, _row: OrderRow, planned: PlannedWrite
) -> FrozenWrite:
    if planned.references is None:
        raise ValueError("a write-back is planned with its references")
    return FrozenWrite(
        references_body(planned.references), planned.line_keys, says=planned.references.model_dump(mode="json")
    )


def _send_references(connection: Connection, key: str, write: Write, before_send: Callable[[], None]) -> Json:
    connection.axerrio.put_references(key, write.body, idempotency_key=write.idempotency_key, before_send=before_send)
    return {}


def _settle_references(_session: Session, row: OrderRow, write: Write) -> None:
    row.references_applied = References.model_validate(write.says).model_dump(mode="json")


# -- axerrio.procurement-status --------------------------------------------------------------------------------


def _freeze_report(session: Session, _connection: Connection, _row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    report = planned.report
    if report is None:
        raise ValueError("an approval report is planned with its content")
    body = procurement_body(report.status, report.purchase_orders, now(session))
    return FrozenWrite(body, planned.line_keys, says=report.model_dump(mode="json"))


def _send_report(connection: Connection, key: str, write: Write, before_send: Callable[[], None]) -> Json:
    stored = connection.axerrio.put_procurement_status(
        key, write.body, idempotency_key=write.idempotency_key, before_send=before_send
    )
    says = ApprovalReport.model_validate(write.says)
    if stored.status is not says.status:
        raise Refused(
            "axerrio",
            "procurement-status",
            f"it keeps {stored.status.value}, which it took later than our {says.status.value}",
            RefusalKind.OTHER,
        )
    return {}


def _settle_report(_session: Session, row: OrderRow, write: Write) -> None:
    row.report_applied = ApprovalReport.model_validate(write.says).model_dump(mode="json")


KINDS: dict[Kind, WriteKind] = {
    each.kind: each
    for each in (
        WriteKind(
            Kind.PREBOOK_CREATE, "create_prebook", _freeze_prebook, _send_prebook, _settle_prebook, repeatable=False
        ),
        WriteKind(
            Kind.PURCHASE_ORDER_CREATE,
            "create_purchase_orders",
            _freeze_purchase_order,
            _send_purchase_order,
            _settle_nothing,
            repeatable=False,
        ),
        WriteKind(
            Kind.EXTERNAL_REFERENCES,
            "link_order",
            _freeze_references,
            _send_references,
            _settle_references,
            repeatable=True,
        ),
        WriteKind(
            Kind.PROCUREMENT_STATUS, "report_approval", _freeze_report, _send_report, _settle_report, repeatable=True
        ),
    )
}
