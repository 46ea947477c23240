"""Single orders: look at them, and decide."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.shared import (
    AsJson,
    app,
    by_key,
    date_of,
    finish,
    ids_of,
    known_connection,
    load,
    moment_of,
    one_of,
    orders,
    show,
)
from worker.problems import Exit, Problem

if TYPE_CHECKING:  # heavy; a command imports what it uses, so that `--help` answers at once
    from tasks.hold import Told
    from worker.assembly import Ledger
    from worker.settings import ServiceUrls, Settings

_CAN_BE_REQUEUED = ("failed", "held", "mapping_required")
#: Orders of one list; more than PostgreSQL counts in this type.
_MOST = 2**31 - 1


@orders.command("list")
def list_orders(
    state: Annotated[str | None, typer.Option(help="Such as held, mapping_required, ordered.")] = None,
    connection: Annotated[str | None, typer.Option(help="Name of a connection.")] = None,
    origin: Annotated[str | None, typer.Option(help="axerrio or komet.")] = None,
    reason: Annotated[str | None, typer.Option(help="Code of a reason, such as in_doubt.")] = None,
    since: Annotated[str | None, typer.Option(help="Changed since: 2026-11-24, or with a time; UTC.")] = None,
    departing: Annotated[str | None, typer.Option(help="Departure date: 2026-11-24.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=_MOST)] = None,
    as_json: AsJson = False,
) -> None:
    """List orders, the nearest departure first. Example: axkomet orders list --state held."""
    from models.canonical import Origin
    from models.states import REASONS, OrderState
    from worker.assembly import open_services
    from worker.desk import OrderFilter, find_orders
    from worker.screens import order_list

    in_state = one_of(OrderState, "--state", state)
    wanted = OrderFilter(
        states=[in_state] if in_state is not None else [],
        connection=connection,
        origin=one_of(Origin, "--origin", origin),
        reason=one_of(REASONS, "--reason", reason),
        since=moment_of("--since", since),
        departing=date_of("--departing", departing),
        limit=limit,
    )
    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        found = find_orders(session, wanted)
    show(found, as_json, order_list)


@orders.command("show")
def show_order(key: str, as_json: AsJson = False) -> None:
    """Show one order, both systems side by side, by any of its keys: of Axerrio or Komet, a box code, an air waybill.

    Example: axkomet orders show 2026-48210, or prebook:4343, or po:70012, or box:AX0000012345, or awb:729-1234-5675.
    """
    from worker.assembly import open_services
    from worker.connections import packings_of
    from worker.desk import find_order
    from worker.screens import order_account

    settings = load()
    _, ledger = open_services(settings)
    with ledger.sessions() as session:
        found = by_key(find_order, session, key)
    packings = packings_of(settings, found["connection"])
    show(found, as_json, lambda order: order_account(order, packings))


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
    limit: Annotated[int | None, typer.Option(min=1, max=_MOST, help="So many, the nearest departure first.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "by hand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what stands there and what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let orders begin afresh. Example: axkomet requeue 2026-48210, or axkomet requeue --state failed --dry-run."""
    from models.canonical import Origin
    from models.states import OrderState
    from tasks.requeue import BATCH, Requeued, requeue_all
    from worker.assembly import open_services
    from worker.desk import OrderFilter, find_names, find_row
    from worker.screens import progress

    if bool(keys) + (state is not None) + every != 1:
        raise Problem("Name either keys of orders, or a state with --state, or --all.")
    if keys and any(each is not None for each in (connection, origin, since, departing, limit)):
        raise Problem("Filters go with --state or --all: a key names its order alone.")
    if state not in (None, *_CAN_BE_REQUEUED):
        raise Problem(f"--state {state} cannot be requeued: it is one of {', '.join(_CAN_BE_REQUEUED)}.")
    wanted = OrderFilter(
        connection=connection,
        origin=one_of(Origin, "--origin", origin),
        since=moment_of("--since", since),
        departing=date_of("--departing", departing),
        limit=limit,
        states=[OrderState(each) for each in ([state] if state else _CAN_BE_REQUEUED)],
    )
    settings = load()
    urls, ledger = open_services(settings)
    with ledger.sessions() as session:
        known_connection(session, connection)
        if keys:
            rows = [by_key(find_row, session, key) for key in keys]
            numbers = {row.id: row.name for row in rows}
        else:
            numbers = find_names(session, wanted)
    if not numbers:
        raise Problem("No order matches.", Exit.NOTHING)
    if dry_run:
        _preview(settings, urls, ledger, list(numbers), as_json)
        return
    if not keys and not yes and sys.stdin.isatty():
        typer.confirm(f"Requeue {len(numbers)} order(s)?", abort=True, err=True)
    became: dict[int, Requeued] = {}
    with progress("requeued", len(numbers), shown=len(numbers) > BATCH and not as_json) as done:
        for batch in requeue_all(ledger.sessions, list(numbers), reason):
            became |= batch
            done(len(became))
    document = [
        {"id": id_, "name": numbers[id_], "requeued": what is Requeued.DUE, "outcome": what.value}
        for id_, what in became.items()
    ]
    if as_json:
        show(document, as_json, str)
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
    show(found, as_json, preview_list)


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
    _, ledger = open_services(load())
    with ledger.sessions.begin() as session:
        told = holds.hold(session, ids_of(session, keys), user(), reason.strip())
    _tell(told, "held", as_json)


@app.command()
def cancel(
    keys: Annotated[list[str], typer.Argument(help="Keys of orders, as `orders show` takes them.")],
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take an order out of the other system, though its origin still has it; `release` takes that back.

    Example: axkomet cancel 2026-48210 --reason "sold to somebody else"
    """
    from tasks import hold as holds
    from worker.assembly import open_services
    from worker.offline import user

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        ids = ids_of(session, keys)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Cancel {len(ids)} order(s) in the other system?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        told = holds.cancel(session, ids, user(), reason.strip())
    _tell(told, "cancelled", as_json)
    if any(each.why_not is None for each in told):
        typer.echo("Where it was made it still stands: cancel it there too.", err=True)


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
    """Let orders go on that a person holds or cancelled, or that are held as over_limit.

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
    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        codes = [HoldCode(reason)] if reason else holds.CODES
        ids = holds.held_orders(session, HoldCode(reason), connection) if reason else ids_of(session, keys or ())
    if not ids:
        raise Problem(f"No order is held as {reason}.", Exit.NOTHING)
    if reason and not yes and sys.stdin.isatty():
        typer.confirm(f"Release {len(ids)} order(s)?", abort=True, err=True)
    with ledger.sessions.begin() as session:
        told = holds.release(session, ids, user(), codes)
    _tell(told, "released", as_json)


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
        show(document, as_json, str)
    else:
        for each in done:
            typer.echo(f"{each.name} {what}")
    for each in told:
        if each.why_not is not None:
            typer.echo(f"axkomet: {each.name} {each.why_not}.", err=True)
    if len(done) < len(told):
        finish(Exit.PARTLY if done else Exit.NOTHING)


@app.command()
def resolve(
    key: Annotated[str, typer.Argument(help="Key of an order, as `orders show` takes it.")],
    line: Annotated[str | None, typer.Option(help="Only of this line.")] = None,
    ours: Annotated[bool, typer.Option("--ours", help="A conflict: make it as its origin has it.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="A conflict: leave the other system as it is.")] = False,
    adopt: Annotated[
        str | None, typer.Option(metavar="ID", help="A prebook in doubt: it is this one, by its Komet id.")
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="A write in doubt or not visible: it is not there, make it anew.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Decide a conflict, or what became of a write in doubt. Example: axkomet resolve 2026-48210 --line 1 --theirs."""
    from models.states import REFUSED
    from tasks import resolve as decisions
    from worker.assembly import open_services, timing_of
    from worker.desk import find_row
    from worker.offline import silent_connection, user

    given = {"ours": ours, "theirs": theirs, "adopt": adopt is not None, "resend": resend}
    chosen = [decisions.Choice(name) for name, is_given in given.items() if is_given]
    if len(chosen) != 1:
        raise Problem("Choose exactly one of --ours, --theirs, --adopt ID and --resend.")
    (choice,), by = chosen, decisions.By(user(), reason)
    settings = load()
    timing = timing_of(settings)
    urls, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        row = by_key(find_row, session, key)
        of_line = decisions.line_of(row, line) if line is not None else None
        if line is not None and of_line is None:
            raise Problem(f"{row.name} has no line {line}.", Exit.NOTHING)
        with silent_connection(settings, urls, ledger, row.connection_id) as connection:
            if adopt is not None:
                resolution = decisions.adopt(session, connection, row.id, adopt, by, timing, line=of_line)
            elif resend:
                resolution = decisions.resend(session, connection, row.id, by, timing, line=of_line)
            else:
                resolution = decisions.decide_conflicts(session, connection, row.id, choice, by, timing, line=of_line)
        name, at_its_end = row.name, REFUSED["resolve"].get(row.state)
        document = {
            "id": row.id,
            "name": name,
            "choice": choice.value,
            "decided": list(resolution.decided),
            "refused": list(resolution.refused),
        }
    if not resolution.decided and not resolution.refused:
        raise Problem(f"{name} {at_its_end or f'has nothing to decide with --{choice}'}.", Exit.NOTHING)
    if as_json or resolution.decided:
        lines = [f"{name}: decided {choice}: {what}" for what in resolution.decided]
        show(document, as_json, lambda _: "\n".join(lines))
    for why_not in resolution.refused:
        typer.echo(f"axkomet: {name}: {why_not}", err=True)
    if resolution.refused:
        finish(Exit.PARTLY if resolution.decided else Exit.FAILED)
