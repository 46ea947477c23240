"""What Komet's pages leave open, as switches: a finding on a live company is a setting, not a rewrite."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from clients.errors import RefusalKind
from models.canonical import PurchaseOrderStatus


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


#: Regular expressions, tried anywhere in Komet's words unless stated otherwise; letter case does not matter.
Patterns = tuple[Annotated[str, AfterValidator(_is_pattern)], ...]

_REFERENCES = r"(customer|carrier|box[- ]?type|location)"
_LISTED = r"(((prebook|purchase|sales) )?orders?|prebooks?|products?|box[- ]?types?|carriers?|records?|results?|data)"
_WHERE = r"( (for|on|between) [\w /-]*)?"
_UNKNOWN = r"(not found|unknown|does ?n[o']t exist|not exist|invalid|not valid|not recogni[sz]ed)"

#: Words of the `status` filter and codes of the answers alike ("Get a list of Purchase Orders").
_STATUSES = MappingProxyType(
    {
        "PA": PurchaseOrderStatus.PENDING,
        "Pending Approval": PurchaseOrderStatus.PENDING,
        "A": PurchaseOrderStatus.APPROVED,
        "Approved": PurchaseOrderStatus.APPROVED,
        "CF": PurchaseOrderStatus.CONFIRMED,
        "Confirmed by Farm": PurchaseOrderStatus.CONFIRMED,
        "Confirmed": PurchaseOrderStatus.CONFIRMED,
        "C": PurchaseOrderStatus.CANCELLED,
        "X": PurchaseOrderStatus.CANCELLED,
        "Cancelled": PurchaseOrderStatus.CANCELLED,
        "Canceled": PurchaseOrderStatus.CANCELLED,
        "S": PurchaseOrderStatus.SHIPPED,
        "Shipped": PurchaseOrderStatus.SHIPPED,
    }
)


class KometProfile(BaseModel):
    """How one Komet company behaves where the documentation is silent or contradicts itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A refusal in these words: a field was too long. Tried first, since such words speak of limits too.
    too_long_patterns: Patterns = (
        r"too long",
        r"max(imum)?\.? (length|size)",
        r"(at most|no more than|max(imum)?\.?( of)?) \d+ char",
        r"(exceed|longer).*(length|char)",
    )
    #: A refusal in these words: the request budget is used up. A customer's credit limit is none of these.
    limit_patterns: Patterns = (
        r"too many (requests|calls)",
        r"\bquota\b",
        r"^(?!.*credit).*\b(limits?|exceed\w*)\b",
    )
    #: A refusal in these words: the token lacks the right to this method. Tried before the token itself.
    right_patterns: Patterns = (r"permission",)
    #: A refusal in these words: the token is not accepted.
    token_patterns: Patterns = (r"token", r"authenticat")
    #: A refusal in these words: Komet does not know a product.
    unknown_product_patterns: Patterns = (rf"product.*{_UNKNOWN}", r"(unknown|invalid|no such) product")
    #: A refusal in these words: Komet does not know a customer, carrier, box type or location.
    unknown_reference_patterns: Patterns = (
        rf"{_REFERENCES}.*{_UNKNOWN}",
        rf"(unknown|invalid|no such) {_REFERENCES}",
    )
    #: The whole message of a list without hits; `Orders not found.OK` was seen.
    empty_patterns: Patterns = (
        rf"{_LISTED}( were| was)? not found{_WHERE}\.?\s*(ok\.?)?",
        rf"(there (are|were) )?no {_LISTED}( were| was)?( found)?{_WHERE}\.?\s*(ok\.?)?",
    )
    #: Where a prebook carries our mark. `none`: a create whose answer was lost cannot be found again.
    prebook_marker: Literal["comments", "none"] = "comments"
    #: Name of the item field that takes the vendor's ship date; none: Komet sets that date itself.
    prebook_item_ship_date_field: Annotated[str, Field(min_length=1)] | None = None
    #: What a refused create of a prebook left behind: nothing, or perhaps the items that were in order.
    prebook_partial: Literal["atomic", "partial"] = "atomic"
    #: What a prebook with a product unknown to Komet is: taken and marked UNKNOWN, or refused.
    unknown_product: Literal["accepted", "refused"] = "accepted"
    #: A product description that holds one of these, in any letter case, is not mapped.
    unknown_markers: tuple[str, ...] = ("UNKNOWN",)
    #: Other wire names for the fields `prebookItemId`, `boxes`, `cost` of a new purchase order's items.
    po_item_fields: Mapping[Literal["prebookItemId", "boxes", "cost"], str] = Field(default_factory=dict)
    #: Where a purchase order of mixed boxes names the prebook item that it covers.
    mixed_link: Literal["item", "breakdown", "both"] = "item"
    #: How a delete names what it deletes: in a JSON body, or in the query of a POST without a body.
    delete_style: Literal["json", "query"] = "json"
    #: Box codes of one entry of an air waybill, at most; an item with more is named in several entries.
    max_box_codes_per_item: Annotated[int, Field(ge=1)] | None = None
    #: Which boxes the new item holds when a shipment of fewer boxes than ordered splits an item.
    split_new_item_is: Literal["remaining", "shipped"] = "remaining"
    #: Whether items of a purchase order that is not approved yet may go on an air waybill.
    awb_while_pending: Literal["allowed", "wait"] = "allowed"
    #: Further status words of purchase orders, before the known codes and words.
    po_status_map: Mapping[str, PurchaseOrderStatus] = Field(default_factory=dict)
    #: Digits after the point that costs and prices are sent with, at most.
    price_decimals: int = Field(default=3, ge=0, le=6)
    #: Name a box type by its id or by its code.
    box_type_by: Literal["id", "code"] = "id"
    #: Purchase order numbers asked for in one call.
    po_numbers_per_call: int = Field(default=20, ge=1)
    #: Days that one read of prebooks by the vendor's ship date may span; 7 for a company of old.
    max_range_days: int = Field(default=180, ge=1)
    #: A read of the prebooks that changed since a moment names a range of ship dates as well.
    updated_needs_range: bool = True
    #: Such a read begins this long before the last one did.
    updated_overlap_seconds: int = Field(default=600, ge=0)
    #: Where a prebook item shows its cost and its vendor ship date: the first that is there.
    prebook_item_cost_fields: tuple[str, ...] = ("cost", "unitCost")
    prebook_item_ship_date_fields: tuple[str, ...] = ("vendorShipDate", "shipDate")
    #: Send text without accents and other letters beyond ASCII.
    ascii_only: bool = False

    def refusal_kind(self, message: str) -> RefusalKind:
        """The kind of a no that Komet put into words."""
        tables = (
            (self.too_long_patterns, RefusalKind.INVALID),
            (self.limit_patterns, RefusalKind.LIMIT),
            (self.right_patterns, RefusalKind.RIGHT),
            (self.token_patterns, RefusalKind.TOKEN),
            (self.unknown_product_patterns, RefusalKind.UNKNOWN_PRODUCT),
            (self.unknown_reference_patterns, RefusalKind.UNKNOWN_REFERENCE),
        )
        return next((kind for patterns, kind in tables if _found(patterns, message)), RefusalKind.OTHER)

    def means_nothing_found(self, message: str) -> bool:
        """Whether the whole message is Komet's "nothing found"."""
        return any(re.fullmatch(each, message.strip(), re.IGNORECASE) for each in self.empty_patterns)

    def purchase_order_status(self, word: str) -> PurchaseOrderStatus | None:
        """The meaning of a purchase order's status; None for a word that is not known."""
        known = {name.casefold(): status for name, status in (*_STATUSES.items(), *self.po_status_map.items())}
        return known.get(word.strip().casefold())


def _found(patterns: Iterable[str], message: str) -> bool:
    return any(re.search(each, message, re.IGNORECASE) for each in patterns)
