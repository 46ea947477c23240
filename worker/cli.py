"""The command line. Exit codes: 0 done, 1 failed or unhealthy, 2 wrong usage or configuration, 3 nothing matched."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from worker.problems import Problem

if TYPE_CHECKING:  # heavy; a command imports what it uses, so that `--help` answers at once
    from sqlalchemy.orm import Session

    from tasks.guard import Released
    from worker.settings import Settings

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
    """Show one order by any of its keys. Example: axkomet orders show 2026-48210, or prebook:4343, or po:70012."""
    from worker.assembly import open_services
    from worker.desk import find_order
    from worker.screens import order_account

    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        found = _by_key(find_order, session, key)
    _show(found, as_json, order_account)


@app.command()
def requeue(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of orders, as `orders show` takes them.")] = None,
    state: Annotated[str | None, typer.Option(help="All in this state: failed, held or mapping_required.")] = None,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "by hand",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let orders begin afresh. Example: axkomet requeue 2026-48210, or axkomet requeue --state failed."""
    from tasks.requeue import requeue as requeue_rows
    from worker.assembly import open_services
    from worker.desk import OrderFilter, find_orders, find_row

    if bool(keys) == bool(state):
        raise Problem("Name either keys of orders, or a state with --state.")
    if state not in (None, "failed", "held", "mapping_required"):
        raise Problem(f"--state {state} cannot be requeued: it is one of failed, held, mapping_required.")
    _, ledger = open_services(_settings())
    numbers: dict[int, str] = {}
    with ledger.sessions() as session:
        _known_connection(session, connection)
        for key in keys or ():
            row = _by_key(find_row, session, key)
            numbers[row.id] = row.name
        if state:
            found = find_orders(session, OrderFilter(state=_state(state), connection=connection))
            numbers = {order["id"]: order["name"] for order in found}
    if not numbers:
        raise Problem("No order matches.", exit_code=3)
    if state and not yes and sys.stdin.isatty():
        typer.confirm(f"Requeue {len(numbers)} order(s)?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        became = requeue_rows(session, list(numbers), reason)
    for order_id, what in became.items():
        typer.echo(f"{numbers[order_id]} {what.value}")


@app.command()
def release(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of orders, as `orders show` takes them.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="All held for this: over_limit.")] = None,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let orders go on that are held as over_limit. Example: axkomet release --reason over_limit --connection miami."""
    from tasks import guard
    from worker.assembly import open_services
    from worker.desk import find_row
    from worker.offline import user

    if bool(keys) == bool(reason):
        raise Problem("Name either keys of orders, or what they are held for with --reason.")
    if keys and connection:
        raise Problem("--connection goes with --reason: a key names its order alone.")
    if reason not in (None, "over_limit"):
        raise Problem(f"--reason {reason} cannot be released: only over_limit can.")
    _, ledger = open_services(_settings())
    with ledger.sessions() as session:
        _known_connection(session, connection)
        ids = list(dict.fromkeys(_by_key(find_row, session, key).id for key in keys or ()))
        if reason:
            ids = guard.held_orders(session, connection)
    if not ids:
        raise Problem("No order is held as over_limit.", exit_code=3)
    if reason and not yes and sys.stdin.isatty():
        typer.confirm(f"Release {len(ids)} order(s)?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        released = guard.release(session, ids, user())
    done = [each for each in released if each.why_not is None]
    if as_json:
        _show([_released(each) for each in released], as_json, str)
    else:
        for each in done:
            typer.echo(f"{each.name} released")
    for each in released:
        if each.why_not is not None:
            typer.echo(f"axkomet: {each.name} {each.why_not}: nothing to release.", err=True)
    if len(done) < len(released):
        _finish(4 if done else 3)


def _released(each: "Released") -> dict[str, Any]:
    return {
        "id": each.order_id,
        "name": each.name,
        "connection": each.connection,
        "released": each.why_not is None,
        "message": each.why_not,
    }


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
    from tasks.mapping import set_mapping as store
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
    outcome = store(
        ledger.sessions,
        id_,
        article,
        product_code=code or None,
        product_description=description or None,
        who=user(),
    )
    article = outcome.article_code
    if outcome.is_unknown:
        typer.echo(f"axkomet: Axerrio's catalogue of {connection} has no article {article}; it is kept.", err=True)
    product = " ".join(filter(None, (code, description)))
    word = "was mapped so already" if outcome.was_set else f"is {product} in Komet from now on"
    typer.echo(f"{article} {word}; {len(outcome.released)} order(s) released.")


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
    from sqlalchemy import select

    from models.tables import Connection

    known = dict(session.execute(select(Connection.name, Connection.id).order_by(Connection.name)).all())
    if name not in known:
        whom = ", ".join(known) or "none"
        raise Problem(f"{option}{name} is no connection of the ledger, which knows {whom}.", exit_code)
    return int(known[name])


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
