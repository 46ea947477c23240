"""Connections and their feeds: read now, pause, reset."""

from typing import Annotated

import typer

from worker.cli.shared import AsJson, app, connection_id, feeds, finish, load, show
from worker.problems import Exit, Problem

#: As large as the ledger can hold.
_LAST_SEQUENCE = 2**63 - 1


@app.command()
def poll(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    feed: Annotated[str | None, typer.Argument(help="Such as sales-orders or komet-prebooks; all where none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read feeds now, and not when their time comes. Example: axkomet poll miami komet-prebooks."""
    from models.states import Feed
    from tasks.notes import note_connection
    from tasks.polling import poll as poll_scopes
    from tasks.scopes import words
    from worker.assembly import open_services
    from worker.connections import is_forgotten
    from worker.offline import user
    from worker.status import not_read, reset_command, way_on

    known = [each.value for each in Feed]
    if feed is not None and feed not in known:
        raise Problem(f"{feed} is no feed: it is one of {', '.join(known)}.")
    settings = load()
    _, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        id_ = connection_id(session, connection, exit_code=Exit.NOTHING)
        scopes = poll_scopes(session, id_, Feed(feed) if feed is not None else None)
        due = [words(scope) for scope in scopes if scope.stopped_reason is None]
        stopped = [
            {"feed": words(scope), "message": why, "next_command": reset_command(connection, scope.feed)}
            for scope in scopes
            if (why := scope.stopped_reason)
        ]
        why_not = not_read(session, id_, connection, {scope.feed for scope in scopes})
        if due:
            note_connection(session, id_, user(), f"polled {feed or 'all feeds'}")
    if not due and not stopped:
        raise Problem(f"{connection}: no order waits for {feed}, so there is nothing to read.", Exit.NOTHING)
    document = {"connection": connection, "due": due, "stopped": stopped}
    if as_json or due:
        show(document, as_json, lambda _: "\n".join(f"{connection}: {each} is due now" for each in due))
    for each in stopped:
        still = f"{each['feed']} stands still: {each['message']}. {way_on(each['next_command'])}"
        typer.echo(f"axkomet: {connection}: {still}", err=True)
    if is_forgotten(settings, connection):
        why_not.append(f"{connection} is not in the connections file {settings.connections}: no worker reads it.")
    for sentence in why_not if due else ():
        typer.echo(f"axkomet: {sentence}", err=True)
    if stopped:
        finish(Exit.PARTLY if due else Exit.FAILED)


@app.command()
def pause(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    reason: Annotated[str, typer.Option(help="Kept, and shown by `status`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Call neither system of a connection until it is resumed. Example: axkomet pause miami --reason "stock-taking"."""
    from tasks import upstreams
    from worker.assembly import open_services
    from worker.offline import user

    _, ledger = open_services(load())
    with ledger.sessions.begin() as session:
        is_new = upstreams.pause(
            session, connection_id(session, connection, exit_code=Exit.NOTHING), user(), reason.strip()
        )
    document = {"connection": connection, "paused": True, "changed": is_new}
    show(document, as_json, lambda _: f"{connection} is paused" if is_new else f"{connection} was paused already")


@app.command()
def resume(
    connection: Annotated[str, typer.Argument(help="Name of a connection.")],
    reason: Annotated[str, typer.Option(help="Kept, and shown by `status`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a paused connection go on. Example: axkomet resume miami."""
    from tasks import upstreams
    from worker.assembly import open_services, timing_of
    from worker.offline import user

    settings = load()
    _, ledger = open_services(settings)
    with ledger.sessions.begin() as session:
        id_ = connection_id(session, connection, exit_code=Exit.NOTHING)
        was_paused = upstreams.resume(session, id_, timing_of(settings), user(), reason.strip())
    document = {"connection": connection, "paused": False, "changed": was_paused}
    said = f"{connection} goes on" if was_paused else f"{connection} was not paused by a person"
    show(document, as_json, lambda _: said)


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
    from tasks.notes import note_connection
    from worker.assembly import open_services
    from worker.offline import user

    can_be = [each.value for each in BY_CURSOR]
    if feed not in can_be:
        what = "has no cursor" if feed in [each.value for each in Feed] else "is no feed"
        raise Problem(f"{feed} {what}: what can be reset is one of {', '.join(can_be)}.")
    _, ledger = open_services(load())
    with ledger.sessions.begin() as session:
        id_ = connection_id(session, connection, exit_code=Exit.NOTHING)
        before = reset(session, id_, Feed(feed), to)
        note_connection(session, id_, user(), f"{feed} reset to {to}")
    document = {
        "connection": connection,
        "feed": feed,
        "cursor": to,
        "before": {"cursor": before.cursor, "stopped": before.stopped_reason},
    }
    said = f"{connection}: {feed} is read after {to} from now on; it stood at {before.cursor}"
    show(document, as_json, lambda _: said + (f" and still: {before.stopped_reason}" if before.stopped_reason else ""))
    if to > before.cursor and before.stopped_reason is None:
        typer.echo(
            f"axkomet: {connection}: the records of {feed} after {before.cursor} up to {to} are left out, and nobody "
            f"here knows what they say: `axkomet feed reset {connection} {feed} --to {before.cursor}` reads them.",
            err=True,
        )
