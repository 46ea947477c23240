"""What really stands in both systems, for those who judge."""

from sandbox.axerrio.tenant import Inbound, SalesOrder, Tenant
from sandbox.komet.company import Company
from sandbox.komet.purchase_orders import line_status_of, status_of
from sandbox.komet.records import Box, Line, Prebook, PurchaseOrder
from sandbox.wire import Json


def of_company(company: Company) -> Json:
    """The books of a company, as they stand and not as the lists show them."""
    company.approve_due()
    return {
        "company_code": company.seed.company_code,
        "token_last4": company.seed.token[-4:],
        "prebooks": [_prebook(shown.latest) for shown in company.prebooks.values()],
        "purchase_orders": [_purchase_order(company, shown.latest) for shown in company.purchase_orders.values()],
        "requests": dict(company.requests),
    }


def _prebook(prebook: Prebook) -> Json:
    return {
        "id": prebook.id,
        "number": prebook.number,
        "customer_code": prebook.customer.code,
        "carrier_code": prebook.carrier.code,
        "location": prebook.location,
        "truck_date": prebook.truck_date.isoformat(),
        "customer_po": prebook.customer_po,
        "comments": prebook.comments,
        "items": [
            {
                "id": item.id,
                "vendor_id": item.vendor_id,
                "vendor_ship_date": item.vendor_ship_date and item.vendor_ship_date.isoformat(),
                **_line(item.line),
            }
            for item in prebook.items
        ],
    }


def _purchase_order(company: Company, order: PurchaseOrder) -> Json:
    return {
        "id": order.id,
        "number": str(order.number),
        "vendor_id": order.vendor_id,
        "ship_date": order.ship_date.isoformat(),
        "status": status_of(company, order),
        "location": order.location,
        "carrier_code": order.carrier and order.carrier.code,
        "items": [
            {
                "id": item.id,
                "prebook_item_id": item.prebook_item_id,
                "status": line_status_of(order, item),
                "shipped_boxes": [_box(box) for box in item.boxes],
                **_line(item.line),
            }
            for item in order.items
        ],
    }


def _box(box: Box) -> Json:
    return {
        "code": box.code,
        "awb": box.awb,
        "house_awb": box.house_awb,
        "ship_date": box.ship_date.isoformat(),
        "lot": box.lot,
        "position": box.position,
    }


def _line(line: Line) -> Json:
    return {
        "boxes": line.boxes,
        "product_code": line.goods.code,
        "product_description": line.goods.description,
        "mapped": line.is_mapped,
        "product_id": line.goods.product and line.goods.product.id,
        "box_type": line.box_type.code,
        "unit_type": line.unit_type,
        "bunches": line.bunches,
        "stems_bunch": line.stems_bunch,
        "cost": None if line.cost is None else str(line.cost),
        "mark_code": line.mark_code,
        "notes": line.notes,
        "breakdowns": [
            {
                "product_code": part.goods.code,
                "product_description": part.goods.description,
                "mapped": part.goods.product is not None,
                "bunches": part.bunches,
                "stems_bunch": part.stems_bunch,
                "cost": None if part.cost is None else str(part.cost),
            }
            for part in line.parts
        ],
    }


def of_tenant(tenant: Tenant) -> Json:
    """Everything of a tenant; labels, shipments and articles as their feeds send them."""
    return {
        "tenant_id": tenant.seed.tenant_id,
        "token_last4": tenant.seed.token[-4:],
        "maximum_sequence": tenant.orders.maximum_sequence,
        "orders": [_order(order) for order in tenant.orders.records.values()],
        "inbound_orders": [_inbound(inbound) for inbound in tenant.inbound.values()],
        "labels": [label.record for label in tenant.labels.records.values()],
        "shipments": [shipment.record for shipment in tenant.shipments.records.values()],
        "articles": [article.record for article in tenant.articles.records.values()],
    }


def _order(order: SalesOrder) -> Json:
    return {
        "key": order.key,
        "number": order.record.get("number"),
        "status": order.record.get("status"),
        "origin": order.record.get("origin"),
        "external_id": order.record.get("externalId"),
        "version": order.version,
        "sequence": order.sequence,
        "deleted": order.deleted,
        "lines": order.lines,
        "external_references": order.external_references,
        "procurement_status": order.procurement_status,
    }


def _inbound(inbound: Inbound) -> Json:
    return {
        "external_id": inbound.external_id,
        "status": inbound.status,
        "cancelled": inbound.cancelled,
        "sales_order_key": inbound.order_key,
        "lines": inbound.lines,
        "body": inbound.body,
    }
