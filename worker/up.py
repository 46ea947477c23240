"""`axkomet up`: every process of ours, and the services that are not set, until Ctrl-C."""

import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import typer
from sqlalchemy import Engine, delete, or_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from models.canonical import Json
from models.database import SchemaBusyError, SchemaUnfitError, make_engine, schema_versions, upgrade
from models.tables import Process
from worker.assembly import (
    check_redis,
    first_words,
    id_of_connection,
    open_ledger,
    open_services,
    place_of,
    timing_of,
    tokens_of,
    unfit,
    untold,
    unusable,
)
from worker.connections import load_connections
from worker.problems import Exit, Problem
from worker.services import check_port
from worker.settings import Settings, flower_access, with_flower_password
from worker.supervisor import Role, Supervisor, axkomet_command

log = structlog.get_logger()

#: Between two looks at the status until everything is ready, in seconds.
_READY_PAUSE = 0.3
#: Seconds after which metrics and Flower start though not everything is ready.
_WATCHED_AFTER = 10.0
#: Seconds after which it is told why not everything is ready: until then most of it is about to be.
_TOLD_AFTER = 15.0


def look(settings: Settings) -> Json:
    """The status document, also where a service is away.

    Raises:
        Problem: the connections file or a service's URL is not as it must be.
    """
    from worker.status import status, unknown

    connections = load_connections(settings.connections)
    try:
        urls, ledger = open_services(settings)
    except Problem as problem:
        if problem.exit_code != Exit.FAILED:
            raise
        return unknown(str(problem))
    try:
        with ledger.sessions() as session:
            document = status(session, connections, timing_of(settings))
    except SQLAlchemyError as error:
        return unknown(untold(ledger.engine, error))
    finally:
        ledger.engine.dispose()
    if broken := check_redis(urls.redis_url):
        document["problems"].append(f"Redis does not answer: {broken}")
        document["healthy"] = False
    return document


def migrate(database_url: str) -> str | None:
    """Bring the schema to this version.

    Returns:
        The version that it is of now.

    Raises:
        Problem: the database does not answer, others hold what is to be changed, or the schema is too new for this
            program or another program's.
    """
    engine = make_engine(database_url)
    try:
        versions = schema_versions(engine)
        return versions.current if versions.serves else _upgraded(engine)
    except DBAPIError as error:
        where, words = place_of(engine), first_words(error)
        failed = Problem(f"PostgreSQL at {where} could not be upgraded ({words}).", Exit.FAILED)
        raise (unusable(error) or failed) from None
    finally:
        engine.dispose()


def _upgraded(engine: Engine) -> str | None:
    from alembic.util import CommandError  # heavy, and seldom needed

    try:
        upgrade(engine)
    except SchemaBusyError:
        raise Problem(
            "The schema is not upgraded, and nothing is changed: for a minute workers, or another upgrade, held what "
            "is to be changed. Try again, or stop the workers first.",
            Exit.FAILED,
        ) from None
    except (SchemaUnfitError, CommandError):  # the latter where another, newer upgrade came between
        raise Problem(unfit(schema_versions(engine))) from None
    return schema_versions(engine).current


def roles_of(settings: Settings, *, flower: bool) -> list[Role]:
    """Worker, beat and Flower.

    Raises:
        Problem: nobody could enter Flower's user or password.
    """
    roles = [Role("worker", axkomet_command("worker")), Role("beat", axkomet_command("beat"))]
    if flower:
        user, password = flower_access(with_flower_password(settings))
        roles.append(
            Role(
                "flower",
                axkomet_command("flower"),
                {"AXKOMET_FLOWER_USER": user, "AXKOMET_FLOWER_PASSWORD": password},
            )
        )
    return roles


def run_up(settings: Settings, *, flower: bool) -> None:
    """Run everything until a signal comes.

    Raises:
        Problem: the connections file, a token, a port or a service is not as it must be.
    """
    for connection in load_connections(settings.connections):
        tokens_of(settings, connection)
    if flower and settings.flower_port == settings.metrics_port:
        raise Problem(f"Flower and the metrics cannot share port {settings.flower_port}: set AXKOMET_FLOWER_PORT.")
    worker, beat, *watchers = roles_of(settings, flower=flower)
    watchers.append(Role("metrics", axkomet_command("metrics")))
    supervisor = Supervisor(settings, [worker, beat], migrate=partial(_prepare, settings, flower))
    said = ""
    if flower:
        access = watchers[0].env
        said = f"Flower: http://127.0.0.1:{settings.flower_port} user {access['AXKOMET_FLOWER_USER']}"
        said += "" if settings.flower_password else f" password {access['AXKOMET_FLOWER_PASSWORD']}"
    ready = _Ready(settings, partial(_start, supervisor, watchers, said))
    supervisor.run(ready.tick)


def _prepare(settings: Settings, flower: bool, database_url: str) -> None:
    """Bring the schema to this version, and forget the processes of an `up` that was killed: none of them lives."""
    # Not before it is sure that no other `up` of this home has them.
    if flower:
        check_port(settings.listen, settings.flower_port, "Flower", "AXKOMET_FLOWER_PORT, or use --no-flower")
    check_port(settings.listen, settings.metrics_port, "the metrics", "AXKOMET_METRICS_PORT")
    migrate(database_url)
    ledger = open_ledger(database_url)
    try:
        for each in load_connections(settings.connections):
            id_of_connection(ledger, each)  # what no worker would take up ends this at once
        with ledger.sessions.begin() as session:
            here = Process.name.endswith(f"@{socket.gethostname()}", autoescape=True)
            session.execute(delete(Process).where(or_(Process.role == "beat", here)))
    finally:
        ledger.engine.dispose()


def _start(supervisor: Supervisor, roles: Sequence[Role], said: str) -> None:
    for role in roles:
        supervisor.add(role)
    if said:
        typer.echo(said, err=True)


class _Ready:
    """Says `ready` once the status is healthy, and why it is not where that takes long.

    Who only watches is started then, so that the work begins sooner; and without it where it takes too long.
    """

    def __init__(self, settings: Settings, start_watchers: Callable[[], object]) -> None:
        self._settings = settings
        self._start_watchers = start_watchers
        self._said = self._watched = False
        self._told: list[str] = []
        self._began = time.monotonic()
        self._next = 0.0

    def tick(self) -> None:
        if self._said or time.monotonic() < self._next:
            return
        try:
            document = look(self._settings)
            self._said, problems = document["healthy"], document["problems"]
        except (Problem, SQLAlchemyError) as error:
            problems = [str(error)]
        if problems != self._told and time.monotonic() >= self._began + _TOLD_AFTER:
            log.warning("not ready", problems=problems)
            self._told = problems
        if not self._watched and (self._said or time.monotonic() >= self._began + _WATCHED_AFTER):
            self._start_watchers()
            self._watched = True
        if self._said:
            typer.echo("ready")
        self._next = time.monotonic() + _READY_PAUSE
