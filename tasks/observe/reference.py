"""Komet's lists of carriers and box types: daily, and when a code is not known."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from clients.komet.client import Listing
from models.canonical import BoxType, Carrier
from models.tables import ReferenceData
from tasks import scopes
from tasks.connection import Connection
from tasks.observe.aside import put_aside_all
from tasks.runtime import Hint, Runtime
from tasks.scopes import Claim
from tasks.wake import active_waiters, lock_orders, wake


def read(runtime: Runtime, connection: Connection, claim: Claim) -> list[Hint]:
    """Replace both lists by what Komet has now; whoever waits for them looks again."""
    # What every token may call comes first: it tells a system that is away, or a token, from a missing right.
    box_types = connection.komet.list_box_types()
    carriers = connection.komet.list_carriers()
    with runtime.sessions.begin() as session:
        rows = lock_orders(session, active_waiters(session, claim.scope_id, passive_too=True))
        put_aside_all(session, claim, (*carriers.unreadable, *box_types.unreadable))
        _replace(session, connection.id, "carriers", carriers)
        _replace(session, connection.id, "box_types", box_types)
        finished = scopes.finish(
            session,
            claim,
            complete=carriers.complete and box_types.complete,
            records=len(carriers.records) + len(box_types.records),
            timing=runtime.timing,
        )
        return finished.hints + wake(session, rows, connection, runtime.timing)


def _replace(session: Session, connection_id: int, name: str, found: Listing[Carrier] | Listing[BoxType]) -> None:
    """An empty list replaces nothing: a company without carriers or box types does not exist.

    Of a list that is not whole nothing is concluded for the codes that it does not show.
    """
    by_code: dict[str, Carrier | BoxType] = {}
    for record in found.records:
        # Of two carriers with one code the active one counts.
        known = by_code.get(record.code)
        if known is None or (isinstance(record, Carrier) and record.active):
            by_code[record.code] = record
    if not by_code:
        return
    outdated = delete(ReferenceData).where(
        ReferenceData.connection_id == connection_id, ReferenceData.list_name == name
    )
    session.execute(outdated if found.complete else outdated.where(ReferenceData.code.in_(by_code)))
    session.add_all(
        ReferenceData(connection_id=connection_id, list_name=name, code=code, content=record.model_dump(mode="json"))
        for code, record in by_code.items()
    )
    session.flush()
