"""What Komet's lists say, as canonical records: pure functions, no network."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clients.komet.mark import read_mark
from clients.komet.profile import KometProfile
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
    BoxType,
    Carrier,
    Prebook,
    PrebookComponent,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    UnitType,
)

T = TypeVar("T")


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
        items=tuple(sorted(items, key=lambda item: in_number_order(item.item_id))),
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
    return in_number_order(part.product_id or ""), part.model_dump_json()


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


def in_number_order(item_id: str) -> tuple[int, int, str]:
    """To sort ids by: as numbers where they are, others after them."""
    is_number = item_id.isascii() and item_id.isdigit()
    return (0, int(item_id), "") if is_number else (1, 0, item_id)
