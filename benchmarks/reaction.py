"""Reaction: how long from a change in one system to its effect in the other, while there is little else to do.

    python -m benchmarks.reaction [--poll SECONDS] [--rounds N] [--latency MILLISECONDS]

Some connections trade side by side, each one change at a time: an order is confirmed in Axerrio, one of its lines gets
other boxes, procurement approves it, its labels leave with an air waybill, and a Komet user sells a prebook. Changes of
one kind come at moments that are spread evenly from one poll that shows them to the next, since of a few random ones
half would say more of the dice than of the worker. The effect of each is a call: it is there when the sandbox has
answered it. Exit code 1 where half of the effects of one kind take longer than half a poll, or 95 % of them longer than
a poll, each plus one second and the time that the answers took on the way.
"""

import argparse
import random
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.report import percentile, publish, table
from benchmarks.throughput import slow_down
from benchmarks.town import DEFAULTS, town
from tests.world import World

#: Of a poll.
_SWEEPS = 5 / 60
#: Connections, and those among them whose prebooks are sold in Komet.
_CONNECTIONS, _IN_KOMET = 8, 2
_LONGEST_POLLS = 12.0
_ALLOWED_SECONDS = 1.0


@dataclass(frozen=True)
class Effect:
    """A change, and the call in which its effect comes."""

    change: str
    effect: str
    #: Of the sandbox.
    method: str
    #: Calls that are answered one after the other on the way, the one that shows the change among them.
    calls: int
    #: The poll that shows the change.
    poll: str = "GET /sales-orders/sync"


PREBOOK = Effect("order confirmed in Axerrio", "prebook in Komet", "prebook.create", 2)
ORDERED = Effect("order confirmed in Axerrio", "purchase order in Komet", "purchase.order.create", 4)
LINKED = Effect("order confirmed in Axerrio", "all links in Axerrio", "PUT external-references", 6)
CHANGED = Effect("line changed in Axerrio", "new purchase order item in Komet", "purchase.order.create", 8)
APPROVED = Effect(
    "purchase order approved in Komet", "approval in Axerrio", "PUT procurement-status", 2, "purchase.order.list"
)
SHIPPED = Effect(
    "labels left in Axerrio", "air waybill in Komet", "purchase.order.items.awb.add", 4, "GET /shipments/sync"
)
SOLD = Effect("prebook sold in Komet", "order in Axerrio", "PUT inbound-orders", 2, "prebook.details.list")
EFFECTS = (PREBOOK, ORDERED, LINKED, CHANGED, APPROVED, SHIPPED, SOLD)


@dataclass
class Measured:
    """Seconds from change to effect."""

    poll: float
    #: Seconds that an answer takes.
    latency: float
    seconds: dict[Effect, list[float]] = field(default_factory=lambda: {each: [] for each in EFFECTS})

    @property
    def apart(self) -> float:
        """Seconds from poll to poll on the average: due one and a half sweeps early, found half a sweep late."""
        return self.poll * (1 - _SWEEPS)

    def bar(self, effect: Effect, polls: float) -> float:
        """Seconds that it may take, of so many polls."""
        return polls * self.poll + _ALLOWED_SECONDS + effect.calls * self.latency

    def row(self, effect: Effect) -> tuple[list[object], bool]:
        """Its row of the table, and whether both bars hold."""
        half, most = percentile(self.seconds[effect], 50), percentile(self.seconds[effect], 95)
        bars = self.bar(effect, 0.5), self.bar(effect, 1)
        holds = half <= bars[0] and most <= bars[1]
        shown = (f"{value:.1f} s ({value / self.poll:.2f})" for value in (half, bars[0], most, bars[1]))
        return [effect.change, effect.effect, len(self.seconds[effect]), *shown, "yes" if holds else "no"], holds


class Watched:
    """A world, and the calls that reach it."""

    def __init__(self, world: World, longest: float) -> None:
        """`longest`: seconds after which a call does not come any more."""
        self.world = world
        self._longest = longest
        self._url = f"{world.addresses['control']}/requests"
        self._tokens = {token[-4:] for token in (world.komet_token, world.axerrio_token)}
        self._last = 0
        self.forget()

    def forget(self) -> None:
        """What came up to now is the effect of nothing that comes."""
        self._read()

    def wait_for(self, method: str) -> float:
        """When the next such call was answered, as a Unix time.

        Raises:
            AssertionError: it did not come.
        """
        deadline = time.monotonic() + self._longest
        while time.monotonic() < deadline:
            for entry in self._read():
                if entry["method"] == method and entry["token_last4"] in self._tokens:
                    self._last = int(str(entry["n"]))  # what came after it may be the next that is waited for
                    began = datetime.fromisoformat(str(entry["at"])).timestamp()
                    return began + float(str(entry["duration_ms"])) / 1000
            time.sleep(0.25)
        raise AssertionError(f"{self.world.name}: no {method} within {self._longest:g} s")

    def wait_for_links(self, key: str, boxes: int) -> float:
        """When Axerrio had the purchase order item of each line, so many boxes of the first; as a Unix time.

        Raises:
            AssertionError: they did not come.
        """
        while True:
            answered = self.wait_for(LINKED.method)
            orders = self.world.company["purchase_orders"]
            bought = {str(item["id"]): item["boxes"] for order in orders for item in order["items"]}
            lines = self.world.axerrio_order(key)["external_references"]["lines"]
            found = [bought.get(line["purchaseOrderItemId"]) for line in lines]
            if all(found) and found[0] == boxes:
                return answered

    def _read(self) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = self.world.http.get(self._url, params={"since": self._last}).json()
        if found:
            self._last = int(str(found[-1]["n"]))
        return found


def trade(watched: Watched, moments: Sequence[float], measured: Measured) -> None:
    """Let orders of Axerrio go their whole way, one after the other; each change at such a part of a poll."""
    world = watched.world
    for n, moment in enumerate(moments):
        began = _begin(watched, measured, PREBOOK, moment)
        key = world.place()
        for effect in (PREBOOK, ORDERED):
            measured.seconds[effect].append(watched.wait_for(effect.method) - began)
        linked = watched.wait_for_links(key, 4)
        measured.seconds[LINKED].append(linked - began)
        began = _begin(watched, measured, CHANGED, moment)
        world.place(key=key, lines=[world.line("1", boxes=5), world.line("2", boxes=2)])
        measured.seconds[CHANGED].append(watched.wait_for(CHANGED.method) - began)
        watched.wait_for_links(key, 5)
        began = _begin(watched, measured, APPROVED, moment)
        world.approve()
        measured.seconds[APPROVED].append(watched.wait_for(APPROVED.method) - began)
        time.sleep(measured.poll)  # the labels were printed by the approval, and are read by now
        began = _begin(watched, measured, SHIPPED, moment)
        world.in_axerrio("ship", order_keys=[key], awb=f"729-{n:08}")
        measured.seconds[SHIPPED].append(watched.wait_for(SHIPPED.method) - began)


def sell(watched: Watched, moments: Sequence[float], measured: Measured) -> None:
    """Sell prebooks in Komet, one after the other; each at such a part of a poll."""
    for moment in moments:
        began = _begin(watched, measured, SOLD, moment)
        watched.world.sell_in_komet()
        measured.seconds[SOLD].append(watched.wait_for(SOLD.method) - began)


def _begin(watched: Watched, measured: Measured, effect: Effect, moment: float) -> float:
    """Wait for such a part of the time from one poll that would show a change to the next; gives the Unix time then."""
    watched.forget()
    watched.wait_for(effect.poll)
    time.sleep(measured.apart * moment)
    watched.forget()
    return time.time()


def _moments(count: int, sellers: int) -> list[list[float]]:
    """Spread evenly over a poll, in no order: as many for each seller."""
    spread = [(n + 0.5) / count for n in range(count)]
    random.Random(count).shuffle(spread)
    return [spread[n::sellers] for n in range(sellers)]


def run(poll: float, rounds: int, latency: float) -> Measured:
    """Trade on all connections side by side, on some of them in Komet."""
    measured = Measured(poll, latency)
    times = {"AXKOMET_POLL_SECONDS": str(poll), "AXKOMET_SWEEP_SECONDS": str(poll * _SWEEPS)}
    with town(_CONNECTIONS, 1, DEFAULTS | times) as made:
        slow_down(made.worlds[0], latency)
        for world in made.worlds:
            world.in_axerrio("tenant-settings", print_labels=True)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            watched = [Watched(world, _LONGEST_POLLS * poll) for world in made.worlds]
            sellers = watched[:_IN_KOMET]
            traders = watched[_IN_KOMET:]
            ends = [
                pool.submit(job, each, moments, measured)
                for job, those, changes in ((sell, sellers, 4 * rounds), (trade, traders, rounds))
                for each, moments in zip(those, _moments(changes * len(those), len(those)), strict=True)
            ]
            made.processes.wait_until(lambda: all(each.done() for each in ends), 3600)
            for each in ends:
                each.result()
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reaction")
    parser.add_argument("--poll", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--latency", type=int, default=50, help="milliseconds an answer takes")
    given = parser.parse_args(arguments)
    measured = run(given.poll, given.rounds, given.latency / 1000)
    rows = [measured.row(effect) for effect in EFFECTS]
    head = ["change", "effect", "changes", "p50", "bar", "p95", "bar", "holds"]
    words = (
        f"{_CONNECTIONS} connections with one change at a time each, one worker, polls {given.poll:g} s and sweeps "
        f"{given.poll * _SWEEPS:.1f} s apart, which are to each other as they are by default, answers after "
        f"{given.latency} ms. In brackets: of a poll. The bars are half a poll and a whole one, each plus "
        f"{_ALLOWED_SECONDS:g} s and the answers on the way."
    )
    publish("performance.md", "reaction", "make reaction", f"{words}\n\n{table(head, [row for row, _ in rows])}")
    return int(not all(holds for _, holds in rows))


if __name__ == "__main__":
    sys.exit(main())
