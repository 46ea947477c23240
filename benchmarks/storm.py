"""The storm: everything breaks at once, for minutes; then it is quiet, and every order is judged from outside.

    python -m benchmarks.storm [--seed N] [--seconds S] [--orders N]

Exit code 1 where an order was doubled, lost, is linked on one side only, or is not at its end by itself; each such
order is printed with its history, its writes, and what stands of it in both systems.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from benchmarks.report import publish, table
from benchmarks.site import Site, running_site
from benchmarks.storm_trade import StormPeople, three_pairs
from benchmarks.storm_weather import SHARES, Weather
from models.states import OrderState, WriteState
from models.tables import Connection, Order, Write
from tests.processes.plant import Processes, bare_environment
from worker.demo.books import Books
from worker.demo.pairs import Pair, connections_file
from worker.demo.verdict import Expected, Verdict, judge
from worker.demo.world import World
from worker.desk import OrderFilter, find_order, find_orders
from worker.supervisor import axkomet_command

Json = dict[str, Any]

#: Komet's lists show a change so much later.
LAG_SECONDS = 3
#: Variables over those of all tests with processes. The grace outlives the lag, as the default of 60 s does a real one.
#: With a third of all calls unanswered, twelve attempts are soon used up, and an order that failed waits for a person.
SETTINGS = {
    "AXKOMET_POLL_SECONDS": "2",
    "AXKOMET_IN_DOUBT_GRACE_SECONDS": "6",
    "AXKOMET_RETRY_BASE_SECONDS": "0.1",
    "AXKOMET_RETRY_MAX_SECONDS": "2",
    "AXKOMET_MAX_ATTEMPTS": "1000",
}
#: What Komet's pages leave open, the companies play in different ways.
READINGS: dict[str, Json] = {
    "miami": {},
    "amsterdam": {"create_answers_bare": True, "deleted_items": "gone", "empty_order": "cancelled"},
    "dubai": {"repeated_delete": "refused", "deleted_order_items": "zero"},
}
#: Between two looks of the people at what stands in both systems.
_LOOK_SECONDS = 1.0
#: Everything must be at rest for so long, so that a late double could still show.
_SETTLE_SECONDS = 2.0 * LAG_SECONDS
#: Where an order ends that nobody has to do anything about.
_ENDS = (OrderState.SHIPPED, OrderState.CANCELLED)


@dataclass
class Storm:
    """What happened, and what stands at the end."""

    seed: int
    pairs: Sequence[Pair]
    people: StormPeople
    weather: Weather
    storm_seconds: float = 0.0
    #: From the end of the storm until all was at rest; None: it never was within the limit.
    rest_seconds: float | None = None
    #: Requests to both systems, by how they came out.
    outcomes: Counter[str] = field(default_factory=Counter)
    komet_requests: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    #: Orders of the ledger that are not where they end, as the desk shows them.
    unfinished: list[Json] = field(default_factory=list)
    #: Writes that are still open, by state.
    open_writes: int = 0
    #: What `axkomet status` complains of once all is at rest.
    problems: list[str] = field(default_factory=list)
    #: Process and exit code of each that ended by itself.
    deaths: list[tuple[str, int]] = field(default_factory=list)
    dump: Json = field(default_factory=dict)
    #: All that is known of each order in trouble.
    evidence: list[str] = field(default_factory=list)

    @property
    def doubled(self) -> dict[str, str]:
        """Order or record, and why."""
        return {f"{pair} {name}": why for pair, each in self.verdicts.items() for name, why in each.doubled.items()}

    @property
    def lost(self) -> dict[str, str]:
        """Those that did not get there whole."""
        return self._lost(one_sided=False)

    @property
    def one_sided(self) -> dict[str, str]:
        """Those that stand on both sides, and one side does not name the other's record."""
        return self._lost(one_sided=True)

    def _lost(self, *, one_sided: bool) -> dict[str, str]:
        return {
            f"{pair} {name}": why
            for pair, each in self.verdicts.items()
            for name, why in each.lost.items()
            if (name in each.one_sided) is one_sided
        }

    @property
    def holds(self) -> bool:
        """Nothing doubled, nothing lost, nothing one-sided, nothing stuck."""
        return not (self.doubled or self.lost or self.one_sided or self.unfinished or self.open_writes or self.problems)


def rage(
    site: Site,
    *,
    orders: int,
    seconds: float,
    seed: int,
    limit: float,
    make_processes: Callable[..., Processes] = Processes,
    make_weather: Callable[[Site, Processes, int], Weather] = Weather,
) -> Storm:
    """Let it storm, then be quiet, and judge what stands.

    Args:
        site: where.
        orders: of both kinds.
        seconds: of the storm.
        seed: decides what is traded, what is hit and what is killed.
        limit: seconds after the storm within which all must be at rest.
        make_processes: as `Processes`.
        make_weather: as `Weather`.
    """
    pairs = three_pairs()
    with contextlib.closing(World(site.addresses["komet"], site.addresses["axerrio"], pairs)) as world:
        world.seed(list_lag_seconds=LAG_SECONDS)
        for pair in pairs:
            world.in_komet(pair, "settings", **READINGS[pair.name])
        urls = world.komet_url, world.axerrio_url
        env = bare_environment(
            site.folder,
            connections_file(pairs, *urls, requests_per_second=1000, change_guard=0, allow_http=True),
            {name: token for pair in pairs for name, token in pair.tokens.items()},
            AXKOMET_DATABASE_URL=site.database_url,
            AXKOMET_REDIS_URL=site.redis_url,
        )
        processes = make_processes(site.folder, env | SETTINGS, workers=2, beats=2)
        try:
            processes.start_all()
            people = StormPeople(world, orders, seconds, seed)
            storm = Storm(seed, pairs, people, make_weather(site, processes, seed))
            world.order(storm.weather.faults)
            _blow(storm, world, processes, seconds)
            storm.weather.calm()
            world.order([])
            _settle(storm, world, processes, limit)
            _judge(storm, world, processes)
        finally:
            processes.stop()
    return storm


def _blow(storm: Storm, world: World, processes: Processes, seconds: float) -> None:
    began = time.monotonic()
    for now in _looks(storm, world, processes, began):
        storm.weather.blow()
        storm.storm_seconds = now
        if now >= seconds:
            return


def _looks(storm: Storm, world: World, processes: Processes, began: float) -> Iterator[float]:
    """Let processes and people go on; gives the seconds since the storm began, several times a second."""
    look_at = 0.0
    while True:
        now = time.monotonic() - began
        processes.look_after()
        if now >= look_at:
            look_at = now + _LOOK_SECONDS
            storm.outcomes.update(entry["outcome"] for entry in world.new_requests())
            storm.people.act(now, Books(world.dump()))
        yield now
        time.sleep(0.1)


def _settle(storm: Storm, world: World, processes: Processes, limit: float) -> None:
    """Wait until all is at rest, and stays so."""
    quiet_at = time.monotonic()
    rests_since: float | None = None
    for now in _looks(storm, world, processes, quiet_at - storm.storm_seconds):
        after = now - storm.storm_seconds
        at_rest = storm.people.is_over and not any(_unrest(processes))
        rests_since = (rests_since or after) if at_rest else None
        if rests_since is not None and after - rests_since >= _SETTLE_SECONDS:
            storm.rest_seconds = rests_since
            return
        if after >= limit:
            return


def _unrest(processes: Processes) -> tuple[int, int]:
    """Orders that are not at their end, and open writes."""
    with processes.sessions() as session:
        orders = select(func.count()).select_from(Order).where(Order.state.not_in(_ENDS))
        writes = select(func.count()).select_from(Write).where(Write.state.in_((WriteState.INTENDED, WriteState.SENT)))
        return session.scalar(orders) or 0, session.scalar(writes) or 0


def _judge(storm: Storm, world: World, processes: Processes) -> None:
    storm.dump = dump = world.dump()
    storm.komet_requests = sum(sum(company["requests"].values()) for company in dump["companies"])
    for pair in storm.pairs:
        expected = [each for each in storm.people.expected if each.company_code == pair.company_code]
        storm.verdicts[pair.name] = judge(_of(pair, dump), expected)
    with processes.sessions() as session:
        storm.unfinished = [each for each in find_orders(session, OrderFilter()) if each["state"] not in _ENDS]
        storm.evidence = list(_evidence(storm, session))
    _, storm.open_writes = _unrest(processes)
    storm.deaths = [death for death in processes.deaths if death[1] >= 0]
    status = axkomet_command("status", "--json")
    shown = subprocess.run(status, env=processes.env, cwd=processes.folder, capture_output=True, check=False)
    storm.problems = json.loads(shown.stdout)["problems"]


def _of(pair: Pair, dump: Json) -> Json:
    """The part of the books that belongs to one connection."""
    return {
        "companies": [each for each in dump["companies"] if each["company_code"] == pair.company_code],
        "tenants": [each for each in dump["tenants"] if each["tenant_id"] == pair.tenant],
    }


# -- what is said of it ------------------------------------------------------------------------------------------


def report(storm: Storm) -> str:
    """The figures, in Markdown."""
    counts, weather, outcomes = storm.people.counts, storm.weather.counts, storm.outcomes
    sales, prebooks = len(storm.people.sales), len(storm.people.prebooks)
    requests = outcomes.total()
    hit = Counter({kind: outcomes[kind] for kind in dict.fromkeys(kind for kind, *_ in SHARES)})
    lost = sum(hit[kind] for kind in ("lost_answer", "error_after", "html", "truncated"))
    held = Counter(each["state"] for each in storm.unfinished)
    rest = "never" if storm.rest_seconds is None else f"{storm.rest_seconds:.0f} s"
    shares = ", ".join(f"{share:.0%} {_WORDS[kind, seconds]}" for kind, share, seconds in SHARES)
    rows = [
        ("orders of Axerrio, prebooks of Komet", f"{sales}, {prebooks}"),
        ("changed, cancelled on their way", f"{counts['changed']}, {counts['cancelled']}"),
        ("with mixed boxes, with a label printed anew", f"{counts['mixed']}, {counts['reprinted']}"),
        ("shipments", str(counts["shipments"])),
        ("requests to both systems", f"{requests:,}"),
        ("answers lost after the work was done", f"{lost:,}"),
        *((f"requests hit by `{kind}`", f"{count:,}") for kind, count in hit.items()),
        *((name, str(count)) for name, count in sorted(weather.items())),
        ("the storm, and until all was at rest", f"{storm.storm_seconds:.0f} s, {rest}"),
        ("Komet requests for each order, polling every 2 s", f"{storm.komet_requests / (sales + prebooks):.1f}"),
        ("**doubled, lost, one-sided**", f"**{len(storm.doubled)}, {len(storm.lost)}, {len(storm.one_sided)}**"),
        ("**held, failed, otherwise not at their end**", f"**{held['held']}, {held['failed']}, {_others(held)}**"),
    ]
    return (
        f"Seed {storm.seed}. Of all answers of both systems: {shares}. Komet's lists show a change {LAG_SECONDS} s "
        "late. Two workers and two beats; every 2 s one of them, by the dice, gets `kill -9`. The guard against mass "
        "changes is off, and `AXKOMET_MAX_ATTEMPTS` is 1000: with a third of all calls unanswered for minutes, twelve "
        "attempts would be used up, and an order that failed waits for a person. Judged from what stands in the two "
        f"simulated systems at the end.\n\n{table(('', ''), rows)}"
    )


_WORDS = {
    ("lost_answer", 0): "lost",
    ("error_before", 0): "500 before the work",
    ("error_after", 0): "500 after it",
    ("html", 0): "an HTML page",
    ("truncated", 0): "cut in half",
    ("reset_before", 0): "the connection reset before the work",
    ("rate_limited", 0): "429",
    ("slow", 2.5): "later than the deadline",
    ("slow_before", 0.7): "the work itself 0.7 s late",
    ("slow", 0.7): "0.7 s late",
}


def _others(states: Counter[str]) -> int:
    return sum(count for state, count in states.items() if state not in (OrderState.HELD, OrderState.FAILED))


# -- what is shown of an order that is not as it should be -------------------------------------------------------


def troubles(storm: Storm) -> Iterator[str]:
    """What went wrong, in a line each."""
    for kind, found in (("doubled", storm.doubled), ("lost", storm.lost), ("one-sided", storm.one_sided)):
        yield from (f"{kind}: {name}: {why}" for name, why in found.items())
    for order in storm.unfinished:
        why = order["reason"]["message"] if order["reason"] else order["last_error"]
        yield f"{order['state']}: {order['connection']} {order['name']}: {why}"
    if storm.open_writes:
        yield f"{storm.open_writes} writes are still open"
    yield from (f"status: {problem}" for problem in storm.problems)


def _evidence(storm: Storm, session: Session) -> Iterator[str]:
    """Each order in trouble with its history, its writes and what stands of it in both systems."""
    ids = {order["id"]: f"{order['connection']} {order['name']}" for order in storm.unfinished}
    names = storm.doubled | storm.lost | storm.one_sided
    for expected in storm.people.expected:
        pair = next(each for each in storm.pairs if each.company_code == expected.company_code)
        name = f"{pair.name} {expected.name}"
        if name in names:
            row = session.scalar(
                select(Order)
                .join(Connection, Order.connection_id == Connection.id)
                .where(Connection.name == pair.name)
                .where(_is(expected))
            )
            if row is None:
                yield f"=== {name} ({names[name]}): the ledger does not know it"
            else:
                ids[row.id] = f"{name} ({names[name]})"
    for order_id, name in ids.items():
        shown = find_order(session, f"id:{order_id}") or {}
        yield f"=== {name}\n{json.dumps(shown | _bodies(session, order_id), indent=1, default=str)}"
        pair = next(each for each in storm.pairs if each.name == shown["connection"])
        yield f"--- outside\n{json.dumps(_outside(storm, pair, shown), indent=1)}"


def _is(expected: Expected) -> ColumnElement[bool]:
    if expected.origin == "axerrio":
        return and_(Order.origin == "axerrio", Order.axerrio_key == expected.key)
    return Order.external_id == f"komet-{expected.company_code}-{expected.key}"


def _bodies(session: Session, order_id: int) -> Json:
    """Its writes with what was sent and what came back."""
    writes = session.scalars(select(Write).where(Write.order_id == order_id).order_by(Write.id))
    columns = [column.key for column in Write.__table__.columns]
    return {"writes": [{name: str(getattr(each, name)) for name in columns} for each in writes]}


def _outside(storm: Storm, pair: Pair, shown: Json) -> Json:
    """What stands of an order in both systems."""
    part = _of(pair, storm.dump)
    (company,), (tenant,) = part["companies"], part["tenants"]
    number, key = shown["axerrio"]["number"], shown["axerrio"]["key"]
    ids = {each["id"] for each in shown["komet"]["prebooks"]}
    prebooks = [
        each for each in company["prebooks"] if str(each["id"]) in ids or f"Axerrio {number} [AX:" in each["comments"]
    ]
    items = {item["id"] for prebook in prebooks for item in prebook["items"]}
    return {
        "prebooks": prebooks,
        "purchase_orders": [
            each
            for each in company["purchase_orders"]
            if any(item["prebook_item_id"] in items for item in each["items"])
        ],
        "orders": [each for each in tenant["orders"] if each["key"] == key],
        "shipments": [
            each for each in tenant["shipments"] if any(line["salesOrderKey"] == key for line in each["lines"])
        ],
    }


def main(arguments: Sequence[str]) -> int:
    """Run it, print and publish what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--limit", type=float, default=900)
    asked = parser.parse_args(arguments)
    with running_site() as site:
        storm = rage(site, orders=asked.orders, seconds=asked.seconds, seed=asked.seed, limit=asked.limit)
    if not storm.holds:
        print("\n".join([*storm.evidence, *troubles(storm)]))
    if arguments:  # a part, or another seed
        print(report(storm))
    else:
        publish("reliability.md", "storm", "make storm", report(storm))
    return 0 if storm.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
