"""The Celery app: how it is configured, and how its worker, beat and Flower are run."""

import ctypes
import gc
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

import structlog
from celery import Celery, signals
from celery.beat import Service
from celery.schedules import crontab
from sqlalchemy.exc import SQLAlchemyError

from tasks.queues import MAINTENANCE, OBSERVE, ORDERS
from worker.settings import ServiceUrls, Settings, flower_access, with_flower_password

if TYPE_CHECKING:
    from tasks.runtime import Runtime
    from worker.requests import Requests

log = structlog.get_logger()

#: Longer than any task may take: every wait in a task is bounded by itself, since a threads pool has no time limits.
_VISIBILITY_TIMEOUT = 300
#: A tick that waited longer is dropped: the next one does the same. Long, since it is judged by two machines' clocks.
_TICK_EXPIRES = 600
_TICK = {"queue": MAINTENANCE, "expires": _TICK_EXPIRES, "argsrepr": "all connections", "kwargsrepr": ""}
#: A thread that comes back from the database takes the interpreter from one that computes after so long. With Python's
#: five milliseconds it would wait longer for the interpreter than for the database.
_SWITCH_SECONDS = 0.001
#: So many tasks Flower remembers: it takes 7.5 KiB for each.
_FLOWER_TASKS = 10_000
#: Parameters of glibc's `mallopt`, and a block that is large, in bytes.
_M_ARENA_MAX, _M_MMAP_THRESHOLD, _LARGE_BLOCK = -8, -3, 128 * 1024


def make_app(redis_url: str, settings: Settings) -> Celery:
    """The Celery app, without tasks. Redis holds nothing that must not be lost."""
    app = Celery("axkomet", broker=redis_url, set_as_current=True)
    app.Task.Request = "worker.task_events:PlainRequest"
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_ignore_result=True,
        task_default_queue=MAINTENANCE,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_consumer="worker.consumer:HardyConsumer",
        worker_send_task_events=True,
        task_send_sent_event=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_TIMEOUT,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # A network may swallow what is sent, and nobody says so: whatever waits for the broker gives it up.
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "health_check_interval": 10,
        },
        beat_schedule={
            "sweep": {
                "task": "sweep",
                "schedule": settings.sweep_seconds,
                "options": _TICK,
            },
            # By the clock, and not so long after the start: a beat that is often started anew would never come to it.
            "housekeeping": {
                "task": "housekeeping",
                "schedule": crontab(minute="17"),
                "options": _TICK,
            },
        },
        timezone="UTC",
    )
    return app


def run_worker(settings: Settings, urls: ServiceUrls) -> None:
    """Run a worker until SIGTERM: what runs is finished, what waits stays in the queue.

    Raises:
        Problem: see `make_runtime`; found before the worker starts.
    """
    # Heavy, and beat and Flower need none of it.
    from tasks.celery_tasks import declare, hint_sender
    from worker.requests import Requests
    from worker.wiring import make_runtime

    share_one_heap()
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = make_app(urls.redis_url, settings)
    requests = Requests()
    runtime = make_runtime(settings, urls, threads=settings.concurrency, send_hints=hint_sender(app), requests=requests)
    declare(app, lambda: runtime)
    heart = _Heart(runtime, requests)
    signals.worker_ready.connect(heart.start, weak=False)
    # What is loaded by then stays for good: no collection need go through it.
    signals.worker_ready.connect(lambda **_: gc.freeze(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: runtime.ending.set(), weak=False)
    codes: list[int | None] = []
    signals.worker_shutdown.connect(lambda sender, **_: codes.append(sender.exitcode), weak=False)
    app.worker_main(
        [
            "--quiet",  # its banner is no line of a log
            "worker",
            "--pool=threads",
            f"--concurrency={settings.concurrency}",
            f"--queues={OBSERVE},{ORDERS},{MAINTENANCE}",
            f"--hostname={worker_name()}",
            f"--loglevel={settings.log_level}",
            "--without-gossip",
            "--without-mingle",
        ]
    )
    # Celery's command ends with the worker's exit code, and its app does not hand that on.
    sys.exit(next(filter(None, codes), 0))


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap, and large blocks from the system.

    glibc gives each thread a heap of its own, and what is freed in one no other can use: a worker under load grew by
    the hour though it held nothing more. With the interpreter's lock they hardly ever wait for each other. Where the C
    library has no such switch, nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def run_beat(settings: Settings, urls: ServiceUrls) -> None:
    """Tick until SIGTERM. Its schedule needs no file: any number of beats may run, and a missed tick is nothing."""
    app = make_app(urls.redis_url, settings)
    signals.beat_init.connect(tick_at_once, weak=False)
    app.start(["--quiet", "beat", "--scheduler=celery.beat:Scheduler", f"--loglevel={settings.log_level}"])


def tick_at_once(sender: Service, **_: object) -> None:
    """The first tick comes at once, and not after an interval."""
    sender.scheduler.apply_entry(sender.scheduler.schedule["sweep"])


def run_flower(settings: Settings, urls: ServiceUrls) -> None:
    """Run Flower until SIGTERM, to look at and not to act by.

    User and password are set as an option within this process: on a command line they would show in `ps`, and of
    Flower's own variable a comma would make two.

    Raises:
        Problem: its port is taken, or nobody could enter its user and password.
    """
    import flower.options  # noqa: F401 - it defines them
    import typer
    from tornado.options import options

    from worker.services import check_port

    check_port(settings.listen, settings.flower_port, "Flower", "AXKOMET_FLOWER_PORT")
    user, password = flower_access(with_flower_password(settings))
    if settings.flower_password is None:
        typer.echo(f"Flower: http://127.0.0.1:{settings.flower_port} user {user} password {password}", err=True)
    options.basic_auth = [f"{user}:{password}"]
    options.tasks_columns = "name,args,state,result,received,runtime,uuid"
    options.read_only = True
    options.max_tasks = _FLOWER_TASKS
    app = make_app(urls.redis_url, settings)
    app.start(["flower", f"--address={settings.listen}", f"--port={settings.flower_port}"])


def worker_name() -> str:
    """Name of this worker, in Flower and in the ledger."""
    return f"worker-{os.getpid()}@{socket.gethostname()}"


class _Heart:
    """Notes every few seconds that this worker is alive, and what it asked of both systems, until it shuts down."""

    def __init__(self, runtime: "Runtime", requests: "Requests") -> None:
        self._runtime = runtime
        self._requests = requests
        self._name = worker_name()

    def start(self, **_: object) -> None:
        threading.Thread(target=self._beat, name="heart", daemon=True).start()

    def _beat(self) -> None:
        from tasks.sweep import seen

        while True:
            try:
                with self._runtime.sessions.begin() as session:
                    seen(session, self._name, "worker")
                self._requests.note(self._runtime.sessions)
            except SQLAlchemyError as error:
                log.warning("heartbeat not noted", error=type(error).__name__)
            if self._runtime.ending.wait(self._runtime.timing.sweep):
                return
