"""Between Axerrio's wire form and canonical orders: pure functions, no network."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
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
from clients.http import Json
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
    LineReference,
    LineStatus,
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


def inbound_body(order: Order) -> Json:
    """The body of `PUT /inbound-orders/{externalId}`, which replaces the whole: a line left out is cancelled.

    What Komet does not show is left out, an article code and a pack among it; so are cancelled lines. Decimals as
    text.

    Raises:
        ValueError: a line does not say which prebook item it came from.
    """
    return _without_empty(
        {
            "origin": Origin.KOMET.value,
            "buyer": _without_empty({"code": order.buyer_code, "name": order.buyer_name}),
            "carrierCode": order.carrier_code,
            "locationCode": order.location_code,
            "customerReference": order.customer_reference,
            "currency": order.currency,
            "comments": order.comments,
            "departureDate": _day(order.departure_date),
            "truckDate": _day(order.truck_date),
            "lines": [_inbound_line(line) for line in order.lines if line.status is not LineStatus.CANCELLED],
        }
    )


def _inbound_line(line: Line) -> Json:
    if not line.external_line_id:
        raise ValueError(f"line {line.line_key} names no prebook item")
    return _without_empty(
        {
            "externalLineId": line.external_line_id,
            "status": line.status.value,
            "article": _article_body(line.article),
            "packing": {"code": line.packing_code},
            "boxes": line.boxes,
            "bunchesPerBox": line.bunches_per_box or None,
            "stemsPerBunch": line.stems_per_bunch or None,
            "unitType": line.unit_type.value,
            "unitPrice": _decimal(line.unit_price),
            "unitCost": _decimal(line.unit_cost),
            "markCode": line.mark_code,
            "notes": line.notes,
            "departureDate": _day(line.departure_date),
            "breakdown": [
                _without_empty(
                    {
                        "article": _article_body(part.article),
                        "bunches": part.bunches or None,
                        "stemsPerBunch": part.stems_per_bunch or None,
                        "unitPrice": _decimal(part.unit_price),
                        "unitCost": _decimal(part.unit_cost),
                    }
                )
                for part in line.breakdown
            ],
        }
    )


def _article_body(article: Article) -> Json:
    """A missing description is the code: the code may be left out, the description may not."""
    return _without_empty({"code": article.code, "description": article.description or article.code})


def _day(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


def _decimal(value: Decimal | None) -> str | None:
    return format(value, "f") if value is not None else None


def _without_empty(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
