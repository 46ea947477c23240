"""Start: how long `axkomet up` takes until it is ready, and `axkomet --help` until it has answered.

    python -m benchmarks.start [--times N]

`up` brings PostgreSQL, Valkey, worker, beat, metrics and Flower, and serves one connection. The first start of a home,
which makes its database, counts apart from the later ones. It is ready once `axkomet status` finds it healthy. Exit
code 1 where half of the later starts take more than five seconds, or half of the helps more than 0.4.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from benchmarks.report import publish, table
from benchmarks.town import DEFAULTS
from tests.processes.plant import environment
from tests.world import World, running_sandbox
from worker.services import free_port
from worker.supervisor import axkomet_command

_MOST_UP, _MOST_HELP = 5.0, 0.4


@dataclass(frozen=True)
class Home:
    """A home of `axkomet up`, and the world that it serves."""

    folder: Path
    env: Mapping[str, str]
    world: World

    @contextmanager
    def up(self, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Everything, from `ready` on; it ends with the context. The settings are variables over the defaults."""
        with (self.folder / "up.log").open("ab") as log:
            command = axkomet_command("up")
            env = {**self.env, **settings}
            process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError((self.folder / "up.log").read_text())
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


@contextmanager
def home() -> Iterator[Home]:
    """A new home, which serves one connection with the defaults of all settings."""
    with TemporaryDirectory(prefix="axkomet-") as name, running_sandbox() as addresses, httpx.Client() as http:
        world = World(http, addresses)
        world.seed()
        env = environment(Path(name), world, world.entry()) | DEFAULTS | {"AXKOMET_FLOWER_PORT": str(free_port())}
        yield Home(Path(name), env, world)


def time_up(made: Home) -> float:
    """Seconds until it is ready."""
    began = time.monotonic()
    with made.up():
        return time.monotonic() - began


def time_help(made: Home) -> float:
    """Seconds until it has ended."""
    began = time.monotonic()
    subprocess.run(axkomet_command("--help"), env=dict(made.env), cwd=made.folder, check=True, capture_output=True)
    return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, publish, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start")
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args(arguments).times
    with home() as made:
        first = time_up(made)
        later = [time_up(made) for _ in range(times)]
        helps = [time_help(made) for _ in range(2 * times)]
    rows = [
        ["`axkomet up`, first start", 1, f"{first:.1f} s", "", ""],
        ["`axkomet up`, later", len(later), f"{median(later):.1f} s", f"{max(later):.1f} s", f"{_MOST_UP:g} s"],
        ["`axkomet --help`", len(helps), f"{median(helps):.2f} s", f"{max(helps):.2f} s", f"{_MOST_HELP:g} s"],
    ]
    words = "Until `up` says `ready`, with embedded services, Flower and one connection; until `--help` has ended."
    head = ["", "times", "median", "longest", "bar of the median"]
    publish("performance.md", "start", "make start", f"{words}\n\n{table(head, rows)}")
    return int(median(later) > _MOST_UP or median(helps) > _MOST_HELP)


if __name__ == "__main__":
    sys.exit(main())
