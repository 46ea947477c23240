"""Komet's answers as typed records. Names are Komet's; what a page calls a number may come as text and the reverse.

Sources, by page title: "Get a list of Box-Types", "Get a list of Carriers", "Get a detailed Prebook list", "Get a list
of Purchase Orders", "Add Purchase Order Items to an AWB", "Add a PO Item to an AWB", "Change Box Codes". The item id of
a prebook and all names of a purchase order are not on the visible part of those pages; they were read by a public
client.
"""

from decimal import Decimal

from pydantic import AliasChoices, ConfigDict, Field

from clients.reading import Count, Day, Exact, Flag, Id, Key, Name, Text, Wire

#: No page shows such a field: any of these is believed.
_MAPPED = AliasChoices("mapped", "isMapped", "productMapped")


class BoxTypeRecord(Wire):
    """An entry of `boxtypes`."""

    id: Id
    code: Key
    fbe: Exact = Decimal(0)


class CarrierRecord(Wire):
    """An entry of `carriers`."""

    id: Id
    code: Name = ""
    name: Text = ""
    active: Flag = True


class BreakdownRecord(Wire):
    """An entry of `breakdowns` of a prebook's item: one product of a mixed box."""

    product_id: Name | None = Field(default=None, alias="productId")
    product_description: Name | None = Field(default=None, alias="productDescription")
    mapped: Flag = Field(default=True, validation_alias=_MAPPED)
    bunches: Count | None = None
    stems: Count | None = Field(default=None, alias="stemsBunch")


class PrebookItemRecord(Wire):
    """An entry of `details` of a prebook. Fields whose names the profile decides stay in `model_extra`."""

    model_config = ConfigDict(extra="allow")

    item_id: Id = Field(validation_alias=AliasChoices("prebookItemId", "id"))
    product_id: Name | None = Field(default=None, alias="productId")
    product_description: Name | None = Field(default=None, alias="productDescription")
    mapped: Flag = Field(default=True, validation_alias=_MAPPED)
    boxes: Count = Field(validation_alias=AliasChoices("totalBoxes", "boxes"))
    box_type: Name | None = Field(default=None, alias="boxType")
    bunches: Count | None = None
    stems: Count | None = Field(default=None, alias="stemsBunch")
    unit_type: Name | None = Field(default=None, alias="unitType")
    mark_code: Name | None = Field(default=None, alias="markCode")
    breakdowns: tuple[BreakdownRecord, ...] = ()


class PrebookRecord(Wire):
    """An entry of `prebooks`."""

    id: Id
    number: Id
    customer_code: Name | None = Field(default=None, alias="customerCode")
    customer_name: Text | None = Field(default=None, alias="customerName")
    customer_reference: Text = Field(default="", alias="customerPONumber")
    carrier_id: Name | None = Field(default=None, alias="carrierId")
    truck_date: Day | None = Field(default=None, alias="truckDate")
    comments: Text = ""
    details: tuple[PrebookItemRecord, ...] = ()


class BoxRecord(Wire):
    """An entry of `boxes` of a purchase order's item: there only after the grower shipped."""

    code: Name | None = Field(default=None, alias="boxCode")


class PurchaseOrderItemRecord(Wire):
    """An entry of `details` of a purchase order."""

    item_id: Id = Field(validation_alias=AliasChoices("poItemId", "id"))
    prebook_item_id: Name | None = Field(default=None, alias="prebookItemId")
    product_description: Name | None = Field(default=None, alias="productDescription")
    product_id: Name | None = Field(default=None, alias="productId")
    boxes: Count = Field(alias="totalBoxes")
    box_type: Name | None = Field(default=None, alias="boxType")
    bunches: Count | None = None
    stems: Count | None = Field(default=None, alias="stemsBunch")
    cost: Exact | None = Field(default=None, validation_alias=AliasChoices("unitCost", "cost"))
    mark_code: Name | None = Field(default=None, alias="markCode")
    boxes_shipped: tuple[BoxRecord, ...] = Field(default=(), alias="boxes")


class PurchaseOrderRecord(Wire):
    """An entry of `purchaseOrders`."""

    id: Id
    number: Id
    ship_date: Day | None = Field(default=None, alias="shipDate")
    status: Text = ""
    details: tuple[PurchaseOrderItemRecord, ...] = ()


class AwbResultRecord(Wire):
    """An entry of `purchaseOrderItemDetailsAWBAddAPIResultList`. The new item is that of the page for one item."""

    item_id: Id = Field(alias="poItemId")
    done: Flag = Field(alias="status")
    message: Text = ""
    new_item_id: Name | None = Field(default=None, alias="newPOItemId")


class BoxCodeResultRecord(Wire):
    """An entry of `boxes` in the answer to a change of box codes: it names the new code only."""

    new_code: Key = Field(alias="newBoxCode")
    done: Flag = Field(alias="status")
    message: Text = ""
