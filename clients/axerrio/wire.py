"""Axerrio's records as typed by the adapter API v1. Names are the API's; null means the same as a missing field."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from clients.reading import Count, Day, Exact, Flag, Key, Moment, Name, SequenceNumber, Text, Wire, moment
from models.canonical import InboundStatus, LabelState, LineStatus, OrderStatus, Origin, UnitType


def _if_readable(value: object) -> datetime | None:
    try:
        return moment(value)
    except ValueError:
        return None


#: A time that nothing depends on but a comparison of clocks.
ReadableMoment = Annotated[datetime | None, BeforeValidator(_if_readable)]


class IdentityRecord(Wire):
    """The answer of `GET /identity`."""

    tenant_id: Name = Field(default="", alias="tenantId")
    name: Text = ""
    time_zone: Name = Field(default="", alias="timeZone")
    clock: ReadableMoment = None


class Existence(Wire):
    """What a single record says of itself, a deleted one included."""

    key: Key
    is_deleted: Flag = Field(default=False, alias="isDeleted")


class Head(Existence):
    """What every feed record has, a tombstone included."""

    sequence: SequenceNumber


class LabelHead(Head):
    """A label names its key otherwise."""

    key: Key = Field(alias="labelId")


class BareArticleRecord(Wire):
    """An article as a line of an order born in Komet names it, which may have come without a code."""

    code: Name = ""
    description: Name = ""


class ArticleRecord(BareArticleRecord):
    """An article as a line names it."""

    code: Key


class CodeRecord(Wire):
    """A thing named by its code: a packing."""

    code: Key


class BuyerRecord(Wire):
    """The customer of an order."""

    code: Key
    name: Text = ""


class BareComponentRecord(Wire):
    """An entry of `breakdown` in an order born in Komet."""

    article: BareArticleRecord
    bunches: Count = 0
    stems_per_bunch: Count = Field(default=0, alias="stemsPerBunch")
    unit_price: Exact | None = Field(default=None, alias="unitPrice")
    unit_cost: Exact | None = Field(default=None, alias="unitCost")


class ComponentRecord(BareComponentRecord):
    """An entry of `breakdown`: one product of a mixed box."""

    article: ArticleRecord
    bunches: Count
    stems_per_bunch: Count = Field(alias="stemsPerBunch")


class BareLineRecord(Wire):
    """An entry of `lines` in an order born in Komet: what we could not send may be missing."""

    line_key: Key = Field(alias="lineKey")
    external_line_id: Name | None = Field(default=None, alias="externalLineId")
    status: LineStatus
    article: BareArticleRecord
    packing: CodeRecord
    boxes: Count
    bunches_per_box: Count = Field(default=0, alias="bunchesPerBox")
    stems_per_bunch: Count = Field(default=0, alias="stemsPerBunch")
    unit_type: UnitType = Field(default=UnitType.STEM, alias="unitType")
    unit_price: Exact | None = Field(default=None, alias="unitPrice")
    unit_cost: Exact | None = Field(default=None, alias="unitCost")
    mark_code: Name = Field(default="", alias="markCode")
    notes: Text = ""
    departure_date: Day | None = Field(default=None, alias="departureDate")
    breakdown: tuple[BareComponentRecord, ...] = ()


class LineRecord(BareLineRecord):
    """An entry of `lines`."""

    article: ArticleRecord
    bunches_per_box: Count = Field(alias="bunchesPerBox")
    stems_per_bunch: Count = Field(alias="stemsPerBunch")
    unit_type: UnitType = Field(alias="unitType")
    breakdown: tuple[ComponentRecord, ...] = ()


class BareOrderRecord(Wire):
    """A SalesOrder that was born in Komet and is not deleted."""

    key: Key
    number: Key
    version: SequenceNumber
    status: OrderStatus
    origin: Origin
    external_id: Name | None = Field(default=None, alias="externalId")
    buyer: BuyerRecord
    carrier_code: Name | None = Field(default=None, alias="carrierCode")
    location_code: Name | None = Field(default=None, alias="locationCode")
    customer_reference: Text = Field(default="", alias="customerReference")
    currency: Name | None = None
    comments: Text = ""
    departure_date: Day | None = Field(default=None, alias="departureDate")
    truck_date: Day = Field(alias="truckDate")
    lines: tuple[BareLineRecord, ...]
    external_references: tuple[dict[str, Any], ...] = Field(default=(), alias="externalReferences")
    created_at: Moment | None = Field(default=None, alias="createdAt")


class OrderRecord(BareOrderRecord):
    """A SalesOrder that is not deleted."""

    departure_date: Day = Field(alias="departureDate")
    lines: tuple[LineRecord, ...]


class LabelRecord(Wire):
    """A Label that is not deleted."""

    key: Key = Field(alias="labelId")
    version: SequenceNumber
    order_key: Key = Field(alias="salesOrderKey")
    line_key: Key = Field(alias="lineKey")
    box_index: Annotated[Count, Field(ge=1)] = Field(alias="boxIndex")
    box_code: Name = Field(default="", alias="boxCode")
    lot_number: Name = Field(default="", alias="lotNumber")
    state: LabelState


class ShipmentLineRecord(Wire):
    """An entry of `lines` of a shipment."""

    order_key: Key = Field(alias="salesOrderKey")
    line_key: Key = Field(alias="lineKey")
    boxes: Count
    box_codes: tuple[Key, ...] = Field(default=(), alias="boxCodes")
    label_keys: tuple[Key, ...] = Field(default=(), alias="labelIds")


class ShipmentRecord(Wire):
    """A Shipment that is not deleted."""

    key: Key
    version: SequenceNumber
    ship_date: Day = Field(alias="shipDate")
    awb: Name = ""
    house_awb: Name = Field(default="", alias="houseAwb")
    is_temporary: Flag = Field(default=False, alias="isTemporaryAwb")
    lines: tuple[ShipmentLineRecord, ...]


class CatalogueArticleRecord(Wire):
    """An Article of the catalogue that is not deleted."""

    key: Key
    code: Key
    description: Text = ""


class InboundLineRecord(Wire):
    """An entry of `lines` in the answer to an inbound order."""

    external_line_id: Key = Field(alias="externalLineId")
    line_key: Name | None = Field(default=None, alias="lineKey")
    status: InboundStatus = InboundStatus.PENDING
    code: Name = ""
    message: Text = ""


class InboundRecord(Wire):
    """The answer of `/inbound-orders/{externalId}`."""

    external_id: Key = Field(alias="externalId")
    order_key: Name | None = Field(default=None, alias="salesOrderKey")
    order_number: Name | None = Field(default=None, alias="salesOrderNumber")
    status: InboundStatus
    lines: tuple[InboundLineRecord, ...] = ()


class PurchaseOrderReferenceRecord(Wire):
    """A Komet purchase order in the external references."""

    id: Key
    number: Key


class LineReferenceRecord(Wire):
    """A line's place in Komet."""

    line_key: Key = Field(alias="lineKey")
    prebook_id: Name | None = Field(default=None, alias="prebookId")
    prebook_item_id: Name | None = Field(default=None, alias="prebookItemId")
    purchase_order_item_id: Name | None = Field(default=None, alias="purchaseOrderItemId")
    purchase_order_number: Name | None = Field(default=None, alias="purchaseOrderNumber")


class ReferencesRecord(Wire):
    """External references of the system `komet`."""

    prebook_id: Name | None = Field(default=None, alias="prebookId")
    prebook_number: Name | None = Field(default=None, alias="prebookNumber")
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
