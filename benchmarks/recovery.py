"""How long it takes to recover: from the moment that something is back to the next effect of each order under way.

    python -m benchmarks.recovery [--repetitions N] [--only NAME]

Exit code 1 where an order took longer than the interval that bounds it.
"""

import argparse
import itertools
import statistics
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from redis import Redis
from sqlalchemy import select

from benchmarks.report import publish, table
from benchmarks.site import Site, running_site
from models.states import WriteState
from models.tables import Connection, Order, Write
from tasks.runtime import Timing
from tests.processes.plant import Plant
from tests.world import World

#: A twelfth of the usual poll, a fifth of the usual sweep, a quarter of the usual deadline of a call.
TIMING = Timing(poll=5, sweep=1, http_timeout=5, grace=10)
SETTINGS = {
    "AXKOMET_POLL_SECONDS": f"{TIMING.poll:g}",
    "AXKOMET_SWEEP_SECONDS": f"{TIMING.sweep:g}",
    "AXKOMET_HTTP_TIMEOUT_SECONDS": f"{TIMING.http_timeout:g}",
    "AXKOMET_IN_DOUBT_GRACE_SECONDS": f"{TIMING.grace:g}",
    "AXKOMET_RETRY_BASE_SECONDS": f"{TIMING.retry_base:g}",
    "AXKOMET_RETRY_MAX_SECONDS": f"{TIMING.retry_max:g}",
}
#: Orders under way whenever something breaks.
_ORDERS = 10
#: Calls in the air when the worker is killed.
_CALLS = 3
#: Komet takes so long to answer a create, so that calls are in the air when something breaks.
_ANSWER_SECONDS = 1.0
_AWAY_SECONDS = 60.0
#: A process starts within so many seconds, and the calls of ten orders and the reads before them are over in as many.
_STARTS, _WORKS = 4.0, 5.0
_LIMIT = 240.0
_WORLDS = itertools.count(1)

#: Breaks something and mends it; gives when it was mended, and of which orders the next effect counts (None: all).
Disturb = Callable[["Bench"], tuple[datetime, Collection[int] | None]]


@dataclass
class Bench:
    """One worker and one beat at work for one world, with orders on their way."""

    site: Site
    world: World
    plant: Plant

    def orders(self) -> set[int]:
        """Ids of all orders of this world."""
        with self.plant.sessions() as session:
            of_world = select(Order.id).join(Connection, Order.connection_id == Connection.id)
            return set(session.scalars(of_world.where(Connection.name == self.world.name)))

    def in_the_air(self) -> set[int]:
        """Ids of the orders whose call is in the air just now."""
        sent = select(Write.order_id).where(Write.state == WriteState.SENT)
        with self.plant.sessions() as session:
            return self.orders() & set(session.scalars(sent))

    def next_effects(self, since: datetime) -> dict[int, datetime]:
        """By order: when its first write after that moment was done."""
        done = select(Write.order_id, Write.settled_at).where(
            Write.state == WriteState.DONE, Write.settled_at > since, Write.order_id.in_(self.orders())
        )
        with self.plant.sessions() as session:
            found: dict[int, datetime] = {}
            for order_id, moment in session.execute(done.order_by(Write.settled_at)):
                if moment is not None:
                    found.setdefault(order_id, moment)
            return found


@dataclass
class Case:
    """Something that breaks."""

    name: str
    words: str
    #: What bounds the recovery, in words, and how long that is.
    bounded_by: str
    bound: float
    disturb: Disturb
    #: Seconds of each order of each repetition.
    seconds: list[float] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Every order was within the bound."""
        return bool(self.seconds) and max(self.seconds) <= self.bound


def nothing(_bench: Bench) -> tuple[datetime, None]:
    """For comparison."""
    return datetime.now(UTC), None


def kill_in_the_air(bench: Bench) -> tuple[datetime, Collection[int]]:
    """The orders whose call was in the air."""
    _await_calls(bench)
    return _kill(bench), bench.in_the_air()


def kill_others(bench: Bench) -> tuple[datetime, Collection[int]]:
    """The orders whose call was not in the air."""
    _await_calls(bench)
    return _kill(bench), bench.orders() - bench.in_the_air()


def _await_calls(bench: Bench) -> None:
    bench.plant.wait_until(lambda: len(bench.in_the_air()) >= _CALLS, _LIMIT, "calls in the air")


def _kill(bench: Bench) -> datetime:
    child = bench.plant.children["worker-0"]
    child.process.kill()
    child.process.wait()
    return datetime.now(UTC)


def empty_broker(bench: Bench) -> tuple[datetime, None]:
    """Redis is killed, and comes back empty."""
    bench.site.valkey.kill()
    bench.plant.work(2)
    bench.site.valkey.start()
    with Redis.from_url(bench.site.redis_url) as client:
        client.flushall()
    return datetime.now(UTC), None


def stop_database(bench: Bench) -> tuple[datetime, None]:
    """PostgreSQL breaks all connections and is away for a moment."""
    bench.site.postgres.stop_immediately()
    bench.plant.work(2)
    bench.site.postgres.start()
    return datetime.now(UTC), None


def away(system: str) -> Disturb:
    """A system answers nothing for a minute."""

    def disturb(bench: Bench) -> tuple[datetime, None]:
        bench.world.fault("reset_before", "*", system=system)
        bench.plant.work(_AWAY_SECONDS)
        _answer_slowly(bench.world)
        return datetime.now(UTC), None

    return disturb


def _answer_slowly(world: World) -> None:
    """In place of whatever was ordered before."""
    world.fault("slow", "prebook.create", seconds=_ANSWER_SECONDS)


def cases() -> list[Case]:
    """All that is measured."""
    lease, sweep, poll = TIMING.order_lease, TIMING.sweep, TIMING.poll
    probe = max(poll, _AWAY_SECONDS / 4)
    proof = TIMING.http_timeout + TIMING.grace
    return [
        Case("nothing", "nothing breaks", f"poll {poll:g} s", poll + _WORKS, nothing),
        Case(
            "kill",
            "`kill -9` of the worker, orders whose call was in the air",
            f"lease {lease:g} s, sweep {sweep:g} s; what never arrived: deadline and grace {proof:g} s, two looks",
            max(lease, proof + 2 * poll) + sweep + _WORKS,
            kill_in_the_air,
        ),
        Case(
            "kill-others",
            "`kill -9` of the worker, all other orders",
            f"lease {lease:g} s or a lost message {TIMING.hint:g} s, sweep {sweep:g} s, poll {poll:g} s",
            max(lease, TIMING.hint + _STARTS) + sweep + poll + _WORKS,
            kill_others,
        ),
        Case(
            "redis",
            "Redis was killed and is back empty",
            f"reconnect, sweep {sweep:g} s, poll {poll:g} s",
            _STARTS + sweep + poll + _WORKS,
            empty_broker,
        ),
        Case(
            "postgres",
            "PostgreSQL was stopped immediately and is back",
            f"lease {lease:g} s, sweep {sweep:g} s",
            lease + sweep + _WORKS,
            stop_database,
        ),
        *(
            Case(
                system,
                f"{system.capitalize()} was away for {_AWAY_SECONDS:g} s and is back",
                f"probe {probe:g} s, poll {poll:g} s",
                probe + poll + _WORKS,
                away(system),
            )
            for system in ("komet", "axerrio")
        ),
    ]


def measure(site: Site, case: Case) -> None:
    """One repetition of a case, in a world and with processes of its own."""
    world = site.world(f"{case.name}-{next(_WORLDS)}")
    plant = Plant(Path(mkdtemp(dir=site.folder)), world, site.database_url, site.redis_url, settings=SETTINGS)
    try:
        plant.start_all()
        plant.earn_proof()
        bench = Bench(site, world, plant)
        _answer_slowly(world)
        keys = [world.place() for _ in range(_ORDERS)]
        plant.wait_until(lambda: len(bench.orders()) > _ORDERS, _LIMIT, "the orders")
        _await_calls(bench)
        back_at, counted = case.disturb(bench)
        plant.wait_for_state("ordered", keys, _LIMIT)
        effects = bench.next_effects(back_at)
        chosen = effects.keys() if counted is None else effects.keys() & set(counted)
        case.seconds += [(effects[order_id] - back_at).total_seconds() for order_id in chosen]
    finally:
        plant.stop()


def report(measured: Sequence[Case], repetitions: int) -> str:
    """The figures, in Markdown."""
    rows = [
        (
            case.words,
            len(case.seconds),
            f"{statistics.median(case.seconds):.1f} s",
            f"{max(case.seconds):.1f} s",
            case.bounded_by,
            f"{case.bound:.0f} s",
        )
        for case in measured
        if case.seconds
    ]
    head = ("", "orders", "median", "worst", "bounded by", f"bound, with {_WORKS:g} s for the work")
    return (
        "From the moment that the thing is back (of a kill: from the kill) to the next effect of each order under way, "
        f"in {repetitions} repetitions with {_ORDERS} orders each. One worker, one beat; poll {TIMING.poll:g} s, sweep "
        f"{TIMING.sweep:g} s, a call may take {TIMING.http_timeout:g} s, so that a lease is {TIMING.order_lease:g} s. "
        f"Komet answers a create after {_ANSWER_SECONDS:g} s. With the usual settings the same bounds are a poll of "
        f"60 s, a sweep of 5 s and a lease of {Timing().order_lease:g} s.\n\n{table(head, rows)}"
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--only", choices=[case.name for case in cases()])
    asked = parser.parse_args(arguments)
    measured = [case for case in cases() if asked.only in (None, case.name)]
    with running_site() as site:
        for case in measured:
            for _ in range(asked.repetitions):
                measure(site, case)
            print(f"{case.words}: {', '.join(f'{each:.1f}' for each in sorted(case.seconds))} s", file=sys.stderr)
    if arguments:  # a part
        print(report(measured, asked.repetitions))
    else:
        publish("reliability.md", "recovery", "make recovery", report(measured, asked.repetitions))
    late = [case for case in measured if not case.holds]
    for case in late:
        print(f"{case.words}: later than {case.bound:.0f} s, or not at all", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
