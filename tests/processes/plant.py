"""Real processes on one ledger: workers and beats as they run in production, with short times."""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.database import make_engine, make_sessions
from tests.world import World, assert_exactly_once
from worker.desk import find_order
from worker.services import Child, free_port
from worker.supervisor import axkomet_command

Json = dict[str, Any]

#: With these a lease is 13 seconds: so long an order rests whose process was killed in the middle of a call.
SHORT_TIMES = {
    "AXKOMET_POLL_SECONDS": "0.5",
    "AXKOMET_SWEEP_SECONDS": "0.5",
    "AXKOMET_HTTP_TIMEOUT_SECONDS": "1.5",
    "AXKOMET_IN_DOUBT_GRACE_SECONDS": "1",
    "AXKOMET_RETRY_BASE_SECONDS": "0.02",
    "AXKOMET_RETRY_MAX_SECONDS": "1",
    "AXKOMET_CONCURRENCY": "8",
}


def connections_toml(*entries: Json) -> str:
    """The text of a connections file with these entries."""
    lines: list[str] = []
    for entry in entries:
        lines.append("[[connection]]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in entry.items() if not isinstance(value, dict)]
        for table, values in entry.items():
            if isinstance(values, dict):
                lines.append(f"[connection.{table}]")
                lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def environment(folder: Path, world: World, entry: Json, **urls: str) -> dict[str, str]:
    """The environment of a command that serves the world, with a connections file in the folder.

    Args:
        folder: of the process.
        world: that it serves.
        entry: of the connection.
        **urls: of the services, by the names of their variables.
    """
    tokens = {"KOMET_TOKEN": world.komet_token, "AXERRIO_TOKEN": world.axerrio_token}
    return bare_environment(folder, connections_toml(entry), tokens, **urls)


def bare_environment(folder: Path, connections: str, tokens: Mapping[str, str], **urls: str) -> dict[str, str]:
    """The environment of a command, with this connections file in the folder and short times.

    Nothing of ours that is set outside goes in, and `.env` is looked for in the folder.
    """
    file = folder / "connections.toml"
    file.write_text(connections)
    outside = ("COLUMNS", "LINES")  # of the terminal at which the tests run
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("AXKOMET_") and name not in outside
    }
    return {
        **inherited,
        "AXKOMET_HOME": str(folder / "home"),
        "AXKOMET_CONNECTIONS": str(file),
        "AXKOMET_METRICS_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
        **tokens,
        **urls,
        **SHORT_TIMES,
    }


@dataclass
class Processes:
    """Workers and beats at work; while one waits, whatever died is started again."""

    folder: Path
    env: dict[str, str]
    workers: int = 1
    beats: int = 1
    #: Name and exit code of each process that died by itself.
    deaths: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [f"worker-{n}" for n in range(self.workers)] + [f"beat-{n}" for n in range(self.beats)]
        self.children = {name: Child(name, self.folder) for name in names}
        self._engine = make_engine(self.env["AXKOMET_DATABASE_URL"])
        self.sessions = make_sessions(self._engine)

    def start(self, name: str) -> None:
        """Start a process that does not run."""
        self.children[name].start(axkomet_command(name.partition("-")[0]), self.env, cwd=self.folder)

    def start_all(self) -> None:
        for name in self.children:
            self.start(name)

    def stop(self) -> None:
        for child in self.children.values():
            if child.alive:
                child.process.kill()
                child.process.wait()
        self._engine.dispose()

    def look_after(self) -> None:
        """Start again what died."""
        for name, child in self.children.items():
            if not child.alive:
                self.deaths.append((name, child.process.returncode))
                self.start(name)

    def wait_until(self, condition: Callable[[], Any], seconds: float = 60, what: Any = "it") -> None:
        """Let the processes work until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what() if callable(what) else what} did not come within {seconds} s"
            self.look_after()
            time.sleep(0.1)

    def work(self, seconds: float) -> None:
        """Let the processes work for so long."""
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= end, seconds + 60)

    def order(self, key: str) -> Json | None:
        """The order as the desk shows it; None: it is not in the ledger yet."""
        with self.sessions() as session:
            return find_order(session, key)

    def wait_for_state(self, state: str, keys: Collection[str], seconds: float = 60) -> None:
        """Let the processes work until all these orders are in a state."""

        def others() -> dict[str, Any]:
            orders = {key: self.order(key) for key in keys}
            return {
                key: order and {name: order[name] for name in ("state", "reason", "last_error", "due_at", "writes")}
                for key, order in orders.items()
                if order is None or order["state"] != state
            }

        self.wait_until(lambda: not others(), seconds, lambda: f"state {state} of {json.dumps(others(), indent=1)}")

    def logs(self) -> str:
        """What the processes said."""
        return "\n".join(f"--- {file.name}\n{file.read_text()}" for file in sorted((self.folder / "log").glob("*")))


class Plant(Processes):
    """Workers and beats at work for one world, with failpoints."""

    def __init__(
        self,
        folder: Path,
        world: World,
        database_url: str,
        redis_url: str,
        workers: int = 1,
        beats: int = 1,
        settings: Mapping[str, str] | None = None,
        entry: Json | None = None,
    ) -> None:
        """Nothing runs yet; `settings` are variables over the usual ones, `entry` the connection's."""
        self.world = world
        self.failpoints = folder / "failpoints"
        self.failpoints.mkdir()
        env = environment(
            folder,
            world,
            entry or world.entry(),
            AXKOMET_DATABASE_URL=database_url,
            AXKOMET_REDIS_URL=redis_url,
            AXKOMET_FAILPOINTS=str(self.failpoints),
        )
        super().__init__(folder, env | dict(settings or {}), workers, beats)

    def earn_proof(self) -> str:
        """Bring one order to `ordered`, so that absence is proof for both creates; gives its key."""
        key = self.world.place()
        self.wait_for_state("ordered", [key])
        return key

    def break_at(self, kind: str, point: str, action: str) -> Path:
        """Break the first process that reaches a point; gives the file that is gone once one has."""
        file = self.failpoints / f"{kind}.{point}"
        draft = file.with_suffix(".draft")
        draft.write_text(action)
        draft.rename(file)
        return file


def assert_all_once(world: World, keys: list[str]) -> None:
    """Each order stands once, and nothing else stands in Komet."""
    for key in keys:
        assert_exactly_once(world, key)
    company = world.company
    lines = len(keys) * len(world.order()["lines"])
    assert len(company["prebooks"]) == len(keys)
    assert sum(len(each["items"]) for each in company["prebooks"]) == lines
    assert sum(len(each["items"]) for each in company["purchase_orders"]) == lines
