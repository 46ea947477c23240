"""Throughput: orders a second of the worker, of a bare `httpx` loop, and of a plain Celery version of the same job.

    python -m benchmarks.throughput [--orders N] [--latency MILLISECONDS…]

Some connections sell at once, and every answer of both systems takes its time. Measured is the time from the sale
until all orders stand in both systems, linked: a prebook with its items, a purchase order that covers them, and all
their ids in Axerrio. Each of the three has a PostgreSQL, Valkey and sandbox of its own, and is judged by what stands
in the sandbox at the end. The bare loop (`benchmarks.bare`) has as many connections as the workers together have
threads, since a thread has one call in the air at most; the plain version (`benchmarks.plain_celery`) runs as Celery's
defaults have it. The worker has its defaults too, and the pace limit of nobody binds. That the feeds are due is said
at the sale, as `axkomet poll` does, so that what is measured is no wait for the next poll.

Exit code 1 where the worker is slower than half the bare loop, or than three times the plain version.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from celery import Celery

from benchmarks.bare import Pair
from benchmarks.cost import children_of, spent_by
from benchmarks.plain_celery import BROKER, PAIRS, read_orders
from benchmarks.report import publish, table
from benchmarks.site import Site, running_site
from benchmarks.town import DEFAULTS, sell, town
from models.states import OrderState
from tests.world import World

_SELLING = 8
#: Workers, and threads of each: few calls at once, the default, and twice that.
_SIZES = ((1, 4), (1, 16), (2, 16))
_PACE = 1000.0
#: The defaults, except that the sweep, by which the sale is noticed, comes at once.
SETTINGS = DEFAULTS | {"AXKOMET_SWEEP_SECONDS": "1"}
_LONGEST_SECONDS = 900.0
#: As in the table.
_KINDS = ("worker", "loop", "PostgreSQL", "Valkey", "beat", "sandbox")
_LEAST_OF_BARE, _LEAST_OF_PLAIN = 0.5, 3.0


@dataclass
class Run:
    """What one of them took for its orders."""

    orders: int
    seconds: float
    #: Requests that reached both systems, by method.
    calls: Counter[str]
    #: Processor seconds, by kind of process.
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Orders a second."""
        return self.orders / self.seconds


def run_worker(workers: int, threads: int, orders: int, latency: float) -> Run:
    """The project's own workers, with so many threads each."""
    with town(_SELLING, workers, SETTINGS | {"AXKOMET_CONCURRENCY": str(threads)}, _PACE) as made:
        slow_down(made.worlds[0], latency)

        def job() -> None:
            made.poll()
            made.processes.wait_until(
                lambda: made.count(OrderState.ORDERED) == orders,
                _LONGEST_SECONDS,
                lambda: f"{orders} orders, not {made.count(OrderState.ORDERED)},",
            )

        found = _measured(made.site, made.worlds, orders, made.cpu, job)
        if made.processes.deaths:
            raise RuntimeError(f"died: {made.processes.deaths}")
        return found


def run_bare(connections: int, orders: int, latency: float) -> Run:
    """The bare loop."""
    with _shops(latency) as (site, worlds):
        command = [sys.executable, "-m", "benchmarks.bare"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            print(json.dumps({"connections": connections, "pairs": _pairs(worlds)}), file=process.stdin, flush=True)
            process.stdout.readline()

            def job() -> None:
                print(file=process.stdin, flush=True)
                # Not waited for by the system: of what is gone nobody can tell the processor time.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

            return _measured(site, worlds, orders, lambda: {"loop": spent_by(process.pid)}, job)


def run_plain(orders: int, latency: float) -> Run:
    """The plain Celery version."""
    with _shops(latency) as (site, worlds):
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "celery",
            "-A",
            "benchmarks.plain_celery",
            "worker",
            "--loglevel=ERROR",
        ]
        env = os.environ | {BROKER: site.redis_url, PAIRS: json.dumps(_pairs(worlds))}
        with (
            Celery(broker=site.redis_url) as client,
            subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process,
        ):
            try:
                _until(lambda: bool(client.control.ping(timeout=1)), "the plain worker")

                def cpu() -> dict[str, float]:
                    return {"worker": spent_by(process.pid), "Valkey": spent_by(site.valkey.pid)}

                def job() -> None:
                    for pair in range(_SELLING):
                        client.send_task(read_orders.name, (pair,))
                    log = _Log(site)
                    _until(lambda: log.more().count("PUT external-references") >= orders, "the last order")

                return _measured(site, worlds, orders, cpu, job)
            finally:
                process.terminate()


def slow_down(world: World, seconds: float) -> None:
    """Let every answer of both systems take so long, of however many at once."""
    systems = ("komet", "axerrio")
    faults = [{"system": system, "method": "*", "kind": "slow", "seconds": seconds} for system in systems]
    world.control("faults", faults=faults)


class _Log:
    """The methods of the requests to both systems since this was made."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._methods: list[str] = []
        self._last = 0
        self.more()
        self._methods.clear()

    def more(self) -> list[str]:
        """All of them up to now."""
        url = f"{self._site.addresses['control']}/requests"
        for entry in self._site.http.get(url, params={"since": self._last}).json():
            self._methods.append(entry["method"])
            self._last = entry["n"]
        return self._methods


@contextmanager
def _shops(latency: float) -> Iterator[tuple[Site, list[World]]]:
    with running_site() as site:
        worlds = [site.world(f"c{n}") for n in range(_SELLING)]
        slow_down(worlds[0], latency)
        yield site, worlds


def _pairs(worlds: Sequence[World]) -> list[dict[str, str]]:
    komet, axerrio = (worlds[0].addresses[name] for name in ("komet", "axerrio"))
    return [asdict(Pair(komet, each.komet_token, axerrio, each.axerrio_token, "farm1")) for each in worlds]


def _measured(
    site: Site, worlds: Sequence[World], orders: int, cpu: Callable[[], Mapping[str, float]], job: Callable[[], None]
) -> Run:
    """Sell, have the job done, and see that it was."""
    log = _Log(site)
    before, began = _spent(cpu), time.monotonic()
    for n, world in enumerate(worlds):
        sell(world, len(range(n, orders, len(worlds))))
    job()
    seconds, after = time.monotonic() - began, _spent(cpu)
    calls = Counter(log.more())
    _check(worlds, orders)
    run = Run(orders, seconds, calls, {kind: spent - before[kind] for kind, spent in after.items()})
    print(f"{orders} orders in {seconds:.1f} s, {run.calls.total() / orders:.2f} calls an order", file=sys.stderr)
    return run


def _spent(cpu: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    return {**cpu(), "sandbox": sum(spent_by(each) for each in children_of(os.getpid()) if _is_sandbox(each))}


def _is_sandbox(pid: int) -> bool:
    return b"sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _check(worlds: Sequence[World], orders: int) -> None:
    """All orders stand in both systems, once and linked."""
    linked = 0
    for world in worlds:
        company, tenant = world.company, world.tenant
        items = {str(item["id"]): item for each in company["prebooks"] for item in each["items"]}
        bought = {str(item["id"]): item for each in company["purchase_orders"] for item in each["items"]}
        assert len(company["prebooks"]) == len(tenant["orders"]), f"{world.name}: a prebook too many or too few"
        for order in tenant["orders"]:
            lines = (order["external_references"] or {}).get("lines", ())
            assert {each["lineKey"] for each in lines} == {each["lineKey"] for each in order["lines"]}, order["key"]
            for line in lines:
                item, covering = items.pop(line["prebookItemId"]), bought.pop(line["purchaseOrderItemId"])
                assert covering["prebook_item_id"] == item["id"], order["key"]
                assert covering["boxes"] == item["boxes"], order["key"]
            linked += 1
        assert not items, f"{world.name}: items that no order names"
        assert not bought, f"{world.name}: bought items that no order names"
    assert linked == orders


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {_LONGEST_SECONDS:g} s")
        time.sleep(0.1)


def _table(latency: int, orders: int) -> tuple[str, bool]:
    """Run all of them at one latency; gives the table, and whether all bars hold."""
    seconds = latency / 1000
    plain = run_plain(orders, seconds)
    rows = [_row("plain Celery", plain)]
    holds = True
    for workers, threads in _SIZES:
        bare = run_bare(workers * threads, orders, seconds)
        ours = run_worker(workers, threads, orders, seconds)
        to_bare, to_plain = ours.rate / bare.rate, ours.rate / plain.rate
        holds &= to_bare >= _LEAST_OF_BARE and to_plain >= _LEAST_OF_PLAIN
        rows.append(_row(f"bare loop, {workers * threads} connections", bare))
        rows.append(_row(f"{workers} worker(s), {threads} threads each", ours, f"{to_bare:.2f}", f"{to_plain:.2f}"))
    head = ["", "orders a second", "calls an order", *_KINDS, "to the bare loop", "to plain Celery"]
    return f"Answers after {latency} ms:\n\n{table(head, rows)}", holds


def _row(name: str, run: Run, *ratios: str) -> list[object]:
    spent = (f"{run.cpu[kind] / run.orders * 1000:.0f} ms" if kind in run.cpu else "" for kind in _KINDS)
    return [name, f"{run.rate:.2f}", f"{run.calls.total() / run.orders:.2f}", *spent, *(ratios or ("", ""))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--orders", type=int, default=160)
    parser.add_argument("--latency", type=int, nargs="+", default=[50, 200], help="milliseconds an answer takes")
    given = parser.parse_args(arguments)
    made = [_table(latency, given.orders) for latency in given.latency]
    words = (
        f"{given.orders} orders of two lines, sold at once by {_SELLING} connections, from the sale until all of them "
        f"stand in both systems with the ids of the other. The processor time is for each order; all of it, the "
        f"sandbox's too, comes from the same cores. Bars: {_LEAST_OF_BARE:g} of the bare "
        f"loop with as many connections, {_LEAST_OF_PLAIN:g} times plain Celery."
    )
    publish("performance.md", "throughput", "make throughput", "\n\n".join([words, *(each for each, _ in made)]))
    return int(not all(holds for _, holds in made))


if __name__ == "__main__":
    sys.exit(main())
