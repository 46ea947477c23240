"""The bodies of requests to Axerrio, made of canonical orders: pure functions, no network."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from clients.axerrio.wire import ProcurementWord
from models.canonical import (
    Article,
    Json,
    Line,
    LineReference,
    LineStatus,
    Order,
    Origin,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
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
