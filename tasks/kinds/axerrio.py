"""What Axerrio is told: orders born in Komet, an order's place in Komet, and the approval."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from clients.axerrio.bodies import inbound_body, procurement_body, references_body
from clients.errors import RefusalKind, Refused
from models.canonical import ApprovalReport, InboundOrder, InboundStatus, Json, References
from models.database import now
from models.states import Kind
from models.tables import Order as OrderRow
from models.tables import Write
from tasks.connection import Connection
from tasks.kinds.form import Address, FrozenWrite, WriteKind, rows_of
from tasks.plan.facts import PlannedWrite


def _freeze_inbound(_session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    """An empty body is a cancellation."""
    lines: dict[int, Json | None] = {line.id: None for line in row.lines}
    if planned.inbound is None:
        return FrozenWrite({}, lines)
    return FrozenWrite(inbound_body(planned.inbound), lines, says=planned.inbound.model_dump(mode="json"))


def _send_inbound(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    if order.external_id is None:
        raise ValueError("an order that was born in Komet has its external id")
    if not write.body:
        connection.axerrio.delete_inbound_order(
            order.external_id, idempotency_key=write.idempotency_key, before_send=before_send
        )
        return {}
    try:
        answer = connection.axerrio.put_inbound_order(
            order.external_id, write.body, idempotency_key=write.idempotency_key, before_send=before_send
        )
    except Refused as error:
        is_lost = error.kind is RefusalKind.EXISTS and not order.is_told  # the answer to the one that made it
        found = connection.axerrio.inbound_order(order.external_id) if is_lost else None
        if found is None:
            raise
        answer = found
    return answer.model_dump(mode="json")


def _settle_inbound(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.inbound_applied = write.says
    row.inbound_answer = None
    if write.says is not None:
        learn_inbound_answer(row, InboundOrder.model_validate(write.result))
        return
    _forget_what_was_told(row)


def _forget_what_was_told(row: OrderRow) -> None:
    """Nothing of it stands in Axerrio: what comes in its place is told everything anew."""
    row.references_applied = row.report_applied = None
    for line in row.lines:
        line.axerrio_line_key = None


def learn_inbound_answer(row: OrderRow, answer: InboundOrder) -> None:
    """Keep what Axerrio says to an order that was born in Komet, with its key and those of its lines.

    What it says of lines counts once it took the order: until then they are what they were, with their keys.
    """
    row.inbound_answer = answer.model_dump(mode="json")
    if answer.order_key not in (None, row.axerrio_key):
        row.axerrio_key = answer.order_key
        row.axerrio_holds = None  # it was of an order that was cancelled or deleted, in whose place this one is
        _forget_what_was_told(row)
    row.axerrio_number = answer.order_number or row.axerrio_number
    if answer.status is not InboundStatus.ACCEPTED:
        return
    said = {each.external_line_id: each for each in answer.lines}
    for line in row.lines:
        of_line = said.get(line.line_key)
        if of_line is None or of_line.is_accepted:
            line.axerrio_line_key = of_line.line_key if of_line is not None else None


def _freeze_references(_session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    if planned.references is None:
        raise ValueError("a write-back is planned with its references")
    return FrozenWrite(
        references_body(planned.references),
        {line.id: None for line in rows_of(row, planned)},
        says=planned.references.model_dump(mode="json"),
    )


def _key(order: Address) -> str:
    if order.key is None:
        raise ValueError("Axerrio has not taken the order yet")
    return order.key


def _send_references(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    stored = connection.axerrio.put_references(
        _key(order), write.body, idempotency_key=write.idempotency_key, before_send=before_send
    )
    lacks = stored.lacks(References.model_validate(write.says))
    if lacks:
        words = f"it said yes, and did not keep the links of line {', '.join(lacks)}"
        raise Refused("axerrio", "external-references", words, RefusalKind.OTHER)
    return {}


def _settle_references(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.references_applied = References.model_validate(write.says).model_dump(mode="json")


def _freeze_report(session: Session, _connection: Connection, row: OrderRow, planned: PlannedWrite) -> FrozenWrite:
    report = planned.report
    if report is None:
        raise ValueError("an approval report is planned with its content")
    body = procurement_body(report.status, report.purchase_orders, now(session))
    return FrozenWrite(body, {line.id: None for line in rows_of(row, planned)}, says=report.model_dump(mode="json"))


def _send_report(connection: Connection, order: Address, write: Write, before_send: Callable[[], None]) -> Json:
    stored = connection.axerrio.put_procurement_status(
        _key(order), write.body, idempotency_key=write.idempotency_key, before_send=before_send
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


def _settle_report(_session: Session, _connection: Connection, row: OrderRow, write: Write) -> None:
    row.report_applied = ApprovalReport.model_validate(write.says).model_dump(mode="json")


#: The kinds of this file.
KINDS = (
    WriteKind(
        Kind.INBOUND_ORDER, "send_inbound_order", _freeze_inbound, _send_inbound, _settle_inbound, repeatable=True
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
