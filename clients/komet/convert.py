"""Between canonical orders and Komet's wire form: pure functions, no network.

Lengths and names of request fields are those of the pages "Create a Prebook", "Create a Purchase Order", "Create a
Purchase Order with Breakdowns", "Add Purchase Order Items to an AWB" and "Change Box Codes".
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

from clients.http import Json, json_text
from clients.komet.profile import KometProfile
from clients.komet.settings import KometSettings
from clients.komet.wire import (
    BoxTypeRecord,
    BreakdownRecord,
    CarrierRecord,
    PrebookItemRecord,
    PrebookRecord,
    PurchaseOrderRecord,
)
from clients.reading import day, exact
from models.canonical import (
    Article,
    BoxType,
    Carrier,
    Line,
    Order,
    Prebook,
    PrebookComponent,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    UnitType,
    codes,
)

_COMMENTS, _CUSTOMER_PO, _MARK_CODE, _NOTES = 200, 20, 20, 200
_PRODUCT_CODE, _DESCRIPTION, _ORDER_NUMBER = 20, 200, 64
_AWB, _BOX_CODE = 25, 20

_MARK = re.compile(r"\[\s*AX\s*:\s*([0-9A-HJKMNP-TV-Z]{10})\s*\]", re.IGNORECASE)
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


@dataclass(frozen=True)
class Bound:
    """Which item came from which line.

    Attributes:
        pairs: item id by line key; no item twice.
        tied: lines whose item was picked by order among equals: any other of them may be the true one, so nothing
            may be learned from such a pair, Komet's name of the product least of all.
    """

    pairs: dict[str, str]
    tied: frozenset[str]


T = TypeVar("T")


# The mark


def marker(number: str, mark: str) -> str:
    """What a prebook of ours has at the end of its comments: the Axerrio number and our mark."""
    return f"Axerrio {number} [AX:{mark}]"


def read_mark(comments: str) -> str | None:
    """The last mark in the comments, in capitals. A person may have written after it, or changed its case."""
    found = _MARK.findall(comments)
    return found[-1].upper() if found else None


# What is sent


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
    products: Mapping[str, ProductName] | None = None,
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
        "prebookItems": [_prebook_item(line, box_types, packings, profile, products or {}, texts) for line in lines],
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
    products: Mapping[str, ProductName] | None = None,
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
    entries = [_mixed_item(item, box_types, packings, settings.profile, products or {}, texts) for item in items]
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


def body_size(body: Json, token_length: int = 50) -> int:
    """Most bytes that a body takes on the wire. Komet takes 64 kB."""
    return len(json_text({"authenticationToken": "t" * token_length, **body}))


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


# What is read


def read_box_type(raw: Any, profile: KometProfile) -> BoxType:  # noqa: ARG001 - one shape for all readers
    """An entry of "Get a list of Box-Types". Raises ValueError when it cannot be read."""
    record = BoxTypeRecord.model_validate(raw)
    return BoxType(box_type_id=record.id, code=record.code, fbe=record.fbe)


def read_carrier(raw: Any, profile: KometProfile) -> Carrier:  # noqa: ARG001
    """An entry of "Get a list of Carriers". Raises ValueError when it cannot be read."""
    record = CarrierRecord.model_validate(raw)
    return Carrier(carrier_id=record.id, code=record.code, name=record.name, active=record.active)


def read_prebook(raw: Any, profile: KometProfile) -> Prebook:
    """An entry of "Get a detailed Prebook list". Raises ValueError when it cannot be read.

    Nothing says that Komet keeps an order among items, or among a mixed box's products: here they always have the same.
    """
    record = PrebookRecord.model_validate(raw)
    items = (_read_prebook_item(item, profile) for item in record.details)
    return Prebook(
        prebook_id=record.id,
        number=record.number,
        customer_code=record.customer_code,
        customer_name=record.customer_name,
        customer_reference=record.customer_reference,
        carrier_id=None if record.carrier_id == "0" else record.carrier_id,
        truck_date=record.truck_date,
        comments=record.comments,
        mark=read_mark(record.comments),
        items=tuple(sorted(items, key=lambda item: _in_number_order(item.item_id))),
    )


def _read_prebook_item(record: PrebookItemRecord, profile: KometProfile) -> PrebookItem:
    components = [
        PrebookComponent(
            product_description=part.product_description,
            product_id=part.product_id,
            mapped=_is_mapped(part, profile),
            bunches=part.bunches,
            stems_per_bunch=part.stems,
        )
        for part in record.breakdowns
    ]
    return PrebookItem(
        item_id=record.item_id,
        product_description=record.product_description,
        product_id=record.product_id,
        mapped=_is_mapped(record, profile) and all(part.mapped for part in components),
        boxes=record.boxes,
        box_type=record.box_type,
        bunches_per_box=record.bunches,
        stems_per_bunch=record.stems,
        unit_type=next((u for u in UnitType if u.value == (record.unit_type or "").casefold()), None),
        mark_code=record.mark_code,
        cost=_first(record, profile.prebook_item_cost_fields, exact),
        ship_date=_first(record, profile.prebook_item_ship_date_fields, day),
        components=tuple(sorted(components, key=_in_product_order)),
    )


def _in_product_order(part: PrebookComponent) -> tuple[tuple[int, int, str], str]:
    return _in_number_order(part.product_id or ""), part.model_dump_json()


def _is_mapped(record: PrebookItemRecord | BreakdownRecord, profile: KometProfile) -> bool:
    description = (record.product_description or "").casefold()
    is_marked = any(each.casefold() in description for each in profile.unknown_markers)
    return record.mapped and record.product_id not in (None, "0") and not is_marked


def read_purchase_order(raw: Any, profile: KometProfile) -> PurchaseOrder:
    """An entry of "Get a list of Purchase Orders". Raises ValueError when it cannot be read."""
    record = PurchaseOrderRecord.model_validate(raw)
    return PurchaseOrder(
        purchase_order_id=record.id,
        number=record.number,
        ship_date=record.ship_date,
        status=profile.purchase_order_status(record.status),
        status_text=record.status,
        items=tuple(
            PurchaseOrderItem(
                item_id=item.item_id,
                prebook_item_id=None if item.prebook_item_id == "0" else item.prebook_item_id,
                product_description=item.product_description,
                product_id=item.product_id,
                boxes=item.boxes,
                box_type=item.box_type,
                bunches_per_box=item.bunches,
                stems_per_bunch=item.stems,
                cost=item.cost,
                mark_code=item.mark_code,
                box_codes=tuple(box.code for box in item.boxes_shipped if box.code),
            )
            for item in record.details
        ),
    )


def _first(record: PrebookItemRecord, names: Sequence[str], read: Callable[[object], T]) -> T | None:
    shown = record.model_extra or {}
    for name in names:
        if name in shown:
            try:
                return read(shown[name])
            except ValueError as error:
                raise ValueError(f"{name} = {str(shown[name])[:80]!r}: {error}") from None
    return None


# Whose item is it?


def bind_items(sent: Mapping[str, Json], items: Sequence[PrebookItem], *, box_types: Mapping[str, BoxType]) -> Bound:
    """Which item of a prebook of ours came from which line that was sent in it.

    An item fits a line when boxes, box type, bunches, stems, unit type and mark code are equal as far as Komet shows
    them, and so are the packs of a mixed box's products; a line of one product is never a mixed box. Among those that
    fit, an item named as the line was sent comes first; Komet may have put a name of its own in place of ours, so the
    others come after. A mixed box has its products' names beside its own, and theirs count for more: one commercial
    name covers boxes of different content. Ties go by ascending item id in the order sent, and only where the lines
    are one, or as many as the items; else nothing is bound, and so nothing is guessed.

    Args:
        sent: by line key, in the order sent: what `sent_line` gave of each line of that prebook.
        items: the items of that prebook. One at 0 boxes is bound to nothing.
        box_types: by Komet code; an item may show a box type by code or id.
    """
    live = {item.item_id: item for item in items if item.boxes > 0}
    # Komet leaves empty values out: where any item shows a mark code, one without it has none.
    unmarked = "" if any(item.mark_code for item in live.values()) else None
    # Likewise an item without products is rather no mixed box where others show theirs.
    shows_products = any(item.is_mixed for item in live.values())
    ids = sorted(live, key=_in_number_order)
    fits = {key: [each for each in ids if _fits(line, live[each], box_types, unmarked)] for key, line in sent.items()}
    pairs: dict[str, str] = {}
    tied: set[str] = set()
    taken: set[str] = set()
    waiting = dict(sent)
    for rank in _RANKS:
        candidates = {
            key: [each for each in fits[key] if each not in taken and _rank(line, live[each], shows_products) == rank]
            for key, line in waiting.items()
        }
        found = _paired(candidates)
        pairs |= found.pairs
        tied |= found.tied
        taken = taken.union(*candidates.values())
        waiting = {key: line for key, line in waiting.items() if not candidates[key]}
    return Bound(pairs, frozenset(tied))


def _paired(candidates: Mapping[str, Sequence[str]]) -> Bound:
    """Pair within each group of lines and items that hang together, in order; all of a group or none of it."""
    bound: dict[str, str] = {}
    tied: set[str] = set()
    waiting = {key: set(ids) for key, ids in candidates.items() if ids}
    while waiting:
        keys, reach = _group(waiting)
        ids = sorted(reach, key=_in_number_order)
        in_order = [key for key in candidates if key in keys]
        pairs = list(zip(in_order, ids, strict=False))
        if len(in_order) in (1, len(ids)) and all(each in waiting[key] for key, each in pairs):
            bound.update(pairs)
            tied |= keys if len(ids) > 1 else set()
        for key in keys:
            del waiting[key]
    return Bound(bound, frozenset(tied))


def _group(candidates: Mapping[str, set[str]]) -> tuple[set[str], set[str]]:
    """The first line, all that share an item with it, directly or through others, and their items."""
    first = next(iter(candidates))
    keys, reach = {first}, set(candidates[first])
    while more := {key for key, ids in candidates.items() if key not in keys and ids & reach}:
        keys |= more
        reach = reach.union(*(candidates[key] for key in more))
    return keys, reach


def _fits(sent: Json, item: PrebookItem, box_types: Mapping[str, BoxType], unmarked: str | None) -> bool:
    box_type = box_types.get(sent["box_type"])
    box_names = {sent["box_type"].casefold(), box_type.box_type_id if box_type else None}
    mark_code = unmarked if item.mark_code is None else item.mark_code
    return (
        (not item.is_mixed or _each_has_its_own(sent["breakdown"], item.components, _is_packed))
        and item.boxes == sent["boxes"]
        and (item.box_type is None or item.box_type.casefold() in box_names)
        and item.bunches_per_box in (None, sent["bunches_per_box"])
        and item.stems_per_bunch in (None, sent["stems_per_bunch"])
        and item.unit_type in (None, sent["unit_type"])
        and (mark_code is None or mark_code.casefold() == sent["mark_code"].casefold())
    )


#: How well an item is named as a line was sent, best first.
_NAMED, _PRODUCTS_NAMED, _BOX_NAMED, _RENAMED = _RANKS = range(4)


def _rank(sent: Json, item: PrebookItem, shows_products: bool) -> int:
    is_named = _is_named(sent, item)
    if not item.is_mixed and not (sent["breakdown"] and shows_products):
        return _NAMED if is_named else _RENAMED
    if _each_has_its_own(sent["breakdown"], item.components, _is_packed_and_named):
        return _NAMED if is_named else _PRODUCTS_NAMED
    return _BOX_NAMED if is_named else _RENAMED


def _is_named(sent: Json, shown: PrebookItem | PrebookComponent) -> bool:
    name = " ".join((shown.product_description or "").split()).casefold()
    ours = (sent["product_description"], sent["product_code"])
    return bool(name) and name in (" ".join(each.split()).casefold() for each in ours)


def _is_packed(sent: Json, shown: PrebookComponent) -> bool:
    return shown.bunches in (None, sent["bunches"]) and shown.stems_per_bunch in (None, sent["stems_per_bunch"])


def _is_packed_and_named(sent: Json, shown: PrebookComponent) -> bool:
    return _is_packed(sent, shown) and _is_named(sent, shown)


def _each_has_its_own(
    parts: Sequence[Json], components: Sequence[PrebookComponent], agree: Callable[[Json, PrebookComponent], bool]
) -> bool:
    """Whether the products of two mixed boxes can be paired so that all pairs agree."""
    owners: dict[int, int] = {}

    def place(component: int, tried: set[int]) -> bool:
        for number, part in enumerate(parts):
            if number not in tried and agree(part, components[component]):
                tried.add(number)
                if number not in owners or place(owners[number], tried):
                    owners[number] = component
                    return True
        return False

    return len(parts) == len(components) and all(place(each, set()) for each in range(len(components)))


def _in_number_order(item_id: str) -> tuple[int, int, str]:
    is_number = item_id.isascii() and item_id.isdigit()
    return (0, int(item_id), "") if is_number else (1, 0, item_id)
