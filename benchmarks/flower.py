"""Flower's price: what it costs that workers tell of each task, and that Flower listens.

    python -m benchmarks.flower [--tasks N] [--rounds N]

A worker is given thousands of messages that come too late: the cheapest task there is, one statement, so that what is
told of it weighs most. All of them wait in the broker before the worker begins. It is measured with events off, with
events on and nobody who listens, and with Flower, in turn, and the median of the rounds counts. Nothing is judged.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import httpx
from celery import Celery

from benchmarks.cost import MIB, resident, spent_by
from benchmarks.report import publish, table
from benchmarks.town import DEFAULTS, Town, town
from worker.services import Child, free_port
from worker.supervisor import axkomet_command

_CONNECTIONS = 8
_OFF, _ON, _LISTENED = _WAYS = ("events off", "events on", "events on, with Flower")


@dataclass(frozen=True)
class Run:
    """What the tasks took; processor seconds but for the first and the last."""

    seconds: float
    worker: float
    valkey: float
    flower: float
    #: Bytes that Flower holds.
    held: int


def measure(made: Town, way: str, tasks: int) -> Run:
    """Let the worker go through so many tasks in one of the ways."""
    (worker,) = made.workers
    with Celery(broker=made.site.redis_url) as app:
        command = "disable_events" if way == _OFF else "enable_events"
        app.control.broadcast(command, reply=True, limit=1, timeout=30)
    with _flower(made, runs=way == _LISTENED) as flower:
        os.kill(worker, signal.SIGSTOP)
        made.send_idle(tasks, late=True)
        pids = (worker, made.site.valkey.pid, *flower)
        before, began = [spent_by(pid) for pid in pids], time.monotonic()
        os.kill(worker, signal.SIGCONT)
        made.processes.wait_until(lambda: not made.waiting(), 300, "the last task")
        seconds = time.monotonic() - began
        spent = [spent_by(pid) - then for pid, then in zip(pids, before, strict=True)]
        held = sum(map(resident, flower))
    print(f"{way}: {tasks / seconds:.0f} tasks a second", file=sys.stderr)
    return Run(seconds, spent[0], spent[1], sum(spent[2:]), held)


@contextmanager
def _flower(made: Town, *, runs: bool) -> Iterator[list[int]]:
    """Flower, at work; gives its process id, or none where it shall not run."""
    if not runs:
        yield []
        return
    port = free_port()
    env = made.processes.env | {"AXKOMET_FLOWER_PORT": str(port), "AXKOMET_FLOWER_PASSWORD": "benchmark"}
    child = Child("flower", made.processes.folder)
    child.start(axkomet_command("flower"), env, cwd=made.processes.folder)
    try:
        made.processes.wait_until(lambda: _answers(port), 60, "Flower")
        yield [child.process.pid]
    finally:
        child.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthcheck").status_code == 200
    except httpx.HTTPError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flower")
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    with town(_CONNECTIONS, 1, DEFAULTS) as made:
        runs = [{way: measure(made, way, given.tasks) for way in _WAYS} for _ in range(given.rounds)]
    off = median(each[_OFF].seconds for each in runs)
    rows = []
    for way in _WAYS:
        of_way = [each[way] for each in runs]
        seconds = median(each.seconds for each in of_way)
        spent = [median(getattr(each, name) for each in of_way) for name in ("worker", "valkey", "flower")]
        rows.append(
            [
                way,
                f"{given.tasks / seconds:.0f}",
                f"{off / seconds:.2f}",
                *(f"{each / given.tasks * 1000:.2f} ms" for each in spent),
                f"{max(each.held for each in of_way) / MIB:.0f} MiB" if way == _LISTENED else "",
            ]
        )
    threads = DEFAULTS["AXKOMET_CONCURRENCY"]
    words = (
        f"{given.tasks:,} messages that come too late, in a worker of {threads} threads; "
        f"the median of {given.rounds} rounds. The processor time is for each task."
    )
    head = ["", "tasks a second", "to events off", "worker", "Valkey", "Flower", "Flower holds"]
    publish("performance.md", "flower", "make flower", f"{words}\n\n{table(head, rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
