"""The command line. Exit codes: 0 done, 1 failed or unhealthy, 2 wrong usage or configuration, 3 nothing matched."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from worker.problems import Problem

if TYPE_CHECKING:  # heavy; a command imports what it uses, so that `--help` answers at once
    from sqlalchemy.orm import Session

    from tasks.hold import Told
    from worker.assembly import Ledger
    from worker.settings import ServiceUrls, Settings

app = typer.Typer(
    help="Keeps orders in step between Axerrio and Komet Sales.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
orders = typer.Typer(help="Look at orders.", no_args_is_help=True)
mapping = typer.Typer(help="What Axerrio's articles are in Komet.", no_args_is_help=True)
feeds = typer.Typer(help="The cursors of Axerrio's feeds.", no_args_is_help=True)
database = typer.Typer(help="The ledger's schema.", no_args_is_help=True)
app.add_typer(orders, name="orders")
app.add_typer(mapping, name="mapping")
app.add_typer(feeds, name="feed")
app.add_typer(database, name="db")

Found = TypeVar("Found")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

_QUESTIONS = {
    "name": "Name of the connection (a-z, 0-9 and -)",
    "time_zone": "Time zone of the Komet company, such as America/New_York",
    "company_code": "Your name for the Komet company, such as MIA",
    "axerrio_url": "Address of Axerrio's adapter, such as https://axerrio.example",
    "tenant": "Axerrio's tenant",
}
#: Seconds between two screens of `status --watch`.
_WATCH_PAUSE = 2.0
#: As large as the ledger can hold.
_LAST_SEQUENCE = 2**63 - 1


def main() -> None:
    """Run a command; a user's mistake becomes one sentence on stderr."""
    try:
        app()
    except Problem as problem:
        typer.echo(f"axkomet: {problem}", err=True)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _settings() -> "Settings":
    from worker.logs import configure_logs
    from worker.settings import load_settings

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    return settings


def _finish(code: int) -> NoReturn:
    raise typer.Exit(code)


def _show(document: Any, as_json: bool, screen: Callable[[Any], Any]) -> None:
    from worker.screens import terminal

    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        terminal().print(screen(document))


# -- processes -------------------------------------------------------------------------------------------------


@app.command()
def up(
    flower: Annotated[bool, typer.Option(help="Run Flower too.")] = True,
) -> None:
    """Run everything: services that are not set, worker, beat, Flower. Example: axkomet up --no-flower."""
    from worker.up import run_up

    run_up(_settings(), flower=flower)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")] = False,
) -> None:
    """A day's orders through a simulated Komet and Axerrio, with faults, judged at the end. Example: axkomet demo."""
    from worker.demo.run import run_demo

    _finish(run_demo(keep=keep))


@app.command()
def worker() -> None:
    """Run one worker. Example: axkomet worker."""
    from worker.app import run_worker
    from worker.settings import resolve_services

    settings = _settings()
    run_worker(settings, resolve_services(settings))


@app.command()
def beat() -> None:
    """Run one beat, which only ticks; any number may run. Example: axkomet beat."""
    from worker.app import run_beat
    from worker.assembly import open_services

    settings = _settings()
    urls, ledger = open_services(settings)
    ledger.engine.dispose()
    run_beat(settings, urls)


@app.command()
def flower() -> None:
    """Run Flower on loopback, with a password. Example: axkomet flower."""
    from worker.app import run_flower
    from worker.settings import resolve_services

    settings = _settings()
    run_flower(settings, resolve_services(settings))


@app.command()
def sandbox(
    komet_port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8801,
    axerrio_port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8802,
) -> None:
    """Run the simulated Komet and Axerrio, with their control interface. Example: axkomet sandbox --komet-port 0."""
    from sandbox.server import run

    try:
        run(komet_port, axerrio_port)
    except OSError as error:
        raise Problem(f"The sandbox cannot listen on its ports ({error.strerror}): choose others, or 0.") from None


@app.command()
def init(
    name: Annotated[str | None, typer.Option(help="Of the connection: a-z, 0-9 and -, such as miami.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of the Komet company, such as America/New_York.")] = None,
    company_code: Annotated[str | None, typer.Option(help="Your name for the Komet company, such as MIA.")] = None,
    axerrio_url: Annotated[str | None, typer.Option(help="Address of Axerrio's adapter.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Axerrio's tenant.")] = None,
    komet_url: Annotated[str, typer.Option(help="Address of Komet's API.")] = "https://api.kometsales.com/api",
) -> None:
    """Write a commented connections file and an .env, from questions or from options; overwrites nothing.

    Example: axkomet init --name miami --time-zone America/New_York --company-code MIA
    --axerrio-url https://axerrio.example --tenant farm1
    """
    from worker.init import Answers, write_files

    settings = _settings()
    asked = {
        "name": name,
        "time_zone": time_zone,
        "company_code": company_code,
        "axerrio_url": axerrio_url,
        "tenant": tenant,
    }
    missing = [each for each, given in asked.items() if not given]
    tokens = {}
    if missing and not sys.stdin.isatty():
        options = ", ".join(f"--{each.replace('_', '-')}" for each in missing)
        raise Problem(f"Nobody is there to ask: give {options}.")
    if missing:
        told = {each: typer.prompt(_QUESTIONS[each], err=True) for each in missing}
        asked |= told
        for system in ("Komet", "Axerrio"):
            question = f"{system}'s token (Enter: fill it in later)"
            tokens[f"{system.lower()}_token"] = typer.prompt(question, default="", hide_input=True, err=True)
    answers = Answers(komet_url=komet_url, **{each: str(word).strip() for each, word in (asked | tokens).items()})
    for file in write_files(answers, settings.connections):
        typer.echo(f"{file} written")
    typer.echo("Next: fill in tokens and buyers, then `axkomet up`, and in another terminal `axkomet check`.", err=True)


@database.command()
def upgrade() -> None:
    """Bring the ledger's schema to this version. Example: axkomet db upgrade."""
    from worker.settings import resolve_services
    from worker.up import migrate

    migrate(resolve_services(_settings()).database_url)
    typer.echo("The schema is of this version.", err=True)


# -- the desk --------------------------------------------------------------------------------------------------


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check settings, services and connections, a line for each. Example: axkomet check."""
    from worker.check import run_checks
    from worker.screens import check_list

    checks = list(run_checks(_settings()))
    _show(checks, as_json, check_list)
    _finish(0 if all(each["ok"] for each in checks) else 1)


@app.command()
def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Healthy or not, in words; exit 1 when not. Example: axkomet status --watch."""
    from worker.screens import status_screen, terminal
    from worker.up import look

    settings = _settings()
    while True:
        document = look(settings)
        if watch and not as_json:
            terminal().clear()
        _show(document, as_json, status_screen)
        if not watch:
            _finish(0 if document["healthy"] else 1)
        time.sleep(_WATCH_PAUSE)


@app.command()
def today(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    as_json: AsJson = False,
) -> None:
    """What leaves today or tomorrow and is not safe in both systems yet; exit 1 when anything is not.

    Safe is what is approved, or at its end. Example: axkomet today.
    """
    from worker.assembly import open_services
    from worker.screens import today_list
    from worker.today import unsafe_today

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        found = unsafe_today(session, connection)
    _show(found, as_json, today_list)
    _finish(1 if found else 0)


@orders.command("list")
def list_orders(
    state: Annotated[str | None, typer.Option(help="Such as held, mapping_required, ordered.")] = None,
    connection: Annotated[str | None, typer.Option(help="Name of a connection.")] = None,
    origin: Annotated[str | None, typer.Option(help="axerrio or komet.")] = None,
    reason: Annotated[str | None, typer.Option(help="Code of a reason, such as in_doubt.")] = None,
    since: Annotated[str | None, typer.Option(help="Changed since: 2026-11-24, or with a time; UTC.")] = None,
    departing: Annotated[str | None, typer.Option(help="Departure date: 2026-11-24.")] = None,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """List orders, the nearest departure first. Example: axkomet orders list --state held."""
    from worker.assembly import open_services
    from worker.desk import OrderFilter, find_orders
    from worker.screens import order_list

    wanted = OrderFilter(
        state=_state(state),
        connection=connection,
        origin=origin,
        reason=reason,
        since=_moment("--since", since),
        departing=_date("--departing", departing),
        limit=limit,
    )
    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        found = find_orders(session, wanted)
    _show(found, as_json, order_list)


@orders.command("show")
def show_order(key: str, as_json: AsJson = False) -> None:
    """Show one order by any of its keys: of Axerrio or Komet, a box code, an air waybill.

    Example: axkomet orders show 2026-48210, or prebook:4343, or po:70012, or box:AX0000012345, or awb:729-1234-5675.
    """
    from worker.assembly import open_services
    from worker.desk import find_order
    from worker.screens import order_account

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        found = _by_key(find_order, session, key)
    _show(found, as_json, order_account)


_CAN_BE_REQUEUED = ("failed", "held", "mapping_required")


@app.command()
def requeue(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of orders, as `orders show` takes them.")] = None,
    state: Annotated[str | None, typer.Option(help="All in this state: failed, held or mapping_required.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All in any of these states.")] = False,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    origin: Annotated[str | None, typer.Option(help="Only those of axerrio or komet.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those changed since: 2026-11-24, or with a time; UTC.")
    ] = None,
    departing: Annotated[str | None, typer.Option(help="Only those of this departure date: 2026-11-24.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many, the nearest departure first.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "by hand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what stands there and what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let orders begin afresh. Example: axkomet requeue 2026-48210, or axkomet requeue --state failed --dry-run."""
    from tasks.requeue import Requeued
    from tasks.requeue import requeue as requeue_rows
    from worker.assembly import open_services
    from worker.desk import OrderFilter, find_orders, find_row

    if bool(keys) + bool(state) + every != 1:
        raise Problem("Name either keys of orders, or a state with --state, or --all.")
    if keys and (connection or origin or since or departing or limit):
        raise Problem("Filters go with --state or --all: a key names its order alone.")
    if state not in (None, *_CAN_BE_REQUEUED):
        raise Problem(f"--state {state} cannot be requeued: it is one of {', '.join(_CAN_BE_REQUEUED)}.")
    wanted = OrderFilter(
        connection=connection,
        origin=origin,
        since=_moment("--since", since),
        departing=_date("--departing", departing),
    )
    settings = _settings()
    urls, ledger = open_services(settings)
    with ledger.sessions() as session:
        _known_connection(session, connection)
        if keys:
            rows = [_by_key(find_row, session, key) for key in keys]
            numbers = {row.id: row.name for row in rows}
        else:
            states = [state] if state else _CAN_BE_REQUEUED
            found = [each for name in states for each in find_orders(session, replace(wanted, state=_state(name)))]
            found.sort(key=lambda each: (each["departure_date"], each["id"]))
            numbers = {order["id"]: order["name"] for order in found[:limit]}
    if not numbers:
        raise Problem("No order matches.", exit_code=3)
    if dry_run:
        _preview(settings, urls, ledger, list(numbers), as_json)
        return
    if not keys and not yes and sys.stdin.isatty():
        typer.confirm(f"Requeue {len(numbers)} order(s)?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        became = requeue_rows(session, list(numbers), reason)
    document = [
        {"id": id_, "name": numbers[id_], "requeued": what is Requeued.DUE, "outcome": what.value}
        for id_, what in became.items()
    ]
    if as_json:
        _show(document, as_json, str)
    else:
        for each in document:
            typer.echo(f"{each['name']} {each['outcome']}")


def _preview(
    settings: "Settings", urls: "ServiceUrls", ledger: "Ledger", order_ids: "Sequence[int]", as_json: bool
) -> None:
    from models.tables import Order
    from worker.assembly import timing_of
    from worker.offline import silent_connection
    from worker.preview import preview
    from worker.screens import preview_list

    with ExitStack() as stack:
        connections: dict[int, Any] = {}
        found = []
        for order_id in order_ids:
            with ledger.sessions() as session:
                row = session.get_one(Order, order_id)
                if row.connection_id not in connections:
                    silent = silent_connection(settings, urls, ledger, row.connection_id)
                    connections[row.connection_id] = stack.enter_context(silent)
                found.append(preview(session, connections[row.connection_id], row, timing_of(settings)))
                session.rollback()
    _show(found, as_json, preview_list)


@app.command()
def hold(
    keys: Annotated[list[str], typer.Argument(help="Keys of orders, as `orders show` takes them.")],
    reason: Annotated[str, typer.Option(help="Kept in the history, and shown with the order.")],
    as_json: AsJson = False,
) -> None:
    """Send nothing more of an order until it is released.

    Example: axkomet hold 2026-48210 --reason "the price is wrong"
    """
    from tasks import hold as holds
    from worker.assembly import open_services
    from worker.offline import user

    if not reason.strip():
        raise Problem("Say why with --reason.")
    _, ledger = open_services(_settings())
    with ledger.sessions.begin() as session:
        told = holds.hold(session, _ids(session, keys), user(), reason.strip())
    _tell(told, "held", as_json)


@app.command()
def release(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of orders, as `orders show` takes them.")] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="CODE", help="All held for this: over_limit or by_hand.")
    ] = None,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let orders go on that a person holds, or that are held as over_limit.

    Example: axkomet release 2026-48210, or axkomet release --reason over_limit --connection miami.
    """
    from models.states import HoldCode
    from tasks import hold as holds
    from worker.assembly import open_services
    from worker.offline import user

    if bool(keys) == bool(reason):
        raise Problem("Name either keys of orders, or what they are held for with --reason.")
    if keys and connection:
        raise Problem("--connection goes with --reason: a key names its order alone.")
    if reason is not None and reason not in holds.CODES:
        raise Problem(f"--reason {reason} cannot be released: only {' and '.join(holds.CODES)} can.")
    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        codes = [HoldCode(reason)] if reason else holds.CODES
        ids = holds.held_orders(session, HoldCode(reason), connection) if reason else _ids(session, keys or ())
    if not ids:
        raise Problem(f"No order is held as {reason}.", exit_code=3)
    if reason and not yes and sys.stdin.isatty():
        typer.confirm(f"Release {len(ids)} order(s)?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        told = holds.release(session, ids, user(), codes)
    _tell(told, "released", as_json)


def _ids(session: "Session", keys: Iterable[str]) -> list[int]:
    """Ids of the orders that the keys name, each once."""
    from worker.desk import find_row

    return list(dict.fromkeys(_by_key(find_row, session, key).id for key in keys))


def _tell(told: "Sequence[Told]", what: str, as_json: bool) -> None:
    """Say what was done to each order, and end with the code for all, part or none."""
    done = [each for each in told if each.why_not is None]
    if as_json:
        document = [
            {
                "id": each.order_id,
                "name": each.name,
                "connection": each.connection,
                what: each.why_not is None,
                "message": each.why_not,
            }
            for each in told
        ]
        _show(document, as_json, str)
    else:
        for each in done:
            typer.echo(f"{each.name} {what}")
    for each in told:
        if each.why_not is not None:
            typer.echo(f"axkomet: {each.name} {each.why_not}.", err=True)
    if len(done) < len(told):
        _finish(4 if done else 3)


@app.command()
def resolve(
    key: Annotated[str, typer.Argument(help="Key of an order, as `orders show` takes it.")],
    line: Annotated[str | None, typer.Option(help="Only of this line.")] = None,
    ours: Annotated[bool, typer.Option("--ours", help="A conflict: make it as its origin has it.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="A conflict: leave the other system as it is.")] = False,
    adopt: Annotated[
        str | None, typer.Option(metavar="ID", help="A prebook in doubt: it is this one, by its Komet id.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="A write in doubt: it never arrived, make it anew.")] = False,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
) -> None:
    """Decide a conflict, or what became of a write in doubt. Example: axkomet resolve 2026-48210 --line 1 --theirs."""
    from tasks import resolve as decisions
    from worker.assembly import open_services, timing_of
    from worker.desk import find_row
    from worker.offline import silent_connection, user

    given = {"ours": ours, "theirs": theirs, "adopt": adopt is not None, "resend": resend}
    chosen = [decisions.Choice(name) for name, is_given in given.items() if is_given]
    if len(chosen) != 1:
        raise Problem("Choose exactly one of --ours, --theirs, --adopt ID and --resend.")
    (choice,), by = chosen, decisions.By(user(), reason)
    settings = _settings()
    timing = timing_of(settings)
    urls, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        row = _by_key(find_row, session, key)
        of_line = decisions.line_of(row, line) if line is not None else None
        if line is not None and of_line is None:
            raise Problem(f"{row.name} has no line {line}.", exit_code=3)
        if adopt is not None:
            resolution = decisions.adopt(session, row.id, adopt, by, timing, line=of_line)
        elif resend:
            resolution = decisions.resend(session, row.id, by, line=of_line)
        else:
            with silent_connection(settings, urls, ledger, row.connection_id) as connection:
                resolution = decisions.decide_conflicts(session, connection, row.id, choice, by, timing, line=of_line)
        name = row.name
    for what in resolution.decided:
        typer.echo(f"{name}: decided {choice}: {what}")
    for why_not in resolution.refused:
        typer.echo(f"axkomet: {name}: {why_not}", err=True)
    if not resolution.decided and not resolution.refused:
        raise Problem(f"{name} has nothing to decide with --{choice}.", exit_code=3)
    if resolution.refused:
        _finish(4 if resolution.decided else 1)


@app.command()
def poll(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    feed: Annotated[str | None, typer.Argument(help="Such as sales-orders or komet-prebooks; all where none.")] = None,
) -> None:
    """Read feeds now, and not when their time comes. Example: axkomet poll miami komet-prebooks."""
    from models.states import Feed
    from tasks.polling import poll as poll_scopes
    from tasks.scopes import words
    from worker.assembly import open_services, timing_of
    from worker.desk import way_on

    known = [each.value for each in Feed]
    if feed is not None and feed not in known:
        raise Problem(f"{feed} is no feed: it is one of {', '.join(known)}.")
    settings = _settings()
    _, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        id_ = _connection_id(session, connection)
        scopes = poll_scopes(session, id_, Feed(feed) if feed is not None else None, timing_of(settings))
        due = [words(scope) for scope in scopes if scope.stopped_reason is None]
        stopped = [
            f"{words(scope)} stands still: {scope.stopped_reason}. {way_on(connection, scope.feed)}"
            for scope in scopes
            if scope.stopped_reason
        ]
    for each in due:
        typer.echo(f"{connection}: {each} is due now")
    for each in stopped:
        typer.echo(f"axkomet: {connection}: {each}", err=True)
    if not due and not stopped:
        raise Problem(f"{connection}: no order waits for {feed}, so there is nothing to read.", exit_code=3)
    if stopped:
        _finish(4 if due else 1)


@app.command()
def pause(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    reason: Annotated[str, typer.Option(help="Shown by `status`.")] = "",
) -> None:
    """Call neither system of a connection until it is resumed. Example: axkomet pause miami --reason "stock-taking"."""
    from tasks import upstreams
    from worker.assembly import open_services
    from worker.offline import user

    _, ledger = open_services(_settings())
    with ledger.sessions.begin() as session:
        why = f"by {user()}" + (f", {reason.strip()}" if reason.strip() else "")
        is_new = upstreams.pause(session, _connection_id(session, connection, exit_code=3), why)
    typer.echo(f"{connection} is paused" if is_new else f"{connection} was paused already")


@app.command()
def resume(connection: Annotated[str, typer.Argument(help="Name of a connection.")]) -> None:
    """Let a paused connection go on. Example: axkomet resume miami."""
    from tasks import upstreams
    from worker.assembly import open_services, timing_of

    settings = _settings()
    _, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        id_ = _connection_id(session, connection, exit_code=3)
        was_paused = upstreams.resume(session, id_, timing_of(settings))
    typer.echo(f"{connection} goes on" if was_paused else f"{connection} was not paused by a person")


@feeds.command("reset")
def reset_feed(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    feed: Annotated[str, typer.Argument(help="sales-orders, labels, shipments or articles.")],
    to: Annotated[
        int, typer.Option("--to", min=0, max=_LAST_SEQUENCE, help="Read what comes after this sequence; 0 reads all.")
    ],
    as_json: AsJson = False,
) -> None:
    """Read a feed from a sequence on, also one that stands still. Example: axkomet feed reset miami labels --to 0."""
    from models.states import Feed
    from tasks.feeds import BY_CURSOR, reset
    from worker.assembly import open_services

    can_be = [each.value for each in BY_CURSOR]
    if feed not in can_be:
        what = "has no cursor" if feed in [each.value for each in Feed] else "is no feed"
        raise Problem(f"{feed} {what}: what can be reset is one of {', '.join(can_be)}.")
    _, ledger = open_services(_settings())
    with ledger.sessions.begin() as session:
        before = reset(session, _connection_id(session, connection, exit_code=3), Feed(feed), to)
    document = {
        "connection": connection,
        "feed": feed,
        "cursor": to,
        "before": {"cursor": before.cursor, "stopped": before.stopped_reason},
    }
    said = f"{connection}: {feed} is read after {to} from now on; it stood at {before.cursor}"
    _show(document, as_json, lambda _: said + (f" and still: {before.stopped_reason}" if before.stopped_reason else ""))


# -- mappings --------------------------------------------------------------------------------------------------


@mapping.command("list")
def list_mappings(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only what orders wait for.")] = False,
    as_json: AsJson = False,
) -> None:
    """List mappings, those that most orders wait for first. Example: axkomet mapping list --missing."""
    from worker.assembly import open_services
    from worker.desk import find_mappings
    from worker.screens import mapping_list

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        found = find_mappings(session, connection, missing=missing)
    _show(found, as_json, mapping_list)


@mapping.command("set")
def set_mapping(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    article: Annotated[str, typer.Argument(help="Axerrio's code of the article.")],
    product_code: Annotated[str | None, typer.Option(help="Komet's code of the product.")] = None,
    product_description: Annotated[str | None, typer.Option(help="Komet's description of the product.")] = None,
) -> None:
    """Say what an article is in Komet. Example: axkomet mapping set miami RFREE50 --product-code ROSFRE50."""
    from tasks.mapping import Wanted, set_mappings
    from worker.assembly import open_services
    from worker.offline import user

    article, code, description = (each.strip() if each else "" for each in (article, product_code, product_description))
    if not article:
        raise Problem("Name the article by Axerrio's code.")
    if not (code or description):
        raise Problem("Name Komet's product with --product-code, --product-description or both.")
    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        id_ = _connection_id(session, connection)
    (outcome,) = set_mappings(ledger.sessions, [Wanted(id_, article, code or None, description or None)], user())
    article = outcome.article_code
    if outcome.is_unknown:
        typer.echo(f"axkomet: Axerrio's catalogue of {connection} has no article {article}; it is kept.", err=True)
    product = " ".join(filter(None, (code, description)))
    word = "was mapped so already" if outcome.was_set else f"is {product} in Komet from now on"
    typer.echo(f"{article} {word}; {len(outcome.released)} order(s) released.")


@mapping.command("import")
def import_mappings(
    file: Annotated[Path, typer.Argument(help="A CSV file, as `mapping export` writes it.")],
) -> None:
    """Set all mappings of a CSV file, or none. Example: axkomet mapping import mappings.csv."""
    from tasks.mapping import set_mappings
    from worker.assembly import open_services
    from worker.mapping_file import BadRowsError, read_csv
    from worker.offline import user

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        known = _connections(session)
    try:
        wanted = read_csv(file, known)
    except BadRowsError as error:
        for sentence in error.sentences:
            typer.echo(f"axkomet: {sentence}.", err=True)
        raise Problem(f"{len(error.sentences)} row(s) are wrong, so nothing of {file} was imported.") from None
    if not wanted:
        raise Problem(f"{file} holds no mapping.", exit_code=3)
    outcomes = set_mappings(ledger.sessions, wanted, user())
    names = {id_: name for name, id_ in known.items()}
    for each, outcome in zip(wanted, outcomes, strict=True):
        if outcome.is_unknown:
            whose = f"Axerrio's catalogue of {names[each.connection_id]}"
            typer.echo(f"axkomet: {whose} has no article {outcome.article_code}; it is kept.", err=True)
    changed = sum(not each.was_set for each in outcomes)
    released = {order_id for each in outcomes for order_id in each.released}
    typer.echo(f"{len(outcomes)} mapping(s) read, {changed} of them new or changed; {len(released)} order(s) released.")


@mapping.command("export")
def export_mappings(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
) -> None:
    """Write all mappings as CSV to stdout. Example: axkomet mapping export > mappings.csv."""
    from tasks.mapping import mapped
    from worker.assembly import open_services
    from worker.mapping_file import as_csv

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        typer.echo(as_csv(mapped(session, connection)), nl=False)


# -- what is named ---------------------------------------------------------------------------------------------


def _by_key(find: "Callable[[Session, str], Found | None]", session: "Session", key: str) -> "Found":
    """What the key names, found by `find`; a key that names no order or several is the user's mistake."""
    from worker.desk import AmbiguousKeyError

    try:
        found = find(session, key)
    except AmbiguousKeyError as error:
        raise Problem(f"{key} names several orders: {', '.join(error.candidates)}. Name one of them.") from None
    if found is None:
        raise Problem(f"No order has the key {key}.", exit_code=3)
    return found


def _state(word: str | None) -> Any:
    from models.states import OrderState

    if word is None:
        return None
    try:
        return OrderState(word)
    except ValueError:
        known = ", ".join(state.value for state in OrderState)
        raise Problem(f"--state {word} is no state: it is one of {known}.") from None


def _known_connection(session: "Session", name: str | None) -> None:
    if name is not None:
        _connection_id(session, name, option="--connection ")


def _connection_id(session: "Session", name: str, *, option: str = "", exit_code: int = 2) -> int:
    """The id of the connection's row; a name that the ledger does not know is the user's mistake."""
    known = _connections(session)
    if name not in known:
        whom = ", ".join(known) or "none"
        raise Problem(f"{option}{name} is no connection of the ledger, which knows {whom}.", exit_code)
    return known[name]


def _connections(session: "Session") -> dict[str, int]:
    """Ids of the connections' rows, by name."""
    from sqlalchemy import select

    from models.tables import Connection

    return dict(session.execute(select(Connection.name, Connection.id).order_by(Connection.name)).all())


def _date(option: str, word: str | None) -> date | None:
    try:
        return date.fromisoformat(word) if word else None
    except ValueError:
        raise Problem(f"{option} {word} is no date: write it as 2026-11-24.") from None


def _moment(option: str, word: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(word) if word else None
    except ValueError:
        raise Problem(f"{option} {word} is no time: write it as 2026-11-24 or 2026-11-24T06:00.") from None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


if __name__ == "__main__":
    main()
