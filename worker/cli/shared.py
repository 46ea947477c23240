"""What the commands share: the app and its groups, settings, output, and how orders and connections are named."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from worker.problems import Exit, Problem

if TYPE_CHECKING:  # heavy; a command imports what it uses, so that `--help` answers at once
    from sqlalchemy.orm import Session

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
Word = TypeVar("Word", bound=str)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def load() -> "Settings":
    """The settings, with logs made as they say."""
    from worker.logs import configure_logs
    from worker.settings import load_settings

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    return settings


def finish(code: int) -> NoReturn:
    """End the command with an exit code."""
    raise typer.Exit(code)


def show(document: Any, as_json: bool, screen: Callable[[Any], Any]) -> None:
    """Print a document: as JSON, or as its screen."""
    from worker.screens import terminal

    if as_json:
        speak_utf8()
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        terminal().print(screen(document))


def speak_utf8() -> None:
    """What programs read is in UTF-8, whatever the terminal understands."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def by_key(find: "Callable[[Session, str], Found | None]", session: "Session", key: str) -> "Found":
    """What the key names, found by `find`; a key that names no order or several is the user's mistake."""
    from worker.aside import why_put_aside
    from worker.desk import AmbiguousKeyError

    try:
        found = find(session, key)
    except AmbiguousKeyError as error:
        raise Problem(f"{key} names several orders: {', '.join(error.candidates)}. Name one of them.") from None
    if found is None:
        why = why_put_aside(session, key)
        unread = f": its record cannot be read ({why.rstrip('.')})" if why is not None else ""
        raise Problem(f"No order has the key {key}{unread}.", Exit.NOTHING)
    return found


def one_of(words: Iterable[Word], option: str, word: str | None) -> Word | None:
    """What an option names; a word that is none of these is the user's mistake."""
    known = {str(each): each for each in words}
    if word is not None and word not in known:
        raise Problem(f"{option} {word} is unknown: it is one of {', '.join(known)}.")
    return known[word] if word is not None else None


def known_connection(session: "Session", name: str | None) -> None:
    """What `--connection` names must be known to the ledger."""
    if name is not None:
        connection_id(session, name, option="--connection ")


def connection_id(session: "Session", name: str, *, option: str = "", exit_code: int = Exit.MISUSED) -> int:
    """The id of the connection's row; a name that the ledger does not know is the user's mistake."""
    known = connections_of(session)
    if name not in known:
        whom = ", ".join(known) or "none"
        raise Problem(f"{option}{name} is no connection of the ledger, which knows {whom}.", exit_code)
    return known[name]


def connections_of(session: "Session") -> dict[str, int]:
    """Ids of the connections' rows, by name."""
    from sqlalchemy import select

    from models.tables import Connection

    return dict(session.execute(select(Connection.name, Connection.id).order_by(Connection.name)).all())


def date_of(option: str, word: str | None) -> date | None:
    """The date that an option names."""
    try:
        return date.fromisoformat(word) if word is not None else None
    except ValueError:
        raise Problem(f"{option} {word} is no date: write it as 2026-11-24.") from None


def moment_of(option: str, word: str | None) -> datetime | None:
    """The moment that an option names; UTC where it says nothing else."""
    try:
        moment = datetime.fromisoformat(word) if word is not None else None
    except ValueError:
        raise Problem(f"{option} {word} is no time: write it as 2026-11-24 or 2026-11-24T06:00.") from None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def ids_of(session: "Session", keys: Iterable[str]) -> list[int]:
    """Ids of the orders that the keys name, each once."""
    from worker.desk import find_row

    return list(dict.fromkeys(by_key(find_row, session, key).id for key in keys))
