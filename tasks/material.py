"""What counts of Komet's items, and what a person changed of it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from models.canonical import Json
from models.tables import Prebook, PrebookItem
from tasks.plan.facts import Change

#: What a person may change on an item that is ours, beside its boxes.
MATERIAL_OF_ITEM = (
    "product_id",
    "box_type",
    "bunches_per_box",
    "stems_per_bunch",
    "unit_type",
    "mark_code",
    "cost",
    "ship_date",
)
MATERIAL_OF_PREBOOK = ("customer_code", "carrier_id", "truck_date")
MATERIAL_OF_ORDER_ITEM = ("product_id", "box_type", "bunches_per_box", "stems_per_bunch", "cost", "ship_date")


class Place(NamedTuple):
    """The prebook in which Komet showed an item last."""

    prebook_id: str
    number: str | None
    truck_date: date


def place_of(item: PrebookItem, prebook: Prebook) -> Place:
    """Where an item stands: in the prebook that it is known in, unless a person moved it to another."""
    moved_to = (item.content or {}).get("moved_to")
    if moved_to is None:
        return Place(prebook.prebook_id, prebook.number, prebook.truck_date)
    return Place(moved_to["prebook_id"], moved_to["number"], date.fromisoformat(moved_to["truck_date"]))


def differences(before: Json | None, after: Json | None, fields: Sequence[str]) -> tuple[Change, ...]:
    """What of these fields is not as it was first seen. A field that one side does not show tells nothing."""
    if before is None or after is None:
        return ()
    pairs = [(name, before.get(name), after.get(name)) for name in fields]
    return tuple(Change(name, old, new) for name, old, new in pairs if old and new and not _equal(name, old, new))


def changes_of(item: PrebookItem) -> tuple[Change, ...]:
    """What a person changed of a prebook item since it was first seen.

    Where Komet chose the day itself, it may move the item to the day of our purchase order: that is nobody's change.
    """
    sent_for = (item.sent or {}).get("departure_date")
    found = differences(item.baseline, item.content, MATERIAL_OF_ITEM)
    return tuple(each for each in found if not (each.field == "ship_date" and each.after == sent_for))


def material_of(content: Json | None) -> Json:
    """What counts of a prebook item as Komet shows it, beside its boxes."""
    if content is None:
        return {}
    parts = [[each["product_id"], each["bunches"], each["stems_per_bunch"]] for each in content["components"]]
    return {name: content.get(name) for name in MATERIAL_OF_ITEM} | {"components": parts}


def _equal(name: str, old: object, new: object) -> bool:
    return old == new or (name == "cost" and Decimal(str(old)) == Decimal(str(new)))
