"""What Axerrio's answers say, as canonical records: pure functions, no network."""

from collections import Counter
from datetime import date
from typing import Any

from clients.axerrio.wire import (
    BareArticleRecord,
    BareLineRecord,
    BareOrderRecord,
    CatalogueArticleRecord,
    InboundRecord,
    LabelRecord,
    OrderRecord,
    ProcurementRecord,
    ProcurementWord,
    ReferencesRecord,
    ShipmentRecord,
)
from models.canonical import (
    ApprovalReport,
    Article,
    CatalogueArticle,
    Component,
    InboundLine,
    InboundOrder,
    InboundStatus,
    Label,
    LabelState,
    Line,
    Order,
    Origin,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
    Shipment,
    ShipmentLine,
)

_MEANINGS: dict[ProcurementWord, PurchaseOrderStatus] = {
    "pending": PurchaseOrderStatus.PENDING,
    "approved": PurchaseOrderStatus.APPROVED,
    "rejected": PurchaseOrderStatus.CANCELLED,
    "cancelled": PurchaseOrderStatus.CANCELLED,
}


def read_order(raw: Any) -> Order:
    """A SalesOrder that is not deleted.

    An order born in Komet may lack what we could not send: departure date, article codes, packs and unit types.

    Raises:
        ValueError: a field is missing or cannot be read, or a line key stands twice.
    """
    is_ours = isinstance(raw, dict) and raw.get("origin") == Origin.KOMET
    record = (BareOrderRecord if is_ours else OrderRecord).model_validate(raw)
    lines = tuple(_line(line, record.departure_date) for line in record.lines)
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
        external_id=record.external_id,
        references=next(
            (read_references(each) for each in record.external_references if each.get("system") == "komet"),
            None,
        ),
        created_at=record.created_at,
    )


def _line(record: BareLineRecord, departure_date: date | None) -> Line:
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
        departure_date=record.departure_date or departure_date,
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
        external_line_id=record.external_line_id,
    )


def _article(record: BareArticleRecord) -> Article:
    return Article(code=record.code, description=record.description)


def read_label(raw: Any) -> Label:
    """A Label that is not deleted; its box code is kept to the letter.

    Raises:
        ValueError: a field is missing or cannot be read. Only a label that is not printed may lack its box code.
    """
    record = LabelRecord.model_validate(raw)
    if record.state is LabelState.PRINTED and not record.box_code:
        raise ValueError("boxCode is missing")
    return Label(**record.model_dump())


def read_shipment(raw: Any) -> Shipment:
    """A Shipment that is not deleted. Raises ValueError when it cannot be read."""
    record = ShipmentRecord.model_validate(raw)
    return Shipment(
        key=record.key,
        version=record.version,
        ship_date=record.ship_date,
        awb=record.awb,
        house_awb=record.house_awb,
        is_temporary=record.is_temporary,
        lines=tuple(ShipmentLine(**line.model_dump()) for line in record.lines),
    )


def read_catalogue_article(raw: Any) -> CatalogueArticle:
    """An Article that is not deleted. Raises ValueError when it cannot be read."""
    return CatalogueArticle(**CatalogueArticleRecord.model_validate(raw).model_dump())


def read_inbound(raw: Any) -> InboundOrder:
    """What Axerrio said to an order born in Komet. Raises ValueError when it cannot be read."""
    record = InboundRecord.model_validate(raw)
    return InboundOrder(
        external_id=record.external_id,
        order_key=record.order_key,
        order_number=record.order_number,
        status=record.status,
        lines=tuple(
            InboundLine(
                external_line_id=line.external_line_id,
                line_key=line.line_key,
                is_accepted=None if line.status is InboundStatus.PENDING else line.status is InboundStatus.ACCEPTED,
                code=line.code,
                message=line.message,
            )
            for line in record.lines
        ),
    )


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
