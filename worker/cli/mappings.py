"""Mappings: list, set, import, export."""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.shared import AsJson, connection_id, connections_of, known_connection, load, mapping, show, speak_utf8
from worker.problems import Exit, Problem

if TYPE_CHECKING:  # heavy; a command imports what it uses, so that `--help` answers at once
    from tasks.mapping import Outcome, Wanted
    from worker.assembly import Ledger

#: `mapping set` watches the orders so long, and looks so often, in seconds.
_WATCH_SECONDS, _WATCH_PAUSE = 300.0, 1.0


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

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        found = find_mappings(session, connection, missing=missing)
    show(found, as_json, mapping_list)


@mapping.command("set")
def set_mapping(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    article: Annotated[str, typer.Argument(help="Axerrio's code of the article.")],
    product_code: Annotated[str | None, typer.Option(help="Komet's code of the product.")] = None,
    product_description: Annotated[str | None, typer.Option(help="Komet's description of the product.")] = None,
    watch: Annotated[
        bool | None,
        typer.Option(
            "--watch/--no-watch",
            help="Watch the orders go on, for five minutes at most; at a terminal unless told not.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what an article is in Komet. Example: axkomet mapping set miami RFREE50 --product-code ROSFRE50."""
    from tasks.mapping import Wanted, left_blank, set_mappings
    from worker.assembly import open_services
    from worker.offline import user

    article, code, description = (each.strip() if each else "" for each in (article, product_code, product_description))
    if not article:
        raise Problem("Name the article by Axerrio's code.")
    if not (code or description):
        raise Problem("Name Komet's product with --product-code, --product-description or both.")
    if why_not := left_blank(article, code, description):
        raise Problem(f"The command {why_not}.")
    _, ledger = open_services(load())
    with ledger.sessions() as session:
        id_ = connection_id(session, connection, exit_code=Exit.NOTHING)
    wanted = Wanted(id_, article, code or None, description or None)
    (outcome,) = set_mappings(ledger.sessions, [wanted], user())
    document = _document(connection, wanted, outcome)
    product = " ".join(filter(None, (code, description)))
    word = "was mapped so already" if outcome.was_set else f"is {product} in Komet from now on"
    said = f"{outcome.article_code} {word}; {len(outcome.released)} order(s) released."
    show(document, as_json, lambda _: said)
    if outcome.released and (sys.stdout.isatty() and not as_json if watch is None else watch):
        _watch(ledger, wanted, outcome.released, on_stderr=as_json)


def _document(connection: str, wanted: "Wanted", outcome: "Outcome") -> dict[str, Any]:
    """What became of a mapping; an article that is in no catalogue is worth a word."""
    article = outcome.article_code
    if outcome.is_unknown:
        typer.echo(f"axkomet: Axerrio's catalogue of {connection} has no article {article}; it is kept.", err=True)
    return {
        "connection": connection,
        "article_code": article,
        "product_code": wanted.product_code,
        "product_description": wanted.product_description,
        "changed": not outcome.was_set,
        "in_catalogue": not outcome.is_unknown,
        "released": list(outcome.released),
    }


def _watch(ledger: "Ledger", wanted: "Wanted", released: Sequence[int], *, on_stderr: bool) -> None:
    """Tell how many of the orders wait for the mapping no more, until none does, Ctrl-C, or the time is over."""
    from tasks.mapping import still_waiting
    from worker.screens import progress

    left, end = len(released), time.monotonic() + _WATCH_SECONDS
    stopped = threading.Event()  # an exception could be lost, where it comes while something is closed
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with progress("went on", len(released)) as done:
            while left and time.monotonic() < end and not stopped.is_set():
                with ledger.sessions() as session:
                    left = still_waiting(session, wanted, released)
                done(len(released) - left)
                stopped.wait(_WATCH_PAUSE if left else 0)
    finally:
        signal.signal(signal.SIGINT, before)
    typer.echo(f"{len(released) - left} of {len(released)} order(s) went on.", err=on_stderr)
    if left:
        typer.echo(
            f"axkomet: {left} wait still; nothing is lost: see `axkomet status`, and `axkomet mapping list --missing`.",
            err=True,
        )


@mapping.command("import")
def import_mappings(
    file: Annotated[Path, typer.Argument(help="A CSV file, as `mapping export` writes it.")],
    as_json: AsJson = False,
) -> None:
    """Set all mappings of a CSV file, or none. Example: axkomet mapping import mappings.csv."""
    from tasks.mapping import set_mappings
    from worker.assembly import open_services
    from worker.mapping_file import BadRowsError, read_csv
    from worker.offline import user

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known = connections_of(session)
    try:
        wanted = read_csv(file, known)
    except BadRowsError as error:
        for sentence in error.sentences:
            typer.echo(f"axkomet: {sentence}.", err=True)
        raise Problem(f"{len(error.sentences)} row(s) are wrong, so nothing of {file} was imported.") from None
    if not wanted:
        raise Problem(f"{file} holds no mapping.", Exit.NOTHING)
    outcomes = set_mappings(ledger.sessions, wanted, user())
    names = {id_: name for name, id_ in known.items()}
    documents = [
        _document(names[each.connection_id], each, outcome) for each, outcome in zip(wanted, outcomes, strict=True)
    ]
    changed = sum(each["changed"] for each in documents)
    released = {order_id for each in outcomes for order_id in each.released}
    said = f"{len(outcomes)} mapping(s) read, {changed} of them new or changed; {len(released)} order(s) released."
    show(documents, as_json, lambda _: said)


@mapping.command("export")
def export_mappings(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write all mappings as CSV to stdout. Example: axkomet mapping export > mappings.csv."""
    from tasks.mapping import mapped
    from worker.assembly import open_services
    from worker.mapping_file import COLUMNS, as_csv

    _, ledger = open_services(load())
    with ledger.sessions() as session:
        known_connection(session, connection)
        found = mapped(session, connection)
    if as_json:
        show([{column: getattr(each, column) for column in COLUMNS} for each in found], as_json, str)
    else:
        speak_utf8()
        typer.echo(as_csv(found), nl=False)
