"""How the whole is."""

import time
from typing import Annotated

import typer

from worker.cli.shared import AsJson, app, finish, known_connection, load, show
from worker.problems import Exit

#: Seconds between two screens of `status --watch`.
_WATCH_PAUSE = 2.0


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check settings, services and connections, a line for each. Example: axkomet check."""
    from worker.check import run_checks
    from worker.screens import check_list

    checks = list(run_checks(load()))
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

    Safe is what is approved, or at its end. Example: axkomet today.
    """
    from worker.assembly import open_services
    from worker.screens import today_list
    from worker.today import unsafe_today

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        found = unsafe_today(session, connection)
    show(found, as_json, today_list)
    finish(Exit.FAILED if found else Exit.DONE)
