"""Axerrio's records as typed by the adapter API v1. Names are the API's; null means the same as a missing field."""

from typing import Any, Literal

from pydantic import Field

from clients.reading import Count, Day, Exact, Flag, Key, Moment, SequenceNumber, Text, Wire
from models.canonical import LineStatus, OrderStatus, Origin, UnitType


class IdentityRecord(Wire):
    """The answer of `GET /identity`."""

    tenant_id: Key = Field(alias="tenantId")
    name: Text = ""
    time_zone: Text = Field(default="", alias="timeZone")
    clock: Moment | None = None


class Head(Wire):
    """What every feed record has, a tombstone included."""

    key: Key
    sequence: SequenceNumber
    is_deleted: Flag = Field(default=False, alias="isDeleted")


class ArticleRecord(Wire):
    """An article as a line names it."""

    code: Key
    description: Text = ""


class CodeRecord(Wire):
    """A thing named by its code: a packing."""

    code: Key


class BuyerRecord(Wire):
    """The customer of an order."""

    code: Key
    name: Text = ""


class ComponentRecord(Wire):
    """An entry of `breakdown`: one product of a mixed box."""

    article: ArticleRecord
    bunches: Count
    stems_per_bunch: Count = Field(alias="stemsPerBunch")
    unit_price: Exact | None = Field(default=None, alias="unitPrice")
    unit_cost: Exact | None = Field(default=None, alias="unitCost")


class LineRecord(Wire):
    """An entry of `lines`."""

    line_key: Key = Field(alias="lineKey")
    status: LineStatus
    article: ArticleRecord
    packing: CodeRecord
    boxes: Count
    bunches_per_box: Count = Field(alias="bunchesPerBox")
    stems_per_bunch: Count = Field(alias="stemsPerBunch")
    unit_type: UnitType = Field(alias="unitType")
    unit_price: Exact | None = Field(default=None, alias="unitPrice")
    unit_cost: Exact | None = Field(default=None, alias="unitCost")
    mark_code: Text = Field(default="", alias="markCode")
    notes: Text = ""
    departure_date: Day | None = Field(default=None, alias="departureDate")
    breakdown: tuple[ComponentRecord, ...] = ()


class OrderRecord(Wire):
    """A SalesOrder that is not deleted."""

    key: Key
    number: Key
    version: SequenceNumber
    status: OrderStatus
    origin: Origin
    buyer: BuyerRecord
    carrier_code: Text | None = Field(default=None, alias="carrierCode")
    location_code: Text | None = Field(default=None, alias="locationCode")
    customer_reference: Text = Field(default="", alias="customerReference")
    currency: Text | None = None
    comments: Text = ""
    departure_date: Day = Field(alias="departureDate")
    truck_date: Day = Field(alias="truckDate")
    lines: tuple[LineRecord, ...]
    external_references: tuple[dict[str, Any], ...] = Field(default=(), alias="externalReferences")
    created_at: Moment | None = Field(default=None, alias="createdAt")


class PurchaseOrderReferenceRecord(Wire):
    """A Komet purchase order in the external references."""

    id: Key
    number: Key


class LineReferenceRecord(Wire):
    """A line's place in Komet."""

    line_key: Key = Field(alias="lineKey")
    prebook_id: Text | None = Field(default=None, alias="prebookId")
    prebook_item_id: Text | None = Field(default=None, alias="prebookItemId")
    purchase_order_item_id: Text | None = Field(default=None, alias="purchaseOrderItemId")
    purchase_order_number: Text | None = Field(default=None, alias="purchaseOrderNumber")


class ReferencesRecord(Wire):
    """External references of the system `komet`."""

    prebook_id: Text | None = Field(default=None, alias="prebookId")
    prebook_number: Text | None = Field(default=None, alias="prebookNumber")
    purchase_orders: tuple[PurchaseOrderReferenceRecord, ...] = Field(default=(), alias="purchaseOrders")
    lines: tuple[LineReferenceRecord, ...] = ()


ProcurementWord = Literal["pending", "approved", "rejected", "cancelled"]


class PurchaseOrderStateRecord(Wire):
    """A purchase order's number and status."""

    number: Key
    status: ProcurementWord


class ProcurementRecord(Wire):
    """The body of `PUT /sales-orders/{key}/procurement-status`."""

    status: ProcurementWord
    purchase_orders: tuple[PurchaseOrderStateRecord, ...] = Field(default=(), alias="purchaseOrders")
