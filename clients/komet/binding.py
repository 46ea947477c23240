"""Whose item is it? The items of a prebook that was sent show neither line keys nor our product codes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clients.komet.answers import in_number_order
from models.canonical import BoxType, Json, PrebookComponent, PrebookItem


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
    ids = sorted(live, key=in_number_order)
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
        ids = sorted(reach, key=in_number_order)
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
