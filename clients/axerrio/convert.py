"""Between Axerrio's wire form and canonical orders: pure functions, no network."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from clients.axerrio.wire import (
    ArticleRecord,
    LineRecord,
    OrderRecord,
    ProcurementRecord,
    ProcurementWord,
    ReferencesRecord,
)
from clients.http import Json
from models.canonical import (
    ApprovalReport,
    Article,
    Component,
    Line,
    LineReference,
    Order,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
)

_MEANINGS: dict[ProcurementWord, PurchaseOrderStatus] = {
    "pending": PurchaseOrderStatus.PENDING,
    "approved": PurchaseOrderStatus.APPROVED,
    "rejected": PurchaseOrderStatus.CANCELLED,
    "cancelled": PurchaseOrderStatus.CANCELLED,
}


def read_order(raw: Any) -> Order:
    """A SalesOrder that is not deleted.

    Raises:
        ValueError: a field is missing or cannot be read, or a line key stands twice.
    """
    record = OrderRecord.model_validate(raw)
    lines = tuple(_line(line, record) for line in record.lines)
    twice = [key for key, times in Counter(line.line_key for line in lines).items() if times > 1]
    if twice:
        raise ValueError(f"lines.lineKey = {twice[0]!r}: stands on more than one line")
    return Order(
        key=record.key,
        number=record.number,
        version=record.version,
        status=record.status,
        origin=record.origin,
        buyer_code=record.buyer.code,
        buyer_name=record.buyer.name,
        carrier_code=record.carrier_code,
        location_code=record.location_code,
        customer_reference=record.customer_reference,
        currency=record.currency,
        comments=record.comments,
        departure_date=record.departure_date,
        truck_date=record.truck_date,
        lines=lines,
        references=next(
            (read_references(each) for each in record.external_references if each.get("system") == "komet"),
            None,
        ),
        created_at=record.created_at,
    )


def _line(record: LineRecord, order: OrderRecord) -> Line:
    return Line(
        line_key=record.line_key,
        status=record.status,
        article=_article(record.article),
        packing_code=record.packing.code,
        boxes=record.boxes,
        bunches_per_box=record.bunches_per_box,
        stems_per_bunch=record.stems_per_bunch,
        unit_type=record.unit_type,
        unit_price=record.unit_price,
        unit_cost=record.unit_cost,
        mark_code=record.mark_code,
        notes=record.notes,
        departure_date=record.departure_date or order.departure_date,
        breakdown=tuple(
            Component(
                article=_article(part.article),
                bunches=part.bunches,
                stems_per_bunch=part.stems_per_bunch,
                unit_price=part.unit_price,
                unit_cost=part.unit_cost,
            )
            for part in record.breakdown
        ),
    )


def _article(record: ArticleRecord) -> Article:
    return Article(code=record.code, description=record.description)


def read_references(raw: Any) -> References:
    """External references of the system `komet`. Raises ValueError when they cannot be read."""
    return References.model_validate(ReferencesRecord.model_validate(raw).model_dump())


def read_approval(raw: Any) -> ApprovalReport:
    """A procurement status as stored. `rejected` is read as cancelled. Raises ValueError when unreadable."""
    record = ProcurementRecord.model_validate(raw)
    return ApprovalReport(
        status=_MEANINGS[record.status],
        purchase_orders=tuple(
            PurchaseOrderState(number=each.number, status=_MEANINGS[each.status]) for each in record.purchase_orders
        ),
    )


def references_body(references: References) -> Json:
    """The body of `PUT /sales-orders/{key}/external-references/komet`, which replaces all of them.

    Ids and numbers are text; a line without a purchase order item yet carries null there.
    """
    return {
        "prebookId": references.prebook_id,
        "prebookNumber": references.prebook_number,
        "purchaseOrders": [{"id": each.id, "number": each.number} for each in references.purchase_orders],
        "lines": [_line_reference(each) for each in references.lines],
    }


def _line_reference(reference: LineReference) -> Json:
    return {
        "lineKey": reference.line_key,
        "prebookId": reference.prebook_id,
        "prebookItemId": reference.prebook_item_id,
        "purchaseOrderItemId": reference.purchase_order_item_id,
        "purchaseOrderNumber": reference.purchase_order_number,
    }


def procurement_body(
    status: PurchaseOrderStatus, purchase_orders: Iterable[PurchaseOrderState], changed_at: datetime
) -> Json:
    """The body of `PUT /sales-orders/{key}/procurement-status`.

    Axerrio knows approved, pending and cancelled of our words: confirmed and shipped are approved to it.

    Args:
        status: of the order as a whole.
        purchase_orders: number and status of each.
        changed_at: with offset; a body older than the one stored changes nothing over there.
    """
    return {
        "status": _word(status),
        "purchaseOrders": [{"number": each.number, "status": _word(each.status)} for each in purchase_orders],
        "changedAt": changed_at.astimezone(UTC).isoformat(),
    }


def _word(status: PurchaseOrderStatus) -> ProcurementWord:
    if status.is_approved:
        return "approved"
    return "cancelled" if status is PurchaseOrderStatus.CANCELLED else "pending"
