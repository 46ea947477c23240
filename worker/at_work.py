"""`axkomet worker --check` and its like: is this machine's process at work? For the health checks of containers."""

import socket

import httpx
from kombu.exceptions import OperationalError
from sqlalchemy import ColumnElement, select

from models.database import now
from models.tables import Process
from worker.assembly import Ledger, open_ledger
from worker.problems import Exit, Problem
from worker.services import LOOPBACK
from worker.settings import ServiceUrls, Settings, flower_access
from worker.status import INTERVALS, gone_before

#: Seconds that a process has for an answer.
_PATIENCE = 5.0


def check_worker(settings: Settings, urls: ServiceUrls) -> None:
    """A worker of this machine noted lately that it is alive, and answers what it is asked through the broker.

    Raises:
        Problem: none did, or a service is away.
    """
    from worker.app import make_app

    ours = Process.name.endswith(f"@{socket.gethostname()}", autoescape=True)
    names = _seen_lately(settings, open_ledger(urls.database_url), Process.role == "worker", ours)
    if not names:
        raise Problem(f"No worker of this machine was seen for {INTERVALS} intervals.", Exit.FAILED)
    # It may be alive and deaf, where its connection to the broker broke and it did not learn of it.
    control = make_app(urls.redis_url, settings).control
    try:
        answers = control.ping(names, timeout=_PATIENCE, limit=len(names))
    except OperationalError as error:
        raise Problem(f"Redis does not answer: {error}.", Exit.FAILED) from None
    if not answers:
        raise Problem(f"{', '.join(names)}: no answer through the broker.", Exit.FAILED)


def check_beat(settings: Settings, ledger: Ledger) -> None:
    """A tick was served lately; no tick tells which beat sent it.

    Raises:
        Problem: none was.
    """
    if not _seen_lately(settings, ledger, Process.role == "beat"):
        raise Problem(f"No tick was served for {INTERVALS} intervals.", Exit.FAILED)


def check_flower(settings: Settings) -> None:
    """Flower lets us in, and learns from the broker how long the queues are.

    Raises:
        Problem: it does not.
    """
    _ask(settings, settings.flower_port, "api/queues/length", flower_access(settings))


def check_metrics(settings: Settings) -> None:
    """The metrics are served.

    Raises:
        Problem: they are not.
    """
    _ask(settings, settings.metrics_port, "metrics", None)


def _seen_lately(settings: Settings, ledger: Ledger, *which: ColumnElement[bool]) -> list[str]:
    with ledger.sessions() as session:
        alive = gone_before(now(session), settings.sweep_seconds)
        return list(session.scalars(select(Process.name).where(Process.seen_at > alive, *which)))


def _ask(settings: Settings, port: int, path: str, access: tuple[str, str] | None) -> None:
    host = LOOPBACK if settings.listen.is_unspecified else settings.listen
    address = f"http://{host}:{port}/{path}"
    try:
        status = httpx.get(address, auth=access, timeout=_PATIENCE, trust_env=False).status_code
    except httpx.HTTPError as error:
        raise Problem(f"{address} does not answer ({type(error).__name__}).", Exit.FAILED) from None
    if status != httpx.codes.OK:
        raise Problem(f"{address} answers {status}.", Exit.FAILED)
