"""What was sent of a line: what of it counts, and of which line or product an answer speaks."""

from typing import Any

from models.canonical import Json, Line
from tasks.plan.facts import Change, LineFacts, PrebookItemFacts, WriteFacts

#: Fields by which a product is named: Komet's word may be another one, and a mapping may change ours.
_NAMING = ("product_code", "product_description")


def material(sent: Json) -> Json:
    """What is sent of a line without the words for its products: the article says which product it is.

    A mixed box is the same whatever the order of its products.
    """
    parts = [{k: v for k, v in part.items() if k not in _NAMING} for part in sent.get("breakdown", ())]
    parts.sort(key=lambda part: str(sorted(part.items())))
    return {**{k: v for k, v in sent.items() if k not in _NAMING}, "breakdown": parts}


def naming(sent: Json) -> list[tuple[Any, ...]]:
    """The words for the products of a line, components included."""
    own, *parts = (tuple(part.get(name) for name in _NAMING) for part in (sent, *sent.get("breakdown", ())))
    return [own, *sorted(parts, key=str)]


def changes(sent: Json, wanted: Json) -> tuple[Change, ...]:
    """What of a line is not wanted any more as it was sent; other words for the same product are no change."""
    old, new = material(sent), material(wanted)
    return tuple(Change(name, old[name], value) for name, value in new.items() if name in old and old[name] != value)


def said_of(write: WriteFacts, line: LineFacts) -> Json | None:
    """What a write says of a line; None: nothing."""
    return write.sent.get(line.line_key)


def covers(write: WriteFacts, line: LineFacts, item: PrebookItemFacts) -> bool:
    """The purchase order create was made for this prebook item."""
    says = said_of(write, line)
    return says is None or says.get("prebook_item_id") in (None, item.item_id)


def deletes(write: WriteFacts, line: LineFacts, item_id: str) -> bool:
    """The deletion is of this item."""
    says = said_of(write, line)
    return says is not None and says.get("item_id") == item_id


def keys_named_in(refused: WriteFacts) -> list[str]:
    """Keys of the lines whose products a refusal names."""
    said = (refused.error or "").casefold()
    words = {key: [word for each in naming(says) for word in each if word] for key, says in refused.sent.items()}
    return [key for key, of_line in words.items() if any(word.casefold() in said for word in of_line)]


def article_named(says: Json | None, words: str) -> str | None:
    """Our article for the product that a refusal names: of a mixed box it may be one in it. The longest name counts."""
    said = words.casefold()
    named = (
        [
            (len(word), str(part["article"]))
            for part in (says, *says.get("breakdown", ()))
            for word in (part.get(name) for name in _NAMING)
            if word and word.casefold() in said
        ]
        if says
        else []
    )
    return max(named)[1] if named else None


def product_named(line: Line, words: str) -> str:
    """Komet's word for the product that a rejection names: of a mixed box it may be one in it."""
    products = (line.article, *(part.article for part in line.breakdown))
    said = words.casefold()
    named = (
        each for each in products if any(name and name.casefold() in said for name in (each.code, each.description))
    )
    return next(named, line.article).description


def speaks_of_the_article(code: str, message: str) -> bool:
    """A rejection is for a product that Axerrio does not know."""
    words = f"{code} {message}".casefold()
    return "article" in words or "product" in words
