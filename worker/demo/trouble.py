"""The trouble that the demo orders from the sandbox: answers that get lost, and calls that never arrive."""

from collections.abc import Iterable
from itertools import product

from models.canonical import Json
from worker.demo.pairs import Pair

CREATES = ("prebook.create", "purchase.order.create")
#: Komet's time for a create, so that calls are under way when the worker is killed.
ANSWER_SECONDS = 0.3
#: How a request comes out whose work was done and whose answer nobody gets.
LOST = ("lost_answer", "error_after", "html", "truncated")
#: How one comes out that breaks before any work.
CUT_OFF = ("reset_before", "error_before")
#: Share of Komet's answers to creates that are lost.
_LOST_SHARE = 0.2
#: Of the dice that decide it: with so few throws, one whose luck is about that share.
_SEED = 2

#: Further calls of either connection that go wrong: system, method, how, and after how many good ones. The first of
#: each kind of create is answered: what was acknowledged and then seen makes absence proof.
_ONCE = (
    ("komet", "prebook.create", "reset_before", 5),
    ("komet", "purchase.order.create", "error_before", 4),
    ("komet", "purchase.order.mixed.create", "html", 1),
    ("komet", "prebook.item.delete", "lost_answer", 0),
    ("komet", "purchase.order.item.delete", "lost_answer", 0),
    ("komet", "purchase.order.items.awb.add", "truncated", 1),
    ("komet", "box.code.change", "lost_answer", 0),
    ("komet", "prebook.details.list", "error_before", 3),
    ("axerrio", "PUT inbound-orders", "lost_answer", 1),
    ("axerrio", "PUT external-references", "lost_answer", 3),
    ("axerrio", "PUT procurement-status", "error_before", 2),
    ("axerrio", "GET /sales-orders/sync", "error_before", 6),
)


def faults(pairs: Iterable[Pair]) -> list[Json]:
    """The faults of the day, as the sandbox takes them: the first that strikes wins."""
    pairs = tuple(pairs)
    once = [
        {"system": system, "method": method, "kind": kind, "token": _token(pair, system), "skip": skip, "times": 1}
        for pair, (system, method, kind, skip) in product(pairs, _ONCE)
    ]
    lost = [
        {
            "system": "komet",
            "method": method,
            "kind": "lost_answer",
            "token": pair.komet_token,
            "skip": 1,
            "probability": _LOST_SHARE,
            "seed": seed,
        }
        for seed, (pair, method) in enumerate(product(pairs, CREATES), start=_SEED)
    ]
    slow = [{"system": "komet", "method": each, "kind": "slow", "seconds": ANSWER_SECONDS} for each in CREATES]
    return [*once, *lost, *slow]


def _token(pair: Pair, system: str) -> str:
    return pair.komet_token if system == "komet" else pair.axerrio_token
