"""Everything of `axkomet up` under one roof: embedded services, roles, and what starts them again when they die."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

import structlog

from worker.problems import Problem
from worker.services import (
    Child,
    EmbeddedPostgres,
    EmbeddedValkey,
    remove_services_file,
    usable_home,
    write_services_file,
)
from worker.settings import ENV_PREFIX, ServiceUrls, Settings, urls_set

LOOK_SECONDS = 0.2
#: A role finishes the work in its hands within this time, or what a call may last and this much after it; else it is
#: killed.
STOP_SECONDS, AFTER_A_CALL_SECONDS = 30.0, 10.0
FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 30.0
#: Whatever lived this long is healthy again: its next restart waits `FIRST_DELAY_SECONDS`.
HEALTHY_SECONDS = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Role:
    """One process of ours.

    Attributes:
        name: names its log, `home/log/<name>.log`, and its lines in ours.
        command: program and arguments; never a secret, they show in `ps`.
        env: variables beside our own environment.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def axkomet_command(*arguments: str) -> list[str]:
    """The command line of `axkomet` with these arguments, in this Python environment."""
    script = Path(sys.executable).with_name("axkomet")
    program = [str(script)] if script.exists() else [sys.executable, "-m", "worker"]
    return [*program, *arguments]


class Supervisor:
    """Starts the services whose URLs are not set, then the roles; keeps all alive; stops all.

    `run` does everything until a signal comes. Who wants the loop for himself uses it as a context manager, which
    starts, listens to signals and stops, and calls `poll` a few times a second until `stop_requested`. All of it
    belongs on the main thread: on Linux the children end when the thread that started them does.
    """

    def __init__(
        self, settings: Settings, roles: Sequence[Role], *, migrate: Callable[[str], object] | None = None
    ) -> None:
        """Nothing starts yet.

        Args:
            settings: home, and the URLs of services that are not to be embedded.
            roles: in the order of their start.
            migrate: called with the database URL once the services answer, before the first role.
        """
        self.home = settings.home.absolute()
        self._urls = urls_set(settings)
        self._stop_seconds = max(STOP_SECONDS, settings.http_timeout_seconds + AFTER_A_CALL_SECONDS)
        #: None where the URL is set.
        self.postgres = None if settings.database_url else EmbeddedPostgres(self.home)
        self.valkey = None if settings.redis_url else EmbeddedValkey(self.home)
        embedded = {"database_url": self.postgres, "redis_url": self.valkey}
        self._services = {name: service for name, service in embedded.items() if service}
        self._migrate = migrate
        self._roles = roles
        self._children: dict[str, Child] = {}
        self._kept: list[_Kept] = []
        self._lock: IO[str] | None = None
        self._signals = 0
        self._handlers: dict[signal.Signals, Any] = {}

    @property
    def urls(self) -> ServiceUrls:
        """Where the services are, set or embedded; known once they were started."""
        return ServiceUrls(**self._urls)

    @property
    def stop_requested(self) -> bool:
        """Whether SIGINT, SIGTERM or SIGHUP came since the context was entered."""
        return self._signals > 0

    def child(self, role: str) -> subprocess.Popen[bytes]:
        """The process of a role that was started last, alive or dead."""
        return self._children[role].process

    def start(self) -> None:
        """Start the services, migrate, and start the roles; on an error all of it ends again.

        Raises:
            Problem: another supervisor runs in this home, or something does not start.
        """
        with usable_home(self.home):
            self._lock = _lock_home(self.home)
        try:
            for name, service in self._services.items():
                self._urls[name] = service.start()
                log.info("started", role=service.child.name, pid=service.pid, port=service.port)
                self._kept.append(_Kept(service.child, service.start))
            with usable_home(self.home):
                write_services_file(self.home, {name: self._urls[name] for name in self._services})
            if self._migrate:
                self._migrate(self.urls.database_url)
            for role in self._roles:
                self.add(role)
        except BaseException:
            self.stop()
            raise

    def add(self, role: Role) -> None:
        """Start one more role beside those that run, and keep it alive too."""
        self._children[role.name] = Child(role.name, self.home)
        self._start_role(role)
        log.info("started", role=role.name, pid=self.child(role.name).pid)
        self._kept.append(_Kept(self._children[role.name], partial(self._start_role, role)))

    def poll(self) -> None:
        """One look at every process: what died starts again, after a delay that grows from 0.5 to 30 seconds."""
        for kept in self._kept:
            kept.look(time.monotonic())

    def stop(self) -> None:
        """End the roles (30 seconds or what a call takes, a second Ctrl-C: at once), then Valkey, then PostgreSQL."""
        self._kept.clear()
        running = [child for child in self._children.values() if child.alive]
        for child in running:
            child.process.terminate()
        deadline = time.monotonic() + self._stop_seconds
        while any(child.alive for child in running) and self._signals < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        for child in running:
            if child.alive:
                log.warning("killed", role=child.name)
            child.stop()
        for service in reversed(self._services.values()):
            service.stop()
        if self._lock:
            remove_services_file(self.home)
            self._lock.close()
            self._lock = None

    def run(self, tick: Callable[[], object] | None = None) -> None:
        """Start, supervise until SIGINT, SIGTERM or SIGHUP comes, and stop.

        Args:
            tick: called after each look, five times a second.

        Raises:
            Problem: as `start`.
        """
        with self:
            while not self.stop_requested:
                self.poll()
                if tick:
                    tick()
                time.sleep(LOOK_SECONDS)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closed terminal means nothing.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._on_signal)
        try:
            self.start()
        except BaseException:
            self._restore_handlers()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._restore_handlers()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - its form is given
        self._signals += 1

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _start_role(self, role: Role) -> None:
        env = {
            **os.environ,
            f"{ENV_PREFIX}HOME": str(self.home),
            f"{ENV_PREFIX}DATABASE_URL": self.urls.database_url,
            f"{ENV_PREFIX}REDIS_URL": self.urls.redis_url,
            # So that its log is up to date.
            "PYTHONUNBUFFERED": "1",
            **role.env,
        }
        with usable_home(self.home):
            self._children[role.name].start(role.command, env)


class _Kept:
    """A child that is started again when it dies."""

    def __init__(self, child: Child, start: Callable[[], object]) -> None:
        self._child = child
        self._start = start
        self._started = time.monotonic()
        self._delay = FIRST_DELAY_SECONDS
        self._due: float | None = None

    def look(self, now: float) -> None:
        if self._child.alive:
            if now - self._started >= HEALTHY_SECONDS:
                self._delay = FIRST_DELAY_SECONDS
        elif self._due is None:
            log.warning("ended", role=self._child.name, exit_code=self._child.process.poll(), restart_in=self._delay)
            self._postpone(now)
        elif now >= self._due:
            self._restart(now)

    def _restart(self, now: float) -> None:
        exit_code = self._child.process.poll()
        try:
            self._start()
        except Problem as problem:
            log.error("not restarted", role=self._child.name, why=str(problem), retry_in=self._delay)
            self._postpone(now)
        else:
            log.info("restarted", role=self._child.name, exit_code=exit_code, pid=self._child.process.pid)
            self._started = now
            self._due = None

    def _postpone(self, now: float) -> None:
        self._due = now + self._delay
        self._delay = min(2 * self._delay, LAST_DELAY_SECONDS)


def _lock_home(home: Path) -> IO[str]:
    lock = (home / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        other = lock.read()
        lock.close()
        raise Problem(
            f"Already running (process {other}) in {home}: end that one, or set {ENV_PREFIX}HOME to another folder."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
