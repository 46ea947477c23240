"""What keeps a line from being made in Komet: a field that cannot be sent, a word that is not mapped, a day gone by."""

from dataclasses import replace

from models.canonical import Line
from models.states import HoldCode
from tasks.plan.facts import Hold, LineFacts
from tasks.plan.questions import THEIRS, Questions


def invalid(ask: Questions, line_key: str, wanted: Line) -> Hold | None:
    """The first field of the line that cannot be sent."""

    def hold(words: str) -> Hold:
        return replace(ask.hold(HoldCode.INVALID, f"Line {line_key}{words}"), line_key=line_key)

    counts = {
        "boxes": wanted.boxes,
        "bunches per box": wanted.bunches_per_box,
        "stems per bunch": wanted.stems_per_bunch,
    }
    for number, part in enumerate(wanted.breakdown, start=1):
        counts |= {
            f"bunches of component {number} ({part.article.code})": part.bunches,
            f"stems per bunch of component {number} ({part.article.code})": part.stems_per_bunch,
        }
    for name, value in counts.items():
        if value < 1:
            return hold(f": {name} is {value}, at least 1 is needed.")
    if wanted.breakdown and sum(part.bunches for part in wanted.breakdown) != wanted.bunches_per_box:
        total = sum(part.bunches for part in wanted.breakdown)
        return hold(f": its breakdown adds up to {total} bunches, bunches per box is {wanted.bunches_per_box}.")
    if wanted.unit_cost is None or wanted.unit_cost <= 0:
        words = " has no cost" if wanted.unit_cost is None else f": unit cost is {wanted.unit_cost}"
        return hold(f"{words}: Komet would not show us its item again. Give its cost in Axerrio.")
    return None


def unknown_packing(ask: Questions, line: LineFacts) -> Hold | None:
    """Komet lists no box type for its packing."""
    code = line.wanted.packing_code if line.wanted is not None else ""
    if not ask.s.reference_known or code not in ask.s.unknown_packings:
        return None
    hold = ask.hold(
        HoldCode.UNMAPPED_REFERENCE,
        f"Komet lists no box type for packing {code} (line {line.line_key}): add it in Komet, or map it in "
        f"[connection.packings] of {ask.s.connection}.",
    )
    return replace(hold, line_key=line.line_key)


def unmapped(ask: Questions) -> Hold | None:
    """Something that the order names is not mapped."""
    s = ask.s
    if s.customer_code is None:
        return ask.hold(
            HoldCode.UNMAPPED_REFERENCE,
            f"Buyer {s.wanted.buyer_code} ({s.wanted.buyer_name}) has no Komet customer: add it to "
            f"[connection.buyers] of {s.connection} in the connections file and start the worker again.",
        )
    if s.carrier_code is None:
        return ask.hold(
            HoldCode.INVALID,
            "The order names no carrier, and Komet takes no prebook without one: add it in Axerrio.",
        )
    if s.reference_known and not s.carrier_known:
        return ask.hold(
            HoldCode.UNMAPPED_REFERENCE,
            f"Komet lists no active carrier {s.carrier_code}: add it in Komet, or map the carrier "
            f"{s.wanted.carrier_code} in [connection.carriers] of {s.connection}.",
        )
    return None


def not_to_be_remade(ask: Questions, line: LineFacts, fact: str, words: str) -> Hold | None:
    """Why a line could not be made anew as it is wanted: then nothing of it is taken away for that.

    Args:
        ask: of the situation.
        line: of an order born in Axerrio.
        fact: for which it would be taken away.
        words: the same for people.
    """
    wanted = line.wanted
    if wanted is None or wanted.boxes < 1:  # a line of no boxes is only taken away
        return None
    if line.ship_date is not None and line.ship_date < ask.s.today:
        message = (
            f"Line {line.line_key}: {words}, and its day, {line.ship_date}, is over, so that nothing can be made anew. "
            "Theirs leaves Komet as it is."
        )
        return ask.conflict(line.line_key, fact, message, THEIRS)
    hold = invalid(ask, line.line_key, wanted) or unknown_packing(ask, line) or unmapped(ask)
    return replace(hold, line_key=line.line_key) if hold is not None else None
