"""Sales orders: the change feed, one order, its external references and its procurement status."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StrictStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from sandbox.axerrio.problems import Problem, invalid, missing
from sandbox.axerrio.tenant import SalesOrder, Tenant
from sandbox.wire import Answer, Json


def _moment(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("needs an offset")
    return value


Word = Annotated[StrictStr, StringConstraints(min_length=1, max_length=64)]
Moment = Annotated[StrictStr, AfterValidator(_moment)]


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    def stored(self) -> Json:
        """The body as it is kept and answered: the agreed fields."""
        return self.model_dump(by_alias=True)


class PurchaseOrderName(_Body):
    """A purchase order in Komet."""

    id: Word
    number: Word


class LineReference(_Body):
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


class ExternalReferences(_Body):
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


class PurchaseOrderStatus(_Body):
    """How far a purchase order is."""

    number: Word
    status: Word


class ProcurementStatus(_Body):
    """How far procurement is with an order."""

    status: Literal["pending", "approved", "rejected", "cancelled"]
    purchase_orders: list[PurchaseOrderStatus]
    changed_at: Moment


def feed(tenant: Tenant, sequence: str, limit: str) -> Response:
    """One page of the change feed."""
    if not sequence.isascii() or not sequence.isdecimal():
        raise Problem(400, "validation", "The sequence must be a number of 0 or more")
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise Problem(400, "validation", "The limit must be a number from 1 to 1000")
    page = tenant.page(int(sequence), int(limit))
    return Answer({"maximumSequence": tenant.maximum_sequence, "results": page})


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
    return Answer(stored)


def get_procurement(tenant: Tenant, key: str) -> Response:
    """The stored procurement status."""
    order = _order(tenant, key)
    if order.procurement_status is None:
        raise missing(f"Procurement status of {key}")
    return Answer(order.procurement_status)


def _order(tenant: Tenant, key: str) -> SalesOrder:
    order = tenant.orders.get(key)
    if order is None:
        raise missing(f"Sales order {key}")
    if order.deleted:
        raise Problem(410, "deleted", f"Sales order {key} was deleted")
    return order
