"""How the whole is."""

import time
from typing import Annotated, Any

import typer

from worker.cli.shared import AsJson, app, by_key, date_of, finish, known_connection, load, show
from worker.problems import Exit, Problem

#: Seconds between two screens of `status --watch`.
_WATCH_PAUSE = 2.0


@app.command()
def check(
    probe: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Send this order to Komet too, and tell what reading it back settles."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, services and connections, a line for each.

    Example: axkomet check, or on the first day axkomet check --probe 2026-48210.
    """
    from worker.assembly import open_services
    from worker.check import run_checks
    from worker.desk import find_row
    from worker.probe import run_probe
    from worker.screens import check_list

    settings = load()
    found: list[dict[str, Any]] = []
    if probe is not None:
        urls, ledger = open_services(settings)
        with ledger.sessions() as session:
            order_id = by_key(find_row, session, probe).id
        found = list(run_probe(settings, urls, ledger, order_id))
    checks = [*run_checks(settings), *found]
    show(checks, as_json, check_list)
    finish(Exit.DONE if all(each["ok"] for each in checks) else Exit.FAILED)


@app.command()
def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Healthy or not, in words; exit 1 when not. Example: axkomet status --watch."""
    from worker.screens import status_screen, terminal
    from worker.up import look

    settings = load()
    while True:
        document = look(settings)
        if watch and not as_json:
            terminal().clear()
        show(document, as_json, status_screen)
        if not watch:
            finish(Exit.DONE if document["healthy"] else Exit.FAILED)
        time.sleep(_WATCH_PAUSE)


@app.command()
def today(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    as_json: AsJson = False,
) -> None:
    """What leaves today or tomorrow and is not safe in both systems yet; exit 1 when anything is not.

    Safe is what is approved, or at its end. Orders that cannot be read are told on stderr. Example: axkomet today.
    """
    from worker.aside import lost_records
    from worker.assembly import open_services
    from worker.screens import today_list
    from worker.today import unsafe_today

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        found = unsafe_today(session, connection)
        lost = lost_records(session)
        unread = [each for name in lost if connection in (None, name) for each in lost[name]]
    if found or as_json or not unread:
        show(found, as_json, today_list)
    for each in unread:
        typer.echo(each, err=True)
    finish(Exit.FAILED if found or unread else Exit.DONE)


@app.command()
def reconcile(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    date: Annotated[str | None, typer.Option("--date", help="Only orders of this departure date: 2026-11-24.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read both systems afresh and tell where open orders differ in them; exit 1 where any does, or is not read.

    Nothing is written to either. Example: axkomet reconcile --date 2026-11-24.
    """
    from worker.assembly import open_services
    from worker.connections import load_connections
    from worker.reconcile import reconcile as compare
    from worker.screens import drift_list

    departing = date_of("--date", date)
    settings = load()
    named = load_connections(settings.connections)
    meant = [each for each in named if connection in (None, each.name)]
    if not meant:
        names = ", ".join(each.name for each in named)
        raise Problem(f"--connection {connection} is none of the connections file, which names {names}.")
    report = compare(settings, *open_services(settings), meant, departing)
    document = {"drift": report.drift, "requests": report.requests}
    show(document, as_json, lambda _: drift_list(document, orders=report.orders, is_whole=not report.unread))
    for each in report.unread:
        typer.echo(f"axkomet: {each}", err=True)
    finish(Exit.FAILED if report.drift or report.unread else Exit.DONE)
