"""Running the demo: start everything, play the day, judge it."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from worker.assembly import open_ledger
from worker.demo.day import TIMES, Day
from worker.demo.pairs import connections_file, pairs
from worker.demo.screen import Screen, figures
from worker.demo.trouble import faults
from worker.demo.world import World
from worker.logs import configure_logs
from worker.problems import Problem
from worker.screens import terminal
from worker.services import LOOPBACK, Child, free_port, port_taken, usable_home
from worker.settings import ENV_PREFIX, Settings, load_settings
from worker.supervisor import LOOK_SECONDS, Role, Supervisor, axkomet_command
from worker.up import look, migrate, roles_of

_READY_SECONDS = 90.0


def run_demo(*, keep: bool) -> int:
    """Play the day and judge it.

    Args:
        keep: leave everything running at the end, with Flower, until Ctrl-C.

    Returns:
        The exit code: 0 all went all the way and nothing is lost or doubled, 1 it is not so, 130 after Ctrl-C.

    Raises:
        Problem: the home cannot be used, another demo runs in it, or something does not start.
    """
    users = load_settings()
    home = users.home / "demo"
    console = terminal()
    with usable_home(home):
        _empty(home)
    komet_port, axerrio_port = free_port(), free_port()
    world = World(f"http://{LOOPBACK}:{komet_port}/api", f"http://{LOOPBACK}:{axerrio_port}", pairs())
    sandbox = axkomet_command("sandbox", f"--komet-port={komet_port}", f"--axerrio-port={axerrio_port}")
    # Constructed, not read: nothing of the environment or `.env` counts.
    settings = Settings.model_construct(
        home=home,
        connections=home / "connections.toml",
        flower_port=free_port() if port_taken(5555) else 5555,
        log_format="json",
        **TIMES,
    )
    settings.connections.write_text(connections_file(world.pairs, world.komet_url, world.axerrio_url), "utf-8")
    roles = [Role("sandbox", sandbox), *_with_env(roles_of(settings, flower=keep), settings, world)]
    with contextlib.closing(world), _logging_to(home / "demo.log"):
        console.print("Starting PostgreSQL, Valkey, a simulated Komet and Axerrio, worker and beat ...")
        supervisor = Supervisor(settings, roles, migrate=migrate)
        with supervisor:
            if not _ready(supervisor, settings, world):
                return 130
            ledger = open_ledger(supervisor.urls.database_url)
            try:
                day = Day(world, ledger, supervisor, partial(_start_command, supervisor, roles[-1].env))
                _play(day, supervisor, Screen(console))
            finally:
                ledger.engine.dispose()
            if not day.over:
                return 130
            verdict = day.judge()
            console.print(figures(day, verdict))
            if keep:
                console.print(_look_around(settings, users, supervisor, day, roles[-1]), soft_wrap=True)  # to paste
                while not supervisor.stop_requested:
                    supervisor.poll()
                    time.sleep(LOOK_SECONDS)
    return 0 if verdict.holds and day.ledger_is_done else 1


def _empty(home: Path) -> None:
    """Remove what an earlier demo left, but not the notes by which its left-over processes are found."""
    with (home / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"A demo runs in {home} already: end that one first.") from None
        for path in home.iterdir():
            if path.is_dir() and path.name != "run":
                shutil.rmtree(path)
            elif path.is_file() and path.name != "up.lock":
                path.unlink()


def _with_env(roles: Sequence[Role], settings: Settings, world: World) -> list[Role]:
    """The roles with every setting and token given, so that nothing of the user's own settings reaches them."""
    own = settings.model_dump(exclude={"home"}, exclude_none=True)
    env = {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in own.items()}
    for pair in world.pairs:
        env |= pair.tokens
    return [replace(role, env={**env, **role.env}) for role in roles]


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Our own log goes to a file: on the terminal it would destroy the screen."""
    with path.open("w", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        configure_logs("INFO", "json")
        yield


def _ready(supervisor: Supervisor, settings: Settings, world: World) -> bool:
    """Wait until everything runs; False when it shall stop.

    Raises:
        Problem: it takes too long.
    """
    deadline = time.monotonic() + _READY_SECONDS
    seeded = False
    problems = ["the sandbox does not answer"]
    while time.monotonic() < deadline:
        if supervisor.stop_requested:
            return False
        supervisor.poll()
        if not seeded and world.answers():
            world.seed()
            world.order(faults(world.pairs))
            seeded = True
        if seeded:
            document = look(settings)
            if document["healthy"]:
                return True
            problems = document["problems"]
        time.sleep(LOOK_SECONDS)
    raise Problem(f"Not ready after {_READY_SECONDS:.0f} s ({' '.join(problems)}): see {settings.home / 'log'}.", 1)


def _start_command(supervisor: Supervisor, env: Mapping[str, str], *arguments: str) -> Child:
    """Start `axkomet` with these arguments, as one would from another terminal."""
    own = {
        "HOME": str(supervisor.home),
        "DATABASE_URL": supervisor.urls.database_url,
        "REDIS_URL": supervisor.urls.redis_url,
    }
    child = Child("command", supervisor.home)
    child.start(
        axkomet_command(*arguments),
        {**os.environ, **{f"{ENV_PREFIX}{name}": value for name, value in own.items()}, **env},
    )
    return child


def _play(day: Day, supervisor: Supervisor, screen: Screen) -> None:
    with screen.open():
        while not day.over and not supervisor.stop_requested:
            supervisor.poll()
            day.step()
            screen.show(day)
            time.sleep(LOOK_SECONDS)


def _look_around(settings: Settings, users: Settings, supervisor: Supervisor, day: Day, flower: Role) -> RenderableType:
    variables: dict[str, Any] = {"HOME": settings.home.absolute(), "CONNECTIONS": settings.connections.absolute()}
    if users.database_url:  # theirs would be used
        variables["DATABASE_URL"] = supervisor.urls.database_url
    if users.redis_url:
        variables["REDIS_URL"] = supervisor.urls.redis_url
    exports = "".join(f"  export {ENV_PREFIX}{name}={value}\n" for name, value in variables.items())
    user, password = (flower.env[f"{ENV_PREFIX}FLOWER_{name}"] for name in ("USER", "PASSWORD"))
    return Text(
        "\nEverything goes on running until Ctrl-C. Look around from another terminal:\n\n"
        f"{exports}"
        "  axkomet status\n"
        "  axkomet orders list\n"
        f"  axkomet orders show axerrio:{day.people.sales[0].number}\n\n"
        f"Flower: http://{LOOPBACK}:{settings.flower_port} user {user} password {password}"
    )
