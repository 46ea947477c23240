"""Sales orders: one order, its external references and its procurement status."""

from datetime import datetime
from typing import Literal

from pydantic import ValidationError, model_validator
from starlette.responses import Response

from sandbox.axerrio.bodies import Body, Moment, Word
from sandbox.axerrio.labels import print_due
from sandbox.axerrio.problems import Problem, invalid, missing
from sandbox.axerrio.tenant import SalesOrder, Tenant
from sandbox.wire import Answer


class PurchaseOrderName(Body):
    """A purchase order in Komet."""

    id: Word
    number: Word


class LineReference(Body):
    """What a line is in Komet."""

    line_key: Word
    prebook_id: Word
    prebook_item_id: Word
    purchase_order_item_id: Word | None
    purchase_order_number: Word | None

    @model_validator(mode="after")
    def _whole(self) -> "LineReference":
        if (self.purchase_order_item_id is None) != (self.purchase_order_number is None):
            raise ValueError("purchaseOrderItemId and purchaseOrderNumber are given together or not at all")
        return self


class ExternalReferences(Body):
    """What an order is in Komet. Only an order without any line there may name no prebook."""

    prebook_id: Word | None
    prebook_number: Word | None
    purchase_orders: list[PurchaseOrderName]
    lines: list[LineReference]

    @model_validator(mode="after")
    def _named(self) -> "ExternalReferences":
        if self.lines and (self.prebook_id is None or self.prebook_number is None):
            raise ValueError("prebookId and prebookNumber are required where lines are")
        return self


class PurchaseOrderStatus(Body):
    """How far a purchase order is."""

    number: Word
    status: Word


class ProcurementStatus(Body):
    """How far procurement is with an order."""

    status: Literal["pending", "approved", "rejected", "cancelled"]
    purchase_orders: list[PurchaseOrderStatus]
    changed_at: Moment


def single(tenant: Tenant, key: str) -> Response:
    """One order, with its version as ETag."""
    order = _order(tenant, key)
    return Answer(order.shown(), headers={"ETag": f'"{order.version}"'})


def put_references(tenant: Tenant, key: str, system: str, body: object) -> Response:
    """Replace the references to Komet; neither version nor sequence moves."""
    if system != "komet":
        raise missing(f"External system {system}")
    order = _order(tenant, key)
    try:
        references = ExternalReferences.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    known, seen, errors = order.line_keys, set[str](), []
    for n, line in enumerate(references.lines):
        if line.line_key not in known or line.line_key in seen:
            reason = "is named twice" if line.line_key in seen else "is not a line of the order"
            message = f"lineKey {line.line_key} {reason}"
            errors.append({"pointer": f"/lines/{n}/lineKey", "code": "line-key", "message": message})
        seen.add(line.line_key)
    if errors:
        raise Problem(422, "validation", "The body is not valid", errors)
    order.external_references = references.stored()
    if order.record.get("origin") == "komet":
        print_due(tenant, order)
    return Answer(order.external_references)


def put_procurement(tenant: Tenant, key: str, body: object) -> Response:
    """Store the procurement status unless a newer one stands there."""
    order = _order(tenant, key)
    try:
        asked = ProcurementStatus.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    stored = order.procurement_status
    changed_at = datetime.fromisoformat
    if stored is None or changed_at(asked.changed_at) >= changed_at(stored["changedAt"]):
        order.procurement_status = stored = asked.stored()
        print_due(tenant, order)
    return Answer(stored)


def get_procurement(tenant: Tenant, key: str) -> Response:
    """The stored procurement status."""
    order = _order(tenant, key)
    if order.procurement_status is None:
        raise missing(f"Procurement status of {key}")
    return Answer(order.procurement_status)


def _order(tenant: Tenant, key: str) -> SalesOrder:
    return tenant.orders.find(key, "Sales order")
