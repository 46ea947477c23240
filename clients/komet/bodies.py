"""The bodies of requests to Komet, made of canonical orders: pure functions, no network.

Lengths and names of fields are those of the pages "Create a Prebook", "Create a Purchase Order", "Create a Purchase
Order with Breakdowns", "Add Purchase Order Items to an AWB" and "Change Box Codes".
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from clients.http import json_text
from clients.komet.mark import marker
from clients.komet.profile import KometProfile
from clients.komet.settings import KometSettings
from models.canonical import Article, BoxType, Carrier, Json, Line, Order, UnitType, codes

_COMMENTS, _CUSTOMER_PO, _MARK_CODE, _NOTES = 200, 20, 20, 200
_PRODUCT_CODE, _DESCRIPTION, _ORDER_NUMBER = 20, 200, 64
_AWB, _BOX_CODE = 25, 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BETWEEN_DIGITS = re.compile(r"[\s.\u2010-\u2015\u2212-]+")
_AWB_DIGITS = re.compile(r"([0-9]{3})([0-9]{4})([0-9]{3})([0-9])")
_UNIT_NAMES = {UnitType.STEM: "Stem", UnitType.BUNCH: "Bunch"}


@dataclass(frozen=True)
class ProductName:
    """A product as Komet names it: at most 20 and 200 characters."""

    code: str
    description: str


@dataclass(frozen=True)
class PurchaseOrderLine:
    """One item of a new purchase order: boxes of a prebook item. `cost` is for one unit."""

    prebook_item_id: str
    boxes: int
    cost: Decimal | None


@dataclass(frozen=True)
class MixedPurchaseOrderLine:
    """One item of a new purchase order: boxes of a prebook item that are mixed as the line says."""

    prebook_item_id: str
    boxes: int
    line: Line


@dataclass(frozen=True)
class AwbItem:
    """Boxes of a purchase order's item that left.

    Attributes:
        item_id: of the purchase order's item.
        awb: by `awb_text`.
        house_awb: of the forwarder; may be empty.
        ship_date: the vendor's.
        box_codes: one for each box, exactly as printed. Fewer than the item has boxes split it; none at all lets
            Komet make them up.
        lot_number: may be empty.
    """

    item_id: str
    awb: str
    house_awb: str
    ship_date: date
    box_codes: tuple[str, ...]
    lot_number: str


@dataclass(frozen=True)
class BoxCodeChange:
    """A box whose code becomes another."""

    current: str
    new: str


class _Texts:
    """Makes texts fit for Komet and notes which were cut."""

    def __init__(self, profile: KometProfile) -> None:
        self._ascii_only = profile.ascii_only
        self.warnings: list[str] = []

    def fit(self, value: str, length: int, name: str) -> str:
        value = self.clean(value)
        if len(value) <= length:
            return value
        self.warnings.append(f"{name} cut to {length} characters")
        return value[:length].rstrip()

    def clean(self, value: str) -> str:
        value = _CONTROL.sub(" ", value)
        if self._ascii_only:
            value = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
        return value.strip()


def sent_line(
    line: Line,
    *,
    packings: Mapping[str, str],
    settings: KometSettings,
    products: Mapping[str, ProductName] | None = None,
) -> Json:
    """The material part of a line as Komet keeps it: text cut, cost rounded. Equal for lines that need no change.

    Sales price and notes are left out: a change of them alone sends nothing. `article` is Axerrio's code beside the
    product that Komet was told. JSON-able, decimals as text.
    """
    return _normalised(line, packings, settings.profile, products or {}, _Texts(settings.profile))


def _normalised(
    line: Line,
    packings: Mapping[str, str],
    profile: KometProfile,
    products: Mapping[str, ProductName],
    texts: _Texts,
) -> Json:
    where = f"line {line.line_key}:"
    return {
        "article": line.article.code,
        **_product(line.article, products, texts, where),
        "box_type": codes(packings, line.packing_code),
        "boxes": line.boxes,
        "bunches_per_box": line.bunches_per_box,
        "stems_per_bunch": line.stems_per_bunch,
        "unit_type": line.unit_type.value,
        "unit_cost": _money(line.unit_cost, profile),
        "mark_code": texts.fit(line.mark_code, _MARK_CODE, f"{where} mark code"),
        "departure_date": line.departure_date.isoformat() if line.departure_date else None,
        "breakdown": [
            {
                "article": part.article.code,
                **_product(part.article, products, texts, f"{where} breakdown"),
                "bunches": part.bunches,
                "stems_per_bunch": part.stems_per_bunch,
                "unit_cost": _money(part.unit_cost, profile),
            }
            for part in line.breakdown
        ],
    }


def _product(article: Article, products: Mapping[str, ProductName], texts: _Texts, where: str) -> Json:
    """Code and description go together; a missing description is the code."""
    name = products.get(article.code) or ProductName(article.code, article.description)
    return {
        "product_code": texts.fit(name.code, _PRODUCT_CODE, f"{where} product code"),
        "product_description": texts.fit(name.description or name.code, _DESCRIPTION, f"{where} product description"),
    }


def prebook_body(
    order: Order,
    lines: Sequence[Line],
    *,
    mark: str,
    customer_code: str,
    customer_description: str,
    carrier: Carrier,
    box_types: Mapping[str, BoxType],
    packings: Mapping[str, str],
    settings: KometSettings,
    products: Mapping[str, ProductName],
) -> tuple[Json, tuple[str, ...]]:
    """The body of "Create a Prebook" for lines of an order, without the token.

    Every call makes a new prebook (`useExisting` 0) and no purchase order. The ship date of a prebook is its truck
    date. Codes that name a customer or a location go as they are.

    Args:
        order: gives dates, reference and comments.
        lines: what becomes the items, in this order.
        mark: ten characters of Crockford base32, new for each create.
        customer_code: Komet's; `customer_description` goes with it.
        customer_description: falls back to the code.
        carrier: outbound.
        box_types: by Komet code.
        packings: Axerrio packing code to Komet box type code.
        settings: of the company.
        products: Komet's names by article code; the article's own where none is given.

    Returns:
        The body, with decimals as text so that a JSON column gives it back unchanged, and a sentence for each text
        that was cut.

    Raises:
        KeyError: a packing whose box type is not in `box_types`.
    """
    profile = settings.profile
    texts = _Texts(profile)
    body: Json = {
        "customerCode": customer_code,
        "customerDescription": texts.fit(customer_description or customer_code, _DESCRIPTION, "customer description"),
        "carrierId": _id(carrier.carrier_id),
        "shipDate": order.truck_date.isoformat(),
        "useExisting": 0,
        "autoGeneratePOsfromPrebooks": 0,
        "customerPO": texts.fit(order.customer_reference, _CUSTOMER_PO, "customer reference"),
        "comments": _comments(order, mark, profile, texts),
        "companyLocationCode": settings.location_code,
        "prebookItems": [_prebook_item(line, box_types, packings, profile, products, texts) for line in lines],
    }
    return _without_empty(body), tuple(texts.warnings)


def customer_of_prebook(body: Json) -> str | None:
    """The customer's code in a body of "Create a Prebook"."""
    code = body.get("customerCode")
    return str(code) if code is not None else None


def _comments(order: Order, mark: str, profile: KometProfile, texts: _Texts) -> str:
    if profile.prebook_marker == "none":
        return texts.fit(order.comments, _COMMENTS, "comments")
    ending = marker(texts.fit(order.number, _ORDER_NUMBER, "order number"), mark)
    said = texts.fit(order.comments, _COMMENTS - len(ending) - 1, "comments")
    return f"{said} {ending}".strip()


def _prebook_item(
    line: Line,
    box_types: Mapping[str, BoxType],
    packings: Mapping[str, str],
    profile: KometProfile,
    products: Mapping[str, ProductName],
    texts: _Texts,
) -> Json:
    kept = _normalised(line, packings, profile, products, texts)
    box_type = box_types[kept["box_type"]]
    item: Json = {
        "productCode": kept["product_code"],
        "productDescription": kept["product_description"],
        **_box_type(box_type, profile),
        "unitType": _UNIT_NAMES[line.unit_type],
        "boxes": kept["boxes"],
        "bunches": kept["bunches_per_box"],
        "stemsBunch": kept["stems_per_bunch"],
        "cost": kept["unit_cost"],
        "price": _money(line.unit_price, profile),
        "markCode": kept["mark_code"],
        "notes": texts.fit(line.notes, _NOTES, f"line {line.line_key}: notes"),
        "breakdowns": [
            _without_empty({**_breakdown(part), "price": _money(component.unit_price, profile)})
            for part, component in zip(kept["breakdown"], line.breakdown, strict=True)
        ],
    }
    if profile.prebook_item_ship_date_field:
        item[profile.prebook_item_ship_date_field] = kept["departure_date"]
    return _without_empty(item)


def _box_type(box_type: BoxType, profile: KometProfile) -> Json:
    if profile.box_type_by == "id":
        return {"boxTypeId": _id(box_type.box_type_id)}
    return {"boxTypeCode": box_type.code, "boxTypeDescription": box_type.code}


def _breakdown(part: Json) -> Json:
    return {
        "productCode": part["product_code"],
        "productDescription": part["product_description"],
        "bunches": part["bunches"],
        "stemsBunch": part["stems_per_bunch"],
        "cost": part["unit_cost"],
    }


def prebook_item_delete_body(prebook_id: str, item_id: str) -> Json:
    """The body of "Delete an Item from a Prebook": the prebook's id, not its number. Sets the item to 0 boxes."""
    return {"prebookId": _id(prebook_id), "prebookItemId": _id(item_id)}


def purchase_order_body(
    ship_date: date,
    items: Sequence[PurchaseOrderLine],
    *,
    purchase_order_number: str | None,
    settings: KometSettings,
) -> Json:
    """The body of "Create a Purchase Order" out of prebook items, without the token; decimals as text.

    Args:
        ship_date: the vendor's; one for each purchase order.
        items: the prebook items to cover.
        purchase_order_number: of an existing purchase order to add to, and only of one that was read.
        settings: of the company.
    """
    names = settings.profile.po_item_fields
    entries = [
        _without_empty(
            {
                names.get("prebookItemId", "prebookItemId"): _id(item.prebook_item_id),
                names.get("boxes", "boxes"): item.boxes,
                names.get("cost", "cost"): _money(item.cost, settings.profile),
            }
        )
        for item in items
    ]
    return _purchase_order(ship_date, purchase_order_number, settings, entries)


def mixed_purchase_order_body(
    ship_date: date,
    items: Sequence[MixedPurchaseOrderLine],
    *,
    purchase_order_number: str | None,
    box_types: Mapping[str, BoxType],
    packings: Mapping[str, str],
    settings: KometSettings,
    products: Mapping[str, ProductName],
) -> tuple[Json, tuple[str, ...]]:
    """The body of "Create a Purchase Order with Breakdowns" out of prebook items, without the token.

    Komet leaves out a product that it does not know, without a word: what came of it must be read back.

    Args:
        ship_date: the vendor's; one for each purchase order.
        items: the prebook items to cover. Other fields than the link are those of "Create a Prebook".
        purchase_order_number: of an existing purchase order to add to, and only of one that was read.
        box_types: by Komet code.
        packings: Axerrio packing code to Komet box type code.
        settings: of the company.
        products: Komet's names by article code; the article's own where none is given.

    Returns:
        The body, decimals as text, and a sentence for each text that was cut.

    Raises:
        KeyError: a packing whose box type is not in `box_types`.
    """
    texts = _Texts(settings.profile)
    entries = [_mixed_item(item, box_types, packings, settings.profile, products, texts) for item in items]
    return _purchase_order(ship_date, purchase_order_number, settings, entries), tuple(texts.warnings)


def _mixed_item(
    item: MixedPurchaseOrderLine,
    box_types: Mapping[str, BoxType],
    packings: Mapping[str, str],
    profile: KometProfile,
    products: Mapping[str, ProductName],
    texts: _Texts,
) -> Json:
    line = item.line
    kept = _normalised(line, packings, profile, products, texts)
    names = profile.po_item_fields
    link = {names.get("prebookItemId", "prebookItemId"): _id(item.prebook_item_id)}
    return _without_empty(
        {
            **(link if profile.mixed_link in ("item", "both") else {}),
            "productCode": kept["product_code"],
            "productDescription": kept["product_description"],
            **_box_type(box_types[kept["box_type"]], profile),
            "unitType": _UNIT_NAMES[line.unit_type],
            names.get("boxes", "boxes"): item.boxes,
            "bunches": kept["bunches_per_box"],
            "stemsBunch": kept["stems_per_bunch"],
            names.get("cost", "cost"): kept["unit_cost"],
            "markCode": kept["mark_code"],
            "notes": texts.fit(line.notes, _NOTES, f"line {line.line_key}: notes"),
            "breakdowns": [
                _without_empty({**(link if profile.mixed_link in ("breakdown", "both") else {}), **_breakdown(part)})
                for part in kept["breakdown"]
            ],
        }
    )


def _purchase_order(ship_date: date, number: str | None, settings: KometSettings, entries: list[Json]) -> Json:
    return _without_empty(
        {
            "shipDate": ship_date.isoformat(),
            "companyLocationCode": settings.location_code,
            "carrierCode": settings.inbound_carrier_code,
            "purchaseOrderNumber": number,
            "purchaseOrderItems": entries,
        }
    )


def purchase_order_item_delete_body(item_id: str) -> Json:
    """The body of "Delete an Item from a Purchase Order"."""
    return {"poItemId": _id(item_id)}


def awb_text(awb: str) -> tuple[str, str | None]:
    """An air waybill number as Komet shall get it, and a warning where it is not what it should be.

    Eleven digits, of which the last is the remainder of the seven before it divided by 7, become `PPP-SSSS-SSSC`, as
    the page "Change the Master AWB" writes them. Anything else goes as it is and is never put right: numbers of
    Komet's own samples break that rule, and some forwarders number otherwise.
    """
    kept = awb.strip()
    found = _AWB_DIGITS.fullmatch(_BETWEEN_DIGITS.sub("", kept))
    if found is None:
        return kept, f"air waybill {kept[:40]!r} has not 11 digits; it goes as it is"
    prefix, first, last, check = found.groups()
    if int(first + last) % 7 != int(check):
        return kept, f"air waybill {kept[:40]!r}: its check digit is wrong; it goes as it is"
    return f"{prefix}-{first}-{last}{check}", None


def awb_body(items: Sequence[AwbItem], *, settings: KometSettings) -> tuple[Json, tuple[str, ...]]:
    """The body of "Add Purchase Order Items to an AWB", without the token, and a sentence for each text that was cut.

    Where the profile limits the box codes of an entry, an item with more of them stands in several entries.

    Raises:
        ValueError: a box code is empty or has more than 20 characters: it is printed and cannot be cut.
    """
    texts = _Texts(settings.profile)
    entries = []
    for item in items:
        where = f"item {item.item_id}:"
        rest: Json = {
            "awb": texts.fit(item.awb, _AWB, f"{where} air waybill"),
            "houseAWB": texts.fit(item.house_awb, _AWB, f"{where} house air waybill"),
            "shipDate": item.ship_date.isoformat(),
            "lotNumber": texts.clean(item.lot_number),
        }
        box_codes = [_box_code(each) for each in item.box_codes]
        most = settings.profile.max_box_codes_per_item or len(box_codes) or 1
        entries += [
            _without_empty({"poItemId": _id(item.item_id), **rest, "boxCodes": box_codes[start : start + most]})
            for start in range(0, len(box_codes) or 1, most)
        ]
    return {"poItems": entries}, tuple(texts.warnings)


def box_codes_body(changes: Sequence[BoxCodeChange]) -> Json:
    """The body of "Change Box Codes", without the token.

    Raises:
        ValueError: a box code is empty or has more than 20 characters.
    """
    return {
        "boxes": [{"currentBoxCode": _box_code(each.current), "newBoxCode": _box_code(each.new)} for each in changes]
    }


def _box_code(code: str) -> str:
    if not 0 < len(code) <= _BOX_CODE:
        raise ValueError(f"box code {code[:40]!r} has not 1 to {_BOX_CODE} characters")
    return code


def encode_body(body: Json, token: str, profile: KometProfile) -> bytes:
    """A body as it goes over the wire: with the token, and costs and prices as exact JSON numbers."""
    decimals = {"cost", "price", profile.po_item_fields.get("cost", "cost")}
    return json_text({"authenticationToken": token, **_numbered(body, decimals)}).encode()


def body_size(body: Json) -> int:
    """Most bytes that a body takes on the wire, with a token of 50 characters. Komet takes 64 kB."""
    return len(json_text({"authenticationToken": "t" * 50, **body}))


def _numbered(value: Any, decimals: set[str]) -> Any:
    if isinstance(value, list):
        return [_numbered(each, decimals) for each in value]
    if isinstance(value, dict):
        return {
            name: Decimal(each) if name in decimals and isinstance(each, str) else _numbered(each, decimals)
            for name, each in value.items()
        }
    return value


def _money(amount: Decimal | None, profile: KometProfile) -> str | None:
    """Rounded half-even, without closing zeros, never in powers of ten."""
    if amount is None:
        return None
    rounded = amount.quantize(Decimal(1).scaleb(-profile.price_decimals), ROUND_HALF_EVEN)
    return format(rounded.normalize() + 0, "f")


def _id(value: str) -> int | str:
    return int(value) if value.isascii() and value.isdigit() else value


def _without_empty(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
